//! The examples that ship.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_e2e::{env, envoy, process, server};
use serde_json::Value;

const LONGEST: Duration = Duration::from_secs(30);
const DOCUMENT: &str = "envoy/mesh.yaml";
/// With this set, the examples are written anew instead of being compared.
const WRITE: &str = "POSTERN_WRITE_EXAMPLES";

/// What every example is rendered with.
const EVERYWHERE: [&str; 6] = [
    "--server-grpc=postern.example.test:9191",
    "--server-public=postern.example.test:9192",
    "--server-ca=/etc/postern/server-ca.pem",
    "--client-cert=/etc/postern/own.pem",
    "--client-key=/etc/postern/own-key.pem",
    "--envoy-admin=127.0.0.1:9901",
];
const BY_FILES: [&str; 3] = [
    "--mesh-ca=/etc/postern/mesh-ca.pem",
    "--mesh-cert=/etc/postern/own.pem",
    "--mesh-key=/etc/postern/own-key.pem",
];
const BY_AGENT: [&str; 1] = ["--mesh-agent=/run/spire/agent.sock"];
const WATCHED: [&str; 2] = ["--source=files", "--source-folder=/etc/envoy"];
const ASKED: [&str; 3] =
    ["--source=ads", "--xds-server=xds.example.test:18000", "--xds-ca=/etc/postern/server-ca.pem"];
const EDGE: [&str; 3] = ["--listen=0.0.0.0:8080", "--node-id=edge-1", "--zone=eu/eu-1"];
const SIDECAR: [&str; 5] = [
    "--kind=sidecar",
    "--workload=payments",
    "--listen=0.0.0.0:8443",
    "--upstream-port=8080",
    "--node-id=payments-1",
];

/// The examples' folders, and how each is rendered.
fn examples() -> Vec<(&'static str, Vec<&'static str>)> {
    let of = |parts: &[&[&'static str]]| parts.concat();
    vec![
        ("edge-static", of(&[&EVERYWHERE, &EDGE, &BY_FILES])),
        ("edge-xds", of(&[&EVERYWHERE, &EDGE, &BY_FILES, &WATCHED])),
        ("edge-xds/ads", of(&[&EVERYWHERE, &EDGE, &BY_FILES, &ASKED])),
        ("sidecar-static", of(&[&EVERYWHERE, &SIDECAR, &BY_FILES])),
        ("sidecar-xds", of(&[&EVERYWHERE, &SIDECAR, &BY_AGENT, &WATCHED])),
        ("sidecar-xds/ads", of(&[&EVERYWHERE, &SIDECAR, &BY_AGENT, &ASKED])),
    ]
}

fn shipped(folder: &str) -> PathBuf {
    env::repository().join("envoy").join(folder)
}

/// The JSON files of a folder, by their names.
fn read(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a rendered file"))
        })
        .collect()
}

#[tokio::test]
async fn their_document_is_in_order() {
    server::run(["check", DOCUMENT]).await.expect_success();
}

/// What stands there is what the document renders to now.
#[tokio::test]
async fn they_are_current() {
    let writes = std::env::var_os(WRITE).is_some_and(|value| value == "1");
    let mut stale = Vec::new();
    for (folder, options) in examples() {
        let out = tempfile::tempdir().expect("a folder");
        let target = if writes { shipped(folder) } else { out.path().to_path_buf() };
        let mut command = server::command(["render", "envoy", DOCUMENT, "--out"]);
        command.arg(&target).args(&options);
        let rendered = process::run(command, LONGEST).await;
        assert_eq!(rendered.code, Some(0), "{rendered}");
        assert!(!rendered.stderr.contains("warning"), "{folder}: {rendered}");
        let rendered = read(&target);
        assert!(rendered.contains_key("envoy.json"), "{folder}: {:?}", rendered.keys());
        if rendered != read(&shipped(folder)) {
            stale.push(folder);
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} under envoy/ are not what {DOCUMENT} renders to: run this test with {WRITE}=1 \
         and look at the change"
    );
}

/// Envoy reads files and modules when it checks a configuration: those of the kit stand in.
fn with_files_of_the_kit(text: &str, folder: &Path) -> String {
    let tls =
        |name: &str| env::repository().join("tests/fixtures/tls").join(name).display().to_string();
    text.replace("/etc/postern/postern-bundle.wasm", &env::bundle().display().to_string())
        .replace("/etc/postern/mesh-ca.pem", &tls("mesh-ca.pem"))
        .replace("/etc/postern/own.pem", &tls("mesh-edge.pem"))
        .replace("/etc/postern/own-key.pem", &tls("mesh-edge-key.pem"))
        .replace("/etc/postern/server-ca.pem", &tls("ca.pem"))
        .replace("/etc/ssl/certs/ca-certificates.crt", &tls("ca.pem"))
        .replace("/etc/envoy", &folder.display().to_string())
        // Where tests run there need be no standard output that can be opened by its name.
        .replace("/dev/stdout", &folder.join("access.log").display().to_string())
}

/// A bootstrap that holds what another one takes from files: Envoy checks what a bootstrap holds,
/// and does not look further.
fn joined(files: &BTreeMap<String, Value>) -> Value {
    let resources = |name: &str| -> Vec<Value> {
        let mut resources = files[name]["resources"].as_array().expect("resources").clone();
        for resource in &mut resources {
            resource.as_object_mut().expect("a resource").remove("@type");
        }
        resources
    };
    let mut bootstrap = files["envoy.json"].clone();
    bootstrap.as_object_mut().expect("a bootstrap").remove("dynamic_resources");
    let held = &mut bootstrap["static_resources"];
    held["clusters"].as_array_mut().expect("clusters").extend(resources("cds.json"));
    let mut listeners = resources("lds.json");
    let manager = &mut listeners[0]["filter_chains"][0]["filters"][0]["typed_config"];
    manager.as_object_mut().expect("a connection manager").remove("rds");
    manager["route_config"] = resources("rds.json").remove(0);
    held["listeners"] = Value::Array(listeners);
    bootstrap
}

#[tokio::test]
async fn envoy_takes_each_of_them() {
    for (folder, _) in examples() {
        let place = tempfile::tempdir().expect("a folder");
        let mut files = BTreeMap::new();
        for (name, text) in read(&shipped(folder)) {
            let text = with_files_of_the_kit(&text, place.path());
            fs::write(place.path().join(&name), &text).expect("a file for Envoy");
            files.insert(name, serde_json::from_str(&text).expect("JSON"));
        }
        assert!(!files.is_empty(), "nothing in {folder}");
        envoy::validate(&envoy::config_file(place.path())).await.expect_success();
        if files.contains_key("lds.json") {
            let whole = place.path().join("whole.json");
            fs::write(&whole, joined(&files).to_string()).expect("the whole of it");
            envoy::validate(&whole).await.expect_success();
        }
    }
}

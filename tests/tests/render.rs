//! Istio manifests: what `postern render istio` writes of the shipped document holds against
//! the CRDs' own schemas, strictly: what a schema does not name is refused.

mod examples;
mod schemas;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use postern_e2e::server;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::render::schemas::Schemas;

/// Istio versions that are rendered for, the CRDs that stand for them, and the kind that loads the
/// module there. What a newer version has besides is not rendered, so that the nearest CRDs will do
/// where a version's own are not at hand.
const VERSIONS: [(&str, &str, &str, &str); 4] = [
    ("1.28", "1.29", "WasmPlugin", "TrafficExtension"),
    ("1.29", "1.29", "WasmPlugin", "TrafficExtension"),
    ("1.30", "1.31", "TrafficExtension", "WasmPlugin"),
    ("1.31", "1.31", "TrafficExtension", "WasmPlugin"),
];
/// The two ways to write routes, and the kind that only one of them has.
const APIS: [(&str, &str); 2] = [("istio", "VirtualService"), ("gateway", "HTTPRoute")];

/// A document, the kinds that it needs in any version and either API, and why there is none of it
/// in the Gateway API.
struct Case {
    document: &'static str,
    kinds: &'static [&'static str],
    not_in_gateway_api: Option<&'static str>,
}

const CASES: [Case; 3] = [
    Case {
        document: "envoy/sample.yaml",
        kinds: &["AuthorizationPolicy", "DestinationRule", "EnvoyFilter", "Gateway", "Telemetry"],
        not_in_gateway_api: None,
    },
    Case {
        document: "tests/fixtures/istio.yaml",
        kinds: &[
            "AuthorizationPolicy",
            "DestinationRule",
            "EnvoyFilter",
            "Gateway",
            "PeerAuthentication",
            "RequestAuthentication",
            "ServiceEntry",
            "Telemetry",
            "WorkloadEntry",
        ],
        not_in_gateway_api: Some("labels alone"),
    },
    Case {
        document: "tests/fixtures/gateway-api.yaml",
        kinds: &[
            "AuthorizationPolicy",
            "DestinationRule",
            "EnvoyFilter",
            "Gateway",
            "ServiceEntry",
        ],
        not_in_gateway_api: None,
    },
];

#[tokio::test]
async fn manifests_hold_against_the_crds() {
    for (version, crds, plugin, other_plugin) in VERSIONS {
        let schemas = Schemas::load(crds);
        for case in CASES {
            for (api, routes) in APIS {
                let about = format!("{}, Istio {version}, {api}", case.document);
                let Some(resources) = rendered(&case, version, api).await else { continue };
                let mut problems = Vec::new();
                for (file, resource) in &resources {
                    let found = schemas.problems(resource).into_iter();
                    problems.extend(found.map(|problem| format!("{}: {problem}", file.display())));
                }
                assert!(problems.is_empty(), "{about}:\n{}", problems.join("\n"));

                let kinds: BTreeSet<&str> = resources
                    .iter()
                    .filter_map(|(_, resource)| resource["kind"].as_str())
                    .collect();
                for kind in case.kinds.iter().chain([&plugin, &routes]) {
                    assert!(kinds.contains(kind), "{about}: no {kind} among {kinds:?}");
                }
                // With both, the filters would run twice, and hosts have two sets of routes.
                let others = APIS.iter().filter(|(other, _)| *other != api);
                for kind in others.map(|(_, kind)| kind).chain([&other_plugin]) {
                    assert!(!kinds.contains(kind), "{about}: {kind} as well");
                }
            }
        }
    }
}

/// What a document renders to; none where it is refused, by the reason that is expected.
async fn rendered(case: &Case, version: &str, api: &str) -> Option<Vec<(PathBuf, Value)>> {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let options = ["--istio-version", version, "--api", api, "--request-authentication=workloads"];
    let arguments = ["render", "istio", case.document, "--out", &out];
    let finished = server::run(arguments.into_iter().chain(options)).await;
    if let (Some(reason), "gateway") = (case.not_in_gateway_api, api) {
        let told = finished.expect_code(1);
        assert!(told.contains(reason) && told.contains("API `gateway`"), "{told}");
        return None;
    }
    finished.expect_success();
    let resources = read_resources(folder.path());
    assert_names_are_unique(&resources);
    Some(resources)
}

/// `CUSTOM` must ask the server wherever a route needs its evidence, and a plugin must not run
/// on the calls that a workload makes itself.
#[tokio::test]
async fn manifests_bind_the_server_and_the_plugin() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let arguments =
        ["render", "istio", "envoy/sample.yaml", "--out", &out, "--istio-version", "1.29"];
    server::run(arguments).await.expect_success();
    let resources = read_resources(folder.path());
    let custom: Vec<&Value> = of_kind(&resources, "AuthorizationPolicy")
        .into_iter()
        .filter(|policy| policy["spec"]["action"] == "CUSTOM")
        .collect();
    assert!(!custom.is_empty(), "no AuthorizationPolicy asks the server");
    for policy in custom {
        let provider = policy["spec"]["provider"]["name"].as_str().unwrap_or_default();
        assert!(!provider.is_empty(), "{policy}");
    }
    for plugin in of_kind(&resources, "WasmPlugin") {
        let matches = plugin["spec"]["match"].as_array().cloned().unwrap_or_default();
        assert!(!matches.is_empty(), "without a match it runs in both directions: {plugin}");
        for one in &matches {
            let mode = one["mode"].as_str().unwrap_or_default();
            assert!(["SERVER", "CLIENT"].contains(&mode), "{plugin}");
        }
        assert_ne!(plugin["spec"]["failStrategy"], "FAIL_OPEN", "{plugin}");
        assert!(plugin["spec"]["pluginConfig"].is_object(), "{plugin}");
    }
}

/// A workload's own calls are nobody's business here, a sidecar judges what comes in; and nobody
/// may speak plain text to it.
#[tokio::test]
async fn manifests_of_a_workload_bind_its_way_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let arguments = ["render", "istio", "tests/fixtures/istio.yaml", "--out", &out];
    server::run(arguments).await.expect_success();
    let resources = read_resources(folder.path());
    let of_shop = |kind: &str| -> Vec<&Value> {
        let resources = of_kind(&resources, kind).into_iter();
        resources.filter(|resource| resource["metadata"]["namespace"] == "shop").collect()
    };
    let plugins = of_shop("TrafficExtension");
    let [plugin] = plugins.as_slice() else { panic!("{plugins:?}") };
    assert_eq!(plugin["spec"]["match"][0]["mode"], "SERVER");
    let strict = of_shop("PeerAuthentication");
    let [strict] = strict.as_slice() else { panic!("{strict:?}") };
    assert_eq!(strict["spec"], json!({"mtls": {"mode": "STRICT"}}));
    for filter in of_shop("EnvoyFilter") {
        for patch in filter["spec"]["configPatches"].as_array().expect("patches") {
            assert_eq!(patch["match"]["context"], "SIDECAR_INBOUND", "{patch}");
        }
    }
    let denies = of_shop("AuthorizationPolicy");
    assert!(denies.iter().any(|policy| policy["spec"] == json!({})), "{denies:?}");
}

fn of_kind<'a>(resources: &'a [(PathBuf, Value)], kind: &str) -> Vec<&'a Value> {
    resources.iter().map(|(_, value)| value).filter(|value| value["kind"] == kind).collect()
}

/// All resources of a folder's `.yaml` files, several to a file where there are several.
fn read_resources(folder: &Path) -> Vec<(PathBuf, Value)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the rendered folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        // Pieces of the mesh's own configuration, for people to put in place.
        .filter(|path| !path.to_string_lossy().ends_with(".fragment.yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "nothing was rendered into {}", folder.display());
    let mut resources = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a rendered file");
        for value in read_yaml(&text, &file) {
            resources.push((file.clone(), value));
        }
    }
    resources
}

fn read_yaml(text: &str, file: &Path) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(text)
        .map(|document| {
            Value::deserialize(document)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        })
        .filter(|value| !value.is_null())
        .collect()
}

/// Two resources of one kind, namespace and name would overwrite each other.
fn assert_names_are_unique(resources: &[(PathBuf, Value)]) {
    let mut seen = BTreeSet::new();
    for (file, resource) in resources {
        if resource["kind"] == "Kustomization" {
            // Has no name; what it lists must be there.
            for listed in resource["resources"].as_array().into_iter().flatten() {
                let listed = file.with_file_name(listed.as_str().unwrap_or_default());
                assert!(listed.is_file(), "{}: no {}", file.display(), listed.display());
            }
            continue;
        }
        let name = resource["metadata"]["name"].as_str().unwrap_or_default();
        assert!(!name.is_empty(), "{}: a resource without a name", file.display());
        let namespace = resource["metadata"]["namespace"].as_str().unwrap_or_default();
        let key = format!("{} {namespace}/{name}", resource["kind"]);
        assert!(seen.insert(key.clone()), "{key} is there twice");
    }
}

/// For pull requests: a folder is what the document renders to, or it is said what is not.
#[tokio::test]
async fn a_folder_that_is_not_current_is_told_of_and_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let with = |document: &str, more: &[&str]| -> Vec<String> {
        let words = ["render", "istio", document, "--out", &out];
        words.iter().chain(more).map(|word| (*word).to_owned()).collect()
    };
    let full = "tests/fixtures/istio.yaml";
    let told = server::run(with(full, &["--check"])).await.expect_code(1);
    assert!(told.contains("plugin.yaml: missing"), "{told}");
    let end = format!("{out} is not what the document renders to: run the same command without");
    assert!(told.contains(&end), "{told}");
    server::run(with(full, &[])).await.expect_success();
    let current = server::run(with(full, &["--check"])).await;
    assert!(!current.stderr.contains("is not what"), "{current}");
    current.expect_success();
    for (more, is_noted) in [(&["--check"][..], true), (&["--check", "--no-notes"], false)] {
        let told = server::run(with(full, more)).await;
        assert_eq!(told.stderr.contains("\nnote: "), is_noted, "{told}");
        assert!(told.stderr.contains("warning: "), "{told}");
    }

    let plugin = folder.path().join("plugin.yaml");
    let mut text = fs::read_to_string(&plugin).expect("a manifest");
    text.push_str("# by hand\n");
    fs::write(&plugin, text).expect("a manifest");
    let told = server::run(with(full, &["--check"])).await.expect_code(1);
    assert!(told.contains("plugin.yaml: differs") && !told.contains("telemetry.yaml"), "{told}");

    // Another document has other files; what nobody rendered is nobody's to remove.
    let own = folder.path().join("own.yaml");
    fs::write(&own, "kind: Secret\n").expect("a file");
    let sample = "envoy/sample.yaml";
    let told = server::run(with(sample, &["--check"])).await.expect_code(1);
    assert!(told.contains("workload-entry.yaml: no longer rendered"), "{told}");
    assert!(folder.path().join("workload-entry.yaml").exists(), "a check writes nothing");
    server::run(with(sample, &[])).await.expect_success();
    assert!(!folder.path().join("workload-entry.yaml").exists());
    assert!(own.exists());
    server::run(with(sample, &["--check"])).await.expect_success();
}

//! What is rendered and what is installed, judged by Istio's own tools and by the API server's
//! packages: schemas, defaults, rules in CEL, `istioctl validate` and Istio's analysis.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::{env, server};
use postern_mesh::block::Block;
use postern_mesh::certificates::{Certificates, Pair};
use postern_mesh::rendered::Rendered;
use postern_mesh::{control_plane, manifests, program};
use serde_json::{Value, json};

/// Renderings, and the versions of Istio whose CRDs they are held against.
const RENDERINGS: [(&str, &str); 4] =
    [("1.28", "1.29"), ("1.29", "1.29"), ("1.30", "1.31"), ("1.31", "1.31")];
/// The versions that manifests of an installation are held against.
const VERSIONS: [&str; 2] = ["1.29", "1.31"];
/// What Istio's analysis says of every mesh with us in it, and why that stays.
const ACCEPTED: [(&str, &str); 1] = [(
    "IST0133",
    "every EnvoyFilter is told that it reaches into Envoy; ours say what has no other API",
)];

/// What `istioctl validate` warns of with every installation of us, and why that stays.
const WARNED: [(&str, &str); 2] = [
    (
        "exposes internal implementation",
        "every EnvoyFilter is told that it reaches into Envoy; ours say what has no other API",
    ),
    (
        "postern-protected: configured AuthorizationPolicy will deny all traffic to TCP ports",
        "a gateway's ports are up to its Service, so the wall names none: it is for all of them, \
         and TCP has no way past the gateway's ALLOW policies either",
    ),
];

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, resources: &[Value]) -> PathBuf {
        control_plane::put(self.0.path(), name, resources);
        self.0.path().join(format!("{name}.yaml"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

async fn rendering(version: &str, folder: &Folder) -> Rendered {
    let document = env::repository().join("envoy").join("sample.yaml");
    let out = folder.path().join("out");
    let mut command = server::command(["render", "istio"]);
    command.arg(document).arg("--out").arg(&out).args(["--istio-version", version]);
    let longest = std::time::Duration::from_secs(30);
    postern_e2e::process::run(command, longest).await.expect_success();
    Rendered::read(&out)
}

/// Everything that ships, with a name for texts of failures.
async fn shipped() -> Vec<(String, Vec<Value>)> {
    let sample = env::repository().join("istio").join("sample");
    let mut found = vec![("istio/sample".to_owned(), Rendered::read(&sample).resources)];
    for overlay in manifests::overlays() {
        found.push((overlay.display().to_string(), manifests::kustomize(&overlay).await));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_would_take_every_rendering() {
    for (rendered_for, crds) in RENDERINGS {
        let folder = Folder::new();
        let resources = rendering(rendered_for, &folder).await.resources;
        let file = folder.write("rendered", &resources);
        let judgement = manifests::judge(&manifests::crds(crds), &file).await;
        assert!(judgement.problems.is_empty(), "{rendered_for}: {:#?}", judgement.problems);
        assert!(judgement.others.is_empty(), "{rendered_for}: {:?}", judgement.others);
        assert_eq!(judgement.checked, resources.len() as u64, "{rendered_for}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_would_take_everything_that_ships() {
    for (name, resources) in shipped().await {
        let folder = Folder::new();
        let file = folder.write("shipped", &resources);
        let kinds: BTreeSet<&str> =
            resources.iter().filter_map(|one| one["kind"].as_str()).collect();
        for version in VERSIONS {
            // Versions that have no TrafficExtension get a WasmPlugin: another rendering.
            if version == "1.29" && kinds.contains("TrafficExtension") {
                continue;
            }
            let judgement = manifests::judge(&manifests::crds(version), &file).await;
            assert!(judgement.problems.is_empty(), "{name}, {version}: {:#?}", judgement.problems);
            assert!(judgement.checked > 0, "{name}, {version}: nothing to check");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_manifest_is_refused() {
    let folder = Folder::new();
    let policy = |spec: Value| {
        json!({
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": "a", "namespace": "n"},
            "spec": spec,
        })
    };
    let both = json!({"selector": {"matchLabels": {"a": "b"}}, "targetRefs": [
        {"group": "", "kind": "Service", "name": "a"},
    ]});
    for (what, spec) in [
        ("an unknown field", json!({"actoin": "ALLOW"})),
        ("an unknown action", json!({"action": "PERMIT"})),
        // Only a rule in CEL says so.
        ("a selector beside targetRefs", both),
    ] {
        let file = folder.write("broken", &[policy(spec)]);
        for version in VERSIONS {
            let judgement = manifests::judge(&manifests::crds(version), &file).await;
            assert_eq!(judgement.problems.len(), 1, "{what}, {version}: {judgement:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn istioctl_validate_finds_nothing() {
    let mut checked = shipped().await;
    for (version, _) in RENDERINGS {
        let folder = Folder::new();
        checked.push((version.to_owned(), rendering(version, &folder).await.resources));
    }
    for (name, resources) in checked {
        let folder = Folder::new();
        let file = folder.write("shipped", &resources).display().to_string();
        let finished = program::run("validate", ["-f", &file]).await;
        assert_eq!(finished.code, Some(0), "{name}: {finished}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        let warnings = said.lines().filter(|line| line.trim_start().starts_with("* "));
        let is_known = |line: &&str| WARNED.iter().any(|(known, _)| line.contains(known));
        let warnings: Vec<&str> = warnings.filter(|line| !is_known(line)).collect();
        assert!(warnings.is_empty(), "{name}: {warnings:#?}");
    }
}

/// The suite, the rendering of the sample, and what stands around both in a cluster, together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn istios_analysis_finds_nothing() {
    let authority = Folder::new();
    let block = Block::take();
    let certificates = Certificates::start(&block, authority.path()).await;
    let shown = certificates.of_host("gateway.example.test").await;
    for overlay in manifests::overlays() {
        let folder = Folder::new();
        let name = overlay.display().to_string();
        let installed = manifests::kustomize(&overlay).await;
        let rendering = rendering("1.31", &folder).await;
        let mesh = folder.write("mesh", &[rendering.mesh_config]);
        let files = [
            folder.write("installed", &installed),
            folder.write("pods", &manifests::pods(&installed)),
            folder.write("rendered", &rendering.resources),
            folder.write("around", &around(&shown)),
        ];
        let (findings, skipped) = manifests::analyze(&mesh, &files).await;
        let accepted = |code: &str| ACCEPTED.iter().any(|(known, _)| *known == code);
        let findings: Vec<_> = findings.into_iter().filter(|one| !accepted(&one.code)).collect();
        assert!(findings.is_empty(), "{name}: {findings:#?}");
        assert!(skipped.is_empty(), "{name}: nothing to look at for {skipped:?}");
    }
}

/// What an installation finds in the cluster: the gateway, its certificate, and the namespaces
/// that policies speak of.
fn around(shown: &Pair) -> Vec<Value> {
    let mut objects: Vec<Value> = ["istio-system", "monitoring", "postern-operators"]
        .map(|name| {
            let labels = json!({"istio-injection": "enabled"});
            let metadata = json!({"name": name, "labels": labels});
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        })
        .into();
    objects.push(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "postern-gateway-tls", "namespace": "istio-system"},
        "type": "kubernetes.io/tls",
        "data": {
            "tls.crt": STANDARD.encode(&shown.certificate),
            "tls.key": STANDARD.encode(&shown.key),
        },
    }));
    objects.push(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "istio-ingressgateway-0",
            "namespace": "istio-system",
            "labels": {"istio": "ingressgateway"},
        },
        "spec": {"containers": [manifests::sidecar()]},
    }));
    objects.push(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"},
        "spec": {
            "selector": {"istio": "ingressgateway"},
            "ports": [{"name": "https", "port": 443, "targetPort": 8443}],
        },
    }));
    objects
}

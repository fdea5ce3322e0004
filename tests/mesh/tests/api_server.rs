//! Everything that ships or is rendered, applied to a Kubernetes API server, and read from there
//! by istiod.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_e2e::process::Running;
use postern_e2e::{env, server, wait};
use postern_mesh::api_server::ApiServer;
use postern_mesh::block::Block;
use postern_mesh::caller::{self, Caller};
use postern_mesh::certificates::Certificates;
use postern_mesh::rendered::Rendered;
use postern_mesh::skip::Part;
use postern_mesh::{control_plane, manifests, program};
use serde_json::{Value, json};

/// A cluster has the CRDs of one version: the newest.
const CRDS: &str = "1.31";
const START: Duration = Duration::from_secs(90);

fn file(folder: &Path, name: &str, resources: &[Value]) -> PathBuf {
    control_plane::put(folder, name, resources);
    folder.join(format!("{name}.yaml"))
}

async fn rendering(folder: &Path) -> Vec<Value> {
    let document = env::repository().join("envoy").join("sample.yaml");
    let out = folder.join("out");
    let mut command = server::command(["render", "istio"]);
    command.arg(document).arg("--out").arg(&out).args(["--istio-version", CRDS]);
    let longest = Duration::from_secs(30);
    postern_e2e::process::run(command, longest).await.expect_success();
    Rendered::read(&out).resources
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_takes_everything_and_istiod_reads_it_there() {
    if !ApiServer::is_there() && Part::ApiServer.is_skipped("nobody built one") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let block = Block::take();
    let cluster = ApiServer::start(&block, at).await;
    let definitions = cluster.apply(&manifests::crds(CRDS)).await;
    assert!(definitions.refused.is_empty(), "{:#?}", definitions.refused);
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"},
    });
    let namespace = file(at, "namespace", &[namespace]);
    assert_eq!(cluster.apply(&[namespace]).await.taken, 1);

    let rendered = rendering(at).await;
    let mut all = vec![("rendering".to_owned(), rendered.clone())];
    for overlay in manifests::overlays() {
        all.push((overlay.display().to_string(), manifests::kustomize(&overlay).await));
    }
    for (name, resources) in &all {
        let applied = cluster.apply(&[file(at, "applied", resources)]).await;
        assert!(applied.refused.is_empty(), "{name}: {:#?}", applied.refused);
        assert_eq!(applied.taken, resources.len() as u64, "{name}");
    }
    assert_broken_ones_are_refused(&cluster, at).await;

    let known = istiod(&cluster, &block, at).await;
    for one in &rendered {
        let (kind, name) = (&one["kind"], &one["metadata"]["name"]);
        let is_it = |other: &Value| &other["kind"] == kind && &other["metadata"]["name"] == name;
        assert!(known.iter().any(is_it), "istiod does not know {kind} {name}");
    }
}

async fn assert_broken_ones_are_refused(cluster: &ApiServer, folder: &Path) {
    let broken = manifests::parse(
        "apiVersion: security.istio.io/v1\n\
         kind: AuthorizationPolicy\n\
         metadata: {name: a, namespace: istio-system}\n\
         spec: {selector: {matchLabels: {a: b}}, targetRefs: [{group: '', kind: Service, name: a}]}\n\
         ---\n\
         apiVersion: v1\n\
         kind: Service\n\
         metadata: {name: a, namespace: istio-system}\n\
         spec: {selector: {a: b}, prots: [{name: a, port: 1}]}\n",
    );
    let judged = cluster.judge(&[file(folder, "broken", &broken)]).await;
    assert_eq!((judged.taken, judged.refused.len()), (0, 2), "{judged:?}");
}

/// What an istiod on this cluster knows.
async fn istiod(cluster: &ApiServer, block: &Block, folder: &Path) -> Vec<Value> {
    let certificates = Certificates::start(block, folder).await;
    let mesh_config = folder.join("mesh.yaml");
    std::fs::write(&mesh_config, r#"{"ingressControllerMode": "OFF"}"#).expect("MeshConfig");
    let at = |port: u16| block.socket(1, port);
    let debug = at(15080);
    let mut command = program::command("istiod");
    command
        .arg("-kubeconfig")
        .arg(cluster.kubeconfig())
        .arg("-mesh")
        .arg(&mesh_config)
        .args(["-grpc", &at(15010).to_string()])
        .args(["-secure-grpc", &at(15012).to_string()])
        .args(["-http", &debug.to_string()])
        .args(["-monitoring", &at(15014).to_string()])
        .env("ROOT_CA_DIR", certificates.authority())
        .current_dir(folder);
    let mut process = Running::start("istiod", &folder.join("istiod.log"), &mut command);
    let debug = Caller::plain(&debug.ip().to_string(), debug);
    wait::until("ready istiod", START, || {
        if let Some(status) = process.ended() {
            panic!("istiod ended with {status} before it was ready");
        }
        let request = debug.get("/ready");
        async move {
            let answer = caller::try_send(request).await?;
            if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) }
        }
    })
    .await;
    let known = caller::send(debug.get("/debug/configz")).await.expect(200).json();
    known.as_array().cloned().expect("a list")
}

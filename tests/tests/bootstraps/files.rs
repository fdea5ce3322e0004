//! An Envoy that watches files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::envoy::{self, Envoy, Ports};
use postern_e2e::upstream::Upstream;
use postern_e2e::{documents, server, wait};

const LONGEST: Duration = Duration::from_secs(20);

/// A document with a route for each of these names.
fn document(names: &[&str], upstream: &Upstream) -> String {
    let routes: String = names
        .iter()
        .map(|name| {
            format!(
                "  - {{name: {name}, match: {{path: \"/{name}/{{rest=**}}\"}}, service: all, \
                 auth: none}}\n"
            )
        })
        .collect();
    let text = format!("version: 1\nservices:\n  all: {{upstream: $UPSTREAM}}\nroutes:\n{routes}");
    documents::fill_in(&text, upstream.address(), "http://127.0.0.1:8080")
}

async fn render(text: &str, folder: &Path, ports: Ports) {
    let file = folder.join("gateway.yaml");
    fs::write(&file, text).expect("the document");
    let options = ["--source=files".to_owned(), format!("--source-folder={}", folder.display())];
    let server_ports = server::Ports::free();
    envoy::render_with(&file, folder, ports, server_ports, &options).await.expect_success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_document_is_taken_over_while_envoy_runs() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Ports::free();
    render(&document(&["one"], &upstream), folder.path(), ports).await;
    let config = envoy::config_file(folder.path());
    let log = folder.path().join("envoy.log");
    let mut envoy = Envoy::start(&config, ports, 1, &log).await;
    let client = Client::new(Protocol::Http1, ports.listen);
    client.send(&Call::get("/one/x")).await.expect(200);
    client.send(&Call::get("/two/x")).await.expect_denial(404, "NOT_FOUND");

    render(&document(&["one", "two"], &upstream), folder.path(), ports).await;
    let call = &Call::get("/two/x");
    wait::until("answer by the new document", LONGEST, || async move {
        let answer = client.try_send(call).await?;
        if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
    client.send(&Call::get("/one/x")).await.expect(200);
    for name in ["listener_manager.lds", "cluster_manager.cds"] {
        assert_eq!(envoy.sum(name, ".update_rejected").await, 0, "{name}");
        assert!(envoy.sum(name, ".update_success").await >= 1, "{name}");
    }
    // Each listener takes its own routes, and what goes on with the first one takes no others.
    let routes = "http.postern.rds.postern-";
    assert!(envoy.sum(routes, ".update_success").await >= 2);
    assert_eq!(envoy.sum(routes, ".config_reload").await, 2);
    envoy.assert_no_failed_machine().await;
}

/// Envoy goes on with what it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_configuration_changes_nothing() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Ports::free();
    render(&document(&["one"], &upstream), folder.path(), ports).await;
    let config = envoy::config_file(folder.path());
    let log = folder.path().join("envoy.log");
    let mut envoy = Envoy::start(&config, ports, 1, &log).await;
    let client = Client::new(Protocol::Http1, ports.listen);
    client.send(&Call::get("/one/x")).await.expect(200);

    let broken = folder.path().join("broken");
    fs::write(&broken, "{\"resources\": [{").expect("half a file");
    fs::rename(&broken, folder.path().join("lds.json")).expect("in the file's place");
    let running = &envoy;
    wait::until("update that fails", LONGEST, || async move {
        let name = "listener_manager.lds.update_failure";
        if running.stat(name).await > 0 { Ok(()) } else { Err("none yet") }
    })
    .await;
    client.send(&Call::get("/one/x")).await.expect(200);
    envoy.assert_no_failed_machine().await;
}

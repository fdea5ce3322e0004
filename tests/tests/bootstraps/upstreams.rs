//! Every way in which endpoints are asked, chosen and bounded is one that Envoy takes.

use std::fs;
use std::path::{Path, PathBuf};

use postern_e2e::envoy::{self, Ports};
use postern_e2e::{documents, ports, server};
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../fixtures/endpoints.yaml");

/// The document in a folder. One of its services has as many endpoints as a service may have.
fn written(folder: &Path) -> PathBuf {
    let endpoint =
        |at: u32| format!("      - {{address: 10.1.{}.{}, port: 80}}", at / 250, at % 250);
    let many: Vec<String> = (0..1000).map(endpoint).collect();
    let text = DOCUMENT.replace("$MANY", &many.join("\n"));
    let text = documents::fill_in(&text, ports::local(ports::free()), "http://127.0.0.1:8080");
    let document = folder.join("gateway.yaml");
    fs::write(&document, text).expect("the document");
    document
}

#[tokio::test]
async fn envoy_takes_every_kind_of_check_bound_and_balance() {
    let folder = tempfile::tempdir().expect("a folder");
    let document = written(folder.path());
    let options = ["--zone=eu/eu-1".to_owned()];
    let (envoy_ports, server_ports) = (Ports::free(), server::Ports::free());
    let rendered =
        envoy::render_with(&document, folder.path(), envoy_ports, server_ports, &options).await;
    rendered.expect_success();
    let config = envoy::config_file(folder.path());
    let text = fs::read_to_string(&config).expect("the rendered configuration");
    // What is not there, Envoy would not have looked at.
    let rendered: Value = serde_json::from_str(&text).expect("JSON");
    let clusters = rendered["static_resources"]["clusters"].as_array().expect("clusters");
    let named: Vec<&str> = clusters.iter().filter_map(|cluster| cluster["name"].as_str()).collect();
    for name in ["service-walled--slow", "service-parted--old--slow", "service-parted--new--slow"] {
        assert!(named.contains(&name), "{named:?}");
    }
    for said in [
        "http_health_check",
        "grpc_health_check",
        "tcp_health_check",
        "retry_budget",
        "\"priority\": 1",
        "\"table_size\": 150001",
    ] {
        assert!(text.contains(said), "no {said}");
    }
    envoy::validate(&config).await.expect_success();
}

/// Whoever does not say where Envoy is cannot ask for what is near.
#[tokio::test]
async fn a_zone_that_nobody_names_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let document = written(folder.path());
    let rendered =
        envoy::render(&document, folder.path(), Ports::free(), server::Ports::free()).await;
    let told = rendered.expect_code(1);
    assert!(told.contains("`near`") && told.contains("--zone"), "{told}");
}

use super::*;
use crate::check::{Check, CheckKind, CheckResult};
use crate::rolling::Rolling;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn telemetry() -> Telemetry {
    let now = Instant::now();
    Telemetry {
        metrics: MetricsRegistry::new("test", now).unwrap(),
        health: Arc::new(HealthChecks::new(now, Arc::new(Rolling::new(now)))),
        readiness: Readiness::new(),
        drain: Drain::new(Duration::from_secs(3600)),
    }
}

/// Serves on a free port until the runtime of the test ends.
async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// Status, head (in lower case) and body.
async fn fetch(address: SocketAddr, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

async fn fetch_json(address: SocketAddr, path: &str) -> (u16, Value) {
    let (status, _, body) = fetch(address, path).await;
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let address = serve(router(telemetry())).await;
    let (status, head, body) = fetch(address, "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(body.contains("# TYPE memory_usage_bytes gauge"), "{body}");
}

#[tokio::test]
async fn readiness_waits_for_blockers_and_ends_with_draining() {
    let telemetry = telemetry();
    let store = telemetry.readiness.block_on("store");
    let address = serve(router(telemetry.clone())).await;
    assert_eq!(fetch_json(address, "/health/ready").await, (503, json!({"ready": false})));
    drop(store);
    assert_eq!(fetch_json(address, "/health/ready").await, (200, json!({"ready": true})));
    telemetry.drain.request();
    assert_eq!(fetch_json(address, "/health/ready").await, (503, json!({"ready": false})));
    assert_eq!(fetch_json(address, "/health/live").await, (200, json!({"status": "alive"})));
}

#[tokio::test]
async fn health_tells_by_its_status_and_details_on_demand() {
    let telemetry = telemetry();
    let address = serve(health_router(telemetry.clone())).await;
    let (status, body) = fetch_json(address, "/health").await;
    assert_eq!((status, &body["status"]), (200, &json!("healthy")));
    assert_eq!(body["memory"], Value::Null);

    let gone = || async { CheckResult::unhealthy("gone").with_details(json!({"tries": 3})) };
    telemetry.health.add(Check::new(CheckKind::Redis, gone));
    telemetry.health.refresh().await;
    let (status, body) = fetch_json(address, "/health?detailed=false").await;
    assert_eq!((status, &body["status"]), (200, &json!("degraded")));
    assert_eq!(body["checks"]["redis"]["details"], Value::Null);

    telemetry.health.add(Check::new(CheckKind::Redis, gone).critical());
    telemetry.health.refresh().await;
    let (status, body) = fetch_json(address, "/health?x=1&detailed=true").await;
    assert_eq!((status, &body["status"]), (503, &json!("unhealthy")));
    assert_eq!(body["checks"]["redis"]["details"]["tries"], 3);
    assert!(body["memory"].is_object() && body["cpu"].is_object(), "{body}");

    assert_eq!(fetch(address, "/metrics").await.0, 404);
}

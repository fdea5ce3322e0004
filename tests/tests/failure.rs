//! What breaks, and what happens then.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use postern_e2e::client::{Call, Protocol};
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::keys::{self, Key, Token};
use postern_e2e::redis::Redis;
use postern_e2e::{documents, envoy, ports, process, server, wait};
use serde_json::json;
use tempfile::TempDir;

/// A broken document in a folder of its own.
fn broken() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let document = folder.path().join("broken.yaml");
    fs::write(&document, documents::BROKEN).expect("the document");
    (folder, document)
}

/// Every problem is there, each with its file and line.
fn assert_all_problems(report: &str, document: &std::path::Path) {
    for (line, word) in documents::BROKEN_AT {
        let place = format!("{}:{line}:", document.display());
        assert!(
            report.lines().any(|text| text.contains(&place) && text.contains(word)),
            "no `{word}` at {place} in:\n{report}"
        );
    }
}

#[tokio::test]
async fn of_a_broken_document_every_problem_is_printed() {
    let (folder, document) = broken();
    let shown = document.display().to_string();
    let report = server::run(["check", &shown]).await.expect_code(1);
    assert_all_problems(&report, &document);

    let out = folder.path().join("out");
    let rendered =
        envoy::render(&document, &out, envoy::Ports::free(), server::Ports::free()).await;
    assert_all_problems(&rendered.expect_code(1), &document);
    assert!(!envoy::config_file(&out).exists(), "something was rendered all the same");

    let out = out.display().to_string();
    let rendered = server::run(["render", "istio", &shown, "--out", &out]).await;
    assert_all_problems(&rendered.expect_code(1), &document);
}

#[tokio::test]
async fn with_a_broken_document_nothing_starts() {
    let (folder, document) = broken();
    let options = server::Options {
        document: document.clone(),
        volatile: "memory".to_owned(),
        durable: None,
        folder: folder.path().to_path_buf(),
    };
    let addresses = server::Ports::free();
    let command = server::serve_command(&options, addresses);
    let finished = process::run(command, Duration::from_secs(20)).await;
    assert_all_problems(&finished.expect_code(1), &document);
    for port in [addresses.grpc, addresses.public, addresses.admin, addresses.metrics] {
        let listening = std::net::TcpStream::connect(ports::local(port)).is_ok();
        assert!(!listening, "something listens on port {port}");
    }
}

#[tokio::test]
async fn a_document_that_is_not_there_is_said_to_be_missing() {
    let report = server::run(["check", "/no/such/document.yaml"]).await.expect_code(1);
    assert!(report.contains("/no/such/document.yaml"), "{report}");
}

fn limited(path: &str, subject: &str) -> Call {
    Call::get(path).bearer(&Token::of(subject).sign())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_limit_does_what_it_says() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    let gateway = Gateway::builder()
        .document(documents::FAILURES)
        .store(Store::At(redis.url()))
        .start()
        .await;
    // Up, and it says what it lacks.
    let health = gateway.server.health().await.expect(200);
    assert_eq!(health.json()["status"], "degraded", "{health}");
    assert_ne!(health.json()["checks"]["redis"]["status"], "healthy", "{health}");

    each_limit_without_its_store(&gateway).await;

    // It comes: the limits count, all of them, and the health is good again.
    redis.bring_up().await;
    counted_again(&gateway).await;

    // It goes while everything runs.
    redis.take_down();
    each_limit_without_its_store(&gateway).await;
    redis.bring_up().await;
    counted_again(&gateway).await;
}

async fn each_limit_without_its_store(gateway: &Gateway) {
    let subject = keys::subject("no-redis");
    // Beyond the rate of four, and nobody is turned away.
    for _ in 0..8 {
        gateway.send(&limited("/limited/allow", &subject)).await.expect(200);
    }
    let before = gateway.upstream.total();
    let answer = gateway.send(&limited("/limited/deny", &subject)).await;
    let answer = answer.expect_denial(503, "UNAVAILABLE");
    assert!(answer.number("retry-after") >= 1, "{answer}");
    assert_eq!(gateway.upstream.total(), before, "the upstream was asked");
    // Half of four, for this one of at least two replicas.
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(gateway.send(&limited("/limited/share", &subject)).await.status);
    }
    assert_eq!(statuses, [200, 200, 429, 429, 429]);
}

async fn counted_again(gateway: &Gateway) {
    let subject = keys::subject("redis-is-back");
    // The store's breaker tries again after a moment.
    gateway.until_status(200, &limited("/limited/deny", &subject)).await;
    // Results of checks may be half a minute old.
    wait::until("healthy server", Duration::from_secs(40), || async move {
        let status = gateway.server.health_status().await;
        if status == "healthy" { Ok(()) } else { Err(status) }
    })
    .await;
    for path in ["/limited/allow", "/limited/deny", "/limited/share"] {
        let subject = keys::subject("counted");
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(gateway.send(&limited(path, &subject)).await.status);
        }
        assert_eq!(statuses, [200, 200, 200, 200, 429, 429], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_server_only_what_needs_it_stops() {
    let mut gateway = Gateway::builder().start().await;
    let token = Token::of("alice").scope("content.read payments.read").sign();
    let needs_it = [
        Call::get("/payments/charges").bearer(&token),
        Call::get("/commerce/orders").header("x-api-key", keys::API_KEY),
        Call::get("/limited/exact").bearer(&token),
    ];
    let goes_on = [Call::get("/content/items").bearer(&token), Call::get("/open/page")];
    for call in needs_it.iter().chain(&goes_on) {
        gateway.until_status(200, call).await;
    }

    gateway.server.take_down();
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        let before = gateway.upstream.total();
        for call in &needs_it {
            client.send(call).await.expect_denial(503, "UNAVAILABLE");
        }
        assert_eq!(gateway.upstream.total(), before, "the upstream was asked");
        for call in &goes_on {
            client.send(call).await.expect(200);
        }
        // A bad token is still a bad token.
        let bad = Call::get("/content/items").bearer(&keys::tampered(&token));
        client.send(&bad).await.expect_denial(401, "INVALID_TOKEN");
    }

    gateway.server.bring_up().await;
    for call in &needs_it {
        gateway.until_status(200, call).await;
    }
}

/// The answers to broken tokens differ in nothing but the id and the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_error_never_says_which_check_failed() {
    let gateway = Gateway::builder().start().await;
    let good = Token::of("alice").scope("content.read payments.read");
    gateway.until_status(200, &Call::get("/payments/charges").bearer(&good.sign())).await;
    let bad = [
        keys::tampered(&good.sign()),
        good.clone().key(Key::Stranger).sign(),
        good.clone().claim("exp", json!(keys::now() - 3600)).sign(),
        good.clone().claim("nbf", json!(keys::now() + 3600)).sign(),
        good.clone().claim("aud", json!("other")).sign(),
        good.clone().claim("iss", json!("https://other.example.test")).sign(),
        good.clone().header("kid", json!("unknown")).sign(),
        good.clone().header("typ", json!("logout+jwt")).sign(),
        "nonsense".to_owned(),
    ];
    for path in ["/content/items", "/payments/charges"] {
        let mut forms = BTreeSet::new();
        for token in &bad {
            let answer = gateway.send(&Call::get(path).bearer(token)).await;
            let answer = answer.expect_denial(401, "INVALID_TOKEN");
            let mut body = answer.json();
            body["correlation_id"] = json!("");
            body["timestamp"] = json!("");
            let names: BTreeSet<&str> = answer.headers.keys().map(|name| name.as_str()).collect();
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            let text = format!("{body} {challenge}");
            for hint in ["expire", "signature", "audience", "issuer", "kid"] {
                assert!(!text.to_lowercase().contains(hint), "`{hint}` in {text}");
            }
            forms.insert(format!("{text} {names:?}"));
        }
        assert_eq!(forms.len(), 1, "{path} answers in several ways: {forms:#?}");
    }
}

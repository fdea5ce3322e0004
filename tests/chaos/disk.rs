//! The disk is full that SQLite and the log are on: nothing is written, and whatever must be
//! written first is refused; what is only read goes on.
//!
//! A bound on the size of files does what a full disk does (`EFBIG` for `ENOSPC`), to this server
//! alone.

use std::fs;

use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::server::Surroundings;
use postern_e2e::{documents, keys, oauth};
use serde_json::json;

use crate::until_metric;

const STUDENT: &str = "ada@example.test";
const SECRET: &str = "a-credential-for-the-admin-api-of-this-test";
/// Less than one page of SQLite's write-ahead log with its header, and than the server's log.
const FULL: u64 = 512;

fn log_in() -> Call {
    let body = json!({"email": STUDENT, "password": oauth::PASSWORD}).to_string();
    Call::post("/auth/login").header("content-type", "application/json").body(body)
}

fn expect_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer}");
    assert!(answer.number("retry-after") >= 1, "{answer}");
}

/// Revokes by the admin API.
async fn revoke(gateway: &Gateway, subject: &str) -> Answer {
    let admin = Client::new(Protocol::Http1, gateway.server.ports().admin);
    let order = json!({"kind": "subject", "value": subject, "issuer": keys::ISSUER});
    admin.send(&Call::post("/admin/revocations").bearer(SECRET).body(order.to_string())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_what_must_be_written_is_refused_and_all_else_goes_on() {
    let folder = tempfile::tempdir().expect("a folder for the credential");
    let credential = folder.path().join("admin-token");
    fs::write(&credential, SECRET).expect("the credential's file");
    let options = ["--admin-token-file".to_owned(), credential.display().to_string()];
    let builder = Gateway::builder().document(documents::IDENTITY).durable().serve_with(options);
    let gateway = builder.serve_in(Surroundings::default().ignoring("XFSZ")).start().await;
    oauth::user(&gateway, STUDENT, "student").await;
    let tokens = gateway.until_status(200, &log_in()).await.json();
    let access = tokens["accessToken"].as_str().expect("a token");
    let lesson = Call::get("/content/lesson").bearer(access);
    gateway.until_status(200, &lesson).await;
    revoke(&gateway, "before").await.expect(201);
    let logged = u64::try_from(gateway.server.log().len()).expect("a length");
    assert!(logged > FULL, "the log would fit: {logged}");

    gateway.server.limit_files(Some(FULL));
    for _ in 0..3 {
        expect_unavailable(&gateway.send(&log_in()).await);
        expect_unavailable(&revoke(&gateway, "meanwhile").await);
        for call in [&lesson, &Call::get("/oauth2/jwks"), &Call::get("/auth/me").bearer(access)] {
            gateway.send(call).await.expect(200);
        }
    }
    until_metric(&gateway, "postern_audit_failures_total", &[], |failures| failures > 0).await;

    gateway.server.limit_files(None);
    gateway.until_status(200, &log_in()).await;
    revoke(&gateway, "after").await.expect(201);
    gateway.send(&lesson).await.expect(200);
}

//! The admin API for revocations, as an operator's programs see it: who gets in, what is revoked
//! and listed, and what Envoy makes of it.

use std::fs;
use std::path::Path;

use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Key, Token};
use postern_e2e::server::{self, Server};
use postern_e2e::{documents, ports};
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "8d5c2f0e-admin-credential-of-this-test-alone";
const REVOCATIONS: &str = "/admin/revocations";
/// Nothing is stale within one of these tests.
const REVOCATION: &str = "\nrevocation:\n  max_staleness: 30s\n  when_stale: deny\n";

/// The options of a server that has the API, and the folder of its credential.
fn credential() -> (TempDir, [String; 2]) {
    let folder = tempfile::tempdir().expect("a folder for the credential");
    let file = folder.path().join("admin-token");
    fs::write(&file, format!("{SECRET}\n")).expect("the credential's file");
    let options = ["--admin-token-file".to_owned(), file.display().to_string()];
    (folder, options)
}

fn admin(server: &Server) -> Client {
    Client::new(Protocol::Http1, server.ports().admin)
}

/// Sends a call with the right credential.
async fn send(gateway: &Gateway, call: Call) -> Answer {
    admin(&gateway.server).send(&call.bearer(SECRET)).await
}

async fn revoke(gateway: &Gateway, order: &Value) -> Answer {
    send(gateway, Call::post(REVOCATIONS).body(order.to_string())).await
}

async fn list(gateway: &Gateway, query: &str) -> Answer {
    send(gateway, Call::get(&format!("{REVOCATIONS}{query}"))).await
}

/// How many revocations there are.
async fn total(gateway: &Gateway) -> Value {
    list(gateway, "").await.expect(200).json()["meta"]["pagination"]["total"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_revokes() {
    let (_folder, options) = credential();
    let document = format!("{}{REVOCATION}", documents::GATEWAY);
    let builder = Gateway::builder().document(document).durable().workers(2);
    let mut gateway = builder.serve_with(options).start().await;
    gateway.until_everywhere(200, &content(&token().sign())).await;

    nobody_comes_in_without_the_credential(&gateway).await;
    what_makes_no_sense_is_refused_and_named(&gateway).await;
    assert_eq!(total(&gateway).await, 0, "nothing of all that has revoked anything");
    every_kind_is_listed_and_refused(&gateway).await;
    whose_tokens_are_meant_may_be_left_out(&gateway).await;
    the_list_comes_in_pages(&gateway).await;
    what_was_done_is_counted_and_logged(&gateway).await;
    gateway.envoy.assert_no_failed_machine().await;
}

async fn nobody_comes_in_without_the_credential(gateway: &Gateway) {
    let client = admin(&gateway.server);
    let order = json!({"kind": "subject", "value": "alice", "issuer": keys::ISSUER}).to_string();
    let with = |value: String| Call::post(REVOCATIONS).header("authorization", value);
    let right = format!("Bearer {SECRET}");
    let of_the_gateway = token().scope("admin").sign();
    for (what, call, code) in [
        ("none", Call::post(REVOCATIONS), "UNAUTHORIZED"),
        ("another one", with(right.replace('8', "9")), "INVALID_TOKEN"),
        ("the beginning of it", with(right.chars().take(20).collect()), "INVALID_TOKEN"),
        ("more than it", with(format!("{right}0")), "INVALID_TOKEN"),
        ("another scheme", with(right.replace("Bearer", "Basic")), "INVALID_TOKEN"),
        ("it twice", with(right.clone()).header("authorization", &*right), "INVALID_TOKEN"),
        (
            "a token of the gateway",
            Call::post(REVOCATIONS).bearer(&of_the_gateway),
            "INVALID_TOKEN",
        ),
        (
            "it in another header",
            Call::post(REVOCATIONS).header("x-api-key", SECRET),
            "UNAUTHORIZED",
        ),
    ] {
        let answer = client.send(&call.body(order.clone())).await;
        assert_eq!(answer.status, 401, "{what}:\n{answer}");
        let answer = answer.expect_denial(401, code);
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Bearer realm=\"postern\""), "{what}:\n{answer}");
        assert!(!answer.text().contains(SECRET), "{what}: the credential comes back");
    }
    client.send(&Call::get(REVOCATIONS)).await.expect_denial(401, "UNAUTHORIZED");
    // Nothing else is there, with it or without, and neither port beside it has the API.
    send(gateway, Call::get("/admin/users")).await.expect_denial(404, "NOT_FOUND");
    client.send(&Call::get("/admin/users")).await.expect_denial(404, "NOT_FOUND");
    let ports = gateway.server.ports();
    for port in [ports.public, ports.metrics, gateway.port()] {
        let call = Call::get(REVOCATIONS).bearer(SECRET);
        let answer = Client::new(Protocol::Http1, port).send(&call).await;
        assert_eq!(answer.status, 404, "port {port}:\n{answer}");
    }
    // Health needs none.
    client.send(&Call::get("/health/ready")).await.expect(200);
}

async fn what_makes_no_sense_is_refused_and_named(gateway: &Gateway) {
    let post = |body: &str| Call::post(REVOCATIONS).body(body.to_owned());
    for (body, word) in [
        ("", "JSON object"),
        ("not JSON", "JSON object"),
        ("[]", "JSON object"),
        (r#"{"kind":"key","kind":"key","value":"v","issuer":"i"}"#, "JSON object"),
        ("{}", "`token`, or `kind` and `value`"),
        (r#"{"kind":"subject","issuer":"i"}"#, "`token`, or `kind` and `value`"),
        (r#"{"value":"sekrit","issuer":"i"}"#, "`token`, or `kind` and `value`"),
        (r#"{"kind":"subject","value":"v","isuer":"sekrit"}"#, "`issuer`"),
        (r#"{"kind":"subject","value":7,"issuer":"i"}"#, "text"),
        (r#"{"kind":"user","value":"sekrit","issuer":"i"}"#, "`kind`"),
        (r#"{"kind":"subject","value":"v","issuer":"i","remember":"sekrit"}"#, "`remember`"),
        (r#"{"kind":"subject","value":"v","issuer":"i","remember":"0s"}"#, "`remember`"),
        (r#"{"token":"sekrit"}"#, "no token"),
        (r#"{"token":"a.b.c","kind":"key"}"#, "either `token`"),
    ] {
        let answer = send(gateway, post(body)).await.expect_denial(400, "BAD_REQUEST");
        let described = answer.json()["error_description"].clone();
        let described = described.as_str().expect("a text");
        assert!(described.contains(word), "no {word} for {body}: {described}");
        assert!(!answer.text().contains("sekrit"), "{body} comes back: {described}");
    }
    for more in ["v".repeat(5_000), String::new(), "line\nbreak".to_owned()] {
        let order = json!({"kind": "session", "value": more, "issuer": "i"});
        revoke(gateway, &order).await.expect_denial(400, "BAD_REQUEST");
    }
    let order = json!({"kind": "session", "value": "v", "issuer": "i", "reason": "r".repeat(300)});
    revoke(gateway, &order).await.expect_denial(400, "BAD_REQUEST");
    let not_text = Call::post(REVOCATIONS).body(&b"{\"kind\":\"\xff\"}"[..]);
    send(gateway, not_text).await.expect_denial(400, "BAD_REQUEST");

    // Whether the length is told or not.
    let large = json!({"kind": "key", "value": "v".repeat(17_000), "issuer": "i"}).to_string();
    let told = Call::post(REVOCATIONS).body(large.clone());
    send(gateway, told).await.expect_denial(413, "PAYLOAD_TOO_LARGE");
    let untold = Call::post(REVOCATIONS).chunked(large, 1_000);
    send(gateway, untold).await.expect_denial(413, "PAYLOAD_TOO_LARGE");

    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = send(gateway, Call::new(method, REVOCATIONS)).await.expect(405);
        let allowed = answer.header("allow").unwrap_or_default();
        assert!(allowed.contains("GET") && allowed.contains("POST"), "{answer}");
    }
    for query in ["?limit=0", "?limit=101", "?limit=x", "?after=-1", "?page=1", "?after=1&after=1"]
    {
        list(gateway, query).await.expect_denial(400, "BAD_REQUEST");
    }
}

fn token() -> Token {
    Token::of(&keys::subject("operator")).scope("content.read payments.read")
}

fn content(token: &str) -> Call {
    Call::get("/content/items").bearer(token)
}

fn payments(token: &str) -> Call {
    Call::get("/payments/charges").bearer(token)
}

/// The token goes on in every worker, and behind `ext_authz`.
async fn goes_on(gateway: &Gateway, token: &str) {
    for answer in gateway.everywhere(&content(token)).await {
        answer.expect(200);
    }
    gateway.send(&payments(token)).await.expect(200);
}

async fn every_kind_is_listed_and_refused(gateway: &Gateway) {
    // Its own name in each of them, so that nothing but what is meant is revoked.
    let name = |kind: &str| keys::subject(kind);
    let (jti, session, subject, client) =
        (name("jti"), name("session"), name("subject"), name("client"));
    let whole = token().sign();
    let by_jti = token().claim("jti", json!(jti)).sign();
    let by_session = token().claim("sessionId", json!(session)).sign();
    let by_subject = token().claim("sub", json!(subject)).sign();
    let by_client = token().claim("client_id", json!(client)).sign();
    let by_key = token().key(Key::Ec).sign();
    let bystander = token().sign();
    let named = |kind: &str, value: &str| json!({"kind": kind, "value": value, "issuer": keys::ISSUER, "reason": "of the test"});
    gateway.until_status(200, &payments(&bystander)).await;
    // The last one takes every token of its key along.
    for (kind, order, revoked) in [
        ("token", json!({"token": whole, "reason": "of the test"}), &whole),
        ("token", named("token", &jti), &by_jti),
        ("session", named("session", &session), &by_session),
        ("subject", named("subject", &subject), &by_subject),
        ("client", named("client", &client), &by_client),
        ("key", named("key", "ec-1"), &by_key),
    ] {
        goes_on(gateway, revoked).await;
        let answer = revoke(gateway, &order).await.expect(201);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
        let told = answer.json();
        assert_eq!(told["success"], true, "{answer}");
        let entry = &told["data"];
        assert_eq!((&entry["kind"], &entry["issuer"]), (&json!(kind), &json!(keys::ISSUER)));
        assert_eq!(
            (&entry["issuer_known"], &entry["reason"]),
            (&json!(true), &json!("of the test"))
        );
        let until = entry["remembered_until"].as_u64().expect("a time");
        assert!(until > keys::now() + 600, "forgotten before the token is over: {answer}");
        let is_by_time = ["subject", "client"].contains(&kind);
        assert_eq!(entry["issued_before"].is_u64(), is_by_time, "{answer}");

        gateway.until_revoked_everywhere(&content(revoked)).await;
        let refused = gateway.until_status(401, &payments(revoked)).await;
        refused.expect_denial(401, "TOKEN_REVOKED");
        goes_on(gateway, &bystander).await;

        let listed = list(gateway, "?limit=100").await.expect(200).json();
        let listed = listed["data"].as_array().expect("a list");
        let last = listed.last().expect("an entry");
        for member in ["sequence", "kind", "issuer", "value", "issued_before", "reason"] {
            assert_eq!(last[member], entry[member], "{member} in {last}");
        }
    }
}

async fn whose_tokens_are_meant_may_be_left_out(gateway: &Gateway) {
    let order = json!({"kind": "subject", "value": "alice", "remember": "90s"});
    let told = revoke(gateway, &order).await.expect(201).json();
    let entry = &told["data"];
    // Its own tokens, which the document does not name among those that it takes.
    assert_eq!(entry["issuer"], gateway.url(""), "{told}");
    assert_eq!(entry["issuer_known"], false, "{told}");
    let until = entry["remembered_until"].as_u64().expect("a time");
    assert!((keys::now() + 60..=keys::now() + 90).contains(&until), "{told}");
    // A subject of that name is another issuer's subject.
    let alice = Token::of("alice").scope("content.read payments.read").sign();
    goes_on(gateway, &alice).await;
}

async fn the_list_comes_in_pages(gateway: &Gateway) {
    let all = list(gateway, "?limit=100").await.expect(200).json();
    let all = all["data"].as_array().expect("a list");
    let (mut after, mut found) = (json!(0), Vec::new());
    while !after.is_null() {
        let page = list(gateway, &format!("?after={after}&limit=3")).await.expect(200).json();
        let entries = page["data"].as_array().expect("a list");
        assert!(entries.len() <= 3, "{page}");
        found.extend(entries.iter().cloned());
        let pagination = &page["meta"]["pagination"];
        assert_eq!(pagination["total"], all.len(), "{page}");
        after = pagination["next"].clone();
        assert!(found.len() <= all.len(), "{page}");
    }
    assert_eq!(&found, all);
}

async fn what_was_done_is_counted_and_logged(gateway: &Gateway) {
    for (outcome, least) in [("revoked", 7), ("listed", 9), ("unauthenticated", 9), ("invalid", 28)]
    {
        let labels = [("outcome", outcome)];
        let counted = gateway.server.metric("postern_admin_requests_total", &labels).await;
        assert!(counted >= least, "{outcome}: {counted}");
    }
    let log = gateway.server.log();
    assert!(log.contains("revoked by the admin API") && log.contains("of the test"), "{log}");
    assert!(!log.contains(SECRET), "the credential is in the log");
}

/// A server by itself, without a durable store.
async fn start_alone(folder: &Path, options: &[String]) -> Server {
    let document = folder.join("gateway.yaml");
    let text = documents::fill_in(documents::GATEWAY, ports::local(9), "https://own.example.test");
    fs::write(&document, text).expect("the document");
    let volatile = "memory".to_owned();
    let folder = folder.to_path_buf();
    let runs_with = server::Options { document, volatile, durable: None, folder };
    Server::start_with(runs_with, server::Ports::free(), options.to_vec()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_credential_or_a_store_there_is_no_api() {
    let (folder, options) = credential();
    // Without a credential, and with one but without a store to keep revocations in.
    for options in [&[][..], &options[..]] {
        let server = start_alone(folder.path(), options).await;
        for call in [Call::get(REVOCATIONS), Call::post(REVOCATIONS).body("{}")] {
            for call in [call.clone(), call.bearer(SECRET)] {
                admin(&server).send(&call).await.expect_denial(404, "NOT_FOUND");
            }
        }
    }
}

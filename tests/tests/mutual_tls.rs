//! How clients prove who they are: by a certificate (RFC 8705), by a token that they sign
//! (RFC 7523), and how often they may fail.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::kit::grants::{self, add_client, claims, confidential, post, text};
use postern_e2e::client::{Answer, Call};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Key};
use postern_store::durable::{ClientOrigin, ClientRecord};
use serde_json::json;

const GRANT: &str = "grant_type=client_credentials";
const CERTIFICATE: &str = "x-forwarded-client-cert";

/// A client that proves itself so.
fn by(method: &str, id: &str) -> ClientRecord {
    ClientRecord { secret_sha256: None, auth_method: method.to_owned(), ..confidential(id) }
}

async fn shown(gateway: &Gateway, client: &str, told: &[&str]) -> Answer {
    let call = Call::post("/oauth2/token").form(&format!("{GRANT}&client_id={client}"));
    let call = told.iter().fold(call, |call, line| call.header(CERTIFICATE, *line));
    gateway.send(&call).await
}

fn element(byte: u8, names: &str) -> String {
    format!("Hash={};Subject=\"CN=batch,O=Example\";{names}", format!("{byte:02x}").repeat(32))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_a_proxy_in_front_has_seen() {
    let gateway = grants::start("mutual_tls: forwarded").await;
    let named = ClientRecord {
        tls_subject: Some("dns:batch.example.test".to_owned()),
        ..by("tls_client_auth", "named")
    };
    let own = ClientRecord {
        tls_subject: Some(format!("sha256:{}", "07".repeat(32))),
        ..by("self_signed_tls_client_auth", "own")
    };
    for client in [named, own] {
        add_client(&gateway, client).await;
    }
    let good = element(7, "URI=;DNS=batch.example.test");
    let granted = shown(&gateway, "named", &[&good]).await.expect(200).json();
    let bound = &claims(text(&granted, "access_token"))["cnf"];
    assert!(bound["x5t#S256"].is_string(), "{bound}");
    // Without its certificate it is a stolen one (RFC 8705 §3).
    let stolen = Call::get("/content/a").bearer(text(&granted, "access_token"));
    gateway.until_status(401, &stolen).await.expect_denial(401, "INVALID_TOKEN");
    shown(&gateway, "own", &[&good]).await.expect(200);

    let other = element(8, "URI=;DNS=other.example.test");
    let written = element(8, "URI=https://other.test/;DNS=batch.example.test");
    for (client, told, status) in [
        ("named", vec![], 401),
        ("named", vec![other.as_str()], 401),
        ("own", vec![other.as_str()], 401),
        // A URI that somebody had certified says more than it is.
        ("named", vec![written.as_str()], 401),
        ("named", vec![good.as_str(), good.as_str()], 400),
        ("named", vec!["nonsense"], 400),
    ] {
        let refused = shown(&gateway, client, &told).await;
        assert_eq!(refused.status, status, "{client} {told:?}:\n{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_from_outside_is_nobodys_certificate() {
    // Envoy says itself what it has seen, which is nothing here, and drops what it is sent.
    for oauth in ["", "mutual_tls: connection"] {
        let gateway = grants::start(oauth).await;
        let client = ClientRecord {
            tls_subject: Some("dns:batch.example.test".to_owned()),
            ..by("tls_client_auth", "named")
        };
        add_client(&gateway, client).await;
        let good = element(7, "URI=;DNS=batch.example.test");
        let refused = shown(&gateway, "named", &[&good]).await.expect(401);
        assert_eq!(refused.json()["error"], "invalid_client", "{oauth}");
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

/// What a client signs about itself, as a form.
fn assertion(gateway: &Gateway, client: &str, id: &str) -> String {
    let said = json!({
        "iss": client, "sub": client, "aud": gateway.url(""), "exp": now() + 60, "jti": id,
    });
    let token = Key::Ec.sign(r#"{"alg":"ES256","kid":"ec-1"}"#, &said.to_string());
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    format!("{GRANT}&client_assertion={token}&client_assertion_type={kind}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_sign_who_they_are() {
    let gateway = grants::start("").await;
    an_assertion_is_good_once(&gateway).await;
    keys_are_fetched_where_their_client_publishes_them(&gateway).await;
    client_secrets_are_limited_by_address(&gateway).await;
}

async fn an_assertion_is_good_once(gateway: &Gateway) {
    let client =
        ClientRecord { jwks: Some(keys::jwks_of(&["ec-1"])), ..by("private_key_jwt", "signing") };
    add_client(gateway, client).await;
    let form = assertion(gateway, "signing", "1");
    let granted = post(gateway, "/oauth2/token", &form).await.expect(200).json();
    assert_eq!(claims(text(&granted, "access_token"))["sub"], "signing");
    let again = post(gateway, "/oauth2/token", &form).await.expect(401);
    assert_eq!(again.json()["error"], "invalid_client", "{again}");
    post(gateway, "/oauth2/token", &assertion(gateway, "signing", "2")).await.expect(200);
}

async fn keys_are_fetched_where_their_client_publishes_them(gateway: &Gateway) {
    let published = publish(keys::jwks_of(&["ec-1"]));
    let client = |id: &str, origin| ClientRecord {
        jwks_uri: Some(published.clone()),
        origin,
        ..by("private_key_jwt", id)
    };
    add_client(gateway, client("fetched", ClientOrigin::Operator)).await;
    for id in ["1", "2"] {
        let form = assertion(gateway, "fetched", id);
        post(gateway, "/oauth2/token", &form).await.expect(200);
    }
    // One that is not there is no reason to believe anybody.
    let away = ClientRecord {
        jwks_uri: Some("http://127.0.0.1:1/jwks".to_owned()),
        ..client("away", ClientOrigin::Operator)
    };
    add_client(gateway, away).await;
    let form = assertion(gateway, "away", "1");
    let refused = post(gateway, "/oauth2/token", &form).await.expect(503);
    assert_eq!(refused.json()["error"], "temporarily_unavailable", "{refused}");
}

/// Serves a key set for as long as the test runs: its URL.
fn publish(set: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/jwks", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0_u8; 4096];
            if !stream.read(&mut request).is_ok_and(|read| read > 0) {
                continue;
            }
            let length = set.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close");
            drop(stream.write_all(format!("{head}\r\n\r\n{set}").as_bytes()));
        }
    });
    url
}

/// RFC 6749 §2.3.1: whoever tries secrets does not go on for ever.
async fn client_secrets_are_limited_by_address(gateway: &Gateway) {
    for id in ["tried", "quiet"] {
        add_client(gateway, confidential(id)).await;
    }
    let form = |id: &str, secret: &str| format!("{GRANT}&client_id={id}&client_secret={secret}");
    let mut answers = Vec::new();
    for _ in 0..30 {
        answers.push(post(gateway, "/oauth2/token", &form("tried", "wrong")).await.status);
    }
    // A window may end in between, and counts on into the next.
    assert!(answers.contains(&401) && answers.contains(&429), "{answers:?}");
    let stopped = answers.iter().position(|status| *status == 429).expect("it is stopped");
    assert!(stopped >= 10, "so many may fail: {answers:?}");
    let right = post(gateway, "/oauth2/token", &form("tried", grants::SECRET)).await.expect(429);
    assert!(right.number("retry-after") >= 1, "{right}");
    post(gateway, "/oauth2/token", &form("quiet", grants::SECRET)).await.expect(200);
}

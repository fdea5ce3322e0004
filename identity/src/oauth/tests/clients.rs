//! How clients prove who they are.

use std::net::IpAddr;

use super::proofs::Key;
use super::*;
use postern_oauth::{ASSERTION_TYPE, Endpoint, ShownCertificate};
use postern_store::durable::{ClientRecord, DurableStore as _};

use crate::oauth::OAuthRules;
use crate::oauth::fixture::{ISSUER, confidential, document, whole_document, with_rules};

const GRANT: &str = "grant_type=client_credentials";

/// A client that proves itself so.
fn by(method: &str, client_id: &str) -> ClientRecord {
    ClientRecord {
        client_id: client_id.to_owned(),
        secret_sha256: None,
        auth_method: method.to_owned(),
        ..confidential()
    }
}

async fn with_client(client: ClientRecord) -> Fixture {
    let fixture = with_rules(OAuthRules::of(ISSUER, Some(&whole_document()))).await;
    fixture.store.insert_client(client).await.unwrap();
    fixture
}

fn jwks(key: &Key) -> String {
    format!("{{\"keys\":[{}]}}", key.new.public_jwk)
}

/// What a client signs about itself.
fn assertion(key: &Key, client: &str, audience: &str, id: &str, ends: u64) -> String {
    let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, key.new.kid);
    let claims = format!(
        r#"{{"iss":"{client}","sub":"{client}","aud":"{audience}","exp":{ends},"jti":"{id}"}}"#
    );
    key.sign(&header, &claims)
}

fn asserting(assertion: &str) -> String {
    format!("{GRANT}&client_assertion={assertion}&client_assertion_type={ASSERTION_TYPE}")
}

const REFUSED: Result<Value, ErrorCode> = Err(ErrorCode::InvalidClient);

#[tokio::test]
async fn clients_prove_themselves_by_a_key_that_they_sign_with() {
    let (key, other) = (Key::new(), Key::new());
    let client = ClientRecord { jwks: Some(jwks(&key)), ..by("private_key_jwt", "batch") };
    let fixture = with_client(client).await;
    let soon = NOW.as_secs() + 60;
    let token = format!("{ISSUER}{}", Endpoint::Token.path());
    let good = assertion(&key, "batch", ISSUER, "1", soon);
    let answer = fixture.token(&asserting(&good), NOW).await.unwrap();
    assert_eq!(text(&claims(text(&answer, "access_token")), "sub"), "batch");
    let (input, _) = good.rsplit_once('.').unwrap();
    for (what, assertion, is_good) in [
        ("for the endpoint", assertion(&key, "batch", &token, "2", soon), true),
        ("seen before", good.clone(), false),
        ("for another endpoint", assertion(&key, "batch", "https://other.test", "3", soon), false),
        ("by another key", assertion(&other, "batch", ISSUER, "4", soon), false),
        ("over", assertion(&key, "batch", ISSUER, "5", NOW.as_secs()), false),
        ("for too long", assertion(&key, "batch", ISSUER, "6", soon + 300), false),
        ("of another client", assertion(&key, "web", ISSUER, "7", soon), false),
        ("of nobody", assertion(&key, "nobody", ISSUER, "8", soon), false),
        ("unsigned", format!("{input}."), false),
    ] {
        let answer = fixture.token(&asserting(&assertion), NOW).await;
        assert_eq!(answer.is_ok(), is_good, "{what}");
        if !is_good {
            assert_eq!(answer, REFUSED, "{what}");
        }
    }
    let by_id = fixture.token(&format!("{GRANT}&client_id=batch"), NOW).await;
    assert_eq!(by_id, REFUSED, "its name alone");
}

#[tokio::test]
async fn an_assertion_is_used_up_by_its_own_client_alone() {
    let (key, other) = (Key::new(), Key::new());
    let client = ClientRecord { jwks: Some(jwks(&key)), ..by("private_key_jwt", "batch") };
    let fixture = with_client(client).await;
    let soon = NOW.as_secs() + 60;
    // Signed by somebody else, with the same id: it must not be remembered.
    let forged = assertion(&other, "batch", ISSUER, "1", soon);
    assert_eq!(fixture.token(&asserting(&forged), NOW).await, REFUSED);
    let good = assertion(&key, "batch", ISSUER, "1", soon);
    assert!(fixture.token(&asserting(&good), NOW).await.is_ok());
    assert_eq!(fixture.token(&asserting(&good), later(59_000)).await, REFUSED);
}

#[tokio::test]
async fn where_a_clients_keys_are_away_it_is_told_to_come_again() {
    let client = ClientRecord {
        jwks_uri: Some("https://batch.example/jwks".to_owned()),
        ..by("private_key_jwt", "batch")
    };
    let fixture = with_client(client).await;
    let good = assertion(&Key::new(), "batch", ISSUER, "1", NOW.as_secs() + 60);
    let answer = fixture.token(&asserting(&good), NOW).await;
    assert_eq!(answer, Err(ErrorCode::TemporarilyUnavailable));
}

fn certificate(byte: u8, name: &str) -> ShownCertificate {
    ShownCertificate {
        sha256: [byte; 32],
        dns_names: vec![name.to_owned()],
        ..ShownCertificate::default()
    }
}

impl Fixture {
    async fn token_shown(
        &self,
        body: &str,
        certificate: Option<&ShownCertificate>,
    ) -> Result<Value, ErrorCode> {
        let answer = self.oauth.token(TokenCall { certificate, ..call(body, None) }, NOW).await;
        answer.map(|body| json::parse(body.as_bytes()).unwrap()).map_err(|error| error.code)
    }
}

#[tokio::test]
async fn clients_prove_themselves_by_key_and_certificate() {
    let digits = "07".repeat(32);
    let (named, hashed) = (certificate(7, "batch.example"), certificate(8, "batch.example"));
    let stranger = certificate(9, "other.example");
    for (method, registered, shown, expected) in [
        ("tls_client_auth", "dns:batch.example".to_owned(), Some(&named), true),
        ("tls_client_auth", "dns:batch.example".to_owned(), Some(&stranger), false),
        ("tls_client_auth", "dns:batch.example".to_owned(), None, false),
        ("tls_client_auth", format!("sha256:{digits}"), Some(&named), true),
        ("self_signed_tls_client_auth", format!("sha256:{digits}"), Some(&named), true),
        ("self_signed_tls_client_auth", format!("sha256:{digits}"), Some(&hashed), false),
        // Anybody can write any name into a certificate of their own.
        ("self_signed_tls_client_auth", "dns:batch.example".to_owned(), Some(&named), false),
        ("client_secret_basic", "dns:batch.example".to_owned(), Some(&named), false),
    ] {
        let client = ClientRecord { tls_subject: Some(registered.clone()), ..by(method, "batch") };
        let fixture = with_client(client).await;
        let body = format!("{GRANT}&client_id=batch");
        let answer = fixture.token_shown(&body, shown).await;
        let what = format!("{method} {registered} {shown:?}");
        if !expected {
            assert_eq!(answer, REFUSED, "{what}");
            continue;
        }
        // RFC 8705 §3: its tokens are bound to what it is known by.
        let access = text(&answer.unwrap(), "access_token").to_owned();
        let bound = claims(&access).get("cnf").unwrap().to_string();
        let hash = base64url::encode(&[7; 32]);
        assert_eq!(bound, format!(r#"{{"x5t#S256":"{hash}"}}"#), "{what}");
        assert!(fixture.issuer.inspect(&access, NOW).is_err(), "no bearer token");
    }
}

#[tokio::test]
async fn a_certificate_of_its_own_may_stand_in_a_clients_key_set() {
    let der = b"a certificate";
    let hash = crate::random::sha256(der).0;
    let x5c = "YSBjZXJ0aWZpY2F0ZQ==";
    let jwks = format!(r#"{{"keys":[{{"kty":"RSA","x5c":["{x5c}"]}}]}}"#);
    let client = ClientRecord { jwks: Some(jwks), ..by("self_signed_tls_client_auth", "batch") };
    let fixture = with_client(client).await;
    let body = format!("{GRANT}&client_id=batch");
    for (sha256, expected) in [(hash, true), ([9; 32], false)] {
        let shown = ShownCertificate { sha256, ..ShownCertificate::default() };
        assert_eq!(fixture.token_shown(&body, Some(&shown)).await.is_ok(), expected);
    }
}

#[tokio::test]
async fn where_the_document_names_no_certificates_none_counts() {
    let fixture = with_rules(OAuthRules::of(ISSUER, Some(&document()))).await;
    let named = ClientRecord {
        tls_subject: Some("dns:batch.example".to_owned()),
        ..by("tls_client_auth", "batch")
    };
    fixture.store.insert_client(named).await.unwrap();
    let shown = certificate(7, "batch.example");
    let answer = fixture.token_shown(&format!("{GRANT}&client_id=batch"), Some(&shown)).await;
    assert_eq!(answer, REFUSED);
}

#[tokio::test]
async fn who_tries_secrets_is_stopped_and_the_client_elsewhere_is_not() {
    let fixture = fixture().await;
    let from = |text: &str| text.parse::<IpAddr>().ok();
    let (here, elsewhere) = (from("192.0.2.1"), from("192.0.2.2"));
    let token = async |secret: &str, address: Option<IpAddr>, now: UnixMillis| {
        let body = format!("{GRANT}&client_id=web&client_secret={secret}");
        let answer = fixture.oauth.token(TokenCall { address, ..call(&body, None) }, now).await;
        answer.map(drop).map_err(|error| error.code)
    };
    for _ in 0..11 {
        assert_eq!(token("wrong", here, NOW).await, Err(ErrorCode::InvalidClient));
    }
    for secret in ["wrong", "s3cret"] {
        let refused = token(secret, here, NOW).await;
        assert_eq!(refused, Err(ErrorCode::TooManyAttempts), "right or wrong");
    }
    assert_eq!(token("s3cret", elsewhere, NOW).await, Ok(()));
    assert_eq!(token("s3cret", here, later(60_000)).await, Ok(()), "for a while");
}

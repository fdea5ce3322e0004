use super::*;
use postern_store::durable::{ClientKind, ClientRecord, DurableStore as _, SigningKeyRecord};

use crate::oauth::fixture::{self, API, ISSUER, confidential, texts};
use crate::random;

const OWN: &str = "client_id=web&client_secret=s3cret";
const TRUSTED: &str = "client_id=api&client_secret=s3cret";

/// A resource server, and what it stands for.
fn resource_server(id: &str, resource: &str) -> ClientRecord {
    ClientRecord {
        secret_sha256: Some(random::sha256(fixture::SECRET.as_bytes())),
        scopes: texts("read"),
        may_introspect: vec![resource.to_owned()],
        ..ClientRecord::new(id.to_owned(), id.to_owned(), ClientKind::Confidential, NOW)
    }
}

/// A server, and a resource server that takes tokens which are for no resource by name.
async fn with_resource_server() -> Fixture {
    let fixture = fixture().await;
    fixture.store.insert_client(resource_server("api", ISSUER)).await.unwrap();
    fixture
}

impl Fixture {
    async fn ask(&self, client: &str, token: &str, now: UnixMillis) -> Result<String, ErrorCode> {
        let body = format!("{client}&token={token}");
        self.oauth.introspect(call(&body, None), now).await.map_err(|error| error.code)
    }

    async fn is_active(&self, client: &str, token: &str, now: UnixMillis) -> bool {
        let answer = self.ask(client, token, now).await.unwrap();
        let is_active = answer.starts_with(r#"{"active":true,"#);
        assert!(is_active || answer == r#"{"active":false}"#, "{answer}");
        is_active
    }
}

#[tokio::test]
async fn introspection_is_for_those_who_may() {
    let fixture = with_resource_server().await;
    let tokens = fixture.tokens("openid read").await;
    let access = text(&tokens, "access_token");
    for (client, expected) in [
        (TRUSTED, Ok(true)),
        // Not its own, and nobody said that it may.
        (OWN, Ok(false)),
        // Its own, but who has proven nothing asks about nothing (RFC 7662 §2.1).
        ("client_id=spa", Err(ErrorCode::InvalidClient)),
        ("client_id=api&client_secret=wrong", Err(ErrorCode::InvalidClient)),
        ("client_id=nobody&client_secret=s3cret", Err(ErrorCode::InvalidClient)),
        ("x=1", Err(ErrorCode::InvalidClient)),
    ] {
        let answer = fixture.ask(client, access, NOW).await;
        assert_eq!(answer.map(|text| text.contains("true")), expected, "{client}");
    }
    let own = fixture.token(&format!("grant_type=client_credentials&{OWN}"), NOW).await.unwrap();
    assert!(fixture.is_active(OWN, text(&own, "access_token"), NOW).await, "its own it may");
}

#[tokio::test]
async fn a_resource_server_is_told_of_tokens_that_are_for_it() {
    let fixture = with_resource_server().await;
    for (id, resource) in [("orders", API), ("billing", "urn:example:billing"), ("operator", "*")] {
        fixture.store.insert_client(resource_server(id, resource)).await.unwrap();
    }
    let resource = |name: &str| format!("&resource={}", name.replace(':', "%3A"));
    for (asked, told) in [
        (String::new(), &["api", "operator"][..]),
        (resource(ISSUER), &["api", "operator"]),
        (resource(API), &["orders", "operator"]),
        (resource(API) + &resource(ISSUER), &["api", "orders", "operator"]),
    ] {
        let form = format!("grant_type=client_credentials&{OWN}{asked}");
        let tokens = fixture.token(&form, NOW).await.unwrap();
        let access = text(&tokens, "access_token");
        // From the second one on, the token is known already.
        for id in ["orders", "api", "billing", "operator"] {
            let client = format!("client_id={id}&client_secret=s3cret");
            let is_active = fixture.is_active(&client, access, NOW).await;
            assert_eq!(is_active, told.contains(&id), "{id} {asked}");
        }
        assert!(fixture.is_active(OWN, access, NOW).await, "its own, whatever it is for");
    }
}

#[tokio::test]
async fn an_answer_says_what_the_token_says() {
    let fixture = with_resource_server().await;
    let tokens = fixture.tokens("openid read").await;
    let access = text(&tokens, "access_token");
    let answer = fixture.ask(TRUSTED, access, NOW).await.unwrap();
    let (answer, said) = (json::parse(answer.as_bytes()).unwrap(), claims(access));
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "scope", "client_id", "auth_time", "acr"]
    {
        assert_eq!(answer.get(name), said.get(name), "{name}");
        assert!(answer.get(name).is_some(), "{name}");
    }
    for name in ["sessionId", "deviceId", "role", "tier"] {
        assert!(said.get(name).is_some() && answer.get(name).is_none(), "{name}");
    }
    assert_eq!(text(&answer, "token_type"), "Bearer");
}

#[tokio::test]
async fn introspection_looks_at_everything() {
    let fixture = with_resource_server().await;
    let tokens = fixture.tokens("openid read").await;
    let (access, id_token) = (text(&tokens, "access_token"), text(&tokens, "id_token"));
    let (input, signature) = access.rsplit_once('.').unwrap();
    let (_, other_signature) = id_token.rsplit_once('.').unwrap();
    // Twice: the second time it is known already. A hint is only a hint (§2.1).
    for hint in ["", "&token_type_hint=refresh_token"] {
        let hinted = format!("{access}{hint}");
        assert!(fixture.is_active(TRUSTED, &hinted, later(3_599_000)).await, "{hint}");
    }
    for bad in [
        "junk",
        "a.b.c",
        "rt_junk",
        id_token,
        format!("{input}.{other_signature}").as_str(),
        format!("{input}.").as_str(),
        format!("{}.{signature}", input.replacen('.', ".A", 1)).as_str(),
    ] {
        assert!(!fixture.is_active(TRUSTED, bad, NOW).await, "{bad}");
    }
    assert!(!fixture.is_active(TRUSTED, access, later(3_600_000)).await, "it is over");
    assert!(fixture.is_active(TRUSTED, access, NOW).await, "but not at another moment");
    fixture.oauth.ending.session("browser-1", "logout", "u-1", later(1)).await.unwrap();
    assert!(!fixture.is_active(TRUSTED, access, later(2)).await, "its session has ended");
}

#[tokio::test]
async fn a_token_that_was_revoked_is_inactive_at_once() {
    let fixture = with_resource_server().await;
    let tokens = fixture.tokens("openid read").await;
    let access = text(&tokens, "access_token");
    assert!(fixture.is_active(TRUSTED, access, NOW).await);
    let body = format!("client_id=spa&token={access}");
    fixture.oauth.revoke(call(&body, None), later(1)).await.unwrap();
    assert!(!fixture.is_active(TRUSTED, access, later(1)).await);
}

#[tokio::test]
async fn a_token_whose_key_is_gone_is_inactive() {
    let fixture = with_resource_server().await;
    let tokens = fixture.tokens("openid read").await;
    let access = text(&tokens, "access_token");
    assert!(fixture.is_active(TRUSTED, access, NOW).await);
    let keys: Vec<SigningKeyRecord> = fixture.store.list_signing_keys().await.unwrap();
    for key in keys {
        fixture.store.set_signing_key_retirement(&key.kid, later(1)).await.unwrap();
    }
    fixture.issuer.ring().refresh(later(1)).await.unwrap();
    assert!(!fixture.is_active(TRUSTED, access, later(1)).await);
}

#[tokio::test]
async fn a_refresh_token_is_its_clients_business_alone() {
    let fixture = with_resource_server().await;
    let session = fixture.log_in().await;
    let trusting = ClientRecord { require_consent: false, ..confidential() };
    let from = trusting.updated_at;
    assert!(fixture.store.change_client(trusting, from, &entry()).await.unwrap());
    let code = fixture.code(&request("web", "openid read"), &session).await;
    let form = format!("{}&client_secret=s3cret", exchange("web", &code));
    let tokens = fixture.token(&form, NOW).await.unwrap();
    let first = text(&tokens, "refresh_token");
    assert!(fixture.is_active(OWN, first, later(1)).await);
    let hinted = format!("{first}&token_type_hint=access_token");
    assert!(fixture.is_active(OWN, &hinted, later(1)).await, "a hint is only a hint");
    assert!(!fixture.is_active(TRUSTED, first, later(1)).await, "it opens no door");
    let answer = fixture.ask(OWN, first, later(1)).await.unwrap();
    let answer = json::parse(answer.as_bytes()).unwrap();
    assert_eq!((text(&answer, "sub"), text(&answer, "client_id")), ("u-1", "web"));
    assert_eq!(answer.get("token_type"), None);

    let form = format!("grant_type=refresh_token&{OWN}&refresh_token={first}");
    let next = fixture.token(&form, later(2)).await.unwrap();
    let next = text(&next, "refresh_token");
    // Asking about a spent one does not end its family.
    assert!(!fixture.is_active(OWN, first, later(60_000)).await);
    assert!(fixture.is_active(OWN, next, later(60_000)).await);
    fixture.oauth.ending.session("browser-1", "logout", "u-1", later(60_001)).await.unwrap();
    assert!(!fixture.is_active(OWN, next, later(60_002)).await);
}

fn entry() -> postern_store::durable::AuditEntry {
    crate::audit::entry(NOW, "test", "client.changed", "web", &[])
}

#[tokio::test]
async fn answers_are_counted() {
    let fixture = with_resource_server().await;
    let tokens = fixture.tokens("openid read").await;
    for token in [text(&tokens, "access_token"), "junk", "junk"] {
        fixture.ask(TRUSTED, token, NOW).await.unwrap();
    }
    let told = prometheus::TextEncoder::new().encode_to_string(&fixture.registry.gather()).unwrap();
    for (active, count) in [("true", 1), ("false", 2)] {
        let line =
            format!("postern_identity_introspections_total{{active=\"{active}\"}} {count}\n");
        assert!(told.contains(&line), "{told}");
    }
}

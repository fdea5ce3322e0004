use super::*;
use postern_jose::Algorithm;
use postern_store::durable::{AuditStore as _, GrantStore as _};

#[tokio::test]
async fn a_code_becomes_tokens_of_a_session_of_their_own() {
    let fixture = fixture().await;
    let tokens = fixture.tokens("openid read write").await;
    assert_eq!(text(&tokens, "token_type"), "Bearer");
    assert_eq!(text(&tokens, "scope"), "openid read write");
    assert_eq!(tokens.get("expires_in"), Some(&Value::Integer(3600)));
    let access = claims(text(&tokens, "access_token"));
    for (name, expected) in [
        ("sub", "u-1"),
        ("client_id", "spa"),
        ("role", "student"),
        ("tier", "premium"),
        ("deviceId", "d-1"),
        ("acr", "urn:postern:acr:1"),
    ] {
        assert_eq!(text(&access, name), expected, "{name}");
    }
    let session = fixture.flows.find_session(text(&access, "sessionId"), NOW).await.unwrap();
    let session = session.unwrap();
    assert_eq!(session.parent.as_deref(), Some("browser-1"));
    assert_eq!((session.client_id.as_deref(), session.secret), (Some("spa"), None));
    let id = claims(text(&tokens, "id_token"));
    assert_eq!((text(&id, "sub"), text(&id, "aud")), ("u-1", "spa"));
    assert_eq!((text(&id, "nonce"), text(&id, "sid")), ("n-1", session.id.as_str()));
    assert!(fixture.issuer.inspect(text(&tokens, "access_token"), NOW).is_ok());
    assert!(text(&tokens, "refresh_token").starts_with("rt_"));
    let families = fixture.store.families_of("u-1", None, 10).await.unwrap();
    assert_eq!(families.len(), 1);
    assert_eq!(families[0].session_id, session.id);
    assert_eq!(families[0].ends_at, super::session().ends_at, "with the browser's session");
}

#[tokio::test]
async fn a_code_is_used_up_whatever_is_decided() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let wrong = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX";
    for (from, to) in [
        (VERIFIER, wrong),
        ("client_id=spa", "client_id=web&client_secret=s3cret"),
        ("callback", "other"),
    ] {
        let code = fixture.code(&request("spa", "read"), &session).await;
        let good = exchange("spa", &code);
        let refused = fixture.token(&good.replace(from, to), NOW).await;
        assert_eq!(refused, Err(ErrorCode::InvalidGrant), "{to}");
        assert_eq!(fixture.token(&good, NOW).await, Err(ErrorCode::InvalidGrant), "{to}");
    }
    let unknown = exchange("spa", "none");
    assert_eq!(fixture.token(&unknown, NOW).await, Err(ErrorCode::InvalidGrant));
}

#[tokio::test]
async fn a_stolen_code_ends_what_it_gave() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let code = fixture.code(&request("spa", "openid read"), &session).await;
    let tokens = fixture.token(&exchange("spa", &code), NOW).await.unwrap();
    let again = fixture.token(&exchange("spa", &code), later(5)).await;
    assert_eq!(again, Err(ErrorCode::InvalidGrant));
    let refused = fixture.token(&refresh(text(&tokens, "refresh_token")), later(6)).await;
    assert_eq!(refused, Err(ErrorCode::InvalidGrant));
    let access = fixture.issuer.inspect(text(&tokens, "access_token"), NOW).unwrap();
    let revoked: &dyn crate::ports::RevokedTokens = &*fixture.revocations;
    assert!(revoked.is_revoked(&access, later(6)), "access tokens go along");
    let written = fixture.store.audit_since(0, 100).await.unwrap();
    let reused = written.iter().filter(|record| record.entry.action == "code.reused").count();
    assert_eq!(reused, 1, "{written:?}");
    let browser = fixture.flows.find_session(&session.id, later(6)).await.unwrap();
    assert!(browser.is_some(), "the browser's own session is not the client's");
}

#[tokio::test]
async fn who_has_logged_out_since_has_taken_the_code_back() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let code = fixture.code(&request("spa", "read"), &session).await;
    fixture.oauth.ending.session(&session.id, "logout", "u-1", later(1)).await.unwrap();
    let refused = fixture.token(&exchange("spa", &code), later(2)).await;
    assert_eq!(refused, Err(ErrorCode::InvalidGrant));
}

#[tokio::test]
async fn an_id_token_is_signed_as_the_client_has_registered_or_not_at_all() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let other = postern_store::durable::ClientRecord {
        client_id: "rs".to_owned(),
        id_token_alg: Algorithm::Rs256.as_str().to_owned(),
        ..super::super::fixture::public()
    };
    postern_store::durable::DurableStore::insert_client(&*fixture.store, other).await.unwrap();
    let code = fixture.code(&request("rs", "openid read"), &session).await;
    let refused = fixture.token(&exchange("rs", &code), NOW).await;
    assert_eq!(refused, Err(ErrorCode::TemporarilyUnavailable), "there is no such key");
}

#[tokio::test]
async fn secrets_have_256_bits() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let one = fixture.code(&request("spa", "read"), &session).await;
    let two = fixture.code(&request("spa", "read"), &session).await;
    assert_ne!(one, two);
    assert_eq!(base64url::decode(&one).unwrap().len(), 32);
}

use super::*;
use crate::oauth::code::Beginning;
use crate::oauth::issue::{family_key, first_token, presented};
use postern_jose::Algorithm;
use postern_oauth::{Acr, CodeGrant, FamilyGrant, RefreshPlan, RefreshToken, ScopeSet};
use postern_store::durable::{AuditStore as _, GrantStore as _};
use postern_store::flows::Redeemed;
use postern_store::{FlowKey, FlowKind};

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

fn read() -> ScopeSet {
    ScopeSet::parse("read").unwrap()
}

/// A family of this session that is to begin.
fn plan(session_id: &str) -> RefreshPlan {
    let family = FamilyGrant {
        client_id: "spa".to_owned(),
        subject: "u-1".to_owned(),
        session_id: session_id.to_owned(),
        scopes: read(),
        resources: Vec::new(),
        auth_time: NOW,
        acr: Acr::OneFactor,
        amr: Vec::new(),
        dpop_jkt: None,
        certificate: None,
        remember: false,
    };
    RefreshPlan { family, idle_secs: 600 }
}

/// Both at once: the one who was first is not done yet when the second one comes.
#[tokio::test]
async fn a_family_cannot_begin_any_more_once_its_code_was_shown_again() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let code = fixture.code(&request("spa", "read"), &session).await;
    let first = first_token().unwrap();
    let mark = [family_key(&first).to_bytes().as_slice(), b"s-1".as_slice()].concat();
    let key = FlowKey::of(FlowKind::Code, code.as_bytes());
    let redeemed = fixture.flows.redeem_code(key, &mark, NOW).await.unwrap();
    assert!(matches!(redeemed, Redeemed::Fresh(_)), "{redeemed:?}");
    for at in [1, 2] {
        let second = fixture.token(&exchange("spa", &code), later(at)).await;
        assert_eq!(second, Err(ErrorCode::InvalidGrant));
    }
    let begun = fixture.oauth.begin_family(&first, &plan("s-1"), &session, later(3)).await;
    assert_eq!(begun.map_err(|error| error.code), Err(ErrorCode::InvalidGrant));
    let kept = fixture.flows.look_family(family_key(&first), presented(&first), later(4)).await;
    assert_eq!(kept, Ok(None));
    let written = fixture.store.audit_since(0, 100).await.unwrap();
    let reused = written.iter().filter(|record| record.entry.action == "code.reused").count();
    assert_eq!(reused, 1, "{written:?}");
}

/// A grant of the browser's session whose tokens are about to be signed.
async fn begun(fixture: &Fixture, id: &str) -> RefreshToken {
    let session = SessionRecord {
        id: id.to_owned(),
        client_id: Some("spa".to_owned()),
        parent: Some("browser-1".to_owned()),
        secret: None,
        ..session()
    };
    fixture.flows.start_session(&session, NOW).await.unwrap();
    let first = first_token().unwrap();
    fixture.oauth.begin_family(&first, &plan(id), &session, NOW).await.unwrap();
    first
}

#[tokio::test]
async fn what_was_taken_back_while_tokens_were_made_gives_none() {
    let fixture = fixture().await;
    fixture.log_in().await;
    let grant = CodeGrant {
        client_id: "spa".to_owned(),
        redirect_uri: None,
        subject: "u-1".to_owned(),
        session_id: "browser-1".to_owned(),
        scopes: read(),
        resources: Vec::new(),
        challenge: None,
        nonce: None,
        auth_time: NOW,
        acr: Acr::OneFactor,
        amr: Vec::new(),
        dpop_jkt: None,
        remember: false,
        issued_at: NOW,
    };
    for (id, was_asked, has_logged_out, stands) in [
        ("g-1", false, false, true),
        // There is no consent of this user any more.
        ("g-2", true, false, false),
        ("g-3", false, true, false),
    ] {
        let first = begun(&fixture, id).await;
        if has_logged_out {
            // As log-out leaves it which has not found this grant.
            fixture.flows.end_session("browser-1", NOW).await.unwrap();
        }
        let beginning = Beginning { grant: &grant, was_asked, first: &first, session_id: id };
        let found = fixture.oauth.still_stands(&beginning, later(1)).await;
        assert_eq!(found.is_ok(), stands, "{id}");
        let session = fixture.flows.find_session(id, later(2)).await.unwrap();
        assert_eq!(session.is_some(), stands, "{id}");
        let key = family_key(&first);
        let family = fixture.store.find_family(key.to_bytes()).await.unwrap().unwrap();
        assert_eq!(family.ended_at.is_none(), stands, "{id}");
        let kept = fixture.flows.look_family(key, presented(&first), later(2)).await.unwrap();
        assert_eq!(kept.is_some(), stands, "{id}");
    }
}

#[tokio::test]
async fn a_code_is_worth_nothing_once_its_consent_was_taken_back() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let asked = request("web", "read");
    let answer =
        fixture.oauth.authorize(asked.as_bytes(), Some(&session), "id", NOW).await.unwrap();
    let Authorized::Consent(ask) = answer else { panic!("{answer:?}") };
    let allowed = read();
    let query = ask.query.as_bytes();
    let given = fixture.oauth.consent(query, &session, Some(&allowed), "id", NOW).await.unwrap();
    let code = parameter(&given, "code").unwrap();
    fixture.oauth.ending.consent("u-1", "web", "u-1", later(1)).await.unwrap();
    let body = format!("{}&client_secret=s3cret", exchange("web", &code));
    assert_eq!(fixture.token(&body, later(2)).await, Err(ErrorCode::InvalidGrant));
    let left = fixture.flows.sessions_of("u-1", later(3)).await.unwrap();
    assert_eq!(left.len(), 1, "the browser's alone: {left:?}");
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
    let (one, two) = (first_token().unwrap(), first_token().unwrap());
    assert!(one.family != two.family && one.lock != two.lock && one.secret != two.secret);
    assert_ne!(one.secret[..16], one.secret[16..]);
}

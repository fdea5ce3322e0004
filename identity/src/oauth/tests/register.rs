use super::*;
use postern_store::durable::{
    AuditEntry, AuditRecord, AuditStore as _, ClientKind, ClientOrigin, DurableStore as _,
};

use crate::oauth::fixture::{ISSUER, REDIRECT as CALLBACK, for_strangers, strangers, with_rules};
use crate::oauth::{LogoutAnswer, OAuthRules, Onward, RegisterCall};

const JSON: Single<'static> = Single::One(b"application/json");
const DAY_MS: u64 = 86_400_000;

fn register<'a>(authorization: Single<'a>, body: &'a str) -> RegisterCall<'a> {
    RegisterCall {
        authorization,
        dpop: Single::Absent,
        certificate: None,
        content_type: JSON,
        body: body.as_bytes(),
    }
}

impl Fixture {
    async fn register(&self, body: &str) -> Result<Value, ErrorCode> {
        let answer = self.oauth.register(register(Single::Absent, body), NOW).await;
        answer.map(|body| json::parse(body.as_bytes()).unwrap()).map_err(|error| error.code)
    }
}

fn registrations(written: &[AuditRecord]) -> Vec<&AuditEntry> {
    let entries = written.iter().map(|record| &record.entry);
    entries.filter(|entry| entry.action == "client.registered").collect()
}

fn body(members: &str) -> String {
    format!(r#"{{"redirect_uris": ["{CALLBACK}"]{members}}}"#)
}

#[tokio::test]
async fn what_registers_itself_is_kept_as_a_stranger() {
    let fixture = strangers().await;
    let told = fixture.register(&body(r#", "client_name": "Reader""#)).await.unwrap();
    let id = text(&told, "client_id");
    let kept = fixture.store.find_client(id).await.unwrap().unwrap();
    assert_eq!((kept.name.as_str(), kept.kind), ("Reader", ClientKind::Confidential));
    assert!(kept.require_consent && kept.require_pkce && kept.is_active);
    assert!(kept.may_introspect.is_empty() && kept.may_act_for.is_empty());
    let expires_unused_at = UnixMillis(NOW.0 + 90 * DAY_MS);
    assert_eq!(kept.origin, ClientOrigin::Registered { expires_unused_at });
    assert_eq!(kept.scopes, ["openid", "read", "offline_access"]);
    assert_eq!(kept.id_token_alg, "ES256", "what this server signs with");
    let secret = text(&told, "client_secret");
    assert_eq!(kept.secret_sha256, Some(crate::random::sha256(secret.as_bytes())));
    assert_eq!(told.get("client_id_issued_at"), Some(&Value::Integer(1_800_000_000)));
    let written = fixture.store.audit_since(0, 10).await.unwrap();
    let [entry] = registrations(&written)[..] else { panic!("{written:?}") };
    assert_eq!((entry.actor.as_str(), entry.target.as_str()), ("anybody", id));
    assert!(!entry.detail.contains("Reader") && !entry.detail.contains(secret));
}

#[tokio::test]
async fn nobody_chooses_an_id() {
    let fixture = strangers().await;
    let members = r#", "client_id": "spa", "client_secret": "known", "client_name": "spa""#;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let told = fixture.register(&body(members)).await.unwrap();
        let id = text(&told, "client_id").to_owned();
        let is_uuid = id.len() == 36 && id.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        assert!(is_uuid && !seen.contains(&id), "{id}");
        assert_ne!(text(&told, "client_secret"), "known");
        seen.push(id);
    }
    let nameless = fixture.register(&body("")).await.unwrap();
    let kept = fixture.store.find_client(text(&nameless, "client_id")).await.unwrap().unwrap();
    assert_eq!(kept.name, kept.client_id, "people are shown something");
}

#[tokio::test]
async fn a_client_that_is_used_stays_for_longer() {
    let fixture = strangers().await;
    let public = body(r#", "token_endpoint_auth_method": "none", "scope": "openid read""#);
    let told = fixture.register(&public).await.unwrap();
    let id = text(&told, "client_id");
    let now = UnixMillis(NOW.0 + 2 * DAY_MS);
    let session = SessionRecord {
        created_at: now,
        last_used: now,
        authenticated_at: now,
        ends_at: UnixMillis(now.0 + DAY_MS),
        ..session()
    };
    fixture.flows.start_session(&session, now).await.unwrap();
    let asked = request(id, "openid read");
    let answer =
        fixture.oauth.authorize(asked.as_bytes(), Some(&session), "id", now).await.unwrap();
    assert!(matches!(answer, Authorized::Consent(_)), "people are always asked: {answer:?}");
    let allowed = postern_oauth::ScopeSet::parse("openid read").unwrap();
    let to =
        fixture.oauth.consent(asked.as_bytes(), &session, Some(&allowed), "id", now).await.unwrap();
    let code = parameter(&to, "code").unwrap();
    assert!(fixture.token(&exchange(id, &code), now).await.is_ok());
    let end = async || {
        let kept = fixture.store.find_client(id).await.unwrap().unwrap();
        kept.origin.expires_unused_at().unwrap()
    };
    assert_eq!(end().await, UnixMillis(NOW.0 + 90 * DAY_MS), "no request waits for that");
    fixture.oauth.keep_used_clients().await;
    assert_eq!(end().await, UnixMillis(NOW.0 + 92 * DAY_MS));
}

/// A client that has registered itself, and what it asks for in vain.
async fn stranger() -> (Fixture, String) {
    let fixture = strangers().await;
    let bye = r#", "post_logout_redirect_uris": ["https://app.example/bye"]"#;
    let public = r#", "token_endpoint_auth_method": "none", "scope": "openid read""#;
    let told = fixture.register(&body(&[public, bye].concat())).await.unwrap();
    let id = text(&told, "client_id").to_owned();
    (fixture, id)
}

/// Where a page leads on to, where nobody is sent there without one.
fn led(answer: Authorized) -> Onward {
    let Authorized::Refused(onward) = answer else { panic!("{answer:?}") };
    assert!(onward.location.starts_with("https://app.example/callback?error="), "{onward:?}");
    assert_eq!(onward.place, "https://app.example");
    onward
}

#[tokio::test]
async fn nobody_is_redirected_to_a_stranger_that_nobody_has_agreed_to() {
    let (fixture, id) = stranger().await;
    let session = fixture.log_in().await;
    let asked = request(&id, "openid read");
    let authorize = async |query: &str, session: Option<&SessionRecord>| {
        fixture.oauth.authorize(query.as_bytes(), session, "id", NOW).await.unwrap()
    };
    let bad = [
        format!("{asked}&prompt=none"),
        format!("{asked}&max_age=x"),
        asked.replace("scope=openid+read", "scope=write"),
        asked.replace("response_type=code", "response_type=token"),
        format!("{asked}&acr_values=urn:others:gold"),
    ];
    for query in &bad {
        for session in [None, Some(&session)] {
            let onward = led(authorize(query, session).await);
            assert_eq!(parameter(&onward.location, "state").as_deref(), Some("xyz"));
        }
    }
    // Whom people have agreed to is theirs to be sent to; others have not.
    let allowed = postern_oauth::ScopeSet::parse("openid read").unwrap();
    let to =
        fixture.oauth.consent(asked.as_bytes(), &session, Some(&allowed), "id", NOW).await.unwrap();
    assert!(parameter(&to, "code").is_some(), "{to}");
    let other = SessionRecord { user_id: "u-2".to_owned(), ..session.clone() };
    for query in bad.iter().skip(1) {
        let answer = authorize(query, Some(&session)).await;
        assert!(matches!(answer, Authorized::Redirect(_)), "{query}: {answer:?}");
        led(authorize(query, Some(&other)).await);
        led(authorize(query, None).await);
    }
    fixture.oauth.ending.session(&session.id, "test", "system", later(1)).await.unwrap();
    led(authorize(&bad[1], Some(&session)).await);
    // An operator's client is told as ever.
    let known = asked.replace(&id, "spa");
    let answer = authorize(&format!("{known}&prompt=none"), None).await;
    assert!(matches!(answer, Authorized::Redirect(_)), "{answer:?}");
}

#[tokio::test]
async fn who_says_no_to_a_stranger_is_sent_back_to_it() {
    let (fixture, id) = stranger().await;
    let session = fixture.log_in().await;
    let asked = request(&id, "read");
    let to = fixture.oauth.consent(asked.as_bytes(), &session, None, "id", NOW).await.unwrap();
    assert_eq!(parameter(&to, "error").as_deref(), Some("access_denied"), "they have seen a page");
}

#[tokio::test]
async fn logging_out_leads_to_a_stranger_by_a_page() {
    let (fixture, id) = stranger().await;
    let session = fixture.log_in().await;
    let bye = "post_logout_redirect_uri=https%3A%2F%2Fapp.example%2Fbye&state=s";
    let logout = async |client: &str, session: Option<&SessionRecord>| {
        let form = Form::parse(format!("client_id={client}&{bye}").as_bytes()).unwrap();
        fixture.oauth.logout(&form, session, NOW).await.unwrap()
    };
    let onward = Onward {
        location: "https://app.example/bye?state=s".to_owned(),
        place: "https://app.example".to_owned(),
    };
    assert_eq!(logout(&id, None).await, LogoutAnswer::Onward(onward.clone()));
    assert_eq!(logout(&id, Some(&session)).await, LogoutAnswer::Confirm);
    assert_eq!(logout("spa", None).await, LogoutAnswer::Done(Some(onward.location)));
}

#[test]
fn people_are_shown_where_a_stranger_is() {
    for (location, place) in [
        ("https://app.example:8443/cb?error=x", "https://app.example:8443"),
        ("https://app.example?error=x", "https://app.example"),
        ("http://[::1]:51004/cb?a=b", "http://[::1]:51004"),
        ("com.example.app:/cb?a=b", "com.example.app:"),
        ("com.example.app://bank.example/cb", "com.example.app:"),
    ] {
        assert_eq!(Onward::to(location.to_owned()).place, place, "{location}");
    }
}

#[tokio::test]
async fn where_a_token_is_needed_one_with_the_scope_for_it_is() {
    let mut oauth = for_strangers();
    oauth.registration.mode = postern_document::RegistrationMode::Token;
    let fixture = with_rules(OAuthRules::of(ISSUER, Some(&oauth))).await;
    let token = |scope: &str| {
        let request = crate::AccessTokenRequest {
            subject: "operator".to_owned(),
            client_id: "ci".to_owned(),
            scopes: postern_oauth::ScopeSet::parse(scope).unwrap(),
            lifetime_secs: 60,
            ..crate::AccessTokenRequest::default()
        };
        fixture.issuer.issue(&request, NOW).unwrap().token.expose().to_owned()
    };
    let good = format!("Bearer {}", token("client.register"));
    let lesser = format!("Bearer {}", token("read"));
    let body = body("");
    for (header, expected) in [
        (Single::Absent, Err((ErrorCode::TokenMissing, 401))),
        (Single::Repeated, Err((ErrorCode::InvalidRequest, 400))),
        (Single::One(b"Basic eDp5"), Err((ErrorCode::TokenMissing, 401))),
        (Single::One(b"Bearer junk"), Err((ErrorCode::InvalidToken, 401))),
        (Single::One(lesser.as_bytes()), Err((ErrorCode::InsufficientScope, 403))),
        (Single::One(good.as_bytes()), Ok(())),
    ] {
        let answer = fixture.oauth.register(register(header, &body), NOW).await;
        let found = answer.map(drop).map_err(|error| (error.code, error.status()));
        assert_eq!(found, expected);
    }
    let late = fixture
        .oauth
        .register(register(Single::One(good.as_bytes()), &body), UnixMillis(NOW.0 + 120_000));
    assert_eq!(late.await.unwrap_err().code, ErrorCode::InvalidToken);
    let unread = fixture.oauth.register(register(Single::Absent, "{"), NOW).await;
    assert_eq!(unread.unwrap_err().code, ErrorCode::TokenMissing, "strangers learn nothing");
    let written = fixture.store.audit_since(0, 10).await.unwrap();
    let actors: Vec<&str> =
        registrations(&written).iter().map(|entry| entry.actor.as_str()).collect();
    assert_eq!(actors, ["operator"]);
}

#[tokio::test]
async fn what_was_revoked_registers_nobody() {
    let mut oauth = for_strangers();
    oauth.registration.mode = postern_document::RegistrationMode::Token;
    let fixture = with_rules(OAuthRules::of(ISSUER, Some(&oauth))).await;
    let request = crate::AccessTokenRequest {
        subject: "operator".to_owned(),
        client_id: "ci".to_owned(),
        scopes: postern_oauth::ScopeSet::parse("client.register").unwrap(),
        lifetime_secs: 60,
        ..crate::AccessTokenRequest::default()
    };
    let issued = fixture.issuer.issue(&request, NOW).unwrap();
    let header = format!("Bearer {}", issued.token.expose());
    let body = body("");
    let call = || register(Single::One(header.as_bytes()), &body);
    assert!(fixture.oauth.register(call(), NOW).await.is_ok());
    let jti = text(&claims(issued.token.expose()), "jti").to_owned();
    fixture.oauth.ending.token(&jti, NOW.as_secs() + 60, "test", NOW).await.unwrap();
    let refused = fixture.oauth.register(call(), NOW).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidToken);
}

use std::sync::Arc;

use super::*;
use postern_oauth::UserCode;
use postern_store::away::Away;
use postern_store::durable::{AuditStore as _, DurableStore as _, GrantStore as _};

use crate::oauth::fixture::{strangers, television};

const DEVICE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";

/// What a device has been given.
struct Given {
    device_code: String,
    user_code: UserCode,
}

impl Fixture {
    async fn begin(&self, body: &str) -> Given {
        let answer = self.oauth.device(call(body, None), NOW).await.unwrap();
        let answer = json::parse(answer.as_bytes()).unwrap();
        Given {
            device_code: text(&answer, "device_code").to_owned(),
            user_code: UserCode::parse(text(&answer, "user_code")).unwrap(),
        }
    }

    async fn poll(&self, device_code: &str, now: UnixMillis) -> Result<Value, ErrorCode> {
        self.token(&poll("tv", device_code), now).await
    }
}

fn poll(client: &str, device_code: &str) -> String {
    format!("grant_type={DEVICE}&client_id={client}&device_code={device_code}")
}

#[tokio::test]
async fn a_device_gets_tokens_once_its_user_has_said_yes() {
    let fixture = strangers().await;
    let session = fixture.log_in().await;
    let given = fixture.begin("client_id=tv&scope=openid+read+offline_access").await;
    assert_eq!(base64url::decode(&given.device_code).unwrap().len(), 32);
    let waits = fixture.poll(&given.device_code, later(0)).await;
    assert_eq!(waits, Err(ErrorCode::AuthorizationPending));

    let ask = fixture.oauth.device_ask(&given.user_code, &session, later(1)).await.unwrap();
    let ask = ask.unwrap();
    assert_eq!(ask.client_name, "The television");
    let texts: Vec<&str> = ask.scopes.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["Know who you are", "Text of read", "Keep this access while you are away"]);
    let said = fixture.oauth.answer_device(&given.user_code, &session, true, later(2)).await;
    assert_eq!(said, Ok(Some(true)));

    let tokens = fixture.poll(&given.device_code, later(3)).await.unwrap();
    assert_eq!(text(&tokens, "scope"), "openid read offline_access");
    let access = claims(text(&tokens, "access_token"));
    assert_eq!((text(&access, "sub"), text(&access, "client_id")), ("u-1", "tv"));
    assert_eq!(text(&claims(text(&tokens, "id_token")), "aud"), "tv");
    let own = fixture.flows.find_session(text(&access, "sessionId"), later(4)).await.unwrap();
    assert_eq!(own.unwrap().parent.as_deref(), Some("browser-1"));
    let next = refresh(text(&tokens, "refresh_token")).replace("client_id=spa", "client_id=tv");
    assert!(fixture.token(&next, later(5)).await.is_ok(), "it goes on by itself");

    let again = fixture.poll(&given.device_code, later(6)).await;
    assert_eq!(again, Err(ErrorCode::InvalidGrant), "once");
    let consent = fixture.store.find_consent("u-1", "tv").await.unwrap().unwrap();
    assert_eq!(consent.scopes, ["offline_access", "openid", "read"]);
    let written = fixture.store.audit_since(0, 100).await.unwrap();
    let agreed = written.iter().filter(|record| record.entry.action == "consent.granted");
    assert_eq!(agreed.count(), 1, "{written:?}");
}

#[tokio::test]
async fn a_device_whose_user_says_no_is_told_so() {
    let fixture = strangers().await;
    let session = fixture.log_in().await;
    let given = fixture.begin("client_id=tv&scope=read").await;
    let said = fixture.oauth.answer_device(&given.user_code, &session, false, later(1)).await;
    assert_eq!(said, Ok(Some(false)));
    for at in [2, 3] {
        let denied = fixture.poll(&given.device_code, later(at)).await;
        assert_eq!(denied, Err(ErrorCode::AccessDenied));
    }
    let late = fixture.oauth.answer_device(&given.user_code, &session, true, later(4)).await;
    assert_eq!(late, Ok(None), "no is no");
    assert!(fixture.store.find_consent("u-1", "tv").await.unwrap().is_none());
}

#[tokio::test]
async fn a_user_code_ends_with_its_use_and_with_its_time() {
    let fixture = strangers().await;
    let session = fixture.log_in().await;
    let given = fixture.begin("client_id=tv&scope=read").await;
    let oauth = &fixture.oauth;
    let other = UserCode::parse("BBBBBBBB").unwrap();
    assert_eq!(oauth.device_ask(&other, &session, NOW).await, Ok(None));
    assert!(oauth.device_ask(&given.user_code, &session, later(899_999)).await.unwrap().is_some());
    assert_eq!(oauth.device_ask(&given.user_code, &session, later(900_000)).await, Ok(None));
    let late = oauth.answer_device(&given.user_code, &session, true, later(900_000)).await;
    assert_eq!(late, Ok(None));
    let expired = fixture.poll(&given.device_code, later(900_000)).await;
    assert_eq!(expired, Err(ErrorCode::ExpiredToken));
    let gone = fixture.poll(&given.device_code, later(1_500_001)).await;
    assert_eq!(gone, Err(ErrorCode::InvalidGrant), "nobody remembers it");

    let given = fixture.begin("client_id=tv&scope=read").await;
    assert_eq!(oauth.answer_device(&given.user_code, &session, true, NOW).await, Ok(Some(true)));
    assert_eq!(oauth.answer_device(&given.user_code, &session, false, NOW).await, Ok(None));
    assert_eq!(oauth.device_ask(&given.user_code, &session, NOW).await, Ok(None));
    assert!(fixture.poll(&given.device_code, NOW).await.is_ok(), "yes stays yes");
}

#[tokio::test]
async fn a_code_of_another_client_is_none_and_its_device_goes_on_waiting() {
    let fixture = strangers().await;
    let session = fixture.log_in().await;
    let other =
        postern_store::durable::ClientRecord { client_id: "radio".to_owned(), ..television() };
    fixture.store.insert_client(other).await.unwrap();
    let given = fixture.begin("client_id=tv&scope=read").await;
    let stolen = fixture.token(&poll("radio", &given.device_code), NOW).await;
    assert_eq!(stolen, Err(ErrorCode::InvalidGrant));
    fixture.oauth.answer_device(&given.user_code, &session, true, NOW).await.unwrap();
    let stolen = fixture.token(&poll("radio", &given.device_code), NOW).await;
    assert_eq!(stolen, Err(ErrorCode::InvalidGrant));
    let not_its_grant = fixture.token(&poll("spa", &given.device_code), NOW).await;
    assert_eq!(not_its_grant, Err(ErrorCode::UnauthorizedClient));
    assert!(fixture.poll(&given.device_code, NOW).await.is_ok(), "nobody has used it up");
    assert_eq!(fixture.poll("made-up", NOW).await, Err(ErrorCode::InvalidGrant));
}

#[tokio::test]
async fn who_asks_too_often_waits_longer() {
    let fixture = strangers().await;
    let given = fixture.begin("client_id=tv&scope=read").await;
    for (at_ms, expected) in [
        (0, ErrorCode::AuthorizationPending),
        (1_000, ErrorCode::SlowDown),
        (7_000, ErrorCode::SlowDown),
        (22_000, ErrorCode::AuthorizationPending),
        (37_000, ErrorCode::AuthorizationPending),
    ] {
        assert_eq!(fixture.poll(&given.device_code, later(at_ms)).await, Err(expected), "{at_ms}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_who_ask_at_once_one_gets_tokens() {
    let fixture = Arc::new(strangers().await);
    let session = fixture.log_in().await;
    let given = fixture.begin("client_id=tv&scope=read").await;
    let said = fixture.oauth.answer_device(&given.user_code, &session, true, NOW).await;
    assert_eq!(said, Ok(Some(true)));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (fixture, code) = (Arc::clone(&fixture), given.device_code.clone());
        asking.spawn(async move { fixture.poll(&code, NOW).await });
    }
    let answers = asking.join_all().await;
    let got = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.iter().filter(|answer| **answer == Err(ErrorCode::InvalidGrant)).count();
    assert_eq!((got, refused), (1, 99));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_yes_stands_however_often_the_device_asks_meanwhile() {
    let fixture = Arc::new(strangers().await);
    let session = fixture.log_in().await;
    let given = fixture.begin("client_id=tv&scope=read").await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (fixture, code) = (Arc::clone(&fixture), given.device_code.clone());
        asking.spawn(async move { fixture.poll(&code, NOW).await });
    }
    let said = fixture.oauth.answer_device(&given.user_code, &session, true, NOW).await;
    assert_eq!(said, Ok(Some(true)));
    let answers = asking.join_all().await;
    let got = answers.iter().filter(|answer| answer.is_ok()).count();
    let last = fixture.poll(&given.device_code, NOW).await;
    assert_eq!(got + usize::from(last.is_ok()), 1, "{answers:?} {last:?}");
}

#[tokio::test]
async fn who_has_logged_out_since_has_taken_the_device_back() {
    let fixture = strangers().await;
    let session = fixture.log_in().await;
    let given = fixture.begin("client_id=tv&scope=read").await;
    fixture.oauth.answer_device(&given.user_code, &session, true, NOW).await.unwrap();
    fixture.oauth.ending.session(&session.id, "logout", "u-1", later(1)).await.unwrap();
    let refused = fixture.poll(&given.device_code, later(2)).await;
    assert_eq!(refused, Err(ErrorCode::InvalidGrant));
    let given = fixture.begin("client_id=tv&scope=read").await;
    let answer = fixture.oauth.answer_device(&given.user_code, &session, true, later(3)).await;
    assert_eq!(answer, Ok(None), "nor can they say yes any more");
}

#[tokio::test]
async fn while_nobody_remembers_anything_a_device_waits() {
    let mut fixture = strangers().await;
    let session = fixture.log_in().await;
    let given = fixture.begin("client_id=tv&scope=read").await;
    let mut flows: Arc<dyn postern_store::FlowStore> = Arc::new(Away);
    let swap = |fixture: &mut Fixture, flows: &mut Arc<dyn postern_store::FlowStore>| {
        std::mem::swap(&mut Arc::get_mut(&mut fixture.oauth).unwrap().flows, flows);
    };
    swap(&mut fixture, &mut flows);
    let away = Some(ErrorCode::TemporarilyUnavailable);
    let code = |error: postern_oauth::OAuthError| error.code;
    let begun = fixture.oauth.device(call("client_id=tv&scope=read", None), NOW).await;
    assert_eq!(begun.map_err(code).err(), away);
    assert_eq!(fixture.poll(&given.device_code, NOW).await.err(), away);
    let asked = fixture.oauth.device_ask(&given.user_code, &session, NOW).await;
    assert_eq!(asked.map_err(code).err(), away);
    let said = fixture.oauth.answer_device(&given.user_code, &session, true, NOW).await;
    assert_eq!(said.map_err(code).err(), away);

    swap(&mut fixture, &mut flows);
    let waits = fixture.poll(&given.device_code, NOW).await;
    assert_eq!(waits, Err(ErrorCode::AuthorizationPending), "nothing was lost");
}

#[tokio::test]
async fn a_client_that_does_not_count_any_more_is_not_asked_about() {
    let fixture = strangers().await;
    let session = fixture.log_in().await;
    let off =
        postern_store::durable::ClientRecord { client_id: "radio".to_owned(), ..television() };
    fixture.store.insert_client(off.clone()).await.unwrap();
    let given = fixture.begin("client_id=radio&scope=read").await;
    let off = postern_store::durable::ClientRecord { is_active: false, ..off };
    let entry = crate::audit::entry(NOW, "test", "client.changed", "radio", &[]);
    let from = off.updated_at;
    assert!(fixture.store.change_client(off, from, &entry).await.unwrap());
    // What is remembered of clients is over by then.
    let asked = fixture.oauth.device_ask(&given.user_code, &session, later(20_000)).await;
    assert_eq!(asked, Ok(None));
}

use proptest::prelude::*;

use super::*;
use crate::fixtures::{self, NOW, scopes};
use crate::{Client, CodeGrant, ErrorCode, GrantType, ScopeSet, Secret, SessionFacts};
use postern_request::UnixMillis;
use postern_request::headers::Single;
use postern_request::json::{self, Value};

const FORM: Single<'static> = Single::One(b"application/x-www-form-urlencoded");

fn client() -> Client {
    Client { grant_types: vec![GrantType::DeviceCode], ..fixtures::public() }
}

fn later(secs: u64) -> UnixMillis {
    UnixMillis(NOW.0 + secs * 1000)
}

fn begin(body: &str) -> Result<DeviceState, ErrorCode> {
    begin_as(&client(), body)
}

fn begin_as(client: &Client, body: &str) -> Result<DeviceState, ErrorCode> {
    let request = DeviceRequest::parse(Single::Absent, FORM, body.as_bytes(), None);
    let state = request.and_then(|request| request.decide(client, &fixtures::rules(), NOW));
    state.map_err(|error| error.code)
}

fn pending() -> DeviceState {
    begin("client_id=web&scope=openid+read").unwrap()
}

/// What is kept after somebody has asked, and what they are told.
fn poll(state: &DeviceState, now: UnixMillis) -> (DeviceState, Option<ErrorCode>) {
    let poll = state.poll(now);
    let told = poll.error().map(|error| error.code);
    match poll {
        Poll::Pending(next) | Poll::SlowDown(next) => (next, told),
        Poll::Issue | Poll::Denied | Poll::Expired => (state.clone(), told),
    }
}

#[test]
fn a_device_asks_for_what_its_client_may() {
    let good = pending();
    assert_eq!((good.client_id.as_str(), good.scopes.to_string()), ("web", "openid read".into()));
    assert_eq!((good.expires_at, good.interval_secs), (later(900), 5));
    assert!(good.is_open(NOW) && !good.is_open(later(900)));
    for (body, expected) in [
        ("client_id=web", Ok("read write")),
        ("client_id=web&scope=", Ok("read write")),
        ("client_id=web&unknown=1", Ok("read write")),
        ("client_id=web&scope=openid+offline_access", Ok("openid offline_access")),
        ("client_id=web&resource=https://api.example", Ok("read write")),
        ("client_id=web&scope=admin", Err(ErrorCode::InvalidScope)),
        ("client_id=web&scope=a%22b", Err(ErrorCode::InvalidScope)),
        ("client_id=web&scope=read&scope=write", Err(ErrorCode::InvalidRequest)),
        ("client_id=web&resource=https://unknown.example", Err(ErrorCode::InvalidTarget)),
        ("client_id=web&resource=api", Err(ErrorCode::InvalidTarget)),
        ("scope=read", Err(ErrorCode::InvalidClient)),
        ("client_id=", Err(ErrorCode::InvalidClient)),
        ("client_id=web&client_id=app", Err(ErrorCode::InvalidRequest)),
    ] {
        let found = begin(body).map(|state| state.scopes.to_string());
        assert_eq!(found, expected.map(str::to_owned), "{body}");
    }
    let other = Client { grant_types: vec![GrantType::AuthorizationCode], ..client() };
    assert_eq!(begin_as(&other, "client_id=web"), Err(ErrorCode::UnauthorizedClient));
    let json = Single::One(b"application/json".as_slice());
    let refused = DeviceRequest::parse(Single::Absent, json, b"client_id=web", None);
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidRequest);
    let rules =
        crate::ServerRules { grants: vec![GrantType::AuthorizationCode], ..fixtures::rules() };
    let request = DeviceRequest::parse(Single::Absent, FORM, b"client_id=web", None).unwrap();
    let refused = request.decide(&client(), &rules, NOW).unwrap_err();
    assert_eq!(refused.code, ErrorCode::UnsupportedGrantType);
}

#[test]
fn a_device_is_told_both_codes_and_where_to_send_its_user() {
    let secret = Secret::new("d-e_v".to_owned());
    let code = UserCode::parse("WDJBMJHT").unwrap();
    let rules = fixtures::rules();
    let answer = DeviceAnswer { device_code: &secret, user_code: &code, server: &rules };
    let body = json::parse(answer.body().as_bytes()).unwrap();
    for (name, expected) in [
        ("device_code", "d-e_v"),
        ("user_code", "WDJB-MJHT"),
        ("verification_uri", "https://gate.example/login/device"),
        ("verification_uri_complete", "https://gate.example/login/device?user_code=WDJB-MJHT"),
    ] {
        assert_eq!(body.get(name).and_then(Value::as_str), Some(expected), "{name}");
    }
    assert_eq!(body.get("expires_in"), Some(&Value::Integer(900)));
    assert_eq!(body.get("interval"), Some(&Value::Integer(5)));
    assert!(!format!("{answer:?}").contains("WDJB"));
}

#[test]
fn polling_has_four_answers() {
    let open = pending();
    let (asked, told) = poll(&open, later(0));
    assert_eq!(told, Some(ErrorCode::AuthorizationPending));
    let (asked, told) = poll(&asked, later(5));
    assert_eq!(told, Some(ErrorCode::AuthorizationPending));

    // Each time that it is too soon, it waits five seconds more, for good.
    let (slowed, told) = poll(&asked, later(6));
    assert_eq!((told, slowed.interval_secs), (Some(ErrorCode::SlowDown), 10));
    let (slowed, told) = poll(&slowed, later(12));
    assert_eq!((told, slowed.interval_secs), (Some(ErrorCode::SlowDown), 15));
    let (slowed, told) = poll(&slowed, later(27));
    assert_eq!((told, slowed.interval_secs), (Some(ErrorCode::AuthorizationPending), 15));
    assert_eq!(slowed.polled_at, Some(later(27)));

    let denied = slowed.denied();
    assert_eq!(poll(&denied, later(28)), (denied.clone(), Some(ErrorCode::AccessDenied)));
    let allowed = slowed.allowed(&fixtures::rules(), &fixtures::session(), later(28));
    assert_eq!(poll(&allowed, later(28)), (allowed.clone(), None), "even if it is too soon");

    for state in [open, denied, allowed] {
        assert_eq!(poll(&state, later(900)).1, Some(ErrorCode::ExpiredToken), "{state:?}");
        assert!(poll(&state, UnixMillis(later(900).0 - 1)).1 != Some(ErrorCode::ExpiredToken));
    }
}

#[test]
fn a_moment_too_soon_is_not_too_soon() {
    let asked = DeviceState { polled_at: Some(NOW), ..pending() };
    for (after_ms, expected) in [
        (0, ErrorCode::SlowDown),
        (3_999, ErrorCode::SlowDown),
        (4_000, ErrorCode::AuthorizationPending),
        (5_000, ErrorCode::AuthorizationPending),
    ] {
        let told = poll(&asked, UnixMillis(NOW.0 + after_ms)).1;
        assert_eq!(told, Some(expected), "{after_ms}");
    }
    // Another replica's clock is behind.
    assert_eq!(poll(&asked, UnixMillis(NOW.0 - 500)).1, Some(ErrorCode::SlowDown));
}

#[test]
fn a_user_gives_what_they_have_and_no_more() {
    let rules = fixtures::rules();
    let give = |asked: &str, role: &str| {
        let state = DeviceState { scopes: scopes(asked), ..pending() };
        let session = SessionFacts { role_scopes: scopes(role), ..fixtures::session() };
        let allowed = state.allowed(&rules, &session, later(3));
        assert!(!allowed.is_open(later(3)));
        allowed.into_grant().map(|grant: CodeGrant| grant.scopes.to_string())
    };
    for (asked, role, expected) in [
        ("openid read write", "read", Some("openid read")),
        ("read", "read write admin", Some("read")),
        ("openid", "", Some("openid")),
        ("", "read", Some("")),
        ("write", "read", None),
        // The role has it, and the document says nothing of it any more.
        ("gone", "gone", None),
    ] {
        assert_eq!(give(asked, role).as_deref(), expected, "{asked} / {role}");
    }
    let grant = pending().allowed(&rules, &fixtures::session(), later(3)).into_grant().unwrap();
    assert_eq!((grant.subject.as_str(), grant.session_id.as_str()), ("ada", "s-1"));
    assert_eq!((grant.client_id.as_str(), grant.issued_at), ("web", later(3)));
    assert_eq!((grant.redirect_uri, grant.challenge, grant.nonce), (None, None, None));
    assert_eq!(pending().into_grant(), None);
    assert_eq!(pending().denied().into_grant(), None);
}

#[test]
fn a_state_with_more_or_less_than_is_known_is_refused() {
    let state = pending().allowed(&fixtures::rules(), &fixtures::session(), NOW);
    let kept = String::from_utf8(state.encode()).unwrap();
    assert_eq!(DeviceState::decode(kept.as_bytes()), Some(state.clone()));
    for (from, to) in [
        ("{", "{\"later\":1,"),
        ("\"approved\"", "\"pending\""),
        ("\"approved\"", "\"denied\""),
        ("\"approved\"", "\"granted\""),
        ("\"interval\":5", "\"interval\":-5"),
        ("\"interval\":5,", ""),
        ("\"expires_at\":", "\"expires_at\":-"),
        ("\"grant\":\"{", "\"grant\":\"["),
    ] {
        let changed = kept.replacen(from, to, 1);
        assert_ne!(changed, kept, "{from}");
        assert_eq!(DeviceState::decode(changed.as_bytes()), None, "{changed}");
    }
    let denied = String::from_utf8(state.denied().encode()).unwrap();
    let forged = denied.replacen("\"denied\"", "\"approved\"", 1);
    assert_eq!(DeviceState::decode(forged.as_bytes()), None, "there is no grant with it");
}

fn stage() -> impl Strategy<Value = DeviceStage> {
    let grant = ("\\PC{0,12}", 0..u64::from(u32::MAX)).prop_map(|(subject, at)| {
        let grant = CodeGrant {
            subject,
            auth_time: UnixMillis(at),
            redirect_uri: None,
            challenge: None,
            ..fixtures::code_grant()
        };
        DeviceStage::Approved(Box::new(grant))
    });
    prop_oneof![Just(DeviceStage::Pending), grant, Just(DeviceStage::Denied)]
}

proptest! {
    /// What is kept is what was asked for and answered.
    #[test]
    fn states_are_read_as_they_are_written(
        client_id in "\\PC{0,20}",
        names in prop::collection::vec("[!#-Z^-~]{1,8}", 0..5),
        resources in prop::collection::vec("\\PC{0,12}", 0..3),
        expires_at in 0..u64::from(u32::MAX) * 1000,
        interval_secs in 0..100_000_u64,
        polled_at in prop::option::of(0..u64::from(u32::MAX) * 1000),
        stage in stage(),
    ) {
        let state = DeviceState {
            client_id,
            scopes: ScopeSet::from_names(names.iter().map(String::as_str)).unwrap(),
            resources,
            expires_at: UnixMillis(expires_at),
            interval_secs,
            polled_at: polled_at.map(UnixMillis),
            stage,
        };
        prop_assert_eq!(DeviceState::decode(&state.encode()), Some(state));
    }

    /// Whatever stands in the store is read or refused, and so is half of what was written.
    #[test]
    fn anything_else_is_no_state(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        stage in stage(),
        keep in 0..1000_usize,
    ) {
        prop_assert_eq!(DeviceState::decode(&bytes), None);
        let whole = DeviceState { stage, ..pending() }.encode();
        let cut = whole.get(..whole.len() * keep / 1000).unwrap();
        prop_assert_eq!(DeviceState::decode(cut), None);
    }

    /// However a device asks, it is let in by its user alone, and never after its time.
    #[test]
    fn no_way_of_asking_lets_a_device_in(gaps in prop::collection::vec(0..40_000_u64, 1..60)) {
        let (mut state, mut now) = (pending(), NOW);
        for gap in gaps {
            now = UnixMillis(now.0 + gap);
            let (next, told) = poll(&state, now);
            prop_assert!(told.is_some());
            prop_assert!(next.interval_secs >= state.interval_secs);
            prop_assert_eq!(told == Some(ErrorCode::ExpiredToken), now >= state.expires_at);
            state = next;
        }
    }
}

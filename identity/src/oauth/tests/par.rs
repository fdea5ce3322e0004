use super::proofs::{Key, Said, said};
use super::*;
use postern_oauth::{AuthorizeFault, Endpoint};
use postern_store::{FlowKey, FlowKind};

use crate::oauth::fixture::ISSUER;

impl Fixture {
    async fn push(
        &self,
        body: &str,
        dpop: Option<&str>,
        now: UnixMillis,
    ) -> Result<String, ErrorCode> {
        let pushing = self.oauth.push(call(body, dpop), now).await.map_err(|error| error.code)?;
        let answer = self.oauth.keep_pushed(&pushing, now).await.map_err(|error| error.code)?;
        let answer = json::parse(answer.as_bytes()).unwrap();
        assert_eq!(answer.get("expires_in"), Some(&Value::Integer(60)));
        Ok(text(&answer, "request_uri").to_owned())
    }

    async fn open(
        &self,
        client: &str,
        request_uri: &str,
        session: Option<&SessionRecord>,
        now: UnixMillis,
    ) -> Authorized {
        let query = format!("client_id={client}&request_uri={request_uri}");
        self.oauth.authorize(query.as_bytes(), session, "id", now).await.unwrap()
    }
}

const UNKNOWN: Authorized = Authorized::Fault(AuthorizeFault::UnknownRequest);

#[tokio::test]
async fn a_pushed_request_is_answered_once_and_for_its_client() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let uri = fixture.push(&request("spa", "openid read"), None, NOW).await.unwrap();
    assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:"), "{uri}");
    assert_eq!(fixture.open("web", &uri, Some(&session), NOW).await, UNKNOWN);
    let answer = fixture.open("spa", &uri, Some(&session), NOW).await;
    let Authorized::Redirect(location) = answer else { panic!("{answer:?}") };
    assert_eq!(parameter(&location, "state").as_deref(), Some("xyz"));
    let code = parameter(&location, "code").unwrap();
    assert!(fixture.token(&exchange("spa", &code), NOW).await.is_ok());
    assert_eq!(fixture.open("spa", &uri, Some(&session), NOW).await, UNKNOWN);
}

#[tokio::test]
async fn a_browser_comes_in_time_and_its_user_may_take_longer() {
    let fixture = fixture().await;
    let session = fixture.log_in().await;
    let late = fixture.push(&request("spa", "read"), None, NOW).await.unwrap();
    assert_eq!(fixture.open("spa", &late, Some(&session), later(60_000)).await, UNKNOWN);

    let uri = fixture.push(&request("spa", "read"), None, NOW).await.unwrap();
    let answer = fixture.open("spa", &uri, None, later(59_999)).await;
    let Authorized::LogIn { return_to, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(parameter(&return_to, "request_uri").as_deref(), Some(uri.as_str()));
    let answer = fixture.open("spa", &uri, Some(&session), later(500_000)).await;
    assert!(matches!(answer, Authorized::Redirect(_)), "{answer:?}");

    let forgotten = fixture.push(&request("spa", "read"), None, NOW).await.unwrap();
    fixture.open("spa", &forgotten, None, later(1)).await;
    assert_eq!(fixture.open("spa", &forgotten, Some(&session), later(600_001)).await, UNKNOWN);
}

#[tokio::test]
async fn a_copy_of_the_store_does_not_say_what_was_pushed() {
    let fixture = fixture().await;
    let body = format!("{}&id_token_hint=e30.e30.c2lnbmVk", request("spa", "read"));
    let uri = fixture.push(&body, None, NOW).await.unwrap();
    let key = FlowKey::of(FlowKind::Par, uri.as_bytes());
    // What was opened is sealed anew.
    for _ in 0..2 {
        let kept = fixture.flows.peek(key, NOW).await.unwrap().unwrap();
        for known in [&b"c2lnbmVk"[..], b"client_id"] {
            assert!(!kept.windows(known.len()).any(|window| window == known));
        }
        let answer = fixture.open("spa", &uri, None, NOW).await;
        assert!(matches!(answer, Authorized::LogIn { .. }), "{answer:?}");
    }
}

#[tokio::test]
async fn a_code_of_a_pushed_request_is_for_the_key_that_came_with_it() {
    let (fixture, key) = (fixture().await, Key::new());
    let session = fixture.log_in().await;
    let url = format!("{ISSUER}{}", Endpoint::Par.path());
    let here = |id: &str| key.proof(&Said { url: url.clone(), ..said(id) });
    let body = request("spa", "read");
    let elsewhere = key.proof(&said("token"));
    let refused = fixture.push(&body, Some(&elsewhere), NOW).await;
    assert_eq!(refused, Err(ErrorCode::InvalidDpopProof), "it is made for another endpoint");
    let other = format!("{body}&dpop_jkt={CHALLENGE}");
    let refused = fixture.push(&other, Some(&here("1")), NOW).await;
    assert_eq!(refused, Err(ErrorCode::InvalidRequest), "RFC 9449 §10.1");
    let named = format!("{body}&dpop_jkt={}", key.new.kid);
    assert!(fixture.push(&named, Some(&here("2")), NOW).await.is_ok());

    let uri = fixture.push(&body, Some(&here("3")), NOW).await.unwrap();
    let code = async |uri: &str| {
        let answer = fixture.open("spa", uri, Some(&session), NOW).await;
        let Authorized::Redirect(location) = answer else { panic!("{answer:?}") };
        parameter(&location, "code").unwrap()
    };
    let form = exchange("spa", &code(&uri).await);
    let refused = fixture.token(&form, NOW).await;
    assert_eq!(refused, Err(ErrorCode::InvalidGrant), "nobody has proven that key");
    let uri = fixture.push(&body, Some(&here("4")), NOW).await.unwrap();
    let form = exchange("spa", &code(&uri).await);
    let tokens = fixture.token_by(&form, Some(&key.proof(&said("5"))), NOW).await.unwrap();
    assert_eq!(text(&tokens, "token_type"), "DPoP");
}

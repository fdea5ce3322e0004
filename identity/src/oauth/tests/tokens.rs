use std::sync::Arc;

use super::*;
use postern_oauth::{ChallengeScheme, ScopeSet, Secret, TokenType};
use postern_revocation::Revocation;
use postern_store::durable::memory::MemoryDurableStore;
use postern_store::{BoxFuture, MemoryFlowStore, StoreError};

use crate::ending::Ending;
use crate::metrics::LoginMetrics;
use crate::oauth::fixture::{API, ISSUER, with_rules};
use crate::oauth::{OAuthRules, TokenAnswer, UserinfoCall};
use crate::ports::{Announce, RevokedTokens as _};

const CREDENTIALS: &str = "grant_type=client_credentials&client_id=web&client_secret=s3cret";

#[tokio::test]
async fn client_credentials_bring_no_refresh_token() {
    let fixture = fixture().await;
    let tokens = fixture.token(CREDENTIALS, NOW).await.unwrap();
    assert_eq!(text(&tokens, "scope"), "read write", "nothing about a user");
    assert!(tokens.get("refresh_token").is_none() && tokens.get("id_token").is_none());
    let access = claims(text(&tokens, "access_token"));
    assert_eq!((text(&access, "sub"), text(&access, "client_id")), ("web", "web"));
    assert_eq!(access.get("sessionId"), None);
    let public = fixture.token("grant_type=client_credentials&client_id=spa", NOW).await;
    assert_eq!(public, Err(ErrorCode::InvalidClient));
}

#[tokio::test]
async fn tokens_are_for_one_audience() {
    let fixture = fixture().await;
    let form = format!("{CREDENTIALS}&resource={}", API.replace(':', "%3A"));
    let tokens = fixture.token(&form, NOW).await.unwrap();
    assert_eq!(text(&claims(text(&tokens, "access_token")), "aud"), API);
    let tokens = fixture.token(CREDENTIALS, NOW).await.unwrap();
    assert_eq!(text(&claims(text(&tokens, "access_token")), "aud"), "http://127.0.0.1:8080");
    let unknown = fixture.token(&format!("{CREDENTIALS}&resource=urn:x:y"), NOW).await;
    assert_eq!(unknown, Err(ErrorCode::InvalidTarget));
}

#[tokio::test]
async fn without_the_documents_word_clients_have_tokens_and_nothing_else() {
    let fixture = with_rules(OAuthRules::of("http://127.0.0.1:8080", None)).await;
    assert!(fixture.token(CREDENTIALS, NOW).await.is_ok());
    let session = fixture.log_in().await;
    let asked = request("spa", "read");
    let answer =
        fixture.oauth.authorize(asked.as_bytes(), Some(&session), "id", NOW).await.unwrap();
    let Authorized::Redirect(location) = answer else { panic!("{answer:?}") };
    assert_eq!(parameter(&location, "error").as_deref(), Some("unauthorized_client"));
}

#[tokio::test]
async fn a_client_revokes_its_own_tokens_and_no_others() {
    let fixture = fixture().await;
    let tokens = fixture.tokens("openid read").await;
    let revoke = async |client: &str, token: &str, now| {
        let body = format!("{client}&token={token}");
        fixture.oauth.revoke(call(&body, None), now).await.map_err(|error| error.code)
    };
    let (mine, other) = ("client_id=spa", "client_id=web&client_secret=s3cret");
    let (access, refresh_token) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    for token in [access, refresh_token] {
        assert_eq!(revoke(other, token, later(1)).await, Err(ErrorCode::InvalidGrant));
        for stranger in ["client_id=nobody", "client_id=web", "client_id=web&client_secret=wrong"] {
            let refused = revoke(stranger, token, NOW).await;
            assert_eq!(refused, Err(ErrorCode::InvalidClient), "{stranger}");
        }
    }
    let verified = fixture.issuer.inspect(access, NOW).unwrap();
    assert!(!fixture.revocations.is_revoked(&verified, later(1)));
    assert_eq!(revoke(mine, access, later(1)).await, Ok(()));
    assert!(fixture.revocations.is_revoked(&verified, later(1)));

    let spent = refresh_token;
    let next = fixture.token(&refresh(spent), later(2)).await.unwrap();
    assert_eq!(revoke(mine, spent, later(3)).await, Ok(()), "any token of a family");
    let refused = fixture.token(&refresh(text(&next, "refresh_token")), later(4)).await;
    assert_eq!(refused, Err(ErrorCode::InvalidGrant));
    let verified = fixture.issuer.inspect(text(&next, "access_token"), later(2)).unwrap();
    assert!(fixture.revocations.is_revoked(&verified, later(4)), "and what came of it");
}

#[tokio::test]
async fn a_token_is_found_whatever_the_hint_says() {
    let fixture = fixture().await;
    for hint in ["access_token", "refresh_token", "saml"] {
        let tokens = fixture.tokens("openid read").await;
        let revoke = async |token: &str| {
            let body = format!("client_id=spa&token={token}&token_type_hint={hint}");
            fixture.oauth.revoke(call(&body, None), later(1)).await
        };
        let (access, refresh_token) =
            (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let verified = fixture.issuer.inspect(access, NOW).unwrap();
        assert!(!fixture.revocations.is_revoked(&verified, later(1)), "{hint}");
        assert_eq!(revoke(access).await, Ok(()));
        assert!(fixture.revocations.is_revoked(&verified, later(1)), "{hint}");
        assert_eq!(revoke(refresh_token).await, Ok(()));
        let refused = fixture.token(&refresh(refresh_token), later(2)).await;
        assert_eq!(refused, Err(ErrorCode::InvalidGrant), "{hint}");
    }
}

/// Keeps nothing that is revoked.
struct Unkept;

impl Announce for Unkept {
    fn revoke<'a>(
        &'a self,
        _: Vec<Revocation>,
        _: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(std::future::ready(Err(StoreError::Unavailable("test".to_owned()))))
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_said_to_be_revoked() {
    let mut fixture = fixture().await;
    let tokens = fixture.tokens("openid read").await;
    let ending = Ending::new(
        Arc::<MemoryDurableStore>::clone(&fixture.store),
        Arc::<MemoryFlowStore>::clone(&fixture.flows),
        Arc::new(Unkept),
        ISSUER,
        LoginMetrics::unregistered(),
    );
    Arc::get_mut(&mut fixture.oauth).unwrap().ending = Arc::new(ending);
    for name in ["access_token", "refresh_token"] {
        let body = format!("client_id=spa&token={}", text(&tokens, name));
        let refused = fixture.oauth.revoke(call(&body, None), later(1)).await.unwrap_err();
        let told = (refused.code, refused.status());
        assert_eq!(told, (ErrorCode::TemporarilyUnavailable, 503), "{name}");
    }
}

#[tokio::test]
async fn unknown_tokens_are_revoked_already() {
    let fixture = fixture().await;
    let tokens = fixture.tokens("openid read").await;
    let long_after = later(7_200_000);
    for token in ["junk", "rt_junk", "a.b.c", text(&tokens, "access_token")] {
        for hint in ["", "&token_type_hint=refresh_token", "&token_type_hint=nonsense"] {
            let body = format!("client_id=spa&token={token}{hint}");
            let answer = fixture.oauth.revoke(call(&body, None), long_after).await;
            assert_eq!(answer, Ok(()), "{token:.10} {hint}");
        }
    }
    let nothing = fixture.oauth.revoke(call("client_id=spa", None), NOW).await.unwrap_err();
    assert_eq!(nothing.code, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn userinfo_by_scope() {
    let fixture = fixture().await;
    for (scope, expected) in [
        ("openid", r#"{"sub":"u-1"}"#),
        ("openid email", r#"{"sub":"u-1","email":"a@example.test","email_verified":false}"#),
        ("openid profile", r#"{"sub":"u-1","name":"Ada L","given_name":"Ada","family_name":"L"}"#),
    ] {
        let tokens = fixture.tokens(scope).await;
        let answer = userinfo(&fixture, text(&tokens, "access_token"), NOW).await;
        assert_eq!(answer.as_deref(), Ok(expected), "{scope}");
    }
    let tokens = fixture.tokens("read").await;
    let token = text(&tokens, "access_token");
    assert_eq!(userinfo(&fixture, token, NOW).await, Err(ErrorCode::InsufficientScope));
}

async fn userinfo(fixture: &Fixture, token: &str, now: UnixMillis) -> Result<String, ErrorCode> {
    let header = format!("Bearer {token}");
    let call = UserinfoCall {
        method: "GET",
        authorization: Single::One(header.as_bytes()),
        dpop: Single::Absent,
        certificate: None,
    };
    fixture.oauth.userinfo(call, now).await.map_err(|error| error.code)
}

#[tokio::test]
async fn userinfo_is_for_users_whose_session_lives() {
    let fixture = fixture().await;
    let clients = fixture.token(CREDENTIALS, NOW).await.unwrap();
    let tokens = fixture.tokens("openid").await;
    let token = text(&tokens, "access_token");
    let id_token = text(&tokens, "id_token");
    let asked = format!("{}&resource={}", request("spa", "openid"), API.replace(':', "%3A"));
    let code = fixture.code(&asked, &session()).await;
    let of_others = fixture.token(&exchange("spa", &code), NOW).await.unwrap();
    let for_others = text(&of_others, "access_token");
    assert_eq!(text(&claims(for_others), "aud"), API);
    for bad in [text(&clients, "access_token"), id_token, for_others, "junk", ""] {
        let refused = userinfo(&fixture, bad, NOW).await;
        assert_eq!(refused, Err(ErrorCode::InvalidToken), "{bad:.10}");
    }
    assert_eq!(userinfo(&fixture, token, later(3_600_000)).await, Err(ErrorCode::InvalidToken));
    fixture.oauth.ending.session("browser-1", "logout", "u-1", later(1)).await.unwrap();
    assert_eq!(userinfo(&fixture, token, later(2)).await, Err(ErrorCode::InvalidToken));
    for header in [Single::Absent, Single::One(b"Basic YTpi".as_slice()), Single::One(b"Bearer")] {
        let call = UserinfoCall {
            method: "GET",
            authorization: header,
            dpop: Single::Absent,
            certificate: None,
        };
        let refused = fixture.oauth.userinfo(call, NOW).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::TokenMissing);
        assert_eq!(refused.challenge, ChallengeScheme::Bearer);
    }
}

#[test]
fn an_answer_is_read_as_it_was_written() {
    let secret = |text: &str| Secret::new(text.to_owned());
    let whole = TokenAnswer {
        access_token: secret("a.b.c"),
        refresh_token: Some(secret("rt_1")),
        id_token: Some(secret("d.e.f")),
        expires_in_secs: 900,
        scope: ScopeSet::parse("openid read").unwrap(),
        token_type: TokenType::Dpop,
        issued_token_type: None,
    };
    let bare = TokenAnswer {
        refresh_token: None,
        id_token: None,
        scope: ScopeSet::default(),
        token_type: TokenType::Bearer,
        issued_token_type: None,
        ..whole.clone()
    };
    for answer in [whole, bare] {
        assert_eq!(TokenAnswer::read(&answer.body()), Some(answer));
    }
    for bad in ["", "{}", "[]", r#"{"access_token":"a","expires_in":1}"#] {
        assert_eq!(TokenAnswer::read(bad), None, "{bad}");
    }
}

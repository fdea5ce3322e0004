use super::proofs::{Key, said};
use super::*;
use postern_oauth::{ACCESS_TOKEN_TYPE, GrantType};
use postern_store::durable::{ClientKind, ClientRecord, DurableStore as _};

use crate::oauth::OAuthRules;
use crate::oauth::fixture::{ISSUER, SECRET, texts, whole_document, with_rules};
use crate::random;

/// A server, and a service that calls others for the users of the app.
async fn with_service() -> Fixture {
    let fixture = with_rules(OAuthRules::of(ISSUER, Some(&whole_document()))).await;
    let (exchange, own) = (GrantType::TokenExchange.as_str(), "client_credentials");
    let service = |id: &str, may_act_for: &[&str]| ClientRecord {
        secret_sha256: Some(random::sha256(SECRET.as_bytes())),
        grant_types: vec![exchange.to_owned(), own.to_owned()],
        scopes: texts("read"),
        may_act_for: may_act_for.iter().map(ToString::to_string).collect(),
        ..ClientRecord::new(id.to_owned(), id.to_owned(), ClientKind::Confidential, NOW)
    };
    for client in [service("api", &["spa"]), service("other", &[])] {
        fixture.store.insert_client(client).await.unwrap();
    }
    fixture
}

fn exchanging(client: &str, subject: &str) -> String {
    let grant = GrantType::TokenExchange.as_str();
    format!(
        "grant_type={grant}&client_id={client}&client_secret=s3cret&subject_token={subject}\
         &subject_token_type={ACCESS_TOKEN_TYPE}"
    )
}

const INVALID: Result<Value, ErrorCode> = Err(ErrorCode::InvalidRequest);

#[tokio::test]
async fn a_service_calls_the_next_one_for_the_user() {
    let fixture = with_service().await;
    let tokens = fixture.tokens("openid read write").await;
    let access = text(&tokens, "access_token");
    let answer = fixture.token(&exchanging("api", access), later(1)).await.unwrap();
    assert_eq!(text(&answer, "issued_token_type"), ACCESS_TOKEN_TYPE);
    assert_eq!((text(&answer, "token_type"), text(&answer, "scope")), ("Bearer", "read"));
    assert!(answer.get("refresh_token").is_none() && answer.get("id_token").is_none());
    let (before, after) = (claims(access), claims(text(&answer, "access_token")));
    assert_eq!((text(&after, "sub"), text(&after, "client_id")), ("u-1", "api"));
    for name in ["sessionId", "auth_time", "acr", "amr", "role", "tier", "deviceId", "aud"] {
        assert!(before.get(name).is_some() && before.get(name) == after.get(name), "{name}");
    }
    assert_eq!(after.get("act"), None);
    let other = fixture.token(&exchanging("other", access), later(1)).await;
    assert_eq!(other, Err(ErrorCode::UnauthorizedClient), "nobody has said that it may");
    let web = fixture.token(&exchanging("web", access), later(1)).await;
    assert_eq!(web, Err(ErrorCode::UnauthorizedClient), "it has not this grant");

    // It ends with what it came of.
    let exchanged = text(&answer, "access_token");
    fixture.oauth.ending.session("browser-1", "logout", "u-1", later(2)).await.unwrap();
    let verified = fixture.issuer.inspect(exchanged, later(3)).unwrap();
    let revoked: &dyn crate::ports::RevokedTokens = &*fixture.revocations;
    assert!(revoked.is_revoked(&verified, later(3)));
    assert_eq!(fixture.token(&exchanging("api", access), later(3)).await, INVALID);
}

#[tokio::test]
async fn who_acts_is_named_in_the_token() {
    let fixture = with_service().await;
    let tokens = fixture.tokens("openid read").await;
    let own = async |client: &str| {
        let form = "grant_type=client_credentials&client_secret=s3cret";
        let answer = fixture.token(&format!("{form}&client_id={client}"), NOW).await.unwrap();
        text(&answer, "access_token").to_owned()
    };
    let acting = |subject: &str, actor: &str| {
        let form = exchanging("api", subject);
        format!("{form}&actor_token={actor}&actor_token_type={ACCESS_TOKEN_TYPE}")
    };
    let (access, actor) = (text(&tokens, "access_token"), own("api").await);
    let answer = fixture.token(&acting(access, &actor), NOW).await.unwrap();
    let said = claims(text(&answer, "access_token"));
    assert_eq!(text(&said, "sub"), "u-1");
    let act = said.get("act").unwrap().to_string();
    assert_eq!(act, r#"{"sub":"api","client_id":"api"}"#);
    let others = own("other").await;
    assert_eq!(fixture.token(&acting(access, &others), NOW).await, INVALID, "not its own");
    assert_eq!(fixture.token(&acting(access, "junk"), NOW).await, INVALID);
    assert_eq!(fixture.token(&acting("junk", &actor), NOW).await, INVALID);
}

#[tokio::test]
async fn a_bad_subject_is_an_invalid_request() {
    let fixture = with_service().await;
    let tokens = fixture.tokens("openid read").await;
    let access = text(&tokens, "access_token");
    for bad in [text(&tokens, "id_token"), text(&tokens, "refresh_token"), "junk", "a.b.c"] {
        assert_eq!(fixture.token(&exchanging("api", bad), NOW).await, INVALID, "{bad:.10}");
    }
    assert_eq!(fixture.token(&exchanging("api", access), later(3_600_000)).await, INVALID);
    let body = format!("client_id=spa&token={access}");
    fixture.oauth.revoke(call(&body, None), later(1)).await.unwrap();
    assert_eq!(fixture.token(&exchanging("api", access), later(1)).await, INVALID, "revoked");
}

#[tokio::test]
async fn a_stolen_token_is_worth_no_more_after_an_exchange() {
    let (fixture, key) = (with_service().await, Key::new());
    let session = fixture.log_in().await;
    let code = fixture.code(&request("spa", "read"), &session).await;
    let (form, proof) = (exchange("spa", &code), key.proof(&said("1")));
    let bound = fixture.token_by(&form, Some(&proof), NOW).await.unwrap();
    let form = exchanging("api", text(&bound, "access_token"));
    assert_eq!(fixture.token(&form, NOW).await, INVALID);
    let others = Key::new().proof(&said("2"));
    assert_eq!(fixture.token_by(&form, Some(&others), NOW).await, INVALID);
    let answer = fixture.token_by(&form, Some(&key.proof(&said("3"))), NOW).await.unwrap();
    let said = claims(text(&answer, "access_token"));
    assert_eq!(text(said.get("cnf").unwrap(), "jkt"), key.new.kid);
}

#[tokio::test]
async fn without_the_documents_word_nothing_is_exchanged() {
    let fixture = fixture().await;
    let tokens = fixture.tokens("openid read").await;
    let form = exchanging("web", text(&tokens, "access_token"));
    let refused = fixture.token(&form, NOW).await;
    assert_eq!(refused, Err(ErrorCode::UnsupportedGrantType));
}

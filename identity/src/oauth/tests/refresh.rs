use super::*;
use std::sync::Arc;

use crate::oauth::issue::{family_key, presented};
use postern_document::OnChange;
use postern_oauth::RefreshToken;
use postern_store::durable::{AuditStore as _, GrantStore as _};
use postern_store::flows::Standing;

use crate::Refresher;

fn refresh_token(answer: &Value) -> &str {
    text(answer, "refresh_token")
}

#[tokio::test]
async fn a_refresh_token_turns() {
    let fixture = fixture().await;
    let first = fixture.tokens("openid read write").await;
    let second = fixture.token(&refresh(refresh_token(&first)), later(60_000)).await.unwrap();
    assert_ne!(refresh_token(&first), refresh_token(&second));
    assert_eq!(text(&second, "scope"), "openid read write");
    let (before, after) =
        (claims(text(&first, "access_token")), claims(text(&second, "access_token")));
    for name in ["sub", "sessionId", "client_id", "role", "tier", "acr"] {
        assert_eq!(text(&before, name), text(&after, name), "{name}");
    }
    assert_eq!(before.get("auth_time"), after.get("auth_time"));
    assert_ne!(text(&before, "jti"), text(&after, "jti"));
    assert_eq!(claims(text(&second, "id_token")).get("nonce"), None, "it was the first one's");
    let narrow = format!("{}&scope=read", refresh(refresh_token(&second)));
    let third = fixture.token(&narrow, later(70_000)).await.unwrap();
    assert_eq!(text(&third, "scope"), "read");
    let wide = fixture.token(&refresh(refresh_token(&third)), later(80_000)).await.unwrap();
    assert_eq!(text(&wide, "scope"), "openid read write", "what was granted is still");
    let session = fixture.flows.find_session(text(&after, "sessionId"), later(80_000)).await;
    assert_eq!(session.unwrap().unwrap().last_used, later(80_000));
}

#[tokio::test]
async fn a_retry_gets_the_same_answer_for_a_moment() {
    let fixture = fixture().await;
    let first = fixture.tokens("openid read").await;
    let form = refresh(refresh_token(&first));
    let once = fixture.token(&form, later(1000)).await.unwrap();
    let again = fixture.token(&form, later(10_000)).await.unwrap();
    assert_eq!(once, again, "letter by letter");
    let wider = fixture.token(&format!("{form}&scope=write"), later(10_500)).await;
    assert_eq!(wider, Err(ErrorCode::InvalidScope), "an answer is judged before it is repeated");
    assert!(fixture.token(&refresh(refresh_token(&once)), later(11_000)).await.is_ok());
}

#[tokio::test]
async fn a_spent_refresh_token_ends_its_family() {
    let fixture = fixture().await;
    let first = fixture.tokens("openid read").await;
    let second = fixture.token(&refresh(refresh_token(&first)), later(1000)).await.unwrap();
    let stolen = fixture.token(&refresh(refresh_token(&first)), later(60_000)).await;
    assert_eq!(stolen, Err(ErrorCode::InvalidGrant));
    let mine = fixture.token(&refresh(refresh_token(&second)), later(61_000)).await;
    assert_eq!(mine, Err(ErrorCode::InvalidGrant), "nobody knows whose it is");
    let families = fixture.store.families_of("u-1", None, 10).await.unwrap();
    assert_eq!(families[0].end_reason.as_deref(), Some("refresh.reused"));
    let written = fixture.store.audit_since(0, 100).await.unwrap();
    assert!(written.iter().any(|record| record.entry.action == "refresh.reused"), "{written:?}");
    let access = fixture.issuer.inspect(text(&second, "access_token"), later(1000)).unwrap();
    let revoked: &dyn crate::ports::RevokedTokens = &*fixture.revocations;
    assert!(revoked.is_revoked(&access, later(61_000)));
}

#[tokio::test]
async fn reuse_that_a_server_died_over_ends_the_family_with_the_next_token_that_is_shown() {
    let fixture = fixture().await;
    let first = fixture.tokens("openid read").await;
    let second = fixture.token(&refresh(refresh_token(&first)), later(1000)).await.unwrap();
    let spent = RefreshToken::parse(refresh_token(&first)).unwrap();
    let (key, shown) = (family_key(&spent), presented(&spent));
    let told = fixture.flows.stand(key, shown, 10_000, later(60_000)).await;
    assert!(matches!(told, Ok(Standing::Reused { .. })), "{told:?}");
    let mine = fixture.token(&refresh(refresh_token(&second)), later(61_000)).await;
    assert_eq!(mine, Err(ErrorCode::InvalidGrant));
    let families = fixture.store.families_of("u-1", None, 10).await.unwrap();
    assert_eq!(families[0].end_reason.as_deref(), Some("refresh.reused"));
    let written = fixture.store.audit_since(0, 100).await.unwrap();
    assert!(written.iter().any(|record| record.entry.action == "refresh.reused"), "{written:?}");
    let access = fixture.issuer.inspect(text(&second, "access_token"), later(1000)).unwrap();
    let revoked: &dyn crate::ports::RevokedTokens = &*fixture.revocations;
    assert!(revoked.is_revoked(&access, later(62_000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_who_refresh_at_once_get_one_answer() {
    let fixture = Arc::new(fixture().await);
    let first = fixture.tokens("openid read").await;
    let form = Arc::new(refresh(refresh_token(&first)));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (fixture, form) = (Arc::clone(&fixture), Arc::clone(&form));
            tokio::spawn(async move { fixture.token(&form, later(1000)).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert!(fixture.token(&refresh(refresh_token(&answers[0])), later(2000)).await.is_ok());
}

#[tokio::test]
async fn a_token_is_none_without_its_lock_its_client_and_its_session() {
    let fixture = fixture().await;
    let first = fixture.tokens("openid read").await;
    let token = RefreshToken::parse(refresh_token(&first)).unwrap();
    let forged = [
        RefreshToken { lock: [0; 16], ..token.clone() },
        RefreshToken { secret: [0; 32], ..token.clone() },
        RefreshToken { family: [0; 16], ..token.clone() },
        // What a store knows that has lost a write: no reason to end anything.
        RefreshToken { generation: 7, ..token.clone() },
    ];
    for forged in forged {
        let refused = fixture.token(&refresh(forged.to_text().expose()), later(1)).await;
        assert_eq!(refused, Err(ErrorCode::InvalidGrant), "{forged:?}");
    }
    let others = refresh(refresh_token(&first))
        .replace("client_id=spa", "client_id=web&client_secret=s3cret");
    assert_eq!(fixture.token(&others, later(1)).await, Err(ErrorCode::InvalidGrant));
    assert!(fixture.token(&refresh(refresh_token(&first)), later(1)).await.is_ok(), "still good");
}

#[tokio::test]
async fn what_has_ended_for_good_stays_so_whatever_the_volatile_store_says() {
    let fixture = fixture().await;
    let first = fixture.tokens("openid read").await;
    let family = fixture.store.families_of("u-1", None, 10).await.unwrap().remove(0);
    let entry = crate::audit::entry(NOW, "system", "token.revoked", "t", &[]);
    fixture.store.end_family(family.id, NOW, "test", &entry).await.unwrap();
    let refused = fixture.token(&refresh(refresh_token(&first)), later(1)).await;
    assert_eq!(refused, Err(ErrorCode::InvalidGrant));

    let second = fixture.tokens("openid read").await;
    fixture.oauth.ending.user("u-1", "test", "system", later(2)).await.unwrap();
    let refused = fixture.token(&refresh(refresh_token(&second)), later(3)).await;
    assert_eq!(refused, Err(ErrorCode::InvalidGrant));
}

#[tokio::test]
async fn somebody_who_logs_in_without_a_client_gets_tokens_that_only_this_refreshes() {
    let fixture = fixture().await;
    let session = SessionRecord {
        id: "direct-1".to_owned(),
        client_id: Some("postern-login".to_owned()),
        mfa_at: Some(NOW),
        secret: None,
        ..session()
    };
    fixture.flows.start_session(&session, NOW).await.unwrap();
    let answer = fixture.oauth.tokens_for(&session, true, NOW).await.unwrap();
    assert_eq!((answer.expires_in_secs, answer.id_token), (900, None));
    assert_eq!(answer.scope.to_string(), "read write");
    let access = claims(answer.access_token.expose());
    assert_eq!(text(&access, "client_id"), "postern-login");
    assert_eq!(text(&access, "acr"), "urn:postern:acr:2");
    let text = answer.refresh_token.unwrap();
    let by_form = refresh(text.expose()).replace("client_id=spa", "client_id=postern-login");
    assert_eq!(fixture.token(&by_form, later(1)).await, Err(ErrorCode::InvalidClient));

    let token = RefreshToken::parse(text.expose()).unwrap();
    let client = fixture.oauth.login_client();
    let on = |device| Refresher { device: Some(device), ..Refresher::default() };
    let other = fixture.oauth.refresh_on(&token, &client, None, on("d-2"), later(2)).await;
    assert_eq!(other.unwrap_err().code, ErrorCode::InvalidGrant, "it is bound to d-1");
    let same = fixture.oauth.refresh_on(&token, &client, None, on("d-1"), later(3)).await;
    let next = RefreshToken::parse(same.unwrap().refresh_token.unwrap().expose()).unwrap();
    let any = fixture.oauth.refresh(&next, &client, None, later(20_000)).await.unwrap();
    assert_eq!(any.expires_in_secs, 900);
}

#[tokio::test]
async fn who_shows_something_else_refreshes_as_the_document_says() {
    for (on_change, is_refused, lives) in
        [(OnChange::Log, false, true), (OnChange::AskMfa, true, true), (OnChange::End, true, false)]
    {
        let fixture = fixture().await;
        let session = SessionRecord {
            id: "direct-1".to_owned(),
            client_id: Some("postern-login".to_owned()),
            fingerprint: Some([1; 16]),
            secret: None,
            ..session()
        };
        fixture.flows.start_session(&session, NOW).await.unwrap();
        let answer = fixture.oauth.tokens_for(&session, false, NOW).await.unwrap();
        let client = fixture.oauth.login_client();
        let shows =
            |byte| Refresher { fingerprint: Some(([byte; 16], on_change)), ..Refresher::default() };
        let token = RefreshToken::parse(answer.refresh_token.unwrap().expose()).unwrap();
        let same = fixture.oauth.refresh_on(&token, &client, None, shows(1), later(1)).await;
        let next = RefreshToken::parse(same.unwrap().refresh_token.unwrap().expose()).unwrap();
        let other = fixture.oauth.refresh_on(&next, &client, None, shows(2), later(2)).await;
        assert_eq!(other.is_err(), is_refused, "{on_change:?}");
        if let Err(error) = other {
            assert_eq!(error.code, ErrorCode::InvalidGrant, "{on_change:?}");
        }
        let found = fixture.flows.find_session(&session.id, later(3)).await.unwrap();
        assert_eq!(found.is_some(), lives, "{on_change:?}");
    }
}

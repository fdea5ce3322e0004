//! When sessions end, and what use makes of that.

use postern_request::UnixMillis;

use super::{Case, LONG_MS, SHORT_MS, until, wait_out_what_is_short};
use crate::flows::{SessionRecord, UsedApiKey};

pub(super) async fn run(case: Case<'_>) {
    a_session_ends_unused(case).await;
    a_session_ends_at_last(case).await;
    the_latest_use_stands(case).await;
    renewing_moves_the_idle_end(case).await;
    api_keys_are_told_of(case).await;
}

impl Case<'_> {
    async fn touch(self, used: &[(&str, UnixMillis)]) {
        let used: Vec<_> = used.iter().map(|(id, at)| ((*id).to_owned(), *at)).collect();
        self.store.touch_sessions(&used, self.now()).await.unwrap();
    }
}

async fn a_session_ends_unused(case: Case<'_>) {
    let idle = SessionRecord { idle_ms: 50, ..case.session("idle", "idler") };
    let lives = case.session("lives", "idler");
    case.begin(&idle).await;
    case.begin(&lives).await;
    until("an idle session", async || case.find(&idle.id).await.is_none()).await;
    assert_eq!(case.ids_of(&idle.user_id).await, [lives.id.as_str()]);
    case.touch(&[(idle.id.as_str(), case.now())]).await;
    assert_eq!(case.store.renew_session(&idle, case.now()).await, Ok(false));
    assert_eq!(case.store.end_session(idle.id.as_str(), case.now()).await, Ok(None));
    assert_eq!(case.find(&idle.id).await, None);
    let anew = case.session("idle", "idler");
    case.begin(&anew).await;
    assert_eq!(case.find(&anew.id).await, Some(anew));
}

async fn a_session_ends_at_last(case: Case<'_>) {
    let session = SessionRecord { ends_at: case.in_ms(SHORT_MS), ..case.session("last", "u") };
    case.begin(&session).await;
    let later = case.in_ms(LONG_MS);
    case.touch(&[(session.id.as_str(), later)]).await;
    let used = SessionRecord { last_used: later, ..session.clone() };
    case.store.renew_session(&used, case.now()).await.unwrap();
    until("a session that is used", async || case.find(&session.id).await.is_none()).await;
    assert!(case.ids_of(&session.user_id).await.is_empty());
}

async fn the_latest_use_stands(case: Case<'_>) {
    let used = SessionRecord { idle_ms: SHORT_MS, ..case.session("used", "user") };
    let unused = SessionRecord { idle_ms: SHORT_MS, ..case.session("unused", "user") };
    case.begin(&used).await;
    case.begin(&unused).await;
    case.touch(&[]).await;
    let late = case.in_ms(LONG_MS);
    let unknown = case.name("unknown");
    case.touch(&[(unknown.as_str(), late), (used.id.as_str(), late)]).await;
    for earlier in [case.now(), used.created_at, UnixMillis(0)] {
        case.touch(&[(used.id.as_str(), earlier)]).await;
    }
    let expected = SessionRecord { last_used: late, ..used.clone() };
    assert_eq!(case.find(&used.id).await.as_ref(), Some(&expected), "and nothing else changes");
    assert_eq!(case.find(&unknown).await, None, "use begins nothing");
    wait_out_what_is_short().await;
    assert_eq!(case.find(&used.id).await, Some(expected), "its idle end has moved");
    assert_eq!(case.find(&unused.id).await, None);
    assert_eq!(case.ids_of(&used.user_id).await, [used.id.as_str()]);
}

async fn renewing_moves_the_idle_end(case: Case<'_>) {
    let session = SessionRecord { idle_ms: SHORT_MS, ..case.session("renewed idle", "u2") };
    case.begin(&session).await;
    let renewed = SessionRecord { last_used: case.in_ms(LONG_MS), ..session };
    assert_eq!(case.store.renew_session(&renewed, case.now()).await, Ok(true));
    wait_out_what_is_short().await;
    assert_eq!(case.find(&renewed.id).await.as_ref(), Some(&renewed));
}

/// Nothing reads it back here: it must be taken, and touch nothing else.
async fn api_keys_are_told_of(case: Case<'_>) {
    let session = case.session("key", "key owner");
    case.begin(&session).await;
    let used = |client_id: Option<&str>| UsedApiKey {
        // The names of a session: they must not meet.
        id: session.id.clone(),
        user_id: session.user_id.clone(),
        client_id: client_id.map(str::to_owned),
        scopes: vec!["read".to_owned(), "write".to_owned()],
        last_used: case.now(),
        requests: 3,
    };
    case.store.touch_api_keys(&[], case.now()).await.unwrap();
    for _ in 0..2 {
        let both = [used(None), used(Some("c'1"))];
        case.store.touch_api_keys(&both, case.now()).await.unwrap();
    }
    assert_eq!(case.find(&session.id).await.as_ref(), Some(&session));
    assert_eq!(case.ids_of(&session.user_id).await, [session.id.as_str()]);
}

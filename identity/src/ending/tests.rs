use std::pin::pin;
use std::task::{Context, Poll, Waker};

use postern_store::away::Away;
use postern_store::durable::memory::MemoryDurableStore;
use postern_store::durable::{FamilyRecord, GrantStore as _};
use postern_store::flows::{NewFamily, Presented, Redeemed, Standing, Turn, Turned, UsedApiKey};
use postern_store::{BoxFuture, MemoryFlowStore};

use super::leftover::MAX_WAITING;
use super::*;
use crate::login::fixture::{NOW, World, later};

const FIRST: Presented = Presented { lock: [1; 32], secret: [2; 32], generation: 1 };

fn session(id: &str, client: Option<&str>, parent: Option<&str>, scopes: &[&str]) -> SessionRecord {
    SessionRecord {
        id: id.to_owned(),
        user_id: "u1".to_owned(),
        created_at: NOW,
        last_used: NOW,
        authenticated_at: NOW,
        mfa_at: None,
        methods: vec!["pwd".to_owned()],
        device_id: None,
        fingerprint: None,
        client_id: client.map(str::to_owned),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        parent: parent.map(str::to_owned),
        secret: None,
        person: Vec::new(),
        remember: false,
        idle_ms: 1_000_000,
        ends_at: later(2_000_000),
    }
}

async fn family(world: &World, name: &[u8], session_id: &str, client_id: &str) -> FlowKey {
    let key = FlowKey::of(FlowKind::Family, name);
    let new = NewFamily {
        key,
        first: FIRST,
        grant: b"grant",
        idle_ms: 1_000_000,
        ends_at: later(2_000_000),
    };
    world.flows.start_family(new, NOW).await.unwrap();
    let record = FamilyRecord {
        id: key.to_bytes(),
        user_id: "u1".to_owned(),
        client_id: client_id.to_owned(),
        session_id: session_id.to_owned(),
        scopes: Vec::new(),
        created_at: NOW,
        ends_at: later(2_000_000),
        ended_at: None,
        end_reason: None,
    };
    world.store.insert_family(record).await.unwrap();
    key
}

/// A browser's session, a grant of it, and one that outlives it.
async fn world() -> (World, FlowKey, FlowKey) {
    let world = World::new();
    for session in [
        session("browser", None, None, &[]),
        session("grant", Some("web"), Some("browser"), &["openid"]),
        session("offline", Some("app"), Some("browser"), &["openid", OFFLINE_ACCESS]),
        session("other", None, None, &[]),
    ] {
        world.flows.start_session(&session, NOW).await.unwrap();
    }
    let grant = family(&world, b"grant", "grant", "web").await;
    let offline = family(&world, b"offline", "offline", "app").await;
    (world, grant, offline)
}

async fn alive(world: &World) -> Vec<String> {
    let mut ids: Vec<_> = world.flows.sessions_of("u1", NOW).await.unwrap();
    ids.sort_by(|a, b| a.id.cmp(&b.id));
    ids.into_iter().map(|session| session.id).collect()
}

async fn turns(world: &World, key: FlowKey) -> bool {
    let volatile = world.flows.look_family(key, FIRST, NOW).await.unwrap().is_some();
    let durable = world.store.find_family(key.to_bytes()).await.unwrap().unwrap();
    assert_eq!(volatile, durable.ended_at.is_none(), "both stores say the same");
    volatile
}

#[tokio::test]
async fn a_browsers_session_takes_its_grants_along_but_for_those_that_outlive_it() {
    let (world, grant, offline) = world().await;
    assert_eq!(world.ending.session("browser", "logged_out", "u1", NOW).await, Ok(true));
    assert_eq!(alive(&world).await, ["offline", "other"]);
    assert!(!turns(&world, grant).await && turns(&world, offline).await);
    assert_eq!(world.revocations.names(RevocationKind::Session), ["browser", "grant"]);
    let lives = world.revocations.all()[0].expires_at();
    assert!(lives >= NOW.as_secs() + MAX_LIFETIME_SECS, "longer than any token");
    assert_eq!(world.actions().await, ["session.ended"]);
    assert_eq!(world.ending.session("browser", "logged_out", "u1", NOW).await, Ok(false));
    assert_eq!(world.actions().await, ["session.ended"], "nothing has happened");
}

/// Begins another grant of the browser's session at the moment when that is revoked.
struct JustThen(Arc<MemoryFlowStore>);

impl Announce for JustThen {
    fn revoke<'a>(
        &'a self,
        _: Vec<Revocation>,
        _: &'a str,
        _: UnixMillis,
    ) -> postern_store::BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            for (id, scope) in [("late", "openid"), ("late offline", OFFLINE_ACCESS)] {
                let grant = session(id, Some("web"), Some("browser"), &[scope]);
                match self.0.start_session(&grant, NOW).await {
                    Ok(()) | Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_grant_that_begins_while_its_session_ends_ends_with_it() {
    let (world, _, _) = world().await;
    let late = family(&world, b"late", "late", "web").await;
    let durable: Arc<dyn IdentityStore> = Arc::<MemoryDurableStore>::clone(&world.store);
    let volatile: Arc<dyn FlowStore> = Arc::<MemoryFlowStore>::clone(&world.flows);
    let just_then = Arc::new(JustThen(Arc::clone(&world.flows)));
    let metrics = LoginMetrics::unregistered();
    let ending = Ending::new(durable, volatile, just_then, "https://a.test", metrics);
    assert_eq!(ending.session("browser", "logged_out", "u1", NOW).await, Ok(true));
    assert!(!turns(&world, late).await);
    assert_eq!(alive(&world).await, ["late offline", "offline", "other"]);
}

#[tokio::test]
async fn a_grants_session_ends_alone() {
    let (world, grant, offline) = world().await;
    world.ending.session("offline", "revoked", "u1", NOW).await.unwrap();
    assert_eq!(alive(&world).await, ["browser", "grant", "other"]);
    assert!(turns(&world, grant).await && !turns(&world, offline).await);
}

#[tokio::test]
async fn a_reused_token_ends_its_family_and_the_tokens_of_its_session_once() {
    let (world, grant, offline) = world().await;
    for _ in 0..2 {
        world.ending.family(grant, "grant", "refresh.reused", "system", NOW).await.unwrap();
    }
    assert!(!turns(&world, grant).await && turns(&world, offline).await);
    assert_eq!(alive(&world).await, ["browser", "offline", "other"]);
    assert!(world.revocations.names(RevocationKind::Session).contains(&"grant".to_owned()));
    assert_eq!(world.actions().await, ["refresh.reused"], "told of once");
}

#[tokio::test]
async fn a_user_loses_everything_until_now() {
    let (world, grant, offline) = world().await;
    assert_eq!(world.ending.user("u1", "switched_off", "admin", NOW).await, Ok(4));
    assert!(alive(&world).await.is_empty());
    assert!(!turns(&world, grant).await && !turns(&world, offline).await);
    let revoked = world.revocations.all();
    assert_eq!(revoked[0].kind(), RevocationKind::Subject);
    assert_eq!(revoked[0].issued_before(), Some(NOW.as_secs() + 1));
    assert_eq!(world.actions().await, ["session.all_ended"]);
    assert_eq!(world.ending.user("nobody", "switched_off", "admin", NOW).await, Ok(0));
}

/// A volatile store that never answers: whoever asks it may as well have been stopped there.
struct Hanging;

macro_rules! hang {
    ($life:lifetime: $($name:ident($($kind:ty),*) -> $answer:ty;)*) => {
        $(
            fn $name<$life>(
                &$life self,
                $(_: $kind),*
            ) -> BoxFuture<$life, Result<$answer, StoreError>> {
                Box::pin(std::future::pending())
            }
        )*
    };
}

impl FlowStore for Hanging {
    hang! { 'a:
        put(FlowKey, &'a [u8], u64, UnixMillis) -> bool;
        peek(FlowKey, UnixMillis) -> Option<Vec<u8>>;
        take(FlowKey, UnixMillis) -> Option<Vec<u8>>;
        swap(FlowKey, &'a [u8], &'a [u8], UnixMillis) -> bool;
        redeem_code(FlowKey, &'a [u8], UnixMillis) -> Redeemed;
        start_family(NewFamily<'a>, UnixMillis) -> ();
        stand(FlowKey, Presented, u64, UnixMillis) -> Standing;
        turn(Turn<'a>, UnixMillis) -> Turned;
        look_family(FlowKey, Presented, UnixMillis) -> Option<Vec<u8>>;
        end_family(FlowKey, Option<[u8; 32]>, UnixMillis) -> Option<Vec<u8>>;
        start_session(&'a SessionRecord, UnixMillis) -> ();
        find_session(&'a str, UnixMillis) -> Option<SessionRecord>;
        renew_session(&'a SessionRecord, UnixMillis) -> bool;
        end_session(&'a str, UnixMillis) -> Option<SessionRecord>;
        sessions_of(&'a str, UnixMillis) -> Vec<SessionRecord>;
        touch_sessions(&'a [(String, UnixMillis)], UnixMillis) -> ();
        touch_api_keys(&'a [UsedApiKey], UnixMillis) -> ();
    }
}

/// The world's, but with another volatile store.
fn ending_with(world: &World, volatile: Arc<dyn FlowStore>) -> Ending {
    let durable: Arc<dyn IdentityStore> = Arc::<MemoryDurableStore>::clone(&world.store);
    let announce = Arc::<_>::clone(&world.revocations) as Arc<dyn Announce>;
    let metrics = LoginMetrics::unregistered();
    Ending::new(durable, volatile, announce, "https://a.test", metrics)
}

#[tokio::test]
async fn a_user_has_no_family_left_wherever_a_crash_stops_the_rest() {
    let (world, grant, offline) = world().await;
    let ending = ending_with(&world, Arc::new(Hanging));
    {
        let mut stopped = pin!(ending.user("u1", "user_changed", "admin", NOW));
        let polled = stopped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending), "it hangs, and is never asked again");
    }
    assert_eq!(world.revocations.names(RevocationKind::Subject), ["u1"]);
    for family in [grant, offline] {
        let kept = world.store.find_family(family.to_bytes()).await.unwrap().unwrap();
        assert_eq!((kept.ended_at, kept.end_reason.as_deref()), (Some(NOW), Some("user_changed")));
    }
}

const MONTH_SECS: u64 = 30 * 86_400;

fn ends(world: &World) -> Vec<(String, u64)> {
    let all = world.revocations.all().into_iter();
    all.map(|revoked| (revoked.value().to_owned(), revoked.expires_at() - NOW.as_secs())).collect()
}

#[tokio::test]
async fn the_end_of_a_session_is_remembered_for_as_long_as_it_could_live() {
    let (world, _, _) = world().await;
    let remembered = SessionRecord {
        ends_at: later(MONTH_SECS * 1000),
        ..session("remembered", None, None, &[])
    };
    let of_grant = SessionRecord {
        ends_at: later(MONTH_SECS * 1000),
        ..session("its grant", Some("web"), Some("remembered"), &["openid"])
    };
    for session in [remembered, of_grant] {
        world.flows.start_session(&session, NOW).await.unwrap();
    }
    world.ending.session("remembered", "logged_out", "u1", NOW).await.unwrap();
    world.ending.session("other", "logged_out", "u1", NOW).await.unwrap();
    world.ending.session("unknown", "logged_out", "u1", NOW).await.unwrap();
    let short = MAX_LIFETIME_SECS + AFTER_EXPIRY_SECS;
    let expected = [
        ("remembered", MONTH_SECS + AFTER_EXPIRY_SECS),
        // What it is worth has ended with its family, for good.
        ("its grant", short),
        // It could live no longer than its tokens.
        ("other", short),
        ("unknown", short),
    ];
    assert_eq!(ends(&world), expected.map(|(id, secs)| (id.to_owned(), secs)));
}

#[tokio::test]
async fn what_may_be_left_where_nobody_can_look_is_over_before_its_end_is_forgotten() {
    let world = World::new();
    let ending = ending_with(&world, Arc::new(Away)).with_sessions_that_live(MONTH_SECS);
    assert!(ending.session("somewhere", "logged_out", "u1", NOW).await.is_err());
    assert!(ending.user("u1", "user_changed", "admin", NOW).await.is_err());
    let long = MONTH_SECS + AFTER_EXPIRY_SECS;
    let expected = [("somewhere", long), ("u1", long)];
    assert_eq!(ends(&world), expected.map(|(id, secs)| (id.to_owned(), secs)));
    // Where no session lives for long, access tokens are what counts.
    let world = World::new();
    let ending = ending_with(&world, Arc::new(Away)).with_sessions_that_live(60);
    assert!(ending.session("somewhere", "logged_out", "u1", NOW).await.is_err());
    assert_eq!(ends(&world), [("somewhere".to_owned(), MAX_LIFETIME_SECS + AFTER_EXPIRY_SECS)]);
}

#[tokio::test]
async fn all_but_one_leaves_that_one() {
    let (world, grant, offline) = world().await;
    let ended = world.ending.others("u1", Some("other"), "password_changed", "u1", NOW).await;
    assert!(ended.unwrap() >= 2);
    assert_eq!(alive(&world).await, ["other"]);
    assert!(!turns(&world, grant).await && !turns(&world, offline).await);
    assert!(world.revocations.names(RevocationKind::Subject).is_empty());
}

#[tokio::test]
async fn a_consent_that_is_taken_back_ends_what_that_client_has() {
    let (world, grant, offline) = world().await;
    world.ending.consent("u1", "app", "u1", NOW).await.unwrap();
    assert_eq!(alive(&world).await, ["browser", "grant", "other"]);
    assert!(turns(&world, grant).await && !turns(&world, offline).await);
}

#[tokio::test]
async fn a_token_is_revoked_by_its_name_until_nobody_takes_it() {
    let world = World::new();
    let ends = NOW.as_secs() + 900;
    world.ending.token("t-1", ends, "u1", NOW).await.unwrap();
    let revoked = world.revocations.all();
    assert_eq!((revoked[0].kind(), revoked[0].value()), (RevocationKind::Token, "t-1"));
    assert_eq!(revoked[0].expires_at(), ends + AFTER_EXPIRY_SECS);
    let senseless = world.ending.token("", ends, "u1", NOW).await;
    assert!(matches!(senseless, Err(StoreError::Corrupt(_))), "{senseless:?}");
}

#[tokio::test]
async fn what_was_put_off_is_done_later_once_and_given_up_in_the_end() {
    let (world, grant, _) = world().await;
    let ending = &world.ending;
    ending.put_off(Leftover::Family(grant), NOW);
    ending.put_off(Leftover::Family(grant), NOW);
    ending.put_off(Leftover::Session("other".to_owned()), NOW);
    assert_eq!(ending.waiting().len(), 2);
    assert_eq!(ending.retry(later(1000)).await, 0);
    assert_eq!(world.flows.look_family(grant, FIRST, NOW).await, Ok(None));
    assert_eq!(alive(&world).await, ["browser", "grant", "offline"]);
}

/// Does not announce anything the first time.
struct AwayAtFirst(std::sync::atomic::AtomicBool);

impl Announce for AwayAtFirst {
    fn revoke<'a>(
        &'a self,
        _: Vec<Revocation>,
        _: &'a str,
        _: UnixMillis,
    ) -> postern_store::BoxFuture<'a, Result<(), StoreError>> {
        let was_asked = self.0.swap(true, std::sync::atomic::Ordering::Relaxed);
        let answer = if was_asked { Ok(()) } else { Err(StoreError::Unavailable("t".to_owned())) };
        Box::pin(std::future::ready(answer))
    }
}

#[tokio::test]
async fn what_cannot_end_now_ends_later() {
    let (world, _, _) = world().await;
    let durable: Arc<dyn IdentityStore> = Arc::<MemoryDurableStore>::clone(&world.store);
    let volatile: Arc<dyn FlowStore> = Arc::<MemoryFlowStore>::clone(&world.flows);
    let announce = Arc::new(AwayAtFirst(std::sync::atomic::AtomicBool::new(false)));
    let metrics = LoginMetrics::unregistered();
    let ending = Ending::new(durable, volatile, announce, "https://a.test", metrics);
    ending.session_or_later("browser", "replaced", "u1", NOW).await;
    assert_eq!(alive(&world).await, ["browser", "grant", "offline", "other"]);
    assert_eq!(ending.waiting().len(), 1);
    assert_eq!(ending.retry(later(10_000)).await, 0);
    assert_eq!(alive(&world).await, ["offline", "other"]);
}

#[test]
fn what_waits_has_a_bound() {
    let world = World::new();
    for at in 0..MAX_WAITING {
        let what = Leftover::Session(at.to_string());
        world.ending.waiting().push_back(Waiting { what, until: NOW });
    }
    world.ending.put_off(Leftover::Session("last".to_owned()), NOW);
    let waiting = world.ending.waiting();
    assert_eq!(waiting.len(), MAX_WAITING);
    assert_eq!(waiting.front().unwrap().what, Leftover::Session("1".to_owned()), "the oldest went");
    assert_eq!(waiting.back().unwrap().what, Leftover::Session("last".to_owned()));
}

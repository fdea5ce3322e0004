use postern_document::Current;
use postern_feed::{Ask, Borrowing, PeerIdentity, Refusal};
use postern_identity::ports::RevokedTokens as _;
use postern_jose::{Claims, Confirmation, VerifiedToken};
use postern_limits::key::stamp;
use postern_limits::{Algorithm, Anchor, Rate, Spec};
use postern_request::{Principal, UnixMillis};
use postern_revocation::{Revocation, RevocationKind};
use postern_store::MemoryStore;
use postern_store::durable::NewRevocation;
use postern_store::durable::memory::MemoryDurableStore;
use serde_json::{Value, json};

use super::*;
use crate::serve::in_use::testing;

const ISSUER: &str = "https://i.test";
const MILLISECOND: Duration = Duration::from_millis(1);
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// A document with one issuer, found by discovery, and this beside it.
fn document(beside: &Value) -> Document {
    let issuers = json!([{"issuer": ISSUER, "audiences": ["gateway"]}]);
    let mut document = json!({
        "version": 1,
        "services": {"s": {"upstream": "h:1"}},
        "credentials": {"jwt": {"issuers": issuers}},
        "routes": [
            {"name": "a", "match": {"path": "/a"}, "service": "s", "auth": {"any": ["jwt"]}},
        ],
    });
    for (name, value) in beside.as_object().unwrap() {
        document[name] = value.clone();
    }
    // One without issuers has no section for them.
    document.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    postern_document::from_json(document.to_string().as_bytes()).unwrap()
}

/// The revocation of the token `t`.
fn new(issuer: &str) -> NewRevocation {
    NewRevocation {
        revocation: Revocation::at(100, RevocationKind::Token, issuer, "t", 4_000_000_000).unwrap(),
        created_at: UnixMillis(100_000),
        reason: None,
    }
}

/// A token whose signature holds, by its `jti`.
fn token(name: &str) -> VerifiedToken {
    let principal = Principal {
        subject: "alice".to_owned(),
        issuer: ISSUER.to_owned(),
        ..Principal::default()
    };
    let claims = Claims {
        audiences: vec!["gateway".to_owned()],
        expires_at: NOW.as_secs() + 60,
        not_before: None,
        issued_at: Some(50),
        token_id: Some(name.to_owned()),
        confirmation: Confirmation::default(),
        kept: Vec::new(),
        principal,
    };
    VerifiedToken { issuer_index: 0, key_id: None, claims }
}

fn started(document: &Document, durable: Option<&Arc<dyn DurableStore>>) -> Feed {
    let kept = testing::kept(document.clone());
    let registry = MetricsRegistry::new("test", std::time::Instant::now()).unwrap();
    let drain = Drain::new(Duration::from_secs(1));
    let volatile: Arc<dyn VolatileStore> = Arc::new(MemoryStore::default());
    let (store, stand_in) = (Arc::clone(&volatile), Arc::new(MemoryStore::default()));
    let circuits = super::super::circuits::build(kept.document(), store, stand_in, &registry);
    let circuits = circuits.unwrap();
    let needs = Needs {
        kept: &kept,
        durable,
        volatile: &volatile,
        circuits: &circuits,
        redis: None,
        registry: &registry,
        drain: &drain,
    };
    build(&needs).unwrap()
}

/// A question of an Envoy that has nothing yet.
fn ask() -> Ask {
    Ask { workload: "gateway".to_owned(), envoy_id: "a".to_owned(), ..Ask::default() }
}

async fn until(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(MILLISECOND).await;
    }
    panic!("it never became so");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_store_tells_of_keys_all_the_same() {
    let feed = started(&document(&json!({})), None);
    let state = feed.state;
    let exchange = feed.served.exchange.unwrap();
    assert!(feed.bus.is_none());
    until(|| state.is_loaded()).await;
    state.keys().set(ISSUER, "{\"keys\":[]}".to_owned()).unwrap();
    let ask = Ask { key_digests: [(ISSUER.to_owned(), String::new())].into(), ..ask() };
    let answer = exchange.exchange(&PeerIdentity::Loopback, &ask).await.unwrap();
    let told: Vec<&str> = answer.key_sets.iter().map(|keys| keys.jwks.as_str()).collect();
    assert_eq!(told, ["{\"keys\":[]}"]);
    // Another replica without a store has the same list, so nobody begins again there.
    let other = started(&document(&json!({})), None).state;
    until(|| other.is_loaded()).await;
    assert_eq!(other.log().unwrap().epoch(), answer.epoch);
    assert_eq!(other.log().unwrap().key(), state.log().unwrap().key());
}

#[tokio::test(start_paused = true)]
async fn without_a_store_nobody_is_told_that_nothing_is_revoked() {
    let revocation = json!({"revocation": {"max_staleness": "30s", "when_stale": "deny"}});
    let exchange = started(&document(&revocation), None).served.exchange.unwrap();
    let told = exchange.exchange(&PeerIdentity::Loopback, &ask()).await;
    assert_eq!(told, Err(Refusal::NotPermitted));
    for (when_stale, expected) in [("deny", Some("revocation_stale")), ("allow", None)] {
        let rules = json!({"max_staleness": "30s", "when_stale": when_stale});
        let document = document(&json!({"revocation": rules}));
        let denied = started(&document, None).revoked.check(&document, &token("t"), NOW).err();
        assert_eq!(denied.map(|denial| denial.reason), expected, "{when_stale}");
    }
    let silent = document(&json!({}));
    let passes = started(&silent, None).revoked.check(&silent, &token("t"), NOW);
    assert_eq!(passes, Ok(()), "the document asks for nothing");
}

#[tokio::test(start_paused = true)]
async fn what_is_revoked_by_name_is_of_the_own_issuer_and_of_its_kind() {
    let durable: Arc<dyn DurableStore> = Arc::new(MemoryDurableStore::new());
    let named = |kind, issuer: &str, value: &str| NewRevocation {
        revocation: Revocation::at(100, kind, issuer, value, 4_000_000_000).unwrap(),
        created_at: UnixMillis(100_000),
        reason: None,
    };
    let revoked = vec![
        named(RevocationKind::Session, ISSUER, "s"),
        named(RevocationKind::Subject, ISSUER, "alice"),
        named(RevocationKind::Session, "https://other.test", "theirs"),
    ];
    durable.revoke(revoked).await.unwrap();
    let document = document(&json!({}));
    let state = started(&document, Some(&durable)).state;
    until(|| state.is_loaded()).await;
    let own = OwnRevocations::new(state, Current::fixed(document), ISSUER);
    for (kind, value, issued_at, expected) in [
        (RevocationKind::Session, "s", None, true),
        (RevocationKind::Session, "theirs", None, false),
        (RevocationKind::Token, "s", None, false),
        (RevocationKind::Subject, "alice", Some(50), true),
        (RevocationKind::Subject, "alice", Some(500), false),
    ] {
        let is_revoked = own.is_named_revoked(kind, value, issued_at, NOW);
        assert_eq!(is_revoked, expected, "{kind:?} {value} {issued_at:?}");
    }
    assert!(own.is_revoked(&token("t"), NOW), "alice's, from before");
}

/// A document with a leased limit and an exact one, and this beside them.
fn leasing(beside: &Value) -> Document {
    let leased = json!({
        "key": ["claim.sub"],
        "rate": "10000/1m",
        "tiers": {"gold": "20000/1m", "vip": "unlimited"},
        "mode": "leased",
        "lease": {"sidecars": 20},
    });
    let exact = json!({"key": ["ip"], "rate": "10/1s", "mode": "exact"});
    let mut whole = json!({
        "limits": {"per-user": leased, "per-ip": exact},
        "routes": [{
            "name": "a",
            "match": {"path": "/a"},
            "service": "s",
            "auth": {"any": ["jwt"]},
            "limits": ["per-user", "per-ip"],
        }],
    });
    for (name, value) in beside.as_object().unwrap() {
        whole[name] = value.clone();
    }
    document(&whole)
}

/// The stamp of a sliding window of a limit.
fn stamp_of(limit: &str, rate: &str) -> u64 {
    let rate = Rate::parse(rate).unwrap();
    let spec = Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap();
    stamp(limit, spec)
}

/// How much of each of these is allowed, where it is leased.
fn found(limits: &DocumentLimits, named: &[(&str, &str)]) -> Vec<Option<u64>> {
    let find = |(limit, rate): &(&str, &str)| {
        let found = limits.find(stamp_of(limit, rate));
        assert!(found.is_none_or(|leased| leased.terms.sidecars() == 20));
        found.map(|leased| leased.spec.rate().requests())
    };
    named.iter().map(find).collect()
}

#[test]
fn what_is_lent_is_what_the_document_says() {
    let limits = DocumentLimits::new(&leasing(&json!({})));
    let named = [
        ("per-user", "10000/1m"),
        ("per-user", "20000/1m"),
        ("per-user", "20000/2m"),
        ("per-user", "9999/1m"),
        ("per-ip", "10/1s"),
        ("other", "10000/1m"),
    ];
    let expected = [Some(10_000), Some(20_000), None, None, None, None];
    assert_eq!(found(&limits, &named), expected);
    assert_eq!(limits.find(0), None);
}

#[test]
fn what_is_asked_for_means_the_same_in_every_document() {
    // As above, but for a tier that stands before the others, and one with another rate.
    let limit = json!({
        "key": ["claim.sub"],
        "rate": "10000/1m",
        "tiers": {"basic": "5000/1m", "gold": "20000/1m", "silver": "8000/1m"},
        "mode": "leased",
        "lease": {"sidecars": 20},
    });
    let exact = json!({"key": ["ip"], "rate": "10/1s", "mode": "exact"});
    let other = json!({"per-user": limit, "per-ip": exact});
    let limits = DocumentLimits::new(&leasing(&json!({"limits": other})));
    let named = [
        ("per-user", "10000/1m"),
        ("per-user", "20000/1m"),
        ("per-user", "5000/1m"),
        ("per-user", "8000/1m"),
        ("per-user", "7000/1m"),
    ];
    let expected = [Some(10_000), Some(20_000), Some(5_000), Some(8_000), None];
    assert_eq!(found(&limits, &named), expected);
}

#[tokio::test(start_paused = true)]
async fn slices_are_lent_also_where_nothing_is_told_of_revocations() {
    let rules = json!({"revocation": {"max_staleness": "30s", "when_stale": "deny"}});
    let feed = started(&leasing(&rules), None);
    assert!(feed.bus.is_none());
    let borrowing = Borrowing {
        workload: "gateway".to_owned(),
        envoy_id: "a".to_owned(),
        ..Borrowing::default()
    };
    let lent = feed.served.lender.unwrap().borrow(&PeerIdentity::Loopback, &borrowing).await;
    assert!(lent.is_ok(), "{lent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_judged_by_the_list() {
    let store: Arc<dyn DurableStore> = Arc::new(MemoryDurableStore::new());
    store.revoke(vec![new(ISSUER)]).await.unwrap();
    let rules = json!({"revocation": {"max_staleness": "30s", "when_stale": "deny"}});
    let document = document(&rules);
    let feed = started(&document, Some(&store));
    let reason = |name| {
        let denied = feed.revoked.check(&document, &token(name), NOW).err();
        denied.map_or("", |denial| denial.reason)
    };
    assert_eq!(reason("t"), "revocation_stale", "the list has not been read");
    until(|| feed.state.is_loaded()).await;
    assert_eq!(reason("t"), "token_revoked");
    assert_eq!(reason("other"), "");
}

#[tokio::test(start_paused = true)]
async fn what_this_server_revokes_it_knows_at_once_whosever_tokens() {
    let store: Arc<dyn DurableStore> = Arc::new(MemoryDurableStore::new());
    let feed = started(&document(&json!({})), Some(&store));
    let (state, bus) = (feed.state, feed.bus.unwrap());
    until(|| state.is_loaded()).await;
    tokio::time::sleep(MILLISECOND * 300).await;
    let before = tokio::time::Instant::now();
    let seqs = store.revoke(vec![new("https://other.test"), new(ISSUER)]).await.unwrap();
    bus.publish(seqs[1], &[], UnixMillis(0)).await.unwrap();
    until(|| state.log().is_some_and(|log| log.cursor() == seqs[1])).await;
    assert!(before.elapsed() <= MILLISECOND * 60, "{:?}", before.elapsed());
    assert_eq!(state.log().unwrap().records(), 2);
}

#[test]
fn envoys_come_back_as_the_document_says() {
    for (beside, poll, idle) in [
        (json!({}), 1_000, 10_000),
        (json!({"feed": {"poll": "200ms"}}), 200, 10_000),
        (json!({"feed": {"poll": "1m"}}), 60_000, 60_000),
        (json!({"revocation": {"max_staleness": "6s", "when_stale": "deny"}}), 1_000, 2_000),
        (json!({"revocation": {"max_staleness": "2s", "when_stale": "deny"}}), 1_000, 1_000),
    ] {
        let settings = settings(&document(&beside));
        assert!(settings.problems().is_empty(), "{beside}: {:?}", settings.problems());
        let answers = settings.answers;
        assert_eq!(answers.poll_interval, MILLISECOND * poll, "{beside}");
        assert_eq!(answers.idle_poll_interval, MILLISECOND * idle, "{beside}");
    }
}

#[test]
fn the_list_is_read_twice_within_what_the_document_allows() {
    for (max_staleness, expected) in
        [(None, 30_000), (Some("5m"), 30_000), (Some("20s"), 10_000), (Some("2s"), 1_000)]
    {
        let rules = max_staleness.map(|most| json!({"max_staleness": most, "when_stale": "deny"}));
        let settings = settings(&document(&json!({"revocation": rules})));
        assert!(settings.problems().is_empty(), "{max_staleness:?}: {:?}", settings.problems());
        assert_eq!(settings.reading.safety_interval, MILLISECOND * expected, "{max_staleness:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_fetches_is_told_whose_keys_are_wanted() {
    let kept = testing::kept(document(&json!({})));
    let keys = Arc::clone(&kept.newest().keys);
    let wanted = WantedKeys::new(kept);
    let told = async || tokio::time::timeout(MILLISECOND, keys.wanted(0)).await.is_ok();
    postern_feed::KeysWanted::wanted(&wanted, "https://other.test");
    assert!(!told().await);
    postern_feed::KeysWanted::wanted(&wanted, ISSUER);
    assert!(told().await);
    assert!(!told().await);
}

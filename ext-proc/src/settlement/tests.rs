use std::time::Instant;

use postern_ext_authz::{GiveBackWhen, Owed};
use postern_limits::{Algorithm, Anchor, InFlight, Rate, Spec};
use postern_store::MemoryStore;
use postern_store::away::Away;
use postern_store::limiter::{Asked, WhenStoreFails};
use postern_store::volatile::{LimitAsk, LimitKey, Take, VolatileStore};
use postern_telemetry::MetricsRegistry;

use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_500);

pub(crate) struct Fixture {
    pub(crate) settlement: Arc<Settlement>,
    pub(crate) tickets: Tickets,
    limiter: Arc<Limiter>,
    registry: MetricsRegistry,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(MemoryStore::default()))
    }

    fn with(store: Arc<dyn VolatileStore>) -> Self {
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        let metrics = SettlementMetrics::new(&registry).unwrap();
        let limiter = Arc::new(Limiter::new(store, Arc::default()));
        let tickets = Tickets::derived_from(b"the replicas' secret");
        let settlement = Settlement::new(Arc::clone(&limiter), tickets.clone(), metrics);
        Self { settlement: Arc::new(settlement), tickets, limiter, registry }
    }

    /// Whether there is room.
    pub(crate) async fn takes(&self, take: Take) -> bool {
        let ask = LimitAsk { key: key(), take, shadow: false };
        let asked = Asked { ask, when_store_fails: WhenStoreFails::LocalShare };
        self.limiter.decide(&[asked], None, 2, NOW).await.decision.allowed
    }

    async fn settle(&self, ticket: &str, successful: bool) {
        let ended = Ended { ticket: ticket.to_owned(), successful: Some(successful) };
        self.settlement.settle(&[ended], NOW).await;
    }

    /// How often tickets had this outcome.
    pub(crate) fn settled(&self, outcome: &str) -> u64 {
        let metric = "postern_limit_settlements_total{";
        self.counted(metric, &format!("outcome=\"{outcome}\""))
    }

    /// A counter's value; 0 before it shows anything.
    pub(crate) fn counted(&self, begins: &str, label: &str) -> u64 {
        let text = self.registry.encode(Instant::now()).unwrap();
        let mut lines =
            text.lines().filter(|line| line.starts_with(begins) && line.contains(label));
        lines.next().map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }
}

fn key() -> LimitKey {
    LimitKey { owner: 1, hash: [2; 16] }
}

/// One place of so many.
pub(crate) fn place(max: u32, id: u64) -> Take {
    Take::InFlight { spec: InFlight::new(max, 60_000).unwrap(), id }
}

/// All that a rate allows at once.
fn all() -> Take {
    let rate = Rate::new(3, 3_600_000).unwrap();
    let spec = Spec::new(Algorithm::FixedWindow, rate, None, Anchor::FirstHit).unwrap();
    Take::Rate { spec, cost: 3 }
}

pub(crate) fn owed(take: Take, when: GiveBackWhen) -> Owed {
    Owed { taken: GiveBack { key: key(), take }, when }
}

#[tokio::test]
async fn a_place_is_given_back_however_the_request_ended() {
    for successful in [true, false] {
        let fixture = Fixture::new();
        assert!(fixture.takes(place(1, 1)).await);
        assert!(!fixture.takes(place(1, 2)).await);
        let owed = [owed(place(1, 1), GiveBackWhen::Ended)];
        let ticket = fixture.tickets.issue(&owed, None, NOW).unwrap();
        fixture.settle(&ticket, successful).await;
        assert!(fixture.takes(place(1, 2)).await, "{successful}");
        assert_eq!(fixture.settled("given_back"), 1);
    }
}

#[tokio::test]
async fn what_counts_is_kept() {
    for (when, successful, is_back) in [
        (GiveBackWhen::Successful, true, true),
        (GiveBackWhen::Successful, false, false),
        (GiveBackWhen::Failed, true, false),
        (GiveBackWhen::Failed, false, true),
    ] {
        let fixture = Fixture::new();
        assert!(fixture.takes(all()).await);
        let ticket = fixture.tickets.issue(&[owed(all(), when)], None, NOW).unwrap();
        fixture.settle(&ticket, successful).await;
        assert_eq!(fixture.takes(all()).await, is_back, "{when:?} {successful}");
        let (back, kept) = (fixture.settled("given_back"), fixture.settled("kept"));
        assert_eq!((back, kept), if is_back { (1, 0) } else { (0, 1) });
    }
}

#[tokio::test]
async fn a_ticket_is_settled_once() {
    let fixture = Fixture::new();
    assert!(fixture.takes(all()).await);
    let owed = [owed(all(), GiveBackWhen::Successful)];
    let ticket = fixture.tickets.issue(&owed, None, NOW).unwrap();
    fixture.settle(&ticket, true).await;
    assert!(fixture.takes(all()).await);
    fixture.settle(&ticket, true).await;
    assert!(!fixture.takes(all()).await, "what another request took");
    assert_eq!(fixture.settled("repeated"), 1);
    // Whatever it said the first time.
    let ticket = fixture.tickets.issue(&owed, None, NOW).unwrap();
    fixture.settle(&ticket, false).await;
    fixture.settle(&ticket, true).await;
    assert!(!fixture.takes(all()).await);
    assert_eq!((fixture.settled("kept"), fixture.settled("repeated")), (1, 2));
}

#[tokio::test]
async fn only_tickets_of_ours_give_anything_back() {
    let fixture = Fixture::new();
    assert!(fixture.takes(all()).await);
    let owed = [owed(all(), GiveBackWhen::Successful)];
    let good = fixture.tickets.issue(&owed, None, NOW).unwrap();
    // What it says first is its version.
    let altered = good.replacen('A', "B", 1);
    let old = UnixMillis(NOW.0 - postern_ext_authz::TICKET_LIFE_MS - 1);
    let more = "A".repeat(postern_ext_authz::MAX_TICKET_CHARS + 4);
    for (ticket, outcome) in [
        (Tickets::random().unwrap().issue(&owed, None, NOW).unwrap(), "forged"),
        (altered, "forged"),
        (fixture.tickets.issue(&owed, None, old).unwrap(), "too_old"),
        (good.clone() + &more, "unreadable"),
        ("ticket".to_owned(), "unreadable"),
        (String::new(), "unreadable"),
    ] {
        let before = fixture.settled(outcome);
        fixture.settle(&ticket, true).await;
        assert_eq!(fixture.settled(outcome), before + 1, "{outcome}");
        assert!(!fixture.takes(all()).await, "{outcome}: {ticket}");
    }
    fixture.settle(&good, true).await;
    assert!(fixture.takes(all()).await);
}

#[tokio::test]
async fn many_are_settled_in_one_call() {
    let fixture = Fixture::new();
    let mut ended = Vec::new();
    for id in 0..3 {
        assert!(fixture.takes(place(3, id)).await);
        let owed = [owed(place(3, id), GiveBackWhen::Ended)];
        let ticket = fixture.tickets.issue(&owed, None, NOW).unwrap();
        ended.push(Ended { ticket, successful: Some(true) });
    }
    assert!(!fixture.takes(place(3, 9)).await);
    ended.push(ended[0].clone());
    fixture.settlement.settle(&ended, NOW).await;
    for id in 10..13 {
        assert!(fixture.takes(place(3, id)).await);
    }
    assert_eq!((fixture.settled("given_back"), fixture.settled("repeated")), (3, 1));
}

#[tokio::test]
async fn without_the_store_what_was_taken_here_is_given_back_here() {
    let fixture = Fixture::with(Arc::new(Away));
    assert!(fixture.takes(place(2, 1)).await);
    assert!(!fixture.takes(place(2, 2)).await, "two replicas share two");
    let owed = [owed(place(2, 1), GiveBackWhen::Ended)];
    let here = fixture.tickets.issue(&owed, Some(2), NOW).unwrap();
    let there = fixture.tickets.issue(&owed, None, NOW).unwrap();
    fixture.settle(&there, true).await;
    assert_eq!(fixture.settled("lost"), 1);
    assert!(!fixture.takes(place(2, 2)).await, "that was another place");
    fixture.settle(&here, true).await;
    assert!(fixture.takes(place(2, 2)).await);
    assert_eq!(fixture.settled("given_back"), 1);
}

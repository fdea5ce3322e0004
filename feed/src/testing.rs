//! What the tests of this crate share: a list in memory, a bus, a clock that is moved by hand,
//! an Envoy.

pub(crate) mod circuits;
pub(crate) mod lending;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postern_request::UnixMillis;
use postern_revocation::bucket::BUCKETS;
use postern_revocation::{FingerprintKey, Record, Revocation, RevocationKind};
use postern_telemetry::{Drain, MetricsRegistry, Moment};
use tokio::sync::mpsc;

use crate::answer::{Answer, Content, Refusal};
use crate::ask::{Ask, Progress};
use crate::circuits::view::CircuitsView;
use crate::exchange::{Exchange, ExchangeParts};
use crate::keys::KeysWanted;
use crate::loader::Loader;
use crate::metrics::Metrics;
use crate::pace::Jitter;
use crate::peer::{PeerIdentity, Peers};
use crate::settings::Settings;
use crate::source::{Entry, RevocationSource, SourceError, SourceIdentity, SourceRecord};
use crate::source::{WakeUp, WakeUps};
use crate::state::FeedState;
use crate::{BoxFuture, Clock};

pub(crate) const ISSUER: &str = "https://issuer.example.test";
/// When the tests begin, in seconds.
pub(crate) const START: u64 = 1_000_000_000;

/// The durable list, in memory.
pub(crate) struct FakeSource(Mutex<Inner>);

struct Inner {
    identity: SourceIdentity,
    entries: Vec<SourceRecord>,
    /// Calls that still succeed; none: all.
    good_calls: Option<usize>,
    reads: usize,
    calls: usize,
}

impl FakeSource {
    pub(crate) fn new(epoch: u64) -> Arc<Self> {
        let identity = SourceIdentity { epoch, key: FingerprintKey::new([5; 16]) };
        Arc::new(Self(Mutex::new(Inner {
            identity,
            entries: Vec::new(),
            good_calls: None,
            reads: 0,
            calls: 0,
        })))
    }

    /// The same list, as a replica's connection sees it that is behind.
    pub(crate) fn up_to(&self, seq: u64) -> Arc<Self> {
        let inner = self.0.lock().unwrap();
        let entries = inner.entries.iter().filter(|entry| entry.seq <= seq).cloned().collect();
        let (identity, good_calls) = (inner.identity, None);
        let (reads, calls) = (0, 0);
        Arc::new(Self(Mutex::new(Inner { identity, entries, good_calls, reads, calls })))
    }

    pub(crate) fn push(&self, entry: Entry) -> u64 {
        let mut inner = self.0.lock().unwrap();
        let seq = inner.entries.last().map_or(1, |entry| entry.seq + 1);
        inner.entries.push(SourceRecord { seq, entry });
        seq
    }

    pub(crate) fn revoke(&self, jti: &str) -> u64 {
        self.revoke_until(jti, START + 36_000)
    }

    pub(crate) fn revoke_until(&self, jti: &str, expires_at: u64) -> u64 {
        let kind = RevocationKind::Token;
        self.push(Entry::Revoked(Revocation::at(START, kind, ISSUER, jti, expires_at).unwrap()))
    }

    pub(crate) fn become_another(&self, epoch: u64) {
        let mut inner = self.0.lock().unwrap();
        inner.identity = SourceIdentity { epoch, key: FingerprintKey::new([6; 16]) };
        inner.entries.clear();
    }

    pub(crate) fn good_calls(&self, calls: Option<usize>) {
        self.0.lock().unwrap().good_calls = calls;
    }

    /// Pages that were asked for.
    pub(crate) fn reads(&self) -> usize {
        self.0.lock().unwrap().reads
    }

    /// All calls.
    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    fn call<T>(&self, answer: impl FnOnce(&mut Inner) -> T) -> Result<T, SourceError> {
        let mut inner = self.0.lock().unwrap();
        inner.calls += 1;
        match &mut inner.good_calls {
            Some(0) => return Err(SourceError::Unavailable("for the test".to_owned())),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(answer(&mut inner))
    }
}

impl RevocationSource for FakeSource {
    fn feed_identity(&self) -> BoxFuture<'_, Result<SourceIdentity, SourceError>> {
        Box::pin(async move { self.call(|inner| inner.identity) })
    }

    fn revocations_since(
        &self,
        after_seq: u64,
        limit: u32,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Vec<SourceRecord>, SourceError>> {
        Box::pin(async move {
            self.call(|inner| {
                inner.reads += 1;
                let is_alive = |record: &&SourceRecord| match &record.entry {
                    Entry::Revoked(revocation) => revocation.expires_at() > now.as_secs(),
                    Entry::Unreadable => true,
                };
                let entries = inner.entries.iter().filter(|entry| entry.seq > after_seq);
                let entries = entries.filter(is_alive);
                entries.take(usize::try_from(limit).unwrap()).cloned().collect()
            })
        })
    }
}

struct Channel(mpsc::UnboundedReceiver<WakeUp>);

impl WakeUps for Channel {
    fn next(&mut self) -> BoxFuture<'_, WakeUp> {
        Box::pin(async move {
            match self.0.recv().await {
                Some(word) => word,
                None => std::future::pending().await,
            }
        })
    }
}

/// Tokio's time, and a wall clock that can be stepped.
#[derive(Clone)]
pub(crate) struct TestClock {
    started: tokio::time::Instant,
    skew_ms: Arc<AtomicI64>,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { started: tokio::time::Instant::now(), skew_ms: Arc::default() }
    }

    pub(crate) fn step(&self, millis: i64) {
        self.skew_ms.fetch_add(millis, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Moment {
        let now = tokio::time::Instant::now();
        let passed = u64::try_from((now - self.started).as_millis()).unwrap();
        let wall =
            (START * 1_000 + passed).saturating_add_signed(self.skew_ms.load(Ordering::Relaxed));
        Moment { monotonic: now.into_std(), wall: UnixMillis(wall) }
    }
}

/// One replica.
pub(crate) struct Rig {
    pub(crate) source: Arc<FakeSource>,
    pub(crate) state: Arc<FeedState>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) clock: TestClock,
    pub(crate) drain: Drain,
    pub(crate) wanted: Arc<WantedKeys>,
    words: mpsc::UnboundedSender<WakeUp>,
    registry: MetricsRegistry,
}

/// Everybody may ask for `payments`, and nobody for anything else.
struct Anybody;

impl Peers for Anybody {
    fn may_ask_for(&self, _: &PeerIdentity, workload: &str) -> bool {
        workload == "payments"
    }
}

/// Issuers whose keys were wanted, in order.
#[derive(Default)]
pub(crate) struct WantedKeys(Mutex<Vec<String>>);

impl WantedKeys {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl KeysWanted for WantedKeys {
    fn wanted(&self, issuer: &str) {
        self.0.lock().unwrap().push(issuer.to_owned());
    }
}

impl Rig {
    /// A replica whose loader has just started.
    pub(crate) fn start(source: &Arc<FakeSource>, settings: Settings) -> Self {
        Self::showing(source, settings, None)
    }

    fn showing(
        source: &Arc<FakeSource>,
        settings: Settings,
        circuits: Option<Arc<CircuitsView>>,
    ) -> Self {
        let clock = TestClock::new();
        let read = {
            let clock = clock.clone();
            Arc::new(move || clock.now()) as Clock
        };
        let registry = MetricsRegistry::new("test", std::time::Instant::now()).unwrap();
        let metrics = Metrics::new(&registry).unwrap();
        let state = FeedState::new(settings).unwrap();
        let (words, heard) = mpsc::unbounded_channel();
        let loader = Loader::new(
            Arc::clone(&state),
            Arc::clone(source) as Arc<dyn RevocationSource>,
            Box::new(Channel(heard)),
            metrics.clone(),
            Arc::clone(&read),
        );
        tokio::spawn(loader.run());
        let drain = Drain::new(Duration::from_secs(10));
        let wanted = Arc::new(WantedKeys::default());
        let parts = ExchangeParts {
            state: Arc::clone(&state),
            peers: Arc::new(Anybody),
            keys_wanted: Arc::clone(&wanted) as Arc<dyn KeysWanted>,
            circuits,
            document_digest: Arc::new(|| "document".to_owned()),
            drain: drain.clone(),
            clock: read,
            metrics,
        };
        let exchange = Arc::new(Exchange::new(parts, Jitter::seeded(3)).unwrap());
        let source = Arc::clone(source);
        Self { source, state, exchange, clock, drain, wanted, words, registry }
    }

    /// A replica that has read everything and hears the bus.
    pub(crate) async fn loaded(source: &Arc<FakeSource>, settings: Settings) -> Self {
        Self::start(source, settings).read().await
    }

    /// The same with circuits that it tells of.
    pub(crate) async fn loaded_with(source: &Arc<FakeSource>, view: &Arc<CircuitsView>) -> Self {
        Self::showing(source, Settings::default(), Some(Arc::clone(view))).read().await
    }

    async fn read(self) -> Self {
        let rig = self;
        rig.say(WakeUp::Connected);
        let clock = rig.clock.clone();
        rig.until(|| rig.state.staleness(clock.now().monotonic) == Some(Duration::ZERO)).await;
        rig
    }

    pub(crate) fn say(&self, word: WakeUp) {
        self.words.send(word).unwrap();
    }

    /// Revokes, and says so.
    pub(crate) fn revoke(&self, jti: &str) {
        self.source.revoke(jti);
        self.say(WakeUp::News);
    }

    /// Lets time pass until something is so.
    pub(crate) async fn until(&self, condition: impl Fn() -> bool) {
        for _ in 0..100_000 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("it never became so");
    }

    /// Until the log goes up to the list's last entry.
    pub(crate) async fn caught_up(&self) {
        let last = self.source.0.lock().unwrap().entries.last().map_or(0, |entry| entry.seq);
        self.until(|| self.state.log().is_some_and(|log| log.cursor() >= last)).await;
    }

    pub(crate) fn records(&self) -> usize {
        self.state.log().map_or(0, |log| log.records())
    }

    pub(crate) fn staleness(&self) -> Option<Duration> {
        self.state.staleness(self.clock.now().monotonic)
    }

    /// A metric's value, by the beginning of its line.
    pub(crate) fn metric(&self, start: &str) -> f64 {
        metric(&self.registry, start)
    }
}

fn metric(registry: &MetricsRegistry, start: &str) -> f64 {
    let text = registry.encode(std::time::Instant::now()).unwrap();
    let line = text.lines().find(|line| line.starts_with(start));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
}

/// An Envoy's elected VM, as far as the protocol goes.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) ask: Ask,
    pub(crate) peer: PeerIdentity,
    pub(crate) key: Option<FingerprintKey>,
    held: BTreeMap<u64, Record>,
    building: BTreeMap<u64, Record>,
}

impl Client {
    pub(crate) fn new(envoy_id: &str) -> Self {
        let ask = Ask {
            workload: "payments".to_owned(),
            envoy_id: envoy_id.to_owned(),
            document_digest: "document".to_owned(),
            ..Ask::default()
        };
        let (held, building) = (BTreeMap::new(), BTreeMap::new());
        Self { ask, peer: PeerIdentity::Loopback, key: None, held, building }
    }

    /// One that waits for news.
    pub(crate) fn waiting(mut self, wait: Duration) -> Self {
        self.ask.wait = wait;
        self
    }

    /// Asks once, and applies the answer.
    pub(crate) async fn exchange(&mut self, rig: &Rig) -> Result<Answer, Refusal> {
        let answer = rig.exchange.exchange(&self.peer, &self.ask).await?;
        self.apply(&answer);
        Ok(answer)
    }

    /// Asks until there is nothing more to be had at once.
    pub(crate) async fn sync(&mut self, rig: &Rig) {
        let wait = std::mem::take(&mut self.ask.wait);
        loop {
            if self.exchange(rig).await.unwrap().next_poll > Duration::ZERO {
                break;
            }
        }
        self.ask.wait = wait;
    }

    pub(crate) fn apply(&mut self, answer: &Answer) {
        for keys in &answer.key_sets {
            self.ask.key_digests.insert(keys.issuer.clone(), keys.digest.clone());
        }
        if let Some(circuits) = &answer.circuits {
            self.ask.circuits_version = circuits.version;
        }
        match &answer.content {
            Content::Nothing => {}
            Content::Added(records) => {
                assert_eq!(answer.epoch, self.ask.epoch, "a delta of another epoch");
                for record in records {
                    let held = self.held.entry(record.fingerprint.0).or_insert(*record);
                    *held = held.widened(*record);
                }
            }
            Content::Snapshot { key, piece, .. } => {
                if piece.first_bucket == 0 {
                    self.building.clear();
                } else {
                    let before = self.ask.snapshot.unwrap();
                    assert_eq!(piece.first_bucket, before.next_bucket);
                    assert!(answer.cursor <= before.cursor, "it never goes up");
                }
                for bytes in &piece.buckets {
                    for record in Record::decode_all(bytes).unwrap() {
                        self.building.insert(record.fingerprint.0, record);
                    }
                }
                let buckets = u32::try_from(piece.buckets.len()).unwrap();
                let next_bucket = piece.first_bucket + buckets;
                let epoch = Some(answer.epoch);
                self.ask.snapshot = Some(Progress { epoch, cursor: answer.cursor, next_bucket });
                if !piece.last {
                    return;
                }
                assert_eq!(next_bucket, BUCKETS);
                self.held = std::mem::take(&mut self.building);
                self.ask.snapshot = None;
                self.ask.epoch = answer.epoch;
                self.key = Some(*key);
            }
        }
        if answer.epoch == self.ask.epoch {
            self.ask.cursor = answer.cursor;
        }
    }

    /// Whether exactly these tokens are revoked.
    pub(crate) fn assert_holds<'t>(&self, tokens: impl IntoIterator<Item = &'t str>) {
        let key = self.key.unwrap();
        let of = |jti: &str| key.of(RevocationKind::Token, ISSUER, jti).0;
        let expected: BTreeSet<u64> = tokens.into_iter().map(of).collect();
        assert_eq!(self.held.keys().copied().collect::<BTreeSet<u64>>(), expected);
    }
}

//! The feed: revoked tokens, kept in memory from the durable store, and issuers' keys, told to
//! Envoys and asked by `ext_authz`; slices of leased limits, lent to Envoys; and what Envoys report
//! of services with circuits.
//!
//! It is there whatever the document says: with another document Envoys may have something to ask.

mod keys;
mod leased;
pub mod peers;
mod revoked;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use postern_document::Document;
use postern_ext_authz::Revoked;
use postern_feed::{
    BusWakeUps, Circuits, CircuitsParts, Clock, Exchange, ExchangeParts, FeedState, Jitter,
    LeasedLimits, Lender, LenderParts, Loader, Metrics, NothingListed, PeerIdentity, Peers,
    Retention, RevocationSource, Served, Settings, StoredRevocations,
};
use postern_store::bus::{LocalBus, RevocationBus};
use postern_store::durable::{DurableStore, RevocationStore};
use postern_store::volatile::VolatileStore;
use postern_store_redis::RedisStore;
use postern_telemetry::{Drain, MetricsRegistry, Moment};

use self::keys::WantedKeys;
pub use self::leased::DocumentLimits;
pub use self::revoked::OwnRevocations;
use self::revoked::{KnownRevocations, NothingKnown};
use super::circuits::Shared;
use super::in_use::Kept;

/// The list is read no more often than this without news, however short `max_staleness` is.
const SHORTEST_SAFETY_INTERVAL: Duration = Duration::from_secs(1);

/// What it is made of.
pub struct Needs<'a> {
    /// What Envoys must know, who may ask, and what may be lent.
    pub kept: &'a Arc<Kept>,
    /// Where revocations are kept.
    pub durable: Option<&'a Arc<dyn DurableStore>>,
    /// Where limits are counted, and circuits shared.
    pub volatile: &'a Arc<dyn VolatileStore>,
    /// What is shown of circuits.
    pub circuits: &'a Shared,
    /// The bus between replicas.
    pub redis: Option<&'a Arc<RedisStore>>,
    /// For metrics.
    pub registry: &'a MetricsRegistry,
    /// Once it begins, nobody waits.
    pub drain: &'a Drain,
}

/// What the rest of the server gets of it.
pub struct Feed {
    /// For the gRPC port.
    pub served: Served,
    /// For `ext_authz`.
    pub revoked: Arc<dyn Revoked>,
    /// For readiness, for whoever brings keys, and for whoever brings another document.
    pub state: Arc<FeedState>,
    /// For whoever revokes: wakes this server at once, and the others where there is a bus. None
    /// without a durable store.
    pub bus: Option<Arc<dyn RevocationBus>>,
}

/// The list of what is revoked, and the bell that says that it grew.
struct List {
    source: Arc<dyn RevocationSource>,
    bus: Arc<dyn RevocationBus>,
}

/// Starts reading what is revoked, where there is a durable store that knows, telling of keys, and
/// lending what is leased.
///
/// # Errors
/// When a metric cannot be registered.
pub fn build(needs: &Needs<'_>) -> Result<Feed> {
    let Needs { kept, durable, .. } = *needs;
    let document = Arc::clone(&kept.newest().document);
    warn(&document, durable.is_some());
    let list = list(needs);
    let clock: Clock = Arc::new(Moment::now);
    let settings = settings(&document);
    let metrics = Metrics::new(needs.registry)?;
    let lender = lender(needs, &settings, &clock, &metrics)?;
    let circuits = circuits(needs, &settings, &clock, &metrics)?;
    let state = FeedState::new(settings).context("the feed's settings")?;
    let loader = Loader::new(
        Arc::clone(&state),
        list.source,
        Box::new(BusWakeUps::new(list.bus.subscribe())),
        metrics.clone(),
        Arc::clone(&clock),
    );
    tokio::spawn(loader.run());
    // Whatever roles a server has: those of several replicas do each other no harm, and one that
    // finds nothing has looked into an index.
    if let Some(store) = durable.map(revocations_of) {
        let retention =
            Retention::new(store, metrics.clone(), Arc::clone(&clock), Jitter::random());
        tokio::spawn(retention.run());
    }
    let exchange = Exchange::new(parts(needs, &state, clock, metrics), Jitter::random())
        .context("the feed's settings")?;
    let revoked: Arc<dyn Revoked> = match durable {
        Some(_) => Arc::new(KnownRevocations::new(Arc::clone(&state))),
        None => Arc::new(NothingKnown),
    };
    Ok(Feed {
        served: Served {
            exchange: Some(Arc::new(exchange)),
            lender: Some(lender),
            circuits: Some(circuits),
            trust: kept.trust(),
        },
        revoked,
        state,
        bus: durable.map(|_| list.bus),
    })
}

/// Says so where a document asks for what cannot be.
pub fn warn(document: &Document, has_durable: bool) {
    peers::warn_of_nobody(&document.feed);
    if document.revocation.is_some() && !has_durable {
        tracing::warn!(
            "the document asks for `revocation`, and there is no durable store (--durable) to keep \
             what is revoked in: no Envoy is told anything, and `when_stale` holds"
        );
    }
}

fn lender(
    needs: &Needs<'_>,
    settings: &Settings,
    clock: &Clock,
    metrics: &Metrics,
) -> Result<Arc<Lender>> {
    let parts = LenderParts {
        limits: Arc::<Kept>::clone(needs.kept) as Arc<dyn LeasedLimits>,
        document_digest: digest_of(needs.kept),
        store: Arc::clone(needs.volatile),
        peers: Arc::<Kept>::clone(needs.kept) as Arc<dyn Peers>,
        clock: Arc::clone(clock),
        metrics: metrics.clone(),
    };
    let lender = Lender::new(parts, settings, Jitter::random()).context("the feed's settings")?;
    Ok(Arc::new(lender))
}

fn circuits(
    needs: &Needs<'_>,
    settings: &Settings,
    clock: &Clock,
    metrics: &Metrics,
) -> Result<Arc<Circuits>> {
    let Shared { services, view, metrics: of_circuits } = needs.circuits;
    let store = Arc::<dyn VolatileStore>::clone(needs.volatile);
    let parts = CircuitsParts {
        services: Arc::clone(services),
        document_digest: digest_of(needs.kept),
        store,
        peers: Arc::<Kept>::clone(needs.kept) as Arc<dyn Peers>,
        view: Arc::clone(view),
        clock: Arc::clone(clock),
        metrics: metrics.clone(),
        of_circuits: of_circuits.clone(),
    };
    let circuits = Circuits::new(parts, settings, Jitter::random());
    Ok(Arc::new(circuits.context("the feed's settings")?))
}

fn parts(
    needs: &Needs<'_>,
    state: &Arc<FeedState>,
    clock: Clock,
    metrics: Metrics,
) -> ExchangeParts {
    let told = Told { kept: Arc::clone(needs.kept), knows: needs.durable.is_some() };
    ExchangeParts {
        state: Arc::clone(state),
        peers: Arc::new(told),
        keys_wanted: Arc::new(WantedKeys::new(Arc::clone(needs.kept))),
        circuits: Some(Arc::clone(&needs.circuits.view)),
        document_digest: digest_of(needs.kept),
        drain: needs.drain.clone(),
        clock,
        metrics,
    }
}

/// Who is told anything: nobody is told that nothing is revoked where the document asks for that and
/// nobody could know.
struct Told {
    kept: Arc<Kept>,
    /// There is a durable store.
    knows: bool,
}

impl Peers for Told {
    fn may_ask_for(&self, peer: &PeerIdentity, workload: &str) -> bool {
        let newest = self.kept.newest();
        let is_asked = newest.document.revocation.is_some();
        (self.knows || !is_asked) && newest.peers.may_ask_for(peer, workload)
    }
}

fn digest_of(kept: &Arc<Kept>) -> Arc<dyn Fn() -> String + Send + Sync> {
    let kept = Arc::clone(kept);
    Arc::new(move || kept.newest().document.digest.clone())
}

/// Without a durable store nobody but this server could list anything, so nothing can have been
/// missed.
fn list(needs: &Needs<'_>) -> List {
    let Some(durable) = needs.durable else {
        return List { source: Arc::new(NothingListed), bus: Arc::new(LocalBus::default()) };
    };
    // All issuers', whichever the document takes: during a change of it Envoys run both.
    let source = StoredRevocations::new(revocations_of(durable));
    List { source: Arc::new(source), bus: bus(needs.redis) }
}

/// Without Redis nobody else can be heard: what commands and other replicas revoke is found by
/// reading every second, and what this server revokes at once.
fn bus(redis: Option<&Arc<RedisStore>>) -> Arc<dyn RevocationBus> {
    let Some(redis) = redis else { return Arc::new(LocalBus::unconnected()) };
    let listening = Arc::clone(redis);
    tokio::spawn(async move { listening.keep_listening().await });
    Arc::<RedisStore>::clone(redis)
}

fn revocations_of(durable: &Arc<dyn DurableStore>) -> Arc<dyn RevocationStore> {
    Arc::<dyn DurableStore>::clone(durable)
}

/// The list is read twice within `max_staleness` whatever the bus says: one that is connected and
/// loses what is written to it would otherwise have the server call fresh what it has missed.
///
/// Envoys come back as often as the document says. An idle one may take longer, but is never on
/// the edge of knowing too little: the next request ends its rest without a warning.
pub fn settings(document: &Document) -> Settings {
    let mut settings = Settings::default();
    let answers = &mut settings.answers;
    if let Some(poll_ms) = document.feed.poll_ms {
        answers.poll_interval = Duration::from_millis(poll_ms);
    }
    if let Some(revocation) = &document.revocation {
        let most = Duration::from_millis(revocation.max_staleness_ms / 3);
        answers.idle_poll_interval = answers.idle_poll_interval.min(most);
        let reading = &mut settings.reading;
        let half = Duration::from_millis(revocation.max_staleness_ms / 2);
        reading.safety_interval = reading.safety_interval.min(half.max(SHORTEST_SAFETY_INTERVAL));
    }
    answers.idle_poll_interval = answers.idle_poll_interval.max(answers.poll_interval);
    settings
}

#[cfg(test)]
mod tests;

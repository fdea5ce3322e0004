//! Revoked tokens: kept in memory from the durable store, told to Envoys, asked by `ext_authz`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use postern_document::{Document, OnFailure};
use postern_ext_authz::{NothingRevoked, Revoked};
use postern_feed::{
    BusWakeUps, Clock, Exchange, ExchangeParts, FeedState, Jitter, ListedPeers, Loader, Metrics,
    NoWakeUps, PeerIdentity, Settings, StoredRevocations, Trust, WakeUps, Workloads,
};
use postern_jose::VerifiedToken;
use postern_request::{Denial, ErrorCode, UnixMillis};
use postern_revocation::Marks;
use postern_store::bus::RevocationBus as _;
use postern_store::durable::{DurableStore, RevocationStore};
use postern_store_redis::RedisStore;
use postern_telemetry::{Drain, MetricsRegistry, Moment};

/// What the rest of the server gets of it.
pub struct Feed {
    /// For the gRPC port; none without a durable store.
    pub exchange: Option<Arc<Exchange>>,
    /// For `ext_authz`.
    pub revoked: Arc<dyn Revoked>,
    /// For readiness.
    pub state: Option<Arc<FeedState>>,
}

/// Starts reading what is revoked, where there is a durable store that knows.
///
/// # Errors
/// When a metric cannot be registered.
pub fn build(
    document: &Document,
    durable: Option<&Arc<dyn DurableStore>>,
    redis: Option<&Arc<RedisStore>>,
    registry: &MetricsRegistry,
    drain: &Drain,
) -> Result<Feed> {
    let Some(durable) = durable else {
        return Ok(Feed { exchange: None, revoked: Arc::new(NothingRevoked), state: None });
    };
    let clock: Clock = Arc::new(Moment::now);
    let state = FeedState::new(Settings::default()).context("the feed's settings")?;
    let metrics = Metrics::new(registry)?;
    let store: Arc<dyn RevocationStore> = Arc::clone(durable) as Arc<dyn RevocationStore>;
    let source = Arc::new(StoredRevocations::new(store));
    // Without a bus, what commands and other replicas revoke is found by reading every second.
    let wake_ups: Box<dyn WakeUps> = match redis {
        Some(redis) => {
            let listening = Arc::clone(redis);
            tokio::spawn(async move { listening.keep_listening().await });
            Box::new(BusWakeUps::new(redis.subscribe()))
        }
        None => Box::new(NoWakeUps),
    };
    let loader =
        Loader::new(Arc::clone(&state), source, wake_ups, metrics.clone(), Arc::clone(&clock));
    tokio::spawn(loader.run());
    let digest = document.digest.clone();
    let exchange = Exchange::new(
        ExchangeParts {
            state: Arc::clone(&state),
            peers: Arc::new(ListedPeers::new([(PeerIdentity::Loopback, Workloads::All)])),
            document_digest: Arc::new(move || digest.clone()),
            drain: drain.clone(),
            clock,
            metrics,
        },
        Jitter::random(),
    )
    .context("the feed's settings")?;
    let revoked = Arc::new(KnownRevocations { state: Arc::clone(&state) });
    Ok(Feed { exchange: Some(Arc::new(exchange)), revoked, state: Some(state) })
}

/// Whom the feed answers: nobody but this machine, until the document says whom else.
pub fn trust() -> Trust {
    Trust::default()
}

/// What `ext_authz` goes by: the set that filters are told.
struct KnownRevocations {
    state: Arc<FeedState>,
}

impl Revoked for KnownRevocations {
    fn check(
        &self,
        document: &Document,
        token: &VerifiedToken,
        now: UnixMillis,
    ) -> Result<(), Denial> {
        let Some(key) = self.state.fingerprint_key() else { return unknown(document) };
        let (claims, principal) = (&token.claims, token.principal());
        let marks = Marks::of(
            &key,
            claims.issuer(),
            claims.token_id.as_deref(),
            principal.session.as_deref(),
            Some(&principal.subject),
            principal.client_id.as_deref(),
            token.key_id.as_deref(),
        );
        if self.state.is_revoked(&marks, claims.issued_at, now.as_secs()) {
            return Err(Denial::new(ErrorCode::TokenRevoked, "token_revoked"));
        }
        let most = document.revocation.map(|rules| Duration::from_millis(rules.max_staleness_ms));
        match most {
            Some(most) if !self.state.is_fresh(Instant::now(), most) => unknown(document),
            _ => Ok(()),
        }
    }
}

/// Where the document says nothing, tokens are good until something is known of them.
fn unknown(document: &Document) -> Result<(), Denial> {
    match document.revocation {
        Some(rules) if rules.when_stale == OnFailure::Deny => {
            Err(Denial::unavailable("revocation_stale", 1))
        }
        _ => Ok(()),
    }
}

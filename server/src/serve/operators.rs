//! What the admin API works with: the services of operators, and who may use them.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use postern_document::{Document, Login};
use postern_identity::admin::{Operators, OperatorsParts};
use postern_identity::ports::RevokedTokens;
use postern_identity::{
    Argon2Parameters, Clock, Ending, Hasher, IdentityMetrics, KeyEncryptionKey, KeyRing,
    LoginMetrics, LoginRules, TokenIssuer, refresh_every, retry_ends,
};
use postern_store::volatile::{CircuitStore, VolatileStore};
use postern_store::{FlowStore, IdentityStore};
use postern_store_redis::RedisStore;
use postern_telemetry::MetricsRegistry;

use super::admin::AdminTokens;
use super::feed::{Feed, OwnRevocations};
use super::identity::Announcer;
use super::parts::REFRESH;
use super::stores::Volatile;
use super::{breached, has};
use crate::cli::{Role, Serve};
use crate::commands::now;
use crate::settings;

/// What the authorization server of the same process has made already.
pub struct Shared {
    /// Ends things.
    pub ending: Arc<Ending>,
    /// What is counted of logging in.
    pub metrics: LoginMetrics,
    /// Seals signing keys. Other roles have none.
    pub kek: Option<KeyEncryptionKey>,
}

/// What it is made of.
pub struct Needs<'a> {
    /// The roles.
    pub arguments: &'a Serve,
    /// Whose tokens, and what users may be.
    pub document: &'a Arc<ArcSwap<Document>>,
    /// Everything that is kept.
    pub durable: Option<&'a Arc<dyn IdentityStore>>,
    /// Sessions.
    pub volatile: &'a Volatile,
    /// What is revoked, and the bell.
    pub feed: &'a Feed,
    /// For metrics.
    pub registry: &'a MetricsRegistry,
    /// What there is already, where the role `identity` runs here, too.
    pub shared: Option<Shared>,
}

/// What the admin API gets.
pub struct Built {
    /// The services.
    pub operators: Arc<Operators>,
    /// Judges access tokens, where the document has an issuer.
    pub tokens: Option<Arc<AdminTokens>>,
}

/// Builds them; none where this server has another role, or no durable store.
///
/// # Errors
/// When the signing keys cannot be read, or there are no threads that hash passwords.
pub async fn build(needs: Needs<'_>) -> Result<Option<Built>> {
    let Some(store) = needs.durable.filter(|_| has(&needs.arguments.roles, Role::Admin)) else {
        return Ok(None);
    };
    let document = needs.document.load_full();
    // There is a list of what is revoked, and a bell, wherever there is a durable store.
    let list = needs.feed.state.clone().zip(needs.feed.bus.clone());
    let (state, bus) = list.context("nobody reads what is revoked")?;
    let announce = Arc::new(Announcer::new(Arc::<dyn IdentityStore>::clone(store), bus));
    let issuer = document.issuer.clone();
    let shared = match (needs.shared, &issuer) {
        (Some(shared), _) => Some(shared),
        (None, Some(issuer)) => {
            let registry = needs.registry;
            let metrics = login_metrics(registry)?;
            let ending = Ending::new(
                Arc::<dyn IdentityStore>::clone(store),
                Arc::<dyn FlowStore>::clone(&needs.volatile.flows),
                Arc::<Announcer>::clone(&announce),
                issuer,
                metrics.clone(),
            );
            let longest = settings::longest_session_secs(&document);
            let ending = Arc::new(ending.with_sessions_that_live(longest));
            let clock: Clock = Arc::new(now);
            tokio::spawn(retry_ends(Arc::clone(&ending), clock));
            Some(Shared { ending, metrics, kek: None })
        }
        (None, None) => None,
    };
    let tokens = match &issuer {
        Some(issuer) => {
            let revoked = OwnRevocations::new(state, Arc::clone(needs.document), issuer);
            Some(Arc::new(tokens(issuer, store, Arc::new(revoked), needs.document).await?))
        }
        None => None,
    };
    let rules = document.login.clone().zip(issuer.clone()).map(|(login, issuer)| {
        let replicas = document.stores.replicas;
        Arc::new(ArcSwap::from_pointee(LoginRules { issuer, login, replicas }))
    });
    let hasher = match (&document.login, &shared) {
        (Some(login), Some(shared)) => Some(hasher(login, shared.metrics.clone())?),
        _ => None,
    };
    let breached = document.login.as_ref().map(|login| breached::open(&login.passwords));
    let (ending, kek) = shared.map(|shared| (shared.ending, shared.kek)).unzip();
    let operators = Operators::new(OperatorsParts {
        store: Arc::<dyn IdentityStore>::clone(store),
        flows: Some(Arc::<dyn FlowStore>::clone(&needs.volatile.flows)),
        announce,
        ending,
        issuer,
        rules,
        hasher,
        breached: breached.transpose()?.flatten(),
        kek: kek.flatten(),
    });
    let operators = operators.by_document(Arc::clone(needs.document));
    let operators = Arc::new(operators.with_circuits(circuits(needs.volatile)));
    Ok(Some(Built { operators, tokens }))
}

/// Past the guard: an operator waits longer than a request, and is no sign of trouble.
fn circuits(volatile: &Volatile) -> Arc<dyn CircuitStore> {
    match &volatile.redis {
        Some(redis) => Arc::<RedisStore>::clone(redis),
        None => Arc::<dyn VolatileStore>::clone(&volatile.decisions),
    }
}

fn login_metrics(registry: &MetricsRegistry) -> Result<LoginMetrics> {
    let metrics = registry.register_with(IdentityMetrics::register)?;
    let of_login = |registry: &prometheus::Registry| LoginMetrics::register(registry, &metrics);
    Ok(registry.register_with(of_login)?)
}

/// With public keys alone: whoever only checks tokens has no use for what seals private ones.
async fn tokens(
    issuer: &str,
    store: &Arc<dyn IdentityStore>,
    revoked: Arc<dyn RevokedTokens>,
    document: &Arc<ArcSwap<Document>>,
) -> Result<AdminTokens> {
    let ring = KeyRing::load(Arc::<dyn IdentityStore>::clone(store), None, now()).await;
    let ring = Arc::new(ring.context("cannot read the signing keys")?);
    let clock: Clock = Arc::new(now);
    tokio::spawn(refresh_every(Arc::clone(&ring), REFRESH, clock));
    let issuer = TokenIssuer::new(issuer.to_owned(), ring);
    Ok(AdminTokens::new(issuer, revoked, Arc::clone(document)))
}

/// Hashes the passwords that operators give, on one thread: log-ins have their own.
fn hasher(login: &Login, metrics: LoginMetrics) -> Result<Hasher> {
    let rules = &login.passwords;
    let parameters = Argon2Parameters::new(rules.memory_kib, rules.iterations)?;
    Hasher::new(parameters, 1, metrics).context("cannot start the thread that hashes passwords")
}

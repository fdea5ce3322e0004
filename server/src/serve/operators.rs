//! What the admin API works with: the services of operators, and who may use them.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use postern_document::{Current, Document};
use postern_identity::admin::{Operators, OperatorsParts};
use postern_identity::ports::RevokedTokens;
use postern_identity::{
    Clock, Ending, KeyEncryptionKey, KeyRing, TokenIssuer, refresh_every, retry_ends,
};
use postern_store::volatile::{CircuitStore, VolatileStore};
use postern_store::{FlowStore, IdentityStore, Registry};
use postern_store_redis::RedisStore;

use super::admin::AdminTokens;
use super::feed::{Feed, OwnRevocations};
use super::has;
use super::identity::{Announcer, Counted};
use super::in_use::{InUse, lasting};
use super::parts::REFRESH;
use super::stores::Volatile;
use crate::cli::{Role, Serve};
use crate::commands::now;
use crate::revisions::Revisions;
use crate::settings;

/// What the authorization server of the same process has made already.
pub struct Shared {
    /// Ends things.
    pub ending: Arc<Ending>,
    /// Seals signing keys. Other roles have none.
    pub kek: Option<KeyEncryptionKey>,
}

/// What it is made of.
pub struct Needs<'a> {
    /// The roles.
    pub arguments: &'a Serve,
    /// Whose tokens, and what users may be.
    pub current: &'a Current<InUse>,
    /// Everything that is kept.
    pub durable: Option<&'a Arc<dyn IdentityStore>>,
    /// Sessions.
    pub volatile: &'a Volatile,
    /// What is revoked, and the bell.
    pub feed: &'a Feed,
    /// Who runs which service.
    pub services: &'a Arc<dyn Registry>,
    /// What is counted; it is there wherever tokens are issued.
    pub counted: Option<&'a Counted>,
    /// What there is already, where the role `identity` runs here, too.
    pub shared: Option<Shared>,
    /// Documents that were applied, where they are served from the store.
    pub revisions: Option<Revisions>,
}

/// What the admin API gets.
pub struct Built {
    /// The services.
    pub operators: Arc<Operators>,
    /// Judges access tokens, where the document has an issuer.
    pub tokens: Option<Arc<AdminTokens>>,
    /// Ends things, where the document has an issuer.
    pub ending: Option<Arc<Ending>>,
    /// Documents that were applied, where they are served from the store.
    pub revisions: Option<Revisions>,
}

/// Builds them; none where this server has another role, or no durable store.
///
/// # Errors
/// When the signing keys cannot be read.
pub async fn build(needs: Needs<'_>) -> Result<Option<Built>> {
    let Some(store) = needs.durable.filter(|_| has(&needs.arguments.roles, Role::Admin)) else {
        return Ok(None);
    };
    let first = needs.current.load();
    let document = needs.current.part(|in_use| Arc::clone(&in_use.document));
    // There is a bell wherever there is a durable store.
    let bus = needs.feed.bus.clone().context("nobody reads what is revoked")?;
    let announce = Arc::new(Announcer::new(Arc::<dyn IdentityStore>::clone(store), bus));
    let issuer = first.document.issuer.clone();
    let shared = match (needs.shared, &issuer, needs.counted) {
        (Some(shared), _, _) => Some(shared),
        (None, Some(issuer), Some(counted)) => {
            let ending = Ending::new(
                Arc::<dyn IdentityStore>::clone(store),
                Arc::<dyn FlowStore>::clone(&needs.volatile.flows),
                Arc::<Announcer>::clone(&announce),
                issuer,
                counted.login.clone(),
            );
            let longest = settings::longest_session_secs(&first.document);
            let ending = Arc::new(ending.with_sessions_that_live(longest));
            let clock: Clock = Arc::new(now);
            tokio::spawn(retry_ends(Arc::clone(&ending), clock));
            Some(Shared { ending, kek: None })
        }
        _ => None,
    };
    let tokens = match &issuer {
        Some(issuer) => {
            let state = Arc::clone(&needs.feed.state);
            let revoked = OwnRevocations::new(state, document.clone(), issuer);
            Some(Arc::new(tokens(issuer, store, Arc::new(revoked), document.clone()).await?))
        }
        None => None,
    };
    let rules = first
        .login
        .as_ref()
        .map(|rules| lasting(needs.current, Arc::clone(rules), |in_use| in_use.login.clone()));
    let tools = first
        .operators
        .as_ref()
        .map(|tools| lasting(needs.current, Arc::clone(tools), |in_use| in_use.operators.clone()));
    let (ending, kek) = shared.map(|shared| (shared.ending, shared.kek)).unzip();
    let operators = Operators::new(OperatorsParts {
        store: Arc::<dyn IdentityStore>::clone(store),
        flows: Some(Arc::<dyn FlowStore>::clone(&needs.volatile.flows)),
        announce,
        ending: ending.clone(),
        issuer,
        rules,
        tools,
        kek: kek.flatten(),
    });
    let operators = operators.by_document(document).with_registry(Arc::clone(needs.services));
    let operators = Arc::new(operators.with_circuits(circuits(needs.volatile)));
    Ok(Some(Built { operators, tokens, ending, revisions: needs.revisions }))
}

/// Past the guard: an operator waits longer than a request, and is no sign of trouble.
fn circuits(volatile: &Volatile) -> Arc<dyn CircuitStore> {
    match &volatile.redis {
        Some(redis) => Arc::<RedisStore>::clone(redis),
        None => Arc::<dyn VolatileStore>::clone(&volatile.decisions),
    }
}

/// With public keys alone: whoever only checks tokens has no use for what seals private ones.
async fn tokens(
    issuer: &str,
    store: &Arc<dyn IdentityStore>,
    revoked: Arc<dyn RevokedTokens>,
    document: Current<Document>,
) -> Result<AdminTokens> {
    let ring = KeyRing::load(Arc::<dyn IdentityStore>::clone(store), None, now()).await;
    let ring = Arc::new(ring.context("cannot read the signing keys")?);
    let clock: Clock = Arc::new(now);
    tokio::spawn(refresh_every(Arc::clone(&ring), REFRESH, clock));
    let issuer = TokenIssuer::new(issuer.to_owned(), ring);
    Ok(AdminTokens::new(issuer, revoked, document))
}

//! The authorization server's parts, and what all of its endpoints share.

use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_oauth::{
    AuthMethod, ClientAuthentication, Endpoint, Evidence, OAuthError, Proof, ServerRules,
    authenticate,
};
use postern_request::UnixMillis;
use postern_revocation::RevocationKind;
use postern_store::flows::SessionRecord;
use postern_store::{FlowStore, IdentityStore, StoreError, VolatileStore};

use super::OAuthRules;
use super::used::UsedClients;
use crate::clients::{Clients, KnownClient, secret_matches};
use crate::ending::Ending;
use crate::metrics::AuthenticationMethod;
use crate::ports::RevokedTokens;
use crate::vault::Vault;
use crate::{IdentityError, IdentityMetrics, OAuthMetrics, TokenIssuer};

/// The rules that hold now: with another document come others.
pub type CurrentOAuthRules = Arc<ArcSwap<OAuthRules>>;

/// What the authorization server works with.
pub struct OAuthParts {
    /// What the document says.
    pub rules: CurrentOAuthRules,
    /// Signs tokens.
    pub issuer: Arc<TokenIssuer>,
    /// Clients, consents, families and the audit log.
    pub store: Arc<dyn IdentityStore>,
    /// Codes, families and sessions.
    pub flows: Arc<dyn FlowStore>,
    /// Proofs that were seen.
    pub replays: Arc<dyn VolatileStore>,
    /// What was revoked.
    pub revoked: Arc<dyn RevokedTokens>,
    /// Ends things for good.
    pub ending: Arc<Ending>,
    /// What is counted of all of identity.
    pub metrics: IdentityMetrics,
    /// What is counted of grants.
    pub grants: OAuthMetrics,
    /// Hashes the codes that people type in for a device; there is one wherever people log in.
    pub vault: Option<Vault>,
}

/// The authorization server.
pub struct OAuthService {
    rules: CurrentOAuthRules,
    pub(super) issuer: Arc<TokenIssuer>,
    pub(super) clients: Clients,
    pub(super) store: Arc<dyn IdentityStore>,
    pub(super) flows: Arc<dyn FlowStore>,
    pub(super) replays: Arc<dyn VolatileStore>,
    pub(super) revoked: Arc<dyn RevokedTokens>,
    pub(super) ending: Arc<Ending>,
    pub(super) metrics: IdentityMetrics,
    pub(super) grants: OAuthMetrics,
    pub(super) vault: Option<Vault>,
    pub(super) used: UsedClients,
}

impl OAuthService {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: OAuthParts) -> Self {
        let store = Arc::clone(&parts.store);
        Self {
            rules: parts.rules,
            issuer: parts.issuer,
            clients: Clients::new(store),
            store: parts.store,
            flows: parts.flows,
            replays: parts.replays,
            revoked: parts.revoked,
            ending: parts.ending,
            metrics: parts.metrics,
            grants: parts.grants,
            vault: parts.vault,
            used: UsedClients::default(),
        }
    }

    /// What signs.
    #[must_use]
    pub const fn issuer(&self) -> &Arc<TokenIssuer> {
        &self.issuer
    }

    /// The rules that hold now.
    #[must_use]
    pub fn rules(&self) -> Arc<OAuthRules> {
        self.rules.load_full()
    }

    /// Whether the document turns an endpoint on.
    #[must_use]
    pub fn serves(&self, endpoint: Endpoint) -> bool {
        self.rules.load().server.serves(endpoint)
    }

    /// What clients can learn about the server ([`postern_oauth::ServerMetadata`]): of algorithms
    /// those that something signs with.
    #[must_use]
    pub fn told_rules(&self, now: UnixMillis) -> ServerRules {
        let mut rules = self.rules.load().server.clone();
        rules.algorithms = self.issuer.ring().signing_algorithms(now);
        rules
    }

    /// The client that a request is from, once it has shown who it is.
    ///
    /// # Errors
    /// `invalid_client` whatever is wrong, and those of the store.
    pub(super) async fn client(
        &self,
        presented: &ClientAuthentication,
        now: UnixMillis,
    ) -> Result<Arc<KnownClient>, OAuthError> {
        let known = self.clients.find(&presented.client_id, now).await;
        let known = known.map_err(|error| store_failed(&error))?;
        let record = known.as_ref().map(|known| &known.record);
        let secret = match presented.proof() {
            Proof::Secret(secret) => Some(secret),
            _ => None,
        };
        let evidence =
            Evidence { secret_matches: secret_matches(record, secret), ..Evidence::default() };
        let client = known.as_ref().map(|known| &known.client);
        let proven = authenticate(presented, client, &evidence).map(drop);
        let method = client.map_or(AuthMethod::None, |client| client.auth_method);
        self.metrics.authentication(AuthenticationMethod::Client(method), proven.is_ok());
        proven?;
        known.ok_or(OAuthError::invalid_client())
    }

    /// Whether a session counts no more, though the volatile store still has it: it was revoked,
    /// or what its user or client had until then was.
    pub(super) fn is_revoked(&self, session: &SessionRecord, now: UnixMillis) -> bool {
        use RevocationKind::{Client, Session, Subject};
        let is = |kind, value: &str, since: Option<u64>| {
            self.revoked.is_named_revoked(kind, value, since, now)
        };
        let (since, begun) = (session.authenticated_at.as_secs(), session.created_at.as_secs());
        // Log-out ends what came of a browser's session, but for what is to outlive it.
        let parent = session.parent.as_deref().filter(|_| !keeps_offline(session));
        is(Session, &session.id, None)
            || is(Subject, &session.user_id, Some(since))
            || session.client_id.as_deref().is_some_and(|id| is(Client, id, Some(begun)))
            || parent.is_some_and(|parent| is(Session, parent, None))
    }
}

/// Whether a grant outlives the browser's session that it came from.
fn keeps_offline(session: &SessionRecord) -> bool {
    session.scopes.iter().any(|scope| scope == postern_oauth::OFFLINE_ACCESS)
}

/// What a client is told of a store that failed; the log is told more.
pub(crate) fn store_failed(error: &StoreError) -> OAuthError {
    tracing::error!(%error, "a store failed");
    match error {
        StoreError::Unavailable(_) => OAuthError::unavailable(),
        _ => OAuthError::server_error(),
    }
}

/// The same of keys, random numbers and seals.
pub(super) fn failed(error: &IdentityError) -> OAuthError {
    tracing::error!(%error, "no token could be issued");
    match error {
        // Whoever runs the server can still make or open a key; clients may retry.
        IdentityError::NoSigningKey
        | IdentityError::SigningKey { .. }
        | IdentityError::Unseal { .. } => OAuthError::unavailable(),
        IdentityError::Store(error) => store_failed(error),
        _ => OAuthError::server_error(),
    }
}

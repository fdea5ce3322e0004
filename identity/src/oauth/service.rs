//! The authorization server's parts, and what all of its endpoints share.

use std::net::IpAddr;
use std::sync::Arc;

use postern_document::Current;
use postern_oauth::{
    AuthMethod, ClientAuthentication, Endpoint, ErrorCode, Evidence, OAuthError, Proof,
    ServerRules, authenticate,
};
use postern_request::UnixMillis;
use postern_revocation::RevocationKind;
use postern_store::flows::SessionRecord;
use postern_store::{FlowStore, IdentityStore, Limiter, StoreError, VolatileStore};

use super::attempts::Attempts;
use super::client_keys::ClientKeys;
use super::introspect::Introspected;
use super::used::UsedClients;
use super::{OAuthRules, TokenCall};
use crate::clients::{Clients, KnownClient, secret_matches};
use crate::ending::Ending;
use crate::metrics::AuthenticationMethod;
use crate::ports::{Outbound, RevokedTokens};
use crate::vault::Vault;
use crate::{IdentityError, IdentityMetrics, OAuthMetrics, TokenIssuer};

/// The rules that hold now: with another document come others.
pub type CurrentOAuthRules = Current<OAuthRules>;

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
    /// Counts clients that fail to prove who they are.
    pub limiter: Limiter,
    /// Asks addresses that operators have named.
    pub outbound: Arc<dyn Outbound>,
    /// Asks addresses that anybody may have written, by registering a client.
    pub outbound_for_anybody: Arc<dyn Outbound>,
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
    pub(super) client_keys: ClientKeys,
    pub(super) introspected: Introspected,
    attempts: Attempts,
}

/// Where a client proves who it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    /// The endpoint that it calls.
    pub(super) endpoint: Endpoint,
    /// From where.
    pub(super) address: Option<IpAddr>,
}

impl OAuthService {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: OAuthParts) -> Self {
        let store = Arc::clone(&parts.store);
        Self {
            rules: parts.rules,
            issuer: parts.issuer,
            clients: Clients::new(store, Arc::clone(&parts.revoked)),
            store: parts.store,
            flows: parts.flows,
            replays: parts.replays,
            revoked: parts.revoked,
            ending: parts.ending,
            metrics: parts.metrics,
            grants: parts.grants,
            vault: parts.vault,
            used: UsedClients::default(),
            client_keys: ClientKeys::new(parts.outbound, parts.outbound_for_anybody),
            introspected: Introspected::default(),
            attempts: Attempts::new(parts.limiter),
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
        self.rules.load()
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
    /// `invalid_client` whatever is wrong, [`OAuthError::too_many_attempts`] where that was so too
    /// often, and those of the stores and of what a client's keys are fetched from.
    pub(super) async fn client(
        &self,
        presented: &ClientAuthentication,
        asker: Asker,
        now: UnixMillis,
    ) -> Result<Arc<KnownClient>, OAuthError> {
        let Asker { endpoint, address } = asker;
        self.attempts.check(&presented.client_id, address, now)?;
        let known = self.clients.find(&presented.client_id, now).await;
        let known = known.map_err(|error| store_failed(&error))?;
        let evidence = self.evidence(presented, known.as_deref(), endpoint, now).await?;
        let client = known.as_ref().map(|known| &known.client);
        // A way that the document does not offer is none, whatever a client is registered for.
        let client = client.filter(|client| self.rules.load().server.takes(client.auth_method));
        let proven = authenticate(presented, client, &evidence).map(drop);
        let method = client.map_or(AuthMethod::None, |client| client.auth_method);
        self.metrics.authentication(AuthenticationMethod::Client(method), proven.is_ok());
        if let Err(error) = proven {
            if error.code == ErrorCode::InvalidClient {
                let replicas = self.rules.load().replicas;
                self.attempts.failed(&presented.client_id, address, replicas, now).await;
            }
            return Err(error);
        }
        known.ok_or(OAuthError::invalid_client())
    }

    /// What is told of a request that cannot be read: what is wrong with it, to whoever has shown
    /// to be its client, and to everybody else that they have not (RFC 6749 §5.2).
    pub(super) async fn unread(
        &self,
        call: TokenCall<'_>,
        endpoint: Endpoint,
        error: OAuthError,
        now: UnixMillis,
    ) -> OAuthError {
        let TokenCall { authorization, content_type, certificate, address, body, .. } = call;
        let presented = ClientAuthentication::read(authorization, content_type, body, certificate);
        // Where no client is named, nobody could show to be it.
        let Ok(presented) = presented else { return error };
        match self.client(&presented, Asker { endpoint, address }, now).await {
            Ok(_) => error,
            Err(refused) => refused,
        }
    }

    /// What of a client's proof holds. Only the way that it is registered for is looked at: what
    /// others cost (fetching keys, remembering ids) nobody can ask for in its name.
    async fn evidence(
        &self,
        presented: &ClientAuthentication,
        known: Option<&KnownClient>,
        endpoint: Endpoint,
        now: UnixMillis,
    ) -> Result<Evidence, OAuthError> {
        let mut evidence = Evidence::default();
        match presented.proof() {
            Proof::None => {}
            Proof::Secret(secret) => {
                let record = known.map(|known| &known.record);
                evidence.secret_matches = secret_matches(record, Some(secret));
            }
            Proof::Assertion(assertion) => {
                if let Some(known) = known {
                    evidence.assertion = self.assertion(assertion, known, endpoint, now).await?;
                }
            }
            Proof::Certificate(certificate) => {
                if let Some(known) = known {
                    let is_its_own = self.is_certificate_of(certificate, known, now).await?;
                    evidence.certificate_matches = is_its_own;
                }
            }
        }
        Ok(evidence)
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

//! The identity role: the only one that reads private keys.

mod announce;
mod login;
mod nobody;

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use arc_swap::ArcSwap;
use axum::Router;
use postern_document::{Document, OAuthGrant};
use postern_identity::admin::{self, KeyState};
use postern_identity::ports::RevokedTokens;
use postern_identity::{
    Browsers, Clock, Ending, Identity, IdentityMetrics, KEY_ENCRYPTION_KEY_ENV, KeyEncryptionKey,
    KeyRing, LoginMetrics, OAuthMetrics, OAuthParts, OAuthRules, OAuthService, TokenIssuer,
    refresh_every, retry_ends,
};
use postern_store::limiter::Limiter;
use postern_store::volatile::VolatileStore;
use postern_store::{FlowStore, IdentityStore};
use postern_telemetry::{Check, CheckKind, CheckResult, HealthChecks, MetricsRegistry};

pub use self::announce::Announcer;
use self::nobody::Nobody;
use super::feed::{Feed, OwnRevocations};
use super::health::add_sessions;
use super::operators::Shared;
use super::parts::REFRESH;
use super::stores::Volatile;
use crate::cli::{KeyFile, Serve};
use crate::commands::now;
use crate::settings;

/// What it is made of.
pub struct Needs<'a> {
    /// The encryption key.
    pub arguments: &'a Serve,
    /// Who issues tokens, how, and to whom.
    pub document: &'a Arc<ArcSwap<Document>>,
    /// Keys, clients, users, grants.
    pub durable: Option<&'a Arc<dyn IdentityStore>>,
    /// Log-ins, codes and sessions; proofs that were seen.
    pub volatile: &'a Volatile,
    /// Counts tries to log in.
    pub limiter: &'a Limiter,
    /// What is revoked, and the bell.
    pub feed: &'a Feed,
    /// For metrics.
    pub registry: &'a MetricsRegistry,
    /// For the checks of keys and sessions.
    pub health: &'a Arc<HealthChecks>,
}

/// What it gives.
pub struct Built {
    /// What the public port serves.
    pub router: Router,
    /// What the admin API of the same process works with, too.
    pub shared: Shared,
}

/// What there is once it is clear that tokens are issued.
struct Own<'a> {
    needs: &'a Needs<'a>,
    document: &'a Document,
    issuer: &'a str,
    store: &'a Arc<dyn IdentityStore>,
    revoked: Arc<dyn RevokedTokens>,
    ending: Arc<Ending>,
    metrics: LoginMetrics,
    clock: Clock,
}

/// Builds the authorization server; none where the document names no issuer or there is no
/// durable store to keep keys in.
///
/// # Errors
/// When the encryption key or the stored keys cannot be used, or there is something to open with
/// it and it was not given.
pub async fn build(needs: &Needs<'_>) -> Result<Option<Built>> {
    let document = needs.document.load_full();
    let (Some(issuer), Some(store)) = (document.issuer.as_deref(), needs.durable) else {
        let wanted = [
            document.issuer.is_none().then_some("an `issuer` in the document"),
            needs.durable.is_none().then_some("a durable store (--durable)"),
        ];
        let wanted = wanted.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        tracing::info!("this server issues no tokens: that takes {wanted}");
        return Ok(None);
    };
    let kek = key(&needs.arguments.key_file, &document, store.as_ref()).await?;
    let clock: Clock = Arc::new(now);
    let keys = Arc::<dyn IdentityStore>::clone(store);
    let ring = KeyRing::load(keys, kek.clone(), now()).await;
    let ring = Arc::new(settings::opened(ring, &needs.arguments.key_file)?);
    tokio::spawn(refresh_every(Arc::clone(&ring), REFRESH, Arc::clone(&clock)));
    let token_issuer = Arc::new(TokenIssuer::new(issuer.to_owned(), ring));
    add_check(needs.health, &token_issuer);

    // There is a list of what is revoked, and a bell, wherever there is a durable store.
    let list = needs.feed.state.clone().zip(needs.feed.bus.clone());
    let (state, bus) = list.context("nobody reads what is revoked")?;
    let revoked = OwnRevocations::new(state, Arc::clone(needs.document), issuer);
    let metrics = needs.registry.register_with(IdentityMetrics::register)?;
    let of_login = |registry: &prometheus::Registry| LoginMetrics::register(registry, &metrics);
    let login_metrics = needs.registry.register_with(of_login)?;
    let ending = Arc::new(Ending::new(
        Arc::<dyn IdentityStore>::clone(store),
        Arc::<dyn FlowStore>::clone(&needs.volatile.flows),
        Arc::new(Announcer::new(Arc::<dyn IdentityStore>::clone(store), bus)),
        issuer,
        login_metrics.clone(),
    ));
    tokio::spawn(retry_ends(Arc::clone(&ending), Arc::clone(&clock)));
    let own = Own {
        needs,
        document: &document,
        issuer,
        store,
        revoked: Arc::new(revoked),
        ending,
        metrics: login_metrics,
        clock,
    };
    let oauth = own.oauth(token_issuer, metrics)?;
    let shared =
        Shared { ending: Arc::clone(&own.ending), metrics: own.metrics.clone(), kek: kek.clone() };
    Ok(Some(Built { router: own.router(oauth, kek)?, shared }))
}

impl Own<'_> {
    /// What grants tokens.
    fn oauth(
        &self,
        issuer: Arc<TokenIssuer>,
        metrics: IdentityMetrics,
    ) -> Result<Arc<OAuthService>> {
        Ok(Arc::new(OAuthService::new(OAuthParts {
            rules: Arc::new(ArcSwap::from_pointee(rules(self.document, self.issuer))),
            issuer,
            store: Arc::<dyn IdentityStore>::clone(self.store),
            flows: Arc::<dyn FlowStore>::clone(&self.needs.volatile.flows),
            replays: Arc::<dyn VolatileStore>::clone(&self.needs.volatile.decisions),
            revoked: Arc::<dyn RevokedTokens>::clone(&self.revoked),
            ending: Arc::clone(&self.ending),
            metrics,
            grants: self.needs.registry.register_with(OAuthMetrics::register)?,
        })))
    }

    /// The endpoints, with pages and `/auth` where people log in.
    fn router(self, oauth: Arc<OAuthService>, kek: Option<KeyEncryptionKey>) -> Result<Router> {
        let flows = &self.needs.volatile.flows;
        if self.document.oauth.is_some() || self.document.login.is_some() {
            add_sessions(self.needs.health, flows);
        }
        let clock = Arc::clone(&self.clock);
        let (browsers, pages): (Arc<dyn Browsers>, Router) = match (&self.document.login, kek) {
            (Some(login), Some(kek)) => {
                let (pages, router) = login::build(login::Needs {
                    document: self.document,
                    login,
                    issuer: self.issuer,
                    kek,
                    store: Arc::<dyn IdentityStore>::clone(self.store),
                    flows: Arc::<dyn FlowStore>::clone(flows),
                    limiter: self.needs.limiter,
                    oauth: Arc::clone(&oauth),
                    revoked: self.revoked,
                    ending: self.ending,
                    metrics: self.metrics,
                    clock: self.clock,
                })?;
                (pages, router)
            }
            // `key` has asked for one wherever people log in.
            _ => (Arc::new(Nobody), Router::new()),
        };
        let identity = Identity { oauth, browsers, clock };
        Ok(postern_identity::router(Arc::new(identity)).merge(pages))
    }
}

/// What holds for every grant. Where nobody can log in, nobody is sent to do so.
fn rules(document: &Document, issuer: &str) -> OAuthRules {
    let mut oauth = document.oauth.clone();
    if let Some(oauth) = oauth.as_mut().filter(|_| document.login.is_none()) {
        let before = oauth.grants.len();
        oauth.grants.retain(|grant| *grant != OAuthGrant::AuthorizationCode);
        if oauth.grants.len() < before {
            tracing::warn!(
                "nobody gets an authorization code: the document does not say in `login` how \
                 people log in"
            );
        }
    }
    OAuthRules::of(issuer, oauth.as_ref())
}

/// The encryption key; none where nothing needs one.
async fn key(
    file: &KeyFile,
    document: &Document,
    store: &dyn IdentityStore,
) -> Result<Option<KeyEncryptionKey>> {
    let kek = settings::optional_key(file)?;
    if kek.is_none() && has_sealed_keys(store).await? {
        bail!(
            "the durable store holds signing keys, and nothing to open them with was given: name \
             the key file with --key-file (or set {KEY_ENCRYPTION_KEY_ENV}); a server that shall \
             issue no tokens runs without `identity` in --roles"
        );
    }
    if kek.is_none() && document.login.is_some() {
        bail!(
            "people log in here (`login` of the document), and there is nothing to seal with what \
             is kept of them: name the key file with --key-file (or set {KEY_ENCRYPTION_KEY_ENV}); \
             a server where nobody shall log in runs without `identity` in --roles"
        );
    }
    Ok(kek)
}

/// Whether there is a key that signs or will. Without the key to open it, every token that is
/// asked for would be refused, which is better known at the start.
async fn has_sealed_keys(durable: &dyn IdentityStore) -> Result<bool> {
    let keys = admin::list_keys(durable, now()).await.context("cannot read the signing keys")?;
    Ok(keys.iter().any(|key| matches!(key.state, KeyState::Active | KeyState::Pending)))
}

/// Keys: of each algorithm that is published, a token is issued and verified.
fn add_check(health: &Arc<HealthChecks>, issuer: &Arc<TokenIssuer>) {
    let issuer = Arc::clone(issuer);
    let check = Check::new(CheckKind::Keys, move || {
        let issuer = Arc::clone(&issuer);
        async move {
            match tokio::task::spawn_blocking(move || round_trips(&issuer)).await {
                Ok(Ok(())) => CheckResult::healthy(),
                Ok(Err(error)) => CheckResult::degraded(error),
                Err(_) => CheckResult::degraded("the check did not end"),
            }
        }
    });
    health.add(check);
}

/// Without a key of any algorithm, the one attempt says so.
fn round_trips(issuer: &TokenIssuer) -> Result<(), String> {
    let algorithms = issuer.ring().algorithms(now());
    let mut tried: Vec<_> = algorithms.into_iter().map(Some).collect();
    if tried.is_empty() {
        tried.push(None);
    }
    for algorithm in tried {
        let request = postern_identity::AccessTokenRequest {
            subject: "health".to_owned(),
            client_id: "health".to_owned(),
            lifetime_secs: 60,
            algorithm,
            ..postern_identity::AccessTokenRequest::default()
        };
        let issued = issuer.issue(&request, now()).map_err(|error| error.to_string())?;
        let verified = issuer.inspect(issued.token.expose(), now());
        verified.map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use postern_store::durable::memory::MemoryDurableStore;
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://gate.test";

    fn document(beside: &serde_json::Value) -> Document {
        let mut document = json!({
            "version": 1,
            "issuer": ISSUER,
            "services": {"s": {"upstream": "h:1"}},
            "routes": [{"name": "a", "match": {"path": "/a"}, "service": "s", "auth": "none"}],
        });
        for (name, value) in beside.as_object().unwrap() {
            document[name] = value.clone();
        }
        postern_document::from_json(document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_document_without_oauth_lets_clients_get_tokens_of_their_own_and_nothing_else() {
        let document = document(&json!({}));
        assert_eq!(rules(&document, ISSUER), OAuthRules::of(ISSUER, None));
    }

    #[tokio::test]
    async fn without_a_key_a_server_starts_where_nothing_is_sealed() {
        let store = MemoryDurableStore::new();
        let file = KeyFile { key_file: None };
        assert!(key(&file, &document(&json!({})), &store).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn where_people_log_in_a_server_does_not_start_without_a_key() {
        let file = KeyFile { key_file: None };
        let document = document(&json!({"login": {"roles": {"user": {}}}, "oauth": {}}));
        let refused = key(&file, &document, &MemoryDurableStore::new()).await.unwrap_err();
        assert!(refused.to_string().contains("--key-file"), "{refused}");
    }

    #[test]
    fn where_nobody_logs_in_nobody_is_sent_to_do_so() {
        let grants = json!(["client_credentials", "authorization_code"]);
        let without = document(&json!({"oauth": {"grants": grants}}));
        let clients = document(&json!({"oauth": {"grants": ["client_credentials"]}}));
        assert_eq!(rules(&without, ISSUER), OAuthRules::of(ISSUER, clients.oauth.as_ref()));
    }
}

//! The identity role: the only one that reads private keys.

mod announce;
mod login;
mod nobody;
mod outside;
mod retention;

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use postern_document::{Current, Document, JwksSource};
use postern_identity::admin::{self, KeyState};
use postern_identity::ports::RevokedTokens;
use postern_identity::{
    Browsers, Clock, Ending, Identity, IdentityMetrics, KEY_ENCRYPTION_KEY_ENV, KeyEncryptionKey,
    KeyMetrics, KeyRing, KeySchedule, LoginLimiter, LoginMetrics, OAuthMetrics, OAuthParts,
    OAuthService, RequestLimits, Rotations, TokenIssuer, Vault, keep_used_clients, refresh_every,
    retry_ends, rotate_on_schedule,
};
use postern_store::limiter::Limiter;
use postern_store::volatile::VolatileStore;
use postern_store::{FlowStore, IdentityStore};
use postern_telemetry::{Check, CheckKind, CheckResult, HealthChecks, MetricsRegistry};

pub use self::announce::Announcer;
use self::nobody::Nobody;
pub use self::outside::providers;
use self::retention::Retention;
use super::feed::{Feed, OwnRevocations};
use super::health::add_sessions;
use super::in_use::InUse;
use super::operators::Shared;
use super::outbound::HttpOutbound;
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
    pub current: &'a Current<InUse>,
    /// Keys, clients, users, grants.
    pub durable: Option<&'a Arc<dyn IdentityStore>>,
    /// Log-ins, codes and sessions; proofs that were seen.
    pub volatile: &'a Volatile,
    /// Counts tries to log in.
    pub limiter: &'a Limiter,
    /// What is revoked, and the bell.
    pub feed: &'a Feed,
    /// What is counted; it is there wherever tokens are issued.
    pub counted: Option<&'a Counted>,
    /// For metrics.
    pub registry: &'a MetricsRegistry,
    /// For the checks of keys and sessions.
    pub health: &'a Arc<HealthChecks>,
}

/// What is counted of tokens and of logging in, by each part that has to do with them.
pub struct Counted {
    /// Of tokens.
    pub tokens: IdentityMetrics,
    /// Of logging in.
    pub login: LoginMetrics,
}

impl Counted {
    /// Registers it.
    ///
    /// # Errors
    /// When a metric cannot be registered.
    pub fn new(registry: &MetricsRegistry) -> Result<Self> {
        let tokens = registry.register_with(IdentityMetrics::register)?;
        let login = registry.register_with(|registry| LoginMetrics::register(registry, &tokens))?;
        Ok(Self { tokens, login })
    }
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
    counted: &'a Counted,
    clock: Clock,
}

/// Builds the authorization server; none where the document names no issuer or there is no
/// durable store to keep keys in.
///
/// # Errors
/// When the encryption key or the stored keys cannot be used, or there is something to open with
/// it and it was not given.
pub async fn build(needs: &Needs<'_>) -> Result<Option<Built>> {
    let document = Arc::clone(&needs.current.load().document);
    let (Some(issuer), Some(store), Some(counted)) =
        (document.issuer.as_deref(), needs.durable, needs.counted)
    else {
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
    keep(needs, store, kek.as_ref(), &clock)?;
    let token_issuer = Arc::new(TokenIssuer::new(issuer.to_owned(), ring));
    add_check(needs.health, &token_issuer);

    // There is a list of what is revoked, and a bell, wherever there is a durable store.
    let bus = needs.feed.bus.clone().context("nobody reads what is revoked")?;
    let current = needs.current.part(|in_use| Arc::clone(&in_use.document));
    let revoked = OwnRevocations::new(Arc::clone(&needs.feed.state), current, issuer);
    let ending = Ending::new(
        Arc::<dyn IdentityStore>::clone(store),
        Arc::<dyn FlowStore>::clone(&needs.volatile.flows),
        Arc::new(Announcer::new(Arc::<dyn IdentityStore>::clone(store), bus)),
        issuer,
        counted.login.clone(),
    );
    let longest = settings::longest_session_secs(&document);
    let ending = Arc::new(ending.with_sessions_that_live(longest));
    tokio::spawn(retry_ends(Arc::clone(&ending), Arc::clone(&clock)));
    let own = Own {
        needs,
        document: &document,
        issuer,
        store,
        revoked: Arc::new(revoked),
        ending,
        counted,
        clock,
    };
    let oauth = own.oauth(token_issuer, kek.clone())?;
    tokio::spawn(keep_used_clients(Arc::clone(&oauth)));
    let shared = Shared { ending: Arc::clone(&own.ending), kek: kek.clone() };
    Ok(Some(Built { router: own.router(oauth, kek)?, shared }))
}

/// Starts what makes keys on schedule, and what deletes rows after their time.
fn keep(
    needs: &Needs<'_>,
    store: &Arc<dyn IdentityStore>,
    kek: Option<&KeyEncryptionKey>,
    clock: &Clock,
) -> Result<()> {
    let store = || Arc::<dyn IdentityStore>::clone(store);
    let retention = Retention::new(store(), Arc::clone(clock), needs.registry)?;
    tokio::spawn(retention.run());
    let Some(kek) = kek.cloned() else { return Ok(()) };
    let document = Arc::clone(&needs.current.load().document);
    let is_wanted = document.oauth.as_ref().is_some_and(|oauth| oauth.rotate_every_ms.is_some());
    if is_wanted && schedule(&document).is_none() {
        tracing::warn!(
            "`oauth.keys.rotate_every` changes nothing: the document itself holds the keys by \
             which our own tokens are checked (`jwks.inline` or `jwks.file`)"
        );
    }
    let current = needs.current.clone();
    tokio::spawn(rotate_on_schedule(Rotations {
        store: store(),
        kek,
        schedule: Arc::new(move || schedule(&current.load().document)),
        clock: Arc::clone(clock),
        metrics: needs.registry.register_with(KeyMetrics::register)?,
    }));
    Ok(())
}

/// When signing keys are due; none where operators rotate. A new key is published for twice as long
/// as those who check our tokens keep a key set before they fetch it again.
fn schedule(document: &Document) -> Option<KeySchedule> {
    let rotate_every_ms = document.oauth.as_ref()?.rotate_every_ms?;
    let mut lead_ms = 0;
    for entry in &document.issuers {
        if Some(entry.issuer.issuer.as_str()) != document.issuer.as_deref() {
            continue;
        }
        let refresh_ms = match &entry.jwks {
            JwksSource::Uri { refresh_ms, .. }
            | JwksSource::Service { refresh_ms, .. }
            | JwksSource::Discovery { refresh_ms } => *refresh_ms,
            // A key that is not in the document would be known to nobody.
            JwksSource::Inline(_) => return None,
        };
        lead_ms = lead_ms.max(refresh_ms.saturating_mul(2));
    }
    Some(KeySchedule { rotate_every_ms, lead_ms })
}

impl Own<'_> {
    /// What grants tokens.
    fn oauth(
        &self,
        issuer: Arc<TokenIssuer>,
        kek: Option<KeyEncryptionKey>,
    ) -> Result<Arc<OAuthService>> {
        Ok(Arc::new(OAuthService::new(OAuthParts {
            rules: self.needs.current.part(|in_use| Arc::clone(&in_use.oauth)),
            issuer,
            store: Arc::<dyn IdentityStore>::clone(self.store),
            flows: Arc::<dyn FlowStore>::clone(&self.needs.volatile.flows),
            replays: Arc::<dyn VolatileStore>::clone(&self.needs.volatile.decisions),
            limiter: self.needs.limiter.clone(),
            outbound: Arc::new(HttpOutbound::for_operators()?),
            outbound_for_anybody: Arc::new(HttpOutbound::for_anybody(self.issuer)?),
            revoked: Arc::<dyn RevokedTokens>::clone(&self.revoked),
            ending: Arc::clone(&self.ending),
            metrics: self.counted.tokens.clone(),
            grants: self.needs.registry.register_with(OAuthMetrics::register)?,
            vault: kek.map(Vault::new),
        })))
    }

    /// The endpoints, with pages and `/auth` where people log in.
    fn router(self, oauth: Arc<OAuthService>, kek: Option<KeyEncryptionKey>) -> Result<Router> {
        let flows = &self.needs.volatile.flows;
        if self.document.oauth.is_some() || self.document.login.is_some() {
            add_sessions(self.needs.health, flows);
        }
        let clock = Arc::clone(&self.clock);
        let limits = RequestLimits::new(LoginLimiter::new(self.needs.limiter.clone()));
        let (browsers, pages): (Arc<dyn Browsers>, Router) = match (&self.document.login, kek) {
            (Some(login), Some(kek)) => {
                let (pages, router) = login::build(login::Needs {
                    current: self.needs.current,
                    document: self.document,
                    login,
                    kek,
                    store: Arc::<dyn IdentityStore>::clone(self.store),
                    flows: Arc::<dyn FlowStore>::clone(flows),
                    limiter: self.needs.limiter,
                    oauth: Arc::clone(&oauth),
                    revoked: self.revoked,
                    ending: self.ending,
                    metrics: self.counted.login.clone(),
                    clock: self.clock,
                    registry: self.needs.registry,
                })?;
                (pages, router)
            }
            // `key` has asked for one wherever people log in.
            _ => (Arc::new(Nobody), Router::new()),
        };
        let identity = Identity { oauth, browsers, limits, clock };
        Ok(postern_identity::router(Arc::new(identity)).merge(pages))
    }
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
    use postern_identity::OAuthRules;
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
    fn a_new_key_is_published_for_longer_than_anybody_keeps_the_old_set() {
        let issuer = |jwks: serde_json::Value| {
            json!({
                "oauth": {"keys": {"rotate_every": "30d"}},
                "credentials": {"jwt": {"issuers": [
                    {"issuer": ISSUER, "audiences": ["a"], "jwks": jwks},
                    {"issuer": "https://other.test", "audiences": ["a"],
                     "jwks": {"uri": "https://other.test/jwks", "refresh": "1h"}},
                ]}},
            })
        };
        let fetched = document(&issuer(json!({"service": "postern", "refresh": "20m"})));
        let expected = KeySchedule { rotate_every_ms: 30 * 86_400_000, lead_ms: 2_400_000 };
        assert_eq!(schedule(&fetched), Some(expected));
        assert_eq!(schedule(&document(&json!({"oauth": {}}))), None, "operators rotate");
        let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]});
        let inline = document(&issuer(json!({"inline": keys.to_string()})));
        assert_eq!(schedule(&inline), None, "nobody would know the next key");
    }

    #[tokio::test]
    async fn without_a_key_a_server_starts_where_nothing_is_sealed() {
        let store = MemoryDurableStore::new();
        let file = KeyFile::default();
        assert!(key(&file, &document(&json!({})), &store).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn where_people_log_in_a_server_does_not_start_without_a_key() {
        let file = KeyFile::default();
        let document = document(&json!({"login": {"roles": {"user": {}}}, "oauth": {}}));
        let refused = key(&file, &document, &MemoryDurableStore::new()).await.unwrap_err();
        assert!(refused.to_string().contains("--key-file"), "{refused}");
    }

    #[test]
    fn where_nobody_logs_in_nobody_is_sent_to_do_so() {
        let without = document(&json!({"oauth": {}}));
        let clients = document(&json!({"oauth": {"grants": ["client_credentials"]}}));
        let rules = |of: &Document| OAuthRules::of(ISSUER, of.oauth.as_ref());
        assert_eq!(rules(&without), rules(&clients));
    }
}

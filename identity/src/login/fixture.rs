//! What tests of logging in have in common: memory stores, a hasher that costs nothing, and one
//! set of revocations for those who make them and those who ask.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use postern_document::{
    Colours, Current, Fingerprint, Login, LoginLimits, Pages, PasskeyRules, PasswordRules, Role,
    SessionRules,
};
use postern_jose::VerifiedToken;
use postern_limits::Rate;
use postern_oauth::{Acr, Secret};
use postern_request::UnixMillis;
use postern_request::login::ReturnTo;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::durable::memory::MemoryDurableStore;
use postern_store::durable::{AuditStore as _, Profile, UserRecord, UserStore as _};
use postern_store::{
    BoxFuture, FlowStore, IdentityStore, Limiter, MemoryFlowStore, MemoryStore, StoreError,
};

use super::hashing::tests::{CHEAP, hasher};
use super::limits::LoginLimiter;
use super::rules::LoginRules;
use super::{
    Caller, FactorService, Hasher, LoginError, LoginParts, LoginService, LoginTools, Outcome,
};
use crate::ending::Ending;
use crate::metrics::LoginMetrics;
use crate::ports::{Announce, Passkeys, RevokedTokens};
use crate::vault::Vault;
use crate::{KeyEncryptionKey, WebauthnPasskeys};

pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub(crate) const ISSUER: &str = "https://api.example.test";
pub(crate) const RP_ID: &str = "api.example.test";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const EMAIL: &str = "student@example.test";

/// Later than the fixture's present, in milliseconds.
pub(crate) fn later(ms: u64) -> UnixMillis {
    UnixMillis(NOW.0 + ms)
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub(crate) fn rules() -> LoginRules {
    let role = |name: &str, scopes: &[&str], tier: Option<&str>, mfa: bool| Role {
        name: name.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        tier: tier.map(str::to_owned),
        mfa,
    };
    let rate = |requests| Rate::new(requests, 15 * 60 * 1000).unwrap();
    let hour = 60 * 60 * 1000;
    let login = Login {
        roles: vec![
            role("student", &["content.read"], Some("basic"), false),
            role("staff", &["content.read", "content.write"], None, true),
            role("admin", &["content.read", "postern.admin"], None, false),
        ],
        default_role: "student".to_owned(),
        passwords: PasswordRules { min_length: 8, memory_kib: 64, iterations: 1, breached: None },
        passkeys: Some(PasskeyRules { rp_id: RP_ID.to_owned() }),
        session: SessionRules {
            idle_ms: 12 * hour,
            absolute_ms: 7 * 24 * hour,
            remembered_ms: 30 * 24 * hour,
            cookie_domain: None,
        },
        fingerprint: Fingerprint { parts: Vec::new(), on_change: postern_document::OnChange::Log },
        limits: LoginLimits { pair: rate(5), email: rate(20), ip: rate(100) },
        outside: Vec::new(),
        hosts: Vec::new(),
        pages: Pages {
            title: "Example".to_owned(),
            logo: None,
            colours: Colours::default(),
            languages: vec!["en".to_owned()],
            privacy: None,
            terms: None,
        },
    };
    LoginRules { issuer: ISSUER.to_owned(), login, replicas: 1, trusted_proxies: 0 }
}

/// What was revoked: said by those who revoke, known to those who ask.
#[derive(Debug, Default)]
pub(crate) struct Revocations(Mutex<Vec<Revocation>>);

impl Revocations {
    pub(crate) fn all(&self) -> Vec<Revocation> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn names(&self, kind: RevocationKind) -> Vec<String> {
        let all = self.all();
        let of_kind = all.iter().filter(|revocation| revocation.kind() == kind);
        of_kind.map(|revocation| revocation.value().to_owned()).collect()
    }
}

impl Announce for Revocations {
    fn revoke<'a>(
        &'a self,
        what: Vec<Revocation>,
        _reason: &'a str,
        _now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.lock().unwrap().extend(what);
        Box::pin(std::future::ready(Ok(())))
    }
}

impl RevokedTokens for Revocations {
    fn is_revoked(&self, _token: &VerifiedToken, _now: UnixMillis) -> bool {
        false
    }

    fn is_named_revoked(
        &self,
        kind: RevocationKind,
        value: &str,
        issued_at: Option<u64>,
        _now: UnixMillis,
    ) -> bool {
        self.all().iter().any(|revocation| {
            let is_before = match (revocation.issued_before(), issued_at) {
                (Some(before), Some(at)) => at < before,
                _ => true,
            };
            revocation.kind() == kind
                && revocation.issuer() == ISSUER
                && revocation.value() == value
                && is_before
        })
    }
}

/// All parts over memory stores.
pub(crate) struct World {
    pub(crate) store: Arc<MemoryDurableStore>,
    pub(crate) flows: Arc<MemoryFlowStore>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) ending: Arc<Ending>,
    pub(crate) rules: Arc<ArcSwap<LoginRules>>,
    pub(crate) login: LoginService,
}

pub(crate) fn vault() -> Vault {
    Vault::new(KeyEncryptionKey::from_text(&"0f1e".repeat(16)).unwrap())
}

pub(crate) fn limiter() -> LoginLimiter {
    let counts = Arc::new(MemoryStore::default());
    LoginLimiter::new(Limiter::new(Arc::<MemoryStore>::clone(&counts), counts))
}

/// Passkeys for the fixture's issuer.
pub(crate) fn passkeys() -> WebauthnPasskeys {
    WebauthnPasskeys::new(ISSUER, RP_ID, "Example").unwrap()
}

/// What a test may change.
pub(crate) fn held<T: Send + Sync + 'static>(place: &Arc<ArcSwap<T>>) -> Current<T> {
    let place = Arc::clone(place);
    Current::new(move || place.load_full())
}

pub(crate) fn tests_hasher() -> Hasher {
    hasher(CHEAP)
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_ports(Some(Arc::new(passkeys())))
    }

    /// Where the document does not let anybody have a passkey.
    pub(crate) fn without_passkeys() -> Self {
        Self::with_ports(None).with(|login| login.passkeys = None)
    }

    fn with_ports(passkeys: Option<Arc<dyn Passkeys>>) -> Self {
        let store = Arc::new(MemoryDurableStore::new());
        let flows = Arc::new(MemoryFlowStore::default());
        let revocations = Arc::new(Revocations::default());
        let durable: Arc<dyn IdentityStore> = Arc::<MemoryDurableStore>::clone(&store);
        let volatile: Arc<dyn FlowStore> = Arc::<MemoryFlowStore>::clone(&flows);
        let announce: Arc<dyn Announce> = Arc::<Revocations>::clone(&revocations);
        let revoked: Arc<dyn RevokedTokens> = Arc::<Revocations>::clone(&revocations);
        let metrics = LoginMetrics::unregistered();
        let ending = Arc::new(Ending::new(
            Arc::clone(&durable),
            Arc::clone(&volatile),
            announce,
            ISSUER,
            metrics.clone(),
        ));
        let rules = Arc::new(ArcSwap::from_pointee(self::rules()));
        let login = LoginService::new(LoginParts {
            rules: held(&rules),
            tools: Current::fixed(LoginTools { hasher: hasher(CHEAP), passkeys, breached: None }),
            store: Arc::clone(&durable),
            flows: volatile,
            revoked,
            limits: limiter(),
            vault: vault(),
            factors: Arc::new(FactorService::new(durable, vault())),
            ending: Arc::clone(&ending),
            metrics,
        });
        Self { store, flows, revocations, ending, rules, login }
    }

    /// Changes the document.
    pub(crate) fn with(self, change: impl FnOnce(&mut Login)) -> Self {
        let mut rules = LoginRules::clone(&self.rules.load());
        change(&mut rules.login);
        self.rules.store(Arc::new(rules));
        self
    }

    /// A user with [`PASSWORD`]; the e-mail is `ROLE@example.test`.
    pub(crate) async fn user(&self, role: &str) -> UserRecord {
        self.user_with(role, |_| {}).await
    }

    pub(crate) async fn user_with(
        &self,
        role: &str,
        change: impl FnOnce(&mut UserRecord),
    ) -> UserRecord {
        let hash = hasher(CHEAP).make(secret(PASSWORD)).await.unwrap();
        let mut user = UserRecord {
            id: crate::random::uuid().unwrap(),
            email: format!("{role}@example.test"),
            role: role.to_owned(),
            is_active: true,
            profile: Profile::default(),
            password: Some(hash),
            must_change_password: false,
            tier: None,
            created_at: NOW,
            updated_at: NOW,
        };
        change(&mut user);
        let entry = crate::audit::entry(NOW, "test", "user.created", &user.id, &[]);
        self.store.insert_user(user.clone(), &entry).await.unwrap();
        user
    }

    /// Begins a log-in; its cookie.
    pub(crate) async fn begin(&self, wants: Acr) -> Vec<u8> {
        let cookie = self.login.begin(ReturnTo::default(), wants, NOW).await.unwrap();
        cookie.expose().as_bytes().to_vec()
    }

    pub(crate) async fn password(
        &self,
        cookie: &[u8],
        email: &str,
        password: &str,
        now: UnixMillis,
    ) -> Result<Outcome, LoginError> {
        let caller = caller();
        self.login.password(cookie, email, secret(password), false, &caller, now).await
    }

    /// What the audit log says happened, but for users who were made.
    pub(crate) async fn actions(&self) -> Vec<String> {
        let records = self.store.audit_since(0, 1000).await.unwrap();
        let actions = records.into_iter().map(|record| record.entry.action);
        actions.filter(|action| action != "user.created").collect()
    }
}

pub(crate) fn caller() -> Caller {
    Caller { ip: Some([192, 0, 2, 1].into()), user_agent: "Test/1".to_owned(), ..Caller::default() }
}

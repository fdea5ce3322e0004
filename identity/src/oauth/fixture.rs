//! An authorization server in memory, for tests.

use std::sync::{Arc, Mutex};

use postern_document::{
    CertificateSource, Current, DeviceRules, OAuth, OAuthGrant, ProtectedResource, RefreshRules,
    Registration, RegistrationMode, SigningAlgorithm,
};
use postern_jose::{Algorithm, VerifiedToken};
use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::durable::memory::MemoryDurableStore;
use postern_store::durable::{ClientKind, ClientRecord, DurableStore as _};
use postern_store::flows::SessionRecord;
use postern_store::{
    BoxFuture, FlowStore as _, IdentityStore, Limiter, MemoryFlowStore, MemoryStore, StoreError,
};
use prometheus::Registry;

use super::{OAuthParts, OAuthRules, OAuthService};
use crate::admin::{Rotation, rotate_keys};
use crate::ending::Ending;
use crate::metrics::LoginMetrics;
use crate::ports::{Announce, FormAnswer, Outbound, OutboundError, RevokedTokens};
use crate::{IdentityMetrics, KeyEncryptionKey, KeyRing, OAuthMetrics, TokenIssuer, random};

pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub(crate) const ISSUER: &str = "http://127.0.0.1:8080";
pub(crate) const REDIRECT: &str = "https://app.example/callback";
pub(crate) const API: &str = "https://api.example";
/// RFC 7636, Appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const SECRET: &str = "s3cret";

pub(crate) fn later(millis: u64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}

/// What was revoked: told and asked.
#[derive(Default)]
pub(crate) struct Revocations(Mutex<Vec<Revocation>>);

impl RevokedTokens for Revocations {
    fn is_revoked(&self, token: &VerifiedToken, now: UnixMillis) -> bool {
        let (claims, principal) = (&token.claims, token.principal());
        let is = |kind, value: Option<&String>| {
            value.is_some_and(|value| self.is_named_revoked(kind, value, claims.issued_at, now))
        };
        is(RevocationKind::Token, claims.token_id.as_ref())
            || is(RevocationKind::Session, principal.session.as_ref())
            || is(RevocationKind::Subject, Some(&principal.subject))
            || is(RevocationKind::Client, principal.client_id.as_ref())
    }

    fn is_named_revoked(
        &self,
        kind: RevocationKind,
        value: &str,
        issued_at: Option<u64>,
        _now: UnixMillis,
    ) -> bool {
        self.0.lock().unwrap().iter().any(|known| {
            let is_before = match (known.issued_before(), issued_at) {
                (Some(before), Some(at)) => at < before,
                _ => true,
            };
            known.kind() == kind && known.value() == value && is_before
        })
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

/// A network in which nobody answers.
pub(crate) struct Nowhere;

impl Outbound for Nowhere {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<u8>, OutboundError>> {
        Box::pin(std::future::ready(Err(OutboundError::Refused(404))))
    }

    fn post_form<'a>(
        &'a self,
        _: &'a str,
        _: Option<(&'a str, &'a str)>,
        _: String,
    ) -> BoxFuture<'a, Result<FormAnswer, OutboundError>> {
        Box::pin(std::future::ready(Err(OutboundError::Refused(404))))
    }
}

/// The parts, to look at what they hold.
pub(crate) struct Fixture {
    pub(crate) store: Arc<MemoryDurableStore>,
    pub(crate) flows: Arc<MemoryFlowStore>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) issuer: Arc<TokenIssuer>,
    pub(crate) registry: Registry,
    pub(crate) oauth: Arc<OAuthService>,
}

/// A server by a document with everything turned on.
pub(crate) async fn fixture() -> Fixture {
    with_rules(OAuthRules::of(ISSUER, Some(&document()))).await
}

pub(crate) async fn with_rules(rules: OAuthRules) -> Fixture {
    let store = Arc::new(MemoryDurableStore::new());
    let kek = KeyEncryptionKey::from_text(&"0f1e".repeat(16)).unwrap();
    let rotation = Rotation { algorithm: Algorithm::Es256, ..Rotation::default() };
    rotate_keys(&*store, &kek, rotation, NOW).await.unwrap();
    let ring = KeyRing::load(Arc::<MemoryDurableStore>::clone(&store), Some(kek), NOW);
    let ring = Arc::new(ring.await.unwrap());
    let issuer = Arc::new(TokenIssuer::new(ISSUER.to_owned(), ring));
    let flows = Arc::new(MemoryFlowStore::default());
    let revocations = Arc::new(Revocations::default());
    let all: Arc<dyn IdentityStore> = Arc::<MemoryDurableStore>::clone(&store);
    let ending = Ending::new(
        Arc::clone(&all),
        Arc::<MemoryFlowStore>::clone(&flows),
        Arc::<Revocations>::clone(&revocations),
        ISSUER,
        LoginMetrics::unregistered(),
    );
    let registry = Registry::new();
    let counted = Arc::new(MemoryStore::default());
    let oauth = OAuthService::new(OAuthParts {
        rules: Current::fixed(rules),
        issuer: Arc::clone(&issuer),
        store: all,
        flows: Arc::<MemoryFlowStore>::clone(&flows),
        replays: Arc::new(MemoryStore::default()),
        limiter: Limiter::new(Arc::<MemoryStore>::clone(&counted), counted),
        outbound: Arc::new(Nowhere),
        outbound_for_anybody: Arc::new(Nowhere),
        revoked: Arc::<Revocations>::clone(&revocations),
        ending: Arc::new(ending),
        metrics: IdentityMetrics::register(&registry).unwrap(),
        grants: OAuthMetrics::register(&registry).unwrap(),
        vault: Some(crate::login::fixture::vault()),
    });
    for client in [public(), confidential()] {
        store.insert_client(client).await.unwrap();
    }
    Fixture { store, flows, revocations, issuer, registry, oauth: Arc::new(oauth) }
}

pub(crate) fn document() -> OAuth {
    let text = |text: &str| (text.to_owned(), format!("Text of {text}"));
    OAuth {
        scopes: vec![text("read"), text("write")],
        grants: vec![
            OAuthGrant::AuthorizationCode,
            OAuthGrant::RefreshToken,
            OAuthGrant::ClientCredentials,
        ],
        access_token_secs: 3600,
        algorithm: SigningAlgorithm::Es256,
        refresh: RefreshRules { secs: 604_800, remembered_secs: 2_592_000, grace_ms: 10_000 },
        code_secs: 600,
        require_par: false,
        resources: vec![ProtectedResource { resource: API.to_owned(), scopes: Vec::new() }],
        registration: Registration {
            mode: RegistrationMode::Off,
            scopes: Vec::new(),
            unused_for_ms: 1,
        },
        rotate_every_ms: None,
        device: DeviceRules { secs: 900, interval_secs: 5 },
        mutual_tls: None,
        cors_origins: vec!["https://app.example".to_owned()],
    }
}

/// The same for those whom nobody has looked at: devices ask, and clients register themselves.
pub(crate) fn for_strangers() -> OAuth {
    let mut grants = document().grants;
    grants.push(OAuthGrant::DeviceCode);
    let registration = Registration {
        mode: RegistrationMode::Open,
        scopes: texts("openid read offline_access"),
        unused_for_ms: 90 * 86_400_000,
    };
    OAuth { grants, registration, ..document() }
}

/// A device without a browser, which people trust: all the same, its page always asks.
pub(crate) fn television() -> ClientRecord {
    let (id, name) = ("tv".to_owned(), "The television".to_owned());
    ClientRecord {
        grant_types: texts("urn:ietf:params:oauth:grant-type:device_code refresh_token"),
        scopes: texts("openid offline_access read write"),
        require_consent: false,
        id_token_alg: "ES256".to_owned(),
        ..ClientRecord::new(id, name, ClientKind::Public, NOW)
    }
}

/// A server with that document and that device.
pub(crate) async fn strangers() -> Fixture {
    let fixture = with_rules(OAuthRules::of(ISSUER, Some(&for_strangers()))).await;
    fixture.store.insert_client(television()).await.unwrap();
    fixture
}

/// The same with what a document does not turn on by itself.
pub(crate) fn whole_document() -> OAuth {
    let mut document = document();
    document.grants.push(OAuthGrant::TokenExchange);
    OAuth { mutual_tls: Some(CertificateSource::Connection), ..document }
}

pub(crate) fn texts(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// A single-page application that people trust: nobody is asked.
pub(crate) fn public() -> ClientRecord {
    let (id, name) = ("spa".to_owned(), "The app".to_owned());
    ClientRecord {
        grant_types: texts("authorization_code refresh_token"),
        redirect_uris: vec![REDIRECT.to_owned()],
        post_logout_redirect_uris: vec!["https://app.example/bye".to_owned()],
        scopes: texts("openid profile email offline_access read write"),
        require_consent: false,
        id_token_alg: "ES256".to_owned(),
        ..ClientRecord::new(id, name, ClientKind::Public, NOW)
    }
}

/// A server that asks people first, and has a secret.
pub(crate) fn confidential() -> ClientRecord {
    let (id, name) = ("web".to_owned(), "The shop".to_owned());
    ClientRecord {
        secret_sha256: Some(random::sha256(SECRET.as_bytes())),
        grant_types: texts("authorization_code refresh_token client_credentials"),
        redirect_uris: vec![REDIRECT.to_owned(), "https://shop.example/other".to_owned()],
        scopes: texts("openid profile email offline_access read write"),
        access_token_lifetime_secs: 60,
        id_token_alg: "ES256".to_owned(),
        ..ClientRecord::new(id, name, ClientKind::Confidential, NOW)
    }
}

/// A browser's session.
pub(crate) fn session() -> SessionRecord {
    let person = r#"{"email":"a@example.test","role":"student","tier":"premium","firstName":"Ada","lastName":"L"}"#;
    SessionRecord {
        id: "browser-1".to_owned(),
        user_id: "u-1".to_owned(),
        created_at: NOW,
        last_used: NOW,
        authenticated_at: NOW,
        mfa_at: None,
        methods: texts("pwd"),
        device_id: Some("d-1".to_owned()),
        fingerprint: None,
        client_id: None,
        scopes: texts("read write"),
        parent: None,
        secret: Some(random::sha256(b"cookie")),
        person: person.as_bytes().to_vec(),
        remember: false,
        idle_ms: 43_200_000,
        ends_at: later(604_800_000),
    }
}

impl Fixture {
    /// Begins [`session`].
    pub(crate) async fn log_in(&self) -> SessionRecord {
        let session = session();
        self.flows.start_session(&session, NOW).await.unwrap();
        session
    }
}

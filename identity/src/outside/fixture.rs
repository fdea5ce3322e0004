//! What tests of logging in elsewhere have in common: a provider that says what it is told to.

use std::sync::{Arc, Mutex, MutexGuard};

use postern_document::{Current, Login, OutsideProvider, OutsideUsers};
use postern_jose::{Algorithm, base64url};
use postern_oauth::{Acr, Form, Secret};
use postern_request::UnixMillis;
use postern_request::login::ReturnTo;
use postern_store::durable::memory::MemoryDurableStore;
use postern_store::{BoxFuture, FlowStore, MemoryFlowStore};
use serde_json::{Value, json};

use super::{OutsideError, OutsideParts, OutsideService, OutsideStart, Providers};
use crate::login::fixture::{ISSUER, NOW, World, caller};
use crate::metrics::OutsideMetrics;
use crate::ports::{FormAnswer, Outbound, OutboundError, OutboundWith};
use crate::sign::Pair;
use crate::{LoginService, Outcome, signing_key};

/// The provider's issuer.
pub(crate) const OP: &str = "https://op.test";
/// The suite's secret there, with characters that have to be escaped.
pub(crate) const SECRET: &str = "s3cret:+%";

/// A provider that makes no users.
pub(crate) fn provider() -> OutsideProvider {
    OutsideProvider {
        name: "corp".to_owned(),
        issuer: OP.to_owned(),
        client_id: "postern".to_owned(),
        client_secret: "env:CORP".to_owned(),
        scopes: vec!["openid".to_owned(), "email".to_owned()],
        title: "Corp".to_owned(),
        users: OutsideUsers::None,
        role: None,
        role_claim: None,
        domains: Vec::new(),
    }
}

type Said = Result<Vec<u8>, OutboundError>;

/// What the provider says.
pub(crate) struct Says {
    pub(crate) metadata: Said,
    pub(crate) jwks: Said,
    pub(crate) token: Result<FormAnswer, OutboundError>,
    pub(crate) userinfo: Said,
    /// What it was asked: URLs, and forms with who sent them.
    pub(crate) asked: Vec<String>,
}

/// A provider.
pub(crate) struct Stub {
    pub(crate) key: Signing,
    says: Mutex<Says>,
}

/// A key of a provider.
pub(crate) struct Signing {
    pair: Pair,
    pub(crate) kid: String,
    pub(crate) jwk: Value,
}

impl Signing {
    pub(crate) fn new() -> Self {
        let new = signing_key::generate(Algorithm::Es256).unwrap();
        Self {
            pair: Pair::open(Algorithm::Es256, &new.private).unwrap(),
            kid: new.kid,
            jwk: serde_json::from_str(&new.public_jwk).unwrap(),
        }
    }

    /// A token with a header of any kind.
    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
        let input = [part(header), part(claims)].join(".");
        let signature = self.pair.sign(input.as_bytes()).unwrap();
        [input, base64url::encode(&signature)].join(".")
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({"alg": "ES256", "typ": "JWT", "kid": self.kid}), claims)
    }
}

impl Stub {
    fn new() -> Self {
        let key = Signing::new();
        let metadata = json!({
            "issuer": OP,
            "authorization_endpoint": format!("{OP}/auth?tenant=a"),
            "token_endpoint": format!("{OP}/token"),
            "jwks_uri": format!("{OP}/jwks"),
            "userinfo_endpoint": format!("{OP}/me"),
        });
        let says = Says {
            metadata: Ok(bytes(&metadata)),
            jwks: Ok(bytes(&json!({"keys": [key.jwk]}))),
            token: Err(OutboundError::Refused(500)),
            userinfo: Err(OutboundError::Refused(500)),
            asked: Vec::new(),
        };
        Self { key, says: Mutex::new(says) }
    }

    pub(crate) fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap()
    }

    /// Changes a member of the metadata.
    pub(crate) fn declares(&self, member: &str, value: Value) {
        let mut says = self.says();
        let mut metadata: Value = serde_json::from_slice(says.metadata.as_ref().unwrap()).unwrap();
        metadata[member] = value;
        says.metadata = Ok(bytes(&metadata));
    }

    /// Gives this ID token for the next codes.
    pub(crate) fn gives(&self, id_token: &str) {
        let body =
            bytes(&json!({"id_token": id_token, "access_token": "at", "token_type": "Bearer"}));
        self.says().token = Ok(FormAnswer { status: 200, body });
    }
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<'static, T> {
    Box::pin(std::future::ready(value))
}

impl Outbound for Stub {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Said> {
        let mut says = self.says();
        says.asked.push(url.to_owned());
        ready(match url.strip_prefix(OP) {
            Some("/.well-known/openid-configuration") => says.metadata.clone(),
            Some("/jwks") => says.jwks.clone(),
            _ => Err(OutboundError::Refused(404)),
        })
    }

    fn post_form<'a>(
        &'a self,
        url: &'a str,
        basic: Option<(&'a str, &'a str)>,
        form: String,
    ) -> BoxFuture<'a, Result<FormAnswer, OutboundError>> {
        assert_eq!(url, format!("{OP}/token"));
        let mut says = self.says();
        let (name, password) = basic.unwrap_or_default();
        says.asked.push(format!("{name}:{password} {form}"));
        ready(says.token.clone())
    }
}

impl OutboundWith for Stub {
    fn get_with<'a>(
        &'a self,
        url: &'a str,
        name: &'static str,
        value: &'a Secret,
    ) -> BoxFuture<'a, Said> {
        let mut says = self.says();
        says.asked.push(format!("{url} {name}: {}", value.expose()));
        ready(says.userinfo.clone())
    }
}

/// The suite beside a provider.
pub(crate) struct Suite {
    pub(crate) store: Arc<MemoryDurableStore>,
    pub(crate) flows: Arc<MemoryFlowStore>,
    pub(crate) login: Arc<LoginService>,
    pub(crate) outside: Arc<OutsideService>,
    pub(crate) stub: Arc<Stub>,
    pub(crate) metrics: OutsideMetrics,
}

/// Somebody who was sent to the provider.
pub(crate) struct Sent {
    pub(crate) cookie: Vec<u8>,
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) challenge: String,
    pub(crate) location: String,
}

impl Suite {
    /// With this provider, and another one, `other`, that is the same but for its name.
    pub(crate) fn new(provider: OutsideProvider) -> Self {
        Self::of(World::new(), provider, |_| {})
    }

    pub(crate) fn of(
        world: World,
        provider: OutsideProvider,
        change: impl FnOnce(&mut Login),
    ) -> Self {
        let other = OutsideProvider { name: "other".to_owned(), ..provider.clone() };
        let mut named = Vec::new();
        let world = world.with(|login| {
            login.outside = vec![provider, other];
            change(login);
            named.clone_from(&login.outside);
        });
        let World { store, flows, login, .. } = world;
        let (login, stub) = (Arc::new(login), Arc::new(Stub::new()));
        let metrics = OutsideMetrics::register(&prometheus::Registry::new()).unwrap();
        let secret = || Secret::new(SECRET.to_owned());
        let outside = Arc::new(OutsideService::new(OutsideParts {
            login: Arc::clone(&login),
            flows: Arc::<MemoryFlowStore>::clone(&flows) as Arc<dyn FlowStore>,
            outbound: Arc::<Stub>::clone(&stub),
            with_token: Arc::<Stub>::clone(&stub),
            providers: Current::fixed(Providers::new(
                named.into_iter().map(|provider| (provider, secret())).collect(),
            )),
            metrics: metrics.clone(),
        }));
        Self { store, flows, login, outside, stub, metrics }
    }

    /// Sends somebody to the provider who wants to see `/portal`.
    pub(crate) async fn start(&self) -> Sent {
        self.start_at("corp", Acr::OneFactor, None).await
    }

    pub(crate) async fn start_at(&self, name: &str, wants: Acr, max_age_secs: Option<u64>) -> Sent {
        let return_to = ReturnTo::parse("/portal", ISSUER, &[]);
        let start = OutsideStart { cookie: None, return_to, wants, max_age_secs };
        let started = self.outside.start(name, start, NOW).await.unwrap();
        let (_, query) = started.location.split_once('?').unwrap();
        let query = Form::parse(query.as_bytes()).unwrap();
        let of = |name: &str| query.get(name).unwrap().to_owned();
        Sent {
            cookie: started.cookie.unwrap().expose().as_bytes().to_vec(),
            state: of("state"),
            nonce: of("nonce"),
            challenge: of("code_challenge"),
            location: started.location,
        }
    }

    /// Somebody comes back with a code and `state`, and what the path says.
    pub(crate) async fn back(
        &self,
        name: &str,
        cookie: &[u8],
        query: &str,
        now: UnixMillis,
    ) -> Result<Outcome, OutsideError> {
        let answer = Form::parse(query.as_bytes()).unwrap();
        self.outside.finish(name, cookie, &answer, &caller(), now).await
    }

    /// The provider vouches for somebody, and they come back.
    pub(crate) async fn come(&self, more: &Value) -> Result<Outcome, OutsideError> {
        let sent = self.start().await;
        self.stub.gives(&self.stub.key.sign(&claims(&sent, more)));
        self.back("corp", &sent.cookie, &query(&sent), NOW).await
    }
}

/// What an ID token says of `u-1`, and more.
pub(crate) fn claims(sent: &Sent, more: &Value) -> Value {
    let at = NOW.as_secs();
    let mut claims = json!({
        "iss": OP, "sub": "u-1", "aud": "postern", "iat": at, "exp": at + 300, "nonce": sent.nonce,
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

pub(crate) fn query(sent: &Sent) -> String {
    format!("code=c0de&state={}", sent.state)
}

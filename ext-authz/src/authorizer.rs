//! The decision on one request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use postern_circuit::{Admission, State};
use postern_document::{Auth, Counted, Document, Limit, Route};
use postern_jose::Possession;
use postern_request::evidence::Evidence;
use postern_request::headers::{self, Single};
use postern_request::principal::Credential;
use postern_request::{
    Denial, ErrorCode, HeaderView as _, Presented, Principal, RateLimitStatus, RenderedDenial,
    UnixMillis, address, correlation, denial, path,
};
use postern_store::MemoryStore;
use postern_store::volatile::{
    CircuitAsk, Decision, DecisionAsk, LimitAsk, LimitKey, VolatileStore,
};
use sha2::{Digest as _, Sha256};

use crate::api_keys::ApiKeys;
use crate::keys::{CheckSignature, IssuerKeys};
use crate::metrics::Metrics;
use crate::places::Places;
use crate::possession::Proven;
use crate::revoked::Revoked;
use crate::store_failure::StandIn;
use crate::tokens::Token;

/// A request as Envoy tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Method.
    pub method: String,
    /// `:scheme`, which under HTTP/2 is what the client says.
    pub scheme: String,
    /// Host, port included.
    pub authority: String,
    /// Path with query.
    pub target: String,
    /// Headers in lower case, repeated ones apart.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The client's address, as Envoy worked it out.
    pub address: Option<IpAddr>,
    /// The certificate that the other end of the connection has shown, as Envoy writes it: PEM,
    /// percent-encoded.
    pub certificate: Option<String>,
}

/// What Envoy is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Pass, with this for the bundle.
    Allow(Box<Evidence>),
    /// Turned away.
    Deny(RenderedDenial),
}

/// What an [`Authorizer`] is made of.
pub struct Parts {
    /// The document in use.
    pub document: Arc<ArcSwap<Document>>,
    /// Issuers' keys.
    pub keys: Arc<IssuerKeys>,
    /// Checks the signature of a token.
    pub check_signature: CheckSignature,
    /// Checks that of a proof, whose key is the client's choice: it should remember none.
    pub check_proof_signature: CheckSignature,
    /// Whether tokens were revoked.
    pub revoked: Arc<dyn Revoked>,
    /// API keys.
    pub api_keys: ApiKeys,
    /// Limits, circuits and the proofs that were seen.
    pub store: Arc<dyn VolatileStore>,
    /// Stands in while the store is away; shared with `ext_proc`, which tells it outcomes.
    pub stand_in: Arc<MemoryStore>,
    /// Metrics.
    pub metrics: Metrics,
}

/// Decides on requests.
pub struct Authorizer {
    pub(crate) parts: Parts,
    stand_in: StandIn,
}

/// Who calls, and what they have proven to possess; nobody by default.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Identified {
    pub(crate) principal: Option<Principal>,
    pub(crate) shown: Possession,
    /// The proof that this rests on. Nothing passes by it before [`Authorizer::remember`] has
    /// found it to be new.
    pub(crate) proven: Option<Proven>,
}

/// What a request is held to, if it is.
#[derive(Clone, Copy)]
struct Held<'a> {
    document: &'a Document,
    route: &'a Route,
    enforced: bool,
}

/// A request that may pass.
struct Admitted {
    identified: Identified,
    limit: Option<RateLimitStatus>,
}

impl Authorizer {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let stand_in = StandIn { memory: Arc::clone(&parts.stand_in) };
        Self { parts, stand_in }
    }

    /// Decides on a request.
    pub async fn check(&self, request: &Incoming, now: UnixMillis) -> Answer {
        let started = Instant::now();
        let document = self.parts.document.load_full();
        let path = path::without_query(&request.target);
        let found = match path::check(path, document.allow_matrix_parameters) {
            Err(_) => Err(Denial::new(ErrorCode::BadRequest, "path_ambiguous")),
            Ok(()) => match document.find_route(&request.authority, &request.method, path) {
                Ok(route) => route.ok_or(Denial::new(ErrorCode::NotFound, "no_route")),
                Err(_) => Err(Denial::new(ErrorCode::BadRequest, "path_ambiguous")),
            },
        };
        let (route, decided) = match found {
            Err(denial) => (None, Err(denial)),
            Ok(route) => (Some(route), self.decide(&document, route, request, path, now).await),
        };
        let name = route.map_or("none", |route| &route.name);
        let outcome = decided.as_ref().err().map_or("ALLOW", |denial| denial.code.as_str());
        self.parts.metrics.decided(name, outcome, started.elapsed().as_secs_f64());
        match decided {
            Ok(admitted) => Answer::Allow(Box::new(Evidence {
                route: name.to_owned(),
                document: document.digest.clone(),
                principal: admitted.identified.principal,
                limit: admitted.limit,
                shown_certificate: admitted.identified.shown.certificate,
                shown_key: admitted.identified.shown.key,
            })),
            Err(denial) => {
                let correlation_id = correlation_id(request, now);
                tracing::debug!(correlation_id, route = name, reason = denial.reason, "denied");
                let content_type = request.headers.single("content-type").one();
                let is_grpc = denial::is_grpc(content_type);
                Answer::Deny(denial.render(&correlation_id, now, is_grpc))
            }
        }
    }

    /// Who calls, then what it costs. In shadow a denial is counted and the request passes: as
    /// nobody where it is about who calls, as who it is where it is about a limit. An open
    /// circuit is no rule for callers and is never shadowed.
    ///
    /// A proof is remembered between limits and circuit. After the limits, so that nobody fills
    /// the memory faster than the limits let requests through: a proof that is shown again costs
    /// whoever sends it. Before the circuit, so that it does not take its probe: nobody would
    /// tell what came of that.
    async fn decide(
        &self,
        document: &Document,
        route: &Route,
        request: &Incoming,
        path: &str,
        now: UnixMillis,
    ) -> Result<Admitted, Denial> {
        let id = request.headers.single(headers::REQUEST_ID).one().unwrap_or_default();
        let enforced = route.enforce.applies(id);
        let identified = self.authenticate(document, &route.auth, request, now).await;
        let identified = identified.and_then(|identified| {
            route.auth.authorize(identified.principal.as_ref())?;
            Ok(identified)
        });
        let identified = match identified {
            Err(_) if !enforced => {
                self.parts.metrics.shadowed(&route.name);
                Identified::default()
            }
            identified => identified?,
        };
        let address = client_address(document, request);
        let limits = asks(route, request, address, path, identified.principal.as_ref());
        let circuit = route
            .circuit()
            .map(|settings| CircuitAsk { service: route.service_name().to_owned(), settings });
        let held = Held { document, route, enforced };
        if identified.proven.is_none() {
            let limit = self.spend(held, &limits, circuit, now).await?;
            return Ok(Admitted { identified, limit });
        }
        let limit = self.spend(held, &limits, None, now).await?;
        let admitted = match self.remember(&identified, now).await {
            Err(_) if !enforced => {
                self.parts.metrics.shadowed(&route.name);
                Admitted { identified: Identified::default(), limit: None }
            }
            remembered => {
                remembered?;
                Admitted { identified, limit }
            }
        };
        self.spend(held, &[], circuit, now).await?;
        Ok(admitted)
    }

    /// Remembers the proof that a caller has shown, if it had to show one.
    pub(crate) async fn remember(
        &self,
        identified: &Identified,
        now: UnixMillis,
    ) -> Result<(), Denial> {
        match &identified.proven {
            Some(proven) => proven.first_use(&*self.parts.store, &self.parts.metrics, now).await,
            None => Ok(()),
        }
    }

    /// The caller, by the first credential that is there and that the route takes: a token
    /// before an API key. A credential that does not hold is refused, never passed over. Whether
    /// a proof was shown before is not judged yet.
    pub(crate) async fn authenticate(
        &self,
        document: &Document,
        auth: &Auth,
        request: &Incoming,
        now: UnixMillis,
    ) -> Result<Identified, Denial> {
        if auth.accepts(Credential::Jwt) {
            let places = Places::of(request);
            let token = match places.token(&document.token_places) {
                Presented::Nothing => None,
                Presented::Unusable => return Err(Denial::invalid_token("token_unusable")),
                Presented::Bearer(text) => Some(Token { text, is_dpop: false }),
                Presented::Dpop(text) => Some(Token { text, is_dpop: true }),
            };
            if let Some(token) = token {
                return self.by_token(document, auth, request, token, now);
            }
        }
        if auth.accepts(Credential::ApiKey) {
            let principal = self.by_api_key(document, request, now).await?;
            return Ok(Identified { principal, ..Identified::default() });
        }
        Ok(Identified::default())
    }

    async fn by_api_key(
        &self,
        document: &Document,
        request: &Incoming,
        now: UnixMillis,
    ) -> Result<Option<Principal>, Denial> {
        let key = match request.headers.single(headers::API_KEY) {
            Single::Absent => return Ok(None),
            Single::Repeated => return Err(Denial::invalid_token("api_key_repeated")),
            Single::One(key) => key,
        };
        let key =
            core::str::from_utf8(key).map_err(|_| Denial::invalid_token("api_key_not_text"))?;
        match self.parts.api_keys.find(document, key, now).await {
            Ok(Some(principal)) => Ok(Some(principal)),
            Ok(None) => Err(Denial::invalid_token("api_key_unknown")),
            Err(error) => {
                tracing::warn!(%error, "API keys cannot be looked up");
                Err(Denial::unavailable("api_keys_unavailable", 1))
            }
        }
    }

    /// Limits and circuit in one call to the store. In shadow only the circuit refuses.
    async fn spend(
        &self,
        held: Held<'_>,
        limits: &[(&Limit, LimitAsk)],
        circuit: Option<CircuitAsk>,
        now: UnixMillis,
    ) -> Result<Option<RateLimitStatus>, Denial> {
        match self.ask_store(held, limits, circuit, now).await {
            Err(denial) if !held.enforced && denial.code != ErrorCode::CircuitOpen => {
                self.parts.metrics.shadowed(&held.route.name);
                Ok(None)
            }
            spent => spent,
        }
    }

    async fn ask_store(
        &self,
        held: Held<'_>,
        limits: &[(&Limit, LimitAsk)],
        circuit: Option<CircuitAsk>,
        now: UnixMillis,
    ) -> Result<Option<RateLimitStatus>, Denial> {
        if limits.is_empty() && circuit.is_none() {
            return Ok(None);
        }
        let guards = circuit.is_some();
        let ask = DecisionAsk {
            limits: limits.iter().map(|(_, ask)| *ask).collect(),
            circuit: circuit.clone(),
        };
        let (decision, complete) = match self.parts.store.decide(&ask, now).await {
            Ok(decision) => (decision, true),
            Err(error) => {
                tracing::debug!(%error, "deciding without the store");
                let replicas = held.document.stores.replicas;
                let metrics = &self.parts.metrics;
                let decision = self.stand_in.decide(limits, circuit, replicas, metrics, now);
                (decision.await?, false)
            }
        };
        if guards {
            self.parts.metrics.circuit(held.route.service_name(), standing(decision.admission));
        }
        self.judge(limits, &decision, complete)
    }

    /// `complete`: there is an outcome for every limit, in order.
    fn judge(
        &self,
        limits: &[(&Limit, LimitAsk)],
        decision: &Decision,
        complete: bool,
    ) -> Result<Option<RateLimitStatus>, Denial> {
        let metrics = &self.parts.metrics;
        if let Admission::Refused { retry_after_ms } = decision.admission {
            let mut denial = Denial::new(ErrorCode::CircuitOpen, "circuit_open");
            denial.retry_after_secs = Some(retry_after_ms.div_ceil(1000));
            return Err(denial);
        }
        let mut tightest: Option<RateLimitStatus> = None;
        for (at, outcome) in decision.limits.iter().enumerate() {
            if !outcome.allowed {
                let name = limits.get(at).filter(|_| complete).map(|(limit, _)| &limit.name);
                metrics.limit_hit(name.map_or("local_share", |name| name));
                return Err(Denial::rate_limited(outcome.status));
            }
            tightest = Some(match tightest {
                Some(tightest) => tightest.tighter(outcome.status),
                None => outcome.status,
            });
        }
        Ok(tightest)
    }
}

/// Where a circuit stands that has answered so.
const fn standing(admission: Admission) -> State {
    match admission {
        Admission::Pass => State::Closed,
        Admission::Probe => State::HalfOpen,
        Admission::Refused { .. } => State::Open,
    }
}

/// What a request takes from each exact limit of its route.
fn asks<'r>(
    route: &'r Route,
    request: &Incoming,
    address: Option<IpAddr>,
    path: &str,
    principal: Option<&Principal>,
) -> Vec<(&'r Limit, LimitAsk)> {
    let counted = Counted { address, principal, headers: &request.headers, path };
    let ask = |limit: &'r Arc<Limit>| {
        let key = hash(&limit.key_of(route, &counted));
        (limit.as_ref(), LimitAsk { key, rate: limit.rate, cost: 1 })
    };
    route.exact_limits.iter().map(ask).collect()
}

/// Envoy tells `ext_authz` the connection's peer. Behind trusted proxies the client is so many
/// places before it in `x-forwarded-for`, to which Envoy has appended the peer.
fn client_address(document: &Document, request: &Incoming) -> Option<IpAddr> {
    let hops = usize::from(document.trusted_proxies);
    address::behind_proxies(&request.headers, hops).or(request.address)
}

/// What a store's key is made of: a hash, so that nothing a client sent becomes a name there.
fn hash(key: &str) -> LimitKey {
    let digest = Sha256::digest(key.as_bytes());
    LimitKey(digest.first_chunk().copied().unwrap_or_default())
}

/// The id that answer and log name. Envoy makes one for every request; the last way is for
/// callers that are not Envoy.
fn correlation_id(request: &Incoming, now: UnixMillis) -> String {
    let one = |name| request.headers.single(name).one();
    let fallback = || u128::from_le_bytes(hash(&format!("{}{}", now.0, request.target)).0);
    correlation::choose(one(headers::CORRELATION_ID), one(headers::REQUEST_ID), fallback)
}

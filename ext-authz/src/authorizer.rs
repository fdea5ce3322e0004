//! The decision on one request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use postern_document::{Auth, Counted, Document, Route};
use postern_jose::Possession;
use postern_limits::top::TopKey;
use postern_request::evidence::Evidence;
use postern_request::headers::{self, Single};
use postern_request::principal::Credential;
use postern_request::{
    Denial, ErrorCode, HeaderView as _, Principal, RenderedDenial, UnixMillis, address,
    correlation, denial, path,
};
use postern_store::BusyKeys;
use postern_store::limiter::Limiter;
use postern_store::volatile::{CircuitAsk, VolatileStore};

use crate::api_keys::ApiKeys;
use crate::keys::{CheckSignature, IssuerKeys};
use crate::limits::{self, Held, Spent, Wanted};
use crate::metrics::Metrics;
use crate::possession::Proven;
use crate::revoked::Revoked;
use crate::tickets::Tickets;

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
    /// Whom that certificate names, as Envoy says: by its first URI, where it has one.
    pub peer: Option<String>,
}

/// What Envoy is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Pass.
    Allow {
        /// For the bundle.
        evidence: Box<Evidence>,
        /// The ticket for what the request may get back when it has ended; none where that does
        /// not matter.
        settle: Option<String>,
    },
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
    /// Limits and circuits. While its store is away it asks what stands in; that one is shared
    /// with `ext_proc`, which tells it outcomes.
    pub limiter: Arc<Limiter>,
    /// The proofs that were seen.
    pub store: Arc<dyn VolatileStore>,
    /// Makes tickets for requests whose end matters to a limit. Whoever hears of their end must
    /// have the same key.
    pub tickets: Tickets,
    /// Metrics.
    pub metrics: Metrics,
}

/// Decides on requests.
pub struct Authorizer {
    pub(crate) parts: Parts,
    pub(crate) busy: BusyKeys,
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

/// A request that may pass.
struct Admitted {
    identified: Identified,
    spent: Spent,
}

impl Authorizer {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts, busy: BusyKeys::default() }
    }

    /// What was near an exact limit or over it most often since the start: so many texts, limit
    /// and what it counts by, each with how often that was. They hold what clients sent, and who
    /// they are: for operators' eyes, not for a log.
    #[must_use]
    pub fn top_keys(&self, most: usize) -> Vec<TopKey<String>> {
        self.busy.top(most)
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
            Ok(Admitted { identified, spent }) => Answer::Allow {
                evidence: Box::new(Evidence {
                    route: name.to_owned(),
                    document: document.digest.clone(),
                    principal: identified.principal,
                    limit: spent.limit,
                    shown_certificate: identified.shown.certificate,
                    shown_key: identified.shown.key,
                }),
                settle: spent.taken.and_then(|taken| taken.into_ticket(&self.parts.tickets)),
            },
            Err(mut denial) => {
                denial.limit_headers = document.limit_headers;
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
    /// tell what came of that. Who is refused after the limits gets back what they give back of
    /// failed requests.
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
        // Nothing is counted for a stranger.
        let identified = match route.check_peer(request.peer.as_deref().unwrap_or_default()) {
            Ok(()) => self.authenticate(document, &route.auth, request, now).await,
            Err(denial) => Err(denial),
        };
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
        let wanted = Wanted::of(
            route,
            &Counted {
                address: client_address(document, request),
                principal: identified.principal.as_ref(),
                headers: &request.headers,
                method: &request.method,
                authority: &request.authority,
                path,
            },
        )?;
        let circuit = route
            .circuit()
            .map(|settings| CircuitAsk { service: route.service_name().to_owned(), settings });
        let held = Held { document, route, enforced };
        if identified.proven.is_none() {
            let spent = self.spend(held, wanted, circuit, now).await?;
            return Ok(Admitted { identified, spent });
        }
        let spent = self.spend(held, wanted, None, now).await?;
        let admitted = match self.remember(&identified, now).await {
            Err(_) if !enforced => {
                self.parts.metrics.shadowed(&route.name);
                let spent = Spent { limit: None, ..spent };
                Admitted { identified: Identified::default(), spent }
            }
            remembered => {
                remembered?;
                Admitted { identified, spent }
            }
        };
        self.spend(held, Wanted::default(), circuit, now).await?;
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
        if auth.accepts(Credential::Jwt)
            && let Some(token) = request.token(document)?
        {
            return self.by_token(document, auth, request, &token, now);
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
}

/// Envoy tells `ext_authz` the connection's peer. Behind trusted proxies the client is so many
/// places before it in `x-forwarded-for`, to which Envoy has appended the peer.
fn client_address(document: &Document, request: &Incoming) -> Option<IpAddr> {
    let hops = usize::from(document.trusted_proxies);
    address::behind_proxies(&request.headers, hops).or(request.address)
}

/// The id that answer and log name. Envoy makes one for every request; the last way is for
/// callers that are not Envoy.
fn correlation_id(request: &Incoming, now: UnixMillis) -> String {
    let one = |name| request.headers.single(name).one();
    let fallback = || u128::from_le_bytes(limits::hash(&format!("{}{}", now.0, request.target)));
    correlation::choose(one(headers::CORRELATION_ID), one(headers::REQUEST_ID), fallback)
}

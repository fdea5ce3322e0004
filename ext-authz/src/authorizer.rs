//! The decision on one request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use postern_document::{Counted, Document, Route, Visit};
use postern_jose::Possession;
use postern_limits::top::TopKey;
use postern_request::evidence::Evidence;
use postern_request::headers::{self, Single};
use postern_request::principal::Credential;
use postern_request::{
    Denial, ErrorCode, HeaderView as _, Principal, RenderedDenial, UnixMillis, address,
    correlation, cross_site, denial, path,
};
use postern_store::BusyKeys;
use postern_store::limiter::Limiter;
use postern_store::volatile::{CircuitAsk, VolatileStore};

use crate::api_keys::{ApiKeys, FoundKey};
use crate::documents::{Documents, Judged};
use crate::keys::CheckSignature;
use crate::limits::{self, Held, Spent, Wanted};
use crate::metrics::Metrics;
use crate::possession::Proven;
use crate::revoked::{Named, Revoked};
use crate::sessions::Sessions;
use crate::step_up::Authenticated;
use crate::tickets::Tickets;
use crate::touched::{Touched, Used};

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
    /// The digest of the document that the Envoy runs, where it says so.
    pub document: Option<String>,
    /// The Envoy's own bundle keeps circuits: nobody else is to give its requests probes.
    pub keeps_circuits: bool,
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
    /// Turned away, or sent to log in.
    Deny(RenderedDenial),
}

/// What an [`Authorizer`] is made of.
pub struct Parts {
    /// What requests are judged by.
    pub documents: Arc<dyn Documents>,
    /// Checks the signature of a token.
    pub check_signature: CheckSignature,
    /// Checks that of a proof, whose key is the client's choice: it should remember none.
    pub check_proof_signature: CheckSignature,
    /// Whether credentials were revoked.
    pub revoked: Arc<dyn Revoked>,
    /// API keys.
    pub api_keys: ApiKeys,
    /// Browsers' sessions.
    pub sessions: Sessions,
    /// Is told what was used.
    pub touched: Arc<Touched>,
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
    /// How they have authenticated, where the route asks.
    pub(crate) authenticated: Option<Authenticated>,
    /// They have authenticated as well as the route asks.
    pub(crate) stepped_up: bool,
    /// Names of limits that hold for them besides the route's.
    pub(crate) limits: Vec<String>,
    /// What of theirs was used.
    pub(crate) used: Option<Used>,
}

/// A request that may pass.
struct Admitted {
    identified: Identified,
    spent: Spent,
}

/// One that may not.
struct Refused {
    denial: Denial,
    /// Where a browser is sent instead of being told.
    location: Option<String>,
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self { denial, location: None }
    }
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
        let judged = self.parts.documents.judging(request.document.as_deref());
        let document = &*judged.document;
        let path = path::without_query(&request.target);
        let found = match path::check(path, document.allow_matrix_parameters) {
            Err(_) => Err(Denial::new(ErrorCode::BadRequest, "path_ambiguous")),
            Ok(()) => match document.find_route(&request.authority, &request.method, path) {
                Ok(route) => route.ok_or(Denial::new(ErrorCode::NotFound, "no_route")),
                Err(_) => Err(Denial::new(ErrorCode::BadRequest, "path_ambiguous")),
            },
        };
        let (route, decided) = match found {
            Err(denial) => (None, Err(Refused::from(denial))),
            Ok(route) => (Some(route), self.decide(&judged, route, request, path, now).await),
        };
        let name = route.map_or("none", |route| &route.name);
        let refused = decided.as_ref().err();
        let outcome = refused.map_or("ALLOW", |refused| refused.denial.code.as_str());
        self.parts.metrics.decided(name, outcome, started.elapsed().as_secs_f64());
        match decided {
            Ok(Admitted { identified, spent }) => {
                if let Some(used) = identified.used {
                    self.parts.touched.note(used, identified.principal.as_ref(), now);
                }
                Answer::Allow {
                    evidence: Box::new(Evidence {
                        route: name.to_owned(),
                        document: document.digest.clone(),
                        principal: identified.principal,
                        limit: spent.limit,
                        shown_certificate: identified.shown.certificate,
                        shown_key: identified.shown.key,
                        stepped_up: identified.stepped_up,
                    }),
                    settle: spent.taken.and_then(|taken| taken.into_ticket(&self.parts.tickets)),
                }
            }
            Err(refused) => Answer::Deny(self.refuse(document, name, request, refused, now)),
        }
    }

    /// The one rendering of a refusal, or the way to the log-in instead.
    fn refuse(
        &self,
        document: &Document,
        route: &str,
        request: &Incoming,
        refused: Refused,
        now: UnixMillis,
    ) -> RenderedDenial {
        let Refused { mut denial, location } = refused;
        let correlation_id = correlation_id(request, now);
        tracing::debug!(correlation_id, route, reason = denial.reason, "denied");
        if let Some(location) = location {
            self.parts.metrics.login_redirect(route);
            return RenderedDenial::redirect(location, &correlation_id);
        }
        denial.limit_headers = document.limit_headers;
        let is_grpc = denial::is_grpc(request.headers.single("content-type").one());
        let mut rendered = denial.render(&correlation_id, now, is_grpc);
        if let Some(issuer) = document.advertised() {
            rendered.advertise(issuer);
        }
        rendered
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
        judged: &Judged,
        route: &Route,
        request: &Incoming,
        path: &str,
        now: UnixMillis,
    ) -> Result<Admitted, Refused> {
        let document = &*judged.document;
        let id = request.headers.single(headers::REQUEST_ID).one().unwrap_or_default();
        let enforced = route.enforce.applies(id);
        // Nothing is counted for a stranger.
        let identified = match self.identify(judged, route, request, now).await {
            Err(_) if !enforced => {
                self.parts.metrics.shadowed(&route.name);
                Identified::default()
            }
            identified => identified?,
        };
        let asked = Wanted::of(
            document,
            route,
            &identified.limits,
            &Counted {
                address: client_address(document, request),
                principal: identified.principal.as_ref(),
                headers: &request.headers,
                method: &request.method,
                authority: &request.authority,
                path,
            },
        );
        let wanted = match asked {
            Err(_) if !enforced => {
                self.parts.metrics.shadowed(&route.name);
                Wanted::default()
            }
            asked => asked?,
        };
        let circuit = route.circuit().filter(|_| !request.keeps_circuits);
        let circuit = circuit.map(|settings| CircuitAsk {
            service: route.service_name().to_owned(),
            settings: *settings,
        });
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

    /// Who calls, and whether the route takes them.
    async fn identify(
        &self,
        judged: &Judged,
        route: &Route,
        request: &Incoming,
        now: UnixMillis,
    ) -> Result<Identified, Refused> {
        route.check_peer(request.peer.as_deref().unwrap_or_default())?;
        let mut identified = self.authenticate(judged, route, request, now).await?;
        let principal = identified.principal.as_ref();
        let allowed = route.auth.authorize(principal);
        let allowed = allowed.and_then(|()| self.step_up(route, &identified, now));
        match allowed {
            Ok(stepped_up) => {
                identified.stepped_up = stepped_up;
                Ok(identified)
            }
            Err(denial) => {
                let by_session = principal.is_some_and(|p| p.credential == Credential::Session);
                let visit = Visit {
                    method: &request.method,
                    scheme: cross_site::scheme(&request.headers, &request.scheme),
                    authority: &request.authority,
                    target: &request.target,
                    headers: &request.headers,
                };
                let issuer = judged.document.issuer.as_deref();
                let location = route.login_location(issuer, visit, &denial, by_session);
                Err(Refused { denial, location })
            }
        }
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

    /// The caller, by the first credential that is there and that the route takes: a token, an API
    /// key, a session. A credential that does not hold is refused, never passed over, but for a
    /// session that has ended. Whether a proof was shown before is not judged yet.
    pub(crate) async fn authenticate(
        &self,
        judged: &Judged,
        route: &Route,
        request: &Incoming,
        now: UnixMillis,
    ) -> Result<Identified, Denial> {
        let (document, auth) = (&*judged.document, &route.auth);
        if auth.accepts(Credential::Jwt)
            && let Some(token) = request.token(document)?
        {
            return self.by_token(judged, auth, request, &token, now);
        }
        if auth.accepts(Credential::ApiKey)
            && let Some(found) = self.by_api_key(document, request, now).await?
        {
            let FoundKey { id, principal, limits } = found;
            return Ok(Identified {
                principal: Some(principal),
                limits,
                used: Some(Used::ApiKey(id)),
                ..Identified::default()
            });
        }
        if auth.accepts(Credential::Session) {
            return self.by_session(document, route, request, now).await;
        }
        Ok(Identified::default())
    }

    async fn by_api_key(
        &self,
        document: &Document,
        request: &Incoming,
        now: UnixMillis,
    ) -> Result<Option<FoundKey>, Denial> {
        let key = match request.headers.single(headers::API_KEY) {
            Single::Absent => return Ok(None),
            Single::Repeated => return Err(Denial::invalid_api_key("api_key_repeated")),
            Single::One(key) => key,
        };
        let key =
            core::str::from_utf8(key).map_err(|_| Denial::invalid_api_key("api_key_not_text"))?;
        let found = match self.parts.api_keys.find(document, key, now).await {
            Ok(Some(found)) => found,
            Ok(None) => return Err(Denial::invalid_api_key("api_key_unknown")),
            Err(error) => {
                tracing::warn!(%error, "API keys cannot be looked up");
                return Err(Denial::unavailable("api_keys_unavailable", 1));
            }
        };
        match self.parts.revoked.check_named(document, Named::ApiKey(&found.id), now) {
            Ok(()) => Ok(Some(found)),
            Err(denial) if denial.code == ErrorCode::TokenRevoked => {
                self.parts.api_keys.forget(&found.id);
                Err(Denial::invalid_api_key("api_key_revoked"))
            }
            Err(denial) => Err(denial),
        }
    }
}

/// Envoy tells `ext_authz` the connection's peer. Behind trusted proxies the client is so many
/// places before it in `x-forwarded-for`, to which Envoy has appended the peer.
pub(crate) fn client_address(document: &Document, request: &Incoming) -> Option<IpAddr> {
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

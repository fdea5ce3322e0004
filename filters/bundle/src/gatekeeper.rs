//! The decision on a request: route, evidence, token, limits, circuit, headers.

mod authenticate;
mod circuits;
mod configure;
mod limits;
mod plugin;
mod stale;

use std::rc::Rc;
use std::str::FromStr;
use std::sync::Arc;

use postern_document::{Counted, Document, Route};
use postern_filter_host::{Answer, Effects, HeaderList, RequestHost, SoftBudget, VerifierSupport};
use postern_filter_jwt_auth::{Caller, JwtAuth};
use postern_request::principal::Credential;
use postern_request::{
    Denial, ErrorCode, Principal, RateLimitStatus, TokenPlace, UnixMillis, correlation, path,
    tokens,
};

use crate::circuits::CircuitLink;
use crate::counters::{Count, Counters};
use crate::feed::FeedLink;
use crate::fetch::KeyFetcher;
use crate::leases::LeaseLink;
use crate::request::{OwnHeaders, RequestHeaders};
use crate::stages::STAGES;
use circuits::{Call, Way};
use limits::{Spent, Tickets};
use stale::{Answers, Watch};

/// The filter state that names the caller, for access logs and RBAC: `wasm.postern.subject`.
const SUBJECT_STATE: &str = "postern.subject";

/// The bundle's plugin. One per VM.
pub struct Gatekeeper {
    document: Document,
    own_headers: OwnHeaders,
    /// Where tokens stand, and last the suite's own cookies.
    places: Vec<TokenPlace>,
    /// Whether tokens may stand in places from which they must be taken.
    strips_tokens: bool,
    jwt: JwtAuth,
    fetcher: KeyFetcher,
    support: VerifierSupport,
    budget: SoftBudget,
    seed: u128,
    counters: Counters,
    /// Makes ids where Envoy gave none.
    id_counter: u64,
    /// What the server tells, and which VM speaks to it; none where the document needs no server.
    feed: Option<FeedLink>,
    /// Slices of limits; none where the document needs no server.
    leases: Option<LeaseLink>,
    /// Of services that are cut off when they fail; none where no route leads to one.
    circuits: Option<CircuitLink>,
    /// Of routes that keep some for when their circuit is open.
    answers: Answers,
    /// Whether upstreams' responses arrive without the headers that are written here.
    clean_responses: bool,
}

/// What is kept of a request until it has ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Responding {
    correlation_id: String,
    started: UnixMillis,
    limit: Option<RateLimitStatus>,
    /// What limits took that may have to be given back.
    tickets: Tickets,
    /// Of a service with a circuit, until it is known how this has ended.
    call: Option<Call>,
    /// Of a route that keeps answers, or gives out one that it has kept.
    watch: Option<Box<Watch>>,
    /// Whether the response has none of the headers that are written to it.
    is_clean: bool,
}

/// The caller of a request, from one of two places.
enum Known {
    Token(Rc<Caller>),
    Evidence(Box<Principal>),
    Nobody,
}

impl Known {
    fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Token(caller) => Some(caller.principal()),
            Self::Evidence(principal) => Some(principal),
            Self::Nobody => None,
        }
    }
}

/// A caller whom the route takes, and what the server's limits say of them.
struct Identified {
    known: Known,
    exact: Option<RateLimitStatus>,
}

impl Identified {
    const NOBODY: Self = Self { known: Known::Nobody, exact: None };
}

/// A request that may pass.
struct Admitted {
    known: Known,
    limit: Option<RateLimitStatus>,
    tickets: Tickets,
    way: Way,
    route: Arc<Route>,
}

/// A request that goes no further.
enum Turned {
    /// It is refused.
    Away(Denial),
    /// It gets the answer that its route has for when the circuit is open; what is left to do for
    /// one that was kept.
    Answered(Answer, Option<Box<Watch>>),
}

impl From<Denial> for Turned {
    fn from(denial: Denial) -> Self {
        Self::Away(denial)
    }
}

impl Gatekeeper {
    /// Finds the route and runs its stages.
    fn decide(
        &mut self,
        host: &impl RequestHost,
        list: &HeaderList,
        request: &RequestHeaders<'_>,
        effects: &mut dyn Effects,
        now: UnixMillis,
    ) -> Result<Admitted, Turned> {
        let target = request.target.ok_or(Denial::new(ErrorCode::BadRequest, "path_not_text"))?;
        let path = path::without_query(target);
        path::check(path, self.document.allow_matrix_parameters)
            .map_err(|_| Denial::new(ErrorCode::BadRequest, "path_ambiguous"))?;
        let found = self.document.find_route(request.authority, request.method, path);
        let route = match found {
            Ok(Some(route)) => Arc::clone(route),
            Ok(None) => return Err(Denial::new(ErrorCode::NotFound, "no_route").into()),
            Err(_) => return Err(Denial::new(ErrorCode::BadRequest, "path_ambiguous").into()),
        };
        let (places, mut left_of_target) = (self.stripped(&route), None);
        if STAGES.tokens && !places.is_empty() {
            // Also from what is refused: our own access log shows the path. Of another `:path`
            // Envoy routes again by itself, to the same route: only the query is another one.
            tokens::strip(places, request, &mut |name, left| match left {
                Some(left) => {
                    if name == tokens::TARGET {
                        left_of_target = Some(left.to_vec());
                    }
                    effects.rewrite_header(name, left);
                }
                None => effects.remove_header(name),
            });
        }
        let enforced = route.enforce.applies(request.request_id.unwrap_or_default());
        // In shadow a denial is counted and the request passes: as nobody where it is about who
        // calls, as who it is where it is about a limit.
        let identified = match self.identify(host, request, &route, now) {
            Err(_) if !enforced => {
                self.counters.add(Count::Shadowed, 1);
                Identified::NOBODY
            }
            identified => identified?,
        };
        let counted = Counted {
            // Asked of the host where a limit counts by it.
            address: None,
            principal: identified.known.principal(),
            headers: list,
            method: request.method,
            authority: request.authority,
            path,
        };
        let target = left_of_target.as_deref().unwrap_or(target.as_bytes());
        let asked = self.ask(host, list, request, target, &route, &identified.known);
        let looked = self.look(host, &route);
        let may_refuse = looked.is_some_and(|looked| !looked.is_closed);
        let mut spent = match self.spend(host, &route, counted, may_refuse, now) {
            Err(_) if !enforced => {
                self.counters.add(Count::Shadowed, 1);
                Spent::default()
            }
            spent => spent?,
        };
        // Also in shadow: an open circuit is no rule for callers.
        let way = self.pass_circuit(host, &route, looked, asked, request.is_grpc, now);
        if may_refuse {
            match &way {
                Ok(_) => spent.tickets.confirm(),
                // A kept answer counts as the service's own would.
                Err(Turned::Answered(_, Some(_))) => {
                    spent.tickets.settle(host, true, now);
                    spent.tickets.release(host);
                }
                Err(_) => spent.tickets.put_back(host, now),
            }
        }
        let (way, known) = (way?, identified.known);
        let limit = limits::tighter(spent.limit, identified.exact);
        Ok(Admitted { known, limit, tickets: spent.tickets, way, route })
    }

    /// Where nothing may be left that opens anything: of tokens where the route takes them, of the
    /// suite's cookies wherever the request goes to a service that is not the suite itself.
    fn stripped(&self, route: &Route) -> &[TokenPlace] {
        let tokens = self.document.token_places.len();
        let takes_tokens = self.strips_tokens && route.auth.accepts(Credential::Jwt);
        let start = if takes_tokens { 0 } else { tokens };
        let end = if route.service.is_some() { self.places.len() } else { tokens };
        self.places.get(start..end).unwrap_or_default()
    }

    /// Tells the upstream who is calling, and access logs and policies what a token claims.
    ///
    /// Whatever came from outside under these names has been removed, and no name is given
    /// twice, so the headers can be added.
    fn write_identity(&self, known: &Known, effects: &mut dyn Effects) {
        match known {
            Known::Nobody => return,
            Known::Token(caller) => {
                caller.headers().for_each(|(name, value)| effects.add_header(name, value));
                for (key, text) in caller.states() {
                    effects.set_filter_state(key, text.as_bytes());
                }
            }
            Known::Evidence(principal) => {
                for (name, value) in principal.headers(&self.document.identity_headers) {
                    effects.add_header(&name, &value);
                }
            }
        }
        if let Some(principal) = known.principal() {
            effects.set_filter_state(SUBJECT_STATE, principal.subject.as_bytes());
        }
    }

    /// Trace context for a request that brings none.
    fn traceparent(&mut self, id: &str, request_id: Option<&[u8]>, now: UnixMillis) -> String {
        let given = request_id.filter(|given| correlation::is_uuid(given));
        match given.and_then(|given| core::str::from_utf8(given).ok()) {
            Some(given) => correlation::traceparent_for(id, given),
            None => correlation::traceparent_for(id, &correlation::uuid_from(self.next_id(now))),
        }
    }

    fn next_id(&mut self, now: UnixMillis) -> u128 {
        self.id_counter = self.id_counter.wrapping_add(1);
        let text = [now.0.to_le_bytes(), self.id_counter.to_le_bytes()].concat();
        self.jwt.cache().hash(&text)
    }
}

fn number<T: FromStr>(text: &[u8]) -> Option<T> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;

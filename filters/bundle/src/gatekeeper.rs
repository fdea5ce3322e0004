//! The decision on a request: route, evidence, token, limits, headers.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use postern_document::{Auth, Counted, Document, JwksSource, OnFailure, Route};
use postern_filter_host::{
    Effects, HeaderList, HostVerifier, HttpCall, Outcome, Plugin, RequestHost, SoftBudget,
    VerifierSupport,
};
use postern_filter_jwt_auth::{Caller, JwtAuth, Source};
use postern_filter_local_rate_limit as local_rate_limit;
use postern_request::correlation;
use postern_request::evidence::{self, Evidence};
use postern_request::headers;
use postern_request::principal::Credential;
use postern_request::{
    Denial, ErrorCode, Presented, Principal, RateLimitStatus, UnixMillis, address, path,
};

use crate::configuration::{self, Configuration};
use crate::counters::{Count, Counters, NAMES};
use crate::fetch::KeyFetcher;
use crate::request::{RequestHeaders, is_identity_header};
use crate::revocation::{self, Revocation, Standing};

/// Signature checks in Rust that one VM makes in a second, where the host cannot.
const SOFT_CHECKS_PER_SECOND: u32 = 50;

/// Milliseconds between ticks where only keys are looked after.
const KEYS_TICK_MS: u64 = 1000;
/// The purpose of the feed's calls; those for keys have the numbers of their sources.
const FEED: usize = usize::MAX;

/// The filter state that names the caller, for access logs and RBAC: `wasm.postern.subject`.
const SUBJECT_STATE: &str = "postern.subject";

/// The filter state that says why a request was refused, for access logs: `wasm.postern.denied`.
const DENIED_STATE: &str = "postern.denied";

/// The bundle's plugin. One per VM.
pub struct Gatekeeper {
    document: Document,
    /// Headers that the document makes of claims; ours alone, like the identity headers.
    claim_headers: Vec<String>,
    jwt: JwtAuth,
    fetcher: KeyFetcher,
    support: VerifierSupport,
    budget: SoftBudget,
    seed: u128,
    counters: Counters,
    /// Makes ids where Envoy gave none.
    id_counter: u64,
    /// What is revoked; none where the document does not ask.
    revocation: Option<Revocation>,
    /// Whether upstreams' responses arrive without the headers that are written here.
    clean_responses: bool,
}

/// What is kept of a request until its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responding {
    correlation_id: String,
    started: UnixMillis,
    limit: Option<RateLimitStatus>,
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

/// A request that may pass.
struct Admitted {
    known: Known,
    limit: Option<RateLimitStatus>,
    route: Arc<Route>,
}

impl Gatekeeper {
    /// Finds the route and runs its stages.
    fn decide(
        &mut self,
        host: &impl RequestHost,
        list: &HeaderList,
        request: &RequestHeaders<'_>,
        now: UnixMillis,
    ) -> Result<Admitted, Denial> {
        let target = request.target.ok_or(Denial::new(ErrorCode::BadRequest, "path_not_text"))?;
        let path = path::without_query(target);
        path::check(path, self.document.allow_matrix_parameters)
            .map_err(|_| Denial::new(ErrorCode::BadRequest, "path_ambiguous"))?;
        let found = self.document.find_route(request.authority, request.method, path);
        let route = match found {
            Ok(Some(route)) => Arc::clone(route),
            Ok(None) => return Err(Denial::new(ErrorCode::NotFound, "no_route")),
            Err(_) => return Err(Denial::new(ErrorCode::BadRequest, "path_ambiguous")),
        };
        let enforced = route.enforce.applies(request.request_id.unwrap_or_default());
        // In shadow a denial is counted and the request passes: as nobody where it is about who
        // calls, as who it is where it is about a limit.
        let identified = match self.identify(host, request, &route, now) {
            Err(_) if !enforced => {
                self.counters.add(Count::Shadowed, 1);
                Identified { known: Known::Nobody, exact: None }
            }
            identified => identified?,
        };
        let principal = identified.known.principal();
        let limit = match self.spend(host, list, &route, path, principal, now) {
            Err(_) if !enforced => {
                self.counters.add(Count::Shadowed, 1);
                None
            }
            spent => spent?,
        };
        let limit = match (limit, identified.exact) {
            (Some(local), Some(exact)) => Some(local.tighter(exact)),
            (local, exact) => local.or(exact),
        };
        Ok(Admitted { known: identified.known, limit, route })
    }

    /// What `ext_authz` said, where the route needs it. None, or one for another route or
    /// document, means that it was bypassed or saw another request than we do: deny.
    fn evidence(
        &mut self,
        host: &impl RequestHost,
        route: &Route,
    ) -> Result<Option<Evidence>, Denial> {
        if !route.needs_ext_authz() {
            return Ok(None);
        }
        let place =
            ["metadata", "filter_metadata", evidence::METADATA_NAMESPACE, evidence::METADATA_KEY];
        let found = host.property(&place).as_deref().and_then(Evidence::decode);
        match found {
            Some(evidence)
                if evidence.route == route.name && evidence.document == self.document.digest =>
            {
                Ok(Some(evidence))
            }
            None if self.document.failures.ext_authz == OnFailure::Allow => Ok(None),
            _ => {
                self.counters.add(Count::EvidenceMissing, 1);
                Err(Denial::unavailable("evidence_missing", 1))
            }
        }
    }

    /// Who calls, and whether the route takes them.
    fn identify(
        &mut self,
        host: &impl RequestHost,
        request: &RequestHeaders<'_>,
        route: &Route,
        now: UnixMillis,
    ) -> Result<Identified, Denial> {
        let evidence = self.evidence(host, route)?;
        let exact = evidence.as_ref().and_then(|evidence| evidence.limit);
        let known = self.authenticate(host, request, &route.auth, evidence, now)?;
        route.auth.authorize(known.principal())?;
        Ok(Identified { known, exact })
    }

    /// Takes from the route's local limits.
    fn spend(
        &mut self,
        host: &impl RequestHost,
        list: &HeaderList,
        route: &Route,
        path: &str,
        principal: Option<&Principal>,
        now: UnixMillis,
    ) -> Result<Option<RateLimitStatus>, Denial> {
        if route.local_limits.is_empty() {
            return Ok(None);
        }
        let counted = Counted {
            address: route.counts_addresses().then(|| client_address(host)).flatten(),
            principal,
            headers: list,
            path,
        };
        let verdict = local_rate_limit::check(route, &counted, host, self.seed, now);
        self.counters.add(Count::SlotsEvicted, u64::from(verdict.evicted));
        self.counters.add(Count::SlotConflicts, u64::from(verdict.conflicts));
        verdict.denial.map_or(Ok(verdict.status), Err)
    }

    /// The caller: from the token where the route takes tokens and one is there (verified here,
    /// whatever others said), else from the evidence.
    fn authenticate(
        &mut self,
        host: &impl RequestHost,
        request: &RequestHeaders<'_>,
        auth: &Auth,
        evidence: Option<Evidence>,
        now: UnixMillis,
    ) -> Result<Known, Denial> {
        let vouched = |evidence: Option<Evidence>| {
            evidence.and_then(|evidence| evidence.principal).map(Box::new)
        };
        if !auth.accepts(Credential::Jwt) {
            return Ok(match auth {
                Auth::None => Known::Nobody,
                Auth::Rules { .. } => vouched(evidence).map_or(Known::Nobody, Known::Evidence),
            });
        }
        match Presented::from_authorization(request.authorization) {
            Presented::Nothing => Ok(vouched(evidence).map_or(Known::Nobody, Known::Evidence)),
            Presented::Unusable => Err(Denial::invalid_token("authorization_unusable")),
            Presented::Bearer(token) => {
                let mut verifier =
                    HostVerifier { host, support: self.support, budget: &mut self.budget, now };
                let (caller, source) = self.jwt.authenticate(token, &mut verifier, now)?;
                self.counters.add(
                    match source {
                        Source::Cache => Count::TokensCached,
                        Source::Signature => Count::TokensVerified,
                    },
                    1,
                );
                self.check_revocation(host, &caller, now)?;
                Ok(Known::Token(caller))
            }
        }
    }

    /// Refuses a caller whose token was revoked.
    fn check_revocation(
        &mut self,
        host: &impl RequestHost,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<(), Denial> {
        let Some(revocation) = &mut self.revocation else { return Ok(()) };
        revocation.feed.serves();
        match revocation.judge(caller, host, now) {
            Ok(Standing::Good) => Ok(()),
            Ok(Standing::Unknown) => {
                self.counters.add(Count::RevocationUnknown, 1);
                Ok(())
            }
            Err(denial) => {
                if denial.code == ErrorCode::TokenRevoked {
                    self.counters.add(Count::Revoked, 1);
                }
                Err(denial)
            }
        }
    }

    /// Tells the upstream who is calling.
    ///
    /// Whatever came from outside under these names has been removed, and no name is given
    /// twice, so the headers can be added.
    fn write_identity(&self, known: &Known, effects: &mut dyn Effects) {
        match known {
            Known::Nobody => return,
            Known::Token(caller) => {
                caller.headers().for_each(|(name, value)| effects.add_header(name, value));
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

/// The client's address, as Envoy worked it out.
fn client_address(host: &impl RequestHost) -> Option<IpAddr> {
    let text = host.property(&["source", "address"])?;
    address::parse(core::str::from_utf8(&text).ok()?)
}

impl Plugin for Gatekeeper {
    type Stream = Responding;

    const METRICS: &'static [&'static str] = NAMES;

    fn configure(host: impl RequestHost, configuration: &[u8]) -> Result<Self, Vec<String>> {
        let Configuration { document, key_sources, clean_responses, feed } =
            configuration::read(configuration)?;
        let revocation = match (document.revocation, feed) {
            (Some(rules), Some(source)) => {
                Some(Revocation::new(source, rules, &document.digest, &host))
            }
            (None, _) => None,
            // Whoever renders must say where the feed is: going on without would let revoked
            // tokens in.
            (Some(_), None) => {
                return Err(vec!["`revocation` is asked for, and no feed is named".to_owned()]);
            }
        };
        let (seed, random) = host.seed();
        let mut counters = Counters::default();
        if !random {
            // Whoever knows when this Envoy started could aim at slots; seen in the metrics.
            counters.add(Count::WeakSeeds, 1);
        }
        let issuers = document.issuers.iter().map(|issuer| issuer.issuer.clone()).collect();
        let mut jwt = JwtAuth::new(issuers, document.identity_headers.clone(), seed);
        for (index, issuer) in document.issuers.iter().enumerate() {
            if let JwksSource::Inline(keys) = &issuer.jwks {
                jwt.set_keys(index, keys.clone());
            }
        }
        let claim_headers = document
            .issuers
            .iter()
            .flat_map(|issuer| &issuer.issuer.rules.claim_headers)
            .map(|(header, _)| header.clone())
            .collect();
        Ok(Self {
            claim_headers,
            jwt,
            fetcher: KeyFetcher::new(key_sources),
            support: VerifierSupport::probe(&host),
            budget: SoftBudget::new(SOFT_CHECKS_PER_SECOND),
            seed,
            counters,
            id_counter: 0,
            clean_responses,
            revocation,
            document,
        })
    }

    fn tick_ms(&self) -> u64 {
        if self.revocation.is_some() { revocation::TICK_MS } else { KEYS_TICK_MS }
    }

    fn on_tick(&mut self, host: impl RequestHost) -> Vec<HttpCall> {
        let mut calls = self.fetcher.due(host.now());
        calls.extend(self.revocation.as_mut().and_then(|feed| feed.due(&host, FEED)));
        calls
    }

    fn on_http_call_sent(&mut self, host: impl RequestHost, call: &HttpCall, token: Option<u32>) {
        if call.purpose == FEED {
            self.counters.add(Count::FeedCalls, 1);
            if let Some(feed) = &mut self.revocation {
                feed.sent(&host, token, host.now());
            }
            return;
        }
        self.counters.add(Count::KeyFetches, 1);
        if token.is_none() {
            self.counters.add(Count::KeyFetchFailures, 1);
        }
        self.fetcher.sent(call, token);
    }

    fn on_http_call_answer(
        &mut self,
        host: impl RequestHost,
        token: u32,
        status: Option<u16>,
        body: &[u8],
    ) -> Result<(), String> {
        let feed = self.revocation.as_mut();
        if let Some(taken) = feed.and_then(|feed| feed.answered(&host, token, body, host.now())) {
            self.counters.add(Count::FeedFailures, u64::from(taken.is_err()));
            return taken;
        }
        match self.fetcher.answered(token, status, body, host.now()) {
            Some(Ok((issuer, keys))) => {
                self.jwt.set_keys(issuer, keys);
                Ok(())
            }
            Some(Err(message)) => {
                self.counters.add(Count::KeyFetchFailures, 1);
                Err(message)
            }
            None => Ok(()),
        }
    }

    fn take_counts(&mut self) -> Vec<u64> {
        self.counters.take()
    }

    fn on_request_headers(
        &mut self,
        host: impl RequestHost,
        list: &HeaderList,
        effects: &mut dyn Effects,
    ) -> Outcome<Responding> {
        let now = host.now();
        self.counters.add(Count::Requests, 1);
        let request = RequestHeaders::read(list, &self.claim_headers);
        let correlation_id =
            correlation::choose(request.correlation_id, request.request_id, || self.next_id(now));
        let decided = self.decide(&host, list, &request, now);
        for name in &request.forged {
            self.counters.add(Count::IdentityStripped, 1);
            effects.remove_header(name);
        }
        match decided {
            Ok(admitted) => {
                self.counters.add(Count::Allowed, 1);
                // Values that only `ext_proc` can write must not come from outside while it is
                // away.
                for (name, value) in &admitted.route.transform.request.set {
                    if !value.is_fixed() && list.iter().any(|(sent, _)| sent == name) {
                        effects.remove_header(name);
                    }
                }
                self.write_identity(&admitted.known, effects);
                match request.correlation_id {
                    None => effects.add_header(headers::CORRELATION_ID, &correlation_id),
                    Some(kept) if kept == correlation_id.as_bytes() => {}
                    Some(_) => effects.set_header(headers::CORRELATION_ID, &correlation_id),
                }
                if !request.traceparent.is_some_and(correlation::is_traceparent) {
                    let trace = self.traceparent(&correlation_id, request.request_id, now);
                    match request.traceparent {
                        None => effects.add_header(headers::TRACEPARENT, &trace),
                        Some(_) => effects.set_header(headers::TRACEPARENT, &trace),
                    }
                }
                Outcome::Continue(Some(Responding {
                    correlation_id,
                    started: now,
                    limit: admitted.limit,
                    is_clean: self.clean_responses,
                }))
            }
            Err(denial) => {
                self.counters.add_denial(denial.code.status());
                // For the access log: which request this was, and what a client is never told.
                effects.set_header(headers::CORRELATION_ID, &correlation_id);
                effects.set_filter_state(DENIED_STATE, denial.reason.as_bytes());
                let rendered = denial.render(&correlation_id, now, request.is_grpc);
                let responding =
                    Responding { correlation_id, started: now, limit: None, is_clean: false };
                Outcome::Deny(rendered, responding)
            }
        }
    }

    fn on_request_trailers(&mut self, trailers: &HeaderList, effects: &mut dyn Effects) {
        for (name, _) in trailers {
            if is_identity_header(name, &self.claim_headers) {
                self.counters.add(Count::IdentityStripped, 1);
                effects.remove_header(name);
            }
        }
    }

    fn on_response_headers(
        &mut self,
        host: impl RequestHost,
        stream: Responding,
        effects: &mut dyn Effects,
    ) {
        let mut write = |name: &str, value: &str| {
            if stream.is_clean {
                effects.add_header(name, value);
            } else {
                effects.set_header(name, value);
            }
        };
        write(headers::CORRELATION_ID, &stream.correlation_id);
        let took = host.now().millis_since(stream.started);
        write(headers::RESPONSE_TIME, &took.to_string());
        if let Some(limit) = stream.limit {
            limit.for_each_header(write);
        }
    }
}

#[cfg(test)]
mod tests;

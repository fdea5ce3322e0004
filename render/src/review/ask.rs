//! Asking what becomes of a request: the one place that talks to `postern-explain`.

mod other;

use std::collections::BTreeSet;

use postern_document::{Auth, CertificateSource, Document, Proof, Route};
use postern_explain::{
    Assumptions, GivenClaims, GivenSession, Outcome, Part, Request, Shown, explain,
};
use postern_jose::{Key, SignatureVerifier, VerifyError, base64url};
use postern_request::UnixMillis;
use postern_request::login::SEVERAL_FACTORS;
use postern_request::principal::{Credential, Principal};
use serde_json::{Map, Value, json};

use super::model::Answered;
use super::witness::Target;
use other::first_issuer;
pub(super) use other::{Other, others};

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Caller {
    /// Somebody without any credential.
    Nobody,
    /// Somebody with a token that has all but the route's scopes.
    WithoutScopes,
    /// Somebody with a token that has all but the claims that the route asks for.
    WithoutClaims,
    /// Somebody with a token that has everything.
    Token,
    /// Somebody with an API key that has everything.
    ApiKey,
    /// Somebody with a session that has everything, in a page of the gateway's own origin.
    Session,
    /// Somebody with everything, from a workload that the route does not name.
    Stranger,
}

impl Caller {
    /// How reports call it.
    pub(super) fn told(self, route: &Route) -> String {
        let (mut scopes, mut claims) = (Vec::new(), Vec::new());
        if let Auth::Rules { scopes: asked, token, .. } = &route.auth {
            scopes.extend(asked.iter().map(String::as_str));
            claims.extend(token.claims.iter().map(|rule| rule.claim.as_str()));
        }
        match self {
            Self::Nobody => "nobody".to_owned(),
            Self::WithoutScopes => format!("a token without {}", scopes.join(" ")),
            Self::WithoutClaims => format!("a token without the claim {}", claims.join(", ")),
            Self::Token => "a good token".to_owned(),
            Self::ApiKey => "a good API key".to_owned(),
            Self::Session => "a good session".to_owned(),
            Self::Stranger => "a workload that is not named".to_owned(),
        }
    }

    /// Whether it lacks something on purpose.
    pub(super) const fn lacks_something(self) -> bool {
        matches!(self, Self::WithoutScopes | Self::WithoutClaims | Self::Stranger)
    }

    /// Those that make a difference to a route.
    pub(super) fn of(route: &Route) -> Vec<Self> {
        let mut all = vec![Self::Nobody];
        if let Auth::Rules { any, scopes, token, .. } = &route.auth {
            let by_token = any.contains(&Credential::Jwt);
            if by_token && !scopes.is_empty() {
                all.push(Self::WithoutScopes);
            }
            if by_token && !token.claims.is_empty() {
                all.push(Self::WithoutClaims);
            }
            if by_token {
                all.push(Self::Token);
            }
            if any.contains(&Credential::ApiKey) {
                all.push(Self::ApiKey);
            }
            if any.contains(&Credential::Session) {
                all.push(Self::Session);
            }
        }
        if !route.peers.is_empty() {
            all.push(Self::Stranger);
        }
        all
    }

    /// The one who should get through.
    pub(super) fn best(route: &Route) -> Self {
        match &route.auth {
            Auth::None => Self::Nobody,
            Auth::Rules { any, .. } if any.contains(&Credential::Jwt) => Self::Token,
            Auth::Rules { any, .. } if any.contains(&Credential::ApiKey) => Self::ApiKey,
            Auth::Rules { .. } => Self::Session,
        }
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// It reaches a service, at least now and then.
    pub(super) allowed: bool,
    /// Such as `403 scope_missing`.
    pub(super) text: String,
    /// Whose rules held.
    pub(super) route: Option<String>,
}

impl Answer {
    pub(super) fn to(&self, route: &Route, caller: Caller, target: &Target) -> Answered {
        Answered {
            caller: caller.told(route),
            request: target.line(),
            allowed: self.allowed,
            answer: self.text.clone(),
        }
    }
}

/// Answers for one document.
pub(super) struct Oracle<'d> {
    document: &'d Document,
    now: UnixMillis,
}

/// What a token is bound to, where a route asks for that. Nobody's certificate.
const CERTIFICATE: [u8; 32] = [0x5a; 32];

impl<'d> Oracle<'d> {
    pub(super) const fn new(document: &'d Document, now: UnixMillis) -> Self {
        Self { document, now }
    }

    /// What becomes of a request by a caller who has what `route` asks for, as far as the caller's
    /// kind says.
    pub(super) fn ask(&self, route: &Route, caller: Caller, target: &Target) -> Answer {
        self.ask_without(route, caller, target, None)
    }

    /// The same while a part is away.
    pub(super) fn ask_without(
        &self,
        route: &Route,
        caller: Caller,
        target: &Target,
        part: Option<&Part>,
    ) -> Answer {
        let request = self.request(route, caller, target);
        self.judge(&request, guard(route), part)
    }

    /// What becomes of a request that was made for this document or another one.
    pub(super) fn judge(
        &self,
        request: &Request,
        workload: Option<&str>,
        part: Option<&Part>,
    ) -> Answer {
        let mut assume = Assumptions::at(self.now);
        assume.failed = part.cloned().into_iter().collect::<BTreeSet<Part>>();
        // What the document does not know of, nobody can come to.
        assume.workload = workload.filter(|name| self.document.workload(name).is_some());
        let explanation = explain(self.document, request, &assume, &mut NoKeys);
        let (mut allowed, mut text, route) = told(&explanation.outcome);
        if let Some(share) = &explanation.otherwise {
            let (other, otherwise, _) = told(&share.explanation.outcome);
            allowed |= other;
            text = format!("{text}; {} % of requests: {otherwise}", share.percent);
        }
        Answer { allowed, text, route }
    }

    /// What callers see while parts are away, as far as it is something else than otherwise.
    pub(super) fn failures(&self, route: &Route, target: &Target) -> Vec<(String, String)> {
        let caller = Caller::best(route);
        let usually = self.ask(route, caller, target);
        let answer = |part: Part| {
            let answer = self.ask_without(route, caller, target, Some(&part));
            (answer != usually).then(|| (part.to_string(), answer.text))
        };
        parts(self.document, route).into_iter().filter_map(answer).collect()
    }

    /// A request of a caller of a route.
    pub(super) fn request(&self, route: &Route, caller: Caller, target: &Target) -> Request {
        self.request_with(route, caller, None, target)
    }

    /// The same with another of the values that the route takes.
    pub(super) fn request_with(
        &self,
        route: &Route,
        caller: Caller,
        other: Option<Other>,
        target: &Target,
    ) -> Request {
        let mut request = Request::get(&target.host, &target.path);
        request.method.clone_from(&target.method);
        request.peer = self.peer(route, caller, other);
        let caller = if caller == Caller::Stranger { Caller::best(route) } else { caller };
        match caller {
            Caller::Nobody => {}
            Caller::ApiKey => {
                request.shown = Shown::Key(Box::new(with_scopes(route, Credential::ApiKey)));
            }
            Caller::Session => {
                let principal = with_scopes(route, Credential::Session);
                let given = GivenSession { principal, mfa_age_secs: Some(0) };
                request.shown = Shown::Session(Box::new(given));
                request = request.with("sec-fetch-site", "same-origin");
            }
            Caller::WithoutScopes | Caller::WithoutClaims | Caller::Token | Caller::Stranger => {
                let proof = route.auth.token().and_then(|token| token.proof);
                let claims = Value::Object(self.claims(route, caller, other)).to_string();
                let with_proof = proof == Some(Proof::Dpop);
                request.shown = Shown::Claims(Box::new(GivenClaims { claims, with_proof }));
                if proof == Some(Proof::Certificate) {
                    request.certificate = Some(CERTIFICATE);
                    if self.document.bound.certificate == Some(CertificateSource::Forwarded) {
                        let hash: String = CERTIFICATE.iter().map(|b| format!("{b:02x}")).collect();
                        request = request.with("x-forwarded-client-cert", &format!("Hash={hash}"));
                    }
                }
            }
        }
        request
    }

    fn peer(&self, route: &Route, caller: Caller, other: Option<Other>) -> Option<String> {
        let place = if let Some(Other::Peer(place)) = other { place } else { 0 };
        let named = route.peers.get(place)?;
        let domain = &self.document.mesh.trust_domain;
        Some(match caller {
            Caller::Stranger => format!("spiffe://{domain}/ns/postern-review/sa/stranger"),
            _ => format!("spiffe://{}", named.to_istio().replace('*', "postern-review")),
        })
    }

    /// Claims of a token that a route takes.
    fn claims(&self, route: &Route, caller: Caller, other: Option<Other>) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut set = |name: &str, value: Value| {
            claims.insert(name.to_owned(), value);
        };
        for (name, time) in times(self.now) {
            set(name, json!(time));
        }
        set("jti", json!("postern-review"));
        set("client_id", json!("postern-review"));
        set("sub", json!("somebody"));
        if route.auth.mfa().is_some() {
            // As the suite's own tokens say it, and as others do.
            set("acr", json!(SEVERAL_FACTORS));
            set("amr", json!(["pwd", "mfa"]));
        }
        let Auth::Rules { scopes, token, .. } = &route.auth else { return claims };
        let (index, of_issuer) = match other {
            Some(Other::Issuer(index, audience)) => (index, audience),
            _ => (first_issuer(route), 0),
        };
        let of_route = if let Some(Other::Audience(place)) = other { place } else { 0 };
        let Some(issuer) = self.document.issuers.get(index).map(|issuer| &issuer.issuer) else {
            return claims;
        };
        set("iss", json!(issuer.issuer));
        let audiences = [issuer.audiences.get(of_issuer), token.audiences.get(of_route)];
        let audiences: Vec<&String> = audiences.into_iter().flatten().collect();
        if !audiences.is_empty() {
            set("aud", json!(audiences));
        }
        if caller != Caller::WithoutScopes && !scopes.is_empty() {
            set("scope", json!(scopes.join(" ")));
        }
        if caller != Caller::WithoutClaims {
            for (place, rule) in token.claims.iter().enumerate() {
                let value = match other {
                    Some(Other::Claim(at, value)) if at == place => value,
                    _ => 0,
                };
                set(&rule.claim, json!(rule.values.get(value)));
            }
        }
        match token.proof {
            Some(Proof::Dpop) => set("cnf", json!({"jkt": base64url::encode(&CERTIFICATE)})),
            Some(Proof::Certificate) => {
                set("cnf", json!({"x5t#S256": base64url::encode(&CERTIFICATE)}));
            }
            None => {}
        }
        for name in &issuer.rules.required {
            if !claims.contains_key(name) {
                claims.insert(name.clone(), json!("x"));
            }
        }
        claims
    }
}

/// When a token was made and ends, that is asked with at some time, and its subject authenticated.
pub(super) fn times(now: UnixMillis) -> [(&'static str, u64); 4] {
    let now = now.as_secs();
    [("exp", now + 600), ("iat", now), ("nbf", now), ("auth_time", now)]
}

/// The workload that a caller must come to directly to be asked who it is.
pub(super) fn guard(route: &Route) -> Option<&str> {
    let workload = route.guarded_by().filter(|_| !route.peers.is_empty());
    workload.map(|workload| workload.name.as_str())
}

/// Parts whose absence can make a difference to a route.
pub(super) fn parts(document: &Document, route: &Route) -> Vec<Part> {
    let by_token = route.auth.accepts(Credential::Jwt);
    let shared = !route.exact_limits.is_empty() || !route.leased_limits.is_empty();
    let dpop = route.auth.token().is_some_and(|token| token.proof == Some(Proof::Dpop));
    let by_session = route.auth.accepts(Credential::Session);
    let stale = document.revocation.is_some() && by_token || !route.leased_limits.is_empty();
    [
        (Part::Server, route.needs_ext_authz() || route.needs_ext_proc()),
        (Part::ExtProc, route.needs_ext_proc()),
        (Part::VolatileStore, shared || dpop || by_session),
        (Part::DurableStore, route.auth.accepts(Credential::ApiKey)),
        (Part::Feed, stale),
        (Part::RateLimitService, !route.descriptors.is_empty()),
    ]
    .into_iter()
    .filter(|(_, matters)| *matters)
    .map(|(part, _)| part)
    .collect()
}

/// Whether it gets through, what is said of it, and by which route.
fn told(outcome: &Outcome) -> (bool, String, Option<String>) {
    match outcome {
        Outcome::Forwarded(forwarded) => {
            let by = if forwarded.principal.is_none() { " as nobody" } else { "" };
            let text = format!("forwarded to {}{by}", forwarded.service);
            (true, text, Some(forwarded.route.clone()))
        }
        Outcome::Refused(refusal) => {
            let reason = match refusal.denial.reason {
                "" => refusal.denial.code.as_str(),
                reason => reason,
            };
            (false, format!("{} {reason}", refusal.status), refusal.route.clone())
        }
    }
}

/// Whom an API key or a session stands for that a route takes.
fn with_scopes(route: &Route, credential: Credential) -> Principal {
    let scopes = match &route.auth {
        Auth::None => Vec::new(),
        Auth::Rules { scopes, .. } => scopes.clone(),
    };
    Principal { subject: "somebody".to_owned(), scopes, credential, ..Principal::default() }
}

/// Claims are given as verified, so that no signature is ever checked.
struct NoKeys;

impl SignatureVerifier for NoKeys {
    fn verify(&mut self, _: &Key, _: &[u8], _: &[u8]) -> Result<bool, VerifyError> {
        Ok(false)
    }
}

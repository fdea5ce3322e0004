//! The sequence: Envoy, `ext_authz`, the bundle, `ext_proc`, the router.

use std::sync::Arc;

use postern_document::{Document, Route};
use postern_jose::SignatureVerifier;
use postern_request::normalize::{Normalization, Rejected, normalize};
use postern_request::{Denial, ErrorCode, Principal, path};

use crate::assume::{Assumptions, Part, Phase};
use crate::credential;
use crate::envoy::{self, Incoming, Size};
use crate::failure;
use crate::request::Request;
use crate::rule::{Effect, Rule};
use crate::step::{
    By, Explanation, Forwarded, LimitNote, Outcome, Refusal, Share, Stage, Step, Verdict,
};

/// What a document makes of a request. Pure: the same arguments give the same explanation.
#[must_use]
pub fn explain(
    document: &Document,
    request: &Request,
    assume: &Assumptions<'_>,
    verifier: &mut dyn SignatureVerifier,
) -> Explanation {
    let choice = assume.enforced.unwrap_or(true);
    let (mut first, percent) = Walk::new(document, assume, &mut *verifier, choice).run(request);
    let is_share = (1..100).contains(&percent);
    if assume.enforced.is_none() && is_share {
        let (other, _) = Walk::new(document, assume, &mut *verifier, false).run(request);
        if other.outcome != first.outcome {
            let (percent, explanation) = (100 - percent, Box::new(other));
            first.otherwise = Some(Share { percent, explanation });
        }
    }
    first
}

/// The end of a walk that leads to no service.
pub(crate) type Stop = Box<Refusal>;

/// One request on its way.
pub(crate) struct Walk<'a, 'v> {
    pub(crate) document: &'a Document,
    pub(crate) assume: &'a Assumptions<'a>,
    pub(crate) verifier: &'v mut dyn SignatureVerifier,
    /// Whether the request is held to the rules of its route.
    pub(crate) held: bool,
    /// The same, as far as its route leaves that to chance.
    choice: bool,
    route: Option<Arc<Route>>,
    steps: Vec<Step>,
    uncertain: Vec<String>,
    pub(crate) limits: Vec<LimitNote>,
}

impl<'a, 'v> Walk<'a, 'v> {
    fn new(
        document: &'a Document,
        assume: &'a Assumptions<'a>,
        verifier: &'v mut dyn SignatureVerifier,
        choice: bool,
    ) -> Self {
        Self {
            document,
            assume,
            verifier,
            held: true,
            choice,
            route: None,
            steps: Vec::new(),
            uncertain: Vec::new(),
            limits: Vec::new(),
        }
    }

    /// The explanation, and what share of its requests the route holds to its rules.
    fn run(mut self, request: &Request) -> (Explanation, u8) {
        let outcome = match self.go(request) {
            Ok(forwarded) => Outcome::Forwarded(Box::new(forwarded)),
            Err(refusal) => Outcome::Refused(refusal),
        };
        let percent = self.route.as_ref().map_or(100, |route| route.enforce.percent());
        let Self { steps, uncertain, .. } = self;
        (Explanation { steps, outcome, uncertain, otherwise: None }, percent)
    }

    fn go(&mut self, request: &Request) -> Result<Forwarded, Stop> {
        let incoming = self.arrive(request)?;
        let route =
            envoy::route_of(self.document, &incoming.authority, &incoming.method, incoming.path());
        // What Envoy answers by itself belongs to the route that it has picked.
        self.route = route.cloned();
        self.ask_mesh(Phase::Custom, request, None, &[])?;
        let vouched = self.ask_ext_authz(&incoming, &request.shown)?;
        if self.assume.has_failed(&Part::Bundle) {
            return Err(self.bundle_is_away());
        }
        let admitted = self.ask_bundle(&incoming, &request.shown, vouched)?;
        let written = admitted.identity_headers(self.document);
        self.ask_mesh(Phase::Rbac, request, admitted.principal.as_ref(), &written)?;
        let forwarded = self.forward(request, &incoming, &admitted, written)?;
        self.reach_upstream(&admitted.route)?;
        let whose = whose(forwarded.principal.as_ref());
        let to = format!("forwarded to {}{whose}", forwarded.service);
        self.push(Stage::Answer, By::Router, Verdict::Passed, Vec::new(), to);
        Ok(forwarded)
    }

    /// The request as those behind Envoy see it.
    fn arrive(&mut self, request: &Request) -> Result<Incoming, Stop> {
        let (target, sent) = credential::presented(self.document, request);
        let (headers, dropped) =
            envoy::headers(self.document, &request.scheme, request.address, sent);
        let client = envoy::client(self.document, &headers, request.address);
        if let Some(client) = client {
            let text = match self.document.trusted_proxies {
                0 => format!("{client}, of the connection"),
                hops => format!("{client}, behind {hops} trusted"),
            };
            self.push(Stage::Address, By::Envoy, Verdict::Passed, Vec::new(), text);
        }
        let target = self.normalize(&target)?;
        self.count_headers(&target, request)?;
        if !dropped.is_empty() {
            let text = format!("dropped: {}", dropped.join(", "));
            self.push(Stage::Headers, By::Envoy, Verdict::Passed, Vec::new(), text);
        }
        Ok(Incoming {
            method: request.method.clone(),
            scheme: request.scheme.clone(),
            authority: request.authority.clone(),
            target,
            headers,
            client,
            certificate: request.certificate,
        })
    }

    fn normalize(&mut self, target: &str) -> Result<String, Stop> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let read = match query {
            // A `#` is no more allowed behind the `?` than before it.
            Some(query) if query.contains('#') => Err(Rejected::Fragment),
            Some(query) if query.bytes().any(|byte| byte <= 0x20 || byte >= 0x7f) => {
                Err(Rejected::Character)
            }
            _ => normalize(path, Normalization::ENVOY),
        };
        let read = match read {
            Ok(read) => read,
            Err(rejected) => {
                let (denial, text) =
                    (failure::of_envoy(ErrorCode::BadRequest), rejected.to_string());
                return Err(self.answer(Stage::Normalize, 400, denial, Vec::new(), text));
            }
        };
        let text =
            if read == path { format!("{read}, as sent") } else { format!("{path} → {read}") };
        self.push(Stage::Normalize, By::Envoy, Verdict::Passed, Vec::new(), text);
        Ok(match query {
            Some(query) => [&read, "?", query].concat(),
            None => read,
        })
    }

    fn count_headers(&mut self, target: &str, request: &Request) -> Result<(), Stop> {
        match envoy::size_of(target, &request.headers) {
            Size::Fits => Ok(()),
            Size::Barely => {
                self.assumed("so many headers are taken with HTTP/1 alone");
                Ok(())
            }
            Size::TooLarge => {
                let denial = failure::of_envoy(ErrorCode::PayloadTooLarge);
                let text = "more than 100 headers, or than 60 KiB of them";
                Err(self.answer(Stage::Headers, 431, denial, Vec::new(), text))
            }
        }
    }

    /// Route and path as the document's own matcher has them; both `ext_authz` and the bundle ask.
    pub(crate) fn find_route(&mut self, by: By, incoming: &Incoming) -> Result<Arc<Route>, Denial> {
        let path = incoming.path();
        let ambiguous = || Denial::new(ErrorCode::BadRequest, "path_ambiguous");
        if let Err(problem) = path::check(path, self.document.allow_matrix_parameters) {
            return Err(self.refuse(Stage::Path, by, ambiguous(), problem.to_string()));
        }
        let found = self.document.find_route(&incoming.authority, &incoming.method, path);
        let route = match found {
            Ok(Some(route)) => Arc::clone(route),
            Ok(None) => {
                let denial = Denial::new(ErrorCode::NotFound, "no_route");
                let text = format!("none for {} {}{path}", incoming.method, incoming.authority);
                return Err(self.refuse(Stage::Route, by, denial, text));
            }
            Err(problem) => {
                return Err(self.refuse(Stage::Path, by, ambiguous(), problem.to_string()));
            }
        };
        let rules = vec![Rule::route(&route, "", Effect::Reached)];
        self.push(Stage::Route, by, Verdict::Passed, rules, route.name.clone());
        // From here on its share counts.
        self.held = match route.enforce.percent() {
            100 => true,
            0 => false,
            _ => self.choice,
        };
        self.route = Some(Arc::clone(&route));
        Ok(route)
    }

    fn ask_mesh(
        &mut self,
        phase: Phase,
        request: &Request,
        caller: Option<&Principal>,
        written: &[(String, String)],
    ) -> Result<(), Stop> {
        let Some(policies) = self.assume.policies else { return Ok(()) };
        let stage = match phase {
            Phase::Custom => Stage::MeshCustom,
            Phase::Rbac => Stage::MeshRbac,
        };
        let verdict = policies.judge(phase, request, caller, written);
        if verdict.allowed {
            self.push(stage, By::Istio, Verdict::Passed, Vec::new(), verdict.text);
            return Ok(());
        }
        let denial = failure::of_envoy(ErrorCode::Forbidden);
        let refused = Verdict::Refused(denial.clone());
        self.push(stage, By::Istio, refused, Vec::new(), verdict.text);
        Err(self.stop(By::Istio, 403, denial))
    }

    /// The end, on the route that is known by now.
    pub(crate) fn stop(&self, by: By, status: u16, denial: Denial) -> Stop {
        let route = self.route.as_ref().map(|route| route.name.clone());
        Box::new(Refusal { by, status, denial, route })
    }

    /// An answer of Envoy's own, which no share changes.
    pub(crate) fn answer(
        &mut self,
        stage: Stage,
        status: u16,
        denial: Denial,
        rules: Vec<Rule>,
        text: impl Into<String>,
    ) -> Stop {
        self.push(stage, By::Envoy, Verdict::Refused(denial.clone()), rules, text);
        self.stop(By::Envoy, status, denial)
    }

    pub(crate) fn route(&self) -> Option<&Arc<Route>> {
        self.route.as_ref()
    }

    pub(crate) fn push(
        &mut self,
        stage: Stage,
        by: By,
        verdict: Verdict,
        rules: Vec<Rule>,
        text: impl Into<String>,
    ) {
        let place = rules.first().and_then(|rule| (self.assume.place_of)(&rule.path));
        self.steps.push(Step { stage, by, verdict, rules, text: text.into(), place });
    }

    /// Somebody says no, whatever the route: it is about the request alone.
    fn refuse(&mut self, stage: Stage, by: By, denial: Denial, text: String) -> Denial {
        self.push(stage, by, Verdict::Refused(denial.clone()), Vec::new(), text);
        denial
    }

    /// Somebody says no. Where the request is not held to the rules that only means that it would
    /// be turned away, unless the service's circuit is open: that is no rule for callers.
    pub(crate) fn deny(
        &mut self,
        stage: Stage,
        by: By,
        denial: Denial,
        rules: Vec<Rule>,
        text: impl Into<String>,
    ) -> Denial {
        let partly = self.route.as_ref().filter(|route| route.enforce.percent() < 100).cloned();
        let share = |effect| partly.iter().map(move |route| Rule::route(route, "enforce", effect));
        let (verdict, rules) = if self.held || denial.code == ErrorCode::CircuitOpen {
            let held = self.held && denial.code != ErrorCode::CircuitOpen;
            let share = share(Effect::Refused).filter(move |_| held);
            (Verdict::Refused(denial.clone()), rules.into_iter().chain(share).collect())
        } else {
            (Verdict::Shadowed(denial.clone()), share(Effect::Shadowed).collect())
        };
        self.push(stage, by, verdict, rules, text);
        denial
    }

    /// Says, once, what was not looked at.
    pub(crate) fn assumed(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.uncertain.contains(&text) {
            self.uncertain.push(text);
        }
    }
}

fn whose(principal: Option<&Principal>) -> String {
    match principal {
        None => ", as nobody".to_owned(),
        Some(principal) => {
            let client = principal.client_id.as_deref();
            let client = client.map(|id| format!(" (client {id})")).unwrap_or_default();
            format!(", as {}{client}", principal.subject)
        }
    }
}

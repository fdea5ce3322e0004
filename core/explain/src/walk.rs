//! The sequence: Envoy, `ext_authz`, the bundle, faults, `ext_proc`, the router. A route that a
//! workload guards goes through it twice: at the edge, where it is open, and beside the workload.

use std::sync::Arc;

use postern_document::{Document, Route, Workload};
use postern_jose::SignatureVerifier;
use postern_request::{Denial, ErrorCode, Principal, denial, path};

use crate::assume::{Assumptions, Part};
use crate::credential;
use crate::envoy::{Incoming, Sent};
use crate::gatekeeper::Admitted;
use crate::here::Here;
use crate::mesh::Phase;
use crate::message::Message;
use crate::nearest::nearest;
use crate::outcome::{Explanation, Forwarded, LimitNote, Outcome, Refusal, SentToLogIn, Share};
use crate::request::{Request, Shown};
use crate::rule::{Effect, Rule};
use crate::secret;
use crate::step::{By, Stage, Step, Verdict};
use crate::traffic::Way;

const CONTENT_TYPE: &str = "content-type";

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
    /// All of it: what the server judges by, wherever it is asked.
    pub(crate) document: &'a Document,
    pub(crate) assume: &'a Assumptions<'a>,
    pub(crate) verifier: &'v mut dyn SignatureVerifier,
    /// Where the request is.
    pub(crate) here: Here,
    /// Whether the request is held to the rules of its route.
    pub(crate) held: bool,
    /// The same, as far as its route leaves that to chance.
    choice: bool,
    /// Whether the caller speaks gRPC.
    is_grpc: bool,
    route: Option<Arc<Route>>,
    /// Where the browser is sent whose refusal comes next.
    pub(crate) sent: Option<SentToLogIn>,
    steps: Vec<Step>,
    uncertain: Vec<String>,
    pub(crate) limits: Vec<LimitNote>,
    pub(crate) way: Way,
}

/// A request that an Envoy sends on.
pub(crate) struct Passed {
    pub(crate) admitted: Admitted,
    pub(crate) incoming: Incoming,
    pub(crate) message: Message,
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
            here: Here::edge(document),
            held: true,
            choice,
            is_grpc: false,
            route: None,
            sent: None,
            steps: Vec::new(),
            uncertain: Vec::new(),
            limits: Vec::new(),
            way: Way::default(),
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
        let (target, headers) = credential::presented(self.document, request);
        let content_type = headers.iter().rev().find(|(name, _)| name == CONTENT_TYPE);
        self.is_grpc = denial::is_grpc(content_type.map(|(_, value)| value.as_slice()));
        let mut sent = Sent {
            method: request.method.clone(),
            scheme: request.scheme.clone(),
            authority: request.authority.clone(),
            target,
            headers,
            address: request.address,
            certificate: request.certificate,
            peer: request.peer.clone(),
        };
        match self.goes_directly_to() {
            Some(workload) => {
                self.here = Here::beside(&workload);
                self.assume_connection(&sent);
            }
            // Nobody outside has a certificate of the mesh.
            None => sent.peer = None,
        }
        let mut passed = self.pass(sent, &request.shown)?;
        if let Some(workload) = self.guard_behind(&passed.admitted.route) {
            let sent = self.hand_over(passed, &workload);
            passed = self.pass(sent, &request.shown)?;
        }
        self.finish(request, passed)
    }

    /// The workload that the request comes to past the edge.
    fn goes_directly_to(&self) -> Option<Arc<Workload>> {
        let workload = self.document.workload(self.assume.workload?)?;
        (!workload.gateway).then(|| Arc::clone(workload))
    }

    /// The workload that enforces a route which the edge leaves open.
    fn guard_behind(&self, route: &Route) -> Option<Arc<Workload>> {
        if self.here.is_edge() { route.guarded_by().cloned() } else { None }
    }

    /// What one Envoy makes of a request.
    fn pass(&mut self, sent: Sent, shown: &Shown) -> Result<Passed, Stop> {
        let incoming = self.arrive(sent)?;
        // What Envoy answers by itself belongs to the route that it has picked.
        self.route = self.here.route_of(self.document, incoming.asked());
        let vouched = match self.is_server_asked(&incoming)? {
            true => self.ask_ext_authz(&incoming, shown)?,
            false => None,
        };
        if self.assume.has_failed(&Part::Bundle) {
            return Err(self.bundle_is_away());
        }
        let admitted = self.ask_bundle(&incoming, shown, vouched)?;
        let mut message = self.write_identity(&incoming, &admitted);
        let caller = admitted.principal.as_ref();
        let written = message.headers();
        self.ask_mesh(Phase::Rbac, &incoming, caller, Some(written.as_slice()))?;
        let route = &*admitted.route;
        self.ask_rate_limit_service(&incoming, route, &message)?;
        self.plant_fault(route)?;
        self.choose_version(&incoming, route, &message);
        self.compute(route, &mut message)?;
        message.follow_rules(route);
        Ok(Passed { admitted, incoming, message })
    }

    /// The request as the edge sends it to the workload that guards its route.
    fn hand_over(&mut self, passed: Passed, workload: &Arc<Workload>) -> Sent {
        let Passed { incoming, message, .. } = passed;
        let document = self.document;
        let peer = document.gateway().map(|edge| edge.spiffe_id(&document.mesh.trust_domain));
        let name = &workload.name;
        let text = match &peer {
            Some(peer) => format!("to the Envoy of {name}, as {peer}"),
            None => {
                self.assumed("the edge's certificate names nobody: no workload is the gateway");
                format!("to the Envoy of {name}")
            }
        };
        self.push(Stage::Upstream, By::Router, Verdict::Passed, Vec::new(), text);
        self.here = Here::beside(workload);
        Sent {
            headers: message.headers(),
            target: message.target,
            method: incoming.method,
            // By mutual TLS. Whose address the edge has, nobody says.
            scheme: "https".to_owned(),
            authority: incoming.authority,
            address: None,
            certificate: None,
            peer,
        }
    }

    /// Route and path as the document's own matcher has them; both `ext_authz` and the bundle ask.
    pub(crate) fn find_route(&mut self, by: By, incoming: &Incoming) -> Result<Arc<Route>, Denial> {
        let path = incoming.path();
        let ambiguous = || Denial::new(ErrorCode::BadRequest, "path_ambiguous");
        if let Err(problem) = path::check(path, self.document.allow_matrix_parameters) {
            return Err(self.refuse(Stage::Path, by, ambiguous(), problem.to_string()));
        }
        let found = if by == By::Bundle {
            self.here.find_route(self.document, incoming.asked())
        } else {
            let found = self.document.find_route(&incoming.authority, &incoming.method, path);
            found.map(|route| route.cloned())
        };
        let route = match found {
            Ok(Some(route)) => route,
            Ok(None) => {
                let denial = Denial::new(ErrorCode::NotFound, "no_route");
                let host = secret::authority(&incoming.authority);
                let Incoming { authority, method, .. } = incoming;
                let near = nearest(self.document, authority, method, path);
                let near = near.map_or_else(String::new, |near| format!("; {near}"));
                let text = format!("none for {method} {host}{path}{near}");
                return Err(self.refuse(Stage::Route, by, denial, text));
            }
            Err(problem) => {
                return Err(self.refuse(Stage::Path, by, ambiguous(), problem.to_string()));
            }
        };
        let rules = vec![Rule::route(&route, "", Effect::Reached)];
        self.push(Stage::Route, by, Verdict::Passed, rules, route.name.clone());
        // From here on its share counts, where its rules are asked.
        self.held = match route.enforce.percent() {
            _ if by == By::Bundle && !self.here.enforces(&route) => true,
            100 => true,
            0 => false,
            _ => self.choice,
        };
        self.route = Some(Arc::clone(&route));
        Ok(route)
    }

    /// The end, on the route that is known by now.
    pub(crate) fn stop(&self, by: By, status: u16, denial: Denial) -> Stop {
        let route = self.route.as_ref().map(|route| route.name.clone());
        let at = self.here.name.clone();
        let grpc_status = self.is_grpc.then(|| grpc_status(by, status, denial.code));
        Box::new(Refusal {
            by,
            at,
            status,
            grpc_status,
            denial,
            is_plain: false,
            route,
            sent: None,
        })
    }

    /// The same, by an answer that tells nothing of the denial.
    pub(crate) fn stop_plainly(&self, by: By, status: u16, denial: Denial) -> Stop {
        let mut stop = self.stop(by, status, denial);
        stop.is_plain = true;
        // Of what has no word of ours, Envoy makes one by the status.
        let code = stop.denial.code;
        stop.grpc_status = self.is_grpc.then(|| grpc_status(By::Envoy, status, code));
        stop
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
        let place = rules.first().and_then(|rule| self.document.place_of(&rule.path));
        // Of JSON nobody knows the line.
        let place = place.filter(|place| place.line > 0);
        let (at, text) = (self.here.name.clone(), text.into());
        self.steps.push(Step { at, stage, by, verdict, rules, text, place });
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

/// What is told to callers who speak gRPC: ours where we answer, else what Envoy makes of the
/// status (`httpToGrpcStatus` of its `grpc/status.cc`).
const fn grpc_status(by: By, status: u16, code: ErrorCode) -> u8 {
    match (by, status) {
        (By::ExtAuthz | By::Bundle, _) => code.grpc_status(),
        (_, 400) => 13,
        (_, 401) => 16,
        (_, 403) => 7,
        (_, 404) => 12,
        (_, 429 | 502 | 503 | 504) => 14,
        _ => 2,
    }
}

/// Who calls, behind what is done for them.
pub(crate) fn whose(principal: Option<&Principal>) -> String {
    match principal {
        None => ", as nobody".to_owned(),
        Some(principal) => {
            let client = principal.client_id.as_deref();
            let client = client.map(|id| format!(" (client {id})")).unwrap_or_default();
            format!(", as {}{client}", principal.subject)
        }
    }
}

//! PR234: callers who get a kept answer although policies refuse them. The bundle gives such answers
//! out before the policies are asked, to whoever asks for the same as somebody whom they let through:
//! the same peer, host and path, and headers that choose an answer. An address is none of these.

mod forms;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use postern_document::{Fallback, Route};
use postern_policies::{
    Action, Attribute, AuthorizationPolicy, Decision, DeniedBy, Http, Peer, Protocol,
};
use postern_request::normalize::{Normalization, normalize};
use postern_request::path::without_query;

use super::super::catalogue::KEPT_PAST_FILTERS;
use super::super::model::Finding;
use super::super::place;
use super::super::witness::{self, Target};
use super::callers::Who;
use super::examples::{Example, Made};
use super::kinds::Once;
use super::known::Known;
use super::maker::Maker;
use super::reach::told;
use super::view::View;
use super::{enforced, plugins};
use forms::{Form, Shapes};

/// Answers to it are kept. What HEAD gets of them, GET gets as well.
const GET: &str = "GET";
/// What it takes to look for a route, in comparisons of values.
const FINDING: usize = 16;

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    let mut shown = Once::default();
    for known in view.ours() {
        for (route, lines) in shown.of(known, || of_kind(view, known)) {
            let subject = format!("routes.{route}");
            let text = format!(
                "while its circuit is open, kept answers go out before the policies of {} are \
                 asked: an answer to the first of these requests is given to the second, too",
                known.name()
            );
            let at = place::of(view.document, &subject);
            let mut finding = Finding::new(&KEPT_PAST_FILTERS, subject, text).at(at);
            finding.evidence.clone_from(lines);
            found.push(finding);
        }
    }
}

/// Routes whose kept answers go past the policies of workloads of one kind, with what shows it.
fn of_kind(view: &View<'_>, known: &Known) -> Vec<(String, Vec<String>)> {
    let keeps = |route: &&Arc<Route>| matches!(route.fallback, Some(Fallback::Stale(_)));
    let routes: Vec<&Arc<Route>> =
        enforced::judged(view, known).into_iter().filter(keeps).collect();
    if routes.is_empty() {
        return Vec::new();
    }
    // What was rendered is compared with the rendering, and asks for nothing that a route's callers
    // do not have.
    let counts = |policy: &&AuthorizationPolicy| {
        matches!(policy.action, Action::Allow | Action::Deny)
            && !view.is_rendered("AuthorizationPolicy", &policy.meta)
    };
    let policies: Vec<&AuthorizationPolicy> =
        view.kind(known).policies.iter().copied().filter(counts).collect();
    let mut rules = policies.iter().flat_map(|policy| &policy.rules);
    if !rules.any(|rule| rule.tests().any(|test| tells_apart(&test.attribute))) {
        return Vec::new();
    }
    let mut asking = Asking::new(view, known);
    for policy in policies {
        asking.learn(policy);
    }
    let one = |route: &&Arc<Route>| Some((route.name.clone(), asking.shown(route)?));
    routes.iter().filter_map(one).collect()
}

/// Whether requests that share an answer may differ in it. Filters behind the bundle leave metadata,
/// which nobody knows; ports are the workload's.
const fn tells_apart(attribute: &Attribute) -> bool {
    let is_same = matches!(
        attribute,
        Attribute::Host
            | Attribute::Method
            | Attribute::Path
            | Attribute::Port
            | Attribute::Metadata { .. }
    );
    !is_same && !attribute.is_from_certificate()
}

/// Asks workloads of one kind about routes that keep answers.
struct Asking<'v, 'a> {
    view: &'v View<'a>,
    known: &'v Known,
    ports: BTreeSet<u16>,
    callers: BTreeSet<Who>,
    /// Hosts and paths that policies are about.
    places: BTreeSet<(String, String)>,
    shapes: Shapes,
}

/// A request that passes, and one that is refused and would get its answer.
#[derive(Default)]
struct Pair {
    passes: Option<String>,
    refused: Option<String>,
}

impl<'v, 'a> Asking<'v, 'a> {
    fn new(view: &'v View<'a>, known: &'v Known) -> Self {
        let caller = if known.is_gateway() { Who::Outside } else { Who::Gateway };
        Self {
            view,
            known,
            ports: known.ports().into_iter().map(|port| port.number).collect(),
            callers: BTreeSet::from([caller]),
            places: BTreeSet::new(),
            shapes: Shapes::from_everywhere(&view.kind(known).addresses),
        }
    }

    /// Takes up what a policy is about.
    fn learn(&mut self, policy: &AuthorizationPolicy) {
        let maker = Maker::new(self.view, self.known);
        for rule in 0..policy.rules.len() {
            let what = || format!("{} rule {rule} on {}", policy.meta, self.known.name());
            if !self.view.budget.may(&KEPT_PAST_FILTERS, what) {
                return;
            }
            for example in maker.of_rule(policy, rule) {
                let http = &example.made.http;
                self.ports.insert(example.port);
                self.places.insert((http.host.clone(), http.path.clone()));
                self.shapes.learn(&example);
                self.callers.insert(example.who);
            }
        }
    }

    /// Two requests of a route that share an answer, of which policies refuse one.
    fn shown(&self, route: &Route) -> Option<Vec<String>> {
        let forms = self.shapes.of_route(self.view, self.known, route);
        let (targets, comers) = (self.targets(route), self.comers(route));
        let of_target = |target: &Target| {
            comers.iter().find_map(|(port, who)| self.pair(target, *port, who, &forms))
        };
        let shown = targets.iter().find_map(of_target);
        if shown.is_none() {
            // What there was no work left for is told.
            let what = || format!("routes.{} on {}", route.name, self.known.name());
            self.view.budget.may(&KEPT_PAST_FILTERS, what);
        }
        shown
    }

    /// The same for one peer, host and path.
    fn pair(
        &self,
        target: &Target,
        port: u16,
        who: &Who,
        forms: &[Form<'_>],
    ) -> Option<Vec<String>> {
        let mut pairs: BTreeMap<&[u8], Pair> = BTreeMap::new();
        for form in forms {
            if self.view.budget.checks.is_spent() {
                return None;
            }
            let example = self.example(target, port, who, form);
            let decision = self.view.decide(self.known, &example);
            let pair = pairs.entry(form.key.as_slice()).or_default();
            let line = || self.line(&example, form, &decision);
            match &decision {
                Decision::Allowed(_) | Decision::AskProvider(_) if form.may_keep => {
                    pair.passes.get_or_insert_with(line);
                }
                // Whatever else refuses a request comes before the bundle, or looks at its token.
                Decision::Denied(DeniedBy::Rule(_) | DeniedBy::NoRule) => {
                    pair.refused.get_or_insert_with(line);
                }
                _ => {}
            }
            if let Pair { passes: Some(passes), refused: Some(refused) } = pair {
                return Some(vec![passes.clone(), refused.clone()]);
            }
        }
        None
    }

    fn example(&self, target: &Target, port: u16, who: &Who, form: &Form<'_>) -> Example {
        let shape = form.shape;
        let http = Http {
            method: target.method.clone(),
            path: target.path.clone(),
            host: target.host.clone(),
            headers: form.headers.clone(),
            rewritten: None,
            tokens: form.tokens.clone(),
        };
        let principal = self.view.principal(who);
        let peer = Peer { principal, ip: shape.ip, remote_ip: shape.remote_ip };
        let (destination_ip, sni) = (shape.destination_ip, shape.sni.clone());
        Example {
            port,
            who: who.clone(),
            protocol: Protocol::Http,
            peer: Rc::new(peer),
            made: Rc::new(Made { destination_ip, sni, http, hash: 0 }),
        }
    }

    fn line(&self, example: &Example, form: &Form<'_>, decision: &Decision<'_>) -> String {
        let headers: String =
            form.own().map(|(name, value)| format!(" with `{name}: {value}`")).collect();
        let who = match &example.who {
            Who::Outside if self.known.is_gateway() => String::new(),
            who => format!(", {}", self.view.told(who)),
        };
        format!("{}{headers}{}{who}: {}", example.line(), form.by, told(decision))
    }

    /// Requests of a route, by host and path: its own, and those that policies are about.
    fn targets(&self, route: &Route) -> Vec<Target> {
        let document = self.view.document;
        let hosts = witness::hosts(route);
        let own = |host: &String| witness::target(document, route, host, GET);
        let mut all: Vec<Target> = hosts.iter().filter_map(own).collect();
        let first = all.first().cloned();
        let mut named: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (host, path) in &self.places {
            let (host, path) = (host.as_str(), path.as_str());
            named.insert((host, path));
            if let Some(first) = &first {
                named.extend([(host, first.path.as_str()), (first.host.as_str(), path)]);
            }
        }
        for (host, path) in named {
            let is_known = all.iter().any(|known| known.host == host && known.path == path);
            if !is_known && self.is_of(route, host, path) {
                let [method, host, path] = [GET, host, path].map(str::to_owned);
                all.push(Target { method, host, path });
            }
        }
        all
    }

    /// Whether a GET is of a route.
    fn is_of(&self, route: &Route, host: &str, path: &str) -> bool {
        if !self.view.budget.checks.spend_on(FINDING) {
            return false;
        }
        // What Envoy refuses is no route's.
        let Ok(path) = normalize(without_query(path), Normalization::ENVOY) else { return false };
        let found = self.view.document.find_route(host, GET, &path).ok().flatten();
        found.is_some_and(|found| found.name == route.name)
    }

    /// Whom the bundle lets come with requests of a route, and by which ports.
    fn comers(&self, route: &Route) -> Vec<(u16, Who)> {
        let is_peer = |who: &Who| {
            let id = self.view.principal(who).map(|name| format!("spiffe://{name}"));
            id.is_some_and(|id| route.peers.iter().any(|peer| peer.matches(&id)))
        };
        let of_peers = route
            .peers
            .iter()
            .map(|peer| self.view.who(&peer.to_istio().replace('*', "postern-review")));
        let mut callers = self.callers.clone();
        callers.extend(of_peers);
        callers.retain(|who| route.peers.is_empty() || is_peer(who));
        let ports = self.ports.iter().copied().filter(|port| self.is_judged(*port));
        ports.flat_map(|port| callers.iter().map(move |who| (port, who.clone()))).collect()
    }

    /// Whether the bundle decides on a port, in front of the policies.
    fn is_judged(&self, port: u16) -> bool {
        let (view, known) = (self.view, self.known);
        let is_guarded = if known.is_gateway() {
            plugins::guards(view, known, port)
        } else {
            plugins::judges(view, known, port)
        };
        is_guarded && known.spoken(port).contains(&Protocol::Http)
    }
}

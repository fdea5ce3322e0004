//! Whom the mesh lets come with the requests of each route, found by asking for its own methods,
//! hosts and paths: what a policy allows of another route of the same workload is not its.

use core::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use postern_document::Route;
use postern_policies::{Http, Protocol};
use postern_request::headers;
use postern_request::normalize::{Normalization, normalize};
use postern_request::path::without_query;

use super::super::model::Row;
use super::super::witness::{self, Target};
use super::allowance::Allowance;
use super::callers::Who;
use super::examples::{Example, Made};
use super::kinds::Once;
use super::reach::{self, Reached, identity};
use super::view::View;

/// Most callers of a route that a report names.
const MOST_CALLERS: usize = 24;
/// What it takes to look at a caller, to look for a route, and to make a request, in comparisons of
/// values.
const CALLER: usize = 4;
const FINDING: usize = 16;
const MAKING: usize = 8;

/// Somebody, and how reports call them.
#[derive(Clone)]
struct Caller<'v> {
    who: &'v Who,
    name: Rc<str>,
}

/// Says in the matrix who may come; nobody where no workload of the service is known.
pub(super) fn tell(
    view: &View<'_>,
    reached: &[Reached<'_, '_>],
    matrix: &mut [Row],
    unknown: &mut Vec<String>,
) {
    if matrix.is_empty() {
        return;
    }
    let mut all: BTreeMap<&str, Vec<Rc<[Caller<'_>]>>> = BTreeMap::new();
    let mut targets: BTreeMap<&str, Vec<Target>> = BTreeMap::new();
    let mut cut = Once::default();
    for one in reached.iter().filter(|one| !one.known.is_gateway()) {
        let is_cut = *cut.of(one.known, || {
            let asking = Asking::new(view, one);
            for route in reach::routes(view, one.known) {
                let name = route.name.as_str();
                let find = || witness::all(view.document, route);
                let callers = asking.callers(route, targets.entry(name).or_insert_with(find));
                all.entry(name).or_default().push(callers);
            }
            view.budget.settle_naming(&asking.work);
            asking.is_cut.get()
        });
        if is_cut {
            unknown.push(format!(
                "{}: who may come with the requests of each route was not asked for all of them; \
                 of the rest, the matrix names whoever reaches the workload",
                one.known.subject()
            ));
        }
    }
    // Where it was not asked, many routes have the same ones.
    let mut known: BTreeMap<Vec<usize>, Vec<String>> = BTreeMap::new();
    for row in matrix {
        let lists = all.get(row.route.as_str()).map_or(&[][..], Vec::as_slice);
        let key = lists.iter().map(|list| Rc::as_ptr(list).cast::<()>().addr()).collect();
        row.principals.clone_from(known.entry(key).or_insert_with(|| named(lists)));
    }
}

/// Names, each once, and how many more there are.
fn named(lists: &[Rc<[Caller<'_>]>]) -> Vec<String> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut told = Vec::new();
    for caller in lists.iter().flat_map(|list| list.iter()) {
        if seen.insert(&caller.name) && told.len() < MOST_CALLERS {
            told.push(caller.name.to_string());
        }
    }
    if seen.len() > told.len() {
        told.push(format!("and {} more", seen.len() - told.len()));
    }
    told
}

/// Asks workloads of one kind about routes.
struct Asking<'v, 'a> {
    view: &'v View<'a>,
    reached: &'v Reached<'v, 'v>,
    /// By port, who gets through with anything.
    passing: BTreeMap<u16, Rc<[Caller<'v>]>>,
    /// By port and caller, a request of each form: alike in all but method and path.
    forms: BTreeMap<(u16, &'v Who), Vec<&'v Example>>,
    /// By route, port and caller, where a request that rules are about is of a route, and passes.
    own: BTreeSet<(&'v str, u16, &'v Who)>,
    work: Allowance,
    /// Whether there was too little of it. What is not known to be refused, may come.
    is_cut: Cell<bool>,
}

impl<'v, 'a> Asking<'v, 'a> {
    fn new(view: &'v View<'a>, reached: &'v Reached<'v, 'v>) -> Self {
        let mut asking = Self {
            view,
            reached,
            passing: passing(view, reached),
            forms: BTreeMap::new(),
            own: BTreeSet::new(),
            work: view.budget.naming(),
            is_cut: Cell::new(false),
        };
        asking.find_routes();
        asking.find_forms();
        asking
    }

    /// Takes some of the work that may be done; false where it is not there.
    fn spend_on(&self, things: usize) -> bool {
        let is_there = self.work.spend_on(things);
        self.is_cut.set(self.is_cut.get() || !is_there);
        is_there
    }

    /// Which routes the requests are of that rules are about. Past the gateway a service takes any
    /// host, so that method and path alone make a request one of a route.
    fn find_routes(&mut self) {
        let (view, reached) = (self.view, self.reached);
        let hosts: BTreeSet<String> =
            reach::routes(view, reached.known).flat_map(witness::hosts).collect();
        let mut known: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for (example, decision) in reached.asked.each() {
            if !is_http(example) || !decision.may_pass() {
                continue;
            }
            let http = &example.made.http;
            let key = (http.method.as_str(), http.path.as_str());
            if !known.contains_key(&key) && !self.spend_on(FINDING * (1 + hosts.len())) {
                return;
            }
            let routes = known.entry(key).or_insert_with(|| found(view, &hosts, http));
            if !self.spend_on(CALLER * routes.len()) {
                return;
            }
            self.own.extend(routes.iter().map(|route| (*route, example.port, &example.who)));
        }
    }

    fn find_forms(&mut self) {
        let reached = self.reached;
        let mut numbers: HashMap<Form<'v>, usize> = HashMap::new();
        let mut of_made: HashMap<usize, usize> = HashMap::new();
        let mut seen = BTreeSet::new();
        for example in reached.asked.examples.iter().filter(|example| is_http(example)) {
            let made = Rc::as_ptr(&example.made).addr();
            let number = if let Some(number) = of_made.get(&made) {
                *number
            } else {
                if !self.spend_on(MAKING + example.made.http.headers.len()) {
                    return;
                }
                let next = numbers.len();
                let number = *numbers.entry(form(&example.made)).or_insert(next);
                of_made.insert(made, number);
                number
            };
            let (port, who, peer) = (example.port, &example.who, &example.peer);
            if seen.insert((port, who, peer.ip, peer.remote_ip, number)) {
                self.forms.entry((port, who)).or_default().push(example);
            }
        }
    }

    /// Who may come with a request of a route.
    fn callers(&self, route: &Route, targets: &[Target]) -> Rc<[Caller<'v>]> {
        let known = self.reached.known;
        let port = reach::service_port(known, route);
        let Some(passing) = self.passing.get(&port) else { return Rc::default() };
        // A connection is of no route; and of a route that no request was found for, nobody can be
        // told apart.
        let tells_routes = known.spoken(port).contains(&Protocol::Http) && !targets.is_empty();
        if !tells_routes || !self.spend_on(CALLER * passing.len()) {
            return Rc::clone(passing);
        }
        let may_come = |caller: &&Caller<'v>| self.may_come(route, port, caller.who, targets);
        passing.iter().filter(may_come).cloned().collect()
    }

    fn may_come(&self, route: &Route, port: u16, who: &Who, targets: &[Target]) -> bool {
        if self.own.contains(&(route.name.as_str(), port, who)) {
            return true;
        }
        let forms = self.forms.get(&(port, who)).map_or(&[][..], Vec::as_slice);
        let passes = |example: &Example, target: &Target| {
            let (own, meant) = (example.made.http.host.as_str(), target.host.as_str());
            let other = Some(own).filter(|own| *own != meant);
            let mut hosts = core::iter::once(meant).chain(other);
            hosts.any(|host| self.passes(example, route, target, host))
        };
        forms.iter().any(|example| targets.iter().any(|target| passes(example, target)))
    }

    /// Whether a request gets through; where nothing is left to ask it, it may.
    fn passes(&self, example: &Example, route: &Route, target: &Target, host: &str) -> bool {
        let http = turned(&example.made.http, route, target, host);
        if !self.spend_on(MAKING + http.headers.len()) {
            return true;
        }
        let known = self.reached.known;
        self.view.decide_instead(known, example, &http, &self.work).may_pass()
    }
}

/// By port, who gets through with anything.
fn passing<'v>(view: &View<'_>, reached: &'v Reached<'_, '_>) -> BTreeMap<u16, Rc<[Caller<'v>]>> {
    let mut all: BTreeMap<u16, Vec<Caller<'v>>> = BTreeMap::new();
    for ((port, who), (passes, _)) in reached.lines.iter() {
        if *passes {
            let name = Rc::from(view.told(who));
            all.entry(*port).or_default().push(Caller { who, name });
        }
    }
    all.into_iter().map(|(port, callers)| (port, callers.into())).collect()
}

/// The routes that a method and a path are of, at any of the hosts.
fn found<'v>(view: &'v View<'_>, hosts: &BTreeSet<String>, http: &Http) -> BTreeSet<&'v str> {
    // What Envoy refuses is no route's.
    let Ok(path) = normalize(without_query(&http.path), Normalization::ENVOY) else {
        return BTreeSet::new();
    };
    let at = |host: &String| {
        let found = view.document.find_route(host, &http.method, &path).ok().flatten();
        found.map(|route| route.name.as_str())
    };
    hosts.iter().filter_map(at).collect()
}

/// Whether it is a request, and no connection.
fn is_http(example: &Example) -> bool {
    example.protocol == Protocol::Http
}

/// What is the same of two requests of one form.
type Form<'v> = (Option<IpAddr>, Option<&'v str>, &'v [(String, String)], &'v str, String);

fn form(made: &Made) -> Form<'_> {
    let http = &made.http;
    let tokens = match http.tokens.as_slice() {
        [] => String::new(),
        tokens => format!("{tokens:?}"),
    };
    (made.destination_ip, made.sni.as_deref(), asked_for(http), http.host.as_str(), tokens)
}

/// The headers that a rule is about: what was made for a route has those of its callers instead.
fn asked_for(http: &Http) -> &[(String, String)] {
    let of_route =
        |(name, value): &(String, String)| name == headers::SUBJECT && value == reach::SOMEBODY;
    if http.headers.iter().any(of_route) { &[] } else { &http.headers }
}

/// A request of that form to a route.
fn turned(like: &Http, route: &Route, target: &Target, host: &str) -> Http {
    let own = asked_for(like);
    let mut headers = identity(route);
    headers.retain(|(name, _)| own.iter().all(|(known, _)| known != name));
    headers.extend_from_slice(own);
    Http {
        method: target.method.clone(),
        path: target.path.clone(),
        host: host.to_owned(),
        headers,
        rewritten: like.rewritten.clone(),
        tokens: like.tokens.clone(),
    }
}

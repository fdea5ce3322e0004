//! Whom the mesh lets come with the requests of each route, found by asking for its own methods,
//! hosts and paths: what a policy allows of another route of the same workload is not its.

use std::collections::{BTreeMap, BTreeSet};

use postern_document::Route;
use postern_policies::{Http, Protocol};
use postern_request::headers;
use postern_request::normalize::{Normalization, normalize};
use postern_request::path::without_query;

use super::super::model::Row;
use super::super::witness::{self, Target};
use super::callers::Who;
use super::examples::Example;
use super::reach::{self, Reached, identity};
use super::view::View;

/// Most callers of a route that a report names.
const MOST_CALLERS: usize = 24;
/// How many rules are looked at for the routes of one workload, counted once for each request.
const MOST_LOOKED_AT: usize = 4_000_000;

/// Says in the matrix who may come; nobody where no workload of the service is known.
pub(super) fn tell(
    view: &View<'_>,
    reached: &[Reached<'_>],
    matrix: &mut [Row],
    unknown: &mut Vec<String>,
) {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut names: BTreeMap<&Who, String> = BTreeMap::new();
    for one in reached.iter().filter(|one| !one.known.is_gateway()) {
        let mut asked = Asked::new(view, one);
        for route in reach::routes(view, one.known) {
            let told = all.entry(route.name.as_str()).or_default();
            for who in asked.callers(route) {
                let name = names.entry(who).or_insert_with(|| view.told(who));
                if !told.contains(name) {
                    told.push(name.clone());
                }
            }
        }
        if asked.is_cut {
            unknown.push(format!(
                "{}: who may come with the requests of each route was not asked for all of them; \
                 of the rest, the matrix names whoever reaches the workload",
                one.known.subject()
            ));
        }
    }
    for row in matrix {
        let mut told = all.remove(row.route.as_str()).unwrap_or_default();
        if told.len() > MOST_CALLERS {
            let more = told.len() - MOST_CALLERS;
            told.truncate(MOST_CALLERS);
            told.push(format!("and {more} more"));
        }
        row.principals = told;
    }
}

/// Asks one workload about routes.
struct Asked<'v, 'a> {
    view: &'v View<'a>,
    reached: &'v Reached<'v>,
    /// By port and caller, a request of each kind: alike in all but method, host and path.
    kinds: BTreeMap<(u16, &'v Who), Vec<&'v Example>>,
    /// Requests that rules are about and that are of a route, by its name.
    own: BTreeMap<&'v str, Vec<&'v Example>>,
    /// How much one request costs, and how much may be spent yet.
    cost: usize,
    left: usize,
    is_cut: bool,
}

impl<'v, 'a> Asked<'v, 'a> {
    fn new(view: &'v View<'a>, reached: &'v Reached<'v>) -> Self {
        let policies = view.resources.authorization_for(&view.mesh, &reached.known.workload);
        let rules: usize = policies.iter().map(|policy| policy.rules.len()).sum();
        let mut asked = Self {
            view,
            reached,
            kinds: kinds(reached),
            own: BTreeMap::new(),
            cost: rules + 1,
            left: MOST_LOOKED_AT,
            is_cut: false,
        };
        asked.find_routes();
        asked
    }

    /// Which routes the requests are of that rules are about. Past the gateway a service takes any
    /// host, so that method and path alone make a request one of a route.
    fn find_routes(&mut self) {
        let (view, reached) = (self.view, self.reached);
        let hosts: BTreeSet<String> =
            reach::routes(view, reached.known).flat_map(witness::hosts).collect();
        let mut known: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for example in reached.examples.iter().filter(|example| counts(reached, example)) {
            let Some(http) = &example.request.http else { continue };
            let key = (http.method.as_str(), http.path.as_str());
            if !known.contains_key(&key) {
                if self.left < hosts.len() {
                    // What is not known to be refused, may come.
                    (self.left, self.is_cut) = (0, true);
                    return;
                }
                self.left -= hosts.len();
            }
            let routes = known.entry(key).or_insert_with(|| found(view, &hosts, http));
            for route in routes.iter() {
                self.own.entry(*route).or_default().push(example);
            }
        }
    }

    /// Who may come with a request of a route.
    fn callers(&mut self, route: &Route) -> Vec<&'v Who> {
        let reached = self.reached;
        let port = reach::service_port(reached.known, route);
        let targets = witness::all(self.view.document, route);
        let of_port = reached.lines.iter().filter(|((number, _), _)| *number == port);
        let passing = of_port.filter(|(_, (passes, _))| *passes).map(|((_, who), _)| who);
        passing.filter(|&who| self.may_come(route, port, who, &targets)).collect()
    }

    fn may_come(&mut self, route: &Route, port: u16, who: &'v Who, targets: &[Target]) -> bool {
        let own = self.own.get(route.name.as_str()).cloned().unwrap_or_default();
        let of_who = |example: &&&Example| example.port == port && example.who == *who;
        for example in own.iter().filter(of_who) {
            if self.passes(example) {
                return true;
            }
        }
        // Of a route that no request was found for, nobody can be told apart.
        if targets.is_empty() {
            return true;
        }
        let kinds = self.kinds.get(&(port, who)).cloned().unwrap_or_default();
        for kind in kinds {
            for target in targets {
                let mut hosts = vec![target.host.as_str()];
                hosts.extend(kind.request.http.as_ref().map(|http| http.host.as_str()));
                hosts.dedup();
                for host in hosts {
                    if self.passes(&turned(kind, route, target, host)) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Whether a request gets through; where there is no time left to ask, it may.
    fn passes(&mut self, example: &Example) -> bool {
        if self.left < self.cost {
            self.is_cut = true;
            return true;
        }
        self.left -= self.cost;
        self.view.verdict(self.reached.known, example).decision.may_pass()
    }
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

/// Whatever is taken for HTTP is judged as such; only where nothing is, as a connection.
fn counts(reached: &Reached<'_>, example: &Example) -> bool {
    let spoken = reached.known.spoken(example.port);
    example.protocol == Protocol::Http || !spoken.contains(&Protocol::Http)
}

fn kinds<'v>(reached: &'v Reached<'v>) -> BTreeMap<(u16, &'v Who), Vec<&'v Example>> {
    let mut seen = BTreeSet::new();
    let mut kinds: BTreeMap<(u16, &Who), Vec<&Example>> = BTreeMap::new();
    for example in reached.examples.iter().filter(|example| counts(reached, example)) {
        if seen.insert(kind(example)) {
            kinds.entry((example.port, &example.who)).or_default().push(example);
        }
    }
    kinds
}

/// What is the same of two requests of one kind.
fn kind(example: &Example) -> String {
    let request = &example.request;
    let http = request.http.as_ref();
    let headers = http.map(asked_for).unwrap_or_default();
    let (tokens, host) = (http.map(|http| &http.tokens), http.map(|http| &http.host));
    format!(
        "{} {:?} {:?} {:?} {headers:?} {tokens:?} {host:?}",
        example.port, request.peer, request.destination_ip, request.sni
    )
}

/// The headers that a rule is about: what was made for a route has those of its callers instead.
fn asked_for(http: &Http) -> &[(String, String)] {
    let of_route =
        |(name, value): &(String, String)| name == headers::SUBJECT && value == reach::SOMEBODY;
    if http.headers.iter().any(of_route) { &[] } else { &http.headers }
}

/// A request of that kind to a route.
fn turned(example: &Example, route: &Route, target: &Target, host: &str) -> Example {
    let mut turned = example.clone();
    if let Some(http) = &mut turned.request.http {
        let own = asked_for(http).to_vec();
        http.method.clone_from(&target.method);
        http.path.clone_from(&target.path);
        host.clone_into(&mut http.host);
        http.headers = identity(route);
        http.headers.retain(|(name, _)| own.iter().all(|(known, _)| known != name));
        http.headers.extend(own);
    }
    turned
}

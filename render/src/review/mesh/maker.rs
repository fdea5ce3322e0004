//! Makes requests: of what each rule names, of what it just does not, and of the document's routes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use postern_document::Route;
use postern_policies::{
    Action, Attribute, AuthorizationPolicy, JwtRule, Peer, Request, Rule, Test,
};
use serde_json::Map;

use super::addresses::told_apart;
use super::callers::{self, Who, like};
use super::draft::{self, Draft};
use super::examples::Example;
use super::known::Known;
use super::reach;
use super::token::token;
use super::view::View;
use crate::review::witness;

/// Most requests that follow from the rules of one workload, from one of them, from the routes of
/// one workload, and from two rules together.
const MOST: usize = 8192;
const MOST_OF_RULE: usize = 2048;
const MOST_OF_ROUTES: usize = 4096;
const MOST_PAIRS: usize = 4096;
/// Of so many callers and operations of one rule, each is tried with one of the others alone.
const MANY: usize = 1024;

/// One of the alternatives of a rule: what is asked of callers, of operations, and besides.
struct Alternative<'r> {
    namespace: &'r str,
    tests: Vec<&'r Test>,
    /// What it names of [`Alternative::TOLD_APART`], as patterns.
    named: [Vec<String>; 3],
}

impl<'r> Alternative<'r> {
    /// Attributes by whose values one can see that two have nothing in common.
    const TOLD_APART: [Attribute; 3] = [Attribute::Path, Attribute::Method, Attribute::Port];

    fn new(namespace: &'r str, tests: Vec<&'r Test>) -> Self {
        let plain = |text: &str| text.replace("{**}", "*").replace("{*}", "*");
        let named = Self::TOLD_APART.map(|wanted| {
            let tests = tests.iter().filter(|test| test.attribute == wanted);
            tests.flat_map(|test| &test.values).map(|value| plain(value.as_str())).collect()
        });
        Self { namespace, tests, named }
    }

    /// Whether a request may be of both.
    fn may_meet(&self, other: &Self) -> bool {
        self.named.iter().zip(&other.named).all(|(a, b)| {
            let meet = |a: &String| b.iter().any(|b| like(a, b) || like(b, a));
            a.is_empty() || b.is_empty() || a.iter().any(meet)
        })
    }
}

/// Makes examples for one workload.
pub(super) struct Maker<'v, 'a> {
    view: &'v View<'a>,
    known: &'v Known,
    policies: Vec<&'v AuthorizationPolicy>,
    issuers: Vec<&'v JwtRule>,
    addresses: Vec<IpAddr>,
    all_addresses: bool,
}

impl<'v, 'a> Maker<'v, 'a> {
    pub(super) fn new(view: &'v View<'a>, known: &'v Known) -> Self {
        let mut policies = view.resources.authorization_for(&view.mesh, &known.workload);
        policies.retain(|policy| !policy.dry_run);
        let (addresses, all_addresses) = told_apart(&policies);
        let authentication = view.resources.request_for(&view.mesh, &known.workload);
        let issuers = authentication.into_iter().flat_map(|resource| &resource.rules).collect();
        Self { view, known, policies, issuers, addresses, all_addresses }
    }

    /// What the routes and all rules for the workload are about, each once, and whether that is
    /// all of it.
    pub(super) fn all(&self) -> (Vec<Example>, bool) {
        let mut found = Found::new(MOST_OF_ROUTES);
        self.routes(&mut found);
        found.limit(MOST);
        let (mut denies, mut allows) = (Vec::new(), Vec::new());
        for policy in &self.policies {
            for rule in 0..policy.rules.len() {
                for alternative in alternatives(policy, rule) {
                    self.examples(&alternative, &mut found);
                    match policy.action {
                        Action::Deny | Action::Custom { .. } => denies.push(alternative),
                        Action::Allow => allows.push(alternative),
                        Action::Audit => {}
                    }
                }
            }
        }
        found.limit(MOST_PAIRS);
        'pairs: for deny in &denies {
            for allow in allows.iter().filter(|allow| deny.may_meet(allow)) {
                if found.is_full() {
                    found.complete = false;
                    break 'pairs;
                }
                self.pair(allow, deny, &mut found);
            }
        }
        (found.all, found.complete && self.all_addresses && self.all_values())
    }

    /// Whether every value of every test is tried.
    fn all_values(&self) -> bool {
        let rules = self.policies.iter().flat_map(|policy| &policy.rules);
        let most = |test: &Test| test.values.len().max(test.not_values.len());
        rules.flat_map(Rule::tests).all(|test| most(test) <= draft::MOST)
    }

    /// What one rule is about.
    pub(super) fn of_rule(&self, policy: &AuthorizationPolicy, rule: usize) -> Vec<Example> {
        let mut found = Found::new(MOST_OF_RULE);
        for alternative in alternatives(policy, rule) {
            self.examples(&alternative, &mut found);
        }
        found.all
    }

    /// What a rule asks of operations and besides, by a caller of one's own choice who brings no
    /// token: from each address that policies tell apart.
    pub(super) fn by(&self, who: &Who, policy: &AuthorizationPolicy, rule: usize) -> Vec<Example> {
        let Some(rule) = policy.rules.get(rule) else { return Vec::new() };
        let tests: Vec<&Test> = rule.to.first().into_iter().flatten().chain(&rule.when).collect();
        let mut found = Found::new(MOST_OF_RULE);
        let base = Draft { claims: Map::new(), ..Draft::of(&tests) };
        for draft in self.everywhere(&tests, base) {
            self.push(who, &draft, &mut found);
        }
        found.all
    }

    /// A request of a route, by a caller of one's own choice, from each address that policies tell
    /// apart.
    pub(super) fn of_route(&self, route: &Route, who: &Who) -> Vec<Example> {
        let mut found = Found::new(MOST_OF_RULE);
        for draft in self.drafts(route) {
            self.push(who, &draft, &mut found);
        }
        found.all
    }

    fn drafts(&self, route: &Route) -> Vec<Draft> {
        let Some(target) = witness::first(self.view.document, route) else { return Vec::new() };
        let mut draft = Draft::new();
        (draft.http.method, draft.http.path, draft.http.host) =
            (target.method, target.path, target.host);
        draft.http.headers = reach::identity(route);
        self.everywhere(&[], draft)
    }

    /// A request of each route to the workload, by everybody whom the document lets come to it and
    /// some whom it does not.
    fn routes(&self, found: &mut Found) {
        for route in reach::routes(self.view, self.known) {
            let peers = route
                .peers
                .iter()
                .map(|peer| self.view.who(&peer.to_istio().replace('*', "postern-review")));
            let callers: Vec<Who> = self.anybody().into_iter().chain(peers).collect();
            let drafts = self.drafts(route);
            for (who, draft) in callers.iter().flat_map(|who| drafts.iter().map(move |d| (who, d)))
            {
                self.push(who, draft, found);
            }
        }
        if found.all.is_empty() {
            for who in self.anybody() {
                for draft in self.everywhere(&[], Draft::new()) {
                    self.push(&who, &draft, found);
                }
            }
        }
    }

    fn examples(&self, alternative: &Alternative<'_>, found: &mut Found) {
        let tests = &alternative.tests;
        let mut drafts = Draft::all_of(tests);
        let base = drafts.first().cloned().unwrap_or_else(Draft::new);
        drafts.extend(self.everywhere(tests, base));
        let callers = self.callers(alternative);
        let is_many = callers.len().saturating_mul(drafts.len()) > MANY;
        for (place, who) in callers.iter().enumerate() {
            let few = if is_many && place > 0 { 1 } else { drafts.len() };
            for draft in drafts.iter().take(few) {
                self.push(who, draft, found);
            }
        }
    }

    /// What two rules are both about.
    fn pair(&self, one: &Alternative<'_>, other: &Alternative<'_>, found: &mut Found) {
        let both: Vec<&Test> = one.tests.iter().chain(&other.tests).copied().collect();
        let turned: Vec<&Test> = other.tests.iter().chain(&one.tests).copied().collect();
        let mut callers = self.callers(one);
        callers.extend(self.callers(other));
        let mut drafts = vec![Draft::of(&both), Draft::of(&turned)];
        // What the other one leaves out is let in by the first one alone.
        drafts.extend(Draft::of(&both).further(&other.tests));
        for who in callers {
            for draft in &drafts {
                self.push(&who, draft, found);
            }
        }
    }

    /// The same from each address, where no test of it is about addresses.
    fn everywhere(&self, tests: &[&Test], draft: Draft) -> Vec<Draft> {
        let of_address =
            |test: &&Test| matches!(test.attribute, Attribute::SourceIp | Attribute::RemoteIp);
        if tests.iter().any(of_address) {
            return vec![draft];
        }
        self.addresses.iter().map(|ip| Draft { ip: *ip, ..draft.clone() }).collect()
    }

    /// Everybody whom no policy has to name.
    fn anybody(&self) -> Vec<Who> {
        if self.known.is_gateway() {
            return vec![Who::Outside];
        }
        vec![Who::Outside, Who::Stranger, Who::Gateway]
    }

    /// Whom an alternative is about.
    fn callers(&self, alternative: &Alternative<'_>) -> Vec<Who> {
        let Alternative { namespace, tests, .. } = alternative;
        let strangers = self.view.strangers();
        let named: Vec<String> = strangers
            .iter()
            .flat_map(|stranger| callers::named(tests, namespace, stranger))
            .collect();
        if !named.is_empty() {
            return named.iter().map(|name| self.view.who(name)).collect();
        }
        let mut all = self.anybody();
        let excluded = callers::excluded(tests, &self.view.stranger);
        all.extend(excluded.iter().map(|name| self.view.who(name)));
        all
    }

    fn push(&self, who: &Who, draft: &Draft, found: &mut Found) {
        if found.is_full() {
            found.complete = false;
            return;
        }
        let ports: Vec<u16> = match draft.port {
            Some(port) => vec![port],
            None => self.known.ports().into_iter().map(|port| port.number).collect(),
        };
        let mut http = draft.http.clone();
        http.tokens = token(&self.issuers, &draft.claims).into_iter().collect();
        let peer = Peer {
            principal: self.view.principal(who),
            ip: Some(draft.ip),
            remote_ip: draft.remote_ip,
        };
        for port in ports {
            let request = Request {
                peer: peer.clone(),
                destination_ip: draft.destination_ip,
                port,
                sni: draft.sni.clone(),
                http: Some(http.clone()),
                ..Request::default()
            };
            for protocol in self.known.spoken(port) {
                found.push(Example {
                    workload: self.known.name(),
                    port,
                    who: who.clone(),
                    protocol,
                    request: request.clone(),
                });
            }
        }
    }
}

/// Each of `from` with each of `to`, and `when` with all.
fn alternatives(policy: &AuthorizationPolicy, rule: usize) -> Vec<Alternative<'_>> {
    let Some(rule) = policy.rules.get(rule) else { return Vec::new() };
    let namespace = policy.meta.namespace.as_str();
    let mut all = Vec::new();
    for from in 0..rule.from.len().max(1) {
        for to in 0..rule.to.len().max(1) {
            if all.len() == MOST_OF_RULE {
                return all;
            }
            let from = rule.from.get(from).into_iter().flatten();
            let to = rule.to.get(to).into_iter().flatten();
            let tests = from.chain(to).chain(&rule.when).collect();
            all.push(Alternative::new(namespace, tests));
        }
    }
    all
}

/// Examples, each once, and not too many.
struct Found {
    all: Vec<Example>,
    seen: BTreeSet<String>,
    /// How many there may be.
    most: usize,
    complete: bool,
}

impl Found {
    const fn new(most: usize) -> Self {
        Self { all: Vec::new(), seen: BTreeSet::new(), most, complete: true }
    }

    /// Lets so many more come.
    const fn limit(&mut self, more: usize) {
        self.most = self.all.len() + more;
    }

    const fn is_full(&self) -> bool {
        self.all.len() >= self.most
    }

    fn push(&mut self, example: Example) {
        if self.is_full() {
            self.complete = false;
        } else if self.seen.insert(example.key()) {
            self.all.push(example);
        }
    }
}

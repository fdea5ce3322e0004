//! Makes requests: of what each rule names, of what it just does not, and of the document's routes.

mod operations;

use std::net::IpAddr;
use std::rc::Rc;

use postern_document::Route;
use postern_policies::{Action, Attribute, AuthorizationPolicy, Peer, Rule, Test};
use serde_json::Map;

use super::allowance::Allowance;
use super::callers::{self, Who};
use super::draft::{self, Asks, Draft};
use super::examples::{Each, Example, Made};
use super::kinds::Kind;
use super::known::Known;
use super::reach;
use super::view::View;
use crate::review::witness;
use operations::Operations;

/// Most requests that follow from the rules of one workload, from one of them, from the routes of
/// one workload, and from two rules together.
const MOST: usize = 8192;
const MOST_OF_RULE: usize = 2048;
const MOST_OF_ROUTES: usize = 4096;
const MOST_PAIRS: usize = 4096;
/// Of so many callers and operations of one rule, each is tried with one of the others alone.
const MANY: usize = 1024;
/// What it takes to make an example, and to find a name for a caller, in comparisons of values.
const EXAMPLE: usize = 4;
const CALLER: usize = 32;

/// One of the alternatives of a rule: what is asked of callers, of operations, and besides. What
/// several have in common is there once.
struct Alternative<'r> {
    asks: Vec<Rc<Asks<'r>>>,
    callers: Rc<[Who]>,
    operations: Rc<Operations>,
}

/// A draft that is ready to be sent by somebody, from somewhere.
struct Ready {
    made: Rc<Made>,
    ip: IpAddr,
    remote_ip: Option<IpAddr>,
    /// The port that a rule names.
    port: Option<u16>,
}

/// A side of a rule that asks nothing.
static NOTHING: [Vec<Test>; 1] = [Vec::new()];

/// Makes examples for one workload, and for all of its kind.
pub(super) struct Maker<'v, 'a> {
    view: &'v View<'a>,
    known: &'v Known,
    kind: &'v Kind<'a>,
    work: &'v Allowance,
}

impl<'v, 'a> Maker<'v, 'a> {
    /// For a check.
    pub(super) fn new(view: &'v View<'a>, known: &'v Known) -> Self {
        Self::within(view, known, &view.budget.checks)
    }

    /// With work to do of its own.
    pub(super) fn within(view: &'v View<'a>, known: &'v Known, work: &'v Allowance) -> Self {
        Self { view, known, kind: view.kind(known), work }
    }

    /// What the routes and all rules for the workload are about, each once, and whether that is
    /// all of it.
    pub(super) fn all(&self) -> (Vec<Example>, bool) {
        let mut found = Found::new(MOST_OF_ROUTES);
        self.routes(&mut found);
        found.limit(MOST);
        let (mut denies, mut allows) = (Vec::new(), Vec::new());
        for policy in &self.kind.policies {
            for rule in 0..policy.rules.len() {
                for alternative in self.alternatives(policy, rule, &mut found) {
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
            for allow in &allows {
                if found.is_full() || self.work.is_spent() {
                    found.complete = false;
                    break 'pairs;
                }
                if deny.operations.may_meet(&allow.operations, self.work) {
                    self.pair(allow, deny, &mut found);
                }
            }
        }
        let is_all = found.complete && !self.work.is_spent();
        (found.each.all, is_all && self.kind.all_addresses && self.all_values())
    }

    /// Whether every value of every test is tried.
    fn all_values(&self) -> bool {
        let rules = self.kind.policies.iter().flat_map(|policy| &policy.rules);
        let most = |test: &Test| test.values.len().max(test.not_values.len());
        rules.flat_map(Rule::tests).all(|test| most(test) <= draft::MOST)
    }

    /// What one rule is about.
    pub(super) fn of_rule(&self, policy: &AuthorizationPolicy, rule: usize) -> Vec<Example> {
        let mut found = Found::new(MOST_OF_RULE);
        for alternative in self.alternatives(policy, rule, &mut found) {
            self.examples(&alternative, &mut found);
        }
        found.each.all
    }

    /// What a rule asks of operations and besides, by a caller of one's own choice who brings no
    /// token: from each address that policies tell apart.
    pub(super) fn by(&self, who: &Who, policy: &AuthorizationPolicy, rule: usize) -> Vec<Example> {
        let Some(rule) = policy.rules.get(rule) else { return Vec::new() };
        let tests = rule.to.first().into_iter().flatten().chain(&rule.when);
        let asks = self.asks(tests);
        let mut found = Found::new(MOST_OF_RULE);
        let base = Draft { claims: Map::new(), ..Draft::of(&asks) };
        for draft in self.everywhere(&asks, base) {
            self.push(who, &draft, &mut found);
        }
        found.each.all
    }

    /// A request of a route, by a caller of one's own choice, from each address that policies tell
    /// apart.
    pub(super) fn of_route(&self, route: &Route, who: &Who) -> Vec<Example> {
        let mut found = Found::new(MOST_OF_RULE);
        for draft in self.drafts(route) {
            self.push(who, &draft, &mut found);
        }
        found.each.all
    }

    fn drafts(&self, route: &Route) -> Vec<Ready> {
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
        if found.each.all.is_empty() {
            for who in self.anybody() {
                for draft in self.everywhere(&[], Draft::new()) {
                    self.push(&who, &draft, found);
                }
            }
        }
    }

    fn examples(&self, alternative: &Alternative<'_>, found: &mut Found) {
        if found.is_full() || self.work.is_spent() {
            found.complete = false;
            return;
        }
        let Alternative { asks, callers, .. } = alternative;
        self.spend_on_drafts(asks.len());
        let drafts = self.drafting(found, |half| Draft::all_of(asks, half));
        let base = drafts.first().cloned().unwrap_or_else(Draft::new);
        let mut drafts: Vec<Ready> = drafts.into_iter().map(|draft| self.ready(draft)).collect();
        drafts.extend(self.everywhere(asks, base));
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
        self.spend_on_drafts(one.asks.len() + other.asks.len());
        let both = Draft::of(one.asks.iter().chain(&other.asks));
        let turned = Draft::of(other.asks.iter().chain(&one.asks));
        // What the other one leaves out is let in by the first one alone.
        let further = self.drafting(found, |half| both.further(&other.asks, half));
        let drafts = [both, turned].into_iter().chain(further);
        let drafts: Vec<Ready> = drafts.map(|draft| self.ready(draft)).collect();
        for who in one.callers.iter().chain(&*other.callers) {
            for draft in &drafts {
                self.push(who, draft, found);
            }
        }
    }

    /// Makes drafts of half of the work that is left: they are still to be sent.
    fn drafting(
        &self,
        found: &mut Found,
        make: impl FnOnce(&Allowance) -> Vec<Draft>,
    ) -> Vec<Draft> {
        let half = self.work.half();
        let drafts = make(&half);
        found.complete &= !half.is_spent();
        self.work.settle(&half);
        drafts
    }

    /// Each header that is set is looked for among those that are.
    fn spend_on_drafts(&self, asks: usize) {
        self.work.spend_on(2 * asks + asks * asks / 8);
    }

    /// The same from each address, where no test of it is about addresses.
    fn everywhere(&self, asks: &[Rc<Asks<'_>>], draft: Draft) -> Vec<Ready> {
        let of_address = |ask: &Rc<Asks<'_>>| {
            matches!(ask.test.attribute, Attribute::SourceIp | Attribute::RemoteIp)
        };
        if asks.iter().any(of_address) {
            return vec![self.ready(draft)];
        }
        let Ready { made, remote_ip, port, .. } = self.ready(draft);
        let from = |ip: &IpAddr| Ready { made: Rc::clone(&made), ip: *ip, remote_ip, port };
        self.kind.addresses.iter().map(from).collect()
    }

    /// Everybody whom no policy has to name.
    fn anybody(&self) -> Vec<Who> {
        if self.known.is_gateway() {
            return vec![Who::Outside];
        }
        vec![Who::Outside, Who::Stranger, Who::Gateway]
    }

    /// Whom tests are about, in a policy of a namespace.
    fn callers(&self, tests: &[&Test], namespace: &str) -> Rc<[Who]> {
        let strangers = self.view.strangers();
        let values: usize = tests.iter().map(|test| test.values.len().min(draft::MOST)).sum();
        if !self.work.spend_on(CALLER * strangers.len() * (1 + values)) {
            return Rc::default();
        }
        let named: Vec<String> = strangers
            .iter()
            .flat_map(|stranger| callers::named(tests, namespace, stranger))
            .collect();
        if !named.is_empty() {
            return named.iter().map(|name| self.view.who(name)).collect();
        }
        let mut all = self.anybody();
        let excluded = callers::excluded(tests, &self.view.stranger);
        self.work.spend_on(CALLER * excluded.len());
        all.extend(excluded.iter().map(|name| self.view.who(name)));
        all.into()
    }

    /// Tests, with what each can be given.
    fn asks<'r>(&self, tests: impl IntoIterator<Item = &'r Test>) -> Vec<Rc<Asks<'r>>> {
        tests.into_iter().map(|test| Rc::new(Asks::of(test, self.work))).collect()
    }

    /// Each of `from` with each of `to`, and `when` with all.
    fn alternatives<'r>(
        &self,
        policy: &'r AuthorizationPolicy,
        rule: usize,
        found: &mut Found,
    ) -> Vec<Alternative<'r>> {
        let Some(rule) = policy.rules.get(rule) else { return Vec::new() };
        if found.is_full() || self.work.is_spent() {
            found.complete = false;
            return Vec::new();
        }
        let when = self.asks(&rule.when);
        let sides = |side: &'r [Vec<Test>]| if side.is_empty() { NOTHING.as_slice() } else { side };
        let mut tos = Vec::new();
        for to in sides(&rule.to) {
            let asks = self.asks(to);
            let all: Vec<Rc<Asks<'r>>> = asks.iter().chain(&when).cloned().collect();
            tos.push((asks, Rc::new(Operations::of(&all))));
        }
        let mut all = Vec::new();
        for from in sides(&rule.from) {
            let tests: Vec<&Test> = from.iter().chain(&rule.when).collect();
            let callers = self.callers(&tests, &policy.meta.namespace);
            let asks = self.asks(from);
            for (to, operations) in &tos {
                if all.len() == MOST_OF_RULE || self.work.is_spent() {
                    found.complete = false;
                    return all;
                }
                let asks: Vec<_> = asks.iter().chain(to).chain(&when).cloned().collect();
                self.work.spend_on(asks.len());
                let (callers, operations) = (Rc::clone(&callers), Rc::clone(operations));
                all.push(Alternative { asks, callers, operations });
            }
        }
        all
    }

    fn ready(&self, draft: Draft) -> Ready {
        self.work.spend_on(draft.size());
        let Draft { ip, remote_ip, port, .. } = draft;
        Ready { made: Rc::new(draft.made(&self.kind.issuers)), ip, remote_ip, port }
    }

    fn push(&self, who: &Who, ready: &Ready, found: &mut Found) {
        if found.is_full() || self.work.is_spent() {
            found.complete = false;
            return;
        }
        let ports: Vec<u16> = match ready.port {
            Some(port) => vec![port],
            None => self.known.ports().into_iter().map(|port| port.number).collect(),
        };
        let peer = Rc::new(Peer {
            principal: self.view.principal(who),
            ip: Some(ready.ip),
            remote_ip: ready.remote_ip,
        });
        for port in ports {
            for protocol in self.known.spoken(port) {
                self.work.spend_on(EXAMPLE);
                let (who, peer, made) = (who.clone(), Rc::clone(&peer), Rc::clone(&ready.made));
                found.push(Example { port, who, protocol, peer, made });
            }
        }
    }
}

/// Examples, each once, and not too many.
struct Found {
    each: Each<Example>,
    /// How many there may be.
    most: usize,
    complete: bool,
}

impl Found {
    fn new(most: usize) -> Self {
        Self { each: Each::new(), most, complete: true }
    }

    /// Lets so many more come.
    const fn limit(&mut self, more: usize) {
        self.most = self.each.all.len() + more;
    }

    const fn is_full(&self) -> bool {
        self.each.all.len() >= self.most
    }

    fn push(&mut self, example: Example) {
        if self.is_full() {
            self.complete = false;
        } else {
            self.each.push(example);
        }
    }
}

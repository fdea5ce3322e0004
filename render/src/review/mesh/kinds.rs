//! Workloads that policies cannot tell apart. What is asked of one of them is known of all.

use core::cell::OnceCell;
use core::ptr::from_ref;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use postern_policies::{
    Action, Attribute, AuthorizationPolicy, Decision, Http, Judge, JwtRule, Mesh, Parts, Protocol,
    Resources, Rule, RuleOf, Workload,
};

use super::addresses::told_apart;
use super::allowance::{Allowance, Budget};
use super::examples::{Asked, Example};
use super::known::Known;
use super::maker::Maker;
use super::plugins;
use super::view::View;

/// What workloads of one kind have in common.
pub(in crate::review) struct Kind<'a> {
    judge: Judge<'a, Rc<Mesh>>,
    /// Policies that are for them and count.
    pub(super) policies: Vec<&'a AuthorizationPolicy>,
    /// Whose tokens they know.
    pub(super) issuers: Vec<&'a JwtRule>,
    /// Addresses that the policies tell apart.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) all_addresses: bool,
    asked: OnceCell<Rc<Asked<'a>>>,
    guarded: RefCell<BTreeMap<u16, bool>>,
}

impl<'a> Kind<'a> {
    fn new(resources: &'a Resources, mesh: &Rc<Mesh>, workload: &Workload) -> Self {
        let judge = Judge::new(resources, Rc::clone(mesh), workload);
        let mut policies = judge.policies().to_vec();
        policies.retain(|policy| !policy.dry_run);
        let issuers = resources.request_for(mesh, workload).into_iter();
        let (addresses, all_addresses) = told_apart(&policies);
        Self {
            judge,
            policies,
            issuers: issuers.flat_map(|resource| &resource.rules).collect(),
            addresses,
            all_addresses,
            asked: OnceCell::new(),
            guarded: RefCell::default(),
        }
    }

    /// All policies that are for them, those that only tell what they would do too.
    pub(super) fn all_policies(&self) -> &[&'a AuthorizationPolicy] {
        self.judge.policies()
    }

    /// Whether the bundle guards a port, found out once.
    pub(super) fn guards(&self, port: u16, find: impl FnOnce() -> bool) -> bool {
        let known = self.guarded.borrow().get(&port).copied();
        known.unwrap_or_else(|| {
            let found = find();
            self.guarded.borrow_mut().insert(port, found);
            found
        })
    }

    /// What becomes of a request.
    fn decide(&self, request: Parts<'_>, work: &Allowance) -> Decision<'a> {
        let before = self.judge.work();
        let decision = self.judge.decide(request);
        work.spend(1 + self.judge.work() - before);
        decision
    }
}

/// All kinds.
pub(in crate::review) struct Kinds<'a> {
    all: Vec<Kind<'a>>,
    /// Of what is none of the workloads.
    none: Kind<'a>,
}

/// By what workloads are told apart, beside their names.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    /// Which policies, issuers, settings of mutual TLS and plugins of ours are for them.
    resources: [Vec<usize>; 4],
    /// Number, whether HTTP is taken for granted there, and whether anything is.
    ports: Vec<(u16, bool, usize)>,
    is_gateway: bool,
    is_ours: bool,
    services: Vec<String>,
    served: BTreeSet<u16>,
    named: Option<String>,
}

impl Key {
    fn of(view: &View<'_>, known: &Known) -> Self {
        let (workload, mesh) = (&known.workload, &view.mesh);
        let policies = view.resources.authorization_for(mesh, workload).into_iter();
        let issuers = view.resources.request_for(mesh, workload).into_iter();
        let peers = view.resources.peer_for(mesh, workload).into_iter();
        let ports = workload.ports.iter().map(|port| {
            (port.number, port.protocol == Protocol::Http, known.spoken(port.number).len())
        });
        Self {
            resources: [
                policies.map(|one| from_ref(one).addr()).collect(),
                issuers.map(|one| from_ref(one).addr()).collect(),
                peers.map(|one| from_ref(one).addr()).collect(),
                plugins::selecting(view, known).map(|one| from_ref(one).addr()).collect(),
            ],
            ports: ports.collect(),
            is_gateway: known.is_gateway(),
            is_ours: known.is_ours,
            services: known.services.clone(),
            served: known.served.clone(),
            named: known.named.clone(),
        }
    }
}

impl<'a> Kinds<'a> {
    /// Before workloads were looked at.
    pub(super) fn none(resources: &'a Resources, mesh: &Rc<Mesh>) -> Self {
        Self { all: Vec::new(), none: Kind::new(resources, mesh, &Workload::default()) }
    }
}

impl<'a> View<'a> {
    /// Tells workloads by kinds, and how much may be asked of these.
    pub(super) fn sort_out(&mut self) {
        let mut numbers: HashMap<Key, usize> = HashMap::new();
        let mut of_ours: BTreeSet<usize> = BTreeSet::new();
        let mut kinds = Vec::with_capacity(self.workloads.len());
        for known in &self.workloads {
            let next = self.kinds.all.len();
            let number = *numbers.entry(Key::of(self, known)).or_insert(next);
            kinds.push(number);
            if known.is_ours {
                of_ours.insert(number);
            }
            if number == next {
                let kind = Kind::new(self.resources, &self.mesh, &known.workload);
                self.kinds.all.push(kind);
            }
        }
        for (known, kind) in self.workloads.iter_mut().zip(kinds) {
            known.kind = kind;
        }
        self.budget = Budget::new(of_ours.len());
    }

    /// What a workload has in common with others.
    pub(super) fn kind(&self, known: &Known) -> &Kind<'a> {
        self.kinds.all.get(known.kind).unwrap_or(&self.kinds.none)
    }

    /// What a workload of the document's was asked, and what became of it.
    pub(in crate::review) fn asked(&self, known: &Known) -> Rc<Asked<'a>> {
        let kind = self.kind(known);
        Rc::clone(kind.asked.get_or_init(|| Rc::new(self.ask(known, kind))))
    }

    fn ask(&self, known: &Known, kind: &Kind<'a>) -> Asked<'a> {
        let shares = self.budget.share();
        let [making, deciding] = &shares;
        let (mut examples, complete) = Maker::within(self, known, making).all();
        let mut decisions = Vec::with_capacity(examples.len());
        for example in &examples {
            if deciding.is_spent() {
                break;
            }
            let spoken = known.speaks(example.port, example.protocol);
            decisions.push(kind.decide(example.parts(spoken), deciding));
        }
        let is_all = complete && decisions.len() == examples.len();
        examples.truncate(decisions.len());
        self.budget.settle(&shares);
        Asked::new(examples, decisions, is_all, asks_for_metadata(&kind.policies))
    }

    /// What becomes of an example that a check has made.
    pub(super) fn decide(&self, known: &Known, example: &Example) -> Decision<'a> {
        self.decide_within(known, example, &self.budget.checks)
    }

    /// All workloads that are known.
    pub(in crate::review) fn all(&self) -> &[Known] {
        &self.workloads
    }

    /// What becomes of an example, whoever has made it.
    pub(in crate::review) fn decide_within(
        &self,
        known: &Known,
        example: &Example,
        work: &Allowance,
    ) -> Decision<'a> {
        let spoken = known.speaks(example.port, example.protocol);
        self.kind(known).decide(example.parts(spoken), work)
    }

    /// What becomes of a request over HTTP that is like an example, and asks for something else.
    pub(super) fn decide_instead(
        &self,
        known: &Known,
        example: &Example,
        http: &Http,
        work: &Allowance,
    ) -> Decision<'a> {
        let like = example.parts(Protocol::Http);
        self.kind(known).decide(Parts { http: Some(http), ..like }, work)
    }

    /// Whether a rule matches an example, whatever others say.
    pub(super) fn matches(&self, known: &Known, example: &Example, rule: RuleOf<'_>) -> bool {
        let kind = self.kind(known);
        let before = kind.judge.work();
        let spoken = known.speaks(example.port, example.protocol);
        let matches = kind.judge.matches(rule, example.parts(spoken));
        self.budget.checks.spend(1 + kind.judge.work() - before);
        matches
    }
}

/// Whether policies ask for what filters leave behind, which no request can be made of.
fn asks_for_metadata(policies: &[&AuthorizationPolicy]) -> bool {
    let counting = policies.iter().filter(|policy| policy.action != Action::Audit);
    let mut tests = counting.flat_map(|policy| &policy.rules).flat_map(Rule::tests);
    tests.any(|test| matches!(test.attribute, Attribute::Metadata { .. }))
}

/// What was found out of kinds of workloads, once for all of each.
pub(super) struct Once<T>(BTreeMap<usize, T>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Once<T> {
    /// What is known of a workload's kind; if it is not, it is found out.
    pub(super) fn of(&mut self, known: &Known, find: impl FnOnce() -> T) -> &T {
        self.0.entry(known.kind).or_insert_with(find)
    }
}

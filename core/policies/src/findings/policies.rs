//! What AuthorizationPolicy and RequestAuthentication leave open.

use core::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::never::{Known, dead_parts};
use super::{Concern, Finding};
use crate::pattern::{Form, Pattern, Text};
use crate::resources::{
    Action, Attribute, AuthorizationPolicy, JwtRule, Meta, Resources, Rule, Selection, Test,
};
use crate::workload::{Mesh, Protocol, Proxy, Workload};

/// Most pairs of values of one attribute that are compared, in all policies together.
const MOST_PAIRS: usize = 2_000_000;

pub(super) fn look<'r>(
    resources: &'r Resources,
    mesh: &Mesh,
    workloads: &[Workload],
    found: &mut Vec<Finding<'r>>,
) {
    let among = Among::new(resources, mesh, workloads);
    for policy in resources.authorization() {
        let selected: Vec<Selected<'_>> =
            among.all.iter().filter(|one| policy.is_for(mesh, one.workload)).copied().collect();
        let mut concerns = among.reach(&policy.meta, &policy.selection, selected.is_empty());
        concerns.extend(of_policy(policy, mesh));
        for concern in concerns {
            push(found, "AuthorizationPolicy", &policy.meta, policy.meta.line, concern);
        }
        for (index, rule) in policy.rules.iter().enumerate() {
            for concern in among.rule(policy, index, rule, &selected) {
                push(found, "AuthorizationPolicy", &policy.meta, rule.line, concern);
            }
        }
    }
    for resource in resources.request() {
        let nobody = !workloads.iter().any(|workload| resource.is_for(mesh, workload));
        for concern in among.reach(&resource.meta, &resource.selection, nobody) {
            push(found, "RequestAuthentication", &resource.meta, resource.meta.line, concern);
        }
    }
    found.extend(workloads.iter().filter_map(|workload| among.providers(workload)));
}

fn push<'r>(
    found: &mut Vec<Finding<'r>>,
    kind: &'static str,
    meta: &'r Meta,
    line: usize,
    concern: Concern,
) {
    found.push(Finding { of: Some((kind, meta)), line, concern });
}

/// What can be said of a policy without looking at its rules.
fn of_policy(policy: &AuthorizationPolicy, mesh: &Mesh) -> Vec<Concern> {
    let mut concerns = Vec::new();
    if policy.dry_run {
        concerns.push(Concern::DryRun);
    }
    if let (Action::Custom { provider }, Some(known)) = (&policy.action, &mesh.providers) {
        let provider = provider.clone();
        if !known.iter().any(|known| known.name == provider) {
            concerns.push(Concern::UnknownProvider { provider });
        } else if let Some(why) = mesh.problem_of_provider(&provider) {
            concerns.push(Concern::InvalidProvider { provider, why });
        }
    }
    concerns
}

/// A workload, and which of the lists of known issuers is its.
#[derive(Clone, Copy)]
struct Selected<'m> {
    workload: &'m Workload,
    issuers: usize,
}

struct Among<'r, 'm> {
    resources: &'r Resources,
    mesh: &'m Mesh,
    workloads: &'m [Workload],
    all: Vec<Selected<'m>>,
    /// Rules of RequestAuthentication that are for some workload, each list once.
    issuers: Vec<Vec<&'r JwtRule>>,
    /// How many pairs of values may still be compared.
    pairs: Cell<usize>,
}

impl<'r, 'm> Among<'r, 'm> {
    fn new(resources: &'r Resources, mesh: &'m Mesh, workloads: &'m [Workload]) -> Self {
        let mut lists: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut issuers = Vec::new();
        let all = workloads.iter().map(|workload| {
            let known = resources.request_for(mesh, workload);
            let which = known.iter().map(|resource| core::ptr::from_ref(*resource).addr());
            let issuers = *lists.entry(which.collect()).or_insert_with(|| {
                issuers.push(known.iter().flat_map(|resource| &resource.rules).collect());
                issuers.len() - 1
            });
            Selected { workload, issuers }
        });
        let all = all.collect();
        Self { resources, mesh, workloads, all, issuers, pairs: Cell::new(MOST_PAIRS) }
    }

    fn reach(&self, meta: &Meta, selection: &Selection, nobody: bool) -> Vec<Concern> {
        let mut concerns = Vec::new();
        if meta.namespace == self.mesh.root_namespace && selection.is_for_all() {
            concerns.push(Concern::MeshWide);
        }
        if nobody && !self.workloads.is_empty() {
            concerns.push(Concern::SelectsNothing);
        }
        concerns
    }

    fn rule(
        &self,
        policy: &AuthorizationPolicy,
        index: usize,
        rule: &Rule,
        selected: &[Selected<'_>],
    ) -> Vec<Concern> {
        let mut concerns = Vec::new();
        if rule.is_empty() && policy.action == Action::Allow && !policy.dry_run {
            concerns.push(Concern::AllowsEverything { rule: index });
        }
        let ports = ports(selected);
        let is_cut = Cell::new(false);
        let known = Known { mesh: self.mesh, ports, pairs: &self.pairs, is_cut };
        concerns.extend(dead_parts(rule, &known).into_iter().map(|dead| {
            let (place, why, whole) = (dead.place, dead.why, dead.whole);
            Concern::NeverMatches { rule: index, place, why, whole }
        }));
        if known.is_cut.get() {
            concerns.push(Concern::NotCompared { rule: index });
        }
        if policy.action == Action::Deny {
            concerns.extend(
                hosts(rule)
                    .map(|host| Concern::HostWithoutPort { rule: index, host: host.to_owned() }),
            );
        }
        // Most workloads know the same issuers.
        let mut tokens: BTreeMap<usize, Vec<(String, Option<String>)>> = BTreeMap::new();
        let mut headers: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for one in selected {
            concerns.extend(on_tcp(index, rule, one.workload));
            let workload = || one.workload.name.clone();
            let known = self.issuers.get(one.issuers).map_or(&[][..], Vec::as_slice);
            let tokens = tokens.entry(one.issuers).or_insert_with(|| of_tokens(rule, known));
            concerns.extend(tokens.iter().map(|(place, issuer)| Concern::TokenNotVerified {
                rule: index,
                place: place.clone(),
                workload: workload(),
                issuer: issuer.clone(),
            }));
            let headers = headers.entry(one.issuers);
            let headers = headers.or_insert_with(|| of_headers(&policy.action, rule, known));
            concerns.extend(headers.iter().map(|header| Concern::TrustsHeader {
                rule: index,
                header: (*header).to_owned(),
                workload: workload(),
            }));
        }
        concerns
    }

    fn providers(&self, workload: &Workload) -> Option<Finding<'r>> {
        let policies = self.resources.authorization_for(self.mesh, workload);
        let mut providers: Vec<String> = policies
            .into_iter()
            .filter_map(|policy| match &policy.action {
                Action::Custom { provider } => Some(provider.clone()),
                Action::Allow | Action::Deny | Action::Audit => None,
            })
            .collect();
        providers.sort_unstable();
        providers.dedup();
        (providers.len() > 1 && !self.mesh.several_providers).then(|| Finding {
            of: None,
            line: 0,
            concern: Concern::SeveralProviders { workload: workload.name.clone(), providers },
        })
    }
}

/// What a rule asks of tokens that nobody verifies: where, and of which issuer.
fn of_tokens(rule: &Rule, known: &[&JwtRule]) -> Vec<(String, Option<String>)> {
    let mut all = Vec::new();
    for test in rule.tests().filter(|test| test.attribute.is_from_token()) {
        let place = if test.values.is_empty() { test.not_place() } else { test.place() };
        if known.is_empty() {
            all.push((place, None));
            continue;
        }
        for (issuer, written) in issuers(test) {
            let takes = |rule: &&JwtRule| rule.issuer.is_empty() || issuer.matches(&rule.issuer);
            if !known.iter().any(takes) {
                all.push((place.clone(), Some(written.to_owned())));
            }
        }
    }
    all
}

/// Headers by which a client could get in. What only adds to what is refused is none of them.
fn of_headers<'t>(action: &Action, rule: &'t Rule, known: &[&JwtRule]) -> Vec<&'t str> {
    let opens = |test: &&Test| match action {
        Action::Allow | Action::Custom { .. } => true,
        Action::Deny => !test.not_values.is_empty(),
        Action::Audit => false,
    };
    // CUSTOM comes before anybody writes claims.
    let comes_before = matches!(action, Action::Custom { .. });
    let header = |test: &'t Test| {
        let Attribute::Header(header) = &test.attribute else { return None };
        let is_it = |name: &String| name.eq_ignore_ascii_case(header);
        let is_written = || {
            known.iter().any(|rule| {
                rule.payload_header.as_ref().is_some_and(is_it)
                    || rule.claim_headers.iter().any(|claim| is_it(&claim.header))
            })
        };
        let is_callers = !header.starts_with(':') && (comes_before || !is_written());
        is_callers.then_some(header.as_str())
    };
    rule.tests().filter(opens).filter_map(header).collect()
}

/// The ports of workloads; none where those of one of them are not known. What a waypoint is asked
/// for are ports of services.
fn ports(of: &[Selected<'_>]) -> Option<BTreeSet<u16>> {
    let mut of = of.iter().map(|one| one.workload);
    let is_known = |on: &Workload| {
        on.proxy != Proxy::Waypoint
            && !on.ports.is_empty()
            && on.ports.iter().all(|port| port.number != 0)
    };
    let mut all = BTreeSet::new();
    of.all(|on| {
        all.extend(on.ports.iter().map(|port| port.number));
        is_known(on)
    })
    .then_some(all)
    .filter(|all| !all.is_empty())
}

/// The issuers that a test names.
fn issuers(test: &Test) -> impl Iterator<Item = (&Text, &str)> {
    let is_issuer = matches!(&test.attribute, Attribute::Claim(names) if *names == ["iss"]);
    test.values.iter().filter_map(move |value| match value.form() {
        Form::Subject(subject) => Some((&subject.issuer, value.as_str())),
        Form::Text(text) if is_issuer => Some((text, value.as_str())),
        _ => None,
    })
}

/// Hosts that a rule names without a port, and not with any port beside.
fn hosts(rule: &Rule) -> impl Iterator<Item = &str> {
    let tests = rule.tests().filter(|test| test.attribute == Attribute::Host);
    tests.flat_map(|test| {
        // No other form takes in whatever begins with a host.
        let begins = |value: &Pattern| match value.form() {
            Form::Text(text @ (Text::Any | Text::Prefix(_))) => Some(text.clone()),
            _ => None,
        };
        let wide: Vec<Text> = test.values.iter().filter_map(begins).collect();
        test.values.iter().filter_map(move |value| {
            let with_port = |exact: &str| {
                let port = Text::Prefix(format!("{exact}:"));
                wide.iter().any(|text| text.covers(&port))
            };
            let open = match value.form() {
                Form::Text(Text::Exact(exact)) => !exact.contains(':') && !with_port(exact),
                Form::Text(Text::Suffix(suffix)) => !suffix.contains(':'),
                _ => false,
            };
            open.then(|| value.as_str())
        })
    })
}

/// Ports with something else than HTTP that a rule about HTTP is for.
fn on_tcp(index: usize, rule: &Rule, on: &Workload) -> Vec<Concern> {
    let none = Vec::new();
    let sides: Vec<&Vec<Test>> =
        if rule.to.is_empty() { vec![&none] } else { rule.to.iter().collect() };
    let of_http = |test: &&Test| test.attribute.is_http();
    let ports = on.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    let concern = |port: u16| {
        // An item of `to` counts only where it takes this port.
        let place = sides.iter().find_map(|side| {
            let takes = side.iter().chain(&rule.when).all(|test| takes_port(test, port));
            let mut asked = side.iter().chain(&rule.when).chain(rule.from.iter().flatten());
            asked.find(of_http).filter(|_| takes)
        })?;
        let place = if place.values.is_empty() { place.not_place() } else { place.place() };
        Some(Concern::HttpOnTcp { rule: index, place, workload: on.name.clone(), port })
    };
    ports.filter_map(|port| concern(port.number)).collect()
}

fn takes_port(test: &Test, port: u16) -> bool {
    let is = |pattern: &Pattern| *pattern.form() == Form::Port(port);
    test.attribute != Attribute::Port
        || (test.values.is_empty() || test.values.iter().any(is)) && !test.not_values.iter().any(is)
}

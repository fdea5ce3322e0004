//! Who gets through to which workload, found by asking the policies.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use postern_document::{Auth, Route};
use postern_policies::{
    AllowedBy, AuthorizationPolicy, Decision, DeniedBy, Mtls, NoProvider, Protocol, RuleOf,
    mutual_tls,
};
use postern_request::headers;
use postern_request::peers::PeerPattern;

use super::super::catalogue::PAST_THE_GATEWAY;
use super::super::model::{Finding, MeshRow};
use super::callers::Who;
use super::examples::{Asked, Example};
use super::kinds::Once;
use super::known::Known;
use super::view::View;
use super::{at, plugins};

/// Most callers of a port that a report names.
const MOST_CALLERS: usize = 24;
/// Most ports of a workload that a report has a row for.
const MOST_PORTS: usize = 128;
/// Most requests that show one finding.
const MOST_SHOWN: usize = 3;

/// By port and caller: the first that gets through, or else the first, and whether it does.
type Lines = BTreeMap<(u16, Who), (bool, String)>;

/// What was asked of a workload, and what became of it.
pub(super) struct Reached<'v, 'a> {
    pub(super) known: &'v Known,
    pub(super) asked: Rc<Asked<'a>>,
    pub(super) lines: Rc<Lines>,
}

/// Asks about all workloads that are the document's.
pub(super) fn ask<'v, 'a>(view: &'v View<'a>) -> Vec<Reached<'v, 'a>> {
    let mut lines = Once::default();
    let one = |known: &'v Known| {
        let asked = view.asked(known);
        let lines = Rc::clone(lines.of(known, || Rc::new(lines_of(&asked))));
        Reached { known, asked, lines }
    };
    view.ours().map(one).collect()
}

fn lines_of(asked: &Asked<'_>) -> Lines {
    let mut lines = Lines::new();
    for (example, decision) in asked.each() {
        let key = (example.port, example.who.clone());
        if lines.get(&key).is_some_and(|(passes, _)| *passes) {
            continue;
        }
        let passes = decision.may_pass();
        if passes || !lines.contains_key(&key) {
            let text = format!("{} ({})", told(decision), example.line());
            lines.insert(key, (passes, text));
        }
    }
    lines
}

/// The document's routes whose requests come to a workload: to the gateway all of them.
pub(super) fn routes<'v>(view: &'v View<'_>, known: &'v Known) -> impl Iterator<Item = &'v Route> {
    let all = view.document.routes.iter().map(|route| &**route);
    all.filter(move |route| {
        known.is_gateway() || known.services.iter().any(|name| name == route.service_name())
    })
}

/// Who a good caller is.
pub(super) const SOMEBODY: &str = "somebody";

/// The headers that the bundle writes for a good caller of a route, which anybody can write who
/// comes past it.
pub(super) fn identity(route: &Route) -> Vec<(String, String)> {
    let mut all = vec![(headers::SUBJECT.to_owned(), SOMEBODY.to_owned())];
    if let Auth::Rules { scopes, .. } = &route.auth {
        all.push((headers::SCOPES.to_owned(), scopes.join(" ")));
        for scope in scopes {
            all.push((format!("{}{scope}", headers::SCOPE_PREFIX), "true".to_owned()));
        }
    }
    all
}

/// A row for each port of each workload that is the document's.
pub(super) fn rows(view: &View<'_>, reached: &[Reached<'_, '_>]) -> Vec<MeshRow> {
    reached.iter().flat_map(|reached| rows_of(view, reached)).collect()
}

fn rows_of(view: &View<'_>, reached: &Reached<'_, '_>) -> Vec<MeshRow> {
    let known = reached.known;
    let workload = &known.workload;
    let policies: Vec<String> = view
        .kind(known)
        .all_policies()
        .iter()
        .map(|policy| {
            let dry = if policy.dry_run { " (dry run)" } else { "" };
            format!("{} {}{dry}", policy.action.as_str(), policy.meta)
        })
        .collect();
    let row = |port: u16| MeshRow {
        workload: known.name(),
        port: (port != 0).then_some(port),
        protocol: known.told_protocol(port),
        mtls: if known.is_gateway() {
            "its own TLS".to_owned()
        } else {
            transport(mutual_tls(view.resources, &view.mesh, workload, port))
        },
        policies: policies.clone(),
        reach: lines(reached, port).map(|(who, (_, text))| (who.told(), text.clone())).collect(),
    };
    known.ports().into_iter().take(MOST_PORTS).map(|port| row(port.number)).collect()
}

fn lines<'r>(
    reached: &'r Reached<'_, '_>,
    port: u16,
) -> impl Iterator<Item = (&'r Who, &'r (bool, String))> {
    // Nobody comes before who comes from outside.
    let from_there = reached.lines.range((port, Who::Outside)..);
    let of_port = from_there.take_while(move |((number, _), _)| *number == port);
    of_port.map(|((_, who), line)| (who, line)).take(MOST_CALLERS)
}

fn transport(mtls: Mtls<'_>) -> String {
    let by = mtls.by.map_or_else(|| "Istio's default".to_owned(), |by| by.meta.to_string());
    format!("{} by {by}", mtls.mode.as_str())
}

/// A decision in a line.
pub(super) fn told(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Allowed(AllowedBy::NoPolicy) => "passes: no ALLOW policy".to_owned(),
        Decision::Allowed(AllowedBy::Rule(rule)) => format!("passes by {rule}"),
        Decision::AskProvider(asked) => {
            let names: Vec<&str> = asked.iter().map(|asked| asked.provider).collect();
            format!("passes if {} says so", names.join(" and "))
        }
        Decision::Denied(by) => format!("refused: {}", denied(by)),
        Decision::Unknown(rules) => {
            let names: Vec<String> = rules.iter().map(ToString::to_string).collect();
            format!("depends on an address that {} asks for", names.join(" and "))
        }
    }
}

fn denied(by: &DeniedBy<'_>) -> String {
    match by {
        DeniedBy::PlainText(_) => "mutual TLS is STRICT".to_owned(),
        DeniedBy::TlsNotEnded(_) => "mutual TLS is disabled".to_owned(),
        DeniedBy::Token(bad) => format!("its token is none of `{}`", bad.rule.issuer),
        DeniedBy::NoProvider(rule, NoProvider::Unknown) => {
            format!("{rule} names a provider that is not there")
        }
        DeniedBy::NoProvider(rule, NoProvider::Several) => {
            format!("{rule} is one of several providers")
        }
        DeniedBy::NoProvider(rule, NoProvider::Invalid) => {
            format!("{rule} names a provider that istiod does not take")
        }
        DeniedBy::TrustDomain => "its trust domain is none of the mesh's".to_owned(),
        DeniedBy::Rule(rule) => format!("denied by {rule}"),
        DeniedBy::NoRule => "no rule allows it".to_owned(),
    }
}

/// The port by which a route's service is reached: the first that speaks HTTP.
pub(super) fn service_port(known: &Known, route: &Route) -> u16 {
    let ports = known.ports();
    let own = route.service.as_ref().map_or(0, |service| service.port);
    let named = ports.iter().find(|port| port.number == own);
    let served = || ports.iter().find(|port| known.served.contains(&port.number));
    let http = || ports.iter().find(|port| port.protocol == Protocol::Http);
    named.or_else(served).or_else(http).map_or(0, |port| port.number)
}

/// What gets past the gateway by one rule.
#[derive(Default)]
struct Past {
    callers: BTreeSet<String>,
    ports: BTreeSet<u16>,
    shown: Vec<String>,
}

/// PR222: workloads of the document that take calls past the gateway, although they have ALLOW
/// policies. Those without any are PR213.
pub(super) fn look<'a>(
    view: &View<'a>,
    reached: &[Reached<'_, 'a>],
    found: &mut Vec<Finding>,
    unknown: &mut Vec<String>,
) {
    let mut past = Once::default();
    for one in reached {
        if let Some(more) = one.asked.left_out() {
            unknown.push(format!("{}: its policies are about {more}", one.known.subject()));
        }
        let ports = one.known.ports().len();
        if ports > MOST_PORTS {
            let subject = one.known.subject();
            unknown.push(format!("{subject}: {MOST_PORTS} of its {ports} ports have a row"));
        }
        if !one.known.is_gateway() && !one.known.services.is_empty() {
            let past = past.of(one.known, || past_the_gateway(view, one));
            tell_past(one.known, past, found);
        }
    }
    by_its_name(view, found);
}

/// PR222, too: others that have the gateway's name, and so its way in. Policies cannot tell them
/// apart.
fn by_its_name(view: &View<'_>, found: &mut Vec<Finding>) {
    for known in view.workloads.iter().filter(|known| !known.is_gateway()) {
        let Some(account) = &known.account else { continue };
        if view.principal_of(&known.workload.namespace, account) == view.gateway {
            let text = format!(
                "it has the gateway's service account `{account}`: whatever lets the gateway in \
                 lets it in, past the document"
            );
            let finding = Finding::new(&PAST_THE_GATEWAY, known.subject(), text);
            found.push(finding.at(known.place.clone()));
        }
    }
}

/// What gets past the gateway to workloads of one kind, by rule.
fn past_the_gateway<'a>(view: &View<'a>, reached: &Reached<'_, 'a>) -> Vec<(RuleOf<'a>, Past)> {
    let mut past: Vec<(RuleOf<'a>, Past)> = Vec::new();
    let mut places: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let direct = Direct::of(view, reached);
    for (example, decision) in reached.asked.each() {
        let Decision::Allowed(AllowedBy::Rule(rule)) = decision else { continue };
        if direct.may_come(example) {
            continue;
        }
        let key = (std::ptr::from_ref(rule.policy).addr(), rule.rule);
        let at = *places.entry(key).or_insert_with(|| {
            past.push((*rule, Past::default()));
            past.len() - 1
        });
        let Some((_, past)) = past.get_mut(at) else { continue };
        past.callers.insert(match &example.who {
            Who::Outside => "whoever comes in plain text".to_owned(),
            who => view.told(who),
        });
        past.ports.extend((example.port != 0).then_some(example.port));
        if past.shown.len() < MOST_SHOWN {
            let (line, caller) = (example.told(), view.told(&example.who));
            past.shown.push(format!("{line}, {caller}: {}", told(decision)));
        }
    }
    past
}

fn tell_past(known: &Known, past: &[(RuleOf<'_>, Past)], found: &mut Vec<Finding>) {
    for (rule, past) in past {
        let ports: Vec<String> = past.ports.iter().map(ToString::to_string).collect();
        let ports = match ports.len() {
            0 => String::new(),
            1 => format!("on port {} ", ports.concat()),
            _ => format!("on ports {} ", ports.join(", ")),
        };
        let text = format!(
            "past the gateway, and so past the document, it is reached {ports}by {}: {rule} lets \
             them in",
            list(&past.callers)
        );
        let place = at(&rule.policy.meta.file, line_of(rule.policy, rule.rule));
        let mut finding = Finding::new(&PAST_THE_GATEWAY, known.subject(), text).at(place);
        finding.evidence.clone_from(&past.shown);
        found.push(finding);
    }
}

/// Whom the document lets come to a workload directly.
struct Direct<'v> {
    known: &'v Known,
    /// Ports on which the bundle judges whoever comes.
    judged: BTreeSet<u16>,
    /// The callers of all routes there.
    peers: Vec<&'v PeerPattern>,
}

impl<'v> Direct<'v> {
    fn of(view: &'v View<'_>, reached: &Reached<'v, '_>) -> Self {
        let known = reached.known;
        let ports: BTreeSet<u16> =
            reached.asked.examples.iter().map(|example| example.port).collect();
        Self {
            known,
            judged: ports.into_iter().filter(|port| plugins::judges(view, known, *port)).collect(),
            peers: routes(view, known).flat_map(|route| &route.peers).collect(),
        }
    }

    /// Whether the document has nothing against it that somebody comes: the gateway, the callers of
    /// `peers`, whoever the bundle judges there, and whom a policy names for a port that is none of
    /// the document's.
    fn may_come(&self, example: &Example) -> bool {
        if example.who == Who::Gateway || self.judged.contains(&example.port) {
            return true;
        }
        let served = &self.known.served;
        let is_ours = served.is_empty() || served.contains(&example.port);
        if matches!(example.who, Who::Named(_)) && !is_ours {
            return true;
        }
        let Some(principal) = example.principal() else { return false };
        let id = format!("spiffe://{principal}");
        self.peers.iter().any(|peer| peer.matches(&id))
    }
}

/// Names, and how many more there are.
fn list(names: &BTreeSet<String>) -> String {
    let first: Vec<&str> = names.iter().take(MOST_SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(MOST_SHOWN) {
        0 => first.join(" and "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The line of a policy's rule.
pub(super) fn line_of(policy: &AuthorizationPolicy, rule: usize) -> usize {
    policy.rules.get(rule).map_or(policy.meta.line, |rule| rule.line)
}

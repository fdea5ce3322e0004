//! Whether anything holds requests to the document: the bundle in each place where routes are
//! judged, and the server's word where a route needs it.

use std::sync::Arc;

use postern_document::{OnFailure, Route};
use postern_policies::{Action, RuleOf};

use super::super::catalogue::{PLUGIN_MISSING, SERVER_NOT_ASKED};
use super::super::model::{Finding, Severity};
use super::callers::Who;
use super::known::Known;
use super::maker::Maker;
use super::plugins::{self, NAME, guards, why_not};
use super::view::View;

/// Ports of Istio's own, on which nothing of a workload is served.
const OF_ISTIO: core::ops::RangeInclusive<u16> = 15_000..=15_090;

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    if view.document.routes.is_empty() {
        return;
    }
    for known in &view.workloads {
        let routes = judged(view, known);
        let is_place = known.is_gateway() && known.is_ours || !routes.is_empty();
        let unguarded: Vec<u16> =
            ports(known).into_iter().filter(|port| !guards(view, known, *port)).collect();
        if is_place && let Some(port) = unguarded.first() {
            let text = format!(
                "the document is held here by the bundle alone, and it does not run{}: {}",
                told(&unguarded),
                why_not(view, known, *port)
            );
            let finding = Finding::new(&PLUGIN_MISSING, known.subject(), text);
            found.push(finding.at(known.place.clone()));
        } else if !unguarded.is_empty() && is_asked_about(view, known) {
            let text = "the server is asked about its requests, and no bundle is there to hold \
                        them to the answer, or to take forged identity headers away";
            let finding = Finding::new(&PLUGIN_MISSING, known.subject(), text);
            found.push(finding.at(known.place.clone()));
        }
        unasked(view, known, &routes, found);
    }
}

/// Whether no request comes through the gateway past the bundle.
pub(super) fn is_gateway_guarded(view: &View<'_>) -> bool {
    let mut gateways = view.ours().filter(|known| known.is_gateway());
    gateways.all(|known| ports(known).into_iter().all(|port| plugins::guards(view, known, port)))
}

/// Routes whose rules are held at a workload.
pub(super) fn judged<'v>(view: &'v View<'_>, known: &Known) -> Vec<&'v Arc<Route>> {
    if !known.is_ours {
        return Vec::new();
    }
    let is_here = |route: &&Arc<Route>| match route.guarded_by() {
        None => known.is_gateway(),
        Some(workload) => known.named.as_ref() == Some(&workload.name) && !known.is_gateway(),
    };
    view.document.routes.iter().filter(is_here).collect()
}

/// The ports on which the document's requests arrive; 0 stands for those that are not known.
fn ports(known: &Known) -> Vec<u16> {
    if !known.served.is_empty() {
        return known.served.iter().copied().collect();
    }
    let mut all: Vec<u16> = known.ports().into_iter().map(|port| port.number).collect();
    all.retain(|port| !OF_ISTIO.contains(port));
    if all.is_empty() { vec![0] } else { all }
}

fn told(ports: &[u16]) -> String {
    match ports {
        [] | [0] => String::new(),
        [port] => format!(" on port {port}"),
        all => {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!(" on ports {}", all.join(", "))
        }
    }
}

/// Whether policies ask our server about a workload's requests.
fn is_asked_about(view: &View<'_>, known: &Known) -> bool {
    let policies = view.resources.authorization_for(&view.mesh, &known.workload);
    policies.iter().any(|policy| asks_us(&policy.action))
}

fn asks_us(action: &Action) -> bool {
    matches!(action, Action::Custom { provider } if provider == NAME)
}

/// PR227: routes that need the server's word, about whose requests no policy has it asked.
fn unasked(view: &View<'_>, known: &Known, routes: &[&Arc<Route>], found: &mut Vec<Finding>) {
    let maker = Maker::new(view, known);
    let who = if known.is_gateway() { Who::Outside } else { Who::Gateway };
    let ports = ports(known);
    let policies = view.kind(known).all_policies().iter().copied();
    let asking: Vec<RuleOf<'_>> = policies
        .filter(|policy| asks_us(&policy.action))
        .flat_map(|policy| (0..policy.rules.len()).map(move |rule| RuleOf { policy, rule }))
        .collect();
    let mut missed: Vec<String> = Vec::new();
    for route in routes.iter().filter(|route| route.needs_ext_authz()) {
        let what = || format!("routes.{} on {}", route.name, known.name());
        if !view.budget.may(&SERVER_NOT_ASKED, what) {
            continue;
        }
        let asked = |example: &super::examples::Example| {
            asking.iter().any(|rule| view.matches(known, example, *rule))
        };
        let examples = maker.of_route(route, &who);
        let mut examples = examples.iter().filter(|example| ports.contains(&example.port));
        if let Some(example) = examples.find(|example| !asked(example)) {
            missed.push(format!("{} (routes.{})", example.line(), route.name));
        }
    }
    let Some(first) = missed.first() else { return };
    let opens = view.document.failures.ext_authz == OnFailure::Allow;
    let (severity, effect) = if opens {
        (Severity::High, "so the bundle lets them pass without it")
    } else {
        (Severity::Medium, "so the bundle refuses them")
    };
    let more = and_more(missed.len() - 1);
    let text = format!(
        "{first}{more}: the server has to be asked, and no CUSTOM policy of provider `{NAME}` is \
         about it, {effect}"
    );
    let finding = Finding::new(&SERVER_NOT_ASKED, known.subject(), text).graded(severity);
    found.push(finding.at(known.place.clone()));
}

/// How many routes besides the first one.
fn and_more(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " and 1 more route".to_owned(),
        _ => format!(" and {count} more routes"),
    }
}

#[cfg(test)]
mod tests {
    use super::and_more;

    #[test]
    fn one_more_is_no_plural() {
        assert_eq!([0, 1, 2].map(and_more), ["", " and 1 more route", " and 2 more routes"]);
    }
}

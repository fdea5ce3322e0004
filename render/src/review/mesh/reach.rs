//! Who gets through to which workload, found by asking the policies.

use postern_document::{Auth, Route};
use postern_policies::{
    AllowedBy, Decision, DeniedBy, Http, Mtls, NoProvider, Peer, Port, Protocol, Request, evaluate,
    mutual_tls,
};
use postern_request::headers;

use super::super::catalogue::PAST_THE_GATEWAY;
use super::super::model::{Finding, MeshRow};
use super::super::witness;
use super::at;
use super::view::{Known, View};

/// Who calls a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// Somebody without a certificate of the mesh.
    Outside,
    /// A workload of the mesh that nobody names.
    Stranger,
    /// The gateway.
    Gateway,
    /// A workload that a route's `peers` name.
    Named(String),
}

impl Who {
    pub(super) fn told(&self) -> String {
        match self {
            Self::Outside => "in plain text".to_owned(),
            Self::Stranger => "any workload of the mesh".to_owned(),
            Self::Gateway => "the gateway".to_owned(),
            Self::Named(name) => name.clone(),
        }
    }

    fn principal(&self, view: &View<'_>) -> Option<String> {
        match self {
            Self::Outside => None,
            Self::Stranger => Some(stranger(view)),
            Self::Gateway => Some(view.gateway.clone()),
            Self::Named(name) => Some(name.replace('*', "postern-review")),
        }
    }
}

/// A workload that no policy has a reason to name.
pub(super) fn stranger(view: &View<'_>) -> String {
    format!("{}/ns/postern-review/sa/stranger", view.trust_domain)
}

/// Callers that are tried with a workload.
fn callers(view: &View<'_>, known: &Known) -> Vec<Who> {
    if known.is_gateway() {
        return vec![Who::Outside];
    }
    let mut all = vec![Who::Outside, Who::Stranger, Who::Gateway];
    for route in routes(view, known) {
        for peer in &route.peers {
            let named = Who::Named(peer.to_istio());
            if named.principal(view).as_ref() != Some(&view.gateway) && !all.contains(&named) {
                all.push(named);
            }
        }
    }
    all
}

/// The document's routes whose service a workload runs.
pub(super) fn routes<'v>(view: &'v View<'_>, known: &'v Known) -> impl Iterator<Item = &'v Route> {
    let all = view.document.routes.iter().map(|route| &**route);
    all.filter(move |route| known.services.iter().any(|name| name == route.service_name()))
}

/// A request to a port of a workload.
pub(super) fn request(view: &View<'_>, who: &Who, port: Port, http: Http) -> Request {
    Request {
        peer: Peer { principal: who.principal(view), ip: None, remote_ip: None },
        port: port.number,
        http: (port.protocol == Protocol::Http).then_some(http),
        ..Request::default()
    }
}

/// What is asked of a workload: a request of each route to it, or one for the root.
fn witnesses(view: &View<'_>, known: &Known) -> Vec<Http> {
    let mut all: Vec<Http> = Vec::new();
    for route in routes(view, known) {
        all.extend(witness::first(view.document, route).map(|target| Http {
            method: target.method,
            path: target.path,
            host: target.host,
            headers: identity(route),
            ..Http::default()
        }));
    }
    if all.is_empty() {
        let [method, path, host] = ["GET", "/", "workload.example.test"].map(str::to_owned);
        all.push(Http { method, path, host, ..Http::default() });
    }
    all
}

/// The headers that the bundle writes for a good caller of a route, which anybody can write who
/// comes past it.
pub(super) fn identity(route: &Route) -> Vec<(String, String)> {
    let mut all = vec![(headers::SUBJECT.to_owned(), "somebody".to_owned())];
    if let Auth::Rules { scopes, .. } = &route.auth {
        all.push((headers::SCOPES.to_owned(), scopes.join(" ")));
        for scope in scopes {
            all.push((format!("{}{scope}", headers::SCOPE_PREFIX), "true".to_owned()));
        }
    }
    all
}

/// A row for each port of each workload that is the document's.
pub(super) fn rows(view: &View<'_>) -> Vec<MeshRow> {
    view.ours().flat_map(|known| of_workload(view, known)).collect()
}

fn of_workload(view: &View<'_>, known: &Known) -> Vec<MeshRow> {
    let workload = &known.workload;
    let policies: Vec<String> = view
        .resources
        .authorization_for(&view.mesh, workload)
        .into_iter()
        .map(|policy| {
            let dry = if policy.dry_run { " (dry run)" } else { "" };
            format!("{} {}{dry}", policy.action.as_str(), policy.meta)
        })
        .collect();
    let http = Port { number: 0, protocol: Protocol::Http };
    let ports = if workload.ports.is_empty() { vec![http] } else { workload.ports.clone() };
    let row = |port: Port| MeshRow {
        workload: known.name(),
        port: (port.number != 0).then_some(port.number),
        protocol: if port.protocol == Protocol::Http { "http" } else { "tcp" },
        mtls: if known.is_gateway() {
            "its own TLS".to_owned()
        } else {
            transport(mutual_tls(view.resources, &view.mesh, workload, port.number))
        },
        policies: policies.clone(),
        reach: callers(view, known)
            .iter()
            .map(|who| (who.told(), worst(view, known, port, who).1))
            .collect(),
    };
    ports.into_iter().map(row).collect()
}

fn transport(mtls: Mtls<'_>) -> String {
    let by = mtls.by.map_or_else(|| "Istio's default".to_owned(), |by| by.meta.to_string());
    format!("{} by {by}", mtls.mode.as_str())
}

/// Whether any of the requests that are tried gets through, and what becomes of the first that
/// does, or else of the first.
fn worst(view: &View<'_>, known: &Known, port: Port, who: &Who) -> (bool, String) {
    let mut first = None;
    for http in witnesses(view, known) {
        let line = format!("{} {}", http.method, http.path);
        let request = request(view, who, port, http);
        let verdict = evaluate(view.resources, &view.mesh, &known.workload, &request);
        let text = format!("{} ({line})", told(&verdict.decision));
        if verdict.decision.may_pass() {
            return (true, text);
        }
        first.get_or_insert(text);
    }
    (false, first.unwrap_or_default())
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
        DeniedBy::Rule(rule) => format!("denied by {rule}"),
        DeniedBy::NoRule => "no rule allows it".to_owned(),
    }
}

/// Whom the mesh lets reach a route's service; empty where no workload of it is known.
pub(super) fn of_route(view: &View<'_>, route: &str) -> Vec<String> {
    let Some(route) = view.document.routes.iter().find(|known| known.name == route) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for known in view.ours().filter(|known| !known.is_gateway()) {
        if !known.services.iter().any(|name| name == route.service_name()) {
            continue;
        }
        let port = service_port(known, route);
        for who in callers(view, known) {
            let told = who.told();
            if worst(view, known, port, &who).0 && !all.contains(&told) {
                all.push(told);
            }
        }
    }
    all
}

/// The port by which a route's service is reached: the first that speaks HTTP.
fn service_port(known: &Known, route: &Route) -> Port {
    let ports = &known.workload.ports;
    let own = route.service.as_ref().map_or(0, |service| service.port);
    let named = ports.iter().find(|port| port.number == own);
    let http = || ports.iter().find(|port| port.protocol == Protocol::Http);
    named.or_else(http).copied().unwrap_or(Port { number: own, protocol: Protocol::Http })
}

/// PR222: workloads of the document that take calls past the gateway, although they have ALLOW
/// policies. Those without any are PR213.
pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    for known in view.ours().filter(|known| !known.is_gateway() && !known.services.is_empty()) {
        for port in &known.workload.ports {
            for who in [Who::Outside, Who::Stranger] {
                for http in witnesses(view, known) {
                    let line = format!("{} {}", http.method, http.path);
                    let request = request(view, &who, *port, http);
                    let verdict = evaluate(view.resources, &view.mesh, &known.workload, &request);
                    let Decision::Allowed(AllowedBy::Rule(rule)) = &verdict.decision else {
                        continue;
                    };
                    let text = format!(
                        "{} reaches port {} past the gateway, and so past the document",
                        who.told(),
                        port.number
                    );
                    let shown = format!("{line}: {}", told(&verdict.decision));
                    let place = at(&rule.policy.meta.file, line_of(rule.policy, rule.rule));
                    let finding = Finding::new(&PAST_THE_GATEWAY, known.subject(), text);
                    found.push(finding.at(place).shown_by(shown));
                    break;
                }
            }
        }
    }
}

/// The line of a policy's rule.
pub(super) fn line_of(policy: &postern_policies::AuthorizationPolicy, rule: usize) -> usize {
    policy.rules.get(rule).map_or(policy.meta.line, |rule| rule.line)
}

//! What can be rendered, and is hardly what somebody wants of a mesh.

use std::collections::BTreeSet;

use postern_document::{CertificateSource, Document, HeaderRules, Route, TokenPlace};
use postern_request::headers;

use super::{
    Attach, Context, IstioOptions, Placed, Rendering, RequestAuth, callers, feed_peers,
    request_authentication,
};
use crate::places::is_loopback;
use crate::traffic::never_left_out;

/// What to look at before the manifests are applied, one text each; none where there is nothing.
#[must_use]
pub fn warnings(document: &Document, options: &IstioOptions) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(module(options));
    let local = document
        .services
        .iter()
        .filter(|service| service.upstreams().iter().any(|upstream| is_loopback(&upstream.host)));
    let local: Vec<String> = local.map(|service| format!("`{}`", service.name)).collect();
    if !local.is_empty() {
        warnings.push(format!(
            "in the mesh, a loopback address is the gateway's own pod; give an upstream of its \
             own to {}",
            local.join(", ")
        ));
    }
    warnings.extend(certificate(document).map(str::to_owned));
    warnings.extend(certificate_of_clients(document).map(str::to_owned));
    let in_the_clear = document.keys_in_clear_text();
    warnings.extend(in_the_clear.into_iter().map(|(issuer, from)| {
        format!(
            "the keys of `{issuer}` come in clear text from `{from}`, and whoever sits in between \
             can sign for it: fetch them by TLS, or see to it that the mesh encrypts the way there"
        )
    }));
    let queries = document.token_places.iter().filter_map(|place| match place {
        TokenPlace::Query(name) => Some(format!("`{name}`")),
        _ => None,
    });
    let queries: Vec<String> = queries.collect();
    if !queries.is_empty() {
        warnings.push(format!(
            "tokens may stand in the query, in {}: traces show a request's path with its query \
             where it is refused before the filter; have them leave the query out",
            queries.join(", ")
        ));
    }
    warnings.extend(document.routes.iter().filter_map(|route| of_route(route)));
    warnings.extend(document.services.iter().filter_map(|service| never_left_out(service)));
    // What cannot be rendered has an error of its own.
    if let Ok(rendering) = Rendering::of(document, options) {
        of_places(&rendering, &mut warnings);
    }
    warnings
}

/// What is wrong with where the filter module comes from.
fn module(options: &IstioOptions) -> Option<String> {
    let is_pinned = options.wasm_sha256.is_some();
    let url = &options.wasm_url;
    if *url == IstioOptions::default().wasm_url {
        let pin = if is_pinned { "" } else { ", and its hash with --wasm-sha256" };
        return Some(format!(
            "the filter module's address is an example, `{url}`: no gateway could fetch it, and \
             every request would be refused; name yours with --wasm-url{pin}"
        ));
    }
    (!is_pinned).then(|| {
        "the filter module is not pinned: whoever can move its tag decides what runs in the \
         gateway; name its hash with --wasm-sha256"
            .to_owned()
    })
}

/// What is rendered as it is meant, and reaches further than the document, or needs something
/// beside it; one text each.
#[must_use]
pub fn notes(document: &Document, options: &IstioOptions) -> Vec<String> {
    // What cannot be rendered has an error of its own.
    let Ok(rendering) = Rendering::of(document, options) else { return Vec::new() };
    let mut notes = Vec::new();
    let asking = callers::namespaces_that_ask(&rendering);
    if !asking.is_empty() {
        notes.push(format!(
            "label {} with postern.dev/calls=true: workloads there ask the server, and its \
             NetworkPolicies let no others through",
            namespaces(&asking)
        ));
    }
    let closed = callers::closed(&rendering);
    if !closed.is_empty() {
        notes.push(format!(
            "`postern-default-deny` speaks for all workloads of {}, also for those that the \
             document does not name; --no-default-deny leaves it out",
            namespaces(&closed)
        ));
    }
    let alone = feed_peers::circuits_alone(&rendering);
    if !alone.is_empty() {
        notes.push(format!(
            "circuits at {} are each Envoy's own, who hears of no others: have \
             `feed.forwarded_client_cert` and `feed.peers` say who may ask",
            quoted(&alone)
        ));
    }
    notes
}

/// `the namespace a`, `the namespaces a, b`
fn namespaces(names: &BTreeSet<&str>) -> String {
    let noun = if names.len() == 1 { "namespace" } else { "namespaces" };
    format!("the {noun} {}", quoted(names))
}

fn quoted(names: &BTreeSet<&str>) -> String {
    let all: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    all.join(", ")
}

/// What a route says, and does not mean in a mesh.
fn of_route(route: &Route) -> Option<String> {
    let name = &route.name;
    let delay = route.fault.and_then(|fault| fault.delay);
    if let Some(delay) = delay.filter(|delay| delay.time_ms >= route.timeout_ms) {
        return Some(format!(
            "route `{name}` delays requests for {} ms beside its timeout of {} ms: a delay is no \
             part of the timeout, and such requests take as long as both",
            delay.time_ms, route.timeout_ms
        ));
    }
    let outside =
        route.canary.iter().find(|pick| !pick.header.starts_with(headers::IDENTITY_PREFIX));
    if let Some(pick) = outside {
        return Some(format!(
            "route `{name}` goes by `{}` to choose a version: any caller may write it; only \
             headers of the bundle, x-postern-*, say who calls",
            pick.header
        ));
    }
    None
}

fn of_places(rendering: &Rendering<'_>, warnings: &mut Vec<String>) {
    let options = rendering.options;
    for placed in rendering.guards().filter(|placed| placed.context == Context::SidecarInbound) {
        let workload = &placed.workload;
        for route in &placed.routes {
            let edge = format!("spiffe://{}", rendering.gateway.principal);
            if !route.peers.is_empty() && !route.peers.iter().any(|peer| peer.matches(&edge)) {
                warnings.push(format!(
                    "route `{}` at `{workload}` does not list the gateway ({edge}) among its \
                     peers: nobody from outside can call it",
                    route.name
                ));
            }
            let rules = [&route.transform.request, &route.transform.response];
            if rules.iter().any(|rules| says_something_fixed(rules)) {
                warnings.push(format!(
                    "route `{}` at `{workload}` sets or removes headers: of these, fixed ones are \
                     the gateway's, and calls inside the mesh do without",
                    route.name
                ));
            }
            if !route.hosts.is_empty() {
                warnings.push(format!(
                    "route `{}` at `{workload}` is for hosts of the outside: callers inside the \
                     mesh send the service's own name, and find no route",
                    route.name
                ));
            }
        }
        if options.request_authentication == RequestAuth::Workloads
            && request_authentication::takes_tokens_alone(placed)
        {
            warnings.push(format!(
                "Istio verifies tokens at `{workload}` too: it refuses those of a key that is \
                 younger than twenty minutes, and on optional routes those that it does not know"
            ));
        }
    }
    warnings.extend(in_the_root_namespace(rendering));
    let closed = callers::closed(rendering);
    let guarded = rendering.guards().filter(|placed| placed.context == Context::SidecarInbound);
    warnings.extend(guarded.filter_map(|placed| half_open(placed, &closed)));
}

/// A guarded workload that one policy alone keeps closed.
fn half_open(placed: &Placed<'_>, closed: &BTreeSet<&str>) -> Option<String> {
    let (workload, namespace) = (&placed.workload, &placed.namespace);
    if closed.contains(namespace.as_str()) {
        return None;
    }
    Some(format!(
        "no `postern-default-deny` is written for the namespace `{namespace}` of `{workload}`: \
         where its pods lose a label, or `{}` is deleted, whoever is in the mesh may call them; \
         give guarded workloads a namespace apart from the gateway's and the suite's, or see to a \
         default deny of your own",
        placed.name("callers")
    ))
}

/// Labels that Istio's own charts give to ingress gateways, wherever they are.
const OF_THE_CHARTS: [(&str, &str); 2] =
    [("istio", "ingressgateway"), ("app", "istio-ingressgateway")];

/// What goes by labels in the root namespace is for every namespace, and so for gateways of others
/// that have no other labels.
fn in_the_root_namespace(rendering: &Rendering<'_>) -> Option<String> {
    let gateway = &rendering.gateway;
    let Attach::Labels(labels) = &gateway.attach else { return None };
    let is_shared = |(name, value): (&String, &String)| {
        OF_THE_CHARTS.contains(&(name.as_str(), value.as_str()))
    };
    if gateway.namespace != rendering.document.mesh.root_namespace || !labels.iter().all(is_shared)
    {
        return None;
    }
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Some(format!(
        "`{}` is the mesh's root namespace, and what is written for {} there holds in every \
         namespace: give this gateway labels of its own, or a namespace of its own",
        gateway.namespace,
        labels.join(",")
    ))
}

/// Whether there is a rule that needs nobody's word.
fn says_something_fixed(rules: &HeaderRules) -> bool {
    !rules.remove.is_empty() || rules.set.iter().any(|(_, value)| value.is_fixed())
}

/// What becomes of clients that authenticate by a certificate.
fn certificate_of_clients(document: &Document) -> Option<&'static str> {
    let seen = document.oauth.as_ref()?.mutual_tls;
    let forwarded = Some(CertificateSource::Forwarded);
    (seen == forwarded && document.bound.certificate != forwarded).then_some(
        "the gateway takes clients' certificates from `x-forwarded-client-cert` as it comes \
         (`oauth.mutual_tls: forwarded`), so whoever reaches the gateway can say that it is any \
         client that authenticates by one: let only what ends TLS in front of it reach it",
    )
}

/// How safe, or how useful, it is to look for the caller's certificate where the document says.
fn certificate(document: &Document) -> Option<&'static str> {
    Some(match document.bound.certificate? {
        CertificateSource::Forwarded => {
            "the gateway takes the caller's certificate from `x-forwarded-client-cert` as it comes \
             (`bound.certificate: forwarded`), so whoever reaches the gateway can say that it \
             holds any certificate: let only what ends TLS in front of it reach it"
        }
        CertificateSource::Connection => {
            "the gateway asks callers for a certificate (`bound.certificate: connection`): put \
             their authority into its Secret as `ca.crt`, or tokens bound to one are refused"
        }
    })
}

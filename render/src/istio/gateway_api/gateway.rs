//! The Gateway, and which of its listeners a host belongs to.

use postern_document::{CertificateSource, HostPattern};
use serde_json::{Value, json};

use super::super::hosts::{ServedHost, narrowness};
use super::super::options::bad;
use super::super::resource::{self, Kind, set};
use super::super::{RenderError, Rendering};
use super::GROUP;

const GATEWAY: Kind = resource::kind("gateway.networking.k8s.io/v1", "Gateway");

/// The class that istiod serves by pods of its own.
const CLASS: &str = "istio";

/// The most listeners that a Gateway has.
const MOST: usize = 64;

/// Where Istio is told to ask callers for a certificate without insisting on one.
const TERMINATE_MODE: &str = "gateway.istio.io/tls-terminate-mode";

/// A listener of the Gateway. All of them are on one port; the name that a connection asks for
/// (SNI) decides between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listener {
    /// Its name.
    pub(super) name: String,
    host: HostPattern,
    secret: Option<String>,
}

/// One for all hosts that share the default certificate, so that a caller who uses one connection
/// for several of them, as its certificate allows, finds them all; and one for each host that has
/// a certificate of its own.
pub(super) fn listeners(rendering: &Rendering<'_>) -> Result<Vec<Listener>, RenderError> {
    let options = rendering.options;
    let Some(default) = &options.gateway_tls_secret else {
        let name = "http".to_owned();
        return Ok(vec![Listener { name, host: HostPattern::Any, secret: None }]);
    };
    let mut listeners = Vec::new();
    let own = &options.host_tls_secrets;
    let mut pairs: Vec<(HostPattern, &String)> = Vec::new();
    // The host `*` is the default itself.
    let shared = options.hosts.iter().any(|host| !own.contains_key(host)) || own.contains_key("*");
    if shared {
        pairs.push((HostPattern::Any, own.get("*").unwrap_or(default)));
    }
    for (host, secret) in own.iter().filter(|(host, _)| *host != "*") {
        let Ok(host) = HostPattern::parse(host) else {
            return Err(bad("host_tls_secrets", format!("`{host}` is no host")));
        };
        pairs.push((host, secret));
    }
    for (at, (host, secret)) in pairs.into_iter().enumerate() {
        let name = if at == 0 { "https".to_owned() } else { format!("https-{}", at + 1) };
        listeners.push(Listener { name, host, secret: Some(secret.clone()) });
    }
    if listeners.len() > MOST {
        let problem = format!("a Gateway has at most {MOST} listeners, one for each of these");
        return Err(bad("host_tls_secrets", problem));
    }
    Ok(listeners)
}

/// The listener that connections for a host reach: of those that cover it, the narrowest. An
/// HTTPRoute says which, because Istio would otherwise cut a wider one's rules down to the host
/// of a narrow listener and mix them with the rules that are for this host. See also [`check`].
pub(super) fn listener<'l>(listeners: &'l [Listener], host: &HostPattern) -> Option<&'l Listener> {
    let covering = listeners.iter().filter(|listener| listener.host.covers(host));
    covering.max_by_key(|listener| narrowness(&listener.host))
}

/// Refuses hosts whose requests could be sent by the routes of a wider one.
///
/// The name that a connection asks for (SNI) chooses the listener, and which host a request is then
/// for is the caller's word. Istio keeps hosts of a narrow listener away from wider ones, so that
/// over a connection for a wider one, such a request would meet the wider host's routes, while the
/// bundle judges it by its own host's.
pub(super) fn check(listeners: &[Listener], hosts: &[ServedHost<'_>]) -> Result<(), RenderError> {
    let mut bound: Vec<(&Listener, HostPattern, &ServedHost<'_>)> = Vec::new();
    for host in hosts {
        for domain in &host.domains {
            let Ok(pattern) = HostPattern::parse(domain) else { continue };
            if let Some(listener) = listener(listeners, &pattern) {
                bound.push((listener, pattern, host));
            }
        }
    }
    for (own, pattern, host) in &bound {
        let wider = listeners.iter().filter(|wider| wider != own && wider.host.covers(pattern));
        for wider in wider {
            let there = bound.iter().filter(|(at, _, _)| *at == wider);
            let covering = there.filter(|(_, other, _)| other.covers(pattern));
            let found = covering.max_by_key(|(_, other, _)| narrowness(other));
            if found.is_some_and(|(_, _, other)| other.pattern != host.pattern) {
                return Err(RenderError::RouteHost {
                    route: host.example(),
                    host: pattern.to_string(),
                    problem: "has routes and a certificate of its own, and the gateway serves a \
                              wider host too: with the Gateway API, who connects for the wider one \
                              and then asks for this one would be sent by the wider one's routes. \
                              Use `--api istio`, or one certificate for both",
                });
            }
        }
    }
    Ok(())
}

pub(super) fn resource(rendering: &Rendering<'_>, listeners: &[Listener]) -> Value {
    let listeners = listeners.iter().map(|listener| rendered(rendering, listener)).collect();
    let mut spec = json!({"gatewayClassName": CLASS});
    set(&mut spec, "listeners", Value::Array(listeners));
    let (namespace, name) = (&rendering.gateway.namespace, &rendering.options.gateway_name);
    resource::manifest(rendering.document, &GATEWAY, namespace, name, spec)
}

fn rendered(rendering: &Rendering<'_>, listener: &Listener) -> Value {
    let mut value = json!({
        "name": listener.name,
        "port": rendering.options.gateway_port(),
        "protocol": if listener.secret.is_some() { "HTTPS" } else { "HTTP" },
        // Nobody outside this namespace can put a route beside the document's, nor one of another
        // kind, which Istio would sort among them.
        "allowedRoutes": {
            "namespaces": {"from": "Same"},
            "kinds": [{"group": GROUP, "kind": "HTTPRoute"}],
        },
    });
    if listener.host != HostPattern::Any {
        set(&mut value, "hostname", json!(listener.host.to_string()));
    }
    if let Some(secret) = &listener.secret {
        let mut tls = json!({
            "mode": "Terminate",
            "certificateRefs": [{"group": "", "kind": "Secret", "name": secret}],
        });
        // As in Istio's own API: nobody must show a certificate, and what somebody shows is
        // checked against the authority in the Secret (`ca.crt`).
        if rendering.document.bound.certificate == Some(CertificateSource::Connection) {
            set(&mut tls, "options", json!({TERMINATE_MODE: "OPTIONAL_MUTUAL"}));
        }
        set(&mut value, "tls", tls);
    }
    value
}

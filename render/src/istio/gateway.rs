//! Istio's Gateways: where the gateway listens, for which hosts, and what it shows of itself. One
//! for each certificate.
//!
//! Istio binds VirtualServices to a Gateway as a whole, and takes the routes of each to wherever
//! one of its hosts and one of the Gateway's overlap: to a virtual host for the narrower of the
//! two, behind those that older VirtualServices have there. On a virtual host with the routes of
//! two, a request that was judged by one route could be sent to another one's service. So hosts of
//! a Gateway never overlap, and its VirtualServices name no host wider than those
//! ([`Listening::part_of`]).
//!
//! The name that a connection asks for (SNI) chooses the Gateway, and which host a request is then
//! for is the caller's word. So a Gateway serves everything below its hosts, also what has a
//! certificate of its own: left to the routes of a wider host, such a request would be judged by
//! its own host's routes, and sent by others.
//!
//! Where this was read: `buildGatewayHTTPRouteConfig` in Istio's
//! `pilot/pkg/networking/core/gateway.go`, `Names.Intersection` in `pkg/config/host/names.go`.

use std::collections::{BTreeMap, BTreeSet};

use postern_document::{CertificateSource, HostPattern};
use serde_json::{Value, json};

use super::api::Attach;
use super::hosts::{ServedHost, narrowness};
use super::options::bad;
use super::options::names::is_dns_label;
use super::resource::{self, set};
use super::{IstioOptions, RenderError, Rendering};

/// A Gateway of the rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listening<'o> {
    /// Its name.
    pub(super) name: String,
    /// What it has behind the name that the options give; nothing where that is its name.
    suffix: String,
    /// The Secret with its certificate; none for plain HTTP.
    secret: Option<&'o String>,
    /// Its hosts, none of which covers another.
    hosts: Vec<HostPattern>,
}

/// The Gateways, by certificate. A host with the same certificate as the next wider one is part of
/// that.
///
/// # Errors
/// When a Secret's name is none for a Gateway.
pub(super) fn all<'o>(rendering: &Rendering<'o>) -> Result<Vec<Listening<'o>>, RenderError> {
    let options = rendering.options;
    let offered: BTreeSet<HostPattern> = options.host_patterns()?.into_iter().collect();
    let mut groups: BTreeMap<(Option<&String>, usize), Vec<HostPattern>> = BTreeMap::new();
    for host in &offered {
        let secret = secret_of(options, host);
        let wider: Vec<&HostPattern> =
            offered.iter().filter(|wider| *wider != host && wider.covers(host)).collect();
        let next = wider.iter().copied().max_by_key(|wider| narrowness(wider));
        if next.is_some_and(|next| secret_of(options, next) == secret) {
            continue;
        }
        // One with this certificate, one with another in it, and therein one with this again.
        let depth = wider.iter().filter(|wider| secret_of(options, wider) == secret).count();
        groups.entry((secret, depth)).or_default().push(host.clone());
    }
    let mut names = BTreeSet::new();
    let mut gateways = Vec::with_capacity(groups.len());
    for ((secret, depth), hosts) in groups {
        let suffix = suffix(options, secret, depth);
        let name = format!("{}{suffix}", options.gateway_name);
        if !is_dns_label(&name) || !names.insert(name.clone()) {
            let problem = format!(
                "a Gateway called by its Secret would be `{name}`, which is too long or taken; \
                 call the Secret something else"
            );
            return Err(bad("host_tls_secrets", problem));
        }
        gateways.push(Listening { name, suffix, secret, hosts });
    }
    Ok(gateways)
}

fn secret_of<'o>(options: &'o IstioOptions, host: &HostPattern) -> Option<&'o String> {
    let default = options.gateway_tls_secret.as_ref()?;
    Some(options.host_tls_secrets.get(&host.to_string()).unwrap_or(default))
}

/// By the Secret rather than by a number: a Gateway that took another one's name would for a moment
/// have that one's VirtualServices.
fn suffix(options: &IstioOptions, secret: Option<&String>, depth: usize) -> String {
    let own = secret.filter(|secret| options.gateway_tls_secret.as_ref() != Some(*secret));
    // A dot would keep Istio from telling a Gateway's name from its namespace.
    let by_secret =
        own.map_or_else(String::new, |secret| format!("-tls-{}", secret.replace('.', "-")));
    if depth == 0 { by_secret } else { format!("{by_secret}-{}", depth + 1) }
}

impl Listening<'_> {
    /// Those domains of a host that this Gateway serves: its own, and what lies below them.
    pub(super) fn part_of(&self, host: &ServedHost<'_>) -> Vec<String> {
        let serves = |domain: &&String| {
            let pattern = HostPattern::parse(domain);
            pattern.is_ok_and(|pattern| self.hosts.iter().any(|own| own.covers(&pattern)))
        };
        host.domains.iter().filter(serves).cloned().collect()
    }

    /// What the VirtualService of a host is called here.
    pub(super) fn virtual_service(&self, host: &ServedHost<'_>) -> String {
        if self.suffix.is_empty() {
            return host.resource_name();
        }
        host.resource_name_at(&format!("postern{}", self.suffix))
    }

    /// The Gateway, which the rendering's VirtualServices bind to.
    pub(super) fn resource(&self, rendering: &Rendering<'_>) -> Value {
        let mut spec = json!({"servers": [self.server(rendering)]});
        if let Attach::Labels(labels) = &rendering.gateway.attach {
            set(&mut spec, "selector", json!(labels));
        }
        let namespace = &rendering.gateway.namespace;
        resource::manifest(rendering.document, &resource::GATEWAY, namespace, &self.name, spec)
    }

    /// `./`: only VirtualServices of this namespace may bind, so that nobody can put a route beside
    /// the document's.
    fn server(&self, rendering: &Rendering<'_>) -> Value {
        let number = rendering.options.gateway_port();
        let hosts: Vec<String> = self.hosts.iter().map(|host| format!("./{host}")).collect();
        let Some(secret) = self.secret else {
            return json!({
                "port": {"number": number, "name": "http", "protocol": "HTTP"},
                "hosts": hosts,
            });
        };
        json!({
            "port": {"number": number, "name": "https", "protocol": "HTTPS"},
            "hosts": hosts,
            "tls": {
                "mode": tls_mode(rendering),
                "credentialName": secret,
                "minProtocolVersion": "TLSV1_2",
            },
        })
    }
}

/// Callers whose tokens are bound to a certificate are asked for one; nobody must have one. What
/// they show is checked against the authority in the Secret (`ca.crt`).
fn tls_mode(rendering: &Rendering<'_>) -> &'static str {
    match rendering.document.bound.certificate {
        Some(CertificateSource::Connection) => "OPTIONAL_MUTUAL",
        Some(CertificateSource::Forwarded) | None => "SIMPLE",
    }
}

//! Istio's Gateway: where the gateway listens, for which hosts, and what it shows of itself.

use std::collections::BTreeMap;

use postern_document::CertificateSource;
use serde_json::{Value, json};

use super::Rendering;
use super::api::Attach;
use super::resource::{self, set};

/// The Gateway, which the rendering's VirtualServices bind to.
pub(super) fn resource(rendering: &Rendering<'_>) -> Value {
    let options = rendering.options;
    let mut spec = json!({"servers": servers(rendering)});
    if let Attach::Labels(labels) = &rendering.gateway.attach {
        set(&mut spec, "selector", json!(labels));
    }
    let namespace = &rendering.gateway.namespace;
    let name = &options.gateway_name;
    resource::manifest(rendering.document, &resource::GATEWAY, namespace, name, spec)
}

/// One for each certificate, all on one port.
fn servers(rendering: &Rendering<'_>) -> Vec<Value> {
    let options = rendering.options;
    let number = options.gateway_port();
    let Some(default) = &options.gateway_tls_secret else {
        return vec![json!({
            "port": {"number": number, "name": "http", "protocol": "HTTP"},
            "hosts": bound(&options.hosts),
        })];
    };
    let mut by_secret: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for host in &options.hosts {
        let secret = options.host_tls_secrets.get(host).unwrap_or(default);
        by_secret.entry(secret).or_default().push(host.clone());
    }
    // Names of ports tell servers apart.
    let servers = by_secret.iter().enumerate().map(|(at, (secret, hosts))| {
        let name = if at == 0 { "https".to_owned() } else { format!("https-{}", at + 1) };
        json!({
            "port": {"number": number, "name": name, "protocol": "HTTPS"},
            "hosts": bound(hosts),
            "tls": {
                "mode": tls_mode(rendering),
                "credentialName": secret,
                "minProtocolVersion": "TLSV1_2",
            },
        })
    });
    servers.collect()
}

/// `./`: only VirtualServices of this namespace may bind, so that nobody can put a route beside
/// the document's.
fn bound(hosts: &[String]) -> Vec<String> {
    hosts.iter().map(|host| format!("./{host}")).collect()
}

/// Callers whose tokens are bound to a certificate are asked for one; nobody must have one. What
/// they show is checked against the authority in the Secret (`ca.crt`).
fn tls_mode(rendering: &Rendering<'_>) -> &'static str {
    match rendering.document.bound.certificate {
        Some(CertificateSource::Connection) => "OPTIONAL_MUTUAL",
        Some(CertificateSource::Forwarded) | None => "SIMPLE",
    }
}

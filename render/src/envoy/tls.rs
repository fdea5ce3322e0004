//! TLS to upstreams: always with a name that is verified.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{ServerTls, typed};

/// Where Debian, Alpine and Envoy's own images keep the trusted roots.
const TRUSTED_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// To somebody with a public certificate: the name is sent (SNI) and verified against it.
pub(super) fn public(host: &str) -> Value {
    transport_socket(json!({
        "sni": host,
        "common_tls_context": {"validation_context": {
            "trusted_ca": {"filename": TRUSTED_ROOTS},
            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": host}}],
        }},
    }))
}

/// To the server, whose authority is named. gRPC servers take connections only of those that say
/// they speak HTTP/2.
pub(super) fn server(tls: &ServerTls, host: &str) -> Value {
    let name = tls.name.as_deref().unwrap_or(host);
    let is_address = name.parse::<IpAddr>().is_ok();
    let kind = if is_address { "IP_ADDRESS" } else { "DNS" };
    let mut common = json!({
        "alpn_protocols": ["h2"],
        "validation_context": {
            "trusted_ca": {"filename": tls.ca},
            "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": name}}],
        },
    });
    if let (Value::Object(members), Some(client)) = (&mut common, &tls.client) {
        let certificate = json!({
            "certificate_chain": {"filename": client.chain},
            "private_key": {"filename": client.key},
        });
        members.insert("tls_certificates".to_owned(), json!([certificate]));
    }
    let mut context = json!({"common_tls_context": common});
    // An address is no name to send (RFC 6066, section 3).
    if let (Value::Object(members), false) = (&mut context, is_address) {
        members.insert("sni".to_owned(), json!(name));
    }
    transport_socket(context)
}

fn transport_socket(context: Value) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            context,
        ),
    })
}

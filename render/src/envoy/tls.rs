//! TLS: to upstreams always with a name that is verified, and between Envoys of ours with
//! certificates on both ends.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::names::SDS_CLUSTER;
use super::{ClientCertificate, MeshTls, ServerTls, typed};

/// Where Debian, Alpine and Envoy's own images keep the trusted roots.
const TRUSTED_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What agents that speak SDS call an Envoy's certificate, and the authorities of the mesh.
const AGENTS_CERTIFICATE: &str = "default";
const AGENTS_AUTHORITIES: &str = "ROOTCA";

/// To somebody with a public certificate: the name is sent (SNI) and verified against it.
pub(super) fn public(host: &str) -> Value {
    upstream(json!({
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
        members.insert("tls_certificates".to_owned(), json!([certificate(client)]));
    }
    let mut context = json!({"common_tls_context": common});
    // An address is no name to send (RFC 6066, section 3).
    if let (Value::Object(members), false) = (&mut context, is_address) {
        members.insert("sni".to_owned(), json!(name));
    }
    upstream(context)
}

/// To another Envoy of the mesh, whose certificate must name one of these.
pub(super) fn to_mesh(mesh: &MeshTls, identities: &[String], http2: bool) -> Value {
    let names = identities.iter();
    let names: Vec<Value> =
        names.map(|id| json!({"san_type": "URI", "matcher": {"exact": id}})).collect();
    let protocol = if http2 { "h2" } else { "http/1.1" };
    upstream(json!({"common_tls_context": of_mesh(mesh, &names, &[protocol])}))
}

/// From other Envoys of the mesh: nobody gets in without a certificate of this trust domain.
/// Which of them a route takes calls from, the bundle says (`peers`).
pub(super) fn from_mesh(mesh: &MeshTls, trust_domain: &str) -> Value {
    let inside = json!({"prefix": format!("spiffe://{trust_domain}/")});
    let names = vec![json!({"san_type": "URI", "matcher": inside})];
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            json!({
                "require_client_certificate": true,
                "common_tls_context": of_mesh(mesh, &names, &["h2", "http/1.1"]),
            }),
        ),
    })
}

/// What both ends of a connection inside the mesh are made of.
fn of_mesh(mesh: &MeshTls, names: &[Value], protocols: &[&str]) -> Value {
    match mesh {
        MeshTls::Files { ca, own } => json!({
            "alpn_protocols": protocols,
            "tls_certificates": [certificate(own)],
            "validation_context": {
                "trusted_ca": {"filename": ca},
                "match_typed_subject_alt_names": names,
            },
        }),
        MeshTls::Agent { .. } => json!({
            "alpn_protocols": protocols,
            "tls_certificate_sds_secret_configs": [from_agent(AGENTS_CERTIFICATE)],
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": names},
                "validation_context_sds_secret_config": from_agent(AGENTS_AUTHORITIES),
            },
        }),
    }
}

fn from_agent(secret: &str) -> Value {
    json!({
        "name": secret,
        "sds_config": {
            "resource_api_version": "V3",
            "api_config_source": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": SDS_CLUSTER}}],
            },
        },
    })
}

fn certificate(files: &ClientCertificate) -> Value {
    json!({
        "certificate_chain": {"filename": files.chain},
        "private_key": {"filename": files.key},
    })
}

fn upstream(context: Value) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            context,
        ),
    })
}

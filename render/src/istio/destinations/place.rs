//! How the mesh comes to know a host, and by which name.

use std::net::IpAddr;

use postern_document::Endpoint;

use super::super::IstioOptions;
use super::super::options::names::is_dns_name;

/// Below this, hosts are made up for what the document names by address; `.internal` is kept
/// free for such names, so none of them can be somebody's.
pub(super) const MADE_UP: &str = "postern.internal";

/// How the mesh comes to know a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// It does already: a Service of the cluster, or a ServiceEntry of somebody else.
    Registered,
    /// By DNS.
    Dns,
    /// By its address.
    Address(IpAddr),
    /// By the addresses of the service's machines, which have entries of their own.
    Endpoints {
        /// The service.
        service: String,
        /// Its machines.
        endpoints: Vec<Endpoint>,
    },
}

impl Place {
    /// Whether parts of it can be told apart by labels.
    pub(super) fn has_labels(&self) -> bool {
        matches!(self, Self::Registered | Self::Endpoints { .. })
    }
}

/// A host's name in the mesh's registry, and how it gets there.
pub(super) fn locate(
    host: &str,
    made_up: String,
    options: &IstioOptions,
) -> Result<(String, Place), &'static str> {
    // A VirtualService goes to names only.
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok((made_up, Place::Address(address)));
    }
    let name = host.to_ascii_lowercase();
    if !is_dns_name(&name) {
        return Err("this is no DNS name");
    }
    if !name.contains('.') {
        return Err("a short name means something else in every namespace; \
                    write NAME.NAMESPACE.svc.cluster.local");
    }
    if name.ends_with(".svc") {
        return Ok((format!("{name}.{}", options.cluster_domain), Place::Registered));
    }
    let in_cluster = name
        .strip_suffix(options.cluster_domain.as_str())
        .is_some_and(|rest| rest.ends_with(".svc."));
    if in_cluster || options.registered_hosts.contains(&name) {
        return Ok((name, Place::Registered));
    }
    Ok((name, Place::Dns))
}

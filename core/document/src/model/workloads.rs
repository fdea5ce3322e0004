//! Pods and machines that run an Envoy of ours, and the mesh that they are part of.

use std::collections::BTreeMap;

use postern_request::peers::PeerPattern;

pub use crate::raw::RawGuard as Guard;

/// Pods, or machines, that run an Envoy of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its name, by which its Envoys ask the feed.
    pub name: String,
    /// Whether it is the gateway: the edge, where calls from outside arrive.
    pub gateway: bool,
    /// Its namespace.
    pub namespace: String,
    /// The labels of its pods; at least one.
    pub labels: BTreeMap<String, String>,
    /// The service account that its certificates name.
    pub service_account: String,
    /// The ports of its pods, in the order of the document.
    pub ports: Vec<u16>,
}

impl Workload {
    /// Its name in certificates, as Istio writes it in policies: without `spiffe://`.
    #[must_use]
    pub fn principal(&self, trust_domain: &str) -> String {
        format!("{trust_domain}/ns/{}/sa/{}", self.namespace, self.service_account)
    }

    /// Its SPIFFE id.
    #[must_use]
    pub fn spiffe_id(&self, trust_domain: &str) -> String {
        format!("spiffe://{}", self.principal(trust_domain))
    }

    /// Whether it is one of those that a route takes calls from.
    #[must_use]
    pub fn is_one_of(&self, peers: &[PeerPattern], trust_domain: &str) -> bool {
        let id = self.spiffe_id(trust_domain);
        peers.iter().any(|peer| peer.matches(&id))
    }
}

/// The mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// The trust domain of its certificates.
    pub trust_domain: String,
    /// The namespace whose policies speak for all others.
    pub root_namespace: String,
}

impl Default for Mesh {
    fn default() -> Self {
        Self { trust_domain: "cluster.local".to_owned(), root_namespace: "istio-system".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_goes_by_namespace_and_service_account() {
        let workload = Workload {
            name: "payments".to_owned(),
            gateway: false,
            namespace: "shop".to_owned(),
            labels: BTreeMap::new(),
            service_account: "pay".to_owned(),
            ports: vec![8080],
        };
        let domain = &Mesh::default().trust_domain;
        assert_eq!(workload.principal(domain), "cluster.local/ns/shop/sa/pay");
        let peers = |text: &str| [PeerPattern::parse(text).unwrap()];
        for (peer, expected) in [
            ("spiffe://cluster.local/ns/shop/sa/pay", true),
            ("spiffe://cluster.local/ns/shop/sa/*", true),
            ("spiffe://cluster.local/ns/shop/sa/payments", false),
            ("spiffe://other.test/ns/shop/sa/pay", false),
        ] {
            assert_eq!(workload.is_one_of(&peers(peer), domain), expected, "{peer}");
        }
        assert!(!workload.is_one_of(&[], domain));
    }
}

//! Who asks, and for which workloads it may.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use postern_request::spiffe;

pub(crate) mod certificate;
pub(crate) mod forwarded;

/// Who asks, as it has proved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PeerIdentity {
    /// A workload of the mesh, by its SPIFFE id.
    Spiffe(String),
    /// The holder of a feed credential, by the credential's name.
    Credential(String),
    /// Somebody on this machine.
    Loopback,
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spiffe(id) => f.write_str(id),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::Loopback => f.write_str("loopback"),
        }
    }
}

/// Which workloads a peer may ask for.
pub trait Peers: Send + Sync {
    /// Whether the peer may ask for the workload.
    fn may_ask_for(&self, peer: &PeerIdentity, workload: &str) -> bool;
}

/// Workloads that a peer may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Workloads {
    /// Every one.
    All,
    /// These.
    Only(BTreeSet<String>),
}

/// Peers as a list names them. Whoever is not on it may not ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedPeers(BTreeMap<PeerIdentity, Workloads>);

impl ListedPeers {
    /// The peers of a list.
    pub fn new(peers: impl IntoIterator<Item = (PeerIdentity, Workloads)>) -> Self {
        Self(peers.into_iter().collect())
    }
}

impl Peers for ListedPeers {
    fn may_ask_for(&self, peer: &PeerIdentity, workload: &str) -> bool {
        match self.0.get(peer) {
            None => false,
            Some(Workloads::All) => true,
            Some(Workloads::Only(workloads)) => workloads.contains(workload),
        }
    }
}

/// The one SPIFFE id among the URIs of a certificate; there must be no other URI
/// (X509-SVID §2).
fn only_spiffe_id<'u>(mut uris: impl Iterator<Item = &'u str>) -> Option<&'u str> {
    let id = uris.next()?;
    (uris.next().is_none() && spiffe::is_id(id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_peers_may_ask_and_only_for_their_workloads() {
        let spiffe = |path: &str| PeerIdentity::Spiffe(format!("spiffe://mesh/{path}"));
        let payments = BTreeSet::from(["payments".to_owned()]);
        let peers = ListedPeers::new([
            (spiffe("payments"), Workloads::Only(payments)),
            (PeerIdentity::Loopback, Workloads::All),
        ]);
        for (peer, workload, expected) in [
            (spiffe("payments"), "payments", true),
            (spiffe("payments"), "orders", false),
            (spiffe("orders"), "payments", false),
            (PeerIdentity::Loopback, "anything", true),
            (PeerIdentity::Credential("loopback".to_owned()), "payments", false),
        ] {
            assert_eq!(peers.may_ask_for(&peer, workload), expected, "{peer} {workload}");
        }
    }

    #[test]
    fn a_certificate_has_one_id_and_no_other_uri() {
        let only = |uris: &[&'static str]| only_spiffe_id(uris.iter().copied());
        assert_eq!(only(&["spiffe://a/b"]), Some("spiffe://a/b"));
        assert_eq!(only(&["spiffe://a/b", "spiffe://a/c"]), None);
        assert_eq!(only(&[]), None);
    }
}

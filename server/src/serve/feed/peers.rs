//! Who may ask, as the document says. With nobody named, it is this machine.

use std::collections::BTreeSet;

use postern_document::{Feed, FeedIdentity, ForwardedCert};
use postern_feed::{
    FeedCredential, ForwardedClientCert, ListedPeers, PeerIdentity, Trust, Workloads,
};

/// Whom to believe.
pub fn trust(feed: &Feed) -> Trust {
    let forwarded = match feed.forwarded_client_cert {
        None => ForwardedClientCert::Ignored,
        Some(ForwardedCert::LocalProxy) => ForwardedClientCert::FromLocalProxy,
        Some(ForwardedCert::Anyone) => ForwardedClientCert::FromAnyone,
    };
    let credentials = feed.peers.iter().filter_map(|peer| match &peer.identity {
        FeedIdentity::Spiffe(_) => None,
        FeedIdentity::Credential { name, sha256 } => {
            Some(FeedCredential { name: name.clone(), sha256: *sha256 })
        }
    });
    Trust::new(forwarded, credentials.collect())
}

/// Who may ask for what.
pub fn listed(feed: &Feed) -> ListedPeers {
    if feed.peers.is_empty() {
        return ListedPeers::new([(PeerIdentity::Loopback, Workloads::All)]);
    }
    ListedPeers::new(feed.peers.iter().map(|peer| {
        let identity = match &peer.identity {
            FeedIdentity::Spiffe(id) => PeerIdentity::Spiffe(id.clone()),
            FeedIdentity::Credential { name, .. } => PeerIdentity::Credential(name.clone()),
        };
        let workloads: BTreeSet<String> = peer.workloads.iter().cloned().collect();
        (identity, Workloads::Only(workloads))
    }))
}

/// Says so where certificates are looked at and nobody's may ask for anything.
pub fn warn_of_nobody(feed: &Feed) {
    if feed.forwarded_client_cert.is_some() && feed.peers.is_empty() {
        tracing::warn!(
            "`feed.forwarded_client_cert` is set and `feed.peers` names nobody: no Envoy may ask"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_document::FeedPeer;
    use postern_feed::{Arrival, Peers as _, Unidentified};

    const SPIFFE: &str = "spiffe://cluster.local/ns/shop/sa/gateway";
    /// SHA-256 of `secret`.
    const SHA256: [u8; 32] = [
        0x2b, 0xb8, 0x0d, 0x53, 0x7b, 0x1d, 0xa3, 0xe3, 0x8b, 0xd3, 0x03, 0x61, 0xaa, 0x85, 0x56,
        0x86, 0xbd, 0xe0, 0xea, 0xcd, 0x71, 0x62, 0xfe, 0xf6, 0xa2, 0x5f, 0xe9, 0x7b, 0xf5, 0x27,
        0xa2, 0x5b,
    ];

    fn feed() -> Feed {
        let credential = FeedIdentity::Credential { name: "edge-eu".to_owned(), sha256: SHA256 };
        let workloads = |name: &str| vec![name.to_owned()];
        Feed {
            forwarded_client_cert: Some(ForwardedCert::LocalProxy),
            poll_ms: None,
            peers: vec![
                FeedPeer {
                    identity: FeedIdentity::Spiffe(SPIFFE.to_owned()),
                    workloads: workloads("shop"),
                },
                FeedPeer { identity: credential, workloads: workloads("edge") },
            ],
        }
    }

    #[test]
    fn with_nobody_named_it_is_this_machine() {
        let arrival = Arrival { remote: "127.0.0.1".parse().ok(), ..Arrival::default() };
        let found = trust(&Feed::default()).identify(&arrival).unwrap();
        assert_eq!(found, PeerIdentity::Loopback);
        assert!(listed(&Feed::default()).may_ask_for(&found, "anything"));
        assert!(!listed(&feed()).may_ask_for(&found, "shop"), "somebody is named");
    }

    #[test]
    fn those_who_are_named_may_ask_for_what_is_theirs() {
        let (trust, listed) = (trust(&feed()), listed(&feed()));
        let forwarded = format!("By=spiffe://mesh/server;URI={SPIFFE}");
        let from = |address: &str| Arrival { remote: address.parse().ok(), ..Arrival::default() };
        let by_certificate = Arrival { forwarded: Some(forwarded.as_bytes()), ..from("127.0.0.6") };
        let by_credential = Arrival { credential: Some(b"secret"), ..from("10.0.0.1") };
        for (arrival, own, other) in
            [(&by_certificate, "shop", "edge"), (&by_credential, "edge", "shop")]
        {
            let peer = trust.identify(arrival).unwrap();
            assert!(listed.may_ask_for(&peer, own), "{peer}");
            assert!(!listed.may_ask_for(&peer, other), "{peer}");
        }
        for (arrival, expected) in [
            (Arrival { credential: Some(b"guess"), ..from("127.0.0.1") }, Unidentified::Credential),
            (from("127.0.0.1"), Unidentified::Nothing),
            (
                Arrival { forwarded: Some(forwarded.as_bytes()), ..from("10.0.0.1") },
                Unidentified::Nothing,
            ),
        ] {
            assert_eq!(trust.identify(&arrival), Err(expected));
        }
        let anyone = Feed { forwarded_client_cert: Some(ForwardedCert::Anyone), ..feed() };
        let arrival = Arrival { forwarded: Some(forwarded.as_bytes()), ..from("10.0.0.1") };
        let spiffe = PeerIdentity::Spiffe(SPIFFE.to_owned());
        assert_eq!(super::trust(&anyone).identify(&arrival), Ok(spiffe));
    }
}

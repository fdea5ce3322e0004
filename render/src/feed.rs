//! How Envoys ask the server by the feed, shared by both renderings.

use postern_document::{Document, FeedIdentity};
use serde_json::{Value, json};

/// The longest that the server is asked to hold a call, in milliseconds.
const LONGEST_WAIT_MS: u64 = 10_000;

/// Where the bundle asks for revoked tokens, keys and circuits; none where the document needs no
/// feed.
///
/// The server may hold a call for a third of what knowledge may age, so that a lost one is
/// noticed in time.
pub(crate) fn configuration(
    document: &Document,
    cluster: &str,
    authority: &str,
    workload: &str,
) -> Option<Value> {
    if !document.needs_feed() {
        return None;
    }
    let poll_ms = document.feed.poll_ms;
    let a_third = document.revocation.map(|rules| rules.max_staleness_ms / 3);
    let wait_ms = a_third.map_or(LONGEST_WAIT_MS, |third| third.min(LONGEST_WAIT_MS));
    Some(json!({
        "cluster": cluster,
        "authority": authority,
        "workload": workload,
        "wait_ms": if poll_ms.is_some() { 0 } else { wait_ms },
        "poll_ms": poll_ms.unwrap_or(0),
    }))
}

/// As whom an Envoy may ask for a workload.
pub(crate) fn identities<'d>(
    document: &'d Document,
    workload: &str,
) -> impl Iterator<Item = &'d FeedIdentity> {
    let peers = document.feed.peers.iter();
    peers
        .filter(move |peer| peer.workloads.iter().any(|name| name == workload))
        .map(|peer| &peer.identity)
}

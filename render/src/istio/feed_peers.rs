//! Whether the server will answer each Envoy that asks it by the feed.

use std::collections::BTreeSet;

use postern_document::{Document, FeedIdentity, from_json};

use super::{Placed, RenderError, Rendering};
use crate::feed;

/// In the mesh the server's sidecar ends mutual TLS and forwards who asks. Without its word the
/// server knows nobody, and what the document then says of stale knowledge would become the rule.
pub(super) fn check(rendering: &Rendering<'_>) -> Result<(), RenderError> {
    let document = rendering.document;
    if !document.relies_on_feed() {
        return Ok(());
    }
    for placed in rendering.guards() {
        // What of it is judged here may need none.
        let narrowed = from_json(document.filter_config_for(&placed.workload).as_bytes());
        if narrowed.is_ok_and(|narrowed| !narrowed.relies_on_feed()) {
            continue;
        }
        if !is_known(document, placed) {
            let (workload, example) = (placed.workload.clone(), spiffe_id(placed));
            return Err(RenderError::FeedPeer { workload, example });
        }
    }
    Ok(())
}

/// Whether the Envoys of a place ask, by what of the document is judged there. For circuits alone
/// nobody asks in vain: without the feed, each Envoy's breakers act by themselves.
pub(super) fn asks(document: &Document, placed: &Placed<'_>, narrowed: &Document) -> bool {
    narrowed.relies_on_feed() || (narrowed.needs_feed() && is_known(document, placed))
}

/// Workloads whose Envoys hear of no others' circuits.
pub(super) fn circuits_alone<'r>(rendering: &'r Rendering<'_>) -> BTreeSet<&'r str> {
    let document = rendering.document;
    let is_alone = |placed: &&Placed<'_>| {
        let narrowed = from_json(document.filter_config_for(&placed.workload).as_bytes());
        narrowed.is_ok_and(|narrowed| narrowed.has_circuits() && !asks(document, placed, &narrowed))
    };
    rendering.guards().filter(is_alone).map(|placed| placed.workload.as_str()).collect()
}

/// Who the Envoys of a place are.
pub(super) fn spiffe_id(placed: &Placed<'_>) -> String {
    format!("spiffe://{}", placed.principal)
}

/// Whether the document says that they may ask.
fn is_known(document: &Document, placed: &Placed<'_>) -> bool {
    let own = spiffe_id(placed);
    // Who a workload of the document is, is known; of others the options tell no account.
    let is_named = document.workload(&placed.workload).is_some();
    let is_its = |identity: &FeedIdentity| match identity {
        FeedIdentity::Spiffe(id) => !is_named || *id == own,
        FeedIdentity::Credential { .. } => false,
    };
    document.feed.forwarded_client_cert.is_some()
        && feed::identities(document, &placed.workload).any(is_its)
}

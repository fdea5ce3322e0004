//! Whether the server will answer each Envoy that asks it by the feed.

use postern_document::{FeedIdentity, from_json};

use super::{RenderError, Rendering};
use crate::feed;

/// In the mesh the server's sidecar ends mutual TLS and forwards who asks. Without its word the
/// server knows nobody, and what the document then says of stale knowledge would become the rule.
pub(super) fn check(rendering: &Rendering<'_>) -> Result<(), RenderError> {
    let document = rendering.document;
    if !document.needs_feed() {
        return Ok(());
    }
    for placed in rendering.guards() {
        // What of it is judged here may need none.
        let narrowed = from_json(document.filter_config_for(&placed.workload).as_bytes());
        if narrowed.is_ok_and(|narrowed| !narrowed.needs_feed()) {
            continue;
        }
        let example = format!("spiffe://{}", placed.principal);
        // Who a workload of the document is, is known; of others the options tell no account.
        let is_named = document.workload(&placed.workload).is_some();
        let is_its = |identity: &FeedIdentity| match identity {
            FeedIdentity::Spiffe(id) => !is_named || *id == example,
            FeedIdentity::Credential { .. } => false,
        };
        let is_known = document.feed.forwarded_client_cert.is_some()
            && feed::identities(document, &placed.workload).any(is_its);
        if !is_known {
            return Err(RenderError::FeedPeer { workload: placed.workload.clone(), example });
        }
    }
    Ok(())
}

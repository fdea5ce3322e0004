//! Whose connection a request comes by, and by what names callers and places go.

use postern_document::{Document, Route};
use postern_request::{Denial, spiffe};

use crate::envoy::{Incoming, Sent};
use crate::here::{EDGE, Here};
use crate::rule::{Effect, Rule};
use crate::step::{By, Stage, Verdict};
use crate::walk::Walk;

impl Walk<'_, '_> {
    /// Whether the route takes requests from the other end of the connection.
    pub(crate) fn check_peer(
        &mut self,
        by: By,
        route: &Route,
        incoming: &Incoming,
    ) -> Result<(), Denial> {
        if route.peers.is_empty() {
            return Ok(());
        }
        let id = incoming.peer.as_deref().unwrap_or_default();
        let Err(denial) = route.check_peer(id) else {
            let rules = vec![Rule::route(route, "peers", Effect::Passed)];
            self.push(Stage::Peer, by, Verdict::Passed, rules, format!("{id}, which it takes"));
            return Ok(());
        };
        let known: Vec<String> = route.peers.iter().map(ToString::to_string).collect();
        let known = known.join(", ");
        let text = match id {
            "" => format!("takes {known}; the connection shows no certificate of the mesh"),
            id => format!("takes {known}; this is {id}"),
        };
        let rules = vec![Rule::route(route, "peers", Effect::Refused)];
        Err(self.deny(Stage::Peer, by, denial, rules, text))
    }

    /// Says what is taken for granted of a connection that does not come by the edge.
    pub(crate) fn assume_connection(&mut self, sent: &Sent) {
        let document = self.document;
        let domain = &document.mesh.trust_domain;
        let is_of_mesh = sent.peer.as_deref().is_some_and(|peer| {
            peer.strip_prefix("spiffe://")
                .and_then(|rest| rest.strip_prefix(domain.as_str()))
                .is_some_and(|rest| rest.starts_with('/'))
        });
        // Where the mesh's own policies are known, they say it.
        if !is_of_mesh && self.assume.policies.is_none() {
            let text = format!(
                "{} takes connections without a certificate of {domain}: with mutual TLS it takes \
                 none",
                self.here.name
            );
            self.assumed(text);
        }
    }
}

/// Who calls inside the mesh: a SPIFFE id, or the name of a workload of the document.
///
/// # Errors
/// When it is neither.
pub fn peer_id(document: &Document, text: &str) -> Result<String, String> {
    if text.contains(':') {
        let is_id = spiffe::is_id(text);
        return is_id.then(|| text.to_owned()).ok_or_else(|| {
            format!("`{text}` is no SPIFFE id such as spiffe://cluster.local/ns/shop/sa/web")
        });
    }
    match document.workload(text) {
        Some(workload) => Ok(workload.spiffe_id(&document.mesh.trust_domain)),
        None => Err(unknown(document, text)),
    }
}

/// The workload that a caller inside the mesh can go to directly; none where that is the edge,
/// by the name that explanations call it.
///
/// # Errors
/// When the document has no such workload, or nothing is enforced there.
pub fn entry<'d>(document: &'d Document, name: &str) -> Result<Option<&'d str>, String> {
    let Some(workload) = document.workload(name) else {
        let is_edge = name == EDGE && document.gateway().is_none();
        return if is_edge { Ok(None) } else { Err(unknown(document, name)) };
    };
    if workload.gateway {
        return Ok(None);
    }
    let here = Here::beside(workload);
    if document.routes.iter().any(|route| here.enforces(route)) {
        return Ok(Some(workload.name.as_str()));
    }
    Err(format!(
        "no Envoy of ours judges what goes to `{name}`: no route is of a service with this \
         `workload` and with `guard: workload`"
    ))
}

fn unknown(document: &Document, name: &str) -> String {
    let known: Vec<&str> = document.workloads.iter().map(|known| known.name.as_str()).collect();
    if known.is_empty() {
        return format!("the document has no workload `{name}`, nor any other");
    }
    format!("the document has no workload `{name}`; known: {}", known.join(", "))
}

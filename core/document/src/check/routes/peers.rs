//! Whose connections a route takes requests from.

use postern_request::peers::PeerPattern;

use super::Context;
#[cfg(feature = "messages")]
use super::report_dangling;
use crate::problem::{Problems, told};
use crate::raw::{RawRoute, Text};

/// Each is compared with every request.
const MAX_PEERS: usize = 64;

pub(super) fn check(
    context: &Context<'_>,
    raw: &RawRoute,
    path: &str,
    problems: &mut Problems,
) -> Vec<PeerPattern> {
    let Some(listed) = &raw.peers else {
        return Vec::new();
    };
    let path = told!("{path}.peers");
    if listed.is_empty() && !problems.any_within("routes[", ".peers") {
        let message = "an empty list would take nobody: leave `peers` out, or the route";
        problems.report_as(raw.at, &path, message);
    }
    if let Some(beyond) = listed.get(MAX_PEERS) {
        problems.report_as(beyond.at, &path, told!("at most {MAX_PEERS} peers are looked at"));
    }
    let mut peers: Vec<PeerPattern> = Vec::with_capacity(listed.len());
    for (at, text) in listed.iter().enumerate() {
        let path = told!("{path}[{at}]");
        let Some(peer) = read(context, text, &path, problems) else { continue };
        if peers.contains(&peer) {
            problems.report_as(text.at, &path, "this peer is there twice");
        }
        peers.push(peer);
    }
    peers
}

fn read(
    context: &Context<'_>,
    text: &Text,
    path: &str,
    problems: &mut Problems,
) -> Option<PeerPattern> {
    // A SPIFFE id is no name of a workload, and the other way round.
    if !text.contains(':') {
        return of_workload(context, text, path, problems);
    }
    match PeerPattern::parse(text) {
        Ok(peer) => Some(peer),
        Err(message) => {
            let message = told!("`{}`: {message}", text.escape_debug());
            problems.report_as(text.at, path, message);
            None
        }
    }
}

#[cfg(feature = "messages")]
fn of_workload(
    context: &Context<'_>,
    name: &Text,
    path: &str,
    problems: &mut Problems,
) -> Option<PeerPattern> {
    // No workload has a name with a slash; Istio's policies write ids like this.
    if name.contains('/') {
        let id = format!("spiffe://{}", name.value);
        let message = match PeerPattern::parse(&id) {
            Ok(_) => format!("write {id}"),
            Err(message) => format!("`{}`: {message}", name.escape_debug()),
        };
        problems.report_as(name.at, path, message);
        return None;
    }
    let Some(workload) = context.workloads.iter().find(|known| known.name == name.value) else {
        let known = context.raw.workloads.get();
        if !known.is_some_and(|known| known.has(name)) {
            let known = known.map(|known| known.names()).unwrap_or_default();
            report_dangling("workload", name, &known, path, problems);
        }
        return None;
    };
    // What its namespace or the trust domain lacks is said where they stand.
    PeerPattern::parse(&workload.spiffe_id(&context.mesh.trust_domain)).ok()
}

/// Filters get ids, and know no workloads.
#[cfg(not(feature = "messages"))]
fn of_workload(
    _: &Context<'_>,
    name: &Text,
    path: &str,
    problems: &mut Problems,
) -> Option<PeerPattern> {
    problems.report_as(name.at, path, "this is no SPIFFE id");
    None
}

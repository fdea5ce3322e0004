//! Who may ask by the feed, and how often.

use postern_request::spiffe::is_id;

use crate::decode::{NAME_RULE, is_name};
use crate::digest;
use crate::model::{Feed, FeedIdentity, FeedPeer};
use crate::problem::{Problems, told};
use crate::raw::{RawFeed, RawFeedPeer, RawRevocation};

pub(super) fn check(
    raw: Option<&RawFeed>,
    revocation: Option<&RawRevocation>,
    problems: &mut Problems,
) -> Feed {
    let Some(raw) = raw else {
        return Feed::default();
    };
    let poll_ms = raw.poll.as_ref().map(|poll| {
        if !(200..=60_000).contains(&poll.millis) {
            problems.report_as(poll.at, "feed.poll", "expected 200ms to 1m");
        }
        // One question may fail without anything being stale.
        let too_seldom = revocation.is_some_and(|revocation| {
            revocation.max_staleness.millis < poll.millis.saturating_mul(2)
        });
        if too_seldom {
            let message = "`revocation.max_staleness` must be at least twice as long as this";
            problems.report_as(poll.at, "feed.poll", message);
        }
        poll.millis
    });
    let mut peers: Vec<FeedPeer> = Vec::with_capacity(raw.peers.len());
    for (at, raw) in raw.peers.iter().enumerate() {
        let path = told!("feed.peers[{at}]");
        let Some(peer) = check_peer(raw, &path, problems) else { continue };
        if peers.iter().any(|known| same(&known.identity, &peer.identity)) {
            problems.report_as(raw.at, &path, "this peer is there twice");
        }
        peers.push(peer);
    }
    Feed { forwarded_client_cert: raw.forwarded_client_cert, poll_ms, peers }
}

/// One credential under two names would be whoever is found first.
fn same(a: &FeedIdentity, b: &FeedIdentity) -> bool {
    match (a, b) {
        (FeedIdentity::Spiffe(a), FeedIdentity::Spiffe(b)) => a == b,
        (
            FeedIdentity::Credential { name: a, sha256: hash_a },
            FeedIdentity::Credential { name: b, sha256: hash_b },
        ) => a == b || hash_a == hash_b,
        _ => false,
    }
}

fn check_peer(raw: &RawFeedPeer, path: &str, problems: &mut Problems) -> Option<FeedPeer> {
    let identity = check_identity(raw, path, problems);
    let path = told!("{path}.workloads");
    if raw.workloads.is_empty() && !problems.any_below(&path) {
        problems.report_as(raw.at, &path, "name the workloads that it may ask for");
    }
    let mut workloads: Vec<String> = Vec::with_capacity(raw.workloads.len());
    for workload in &raw.workloads {
        if !is_name(workload) {
            problems.report_as(workload.at, &path, NAME_RULE);
        } else if workloads.contains(&workload.value) {
            problems.report_as(workload.at, &path, "this workload is there twice");
        }
        workloads.push(workload.value.clone());
    }
    Some(FeedPeer { identity: identity?, workloads })
}

/// How an id is written: the one that was meant, where only its scheme is missing.
fn shown(text: &str) -> String {
    let id = format!("spiffe://{text}");
    if is_id(&id) {
        return format!("written {id}");
    }
    "for example spiffe://cluster.local/ns/shop/sa/gateway".to_owned()
}

fn check_identity(raw: &RawFeedPeer, path: &str, problems: &mut Problems) -> Option<FeedIdentity> {
    match (&raw.spiffe, &raw.name, &raw.credential_sha256) {
        (Some(spiffe), None, None) => {
            if !is_id(spiffe) {
                let message = told!("expected a SPIFFE id, {}", shown(spiffe));
                problems.report_as(spiffe.at, &told!("{path}.spiffe"), message);
            }
            Some(FeedIdentity::Spiffe(spiffe.value.clone()))
        }
        (None, Some(name), Some(hash)) => {
            if !is_name(name) {
                problems.report_as(name.at, &told!("{path}.name"), NAME_RULE);
            }
            let sha256 = digest::sha256_from_hex(hash);
            if sha256.is_none() {
                let message = "expected SHA-256 of the credential, 64 hexadecimal digits";
                problems.report_as(hash.at, &told!("{path}.credential_sha256"), message);
            }
            Some(FeedIdentity::Credential { name: name.value.clone(), sha256: sha256? })
        }
        _ => {
            if !problems.any_below(path) {
                let message = "say either `spiffe`, or `name` and `credential_sha256`";
                problems.report_as(raw.at, path, message);
            }
            None
        }
    }
}

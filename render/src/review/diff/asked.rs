//! Requests that get another answer.

use std::collections::{BTreeMap, BTreeSet};

use postern_document::{Document, Route};
use postern_explain::{Part, Request};
use postern_request::UnixMillis;

use super::super::ask::{Caller, Oracle, guard, parts};
use super::super::model::{Change, ChangeKind};
use super::super::witness::{self, Target, spellings};
use super::way;

/// Something to ask of both documents.
struct Probe {
    subject: String,
    caller: String,
    line: String,
    request: Request,
    workload: Option<String>,
    part: Option<Part>,
    lacks_something: bool,
}

/// What requests that are told of together have in common: which way it is, what is concerned, who
/// asks, what was answered and what is.
type Alike = (ChangeKind, String, String, String, String);

pub(super) fn changes(before: &Document, after: &Document, now: UnixMillis) -> Vec<Change> {
    let (old, new) = (Oracle::new(before, now), Oracle::new(after, now));
    let mut all = probes(after, &new);
    all.extend(probes(before, &old));
    // Of two callers who show the same, the one is told of who says what is missing.
    all.sort_by_key(|probe| !probe.lacks_something);
    let mut folded: BTreeMap<Alike, (String, usize)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for probe in all {
        // A route of both documents is probed twice; one that asks for other things, by other
        // callers.
        let identity = (probe.part.clone(), probe.line.clone(), shown(&probe.request));
        if !seen.insert(identity) {
            continue;
        }
        let part = probe.part.as_ref();
        let was = old.judge(&probe.request, probe.workload.as_deref(), part);
        let is = new.judge(&probe.request, probe.workload.as_deref(), part);
        if was.allowed == is.allowed && was.text == is.text {
            continue;
        }
        let kind = way(was.allowed, is.allowed);
        let key = (kind, probe.subject, probe.caller, was.text, is.text);
        let (_, more) = folded.entry(key).or_insert_with(|| (probe.line, 0));
        *more += 1;
    }
    folded
        .into_iter()
        .map(|((kind, subject, caller, before, after), (line, count))| {
            let request = match count {
                1 => line,
                count => format!("{line} and {} more", count - 1),
            };
            Change { kind, subject, caller, request, before, after }
        })
        .collect()
}

/// What tells two requests of one line apart.
fn shown(request: &Request) -> String {
    format!("{:?} {:?}", request.shown, request.peer)
}

fn probes(document: &Document, oracle: &Oracle<'_>) -> Vec<Probe> {
    let mut all = Vec::new();
    for route in &document.routes {
        for target in witness::all(document, route) {
            for caller in Caller::of(route) {
                all.push(probe(oracle, route, caller, &target, None));
            }
        }
        let Some(first) = witness::first(document, route) else { continue };
        for spelling in spellings(&first.path) {
            let target = first.with_path(spelling);
            all.push(probe(oracle, route, Caller::Nobody, &target, None));
        }
        for part in parts(document, route) {
            all.push(probe(oracle, route, Caller::best(route), &first, Some(part)));
        }
    }
    all
}

fn probe(
    oracle: &Oracle<'_>,
    route: &Route,
    caller: Caller,
    target: &Target,
    part: Option<Part>,
) -> Probe {
    let away = part.as_ref().map_or_else(String::new, |part| format!(", {part} away"));
    Probe {
        subject: format!("routes.{}", route.name),
        caller: format!("{}{away}", caller.told(route)),
        line: target.line(),
        request: oracle.request(route, caller, target),
        workload: guard(route).map(str::to_owned),
        part,
        lacks_something: caller.lacks_something(),
    }
}

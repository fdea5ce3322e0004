//! Guarantees that no single request shows: limits, what happens when parts are away, how much is
//! enforced.

use postern_document::{
    Allowance, AppliedLimit, Document, LimitMode, OnFailure, Route, StoreFailure,
};

use super::super::matrix::limit;
use super::super::model::{Change, ChangeKind};

pub(super) fn changes(before: &Document, after: &Document) -> Vec<Change> {
    let mut all = failures(before, after);
    for route in &after.routes {
        if let Some(old) = before.routes.iter().find(|old| old.name == route.name) {
            of_route(old, route, &mut all);
        }
    }
    for limit in &after.limits {
        let old = before.limits.iter().find(|old| old.name == limit.name);
        let (Some(was), Some(is)) = (old.and_then(|old| away(old.mode)), away(limit.mode)) else {
            continue;
        };
        let subject = format!("limits.{}.when_store_fails", limit.name);
        all.extend(graded(subject, rank(was), rank(is), was.as_str(), is.as_str()));
    }
    all
}

fn failures(before: &Document, after: &Document) -> Vec<Change> {
    let stale = |document: &Document| document.revocation.map(|one| one.when_stale);
    let asked = [
        ("failures.ext_authz", Some(before.failures.ext_authz), Some(after.failures.ext_authz)),
        ("failures.ext_proc", Some(before.failures.ext_proc), Some(after.failures.ext_proc)),
        ("revocation.when_stale", stale(before), stale(after)),
    ];
    let mut all = Vec::new();
    for (subject, was, is) in asked {
        // Without revocation, nobody asks whether a token was revoked.
        let open = |answer: Option<OnFailure>| u32::from(answer != Some(OnFailure::Deny));
        let word = |answer: Option<OnFailure>| answer.map_or("not asked", OnFailure::as_str);
        all.extend(graded(subject.to_owned(), open(was), open(is), word(was), word(is)));
    }
    all
}

/// A change from one rank of openness to another.
fn graded(subject: String, was: u32, is: u32, before: &str, after: &str) -> Option<Change> {
    let kind = match was.cmp(&is) {
        core::cmp::Ordering::Less => ChangeKind::Opened,
        core::cmp::Ordering::Greater => ChangeKind::Closed,
        core::cmp::Ordering::Equal if before == after => return None,
        core::cmp::Ordering::Equal => ChangeKind::Changed,
    };
    Some(Change {
        kind,
        subject,
        caller: String::new(),
        request: String::new(),
        before: before.to_owned(),
        after: after.to_owned(),
    })
}

const fn away(mode: LimitMode) -> Option<StoreFailure> {
    match mode {
        LimitMode::Local => None,
        LimitMode::Exact { when_store_fails } | LimitMode::Leased { when_store_fails, .. } => {
            Some(when_store_fails)
        }
    }
}

const fn rank(answer: StoreFailure) -> u32 {
    match answer {
        StoreFailure::Deny => 0,
        StoreFailure::LocalShare => 1,
        StoreFailure::Allow => 2,
    }
}

fn of_route(old: &Route, new: &Route, all: &mut Vec<Change>) {
    let subject = |member: &str| format!("routes.{}.{member}", new.name);
    let loose = |route: &Route| 100 - u32::from(route.enforce.percent());
    let percent = |route: &Route| format!("{} %", route.enforce.percent());
    let (was, is) = (percent(old), percent(new));
    all.extend(graded(subject("enforce"), loose(old), loose(new), &was, &is));
    if old.timeout_ms != new.timeout_ms {
        let told = |route: &Route| super::super::traffic::duration(route.timeout_ms);
        all.extend(graded(subject("timeout"), 0, 0, &told(old), &told(new)));
    }
    let named = |limits: &[&AppliedLimit], name: &str| {
        limits.iter().find(|applied| applied.limit.name == name).copied().cloned()
    };
    let (before, after) = (limits(old), limits(new));
    let mut names: Vec<&str> =
        before.iter().chain(&after).map(|applied| applied.limit.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (was, is) = (named(&before, name), named(&after, name));
        let told = |applied: &Option<AppliedLimit>| {
            applied.as_ref().map_or_else(|| "none".to_owned(), limit)
        };
        if told(&was) != told(&is) {
            let (a, b) = openness(was.as_ref(), is.as_ref());
            all.extend(graded(subject("limits"), a, b, &told(&was), &told(&is)));
        }
    }
}

fn limits(route: &Route) -> Vec<&AppliedLimit> {
    route.exact_limits.iter().chain(&route.local_limits).chain(&route.leased_limits).collect()
}

/// Which of two states of a limit lets more through; equal where that cannot be told.
fn openness(was: Option<&AppliedLimit>, is: Option<&AppliedLimit>) -> (u32, u32) {
    let refuses = |applied: &AppliedLimit| !applied.limit.shadow;
    match (was, is) {
        (Some(_), None) => (0, 1),
        (None, Some(_)) => (1, 0),
        (Some(was), Some(is)) if refuses(was) && !refuses(is) => (0, 1),
        (Some(was), Some(is)) if !refuses(was) && refuses(is) => (1, 0),
        (Some(was), Some(is)) => match (was.limit.allowance, is.limit.allowance) {
            (a, b) if a == b => (0, 0),
            (Allowance::Unlimited, _) => (1, 0),
            (_, Allowance::Unlimited) => (0, 1),
            (Allowance::Rate(a), Allowance::Rate(b)) if a.rate().period() == b.rate().period() => {
                more(a.rate().requests(), b.rate().requests())
            }
            (Allowance::InFlight(a), Allowance::InFlight(b)) => {
                if a.max() < b.max() {
                    (0, 1)
                } else {
                    (1, 0)
                }
            }
            _ => (0, 0),
        },
        (None, None) => (0, 0),
    }
}

/// What allows more is more open; what only differs otherwise, neither.
fn more(was: u64, is: u64) -> (u32, u32) {
    match was.cmp(&is) {
        core::cmp::Ordering::Less => (0, 1),
        core::cmp::Ordering::Equal => (0, 0),
        core::cmp::Ordering::Greater => (1, 0),
    }
}

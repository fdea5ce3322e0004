//! What limits hold back, in numbers that can be compared.

use std::collections::BTreeSet;

use postern_document::{Allowance, AppliedLimit, Document, Limit, LimitMode, Route, StoreFailure};
use postern_limits::key::KeyPart;
use postern_limits::{Anchor, Period, Spec};

use super::super::super::traffic::duration;
use super::super::fact::{Says, UNBOUNDED};
use super::Facts;

/// The limits that refuse somebody somewhere.
pub(super) fn used(document: &Document) -> Vec<&Limit> {
    let applied = document.routes.iter().flat_map(|route| all(route));
    let names: BTreeSet<&str> = applied.map(|applied| applied.limit.name.as_str()).collect();
    let limits = document.limits.iter().map(|limit| &**limit);
    limits.filter(|limit| !limit.shadow && names.contains(limit.name.as_str())).collect()
}

/// All that a route names.
pub(super) fn all(route: &Route) -> impl Iterator<Item = &AppliedLimit> {
    route.exact_limits.iter().chain(&route.local_limits).chain(&route.leased_limits)
}

pub(super) fn owner(limit: &Limit) -> String {
    format!("limits.{}", limit.name)
}

pub(super) fn say(document: &Document, facts: &mut Facts) {
    for limit in used(document) {
        let owner = owner(limit);
        facts.say(&owner, "", allowance(limit.allowance));
        for (list, named) in [("tiers", &limit.tiers), ("clients", &limit.clients)] {
            for (name, other) in named {
                let member = format!(".{list}.{name}");
                facts.say_instead_of(&owner, &member, (&owner, ""), allowance(*other));
            }
        }
        key(limit, &owner, facts);
        mode(limit, &owner, facts);
        let skipped = limit.skip.map(|skip| skip.as_str().to_owned());
        facts.say(&owner, ".skip", Says::any_of(skipped));
    }
}

/// By what it counts. The finer, the more pass in all.
fn key(limit: &Limit, owner: &str, facts: &mut Facts) {
    facts.say(owner, ".key", Says::any_of(limit.key.iter().map(ToString::to_string)));
    // Where it tells callers no more apart, one of them can use up what all share.
    let of_caller = |part: &KeyPart| *part == KeyPart::Ip || part.needs_principal();
    let shared = !limit.key.iter().any(of_caller);
    let told = if shared { "all share one count" } else { "each caller has a count" };
    facts.say(owner, ".key.caller", Says::amount(u64::from(shared), told));
    if limit.key.contains(&KeyPart::Ip) {
        let prefix = u64::from(limit.ipv6_prefix);
        facts.say(owner, ".ipv6_prefix", Says::amount(prefix, format!("/{prefix}")));
    }
}

/// Where it counts, and what holds while nobody can count.
fn mode(limit: &Limit, owner: &str, facts: &mut Facts) {
    let (rank, word, away) = match limit.mode {
        LimitMode::Exact { when_store_fails } => (0, "exact", Some(when_store_fails)),
        LimitMode::Leased { when_store_fails, .. } => (1, "leased", Some(when_store_fails)),
        // Each Envoy counts for itself.
        LimitMode::Local => (2, "local", None),
    };
    facts.say(owner, ".mode", Says::amount(rank, word));
    if let Some(away) = away {
        let rank = match away {
            StoreFailure::Deny => 0,
            StoreFailure::LocalShare => 1,
            StoreFailure::Allow => 2,
        };
        facts.say(owner, ".when_store_fails", Says::amount(rank, away.as_str()));
    }
    if let LimitMode::Leased { when_store_fails, terms } = limit.mode {
        let (sidecars, outstanding) = (u64::from(terms.sidecars()), u64::from(terms.outstanding()));
        let credit = terms.allowance().saturating_mul(sidecars);
        let share = match when_store_fails {
            StoreFailure::LocalShare => (1, sidecars),
            StoreFailure::Deny | StoreFailure::Allow => UNBOUNDED,
        };
        let told = format!(
            "{sidecars} sidecars, {outstanding} % lent, {} on credit, for {}",
            terms.allowance(),
            duration(terms.life_ms())
        );
        let bounds = vec![(outstanding, 1), (credit, 1), share];
        facts.say(owner, ".lease", Says::Bounds(bounds, told));
    }
}

/// How much may pass: in time, at once, across the end of a period, under way, and how soon what
/// is under way is forgotten.
pub(super) fn allowance(allowance: Allowance) -> Says {
    match allowance {
        Allowance::Unlimited => Says::Bounds(vec![UNBOUNDED; 5], "unlimited".to_owned()),
        Allowance::InFlight(spec) => {
            let (most, life) = ((u64::from(spec.max()), 1), (1, spec.life_ms()));
            let told = format!("{} at once, each for {}", spec.max(), duration(spec.life_ms()));
            Says::Bounds(vec![UNBOUNDED, UNBOUNDED, UNBOUNDED, most, life], told)
        }
        Allowance::Rate(spec) => {
            let requests = spec.rate().requests();
            let in_time = (requests, spec.rate().period_ms());
            let across = spec.worst_case().saturating_sub(requests);
            let bounds = vec![in_time, (spec.capacity(), 1), (across, 1), UNBOUNDED, UNBOUNDED];
            Says::Bounds(bounds, rate(spec))
        }
    }
}

fn rate(spec: Spec) -> String {
    let period = match spec.rate().period() {
        Period::Millis(millis) => duration(millis.get()),
        Period::Month => "1mo".to_owned(),
    };
    let mut told = format!("{}/{period}, {}", spec.rate().requests(), spec.algorithm().as_str());
    if spec.capacity() != spec.rate().requests() {
        told.push_str(&format!(", {} at once", spec.capacity()));
    }
    if spec.anchor() != Anchor::Clock {
        told.push_str(&format!(", windows from {}", spec.anchor().as_str()));
    }
    told
}

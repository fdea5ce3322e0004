//! Limits: each for itself. Whether a route may use one is the routes' check.

mod amounts;
mod keys;
mod lease;

use std::sync::Arc;

use postern_leases::{Terms, eligibility_of};

use crate::decode::Named;
use crate::model::{Allowance, JwtIssuer, Limit, LimitMode, StoreFailure};
use crate::problem::{Position, Problems, told};
use crate::raw::{Positive, RawLimit, RawMode};

/// The most that one request may count.
const MAX_WEIGHT: u64 = 1_000_000;

pub(super) fn check(
    raw: &Named<RawLimit>,
    issuers: &[JwtIssuer],
    problems: &mut Problems,
) -> Vec<Arc<Limit>> {
    let limits = raw.0.iter();
    limits.map(|(name, _, raw)| Arc::new(check_limit(name, raw, issuers, problems))).collect()
}

fn check_limit(
    name: &str,
    raw: &RawLimit,
    issuers: &[JwtIssuer],
    problems: &mut Problems,
) -> Limit {
    let path = told!("limits.{name}");
    let weight = raw.weight.as_ref();
    let weight = weight.and_then(|weight| check_weight(weight, &told!("{path}.weight"), problems));
    let weight = weight.unwrap_or(1);
    let terms = lease::check(raw, &path, problems);
    let mode = check_mode(raw, terms, &path, problems);
    let allowances = amounts::check(raw, terms.map(|terms| (terms, weight)), &path, problems);
    let (key, claims) = keys::check(raw, issuers, &path, problems);
    let ipv6_prefix = raw.ipv6_prefix.as_ref().map_or(64, |prefix| {
        if !(16..=128).contains(&prefix.value) {
            problems.report_as(prefix.at, &told!("{path}.ipv6_prefix"), "expected 16 to 128");
        }
        u8::try_from(prefix.value).unwrap_or(64)
    });
    let path = told!("{path}.weight");
    let all = allowances.all();
    let mut counted_as = Vec::with_capacity(all.len());
    for allowance in all {
        if counted_as.iter().all(|(known, _)| *known != allowance) {
            counted_as.push((allowance, allowance.counted_as(name)));
        }
    }
    let limit = Limit {
        name: name.to_owned(),
        key,
        allowance: allowances.base,
        tiers: allowances.tiers,
        clients: allowances.clients,
        mode,
        weight,
        skip: raw.skip,
        shadow: raw.shadow.unwrap_or(false),
        ipv6_prefix,
        counted_as,
        claims,
    };
    if let Some(weight) = &raw.weight
        && !problems.any_below(&path)
    {
        check_room(&limit, limit.weight, weight.at, &path, problems);
    }
    limit
}

fn check_mode(
    raw: &RawLimit,
    terms: Option<Terms>,
    path: &str,
    problems: &mut Problems,
) -> LimitMode {
    let when_store_fails = raw.when_store_fails.unwrap_or(StoreFailure::LocalShare);
    match raw.mode {
        RawMode::Local => {
            if raw.when_store_fails.is_some() {
                let message = "a local limit has no store that could fail";
                problems.report_as(raw.at, &told!("{path}.when_store_fails"), message);
            }
            LimitMode::Local
        }
        RawMode::Exact => LimitMode::Exact { when_store_fails },
        // Where there are no terms, a problem says why, and nothing follows from the mode.
        RawMode::Leased => terms.map_or(LimitMode::Exact { when_store_fails }, |terms| {
            LimitMode::Leased { when_store_fails, terms }
        }),
    }
}

/// How much a request counts; none where that is out of bounds.
pub(super) fn check_weight(weight: &Positive, path: &str, problems: &mut Problems) -> Option<u64> {
    if (1..=MAX_WEIGHT).contains(&weight.value) {
        return Some(weight.value);
    }
    problems.report_as(weight.at, path, told!("expected 1 to {MAX_WEIGHT}"));
    None
}

/// A request that counts more than ever fits would be refused whatever its caller does.
pub(super) fn check_room(
    limit: &Limit,
    weight: u64,
    at: Position,
    path: &str,
    problems: &mut Problems,
) {
    let too_small = described(limit)
        .filter_map(|(whose, allowance)| Some((whose, allowance.capacity()?)))
        .find(|(_, capacity)| weight > *capacity);
    if let Some((whose, capacity)) = too_small {
        let message = told!(
            "a request that counts {weight} could never pass: {whose} has room for {capacity} at \
             once"
        );
        problems.report_as(at, path, message);
    }
}

/// Slices have to be worth a message for whatever a request counts on its route.
pub(super) fn check_slices(
    limit: &Limit,
    weight: u64,
    at: Position,
    path: &str,
    problems: &mut Problems,
) {
    let LimitMode::Leased { terms, .. } = limit.mode else { return };
    let refused = described(limit).find_map(|(whose, allowance)| {
        let Allowance::Rate(spec) = allowance else { return None };
        let error = eligibility_of(spec, &terms, weight).err()?;
        Some(told!("{whose}, where a request counts {weight}: {error}"))
    });
    if let Some(message) = refused {
        problems.report_as(at, path, message);
    }
}

/// All that a limit allows, and whom.
fn described(limit: &Limit) -> impl Iterator<Item = (String, Allowance)> {
    let everybody = (told!("`{}`", limit.name), limit.allowance);
    let named = |what: &'static str, named: &[(String, Allowance)]| {
        let of = |(name, allowance): &(String, Allowance)| (told!("{what} `{name}`"), *allowance);
        named.iter().map(of).collect::<Vec<_>>()
    };
    let tiers = named("tier", &limit.tiers);
    std::iter::once(everybody).chain(tiers).chain(named("client", &limit.clients))
}

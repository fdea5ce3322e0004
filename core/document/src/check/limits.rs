//! Limits: each for itself. Whether a route may use one is the routes' check.

mod amounts;
mod keys;

use std::sync::Arc;

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
    let mode = check_mode(raw, &path, problems);
    let allowances = amounts::check(raw, &path, problems);
    let (key, claims) = keys::check(raw, issuers, &path, problems);
    let ipv6_prefix = raw.ipv6_prefix.as_ref().map_or(64, |prefix| {
        if !(16..=128).contains(&prefix.value) {
            problems.report_as(prefix.at, &told!("{path}.ipv6_prefix"), "expected 16 to 128");
        }
        u8::try_from(prefix.value).unwrap_or(64)
    });
    let path = told!("{path}.weight");
    let weight = raw.weight.as_ref().and_then(|weight| check_weight(weight, &path, problems));
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
        weight: weight.unwrap_or(1),
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

fn check_mode(raw: &RawLimit, path: &str, problems: &mut Problems) -> LimitMode {
    match raw.mode {
        RawMode::Local => {
            if raw.when_store_fails.is_some() {
                let message = "a local limit has no store that could fail";
                problems.report_as(raw.at, &told!("{path}.when_store_fails"), message);
            }
            LimitMode::Local
        }
        RawMode::Exact => {
            let when_store_fails = raw.when_store_fails.unwrap_or(StoreFailure::LocalShare);
            LimitMode::Exact { when_store_fails }
        }
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
    let everybody = (told!("`{}`", limit.name), limit.allowance);
    let all = std::iter::once(everybody)
        .chain(described("tier", &limit.tiers))
        .chain(described("client", &limit.clients));
    let too_small = all
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

fn described<'l>(
    what: &'l str,
    named: &'l [(String, Allowance)],
) -> impl Iterator<Item = (String, Allowance)> + 'l {
    named.iter().map(move |(name, allowance)| (told!("{what} `{name}`"), *allowance))
}

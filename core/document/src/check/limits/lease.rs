//! The terms on which a limit is leased. Whether its numbers suit them is asked of each amount.

use postern_leases::terms::{DEFAULT_LIFE_MS, DEFAULT_OUTSTANDING};
use postern_leases::{Start, Terms};

use crate::problem::{Problems, told};
use crate::raw::{RawLease, RawLimit, RawMode, RawStart};

/// Who comes first should not have to wait for a slice.
const DEFAULT_ALLOWANCE: u32 = 10;

/// The terms; none where the limit is not leased, or where a problem keeps it from being so.
pub(super) fn check(raw: &RawLimit, path: &str, problems: &mut Problems) -> Option<Terms> {
    let path = told!("{path}.lease");
    let is_leased = raw.mode == RawMode::Leased;
    let Some(lease) = &raw.lease else {
        // By `in_flight` nothing can be leased, and that is what is said.
        if is_leased && raw.in_flight.is_none() && !problems.any_below(&path) {
            let message = "say how many Envoys use one key at the same time, for example `lease: \
                           {sidecars: 20}`";
            problems.report_as(raw.at, &path, message);
        }
        return None;
    };
    if !is_leased {
        problems.report_as(lease.at, &path, "is for limits with `mode: leased`");
        return None;
    }
    // Numbers that could not be read are not judged by those that stand in for them.
    let is_readable = !problems.any_below(&path);
    let terms = terms(lease, &path, problems);
    terms.filter(|_| is_readable)
}

fn terms(lease: &RawLease, path: &str, problems: &mut Problems) -> Option<Terms> {
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let sidecars = narrow(lease.sidecars.value);
    let outstanding = lease.outstanding.as_ref();
    let outstanding_at = outstanding.map(|share| share.at);
    let outstanding = outstanding.map_or(DEFAULT_OUTSTANDING, |share| narrow(share.value));
    let life_ms = lease.life.as_ref().map_or(DEFAULT_LIFE_MS, |life| life.millis);
    let life_at = lease.life.as_ref().map(|life| life.at);
    let allowance_at = lease.allowance.as_ref().map(|allowance| allowance.at);
    let start = match (lease.start, &lease.allowance) {
        (Some(RawStart::Strict), allowance) => {
            if let Some(allowance) = allowance {
                let message = "is for an optimistic start: with `start: strict` nothing passes \
                               before there is a slice";
                problems.report_as(allowance.at, &told!("{path}.allowance"), message);
            }
            Start::Strict
        }
        (Some(RawStart::Optimistic) | None, allowance) => {
            let allowance = allowance.as_ref();
            let allowance =
                allowance.map_or(DEFAULT_ALLOWANCE, |allowance| narrow(allowance.value));
            Start::Optimistic { allowance }
        }
    };
    // Each number beside others that are well, so that all that are not are told.
    let of_share = Terms::new(1, outstanding, DEFAULT_LIFE_MS, Start::Strict);
    let of_life = Terms::new(1, DEFAULT_OUTSTANDING, life_ms, Start::Strict);
    let of_start = Terms::new(1, DEFAULT_OUTSTANDING, DEFAULT_LIFE_MS, start);
    for (field, at, terms) in [
        ("sidecars", Some(lease.sidecars.at), Terms::of(sidecars)),
        ("outstanding", outstanding_at, of_share),
        ("life", life_at, of_life),
        ("allowance", allowance_at, of_start),
    ] {
        if let Err(error) = terms {
            let at = at.unwrap_or(lease.at);
            problems.report_as(at, &told!("{path}.{field}"), told!("{error}"));
        }
    }
    Terms::new(sidecars, outstanding, life_ms, start).ok()
}

//! Numbers within bounds. What is beyond them is reported, and gone on with as if it were not.

use std::ops::RangeInclusive;

use crate::problem::{Problems, told};
use crate::raw::{Duration, Percent, Positive};

pub(super) fn whole(
    field: Option<&Positive>,
    bounds: RangeInclusive<u32>,
    path: &str,
    problems: &mut Problems,
) -> Option<u32> {
    let field = field?;
    let value = u32::try_from(field.value).ok().filter(|value| bounds.contains(value));
    if value.is_none() {
        let message = told!("expected {} to {}", bounds.start(), bounds.end());
        problems.report_as(field.at, path, message);
    }
    value
}

/// `written` says the bounds as the document would.
pub(super) fn milliseconds(
    field: Option<&Duration>,
    bounds: RangeInclusive<u64>,
    written: &str,
    path: &str,
    problems: &mut Problems,
) -> Option<u64> {
    let field = field?;
    if !bounds.contains(&field.millis) {
        problems.report_as(field.at, path, told!("expected {written}"));
        return None;
    }
    Some(field.millis)
}

pub(super) fn seconds(
    field: &Duration,
    longest: u32,
    written: &str,
    path: &str,
    problems: &mut Problems,
) -> u32 {
    let secs = u32::try_from(field.millis / 1000).ok().filter(|secs| (1..=longest).contains(secs));
    match secs {
        Some(secs) if field.millis.is_multiple_of(1000) => secs,
        _ => {
            problems.report_as(field.at, path, told!("expected {written}, in whole seconds"));
            1
        }
    }
}

pub(super) fn percent(
    field: Option<&Percent>,
    bounds: RangeInclusive<u8>,
    path: &str,
    problems: &mut Problems,
) -> Option<u8> {
    let field = field?;
    let value = u8::try_from(field.value).ok().filter(|value| bounds.contains(value));
    if value.is_none() {
        let message = told!("expected {}% to {}%", bounds.start(), bounds.end());
        problems.report_as(field.at, path, message);
    }
    value
}

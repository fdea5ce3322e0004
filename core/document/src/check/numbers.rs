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

/// `503` or `500-599`: the first and the last, none of them below `lowest`.
pub(super) fn statuses_in(text: &str, lowest: u16) -> Option<(u16, u16)> {
    let status = |text: &str| {
        let is_written = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let status = text.parse::<u16>().ok().filter(|_| is_written);
        status.filter(|status| (lowest..=599).contains(status))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_single_or_ranges() {
        for (text, expected) in
            [("200", (200, 200)), ("200-299", (200, 299)), ("100-599", (100, 599))]
        {
            assert_eq!(statuses_in(text, 100), Some(expected), "{text}");
        }
        for bad in ["", "99", "600", "2xx", "299-200", "200-", "-299", "200-299-", "0200", "+20"] {
            assert_eq!(statuses_in(bad, 100), None, "{bad}");
        }
        assert_eq!(statuses_in("399-500", 400), None);
    }
}

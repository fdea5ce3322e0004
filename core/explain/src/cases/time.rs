//! Points in time and spans of it, as case files and command lines write them.

use postern_document::parse_duration_ms;
use postern_request::UnixMillis;

/// What is expected of [`instant`].
pub(super) const INSTANT: &str = "a time in UTC such as 2026-01-02T03:04:05Z";
/// What is expected of [`seconds`].
pub(super) const SPAN: &str = "a time of whole seconds such as 10m, or -1m for one that is over";

/// A time as RFC 3339 writes it, in UTC: by whole seconds, or with milliseconds. None where the text
/// is none, or names a day that there is not.
#[must_use]
pub fn instant(text: &str) -> Option<UnixMillis> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "000"));
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let millis = number(fraction, 3)?;
    let is_date = (1970..=9999).contains(&year) && (1..=days_of(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let secs = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(UnixMillis(secs * 1000 + millis))
}

/// A span, with `-` before one that is over, in whole seconds.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let (past, span) = text.strip_prefix('-').map_or((false, text), |span| (true, span));
    let millis = parse_duration_ms(span).filter(|millis| millis % 1000 == 0)?;
    let secs = i64::try_from(millis / 1000).ok()?;
    Some(if past { -secs } else { secs })
}

/// A moment so many seconds after another one, or before it.
pub(super) fn shifted(secs: u64, by: i64) -> u64 {
    secs.saturating_add_signed(by)
}

fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut read = [0; 3];
    for (place, digits) in read.iter_mut().zip(digits) {
        *place = number(parts.next()?, digits)?;
    }
    parts.next().is_none().then_some(read)
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// None in a month that there is not.
fn days_of(year: u64, month: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Days from 1970-01-01 to a date that is not before it, by years that begin in March: with
/// those the leap day is the last one and needs no special case.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        for text in [
            "1970-01-01T00:00:00.000Z",
            "2000-02-29T00:00:00.000Z",
            "2024-02-29T23:59:59.999Z",
            "2026-01-02T03:04:05.000Z",
            "2100-12-31T12:00:00.001Z",
        ] {
            assert_eq!(instant(text).unwrap().to_rfc3339(), text);
        }
        assert_eq!(instant("2026-01-02T03:04:05Z"), instant("2026-01-02T03:04:05.000Z"));
        for bad in [
            "",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05+01:00",
            "2026-13-02T03:04:05Z",
            "2026-00-02T03:04:05Z",
            "2026-02-29T03:04:05Z",
            "1969-12-31T23:59:59Z",
            "2026-01-02T24:00:00Z",
            "2026-1-2T03:04:05Z",
            "2026-01-02T03:04:05.1Z",
            "2026-01-02-03T03:04:05Z",
        ] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_span_may_be_over() {
        for (text, secs) in [("10m", 600), ("-1m", -60), ("0s", 0), ("2000ms", 2)] {
            assert_eq!(seconds(text), Some(secs), "{text}");
        }
        for bad in ["", "-", "10", "1500ms", "--1m", "soon"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
        assert_eq!([shifted(10, -20), shifted(10, 5)], [0, 15]);
    }
}

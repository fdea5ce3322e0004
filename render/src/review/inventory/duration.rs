//! Durations as Go writes them: `250ms`, `0.25s`, `1m30s`.

/// Nanoseconds of a unit.
const UNITS: [(&str, u128); 7] = [
    ("ns", 1),
    ("us", 1000),
    ("µs", 1000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// Most digits of a number: more is no duration that anybody means.
const LONGEST: usize = 12;

/// Milliseconds, a broken one counted as a whole; none where this is no duration.
pub(super) fn millis(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at_checked(end)?;
        let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(end)?;
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        nanos = nanos.checked_add(digits(whole)?.checked_mul(*size)?)?;
        let scale = 10_u128.checked_pow(u32::try_from(part.len()).ok()?)?;
        nanos = nanos.checked_add(digits(part)?.checked_mul(*size)? / scale)?;
        rest = behind;
    }
    if text.is_empty() { None } else { u64::try_from(nanos.div_ceil(1_000_000)).ok() }
}

fn digits(text: &str) -> Option<u128> {
    if text.is_empty() {
        return Some(0);
    }
    if text.len() > LONGEST {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, expected) in [
            ("250ms", Some(250)),
            ("0.25s", Some(250)),
            (".5s", Some(500)),
            ("1m30s", Some(90_000)),
            ("600s", Some(600_000)),
            ("1h", Some(3_600_000)),
            ("1us", Some(1)),
            ("0s", Some(0)),
            ("", None),
            ("10", None),
            ("s", Some(0)),
            ("1d", None),
            ("1.2.3s", None),
            ("-1s", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
}

//! Correlation ids (UUIDs) and W3C trace context.

use core::ops::Range;

/// Whether `text` is a UUID in its usual spelling, e.g. `f47ac10b-58cc-4372-a567-0e02b2c3d479`.
/// The nil UUID, which names nothing, is none.
#[must_use]
pub fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
        && text.iter().any(|byte| !matches!(byte, b'0' | b'-'))
}

/// A random-looking (version 4) UUID made of 128 bits from the caller.
#[must_use]
pub fn uuid_from(bits: u128) -> String {
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let mut text = String::with_capacity(36);
    for (shift, digits) in [(96, 8), (80, 4), (64, 4), (48, 4), (0, 12)] {
        if !text.is_empty() {
            text.push('-');
        }
        push_hex(&mut text, bits >> shift, digits);
    }
    text
}

/// Appends the lowest so many hexadecimal digits.
fn push_hex(text: &mut String, bits: u128, digits: u32) {
    for place in (0..digits).rev() {
        let digit = u32::try_from((bits >> (4 * place)) & 0xf).unwrap_or_default();
        text.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
}

/// The correlation id of a request: the client's own when it is a UUID, else Envoy's request
/// id when that is one (Envoy makes them at random), else one made of `fallback`.
#[must_use]
pub fn choose(
    client: Option<&[u8]>,
    request_id: Option<&[u8]>,
    fallback: impl FnOnce() -> u128,
) -> String {
    [client, request_id]
        .into_iter()
        .flatten()
        .find(|candidate| is_uuid(candidate))
        .and_then(|uuid| core::str::from_utf8(uuid).ok())
        .map_or_else(|| uuid_from(fallback()), str::to_owned)
}

/// Whether a `traceparent` is one that a participant must honour (W3C Trace Context §3.2).
#[must_use]
pub fn is_traceparent(text: &[u8]) -> bool {
    let lower_hex =
        |part: &[u8]| part.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    let zero = |part: &[u8]| part.iter().all(|b| *b == b'0');
    let mut parts = text.split(|b| *b == b'-');
    let (Some(version), Some(trace), Some(parent), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    version.len() == 2
        && lower_hex(version)
        && version != b"ff"
        && trace.len() == 32
        && lower_hex(trace)
        && !zero(trace)
        && parent.len() == 16
        && lower_hex(parent)
        && !zero(parent)
        && flags.len() == 2
        && lower_hex(flags)
        && (version != b"00" || parts.next().is_none())
        && text.len() <= 256
}

/// Where a UUID's groups of digits are.
const UUID_GROUPS: [Range<usize>; 5] = [0..8, 9..13, 14..18, 19..23, 24..36];

/// A new, unsampled `traceparent` whose trace id is the correlation id, so that logs and
/// traces of one request are found by either. The parent id is the last sixteen digits of
/// `request_id`, which is another one for each request. Both are UUIDs.
#[must_use]
pub fn traceparent_for(correlation_id: &str, request_id: &str) -> String {
    let mut text = String::with_capacity(55);
    text.push_str("00-");
    for group in UUID_GROUPS {
        text.push_str(correlation_id.get(group).unwrap_or_default());
    }
    text.push('-');
    let parent = text.len();
    for group in UUID_GROUPS.into_iter().skip(3) {
        text.push_str(request_id.get(group).unwrap_or_default());
    }
    if text.bytes().skip(parent).all(|digit| digit == b'0') {
        // Zero is no parent id.
        text.truncate(parent);
        text.push_str("0000000000000001");
    }
    text.push_str("-00");
    text.make_ascii_lowercase();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uuids_are_kept() {
        let kept = b"F47ac10b-58cc-4372-a567-0e02b2c3d479";
        let made = b"11111111-2222-4333-8444-555555555555";
        let choice = |client: Option<&[u8]>, id: Option<&[u8]>| choose(client, id, || 7);
        assert_eq!(choice(Some(kept), Some(made)).as_bytes(), kept);
        assert_eq!(choice(Some(b"<script>"), Some(made)).as_bytes(), made);
        let nil = b"00000000-0000-0000-0000-000000000000";
        assert_eq!(choice(Some(nil), Some(made)).as_bytes(), made);
        assert_eq!(choice(Some(b"\xff"), None), "00000000-0000-4000-8000-000000000007");
        assert!(is_uuid(uuid_from(u128::MAX).as_bytes()));
    }

    #[test]
    fn trace_context_is_checked_by_the_letter() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good.as_bytes()));
        for bad in [
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "",
        ] {
            assert!(!is_traceparent(bad.as_bytes()), "{bad}");
        }
        let id = "F47ac10b-58cc-4372-a567-0e02b2c3d479";
        let made = traceparent_for(id, "00000000-0000-4000-8000-00000000000A");
        assert_eq!(made, "00-f47ac10b58cc4372a5670e02b2c3d479-800000000000000a-00");
        assert!(is_traceparent(made.as_bytes()), "{made}");
        let odd = traceparent_for(id, "f47ac10b-0000-0000-0000-000000000000");
        assert!(is_traceparent(odd.as_bytes()), "{odd}");
    }
}

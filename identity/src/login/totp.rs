//! One-time passwords that follow the clock (RFC 6238), as every application makes them: SHA-1,
//! six digits, 30 seconds.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use postern_oauth::Secret;
use postern_request::UnixMillis;
use zeroize::Zeroizing;

/// Bytes of a seed: as many as the hash has (RFC 4226 §4, R6).
pub(crate) const SEED_BYTES: usize = 20;
/// How long a code is good, in seconds.
const STEP_SECS: u64 = 30;
/// Digits of a code.
pub(crate) const DIGITS: usize = 6;
/// Steps before and after the present one whose codes are good: clocks differ, and people type.
const LEEWAY: u64 = 1;
/// RFC 4648 §6
const BASE32: [char; 32] = [
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S',
    'T', 'U', 'V', 'W', 'X', 'Y', 'Z', '2', '3', '4', '5', '6', '7',
];

/// The step of a moment.
pub(crate) const fn step_at(now: UnixMillis) -> u64 {
    now.as_secs() / STEP_SECS
}

/// The code of a step (RFC 4226 §5.3).
fn code(seed: &[u8], step: u64) -> [u8; DIGITS] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or(0) & 0xf);
    let word = tag.get(offset..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; 4]);
    let mut number = u32::from_be_bytes(word) & 0x7fff_ffff;
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    digits
}

/// The code of a moment, as an application shows it.
#[cfg(test)]
pub(crate) fn code_at(seed: &[u8], now: UnixMillis) -> String {
    String::from_utf8(code(seed, step_at(now)).to_vec()).unwrap()
}

/// The step whose code was typed in, among those around the present one that are later than the
/// last one that was used (RFC 6238 §5.2: a code is good once).
///
/// Every step is looked at, whichever fits.
pub(crate) fn matching_step(
    seed: &[u8],
    typed: &str,
    last_used: u64,
    now: UnixMillis,
) -> Option<u64> {
    let present = step_at(now);
    let mut found = None;
    for step in present.saturating_sub(LEEWAY)..=present.saturating_add(LEEWAY) {
        let fits = verify_slices_are_equal(&code(seed, step), typed.as_bytes()).is_ok();
        if fits && step > last_used {
            found = Some(step);
        }
    }
    found
}

/// What an application reads: the seed as people type it, and the URI of the QR code.
pub(crate) fn enrolment(seed: &[u8], issuer: &str, account: &str) -> (Secret, Secret) {
    let secret = Zeroizing::new(base32(seed));
    let mut uri = Zeroizing::new(String::from("otpauth://totp/"));
    escape(&mut uri, issuer);
    uri.push(':');
    escape(&mut uri, account);
    uri.push_str("?secret=");
    uri.push_str(&secret);
    uri.push_str("&issuer=");
    escape(&mut uri, issuer);
    uri.push_str("&algorithm=SHA1&digits=6&period=30");
    (Secret::new(secret.to_string()), Secret::new(uri.to_string()))
}

/// Without padding.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(digit(bits >> count));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        text.push(digit(bits << (5 - count)));
    }
    text
}

fn digit(bits: u32) -> char {
    usize::try_from(bits & 0x1f).ok().and_then(|at| BASE32.get(at)).copied().unwrap_or('A')
}

/// Everything but unreserved characters (RFC 3986 §2.3).
fn escape(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| {
                char::from_digit(u32::from(nibble), 16)
                    .map_or('0', |digit| digit.to_ascii_uppercase())
            };
            out.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed of RFC 4226, Appendix D, and of RFC 6238, Appendix B.
    const SEED: &[u8] = b"12345678901234567890";

    fn at(secs: u64) -> UnixMillis {
        UnixMillis(secs * 1000)
    }

    fn text(step: u64) -> String {
        String::from_utf8(code(SEED, step).to_vec()).unwrap()
    }

    #[test]
    fn codes_of_rfc_4226() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (count, expected) in (0..).zip(expected) {
            assert_eq!(text(count), expected, "{count}");
        }
    }

    /// The last six of the eight digits that the RFC shows.
    #[test]
    fn codes_of_rfc_6238() {
        for (secs, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(text(step_at(at(secs))), expected, "{secs}");
            assert!(matching_step(SEED, expected, 0, at(secs)).is_some(), "{secs}");
        }
    }

    #[test]
    fn a_code_is_good_for_a_step_more_or_less_and_once() {
        let now = at(1_800_000_000);
        let present = step_at(now);
        for (step, expected) in [
            (present - 2, None),
            (present - 1, Some(present - 1)),
            (present, Some(present)),
            (present + 1, Some(present + 1)),
            (present + 2, None),
        ] {
            assert_eq!(matching_step(SEED, &text(step), 0, now), expected);
        }
        assert_eq!(matching_step(SEED, &text(present), present, now), None, "it was used");
        assert_eq!(matching_step(SEED, &text(present - 1), present, now), None, "a later one was");
        assert_eq!(
            matching_step(SEED, &text(present + 1), present, now),
            Some(present + 1),
            "a later one is as good as new"
        );
    }

    #[test]
    fn nothing_else_is_a_code() {
        let now = at(59);
        for typed in ["", "28708", "2870820", "287083", " 287082", "２８７０８２", "000000"] {
            assert_eq!(matching_step(SEED, typed, 0, now), None, "{typed}");
        }
        assert_eq!(matching_step(b"another seed of 20 b", "287082", 0, now), None);
    }

    #[test]
    fn seeds_are_told_as_rfc_4648_writes_them() {
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"f", "MY"),
            (b"fo", "MZXQ"),
            (b"foo", "MZXW6"),
            (b"foob", "MZXW6YQ"),
            (b"fooba", "MZXW6YTB"),
            (b"foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes), expected);
        }
        let (secret, uri) = enrolment(SEED, "Example & Co", "a+b@example.test");
        assert_eq!(secret.expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            uri.expose(),
            "otpauth://totp/Example%20%26%20Co:a%2Bb%40example.test?secret=\
             GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example%20%26%20Co&algorithm=SHA1&digits=6\
             &period=30"
        );
    }
}

//! How one caller's requests are kept on one endpoint.

use postern_request::headers::is_safe_value;
use postern_request::token_places::{is_token, is_unreserved};

use super::super::numbers::{milliseconds, whole};
use super::super::services::Context;
use super::check_header;
use crate::model::{Hash, HashAlgorithm, HashBy, TokenPlace};
use crate::problem::Problems;
use crate::raw::{RawHash, RawHashCookie, Text};

const MAX_NAME: usize = 128;
const MAX_TTL_MS: u64 = 7 * 86_400_000;
/// Envoy's bounds.
const MAX_RING: u32 = 8_388_608;
const MAX_TABLE: u32 = 5_000_011;

pub(super) fn check(
    context: &Context<'_>,
    raw: &RawHash,
    path: &str,
    problems: &mut Problems,
) -> Option<Hash> {
    let algorithm = raw.algorithm.unwrap_or(HashAlgorithm::RingHash);
    let ring_path = format!("{path}.ring");
    let (largest, default) = match algorithm {
        HashAlgorithm::RingHash => (MAX_RING, 1024),
        HashAlgorithm::Maglev => (MAX_TABLE, 65_537),
    };
    let ring = whole(raw.ring.as_ref(), 64..=largest, &ring_path, problems).unwrap_or(default);
    if let (Some(raw), HashAlgorithm::Maglev, false) = (&raw.ring, algorithm, is_prime(ring)) {
        problems.report_as(raw.at, &ring_path, "the size of a maglev table is a prime");
    }
    let by = check_by(context, raw, path, problems)?;
    Some(Hash { by, algorithm, ring })
}

fn check_by(
    context: &Context<'_>,
    raw: &RawHash,
    path: &str,
    problems: &mut Problems,
) -> Option<HashBy> {
    let places = context.token_places;
    let (by, checked, at, name) = match (&raw.header, &raw.cookie, &raw.query, raw.source_ip) {
        (Some(header), None, None, None) => {
            let by = HashBy::Header(header.value.clone());
            (by, check_header(header, places), header.at, "header")
        }
        (None, Some(cookie), None, None) => {
            let by = check_cookie(cookie, path, problems);
            (by, check_cookie_name(&cookie.name, places), cookie.name.at, "cookie.name")
        }
        (None, None, Some(query), None) => {
            let by = HashBy::Query(query.value.clone());
            (by, check_query(query, places), query.at, "query")
        }
        (None, None, None, Some(true)) => (HashBy::SourceIp, Ok(()), raw.at, "source_ip"),
        (None, None, None, Some(false)) => {
            (HashBy::SourceIp, Err("write true, or leave it out"), raw.at, "source_ip")
        }
        _ => {
            if !problems.any_below(path) {
                let message = "say exactly one of `header`, `cookie`, `query` and `source_ip`";
                problems.report_as(raw.at, path, message);
            }
            return None;
        }
    };
    if let Err(message) = checked {
        problems.report_as(at, &format!("{path}.{name}"), message);
    }
    Some(by)
}

fn check_cookie(raw: &RawHashCookie, path: &str, problems: &mut Problems) -> HashBy {
    let ttl_path = format!("{path}.cookie.ttl");
    let ttl_ms = milliseconds(Some(&raw.ttl), 1_000..=MAX_TTL_MS, "1s to 7d", &ttl_path, problems);
    let cookie_path = raw.path.as_ref().map_or("/", |path| path.as_str());
    let is_path = cookie_path.starts_with('/')
        && is_safe_value(cookie_path)
        && !cookie_path.contains([';', ',', '"', ' ']);
    if let (Some(raw), false) = (&raw.path, is_path) {
        let message = "expected a path that begins with a slash, without `;`";
        problems.report_as(raw.at, &format!("{path}.cookie.path"), message);
    }
    HashBy::Cookie {
        name: raw.name.value.clone(),
        ttl_ms: ttl_ms.unwrap_or(MAX_TTL_MS),
        path: cookie_path.to_owned(),
    }
}

fn check_cookie_name(name: &Text, places: &[TokenPlace]) -> Result<(), &'static str> {
    let holds_tokens =
        |place: &TokenPlace| matches!(place, TokenPlace::Cookie(cookie) if *cookie == name.value);
    if !is_token(name.as_bytes()) || name.len() > MAX_NAME {
        Err("a cookie's name is 1 to 128 letters, digits and a few signs such as `-` and `_`")
    } else if places.iter().any(holds_tokens) {
        Err("tokens stand in this cookie: with each new one its caller would move")
    } else {
        Ok(())
    }
}

fn check_query(name: &Text, places: &[TokenPlace]) -> Result<(), &'static str> {
    let holds_tokens =
        |place: &TokenPlace| matches!(place, TokenPlace::Query(query) if *query == name.value);
    if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(is_unreserved) {
        Err("a query parameter's name is 1 to 128 letters, digits, `-`, `.`, `_` and `~`")
    } else if places.iter().any(holds_tokens) {
        Err("tokens stand in this parameter: with each new one its caller would move")
    } else {
        Ok(())
    }
}

fn is_prime(number: u32) -> bool {
    number >= 2 && (2..=number.isqrt()).all(|divisor| !number.is_multiple_of(divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_prime_sizes() {
        for prime in [2, 3, 5, 251, 65_537, MAX_TABLE] {
            assert!(is_prime(prime), "{prime}");
        }
        for other in [0, 1, 4, 9, 1024, 65_535, 65_536, 251 * 257] {
            assert!(!is_prime(other), "{other}");
        }
    }
}

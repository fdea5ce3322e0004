//! How one caller's requests are kept on one endpoint.

use postern_request::headers::is_safe_value;
use postern_request::token_places::{is_token, is_unreserved};

use super::super::numbers::{milliseconds, whole};
use super::super::services::Context;
use super::check_header;
use crate::model::{Endpoint, Hash, HashAlgorithm, HashBy, TokenPlace};
use crate::problem::Problems;
use crate::raw::{RawHash, RawHashCookie, Text};

const MAX_NAME: usize = 128;
const MAX_TTL_MS: u64 = 7 * 86_400_000;
/// Envoy's bounds.
const MAX_RING: u32 = 8_388_608;
const MAX_TABLE: u32 = 5_000_011;
/// Places of each endpoint, below which some get far more than their share.
const EACH: u32 = 150;
/// Of endpoints that the document knows, and of those that it does not: a name may stand for many.
const RING: u32 = 1_024;
const RING_OF_UNKNOWN: u32 = 16_384;
const TABLE: u32 = 65_537;

pub(super) fn check(
    context: &Context<'_>,
    raw: &RawHash,
    endpoints: &[Endpoint],
    path: &str,
    problems: &mut Problems,
) -> Option<Hash> {
    let algorithm = raw.algorithm.unwrap_or(HashAlgorithm::RingHash);
    let ring = check_ring(raw, algorithm, needed(endpoints), &format!("{path}.ring"), problems);
    let by = check_by(context, raw, path, problems)?;
    Some(Hash { by, algorithm, ring })
}

/// How many places there must be, so that the endpoint with the least weight has enough of them;
/// none where only others know the endpoints.
fn needed(endpoints: &[Endpoint]) -> Option<u64> {
    let weights = || endpoints.iter().map(|endpoint| u64::from(endpoint.weight));
    let (least, all) = (weights().min()?, weights().sum::<u64>());
    Some(all.saturating_mul(u64::from(EACH)).div_ceil(least.max(1)))
}

fn check_ring(
    raw: &RawHash,
    algorithm: HashAlgorithm,
    needed: Option<u64>,
    path: &str,
    problems: &mut Problems,
) -> u32 {
    let (largest, default) = match (algorithm, needed) {
        (HashAlgorithm::RingHash, None) => (MAX_RING, RING_OF_UNKNOWN),
        (HashAlgorithm::RingHash, Some(_)) => (MAX_RING, RING),
        (HashAlgorithm::Maglev, _) => (MAX_TABLE, TABLE),
    };
    let fewest = needed.unwrap_or_default();
    let Some(fewest) = u32::try_from(fewest).ok().filter(|fewest| *fewest <= largest) else {
        let message = format!(
            "{EACH} places for the endpoint with the least weight take {fewest} in all, and there \
             are {largest} at most: bring the weights closer together"
        );
        let at = raw.ring.as_ref().map_or(raw.at, |ring| ring.at);
        problems.report_as(at, path, message);
        return default;
    };
    let Some(written) = &raw.ring else {
        let ring = default.max(fewest);
        let is_possible = |ring: &u32| algorithm == HashAlgorithm::RingHash || is_prime(*ring);
        return (ring..=largest).find(is_possible).unwrap_or(largest);
    };
    let Some(ring) = whole(Some(written), EACH..=largest, path, problems) else { return default };
    if algorithm == HashAlgorithm::Maglev && !is_prime(ring) {
        problems.report_as(written.at, path, "the size of a maglev table is a prime");
    } else if ring < fewest {
        let message = format!(
            "too few for these endpoints: {EACH} places for each, by its weight, are {fewest} in \
             all; leave `ring` out, or write as many"
        );
        problems.report_as(written.at, path, message);
    }
    ring
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

    #[test]
    fn the_least_of_all_weights_says_how_many_places_are_needed() {
        let weighing = |weights: &[u32]| -> Vec<Endpoint> {
            let endpoint = |weight: &u32| Endpoint {
                address: [10, 0, 0, 1].into(),
                port: 80,
                weight: *weight,
                zone: None,
                labels: [].into(),
                service_account: None,
            };
            weights.iter().map(endpoint).collect()
        };
        for (weights, expected) in [
            (vec![], None),
            (vec![1], Some(150)),
            (vec![7, 7, 7], Some(450)),
            (vec![1, 99], Some(15_000)),
            (vec![2, 3], Some(375)),
            (vec![1; 1000], Some(150_000)),
            (vec![1, 1_000_000], Some(150_000_150)),
        ] {
            assert_eq!(needed(&weighing(&weights)), expected, "{weights:?}");
        }
    }
}

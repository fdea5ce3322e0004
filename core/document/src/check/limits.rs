//! Limits.

use std::sync::Arc;

use postern_limits::Algorithm;
use postern_limits::key::KeyPart;
use postern_limits::token_bucket::MAX_BURST;

use crate::decode::Named;
use crate::model::{Limit, LimitMode, StoreFailure};
use crate::problem::Problems;
use crate::raw::{RawAlgorithm, RawLimit, RawMode};

const MAX_KEY_PARTS: usize = 8;

pub(super) fn check(raw: &Named<RawLimit>, problems: &mut Problems) -> Vec<Arc<Limit>> {
    raw.0.iter().map(|(name, _, limit)| Arc::new(check_limit(name, limit, problems))).collect()
}

fn check_limit(name: &str, raw: &RawLimit, problems: &mut Problems) -> Limit {
    let path = format!("limits.{name}");
    let (algorithm, mode) = check_mode(raw, &path, problems);
    let burst = raw.burst.as_ref().map_or(raw.rate.rate.requests(), |burst| {
        let path = format!("{path}.burst");
        if !(1..=MAX_BURST).contains(&burst.value) {
            problems.report_as(burst.at, &path, format!("expected 1 to {MAX_BURST}"));
        }
        if algorithm != Algorithm::TokenBucket {
            problems.report_as(burst.at, &path, "only a token_bucket has a burst");
        }
        burst.value
    });
    let ipv6_prefix = raw.ipv6_prefix.as_ref().map_or(64, |prefix| {
        if !(16..=128).contains(&prefix.value) {
            problems.report_as(prefix.at, &format!("{path}.ipv6_prefix"), "expected 16 to 128");
        }
        u8::try_from(prefix.value).unwrap_or(64)
    });
    // Redis' scripts count in doubles: beyond 2⁵² the arithmetic would no longer be exact.
    const EXACT: u64 = 1 << 52;
    let product = raw.rate.rate.requests().saturating_mul(raw.rate.rate.period_ms());
    if mode != LimitMode::Local && product > EXACT {
        let message =
            "too many requests over too long a period to count exactly; use a shorter period";
        problems.report_as(raw.rate.at, &format!("{path}.rate"), message);
    }
    Limit {
        name: name.to_owned(),
        counted_as: format!(
            "{name} {}/{} {burst}",
            raw.rate.rate.requests(),
            raw.rate.rate.period_ms()
        ),
        key: check_key(raw, &path, problems),
        rate: raw.rate.rate,
        burst,
        algorithm,
        mode,
        ipv6_prefix,
    }
}

fn check_mode(raw: &RawLimit, path: &str, problems: &mut Problems) -> (Algorithm, LimitMode) {
    let algorithm = raw.algorithm.map(|algorithm| match algorithm {
        RawAlgorithm::SlidingWindow => Algorithm::SlidingWindow,
        RawAlgorithm::TokenBucket => Algorithm::TokenBucket,
    });
    let (fitting, mode) = match raw.mode {
        RawMode::Local => {
            if raw.when_store_fails.is_some() {
                let message = "a local limit has no store that could fail";
                problems.report_as(raw.at, &format!("{path}.when_store_fails"), message);
            }
            (Algorithm::TokenBucket, LimitMode::Local)
        }
        RawMode::Exact => {
            let when_store_fails = raw.when_store_fails.unwrap_or(StoreFailure::LocalShare);
            (Algorithm::SlidingWindow, LimitMode::Exact { when_store_fails })
        }
    };
    if algorithm.is_some_and(|algorithm| algorithm != fitting) {
        problems.report_as(
            raw.at,
            &format!("{path}.algorithm"),
            "in this release a local limit is a token_bucket and an exact one a sliding_window",
        );
    }
    (fitting, mode)
}

fn check_key(raw: &RawLimit, path: &str, problems: &mut Problems) -> Vec<KeyPart> {
    let path = format!("{path}.key");
    if raw.key.is_empty() || raw.key.len() > MAX_KEY_PARTS {
        let message = format!("name 1 to {MAX_KEY_PARTS} things to count by, for example [ip]");
        problems.report_as(raw.at, &path, message);
    }
    let mut parts = Vec::with_capacity(raw.key.len());
    for text in &raw.key {
        match KeyPart::parse(text) {
            Some(KeyPart::Header(name)) if !postern_request::headers::is_lowercase_name(&name) => {
                problems.report_as(text.at, &path, "write the header's name in lower case");
            }
            Some(part) if parts.contains(&part) => {
                problems.report_as(text.at, &path, "this part is there twice");
            }
            Some(part) => parts.push(part),
            None => problems.report_as(
                text.at,
                &path,
                "expected ip, claim.sub, claim.client_id, claim.tier, header.NAME, path.NAME or route",
            ),
        }
    }
    parts
}

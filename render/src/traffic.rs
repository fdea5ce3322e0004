//! What the document says of traffic, in the numbers that both renderings write.

use postern_document::{CanaryPick, HeaderValue, Retries};
use serde_json::{Value, json};

/// What follows a first attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repeats {
    /// How often at most; the document counts the first attempt too.
    pub(crate) times: u32,
    /// On what, in Envoy's words, joined as Envoy reads them.
    pub(crate) on: String,
    /// How long each attempt may take, in milliseconds.
    pub(crate) per_try_timeout_ms: Option<u64>,
    /// The least time between two attempts, in milliseconds.
    pub(crate) backoff_ms: Option<u64>,
}

impl Repeats {
    /// None where nothing is tried again.
    pub(crate) fn of(retries: &Retries) -> Option<Self> {
        let times = retries.attempts.checked_sub(1).filter(|times| *times > 0)?;
        Some(Self {
            times,
            on: retries.on.join(","),
            per_try_timeout_ms: retries.per_try_timeout_ms,
            backoff_ms: retries.backoff_ms,
        })
    }
}

/// What a part of a service is called wherever it has to have a name of its own: Envoy's cluster,
/// Istio's subset.
pub(crate) fn version_name(service: &str, version: &str) -> String {
    format!("{service}--{version}")
}

/// A share in percent, as Istio writes it: a number with a fraction.
pub(crate) fn percent(parts_per_million: u32) -> Value {
    // Exact enough: shares have four decimals at most, and the shortest form is what is written.
    json!(f64::from(parts_per_million) / 10_000.0)
}

/// A share as Envoy writes it: whole parts of a million.
pub(crate) fn fractional_percent(parts_per_million: u32) -> Value {
    json!({"numerator": parts_per_million, "denominator": "MILLION"})
}

/// What a header must say for a version, in the words that Envoy's string matchers and Istio's
/// share.
pub(crate) fn header_value(pick: &CanaryPick) -> Value {
    match &pick.value {
        HeaderValue::Exact(value) => json!({"exact": value}),
        HeaderValue::Prefix(value) => json!({"prefix": value}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_attempt_is_no_repetition() {
        let retries = |attempts| Retries {
            attempts,
            on: vec!["connect-failure", "reset"],
            per_try_timeout_ms: Some(500),
            backoff_ms: None,
        };
        assert_eq!(Repeats::of(&Retries::NEVER), None);
        assert_eq!(Repeats::of(&retries(1)), None);
        assert_eq!(Repeats::of(&retries(0)), None);
        let repeats = Repeats::of(&retries(3)).unwrap();
        assert_eq!((repeats.times, repeats.on.as_str()), (2, "connect-failure,reset"));
        assert_eq!((repeats.per_try_timeout_ms, repeats.backoff_ms), (Some(500), None));
    }

    #[test]
    fn shares_are_written_as_people_wrote_them() {
        for (parts, text) in [
            (1, "0.0001"),
            (1_000, "0.1"),
            (100, "0.01"),
            (333_333, "33.3333"),
            (70_000, "7.0"),
            (1_000_000, "100.0"),
        ] {
            assert_eq!(percent(parts).to_string(), text);
        }
        let whole = json!({"numerator": 1_000_000, "denominator": "MILLION"});
        assert_eq!(fractional_percent(1_000_000), whole);
    }
}

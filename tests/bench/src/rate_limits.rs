//! What rate limit services are asked, and the configuration of envoyproxy/ratelimit that ours
//! answers by.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The domain of all requests.
pub const DOMAIN: &str = "bench";
/// The key of requests with one limit.
pub const USER: &str = "user";
/// One rule for each of these keys, whatever the value; a request with several limits has a
/// descriptor for each of the first ones.
pub const RULES: [&str; 4] = [USER, "client", "address", "endpoint"];
/// A day's, which no load reaches: what is measured is counting, not refusing. A window that long
/// does not end while keys are counted.
const NEVER_REACHED: u32 = 10_000_000;
/// So many different values there are.
pub const MOST_KEYS: u32 = 10_000_000;

/// The value of a key: all are equally long.
pub fn value(number: u32) -> String {
    format!("key-{number:07}")
}

/// Writes the configuration into a folder; the options of `postern serve` that name it.
pub fn write(folder: &Path) -> Result<Vec<String>> {
    let file = folder.join("rate-limits.yaml");
    fs::write(&file, configuration()).with_context(|| format!("writing {}", file.display()))?;
    Ok(vec!["--rate-limit-config".to_owned(), file.display().to_string()])
}

/// Of envoyproxy/ratelimit, so that a peer can be given the same.
fn configuration() -> String {
    let mut text = format!("domain: {DOMAIN}\ndescriptors:\n");
    for key in RULES {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "  - key: {key}
    rate_limit:
      unit: day
      requests_per_unit: {NEVER_REACHED}
"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use postern_descriptors::{Descriptors, Source};

    use super::*;

    #[test]
    fn every_descriptor_has_a_rule_of_its_own() {
        let source = Source { name: "rate-limits.yaml".to_owned(), text: configuration() };
        let rules = Descriptors::load(&[source], false).unwrap();
        assert_eq!(rules.rules().len(), RULES.len());
        let value = value(7);
        for key in RULES {
            let found = rules.find(DOMAIN, &[(key, value.as_str())]).unwrap();
            assert_eq!(found.rule.requests, NEVER_REACHED, "{key}");
        }
    }

    #[test]
    fn values_differ_and_are_equally_long() {
        assert_eq!(value(0), "key-0000000");
        assert_eq!(value(MOST_KEYS - 1).len(), value(0).len());
        assert_ne!(value(MOST_KEYS).len(), value(0).len());
    }
}

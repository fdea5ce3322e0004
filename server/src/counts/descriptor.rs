//! Which count of the rate limit service is meant.

use postern_descriptors::{Allowed, Descriptors};
use postern_store::volatile::{LimitKey, Take};

use super::unclear::{Names, Unclear};
use super::{Count, Counter};

/// Finds the count of a descriptor. Each entry is `KEY=VALUE`, or `KEY` where the value is empty.
///
/// # Errors
/// When no rule is for it.
pub fn of_descriptor(
    rules: &Descriptors,
    domain: &str,
    entries: &[String],
) -> Result<Count, Unclear> {
    if !rules.has_domain(domain) {
        let domains = rules.domains().into_iter().map(str::to_owned);
        return Err(Unclear::NoDomain(Names(domains.collect())));
    }
    let pairs: Vec<(&str, &str)> =
        entries.iter().map(|entry| entry.split_once('=').unwrap_or((entry.as_str(), ""))).collect();
    let found = rules.find(domain, &pairs).ok_or(Unclear::NoRule)?;
    let rule = found.rule;
    let counter = match rule.allowed {
        Allowed::Unlimited => Counter::Unlimited,
        Allowed::Nothing => Counter::Closed { period_secs: rule.period_secs().unwrap_or_default() },
        Allowed::Rate(spec) => Counter::Kept {
            key: LimitKey::of_descriptor(&found.counter_key, spec),
            take: Take::Rate { spec, cost: 0 },
        },
    };
    let name = if rule.name.is_empty() { &rule.full_key } else { &rule.name };
    Ok(Count { name: name.clone(), caller: None, counter })
}

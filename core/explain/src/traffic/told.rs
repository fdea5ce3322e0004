//! Traffic in words.

use postern_document::{
    CanaryPick, Hash, HashBy, HeaderValue, Health, HealthBy, Outliers, Retries, Route, Service,
};

use crate::limits::duration;

/// What a header must say: `x-canary: always`, with an asterisk for what only begins so.
pub(crate) fn picked(pick: &CanaryPick) -> String {
    match &pick.value {
        HeaderValue::Exact(value) => format!("{}: {value}", pick.header),
        HeaderValue::Prefix(value) => format!("{}: {value}*", pick.header),
    }
}

/// `90 % stable, 10 % canary`
pub(super) fn shares(versions: &[(String, u8)]) -> String {
    let shares = versions.iter().map(|(name, percent)| format!("{percent} % {name}"));
    shares.collect::<Vec<_>>().join(", ")
}

/// A share in percent, with as many decimals as it has.
pub(super) fn share(parts_per_million: u32) -> String {
    let (whole, rest) = (parts_per_million / 10_000, parts_per_million % 10_000);
    if rest == 0 {
        return format!("{whole} %");
    }
    let decimals = format!("{rest:04}");
    format!("{whole}.{} %", decimals.trim_end_matches('0'))
}

/// `[area=search, remote_address=203.0.113.7]`
pub(super) fn descriptors(told: &[Vec<(String, String)>]) -> String {
    let one = |entries: &Vec<(String, String)>| {
        let entries = entries.iter().map(|(key, value)| format!("{key}={value}"));
        format!("[{}]", entries.collect::<Vec<_>>().join(", "))
    };
    told.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// How a service is asked. `service`: by whom endpoints are chosen; none where somebody else has
/// chosen.
pub(super) fn way(
    name: &str,
    route: &Route,
    retries: &Retries,
    service: Option<&Service>,
) -> String {
    let mut words = vec![format!("timeout {}", duration(route.timeout_ms))];
    if retries.attempts > 1 {
        words.push(format!("{} attempts on {}", retries.attempts, retries.on.join(", ")));
        words.extend(retries.per_try_timeout_ms.map(|ms| format!("each at most {}", duration(ms))));
        words.extend(retries.backoff_ms.map(|ms| format!("at least {} apart", duration(ms))));
    }
    if let Some(service) = service {
        words.extend(service.hash.as_ref().map(hash));
        words.extend(service.outlier_detection.as_ref().map(outliers));
        words.extend(service.health.as_ref().map(health));
        let bulkhead = route.bulkhead.as_ref();
        words.extend(bulkhead.map(|bulkhead| format!("connections of `{}`", bulkhead.name)));
    }
    format!("{name}: {}", words.join("; "))
}

fn hash(hash: &Hash) -> String {
    let by = match &hash.by {
        HashBy::Header(name) => format!("the header {name}"),
        HashBy::Cookie { name, .. } => format!("the cookie {name}"),
        HashBy::Query(name) => format!("the query parameter {name}"),
        HashBy::SourceIp => "the client's address".to_owned(),
    };
    format!("one endpoint by {by}")
}

fn outliers(outliers: &Outliers) -> String {
    let after = [
        (outliers.consecutive_5xx, "answers of 500 and above"),
        (outliers.consecutive_gateway, "answers of 502 to 504"),
        (outliers.consecutive_local, "failed connections"),
    ];
    let after = after.iter().filter_map(|(count, what)| Some(format!("{} {what}", (*count)?)));
    let after = after.collect::<Vec<_>>().join(" or ");
    format!("an endpoint is left out for {} after {after} in a row", duration(outliers.ejection_ms))
}

fn health(health: &Health) -> String {
    let asked = match &health.by {
        HealthBy::Http { path, .. } => format!("for {path}"),
        HealthBy::Grpc { .. } => "by gRPC".to_owned(),
        HealthBy::Tcp => "for a connection".to_owned(),
    };
    format!("endpoints are asked {asked} every {}", duration(health.interval_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_as_documents_write_them() {
        for (parts, expected) in
            [(1_000_000, "100 %"), (1000, "0.1 %"), (100, "0.01 %"), (1, "0.0001 %")]
        {
            assert_eq!(share(parts), expected);
        }
        let versions = [("stable".to_owned(), 90), ("canary".to_owned(), 10)];
        assert_eq!(shares(&versions), "90 % stable, 10 % canary");
    }
}

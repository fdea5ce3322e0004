//! What a review says of how requests reach services: the fields that filters never read.

use postern_document::{Document, Fallback, OnFailure, Route};

/// Headers that pick a version.
pub(super) fn canary_headers(route: &Route) -> impl Iterator<Item = &str> {
    route.canary.iter().map(|pick| pick.header.as_str())
}

/// What is made to go wrong.
pub(super) fn fault(route: &Route) -> Option<String> {
    let fault = route.fault.as_ref()?;
    let delay = fault
        .delay
        .map(|delay| format!("{} wait {} ms", share(delay.parts_per_million), delay.time_ms));
    let abort =
        fault.abort.map(|abort| format!("{} get {}", share(abort.parts_per_million), abort.status));
    Some(delay.into_iter().chain(abort).collect::<Vec<String>>().join(", "))
}

/// What callers get while the circuit is open, where it is not the refusal.
pub(super) fn fallback(route: &Route) -> Option<String> {
    Some(match route.fallback.as_ref()? {
        Fallback::Answer(answer) => format!("always {}", answer.status),
        Fallback::Stale(stale) => {
            format!("the last good answer, for {}", duration(stale.max_age_ms))
        }
        Fallback::Service(other) => format!("what {} answers", other.name),
        Fallback::Shadow => "passes all the same".to_owned(),
    })
}

/// A share in percent, with as many decimals as it has.
pub(super) fn share(parts_per_million: u32) -> String {
    let (whole, rest) = (parts_per_million / 10_000, parts_per_million % 10_000);
    if rest == 0 {
        return format!("{whole} %");
    }
    format!("{whole}.{rest:04}").trim_end_matches('0').to_owned() + " %"
}

/// Whether requests pass uncounted while the rate limit service is away.
pub(super) fn rate_limit_filter_opens(document: &Document) -> bool {
    let opens =
        document.rate_limit_filter.as_ref().is_some_and(|f| f.on_failure == OnFailure::Allow);
    opens && document.routes.iter().any(|route| !route.descriptors.is_empty())
}

/// Whether `narrow` takes calls from a workload that `wide` does not. Without peers, both take
/// them from everybody.
pub(super) fn takes_more_peers(narrow: &Route, wide: &Route) -> bool {
    let known = |peer| wide.peers.contains(peer);
    !wide.peers.is_empty() && (narrow.peers.is_empty() || !narrow.peers.iter().all(known))
}

/// Who may call a route, as SPIFFE ids or patterns of them.
pub(super) fn peers(route: &Route) -> Vec<String> {
    route.peers.iter().map(|peer| format!("spiffe://{}", peer.to_istio())).collect()
}

/// Where a route's rules are held.
pub(super) fn guarded_by(route: &Route) -> String {
    route.guarded_by().map_or_else(|| "edge".to_owned(), |workload| workload.name.clone())
}

/// What else there is to know of a route's way: timeout, attempts, versions, faults.
pub(super) fn notes(route: &Route) -> Vec<String> {
    let mut notes = vec![format!("timeout {}", duration(route.timeout_ms))];
    if route.retries.attempts > 1 {
        let on = route.retries.on.join(", ");
        notes.push(format!("{} attempts on {on}", route.retries.attempts));
    }
    for (version, percent) in &route.split {
        notes.push(format!("{percent} % to {}", version.name));
    }
    for pick in &route.canary {
        notes.push(format!("{} by `{}`", pick.version.name, pick.header));
    }
    notes.extend(route.bulkhead.as_ref().map(|bulkhead| format!("bulkhead {}", bulkhead.name)));
    notes.extend(fault(route).map(|fault| format!("fault: {fault}")));
    notes.extend(fallback(route).map(|fallback| format!("open circuit: {fallback}")));
    if !route.descriptors.is_empty() {
        notes.push("asks the rate limit service".to_owned());
    }
    notes
}

/// Milliseconds in the largest unit that fits.
pub(super) fn duration(millis: u64) -> String {
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis >= size && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_times_are_written_as_documents_write_them() {
        for (parts, expected) in
            [(1_000_000, "100 %"), (1000, "0.1 %"), (100, "0.01 %"), (1, "0.0001 %")]
        {
            assert_eq!(share(parts), expected);
        }
        for (millis, expected) in
            [(30_000, "30s"), (60_000, "1m"), (90_000, "90s"), (250, "250ms"), (86_400_000, "1d")]
        {
            assert_eq!(duration(millis), expected);
        }
    }
}

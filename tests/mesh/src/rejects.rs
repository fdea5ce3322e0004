//! What proxies did not take, however they say so: none may reject anything, ever.

use std::collections::BTreeMap;

/// Statistics of an Envoy that count updates which it did not take.
const COUNTED: [&str; 3] = [".update_rejected", ".config_fail", ".config_reload_fail"];
/// What istiod counts the same by.
const TOLD: &str = "pilot_total_xds_rejects";

/// An Envoy's own words, by its statistics; empty where it took everything.
#[must_use]
pub fn of_envoy(name: &str, stats: &BTreeMap<String, u64>) -> Vec<String> {
    let counts_rejects = |stat: &str| COUNTED.iter().any(|end| stat.ends_with(end));
    stats
        .iter()
        .filter(|(stat, count)| **count > 0 && counts_rejects(stat))
        .map(|(stat, count)| format!("{name}: {stat} is {count}"))
        .collect()
}

/// istiod's words, by its metrics; empty where nobody rejected anything.
#[must_use]
pub fn of_istiod(metrics: &str) -> Vec<String> {
    let counts = |line: &&str| {
        let zero = line.rsplit(' ').next().is_some_and(|number| number == "0");
        line.starts_with(TOLD) && !zero
    };
    metrics.lines().filter(counts).map(|line| format!("istiod: {line}")).collect()
}

/// What Envoy wrote about the last update that it did not take.
#[must_use]
pub fn last_reason(log: &str) -> Option<&str> {
    log.lines().rev().find(|line| line.contains(" rejected: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_updates_of_every_kind_are_found() {
        let stats: BTreeMap<String, u64> = [
            ("cluster_manager.cds.update_rejected", 0),
            ("listener_manager.lds.update_rejected", 1),
            ("http.outbound_1;.rds.https.443.update_rejected", 2),
            ("extension_config_discovery.http_filter.x.config_fail", 1),
            ("http1.requests_rejected_with_underscores_in_headers", 9),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into();
        let found = of_envoy("gateway", &stats);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().all(|one| one.starts_with("gateway: ")), "{found:?}");
    }

    #[test]
    fn istiod_counts_them_too() {
        let metrics = "# TYPE pilot_total_xds_rejects counter\n\
                       pilot_total_xds_rejects{type=\"lds\"} 1\n\
                       pilot_total_xds_rejects{type=\"cds\"} 0\n\
                       pilot_xds_pushes{type=\"lds\"} 7\n";
        let found = of_istiod(metrics);
        assert_eq!(found, ["istiod: pilot_total_xds_rejects{type=\"lds\"} 1"]);
        assert!(of_istiod("").is_empty());
    }

    #[test]
    fn the_last_reason_counts() {
        let log = "a\n… Listener rejected: first\nb\n… Listener rejected: second\nc\n";
        assert_eq!(last_reason(log), Some("… Listener rejected: second"));
        assert_eq!(last_reason("all is well"), None);
    }
}

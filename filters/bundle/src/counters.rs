//! What the bundle counts. Envoy adds these up over its workers.

/// Counters by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Requests,
    Allowed,
    Denied401,
    Denied403,
    Denied404,
    Denied429,
    Denied400,
    Denied503,
    Shadowed,
    TokensCached,
    TokensVerified,
    EvidenceMissing,
    IdentityStripped,
    SlotsEvicted,
    SlotConflicts,
    KeyFetches,
    KeyFetchFailures,
    WeakSeeds,
    Revoked,
    RevocationUnknown,
    FeedCalls,
    FeedFailures,
    LimitsShadowed,
    LeaseCalls,
    LeaseFailures,
    LeaseDry,
    LeaseFallbacks,
    CircuitRefused,
    CircuitFallbacks,
    CircuitOpened,
    CircuitProbes,
    ReportCalls,
    ReportFailures,
    CircuitStale,
    StaleKept,
    StaleMisses,
}

/// Their names, in order.
pub(crate) const NAMES: &[&str] = &[
    "postern_filter_requests_total",
    "postern_filter_allowed_total",
    "postern_filter_denied_401_total",
    "postern_filter_denied_403_total",
    "postern_filter_denied_404_total",
    "postern_filter_denied_429_total",
    "postern_filter_denied_400_total",
    "postern_filter_denied_503_total",
    "postern_filter_shadow_denied_total",
    "postern_filter_tokens_cached_total",
    "postern_filter_tokens_verified_total",
    "postern_filter_evidence_missing_total",
    "postern_filter_identity_stripped_total",
    "postern_filter_limit_evictions_total",
    "postern_filter_limit_conflicts_total",
    "postern_filter_key_fetches_total",
    "postern_filter_key_fetch_failures_total",
    "postern_filter_weak_seeds_total",
    "postern_filter_revoked_total",
    "postern_filter_revocation_unknown_total",
    "postern_filter_feed_calls_total",
    "postern_filter_feed_failures_total",
    "postern_filter_limits_shadowed_total",
    "postern_filter_lease_calls_total",
    "postern_filter_lease_failures_total",
    "postern_filter_lease_dry_total",
    "postern_filter_lease_fallback_total",
    "postern_filter_circuit_refused_total",
    "postern_filter_circuit_fallback_total",
    "postern_filter_circuit_opened_total",
    "postern_filter_circuit_probes_total",
    "postern_filter_report_calls_total",
    "postern_filter_report_failures_total",
    "postern_filter_circuit_stale_total",
    "postern_filter_stale_kept_total",
    "postern_filter_stale_misses_total",
];

/// Gauges, in the order of `FeedLink::gauges`, and 0 where there is no feed.
pub(crate) const GAUGES: &[&str] = &[
    "postern_filter_feed_staleness_ms",
    "postern_filter_feed_records",
    "postern_filter_feed_document_differs",
];

/// Counted in the VM and handed to Envoy every second: an increment is a call to the host, and
/// the hot path has few of those to give.
#[derive(Debug)]
pub(crate) struct Counters([u64; NAMES.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; NAMES.len()])
    }
}

impl Counters {
    pub(crate) fn add(&mut self, count: Count, by: u64) {
        if let Some(value) = self.0.get_mut(count as usize) {
            *value += by;
        }
    }

    pub(crate) fn add_denial(&mut self, status: u16) {
        self.add(
            match status {
                401 => Count::Denied401,
                403 => Count::Denied403,
                404 => Count::Denied404,
                429 => Count::Denied429,
                400 => Count::Denied400,
                _ => Count::Denied503,
            },
            1,
        );
    }

    pub(crate) fn take(&mut self) -> Vec<u64> {
        core::mem::take(self).0.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_counters_go_together() {
        let mut counters = Counters::default();
        counters.add(Count::KeyFetchFailures, 2);
        counters.add_denial(429);
        let counted: Vec<_> =
            NAMES.iter().zip(counters.take()).filter(|(_, value)| *value > 0).collect();
        assert_eq!(
            counted,
            [
                (&"postern_filter_denied_429_total", 1),
                (&"postern_filter_key_fetch_failures_total", 2)
            ]
        );
        assert!(counters.take().iter().all(|value| *value == 0));
    }
}

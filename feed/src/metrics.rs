//! What the feed counts. Labels are our own words; nothing that was asked becomes one.

use std::time::Duration;

use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts};

use crate::quota::Counted;

/// What came of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Records were sent.
    Delta,
    /// A piece of a snapshot was sent.
    Snapshot,
    /// Nothing but key sets was sent, and maybe circuits.
    Keys,
    /// Nothing but circuits was sent.
    Circuits,
    /// There was nothing new.
    Nothing,
    /// Too many snapshots at once.
    Busy,
    /// The peer has asked too often.
    OverQuota,
    /// The durable list has not been read yet.
    Loading,
    /// It makes no sense.
    Invalid,
    /// The peer may not ask for this workload.
    NotPermitted,
    /// Nobody knows who asks.
    Unidentified,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Snapshot => "snapshot",
            Self::Keys => "keys",
            Self::Circuits => "circuits",
            Self::Nothing => "nothing",
            Self::Busy => "busy",
            Self::OverQuota => "over_quota",
            Self::Loading => "loading",
            Self::Invalid => "invalid",
            Self::NotPermitted => "not_permitted",
            Self::Unidentified => "unidentified",
        }
    }
}

/// What came of a call for slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BorrowOutcome {
    /// All of it was answered.
    Answered,
    /// Some of it was not: a part of the store is away.
    Partly,
    /// The store is away.
    Unavailable,
    /// The peer has asked for too much.
    OverQuota,
    /// It makes no sense.
    Invalid,
    /// The peer may not ask for this workload.
    NotPermitted,
    /// Nobody knows who asks.
    Unidentified,
}

impl BorrowOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Partly => "partly",
            Self::Unavailable => "unavailable",
            Self::OverQuota => "over_quota",
            Self::Invalid => "invalid",
            Self::NotPermitted => "not_permitted",
            Self::Unidentified => "unidentified",
        }
    }
}

/// What came of a question for one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseOutcome {
    /// Something was lent.
    Granted,
    /// There is nothing at the moment.
    Nothing,
    /// The document has no such limit to lend from.
    Refused,
}

impl LeaseOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Nothing => "nothing",
            Self::Refused => "refused",
        }
    }
}

/// The metrics of this component.
#[derive(Clone)]
pub struct Metrics {
    exchanges: IntCounterVec,
    documents: IntCounterVec,
    quota_refusals: IntCounterVec,
    pub(crate) waiting: IntGauge,
    snapshot_pieces: IntCounter,
    snapshot_bytes: IntCounter,
    snapshots: IntGauge,
    records_sent: IntCounter,
    records: IntGauge,
    cursor: IntGauge,
    staleness: Gauge,
    deaf: IntGauge,
    store_reads: IntCounterVec,
    records_refused: IntCounter,
    records_unreadable: IntCounter,
    records_deleted: IntCounter,
    keys_wanted: IntCounter,
    borrow_requests: IntCounterVec,
    leases: IntCounterVec,
    lease_returns: IntCounter,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, TelemetryError> {
        let vector = |name: &str, help: &str, label: &str| {
            registry.register(IntCounterVec::new(Opts::new(name, help), &[label]))
        };
        let counter = |name: &str, help: &str| registry.register(IntCounter::new(name, help));
        let gauge = |name: &str, help: &str| registry.register(IntGauge::new(name, help));
        Ok(Self {
            exchanges: vector(
                "postern_feed_exchanges_total",
                "Exchanges with Envoys, by what came of them",
                "outcome",
            )?,
            documents: vector(
                "postern_feed_documents_total",
                "Exchanges, calls for slices and reports by whether the Envoy runs the server's \
                 document",
                "document",
            )?,
            quota_refusals: vector(
                "postern_feed_quota_refusals_total",
                "Questions refused because the peer has asked too often, by quota",
                "quota",
            )?,
            waiting: gauge("postern_feed_waiting", "Envoys that wait for something new")?,
            snapshot_pieces: counter(
                "postern_feed_snapshot_pieces_total",
                "Pieces of snapshots that were sent",
            )?,
            snapshot_bytes: counter(
                "postern_feed_snapshot_bytes_total",
                "Bytes of records in pieces of snapshots",
            )?,
            snapshots: gauge("postern_feed_snapshots_active", "Snapshots that are being taken")?,
            records_sent: counter(
                "postern_feed_delta_records_total",
                "Records that were sent as deltas",
            )?,
            records: gauge("postern_feed_records", "Revocations in memory")?,
            cursor: gauge("postern_feed_cursor", "How far the durable list has been read")?,
            staleness: registry.register(Gauge::new(
                "postern_feed_staleness_seconds",
                "How old what is known about revocations may be; -1 while nothing is known",
            ))?,
            deaf: gauge(
                "postern_feed_wake_ups_lost",
                "1 while nobody could say that there is news, and the list is read all the time",
            )?,
            store_reads: vector(
                "postern_feed_store_reads_total",
                "Reads of the durable list, by outcome",
                "outcome",
            )?,
            records_refused: counter(
                "postern_feed_records_refused_total",
                "Revocations for which there was no room",
            )?,
            records_unreadable: counter(
                "postern_feed_records_unreadable_total",
                "Entries of the durable list that this version does not understand",
            )?,
            records_deleted: counter(
                "postern_feed_records_deleted_total",
                "Expired entries that were deleted from the durable list",
            )?,
            keys_wanted: counter(
                "postern_feed_keys_wanted_total",
                "Issuers of whom an Envoy saw a token with a key that it does not have",
            )?,
            borrow_requests: vector(
                "postern_feed_borrow_requests_total",
                "Calls for slices of leased limits, by what came of them",
                "outcome",
            )?,
            leases: vector(
                "postern_feed_leases_total",
                "Slices that were asked for, by what came of it",
                "outcome",
            )?,
            lease_returns: counter(
                "postern_feed_lease_returns_total",
                "Slices that were given back",
            )?,
        })
    }

    pub(crate) fn exchanged(&self, outcome: Outcome) {
        count(&self.exchanges, outcome.as_str());
    }

    pub(crate) fn document(&self, same: bool) {
        count(&self.documents, if same { "same" } else { "other" });
    }

    pub(crate) fn quota_refused(&self, quota: Counted) {
        count(&self.quota_refusals, quota.as_str());
    }

    pub(crate) fn piece(&self, bytes: usize, active: usize) {
        self.snapshot_pieces.inc();
        self.snapshot_bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.snapshots.set(i64::try_from(active).unwrap_or(i64::MAX));
    }

    pub(crate) fn delta(&self, records: usize) {
        self.records_sent.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
    }

    pub(crate) fn log(&self, records: usize, cursor: u64) {
        self.records.set(i64::try_from(records).unwrap_or(i64::MAX));
        self.cursor.set(i64::try_from(cursor).unwrap_or(i64::MAX));
    }

    pub(crate) fn staleness(&self, age: Option<Duration>) {
        self.staleness.set(age.map_or(-1.0, |age| age.as_secs_f64()));
    }

    pub(crate) fn hearing(&self, hearing: bool) {
        self.deaf.set(i64::from(!hearing));
    }

    pub(crate) fn store_read(&self, good: bool) {
        count(&self.store_reads, if good { "good" } else { "failed" });
    }

    pub(crate) fn record_refused(&self) {
        self.records_refused.inc();
    }

    pub(crate) fn record_unreadable(&self) {
        self.records_unreadable.inc();
    }

    pub(crate) fn records_deleted(&self, records: u64) {
        self.records_deleted.inc_by(records);
    }

    pub(crate) fn keys_wanted(&self, issuers: usize) {
        self.keys_wanted.inc_by(u64::try_from(issuers).unwrap_or(u64::MAX));
    }

    pub(crate) fn borrowed(&self, outcome: BorrowOutcome) {
        count(&self.borrow_requests, outcome.as_str());
    }

    pub(crate) fn lease(&self, outcome: LeaseOutcome) {
        count(&self.leases, outcome.as_str());
    }

    pub(crate) fn leases_returned(&self, leases: usize) {
        self.lease_returns.inc_by(u64::try_from(leases).unwrap_or(u64::MAX));
    }
}

fn count(counter: &IntCounterVec, label: &str) {
    if let Ok(counter) = counter.get_metric_with_label_values(&[label]) {
        counter.inc();
    }
}

//! What is counted of documents.

use std::sync::{Arc, Mutex, PoisonError};

use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts};

/// Who asks which document a request is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// `ext_authz`
    ExtAuthz,
    /// `ext_proc`
    ExtProc,
}

impl Asker {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ExtAuthz => "ext_authz",
            Self::ExtProc => "ext_proc",
        }
    }
}

/// In what an Envoy's document is not the newest one here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// It does not say which one it runs.
    Untold,
    /// It runs one before.
    Earlier,
    /// It runs one that is not here: one that is newer, or too old.
    Unknown,
}

impl Skew {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Untold => "untold",
            Self::Earlier => "earlier",
            Self::Unknown => "unknown",
        }
    }
}

/// What came of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in use.
    Applied,
    /// It has problems, or cannot be taken over.
    Refused,
    /// It could not be read.
    Unreadable,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The metrics of this component.
#[derive(Clone)]
pub struct Metrics {
    info: IntGaugeVec,
    shown: Arc<Mutex<Option<String>>>,
    reloads: IntCounterVec,
    refused: IntGauge,
    skew: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, TelemetryError> {
        let info = IntGaugeVec::new(
            Opts::new("postern_document_info", "1 for the document in use"),
            &["digest"],
        );
        let reloads = IntCounterVec::new(
            Opts::new("postern_document_reloads_total", "Documents after the first, by outcome"),
            &["outcome"],
        );
        let refused = IntGauge::new(
            "postern_document_refused",
            "1 while there is a newer document that cannot be used, or nobody knows whether there is",
        );
        let skew = IntCounterVec::new(
            Opts::new(
                "postern_document_skew_total",
                "Calls of an Envoy that does not run the newest document, by which it runs",
            ),
            &["by", "document"],
        );
        Ok(Self {
            info: registry.register(info)?,
            shown: Arc::default(),
            reloads: registry.register(reloads)?,
            refused: registry.register(refused)?,
            skew: registry.register(skew)?,
        })
    }

    /// This document is in use. The one before is forgotten, so that there are no ever more series.
    pub fn in_use(&self, digest: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_deref() == Some(digest) {
            return;
        }
        if let Ok(info) = self.info.get_metric_with_label_values(&[digest]) {
            info.set(1);
        }
        if let Some(before) = shown.replace(digest.to_owned()) {
            // It was there.
            drop(self.info.remove_label_values(&[before.as_str()]));
        }
    }

    /// Counts what came of a document.
    pub fn looked(&self, outcome: Outcome) {
        if let Ok(counter) = self.reloads.get_metric_with_label_values(&[outcome.as_str()]) {
            counter.inc();
        }
    }

    /// Whether there is one that cannot be used.
    pub fn set_refused(&self, is_refused: bool) {
        self.refused.set(i64::from(is_refused));
    }

    /// Counts a call of an Envoy that runs another document.
    pub fn skewed(&self, by: Asker, skew: Skew) {
        let labels = [by.as_str(), skew.as_str()];
        if let Ok(counter) = self.skew.get_metric_with_label_values(&labels) {
            counter.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn one_document_is_in_use_at_a_time() {
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        let metrics = Metrics::new(&registry).unwrap();
        for digest in ["one", "two", "two"] {
            metrics.in_use(digest);
        }
        let text = registry.encode(Instant::now()).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("postern_document_info{"));
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("digest=\"two\"") && lines[0].ends_with(" 1"), "{lines:?}");
    }
}

//! What fetching keys counts. Issuers are labels because the document names them all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, Opts};
use tokio::time::Instant;

/// What came of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Keys.
    Good,
    /// Keys, from where the issuer's metadata last said: it could not be asked again.
    OldPlace,
    /// None. Those of before stay.
    Failed,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::OldPlace => "old_place",
            Self::Failed => "failed",
        }
    }
}

/// The metrics of this component.
#[derive(Clone)]
pub struct Metrics {
    fetches: IntCounterVec,
    ages: Ages,
}

impl Metrics {
    /// Registers them, for these issuers.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new<'a>(
        registry: &MetricsRegistry,
        issuers: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, TelemetryError> {
        let gauge = GaugeVec::new(
            Opts::new(
                "postern_jwks_age_seconds",
                "How long ago an issuer's keys were fetched; -1 while they never were",
            ),
            &["issuer"],
        );
        let fetched = issuers.into_iter().map(|issuer| (issuer.to_owned(), None)).collect();
        let fetched = Arc::new(Mutex::new(fetched));
        Ok(Self {
            fetches: registry.register(IntCounterVec::new(
                Opts::new("postern_jwks_fetches_total", "Fetches of issuers' keys, by outcome"),
                &["outcome"],
            ))?,
            ages: registry.register(gauge.map(|gauge| Ages { gauge, fetched }))?,
        })
    }

    /// Counts a fetch.
    pub fn fetched(&self, outcome: Outcome) {
        if let Ok(counter) = self.fetches.get_metric_with_label_values(&[outcome.as_str()]) {
            counter.inc();
        }
    }

    /// An issuer's keys are as of now.
    pub fn current(&self, issuer: &str) {
        let mut fetched = self.ages.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = fetched.get_mut(issuer) {
            *last = Some(Instant::now());
        }
    }
}

/// Ages as of the moment in which they are asked for.
#[derive(Clone)]
struct Ages {
    gauge: GaugeVec,
    fetched: Arc<Mutex<BTreeMap<String, Option<Instant>>>>,
}

impl Collector for Ages {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        for (issuer, last) in fetched.iter() {
            if let Ok(gauge) = self.gauge.get_metric_with_label_values(&[issuer.as_str()]) {
                gauge.set(last.map_or(-1.0, |last| last.elapsed().as_secs_f64()));
            }
        }
        self.gauge.collect()
    }
}

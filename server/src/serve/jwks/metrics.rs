//! What fetching keys counts. Issuers are labels because the document names them all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Registers them.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, TelemetryError> {
        let gauge = GaugeVec::new(
            Opts::new(
                "postern_jwks_age_seconds",
                "How long ago an issuer's keys were fetched; -1 while they never were",
            ),
            &["issuer"],
        );
        let fetched = Arc::<Mutex<Fetches>>::default();
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

    /// An issuer's keys are to be fetched from now on.
    pub fn begin(&self, issuer: &str) {
        self.ages.fetches().insert(issuer.to_owned(), None);
    }

    /// An issuer's keys are as of now.
    pub fn current(&self, issuer: &str) {
        if let Some(last) = self.ages.fetches().get_mut(issuer) {
            *last = Some(Instant::now());
        }
    }

    /// Forgets all issuers but these.
    pub fn keep_only(&self, issuers: &[&str]) {
        let gauge = &self.ages.gauge;
        self.ages.fetches().retain(|issuer, _| {
            let stays = issuers.contains(&issuer.as_str());
            if !stays {
                // One that was never asked for has no value to take away.
                drop(gauge.remove_label_values(&[issuer.as_str()]));
            }
            stays
        });
    }
}

/// When each issuer's keys were fetched last.
type Fetches = BTreeMap<String, Option<Instant>>;

/// Ages as of the moment in which they are asked for.
#[derive(Clone)]
struct Ages {
    gauge: GaugeVec,
    fetched: Arc<Mutex<Fetches>>,
}

impl Ages {
    fn fetches(&self) -> MutexGuard<'_, Fetches> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Ages {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let fetched = self.fetches();
        for (issuer, last) in fetched.iter() {
            if let Ok(gauge) = self.gauge.get_metric_with_label_values(&[issuer.as_str()]) {
                gauge.set(last.map_or(-1.0, |last| last.elapsed().as_secs_f64()));
            }
        }
        self.gauge.collect()
    }
}

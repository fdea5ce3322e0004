//! The process's Prometheus registry and the metrics of the process itself.
//!
//! Components build their own structs of metrics and register them here; what is not
//! registered is not shown. Labels are enums or names from the document, never something that
//! a client sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus::core::Collector;
use prometheus::proto::{LabelPair, MetricFamily};
use prometheus::{Gauge, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::error::TelemetryError;
use crate::process::{ProcessSampler, ProcessUsage};
use crate::{SERVICE, VERSION};

/// The content type of [`MetricsRegistry::encode`]'s text.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// All metrics of the process; clones share them.
#[derive(Debug, Clone)]
pub struct MetricsRegistry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    default_labels: Vec<LabelPair>,
    sampler: ProcessSampler,
    rss: IntGauge,
    virtual_memory: IntGauge,
    cpu: Gauge,
    build: IntGaugeVec,
    document: Mutex<Option<String>>,
}

impl MetricsRegistry {
    /// A registry with the metrics of the process; `environment` becomes a default label.
    ///
    /// # Errors
    /// Only by a mistake of ours: a malformed name here.
    pub fn new(environment: &str, now: Instant) -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        let memory = IntGaugeVec::new(
            Opts::new("memory_usage_bytes", "Memory of the process, by type"),
            &["type"],
        )?;
        let cpu = Gauge::new(
            "cpu_usage_percentage",
            "CPU time of the process since the last scrape, 100 for one core",
        )?;
        let build = IntGaugeVec::new(
            Opts::new("postern_build_info", "1 for the running version and document"),
            &["version", "document"],
        )?;
        registry.register(Box::new(memory.clone()))?;
        registry.register(Box::new(cpu.clone()))?;
        registry.register(Box::new(build.clone()))?;
        let inner = Inner {
            default_labels: vec![label("service", SERVICE), label("environment", environment)],
            sampler: ProcessSampler::new(now),
            rss: memory.get_metric_with_label_values(&["rss"])?,
            virtual_memory: memory.get_metric_with_label_values(&["virtual"])?,
            registry,
            cpu,
            build,
            document: Mutex::new(None),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Registers what a constructor of `prometheus` gave, and hands it on for use:
    /// `registry.register(IntCounter::new("a_total", "As"))?`.
    ///
    /// # Errors
    /// When it could not be built, or its name is taken.
    pub fn register<C>(&self, metric: prometheus::Result<C>) -> Result<C, TelemetryError>
    where
        C: Collector + Clone + 'static,
    {
        let metric = metric?;
        self.inner.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// Lets a component register metrics that it builds itself.
    ///
    /// # Errors
    /// Those of the component.
    pub fn register_with<T>(
        &self,
        register: impl FnOnce(&prometheus::Registry) -> prometheus::Result<T>,
    ) -> Result<T, TelemetryError> {
        Ok(register(&self.inner.registry)?)
    }

    /// Says in `postern_build_info` which document is in force. The one before is forgotten, so
    /// that reloads do not add up to ever more series.
    ///
    /// # Errors
    /// Only by a mistake of ours.
    pub fn set_document(&self, digest: &str) -> Result<(), TelemetryError> {
        let mut current = self.inner.document.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_deref() == Some(digest) {
            return Ok(());
        }
        // The new one first: a scrape in between finds two rather than none.
        self.inner.build.get_metric_with_label_values(&[VERSION, digest])?.set(1);
        if let Some(before) = current.replace(digest.to_owned()) {
            self.inner.build.remove_label_values(&[VERSION, before.as_str()])?;
        }
        Ok(())
    }

    /// What the process uses; also brings its gauges up to date.
    #[must_use]
    pub fn usage(&self, now: Instant) -> ProcessUsage {
        let usage = self.inner.sampler.sample(now);
        set_bytes(&self.inner.rss, usage.rss_bytes);
        set_bytes(&self.inner.virtual_memory, usage.virtual_bytes);
        if let Some(percentage) = usage.cpu_percentage {
            self.inner.cpu.set(percentage);
        }
        usage
    }

    /// Everything in Prometheus' text format, the process's gauges as of `now`.
    ///
    /// # Errors
    /// When a collector hands out a family without a name or without metrics.
    pub fn encode(&self, now: Instant) -> Result<String, TelemetryError> {
        let _ = self.usage(now);
        let mut families = self.inner.registry.gather();
        for family in &mut families {
            self.add_default_labels(family);
        }
        TextEncoder::new().encode_to_string(&families).map_err(TelemetryError::Encode)
    }

    /// A default is for metrics that do not say it themselves. The registry's own common labels
    /// would be added to those as well, and Prometheus refuses a whole scrape over one metric
    /// with two labels named `service`.
    fn add_default_labels(&self, family: &mut MetricFamily) {
        for metric in family.mut_metric().iter_mut() {
            let mut labels = metric.take_label();
            for default in &self.inner.default_labels {
                if labels.iter().all(|own| own.name() != default.name()) {
                    labels.push(default.clone());
                }
            }
            metric.set_label(labels);
        }
    }
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn set_bytes(gauge: &IntGauge, bytes: Option<u64>) {
    if let Some(bytes) = bytes {
        gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{IntCounter, IntCounterVec};

    fn line<'a>(text: &'a str, start: &str) -> &'a str {
        text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn defaults_are_added_where_a_metric_does_not_say_them() {
        let now = Instant::now();
        let registry = MetricsRegistry::new("test", now).unwrap();
        registry.register(IntCounter::new("plain_total", "Plain")).unwrap().inc();
        let own = registry
            .register(IntCounterVec::new(Opts::new("own_total", "Own"), &["service"]))
            .unwrap();
        own.with_label_values(&["payments"]).inc_by(2);
        let text = registry.encode(now).unwrap();
        assert_eq!(
            line(&text, "plain_total"),
            r#"plain_total{service="postern",environment="test"} 1"#
        );
        assert_eq!(
            line(&text, "own_total"),
            r#"own_total{service="payments",environment="test"} 2"#
        );
    }

    #[test]
    fn a_name_is_taken_once() {
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        registry.register(IntCounter::new("a_total", "A")).unwrap();
        let again = registry.register(IntCounter::new("a_total", "A"));
        assert!(matches!(again, Err(TelemetryError::Register(_))));
        let malformed = registry.register(IntCounter::new("not a name", "A"));
        assert!(matches!(malformed, Err(TelemetryError::Register(_))));
    }

    #[test]
    fn build_info_names_one_document() {
        let now = Instant::now();
        let registry = MetricsRegistry::new("test", now).unwrap();
        for digest in ["one", "two", "two"] {
            registry.set_document(digest).unwrap();
        }
        let text = registry.encode(now).unwrap();
        let found = line(&text, "postern_build_info{");
        assert!(found.contains(r#"document="two""#) && found.ends_with(" 1"), "{found}");
        assert_eq!(text.matches("postern_build_info{").count(), 1, "{text}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_is_measured_on_a_scrape() {
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        let text = registry.encode(Instant::now()).unwrap();
        for kind in ["rss", "virtual"] {
            let found = line(&text, &format!("memory_usage_bytes{{type=\"{kind}\""));
            let value: f64 = found.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value > 0.0, "{found}");
        }
        assert!(text.contains("cpu_usage_percentage{"), "{text}");
    }
}

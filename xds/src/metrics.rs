//! What discovery counts. Labels are our own words; nothing that an Envoy says becomes one.

use std::time::Duration;

use postern_telemetry::{MetricsRegistry, TelemetryError};
use postern_xds::{Heard, Kind, Protocol};
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

use crate::seats::Refusal;

/// From a change to the acknowledgement of an Envoy, in seconds.
const PROPAGATION_BUCKETS: [f64; 10] = [0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 10.0, 30.0];

/// The metrics of this component.
#[derive(Clone)]
pub struct Metrics {
    streams: IntGaugeVec,
    refused: IntCounterVec,
    pushes: IntCounterVec,
    acks: IntCounterVec,
    nacks: IntCounterVec,
    refusing: IntGauge,
    views: IntGauge,
    resources: IntGauge,
    render_failures: IntCounter,
    propagation: Histogram,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, TelemetryError> {
        let by_type = |name: &str, help: &str| {
            registry.register(IntCounterVec::new(Opts::new(name, help), &["type"]))
        };
        let gauge = |name: &str, help: &str| registry.register(IntGauge::new(name, help));
        let propagation = HistogramOpts::new(
            "postern_xds_propagation_seconds",
            "From a change of the document or of endpoints to its acknowledgement by an Envoy",
        );
        let metrics = Self {
            streams: registry.register(IntGaugeVec::new(
                Opts::new("postern_xds_streams", "Envoys that are connected"),
                &["protocol"],
            ))?,
            refused: registry.register(IntCounterVec::new(
                Opts::new("postern_xds_refused_streams_total", "Envoys that are told nothing"),
                &["reason"],
            ))?,
            pushes: by_type("postern_xds_pushes_total", "Answers that were sent to Envoys")?,
            acks: by_type("postern_xds_acks_total", "Answers that Envoys have taken")?,
            nacks: by_type("postern_xds_nacks_total", "Answers that Envoys have refused")?,
            refusing: gauge(
                "postern_xds_refusing_streams",
                "Envoys that have refused something that they should have now",
            )?,
            views: gauge(
                "postern_xds_views",
                "Kinds of Envoys that are connected, as of the last change",
            )?,
            resources: gauge("postern_xds_resources", "Resources in memory")?,
            render_failures: registry.register(IntCounter::new(
                "postern_xds_render_failures_total",
                "Kinds of Envoys that could not be told of a change",
            ))?,
            propagation: registry.register(Histogram::with_opts(
                propagation.buckets(PROPAGATION_BUCKETS.to_vec()),
            ))?,
        };
        metrics.show_zeros();
        Ok(metrics)
    }

    /// What has not happened yet is zero, and not absent.
    fn show_zeros(&self) {
        for kind in Kind::ALL {
            for counter in [&self.pushes, &self.acks, &self.nacks] {
                drop(counter.get_metric_with_label_values(&[kind.as_str()]));
            }
        }
        for refusal in Refusal::ALL {
            drop(self.refused.get_metric_with_label_values(&[refusal.as_str()]));
        }
        for protocol in [Protocol::Delta, Protocol::StateOfTheWorld] {
            drop(self.streams.get_metric_with_label_values(&[spelled(protocol)]));
        }
    }

    pub(crate) fn stream_opened(&self, protocol: Protocol) {
        if let Ok(gauge) = self.streams.get_metric_with_label_values(&[spelled(protocol)]) {
            gauge.inc();
        }
    }

    pub(crate) fn stream_closed(&self, protocol: Protocol) {
        if let Ok(gauge) = self.streams.get_metric_with_label_values(&[spelled(protocol)]) {
            gauge.dec();
        }
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        count(&self.refused, refusal.as_str());
    }

    pub(crate) fn pushed(&self, kind: Kind) {
        count(&self.pushes, kind.as_str());
    }

    pub(crate) fn heard(&self, kind: Kind, heard: Heard) {
        match heard {
            Heard::Taken => count(&self.acks, kind.as_str()),
            Heard::Refused => count(&self.nacks, kind.as_str()),
            Heard::Asked | Heard::Stale => {}
        }
    }

    /// One Envoy more refuses something, or one less.
    pub(crate) fn refusing(&self, one_more: bool) {
        if one_more {
            self.refusing.inc();
        } else {
            self.refusing.dec();
        }
    }

    pub(crate) fn held(&self, views: usize, resources: usize) {
        self.views.set(i64::try_from(views).unwrap_or(i64::MAX));
        self.resources.set(i64::try_from(resources).unwrap_or(i64::MAX));
    }

    pub(crate) fn render_failures(&self, views: usize) {
        self.render_failures.inc_by(u64::try_from(views).unwrap_or(u64::MAX));
    }

    pub(crate) fn propagated(&self, after: Duration) {
        self.propagation.observe(after.as_secs_f64());
    }
}

/// As it stands in metrics, and for operators.
#[must_use]
pub const fn spelled(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Delta => "delta",
        Protocol::StateOfTheWorld => "state_of_the_world",
    }
}

fn count(counter: &IntCounterVec, label: &str) {
    if let Ok(counter) = counter.get_metric_with_label_values(&[label]) {
        counter.inc();
    }
}

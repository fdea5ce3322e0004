//! What the service counts. Labels come from the configuration; where a rule asks for request
//! data in its name, from a bounded number of those.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use postern_store::limiter::WhenStoreFails;
use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts};

/// Rules that are counted apart; what comes after them is counted as [`OTHER`].
pub(crate) const MAX_RULES: usize = 1000;
/// Longest name of a rule that is counted apart.
const MAX_NAME_BYTES: usize = 256;
const OTHER: &str = "other";
/// In place of a domain that no file configures.
const UNKNOWN: &str = "unknown";

/// What a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Ok,
    OverLimit,
    Error,
}

impl Code {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::OverLimit => "OVER_LIMIT",
            Self::Error => "error",
        }
    }
}

/// How a descriptor stood towards its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There was room.
    Ok,
    /// There was, and less than a fifth of it is left.
    Near,
    /// There was none.
    Over,
    /// There was none, and the rule is in shadow or in quota mode.
    Shadow,
}

/// The counters of one rule, looked up once.
struct RuleCounters {
    ok: IntCounter,
    near: IntCounter,
    over: IntCounter,
    shadow: IntCounter,
}

impl RuleCounters {
    fn of(vec: &IntCounterVec, rule: &str) -> prometheus::Result<Self> {
        let counter = |outcome: &str| vec.get_metric_with_label_values(&[rule, outcome]);
        Ok(Self {
            ok: counter("ok")?,
            near: counter("near")?,
            over: counter("over")?,
            shadow: counter("shadow")?,
        })
    }

    fn count(&self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.ok.inc(),
            Outcome::Near => self.near.inc(),
            Outcome::Over => self.over.inc(),
            Outcome::Shadow => self.shadow.inc(),
        }
    }
}

/// The metrics of this component.
#[derive(Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    duration: Histogram,
    rule_hits: IntCounterVec,
    rules: Arc<RwLock<HashMap<String, RuleCounters>>>,
    other: Arc<RuleCounters>,
    store_failures: IntCounterVec,
    loads: IntCounterVec,
    configured: IntGauge,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, TelemetryError> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registry.register(IntCounterVec::new(Opts::new(name, help), labels))
        };
        let rule_hits = counter(
            "postern_rate_limit_rule_hits_total",
            "Descriptors that met a rule, by how they stood towards it",
            &["rule", "outcome"],
        )?;
        Ok(Self {
            requests: counter(
                "postern_rate_limit_requests_total",
                "Requests to the rate limit service, by domain and answer",
                &["domain", "code"],
            )?,
            duration: registry.register(Histogram::with_opts(
                HistogramOpts::new(
                    "postern_rate_limit_duration_seconds",
                    "Time for an answer of the rate limit service, the store's included",
                )
                .buckets(vec![
                    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.25,
                ]),
            ))?,
            other: Arc::new(RuleCounters::of(&rule_hits, OTHER)?),
            rule_hits,
            rules: Arc::default(),
            store_failures: counter(
                "postern_rate_limit_store_failures_total",
                "Requests answered without the store, by what is done then",
                &["answer"],
            )?,
            loads: counter(
                "postern_rate_limit_configuration_loads_total",
                "Configurations that were read, by outcome",
                &["outcome"],
            )?,
            configured: registry.register(IntGauge::new(
                "postern_rate_limit_rules",
                "Rules of the configuration in use",
            ))?,
        })
    }

    /// `domain` is none where no file configures it.
    pub(crate) fn answered(&self, domain: Option<&str>, code: Code, seconds: f64) {
        count(&self.requests, &[domain.unwrap_or(UNKNOWN), code.as_str()]);
        self.duration.observe(seconds);
    }

    pub(crate) fn rule(&self, name: &str, outcome: Outcome) {
        let full = {
            let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(counters) = rules.get(name) {
                return counters.count(outcome);
            }
            rules.len() >= MAX_RULES
        };
        // Request data comes this way too, where a rule asks for it: once all places are taken,
        // new names must not make requests wait for each other.
        if full || name.len() > MAX_NAME_BYTES {
            return self.other.count(outcome);
        }
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        if rules.len() >= MAX_RULES && !rules.contains_key(name) {
            return self.other.count(outcome);
        }
        match RuleCounters::of(&self.rule_hits, name) {
            Ok(counters) => rules.entry(name.to_owned()).or_insert(counters).count(outcome),
            Err(_) => self.other.count(outcome),
        }
    }

    pub(crate) fn store_failed(&self, answer: WhenStoreFails) {
        count(&self.store_failures, &[answer.as_str()]);
    }

    /// A configuration is in use from now on. Where the places for rules have run out, those of
    /// before make room: they may be of rules that are gone.
    pub(crate) fn applied(&self, rules: usize) {
        count(&self.loads, &["applied"]);
        self.configured.set(i64::try_from(rules).unwrap_or(i64::MAX));
        let mut known = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_RULES {
            for name in known.keys() {
                for outcome in ["ok", "near", "over", "shadow"] {
                    // It is there, or it is not: either way it is gone afterwards.
                    drop(self.rule_hits.remove_label_values(&[name.as_str(), outcome]));
                }
            }
            known.clear();
        }
    }

    /// A configuration was refused; the one of before stays.
    pub(crate) fn refused(&self) {
        count(&self.loads, &["refused"]);
    }
}

fn count(counter: &IntCounterVec, labels: &[&str]) {
    if let Ok(counter) = counter.get_metric_with_label_values(labels) {
        counter.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// The value of the one line that begins so; 0 where there is none.
    fn value(registry: &MetricsRegistry, start: &str) -> f64 {
        let text = registry.encode(Instant::now()).unwrap();
        let line = text.lines().find(|line| line.starts_with(start));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
    }

    fn rules(registry: &MetricsRegistry) -> usize {
        let text = registry.encode(Instant::now()).unwrap();
        let is_rule = |line: &&str| {
            line.starts_with("postern_rate_limit_rule_hits_total{") && line.contains("\"ok\"")
        };
        text.lines().filter(is_rule).count()
    }

    #[test]
    fn rules_are_counted_apart_up_to_a_bound() {
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        let metrics = Metrics::new(&registry).unwrap();
        for number in 0..MAX_RULES + 50 {
            metrics.rule(&format!("d.k_{number}"), Outcome::Ok);
        }
        metrics.rule(&"long".repeat(1000), Outcome::Near);
        metrics.rule("d.k_0", Outcome::Over);
        assert_eq!(rules(&registry), MAX_RULES + 1, "`other` is one more");
        let hits = |labels: &str| {
            value(&registry, &format!("postern_rate_limit_rule_hits_total{{{labels}"))
        };
        assert!(hits(r#"outcome="ok",rule="other""#) >= 50.0);
        assert!(hits(r#"outcome="near",rule="other""#) >= 1.0);
        assert!(hits(r#"outcome="over",rule="d.k_0""#) >= 1.0);
        metrics.applied(7);
        assert_eq!(rules(&registry), 1, "a new configuration makes room");
        metrics.rule("d.new", Outcome::Shadow);
        assert!(hits(r#"outcome="shadow",rule="d.new""#) >= 1.0);
        assert!(value(&registry, "postern_rate_limit_rules{") >= 7.0);
    }

    #[test]
    fn a_new_configuration_forgets_nothing_while_there_is_room() {
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        let metrics = Metrics::new(&registry).unwrap();
        metrics.rule("d.k", Outcome::Ok);
        metrics.applied(1);
        metrics.refused();
        assert_eq!(rules(&registry), 2);
        let loads = |outcome: &str| {
            let name = "postern_rate_limit_configuration_loads_total";
            value(&registry, &format!("{name}{{outcome=\"{outcome}\""))
        };
        assert!(loads("applied") >= 1.0 && loads("refused") >= 1.0);
    }
}

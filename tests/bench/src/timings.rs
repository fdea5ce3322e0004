//! How fast rate limit services answered, told where one of them is somebody else's: of a process
//! that nobody knows there is no better figure.

use crate::entries::{Entry, Setup};
use crate::outcome::Outcome;
use crate::reading::{Reading, Section};
use crate::stats::median;

/// By entry, in the order in which a round measures them.
#[derive(Debug, Default)]
pub struct Timings(Vec<Timing>);

#[derive(Debug)]
struct Timing {
    name: &'static str,
    per_second: Vec<f64>,
    p50_ms: Vec<f64>,
}

impl Timings {
    /// Of the rate limit services among these; of none where all are ours.
    pub fn of(entries: &[&'static Entry]) -> Self {
        let is_asked = |entry: &&&Entry| matches!(entry.setup, Setup::RateLimiter(_) | Setup::Peer);
        let asked = entries.iter().filter(is_asked);
        if !asked.clone().any(|entry| entry.setup == Setup::Peer) {
            return Self::default();
        }
        let timing =
            |name: &'static str| Timing { name, per_second: Vec::new(), p50_ms: Vec::new() };
        Self(asked.map(|entry| timing(entry.name)).collect())
    }

    /// One run.
    pub fn add(&mut self, entry: &Entry, outcome: &Outcome) {
        if let Some(timing) = self.0.iter_mut().find(|timing| timing.name == entry.name) {
            timing.per_second.push(outcome.per_second());
            timing.p50_ms.push(outcome.p50_micros as f64 / 1e3);
        }
    }

    /// Medians of the runs.
    pub fn section(&self) -> Section {
        let reading = |timing: &Timing, what: &str, unit: &'static str, values: &[f64]| {
            let name = format!("{}.{what}", timing.name);
            Some(Reading::new(name, unit, median(values)?).made_of(values))
        };
        let readings = self.0.iter().flat_map(|timing| {
            [
                reading(timing, "rate", "requests a second", &timing.per_second),
                reading(timing, "p50", "ms", &timing.p50_ms),
            ]
        });
        let section = Section::of(readings.flatten().collect());
        if self.0.is_empty() {
            return section;
        }
        section.note(
            "rates and waits are those of a load that shares the machine with what it asks: of \
             ours, as of the peer, they say no more than how the two compare here",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::{ENTRIES, PEER};

    fn outcome(requests: u64, p50_micros: u64) -> Outcome {
        let micros = 1_000_000;
        Outcome { requests, micros, p50_micros, p99_micros: 0, bad_status: 0, broken: 0, late: 0 }
    }

    fn entries(names: &[&str]) -> Vec<&'static Entry> {
        ENTRIES.iter().filter(|entry| names.contains(&entry.name)).collect()
    }

    #[test]
    fn they_are_told_beside_a_peer() {
        let chosen = entries(&["envoy.base", "rls.redis", PEER, "identity.token"]);
        let mut timings = Timings::of(&chosen);
        for entry in &chosen {
            for (requests, p50) in [(10_000, 900), (30_000, 700), (20_000, 800)] {
                timings.add(entry, &outcome(requests, p50));
            }
        }
        let json: Vec<_> = timings.section().json().collect();
        let told: Vec<_> =
            json.iter().map(|json| (json["name"].as_str(), json["value"].as_f64())).collect();
        assert_eq!(
            told,
            [
                (Some("rls.redis.rate"), Some(20_000.0)),
                (Some("rls.redis.p50"), Some(0.8)),
                (Some("rls.peer.rate"), Some(20_000.0)),
                (Some("rls.peer.p50"), Some(0.8)),
            ]
        );
    }

    #[test]
    fn and_not_without_one() {
        let chosen = entries(&["envoy.base", "rls.redis"]);
        let mut timings = Timings::of(&chosen);
        timings.add(chosen[1], &outcome(1, 1));
        assert_eq!(timings.section(), Section::default());
    }
}

//! How a count stands, as people and programs are told.

use postern_limits::{InFlight, Period, Spec};
use postern_request::principal::Credential;
use postern_store::volatile::{Inspected, Take};
use serde_json::{Map, Value, json};

use super::{Caller, Count, Counter};

/// What is told where nothing is counted.
pub const NOTHING: &str = "no requests counted";

/// How a count stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing<'a> {
    pub(super) count: &'a Count,
    /// None where nothing is counted.
    pub(super) inspected: Option<Inspected>,
}

impl Standing<'_> {
    /// As lines, each with what it is about.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("limit", self.count.name.clone())];
        lines.extend(self.count.caller.as_ref().map(|caller| ("caller", caller.told())));
        match self.count.counter {
            Counter::Unlimited => lines.push(("rate", "unlimited".to_owned())),
            Counter::Closed { period_secs } => lines.push(("rate", nothing_in(period_secs))),
            Counter::Kept { take: Take::Rate { spec, .. }, .. } => {
                lines.push(("algorithm", spec.algorithm().as_str().to_owned()));
                lines.push(("rate", rate(spec)));
                if spec.algorithm().has_burst() {
                    lines.push(("burst", spec.burst().to_string()));
                }
            }
            Counter::Kept { take: Take::InFlight { spec, .. }, .. } => {
                lines.push(("algorithm", IN_FLIGHT.to_owned()));
                lines.push(("rate", format!("{} at once, {} each", spec.max(), life(spec))));
            }
        }
        match self.inspected {
            Some(Inspected { status, .. }) => {
                lines.push(("used", status.limit.saturating_sub(status.remaining).to_string()));
                lines.push(("remaining", status.remaining.to_string()));
                lines.push(("reset", format!("in {}s", status.reset_secs)));
            }
            None => lines.push(("used", NOTHING.to_owned())),
        }
        lines
    }

    /// As an object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut told = Map::new();
        let mut tell = |name: &str, value: Value| drop(told.insert(name.to_owned(), value));
        tell("limit", json!(self.count.name));
        if let Some(Caller { credential, issuer }) = &self.count.caller {
            tell("credential", json!(credential.as_str()));
            tell("issuer", json!(issuer));
        }
        match self.count.counter {
            Counter::Unlimited => tell("rate", json!("unlimited")),
            Counter::Closed { period_secs } => tell("rate", json!(nothing_in(period_secs))),
            Counter::Kept { take: Take::Rate { spec, .. }, .. } => {
                tell("algorithm", json!(spec.algorithm().as_str()));
                tell("rate", json!(rate(spec)));
                if spec.algorithm().has_burst() {
                    tell("burst", json!(spec.burst()));
                }
            }
            Counter::Kept { take: Take::InFlight { spec, .. }, .. } => {
                tell("algorithm", json!(IN_FLIGHT));
                tell("in_flight", json!(spec.max()));
                tell("slot_life", json!(life(spec)));
            }
        }
        tell("counted", json!(self.inspected.is_some()));
        if let Some(Inspected { status, expires_in_ms }) = self.inspected {
            tell("used", json!(status.limit.saturating_sub(status.remaining)));
            tell("remaining", json!(status.remaining));
            tell("reset_seconds", json!(status.reset_secs));
            tell("forgotten_in_ms", json!(expires_in_ms));
        }
        Value::Object(told)
    }
}

impl Caller {
    fn told(&self) -> String {
        match (self.credential, &self.issuer) {
            (Credential::Jwt, Some(issuer)) => format!("with a token of {issuer}"),
            (Credential::Jwt, None) => "with a token".to_owned(),
            (Credential::ApiKey, _) => "with an API key".to_owned(),
            (Credential::Session, _) => "with a session".to_owned(),
        }
    }
}

/// As the document's field is called that makes such a limit.
const IN_FLIGHT: &str = "in_flight";

/// As the document writes it.
fn rate(spec: Spec) -> String {
    let (requests, period) = (spec.rate().requests(), spec.rate().period());
    match period {
        Period::Month => format!("{requests}/1mo"),
        Period::Millis(millis) => format!("{requests}/{}", duration(millis.get())),
    }
}

fn nothing_in(period_secs: u64) -> String {
    format!("0/{}", duration(period_secs.saturating_mul(1000)))
}

fn life(spec: InFlight) -> String {
    duration(spec.life_ms())
}

/// In the largest unit that it is a whole number of.
fn duration(millis: u64) -> String {
    const UNITS: [(u64, &str); 5] =
        [(604_800_000, "w"), (86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let whole = UNITS.into_iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    match whole {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_limits::{Algorithm, Anchor, Rate};

    #[test]
    fn rates_are_told_as_they_are_written() {
        for text in ["5/1ms", "5/1500ms", "2000/1m", "100/15m", "1/36h", "7/2w", "9/366d"] {
            let spec = Spec::new(
                Algorithm::SlidingWindow,
                Rate::parse(text).unwrap(),
                None,
                Anchor::Clock,
            );
            assert_eq!(rate(spec.unwrap()), text);
        }
        let monthly = Rate::parse("5/1mo").unwrap();
        let monthly = Spec::new(Algorithm::FixedWindow, monthly, None, Anchor::Clock).unwrap();
        assert_eq!(rate(monthly), "5/1mo");
        assert_eq!(nothing_in(7200), "0/2h");
        assert_eq!(nothing_in(0), "0/0ms");
    }
}

//! What figures come out as: a number with its unit, and perhaps a bound.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::stats;

/// A number.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    name: String,
    unit: &'static str,
    value: f64,
    /// What it is to be compared with, in the same unit.
    base: Option<f64>,
    /// How many measurements it was made of.
    runs: usize,
    /// The middle half of these lies so close together.
    spread: f64,
    at_most: Option<f64>,
}

/// All that figures came out as.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Section {
    readings: Vec<Reading>,
    notes: Vec<String>,
}

impl Reading {
    /// One that was measured once.
    pub fn new(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        let (base, at_most) = (None, None);
        Self { name: name.into(), unit, value, base, runs: 1, spread: 0.0, at_most }
    }

    /// One that was made of several measurements.
    #[must_use]
    pub fn made_of(self, values: &[f64]) -> Self {
        let spread = stats::spread(values).unwrap_or_default();
        Self { runs: values.len(), spread, ..self }
    }

    /// Beside what it is to be compared with.
    #[must_use]
    pub fn beside(self, base: f64) -> Self {
        Self { base: Some(base), ..self }
    }

    /// With a bound.
    #[must_use]
    pub fn at_most(self, bound: f64) -> Self {
        Self { at_most: Some(bound), ..self }
    }

    fn is_missed(&self) -> bool {
        self.at_most.is_some_and(|bound| self.value > bound)
    }

    /// As the contract has it for entries.
    fn json(&self) -> Value {
        let rounded = |figure: f64| (figure * 1000.0).round() / 1000.0;
        let base = self.base.unwrap_or(self.value);
        // Nothing is no multiple of nothing.
        let ratio = if base == 0.0 { 1.0 } else { self.value / base };
        json!({
            "name": self.name,
            "unit": self.unit,
            "value": rounded(self.value),
            "base": rounded(base),
            "ratio": rounded(ratio),
            "runs": self.runs,
            "spread": rounded(self.spread),
        })
    }

    fn shown(&self, width: usize) -> String {
        let judged = if self.is_missed() { "MISSED" } else { "ok" };
        let bound = match self.at_most {
            Some(bound) => format!("  at most {bound}: {judged}"),
            None => String::new(),
        };
        let base = match self.base {
            Some(base) => format!("  (beside {base:.2})"),
            None => String::new(),
        };
        let Self { name, unit, value, .. } = self;
        format!("{name:<width$}  {value:>12.2} {unit}{base}{bound}")
    }
}

impl Section {
    /// Numbers, and nothing to know about them.
    pub const fn of(readings: Vec<Reading>) -> Self {
        Self { readings, notes: Vec::new() }
    }

    /// The median of times in milliseconds, and the slowest hundredth, which has a bound; none
    /// where nothing was timed.
    pub fn of_times(name: &str, times_ms: &[f64], p99_at_most_ms: f64) -> Option<Self> {
        let reading = |share: &str, per_mille: usize| {
            let value = stats::per_mille(times_ms, per_mille)?;
            Some(Reading::new(format!("{name}.{share}"), "ms", value).made_of(times_ms))
        };
        let p99 = reading("p99", 990)?.at_most(p99_at_most_ms);
        Some(Self::of(vec![reading("p50", 500)?, p99]))
    }

    /// With something to know when reading them.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Takes over what another figure came out as.
    pub fn extend(&mut self, other: Self) {
        self.readings.extend(other.readings);
        self.notes.extend(other.notes);
    }

    /// Whether a bound does not hold.
    pub fn is_missed(&self) -> bool {
        self.readings.iter().any(Reading::is_missed)
    }

    /// As the contract has it.
    pub fn json(&self) -> impl Iterator<Item = Value> + '_ {
        self.readings.iter().map(Reading::json)
    }

    /// For people; empty when nothing was measured.
    pub fn table(&self) -> String {
        let mut text = String::new();
        if self.readings.is_empty() {
            return text;
        }
        let width = self.readings.iter().map(|reading| reading.name.len()).max();
        text.push('\n');
        for reading in &self.readings {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", reading.shown(width.unwrap_or_default()));
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_shown_with_their_bounds() {
        let mut section = Section::of(vec![
            Reading::new("feed.a_ms", "ms", 12.345).at_most(300.0).made_of(&[1.0, 2.0, 3.0]),
            Reading::new("feed.b", "bytes", 7.0),
        ]);
        section.extend(
            Section::of(vec![Reading::new("c_mb", "MB", 61.0).beside(120.0).at_most(60.0)])
                .note("a machine"),
        );
        let table = section.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[1], "feed.a_ms         12.35 ms  at most 300: ok");
        assert_eq!(lines[2], "feed.b             7.00 bytes");
        assert_eq!(lines[3], "c_mb              61.00 MB  (beside 120.00)  at most 60: MISSED");
        assert_eq!(lines.last(), Some(&"note: a machine"));
        assert!(section.is_missed());
        assert_eq!(Section::default().table(), "");
    }

    #[test]
    fn only_the_slowest_hundredth_has_a_bound() {
        let times: Vec<f64> = (1..=200).map(f64::from).collect();
        let section = |p99_at_most_ms| Section::of_times("f.m", &times, p99_at_most_ms).unwrap();
        assert!(!section(198.0).is_missed());
        assert!(section(197.0).is_missed());
        let names: Vec<_> = section(1.0).json().map(|json| json["name"].clone()).collect();
        assert_eq!(names, ["f.m.p50", "f.m.p99"]);
        assert!(Section::of_times("f", &[], 1.0).is_none());
    }

    #[test]
    fn json_is_that_of_entries() {
        let section = Section::of(vec![
            Reading::new("a", "ms", 3.0).made_of(&[1.0, 2.0, 3.0]).beside(2.0),
            Reading::new("b", "%", 0.0),
        ]);
        let json: Vec<Value> = section.json().collect();
        let expected = json!({
            "name": "a", "unit": "ms", "value": 3.0, "base": 2.0, "ratio": 1.5, "runs": 3,
            "spread": 1.0,
        });
        assert_eq!(json[0], expected);
        assert_eq!((&json[1]["base"], &json[1]["ratio"]), (&json!(0.0), &json!(1.0)));
    }
}

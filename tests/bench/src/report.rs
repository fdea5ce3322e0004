//! A table for people, and JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::bounds::{AtMost, BOUNDS, Bound};
use crate::measure::{Measured, Row};
use crate::reading::Section;
use crate::stats::Summary;

/// What the columns of multiples are about.
const TRIVIAL: &str = "wasm.trivial";
const JWT_AUTHN: &str = "envoy.jwt_authn.default";
const TITLE: &str = "µs of CPU per request";
/// For what there is no figure.
const NONE: &str = "–";

/// Everything there is to say.
#[derive(Debug)]
pub struct Report {
    lines: Vec<Line>,
    notes: Vec<String>,
    section: Section,
}

#[derive(Debug)]
struct Line {
    name: String,
    whose: &'static str,
    /// Nothing to compare with.
    alone: bool,
    runs: usize,
    summary: Summary,
}

/// How a bound came out.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Judgement {
    NotMeasured,
    /// What sets the measure added nothing that could be told from noise.
    NoMeasure,
    /// A multiple, or microseconds, as the bound has it.
    Holds(f64),
    Missed(f64),
}

impl Report {
    /// Sums up.
    pub fn of(measured: &Measured, section: Section) -> Self {
        let values_of = |name: &str| {
            let row = measured.rows.iter().find(|row| row.name == name)?;
            Some(row.values.as_slice())
        };
        let line = |row: &Row| {
            let compared = match values_of(&row.base) {
                Some(base) if row.base != row.name => Summary::of(&row.values, base),
                _ => None,
            };
            Some(Line {
                name: row.name.clone(),
                whose: row.whose,
                alone: compared.is_none(),
                runs: row.values.len(),
                summary: compared.or_else(|| Summary::alone(&row.values))?,
            })
        };
        let lines = measured.rows.iter().filter_map(line).collect();
        Self { lines, notes: measured.notes.clone(), section }
    }

    /// Whether a bound was looked at and does not hold.
    pub fn is_missed(&self) -> bool {
        let is_missed = |bound: &Bound| {
            matches!(self.judge(bound), Judgement::Missed(_) | Judgement::NoMeasure)
        };
        BOUNDS.iter().any(is_missed) || self.section.is_missed()
    }

    /// As the contract has it.
    pub fn json(&self) -> Value {
        let rounded = |figure: f64| (figure * 1000.0).round() / 1000.0;
        let lines = self.lines.iter().map(|line| {
            let summary = &line.summary;
            json!({
                "name": line.name,
                "unit": format!("µs of CPU of {} per request", line.whose),
                "value": rounded(summary.value),
                "base": rounded(summary.base),
                "ratio": rounded(summary.ratio),
                "runs": line.runs,
                "spread": rounded(summary.spread),
            })
        });
        Value::Array(lines.chain(self.section.json()).collect())
    }

    /// Everything for people.
    pub fn table(&self) -> String {
        let mut text = if self.lines.is_empty() { String::new() } else { self.entries() };
        text.push_str(&self.section.table());
        text
    }

    /// The table, the bounds, and what to know about them.
    fn entries(&self) -> String {
        let names = self.lines.iter().map(|line| line.name.len());
        let width = names.chain([TITLE.chars().count()]).max().unwrap_or_default();
        let mut text = format!(
            "\n{:<width$}  {:>9}  {:>8}  {:>9}  {:>11}  {:>7}\n",
            TITLE, "value", "added", "× trivial", "× jwt_authn", "spread"
        );
        for line in &self.lines {
            let Summary { value, added, spread, .. } = line.summary;
            let added = if line.alone { NONE.to_owned() } else { format!("{added:+.2}") };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<width$}  {value:>9.2}  {added:>8}  {:>9}  {:>11}  {spread:>7.2}",
                line.name,
                self.shown_multiple(line, TRIVIAL),
                self.shown_multiple(line, JWT_AUTHN),
            );
        }
        text.push_str(
            "\nadded: median difference to the base of the same round; spread: the middle half of \
             these\ndifferences lies this close together; ×: added, as a multiple of what that \
             entry adds.\n\n",
        );
        for bound in &BOUNDS {
            let _ = writeln!(text, "{}", self.shown_judgement(bound));
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }

    fn line(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }

    /// What a row adds to its base.
    fn added(&self, name: &str) -> Option<f64> {
        self.line(name).filter(|line| !line.alone).map(|line| line.summary.added)
    }

    fn shown_multiple(&self, line: &Line, than: &str) -> String {
        // What a server uses is not what Envoy's filters add.
        let comparable = line.whose == "Envoy" && !line.alone;
        match self.added(than) {
            Some(measure) if comparable && measure > 0.0 => {
                format!("{:.2}", line.summary.added / measure)
            }
            _ => NONE.to_owned(),
        }
    }

    fn judge(&self, bound: &Bound) -> Judgement {
        let Some(line) = self.line(bound.name) else { return Judgement::NotMeasured };
        let Summary { value, added, ratio, .. } = line.summary;
        let (found, at_most) = match bound.at_most {
            AtMost::TakesMicros { micros, .. } => (value, micros),
            _ if line.alone => return Judgement::NotMeasured,
            AtMost::Takes { times, .. } => (ratio, times),
            AtMost::AddsMicros { micros, .. } => (added, micros),
            AtMost::Adds { times, than } => match self.added(than) {
                None => return Judgement::NotMeasured,
                Some(measure) if measure <= 0.0 => return Judgement::NoMeasure,
                Some(measure) => (added / measure, times),
            },
        };
        if found <= at_most { Judgement::Holds(found) } else { Judgement::Missed(found) }
    }

    fn shown_judgement(&self, bound: &Bound) -> String {
        let claim = bound.claim();
        match self.judge(bound) {
            Judgement::NotMeasured => format!("        {claim}: not measured"),
            Judgement::NoMeasure => {
                format!("MISSED  {claim}: the latter added nothing; measure again")
            }
            Judgement::Holds(found) => format!("ok      {claim}: {}", bound.shown(found)),
            Judgement::Missed(found) => format!("MISSED  {claim}: {}", bound.shown(found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Reading;

    fn row(name: &str, base: &str, values: &[f64]) -> Row {
        Row {
            name: name.to_owned(),
            base: base.to_owned(),
            whose: if name.ends_with(".server") { "the server" } else { "Envoy" },
            values: values.to_vec(),
        }
    }

    fn report(warm: f64, million: f64) -> Report {
        let base = [20.0, 22.0, 21.0];
        let plus = |added: f64| base.map(|base| base + added);
        let rows = vec![
            row("envoy.base", "envoy.base", &base),
            row("envoy.jwt_authn.default", "envoy.base", &plus(40.0)),
            row("wasm.trivial", "envoy.base", &plus(5.0)),
            row("filter.jwt.warm", "envoy.base", &plus(warm)),
            row("ext_authz.noop.server", "ext_authz.noop.server", &[15.0, 16.0, 17.0]),
            row("filter.jwt.revocation", "envoy.base", &plus(7.0)),
            row("filter.jwt.revocation_1m", "filter.jwt.revocation", &plus(7.0 + million)),
        ];
        let notes = vec!["look here".to_owned()];
        let section = Section::of(vec![Reading::new("feed.a_ms", "ms", 3.0).at_most(4.0)]);
        Report::of(&Measured { rows, notes }, section)
    }

    fn judged(report: &Report) -> Vec<Judgement> {
        BOUNDS.iter().map(|bound| report.judge(bound)).collect()
    }

    fn limiter(memory: f64, redis: f64, four: f64) -> Report {
        let rows = vec![
            row("rls.noop", "rls.noop", &[14.0, 16.0, 15.0]),
            row("rls.memory", "rls.noop", &[14.0, 16.0, 15.0].map(|noop| noop * memory)),
            row("rls.redis.sum", "rls.redis.sum", &[redis]),
            row("rls.redis.4limits.sum", "rls.redis.sum", &[redis * four]),
        ];
        Report::of(&Measured { rows, notes: Vec::new() }, Section::default())
    }

    #[test]
    fn some_bounds_are_about_what_is_taken() {
        let good = limiter(1.3, 40.0, 1.4);
        let judgements = judged(&good);
        assert!(near(judgements[8], 1.3), "{judgements:?}");
        assert!(near(judgements[9], 40.0), "{judgements:?}");
        assert!(near(judgements[10], 1.4), "{judgements:?}");
        assert!(!good.is_missed());
        let table = good.table();
        assert!(table.contains("rls.memory takes at most 1.40 × what rls.noop takes: 1.30\n"));
        let peer = "takes at most 45.00 µs: 40.00 µs, 0.40 × the 99 µs of a peer";
        assert!(table.contains(peer), "{table}");

        for bad in [limiter(1.5, 40.0, 1.4), limiter(1.3, 46.0, 1.4), limiter(1.3, 40.0, 1.6)] {
            assert!(bad.is_missed(), "{}", bad.table());
        }
    }

    fn near(judgement: Judgement, expected: f64) -> bool {
        matches!(judgement, Judgement::Holds(found) if (found - expected).abs() < 1e-9)
    }

    #[test]
    fn bounds_are_about_what_is_added() {
        let good = report(6.0, 0.5);
        let judgements = judged(&good);
        assert!(near(judgements[0], 1.2), "{judgements:?}");
        assert!(near(judgements[1], 0.15), "{judgements:?}");
        assert_eq!(judgements[2..6], [Judgement::NotMeasured; 4]);
        assert!(near(judgements[6], 0.5), "{judgements:?}");
        assert!(!good.is_missed());

        let bad = report(11.0, 1.5);
        for missed in [0, 1, 6] {
            assert!(matches!(judged(&bad)[missed], Judgement::Missed(_)), "{missed}");
        }
        assert!(bad.is_missed());
        assert!(bad.table().contains("adds at most 1.00 µs to filter.jwt.revocation: 1.50 µs"));
    }

    #[test]
    fn a_figure_that_misses_its_bound_counts() {
        let section = Section::of(vec![Reading::new("feed.a_ms", "ms", 5.0).at_most(4.0)]);
        let report = Report::of(&Measured::default(), section);
        assert!(report.is_missed());
        assert!(!report.table().contains("× trivial"), "a table of nothing");
    }

    #[test]
    fn a_measure_of_nothing_measures_nothing() {
        let rows = vec![
            row("envoy.base", "envoy.base", &[20.0]),
            row("wasm.trivial", "envoy.base", &[19.0]),
            row("filter.jwt.warm", "envoy.base", &[25.0]),
        ];
        let report = Report::of(&Measured { rows, notes: Vec::new() }, Section::default());
        assert_eq!(judged(&report)[0], Judgement::NoMeasure);
        assert!(report.is_missed());
        assert!(report.table().contains("measure again"));
    }

    #[test]
    fn json_has_the_members_of_the_contract() {
        let json = report(6.0, 0.5).json();
        let warm = &json[3];
        assert_eq!(
            warm,
            &json!({
                "name": "filter.jwt.warm",
                "unit": "µs of CPU of Envoy per request",
                "value": 27.0,
                "base": 21.0,
                "ratio": 1.286,
                "runs": 3,
                "spread": 0.0,
            })
        );
        assert_eq!((&json[0]["value"], &json[0]["base"]), (&json!(21.0), &json!(21.0)));
        assert_eq!(json[4]["unit"], "µs of CPU of the server per request");
        assert_eq!(json[7]["name"], "feed.a_ms");
    }

    #[test]
    fn the_table_shows_every_row_and_bound() {
        let table = report(6.0, 0.5).table();
        let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
        let columns: Vec<&str> = line("filter.jwt.warm").split_whitespace().collect();
        assert_eq!(columns, ["filter.jwt.warm", "27.00", "+6.00", "1.20", "0.15", "0.00"]);
        let columns: Vec<&str> = line("envoy.base").split_whitespace().collect();
        assert_eq!(columns, ["envoy.base", "21.00", "–", "–", "–", "1.00"]);
        assert!(line("ext_authz.noop.server").contains("16.00"));
        assert!(line("ok ").ends_with("1.20"));
        assert!(line("feed.a_ms").contains("3.00"));
        assert!(table.contains("not measured") && table.contains("note: look here"));
    }
}

//! The figures, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::run::{Outcome, Row};
use crate::world::Figures;

const HEADINGS: [&str; 13] = [
    "algorithm",
    "sidecars",
    "limit",
    "offered",
    "admitted",
    "exact",
    "most %",
    "exact's %",
    "over %",
    "bound %",
    "under-use %",
    "messages/s",
    "at once/s",
];

const NOTES: &str = "
admitted, exact: what passed with leases, and what an exact limiter let pass of the same requests
most %: the most of one key in a window (fixed_window) or any period (the others), of its limit
over %: of that, what is beyond what the algorithm alone may let through
bound %: what over % may be: outstanding (not with fixed_window) + sidecars × allowance
under-use %: what an exact limiter would have let pass and leases did not
messages/s: requests of all sidecars to the lender; at once: those that did not wait for their turn
";

/// One row as it is done.
pub fn progress(row: &Row) -> String {
    let (algorithm, sidecars) = (row.algorithm.as_str(), row.sidecars);
    match &row.outcome {
        Outcome::Ran { not_eligible: Some(why), .. } => {
            format!(
                "{algorithm}, {sidecars} sidecars: done, though it is refused in a document: {why}"
            )
        }
        Outcome::Ran { .. } => format!("{algorithm}, {sidecars} sidecars: done"),
        Outcome::Impossible(why) => format!("{algorithm}, {sidecars} sidecars: {why}"),
    }
}

/// All rows in columns.
pub fn table(rows: &[Row]) -> String {
    let lines: Vec<[String; 13]> =
        std::iter::once(HEADINGS.map(str::to_owned)).chain(rows.iter().map(cells)).collect();
    let mut text = String::new();
    for line in &lines {
        for (column, cell) in line.iter().enumerate() {
            let cells = lines.iter().filter_map(|line| line.get(column));
            let width = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            let gap = if column == 0 { "" } else { "  " };
            // Names to the left, numbers to the right; writing to a string does not fail.
            let _written = if column == 0 {
                write!(text, "{gap}{cell:<width$}")
            } else {
                write!(text, "{gap}{cell:>width$}")
            };
        }
        text.push('\n');
    }
    text.push_str(NOTES);
    for row in rows.iter().filter(|row| row.is_broken()) {
        let (algorithm, sidecars) = (row.algorithm.as_str(), row.sidecars);
        let _written = writeln!(text, "BROKEN: {algorithm} with {sidecars} sidecars");
    }
    text
}

fn cells(row: &Row) -> [String; 13] {
    let name = row.algorithm.as_str().to_owned();
    let (sidecars, limit) = (row.sidecars.to_string(), row.limit.to_string());
    let Outcome::Ran { figures, bound, .. } = &row.outcome else {
        let none = || "-".to_owned();
        return [
            name,
            sidecars,
            limit,
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
        ];
    };
    let of_limit = |requests: u64| format!("{:.2}", percent(requests, row.limit));
    let a_second = |messages: u64| format!("{:.1}", messages as f64 / row.seconds as f64);
    [
        name,
        sidecars,
        limit,
        figures.offered.to_string(),
        figures.admitted.to_string(),
        figures.exact.to_string(),
        of_limit(figures.most),
        of_limit(figures.exact_most),
        of_limit(figures.most.saturating_sub(bound.alone)),
        of_limit(bound.requests()),
        format!("{:.2}", under_use(figures)),
        a_second(figures.messages),
        a_second(figures.at_once),
    ]
}

/// All rows as JSON, counts in requests.
pub fn json(rows: &[Row]) -> Value {
    rows.iter().map(row_json).collect()
}

fn row_json(row: &Row) -> Value {
    let mut value = json!({
        "algorithm": row.algorithm.as_str(),
        "sidecars": row.sidecars,
        "limit": row.limit,
        "seconds": row.seconds,
    });
    let figures = match &row.outcome {
        Outcome::Impossible(why) => json!({ "impossible": why }),
        Outcome::Ran { figures, bound, not_eligible } => json!({
            "offered": figures.offered,
            "admitted": figures.admitted,
            "exact": figures.exact,
            "most": figures.most,
            "exact_most": figures.exact_most,
            "over": figures.most.saturating_sub(bound.alone),
            "bound": bound.requests(),
            "under_use_percent": under_use(figures),
            "messages": figures.messages,
            "at_once": figures.at_once,
            "not_eligible": not_eligible,
            "is_broken": row.is_broken(),
        }),
    };
    if let (Value::Object(value), Value::Object(figures)) = (&mut value, figures) {
        value.extend(figures);
    }
    value
}

fn percent(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 * 100.0 / of as f64 }
}

fn under_use(figures: &Figures) -> f64 {
    percent(figures.exact.saturating_sub(figures.admitted), figures.exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_leases::Bound;
    use postern_limits::Algorithm;

    fn row(most: u64) -> Row {
        let figures = Figures {
            offered: 4000,
            admitted: 1900,
            exact: 2000,
            most,
            exact_most: 1000,
            messages: 30,
            at_once: 18,
        };
        let bound = Bound { alone: 1000, outstanding: 100, optimistic: 0, limit: 1000 };
        let outcome = Outcome::Ran { figures, bound, not_eligible: None };
        Row { algorithm: Algorithm::SlidingLog, sidecars: 10, limit: 1000, seconds: 60, outcome }
    }

    #[test]
    fn a_row_says_what_is_beyond_and_what_is_unused() {
        let text = table(&[row(1050)]);
        let line = text.lines().nth(1).unwrap();
        let cells: Vec<&str> = line.split_whitespace().collect();
        let expected = [
            "sliding_log",
            "10",
            "1000",
            "4000",
            "1900",
            "2000",
            "105.00",
            "100.00",
            "5.00",
            "10.00",
            "5.00",
            "0.5",
            "0.3",
        ];
        assert_eq!(cells, expected);
        assert!(!text.contains("BROKEN"));
    }

    #[test]
    fn a_broken_bound_is_said() {
        let (kept, broken) = (row(1100), row(1101));
        assert!(!kept.is_broken() && broken.is_broken());
        assert!(table(&[kept.clone(), broken.clone()]).contains("BROKEN: sliding_log with 10"));
        let json = json(&[kept, broken]);
        assert_eq!(json[0]["is_broken"], false);
        assert_eq!(json[1]["over"], 101);
    }
}

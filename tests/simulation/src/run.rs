//! Which worlds are simulated, and whether the bounds hold in them.

use postern_leases::terms::USEFUL_SLICE;
use postern_leases::{Bound, Start, Terms, eligibility, over_admission};
use postern_limits::{Algorithm, Anchor, Rate, Spec};

use crate::cli::Options;
use crate::world::{Figures, simulate};

/// The smallest limit that is simulated unasked: below, a figure in percent says little.
const LEAST_LIMIT: u64 = 600;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// How the limit counts.
    pub algorithm: Algorithm,
    /// How many sidecars share it.
    pub sidecars: u32,
    /// Requests a period.
    pub limit: u64,
    /// How long that was simulated, in seconds.
    pub seconds: u64,
    /// What came out.
    pub outcome: Outcome,
}

/// What came out of one world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ran.
    Ran {
        /// What was counted.
        figures: Figures,
        /// What was promised.
        bound: Bound,
        /// Why a document would not be let have this limit leased.
        not_eligible: Option<String>,
    },
    /// There is no such limit.
    Impossible(String),
}

impl Row {
    /// Whether more passed than was promised.
    pub const fn is_broken(&self) -> bool {
        match &self.outcome {
            Outcome::Ran { figures, bound, .. } => figures.most > bound.most(),
            Outcome::Impossible(_) => false,
        }
    }
}

/// Simulates every algorithm with every number of sidecars.
///
/// # Errors
/// When the options make no terms or no rate.
pub fn all(options: &Options, mut each: impl FnMut(&Row)) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for sidecars in &options.sidecars {
        let terms = terms(options, *sidecars)?;
        let limit = options.limit.unwrap_or_else(|| smallest_limit(&terms));
        let rate = Rate::new(limit, options.period.saturating_mul(1000));
        let rate = rate.map_err(|problem| format!("--limit and --period: {problem}"))?;
        for algorithm in Algorithm::ALL {
            let outcome = match Spec::new(algorithm, rate, None, Anchor::Clock) {
                Ok(spec) => Outcome::Ran {
                    figures: simulate(options, spec, terms),
                    bound: over_admission(spec, &terms),
                    not_eligible: eligibility(spec, &terms).err().map(|no| no.to_string()),
                },
                Err(problem) => Outcome::Impossible(problem.to_string()),
            };
            let (sidecars, seconds) = (*sidecars, options.seconds);
            let row = Row { algorithm, sidecars, limit, seconds, outcome };
            each(&row);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn terms(options: &Options, sidecars: u32) -> Result<Terms, String> {
    let start = match options.allowance {
        0 => Start::Strict,
        allowance => Start::Optimistic { allowance },
    };
    Terms::new(sidecars, options.outstanding, options.life_ms, start)
        .map_err(|problem| problem.to_string())
}

/// The smallest limit that may be leased on these terms.
fn smallest_limit(terms: &Terms) -> u64 {
    let needed = USEFUL_SLICE.saturating_mul(u64::from(terms.sidecars()));
    let least = needed.saturating_mul(100).div_ceil(u64::from(terms.outstanding()));
    least.max(LEAST_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn run(line: &str) -> Vec<Row> {
        let words = "postern-simulation leases".split(' ').chain(line.split_whitespace());
        let Command::Leases(options) = Cli::parse_from(words).command;
        all(&options, |_| ()).unwrap()
    }

    fn figures(row: &Row) -> &Figures {
        let Outcome::Ran { figures, .. } = &row.outcome else { panic!("{row:?}") };
        figures
    }

    #[test]
    fn no_bound_is_broken_on_a_bad_day() {
        let bad_day = "--sidecars 1,8 --keys 4 --seconds 40 --period 10 --load 300 --loss 0.1 \
                       --duplicate 0.2 --clock-steps";
        for line in [bad_day.to_owned(), format!("{bad_day} --allowance 5 --seed 2")] {
            let rows = run(&line);
            assert_eq!(rows.len(), 10);
            for row in &rows {
                assert!(!row.is_broken(), "{row:?}");
                let figures = figures(row);
                assert!(figures.admitted > 0 && figures.messages > 0, "{row:?}");
                assert!(figures.exact <= figures.offered, "{row:?}");
            }
        }
    }

    #[test]
    fn equal_options_give_equal_figures() {
        let line = "--sidecars 3 --seconds 10 --loss 0.1 --duplicate 0.1 --clock-steps --seed ";
        let [one, again, other] = [7, 7, 8].map(|seed| run(&format!("{line}{seed}")));
        assert_eq!(one, again);
        assert_ne!(one, other);
    }

    #[test]
    fn on_a_good_day_little_is_left_unused() {
        for row in run("--sidecars 4 --keys 2 --seconds 120 --allowance 10") {
            let figures = figures(&row);
            assert!(figures.admitted * 10 >= figures.exact * 9, "{row:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_said() {
        let rows = run("--sidecars 1 --seconds 1 --limit 20000 --load 1");
        let impossible = |row: &&Row| matches!(row.outcome, Outcome::Impossible(_));
        let names: Vec<&str> =
            rows.iter().filter(impossible).map(|row| row.algorithm.as_str()).collect();
        assert_eq!(names, ["sliding_log"]);
        let small = run("--sidecars 90 --seconds 1 --limit 600");
        let is_refused =
            |row: &Row| matches!(row.outcome, Outcome::Ran { not_eligible: Some(_), .. });
        assert!(small.iter().all(is_refused));
    }
}

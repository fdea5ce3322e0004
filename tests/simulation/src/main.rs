//! What leases let through, and what they leave unused: one lender, up to thousands of
//! sidecars, Zipf-distributed keys, in virtual time.
//!
//! `postern-simulation leases` runs the very code of `postern-leases` for each algorithm and
//! number of sidecars, beside an exact limiter that sees the same requests at once, and prints
//! what both let through. The exit code is 1 when more passed than `over_admission` says.
//!
//! Messages take their time, and on request are lost, arrive twice and late, and the sidecars'
//! clocks are stepped. The lender's clock is true time: it is what windows are counted by, for
//! leases and for the exact limiter alike.
//!
//! Equal options give equal figures: all that is random comes from the seed.
//!
//! Deliberately absent: CPU time and latency, which `postern-bench` measures, and Envoy's side
//! of the feed. A poll here goes out when there is something to ask or to return.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people: the table goes to standard output, progress to standard error"
)]

mod cli;
mod events;
mod lender;
mod meter;
mod random;
mod report;
mod run;
mod sidecar;
mod world;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let Command::Leases(options) = Cli::parse().command;
    let rows = match run::all(&options, |row| eprintln!("{}", report::progress(row))) {
        Ok(rows) => rows,
        Err(problem) => {
            eprintln!("postern-simulation: {problem}");
            return ExitCode::from(2);
        }
    };
    if options.json {
        println!("{:#}", report::json(&rows));
    } else {
        print!("{}", report::table(&rows));
    }
    if rows.iter().any(run::Row::is_broken) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

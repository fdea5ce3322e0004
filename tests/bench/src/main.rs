//! What a request costs: CPU time of Envoy and of the server, beside Envoy's own filters.
//!
//! Every entry is an Envoy with one filter chain, and all of them have the same listener, the
//! same hundred routes and the same requests, so that the difference to an Envoy without any
//! filter is the filter. A round measures every entry once, one after the other; the medians
//! are taken over the rounds' differences, because the machine is never the same for long.
//!
//! `./dev bench` builds and finds the parts and hands them over by environment variables.
//!
//! Deliberately absent: wall-clock comparisons. On a shared machine a program's own CPU time is
//! the only figure that means the same twice.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people: the table goes to standard output, progress to standard error"
)]

mod cli;
mod cpu;
mod documents;
mod entries;
mod load;
mod measure;
mod native;
mod noop;
mod parts;
mod process;
mod report;
mod skeleton;
mod station;
mod stats;
mod tokens;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::Parser as _;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Options, Server};
use crate::measure::Bench;
use crate::report::Report;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.server {
        Some(server) => serve(server).map(|()| ExitCode::SUCCESS),
        None => bench(&cli.options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("postern-bench: {error:#}");
        ExitCode::FAILURE
    })
}

/// Measures, prints, and says by the exit code whether what must hold does.
fn bench(options: &Options) -> Result<ExitCode> {
    let bench = Bench::prepare(options)?;
    let measured = one_thread()?.block_on(async {
        tokio::select! {
            measured = Box::pin(bench.run()) => measured,
            // Only so that everything that was started is stopped.
            caught = interrupted() => caught.and_then(|()| Err(anyhow!("interrupted"))),
        }
    })?;

    let report = Report::of(&measured);
    print!("{}", report.table());
    if let Some(file) = &options.json {
        let text = format!("{:#}\n", report.json());
        fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    let failed = options.check && report.is_missed();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn serve(server: &Server) -> Result<()> {
    one_thread()?.block_on(Box::pin(noop::serve(server)))
}

/// One thread: the load generator and the servers need the cores.
fn one_thread() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("starting tokio")
}

async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    tokio::select! {
        caught = ctrl_c() => caught.context("waiting for SIGINT"),
        _ = terminate.recv() => Ok(()),
    }
}

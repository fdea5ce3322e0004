//! What a request costs: CPU time of Envoy, of the server and of its Redis, beside Envoy's own
//! filters. And what the feed costs, and how fast it is.
//!
//! Most entries are an Envoy with one filter chain, and all of these have the same listener, the
//! same hundred routes and the same requests, so that the difference to an Envoy without any
//! filter is the filter. The others are a rate limit service each, and the same calls for all of
//! them, so that the difference to one that counts nothing is the counting; or an authorization
//! server each, beside a program that signs and does nothing else. A round measures
//! every entry once, one after the other; the medians are taken over the rounds' differences,
//! because the machine is never the same for long.
//!
//! Figures are measured after the entries, each by itself: latencies of the feed, memory, starts.
//!
//! `./dev bench` builds and finds the parts and hands them over by environment variables.
//!
//! Deliberately absent: wall-clock comparisons of entries. On a shared machine a program's own
//! CPU time is the only figure that means the same twice. Where a figure is a time all the same,
//! it is the time that matters to whoever revokes a token; or it is told beside somebody else's
//! service, whose processes may be unknown.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people: the table goes to standard output, progress to standard error"
)]

mod accounts;
mod bounds;
mod chain;
mod check_load;
mod cli;
mod connection;
mod cpu;
mod database;
mod documents;
mod entries;
mod feed_clients;
mod figures;
mod grpc;
mod latencies;
mod launcher;
mod load;
mod measure;
mod memory;
mod native;
mod noop;
mod outcome;
mod parts;
mod peer;
mod posts;
mod process;
mod rate_limits;
mod reading;
mod refresh_load;
mod report;
mod rls_load;
mod selection;
mod server_metrics;
mod sign;
mod skeleton;
mod station;
mod stats;
mod timings;
mod tokens;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::Parser as _;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Beside, Cli, Options};
use crate::launcher::Launcher;
use crate::measure::{Bench, Measured};
use crate::reading::Section;
use crate::report::Report;
use crate::selection::Selection;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.beside {
        Some(beside) => run_beside(beside).map(|()| ExitCode::SUCCESS),
        None => bench(&cli.options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("postern-bench: {error:#}");
        ExitCode::FAILURE
    })
}

/// Measures, prints, and says by the exit code whether what must hold does.
fn bench(options: &Options) -> Result<ExitCode> {
    let selection = Selection::of(&options.names, options.check, peer::is_named())?;
    let launcher = Launcher::prepare()?;
    let (measured, section) = one_thread()?.block_on(async {
        tokio::select! {
            measured = Box::pin(measure(&launcher, &selection, options)) => measured,
            // Only so that everything that was started is stopped.
            caught = interrupted() => caught.and_then(|()| Err(anyhow!("interrupted"))),
        }
    })?;

    let report = Report::of(&measured, section);
    print!("{}", report.table());
    if let Some(file) = &options.json {
        let text = format!("{:#}\n", report.json());
        fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    let failed = options.check && report.is_missed();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The entries, and then the figures: nothing of the former runs any more.
async fn measure(
    launcher: &Launcher,
    selection: &Selection,
    options: &Options,
) -> Result<(Measured, Section)> {
    let (mut measured, mut section) = (Measured::default(), Section::default());
    if !selection.entries.is_empty() {
        let bench = Bench::prepare(launcher, &selection.entries, options)?;
        (measured, section) = Box::pin(bench.run()).await?;
    }
    section.extend(Box::pin(figures::measure(launcher, &selection.figures)).await?);
    Ok((measured, section))
}

fn run_beside(beside: &Beside) -> Result<()> {
    let runtime = match beside {
        // What the service's own cost is compared with must run as that does.
        Beside::NoopRls { .. } => as_the_server()?,
        _ => one_thread()?,
    };
    runtime.block_on(async {
        match beside {
            Beside::NoopAuthz { address } => Box::pin(noop::serve_authz(*address)).await,
            Beside::NoopProc { address } => Box::pin(noop::serve_proc(*address)).await,
            Beside::NoopRls { address } => Box::pin(noop::serve_rls(*address)).await,
            Beside::RlsLoad(load) => Box::pin(rls_load::run(load)).await,
            Beside::Sign { address } => Box::pin(sign::serve(*address)).await,
            Beside::CheckLoad(load) => Box::pin(check_load::run(load)).await,
            Beside::RefreshLoad(load) => Box::pin(refresh_load::run(load)).await,
            Beside::FeedClients(clients) => Box::pin(feed_clients::run(clients)).await,
        }
    })
}

/// One thread: the load generator and the servers need the cores.
fn one_thread() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("starting tokio")
}

/// A thread for each core that it may use, as `postern serve` has them.
fn as_the_server() -> Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("starting tokio")
}

async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    tokio::select! {
        caught = ctrl_c() => caught.context("waiting for SIGINT"),
        _ = terminate.recv() => Ok(()),
    }
}

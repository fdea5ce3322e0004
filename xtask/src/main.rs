//! Everything a developer runs: set-up, build, run, test, bench, checks.
//!
//! `./dev` in the repository root finds a toolchain and hands its arguments
//! over to this binary. It deliberately knows none of our own crates: it
//! compiles in seconds on a fresh machine and builds the rest through cargo.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks through its standard streams"
)]

mod arrows;
mod bench;
mod chaos;
mod cli;
mod clients;
mod fuzz;
mod http;
mod image;
mod lint;
mod matrix;
mod mesh;
mod parts;
mod paths;
mod process;
mod remap;
mod running;
mod say;
mod setup;
mod test;
mod up;
mod wasm;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::cli::{Cli, Command};
use crate::paths::Workspace;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Setup(options) => setup::run(&workspace, &options),
        Command::Up(options) => up::run(&workspace, &options),
        Command::Test(options) => test::run(&workspace, &options),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Lint => lint::run(&workspace),
        Command::Arrows => arrows::run(&workspace),
        Command::Wasm(options) => wasm::run(&workspace, &options),
        Command::Image(options) => image::run(&workspace, &options),
    }
}

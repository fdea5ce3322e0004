//! `./dev test chaos`: our own failures, with real processes and a proxy that makes faults.
//!
//! `--short` is what every change must pass: seconds instead of minutes, at low rates; what is
//! asserted is the same.

use anyhow::Result;

use crate::cli::TestOptions;
use crate::paths::Workspace;
use crate::process;
use crate::setup::{envoy, faketime};
use crate::test::Kit;

/// Whether the tests run in full or in short.
const PROFILE: &str = "POSTERN_CHAOS";

/// Runs the tests.
pub fn run(workspace: &Workspace, options: &TestOptions) -> Result<()> {
    let faketime = faketime::get(workspace)?;
    let kit = Kit::get(workspace, envoy::get(workspace)?)?;
    let mut command = kit.chaos(workspace, !options.short)?;
    // In full each test is to have the machine for itself; in short most of them wait.
    let (profile, threads) = if options.short { ("short", 2) } else { ("full", 1) };
    command
        .env("POSTERN_FAKETIME", faketime)
        .env(PROFILE, profile)
        .args(["--no-fail-fast", "--", &format!("--test-threads={threads}")])
        .args(&options.arguments);
    process::run("chaos tests", &mut command)
}

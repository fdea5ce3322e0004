//! `./dev bench`: the harness is a crate of its own; here it gets its parts.

use std::path;

use anyhow::{Context, Result};

use crate::cli::BenchOptions;
use crate::parts::Parts;
use crate::paths::{self, Workspace};
use crate::process;
use crate::setup::packages;

/// Builds what is measured as it ships, and measures.
pub fn run(workspace: &Workspace, options: &BenchOptions) -> Result<()> {
    let wrk = packages::wrk(workspace)?;
    let parts = Parts::get(workspace)?;
    let mut build = workspace.cargo();
    build.args(["build", "--release", "-p", "postern-server", "-p", "postern-bench"]);
    process::run("building the server and the bench as they ship", &mut build)?;

    let mut command = std::process::Command::new(workspace.binary("release", "postern-bench"));
    command.current_dir(workspace.root()).args(&options.names).env("POSTERN_WRK", wrk);
    if let Some(file) = &options.json {
        let file = path::absolute(paths::as_called(file)).context("the path after --json")?;
        command.arg("--json").arg(file);
    }
    if let Some(runs) = options.runs {
        command.arg("--runs").arg(runs.to_string());
    }
    if let Some(seconds) = options.seconds {
        command.arg("--seconds").arg(seconds.to_string());
    }
    if options.check {
        command.arg("--check");
    }
    parts.hand_to(&mut command, &workspace.binary("release", "postern"));
    process::run("measuring", &mut command)
}

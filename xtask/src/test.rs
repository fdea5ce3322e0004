//! `./dev test`: the suites of this version.

use anyhow::{Result, bail};

use crate::cli::{Suite, TestOptions};
use crate::parts::Parts;
use crate::paths::Workspace;
use crate::setup::postgres;
use crate::{arrows, fuzz, process};

/// Runs one suite, or, bare, everything a change must pass.
pub fn run(workspace: &Workspace, options: &TestOptions) -> Result<()> {
    let arguments = &options.arguments;
    match options.suite {
        None => {
            arrows::run(workspace)?;
            unit(workspace, arguments)?;
            e2e(workspace, arguments)
        }
        Some(Suite::Unit) => unit(workspace, arguments),
        Some(Suite::E2e) => e2e(workspace, arguments),
        Some(Suite::Fuzz) => fuzz::run(workspace, options.seconds),
        Some(Suite::Matrix) => not_yet("matrix", "the end-to-end tests on several Envoys"),
        Some(Suite::Mesh) => not_yet("mesh", "Istio's control plane with real sidecars"),
        Some(Suite::Load) => not_yet("load", "load stages with thresholds"),
        Some(Suite::Chaos) => not_yet("chaos", "failures of every remote part"),
    }
}

fn not_yet(suite: &str, what: &str) -> Result<()> {
    bail!(
        "the suite `{suite}` ({what}) is not in this version; `./dev test` runs those that are: \
         unit, e2e and fuzz"
    )
}

/// Every crate's own tests. Those of the end-to-end crate and of the bench
/// crate need real parts.
fn unit(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut command = workspace.cargo();
    command
        .args(["test", "--workspace", "--exclude", "postern-e2e", "--exclude", "postern-bench"])
        .arg("--")
        .args(arguments);
    process::run("unit tests", &mut command)
}

/// Real Envoy, real Redis, real PostgreSQL, the real server and modules.
fn e2e(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let parts = Parts::get(workspace)?;
    let postgres = postgres::get(workspace)?;
    let mut build = workspace.cargo();
    build.args(["build", "-p", "postern-server", "-p", "postern-sample-upstream"]);
    process::run("building the server and the sample upstream", &mut build)?;

    let mut command = workspace.cargo();
    command.args(["test", "-p", "postern-e2e", "--no-fail-fast", "--"]).args(arguments);
    parts.hand_to(&mut command, &workspace.binary("debug", "postern"));
    command.env("POSTERN_POSTGRES", postgres);
    process::run("end-to-end tests", &mut command)
}

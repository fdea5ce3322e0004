//! `./dev test clients`: OAuth clients that others wrote, our pages in a browser, and a fuzzer that
//! reads the admin API's description, all against a real gateway.
//!
//! What they run in is got here, and told to the test in variables (`tests/tests/clients.rs`).

use std::fs;

use anyhow::{Context, Result};

use crate::cli::TestOptions;
use crate::paths::Workspace;
use crate::process;
use crate::setup::{chromium, envoy, node, python};
use crate::test::Kit;

/// Runs the scripts one after another, up to the first that fails.
pub fn run(workspace: &Workspace, options: &TestOptions) -> Result<()> {
    // What may be missing comes first, what takes minutes to build after it.
    let node = node::get(workspace)?;
    let packages = node.packages(workspace)?;
    let python = python::packages(workspace)?;
    let chromium = chromium::get(workspace)?;
    let out = workspace.state().join("browser");
    fs::create_dir_all(&out).with_context(|| format!("creating {}", out.display()))?;
    let kit = Kit::get(workspace, envoy::get(workspace)?)?;
    let mut command = kit.test(workspace);
    command
        .env("POSTERN_CLIENTS_NODE", node.path())
        .env("POSTERN_CLIENTS_PACKAGES", packages)
        .env("POSTERN_CLIENTS_PYTHON", python)
        .env("POSTERN_CLIENTS_CHROMIUM", chromium)
        .env("POSTERN_CLIENTS_OUT", out)
        .env("POSTERN_CLIENTS_ONLY", options.only.as_deref().unwrap_or_default())
        .env("CASE", options.arguments.join(" "))
        .args(["--", "--ignored", "--nocapture", "clients::"]);
    process::run("clients of others", &mut command)
}

//! `./dev lint`: what a machine can say about the code without running it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::{self, Workspace};
use crate::setup::toolchain::WasmToolchain;
use crate::wasm::Builder;
use crate::{arrows, process, say};

/// All checks, the quick ones first; the first failure ends the run. The last
/// one is the size of the bundle, which has to be built for it.
pub fn run(workspace: &Workspace) -> Result<()> {
    process::run("formatting", workspace.cargo().args(["fmt", "--all", "--check"]))?;
    arrows::run(workspace)?;
    process::run(
        "clippy",
        workspace.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    )?;
    let builder = Builder::get(workspace)?;
    wasm32(workspace, builder.toolchain())?;
    licences(workspace)?;
    builder.modules()?.check_size()
}

/// The core and the filters must build for the sidecar, whatever else pulls
/// them in on the host.
fn wasm32(workspace: &Workspace, toolchain: &WasmToolchain) -> Result<()> {
    let mut command = toolchain.cargo(workspace, "check")?;
    for package in arrows::wasm_packages() {
        command.args(["-p", package]);
    }
    process::run("core and filters on wasm32", &mut command)
}

/// Licences, bans and sources always; advisories only on demand, because their
/// database has to be fetched from a host that not every machine may reach.
fn licences(workspace: &Workspace) -> Result<()> {
    let deny = cargo_deny(workspace)?;
    let mut command = Command::new(deny);
    command.current_dir(workspace.root()).args(["check", "bans", "licenses", "sources"]);
    if std::env::var_os("POSTERN_DENY_ADVISORIES").is_some_and(|value| value == "1") {
        command.arg("advisories");
    }
    process::without_own_package(&mut command);
    process::run("third-party code (cargo-deny)", &mut command)
}

/// cargo-deny: on the `PATH`, or built into our own folder.
pub fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.state().join("tools");
    let own = tools.join("bin").join("cargo-deny");
    let present = paths::program("cargo-deny").or_else(|| own.is_file().then(|| own.clone()));
    if let Some(path) = present.filter(|path| runs(path)) {
        say::ok(&format!("cargo-deny ({})", workspace.shown(&path)));
        return Ok(path);
    }
    let mut install = workspace.cargo();
    // It works for a second, and is compiled for minutes: unoptimised it takes half of them.
    install.args(["install", "--debug", "--locked", "cargo-deny", "--root"]).arg(&tools);
    // What cargo compiles on the way goes to a temporary folder, not to ours.
    install.env_remove("CARGO_TARGET_DIR");
    process::run("building cargo-deny (once; a few minutes)", &mut install).context(
        "cargo-deny could not be installed; put `cargo-deny` on the PATH and run this again",
    )?;
    Ok(own)
}

fn runs(path: &Path) -> bool {
    process::succeeds(Command::new(path).arg("--version"))
}

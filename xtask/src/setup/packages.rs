//! Programs that come from the distribution: found, or installed by apt-get.
//!
//! Installing is all that happens system-wide. Where a package starts a
//! service of its own, it is left alone: tests start theirs on free ports.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

use crate::paths::{self, Workspace};
use crate::{process, say};

/// Package lists are refreshed at most once per run.
static LISTS_REFRESHED: AtomicBool = AtomicBool::new(false);

/// Who may install packages here.
#[derive(Clone, Copy)]
enum Privilege {
    Root,
    Sudo,
}

/// A C compiler: Rust links with it, and aws-lc is built by it.
pub fn c_compiler(workspace: &Workspace) -> Result<()> {
    if !process::succeeds(Command::new("cc").arg("--version")) {
        install(
            workspace,
            "a C compiler (cc)",
            &["gcc", "libc6-dev"],
            "put a C compiler on the PATH as `cc`",
        )?;
    }
    let text = process::output(Command::new("cc").arg("--version"))
        .context("the C compiler does not run")?;
    say::ok(&format!("C compiler: {}", first_line(&text)));
    Ok(())
}

/// What passkeys link with (`webauthn-rs` through `openssl-sys`), and what finds it.
pub fn openssl(workspace: &Workspace) -> Result<()> {
    // Whoever says by the environment where it is need not have it found.
    let is_named = std::env::var_os("OPENSSL_DIR").is_some();
    let mut is_there = Command::new("pkg-config");
    is_there.args(["--exists", "openssl >= 1.1.1"]);
    if !is_named && !process::succeeds(&mut is_there) {
        install(
            workspace,
            "OpenSSL's headers (libssl-dev, found by pkg-config)",
            &["libssl-dev", "pkg-config"],
            "install OpenSSL with its headers and set OPENSSL_DIR to where it is",
        )?;
    }
    say::ok("OpenSSL's headers, for passkeys");
    Ok(())
}

/// The load generator of the benches.
pub fn wrk(workspace: &Workspace) -> Result<PathBuf> {
    let path = found_or_installed(workspace, "wrk", "put `wrk` on the PATH")?;
    say::ok(&format!("wrk ({})", path.display()));
    Ok(path)
}

/// Installs Debian packages, or says exactly what is missing and the way out.
pub fn install(
    workspace: &Workspace,
    what: &str,
    packages: &[&str],
    otherwise: &str,
) -> Result<()> {
    let list = packages.join(" ");
    if paths::program("apt-get").is_none() {
        bail!("{what} is missing, and this machine has no apt-get to install it: {otherwise}");
    }
    let Some(privilege) = privilege(what) else {
        bail!(
            "{what} is missing, and installing it takes root or sudo: run \
             `apt-get install --no-install-recommends {list}` as root, or {otherwise}"
        );
    };
    refresh_lists(workspace, privilege);
    let mut command = apt_get(privilege);
    command.args(["install", "-y", "--no-install-recommends"]).args(packages);
    process::run_logged(
        &format!("installing {what}: apt-get install {list}"),
        &workspace.log("apt-get-install"),
        &mut command,
    )
    .with_context(|| format!("{what} could not be installed; {otherwise}"))
}

/// A program on the `PATH`, or the package of that name.
pub fn found_or_installed(workspace: &Workspace, name: &str, otherwise: &str) -> Result<PathBuf> {
    if let Some(path) = paths::program(name) {
        return Ok(path);
    }
    install(workspace, name, &[name], otherwise)?;
    paths::program(name)
        .with_context(|| format!("{name} is not on the PATH after its installation; {otherwise}"))
}

fn privilege(what: &str) -> Option<Privilege> {
    let user = process::output(Command::new("id").arg("-u")).unwrap_or_default();
    if user.trim() == "0" {
        return Some(Privilege::Root);
    }
    paths::program("sudo")?;
    if process::succeeds(Command::new("sudo").args(["-n", "true"])) {
        return Some(Privilege::Sudo);
    }
    if !std::io::stdin().is_terminal() {
        return None;
    }
    // Somebody is there to type the password: asked for once, up front, so
    // that the captured command after it needs no answer.
    say::note(&format!("sudo asks for your password in order to install {what}"));
    let allowed = Command::new("sudo").arg("-v").status().is_ok_and(|status| status.success());
    allowed.then_some(Privilege::Sudo)
}

fn refresh_lists(workspace: &Workspace, privilege: Privilege) {
    if LISTS_REFRESHED.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut command = apt_get(privilege);
    command.arg("update");
    let log = workspace.log("apt-get-update");
    // One dead source among many is common: what counts is the installation.
    if process::run_logged("refreshing the package lists", &log, &mut command).is_err() {
        say::note(&format!("the package lists are not fresh: see {}", workspace.shown(&log)));
    }
}

fn apt_get(privilege: Privilege) -> Command {
    let mut command = match privilege {
        Privilege::Root => Command::new("env"),
        Privilege::Sudo => {
            let mut command = Command::new("sudo");
            command.args(["-n", "env"]);
            command
        }
    };
    // Another apt-get may be at work, as on a machine that has just booted.
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120"]);
    command
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Where Debian's `lld` puts the WASM linker: plain, or with its version.
pub fn wasm_ld() -> Option<PathBuf> {
    paths::program("wasm-ld").or_else(|| {
        let mut versioned: Vec<(u32, PathBuf)> = ["/usr/bin", "/usr/local/bin"]
            .into_iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .filter_map(|entry| numbered(&entry.ok()?.path()))
            .collect();
        versioned.sort();
        versioned.pop().map(|(_, path)| path)
    })
}

fn numbered(path: &Path) -> Option<(u32, PathBuf)> {
    let version = path.file_name()?.to_str()?.strip_prefix("wasm-ld-")?.parse().ok()?;
    Some((version, path.to_path_buf()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wasm_linkers_are_told_by_their_number() {
        let of = |name: &str| numbered(Path::new(name)).map(|(version, _)| version);
        assert_eq!(of("/usr/bin/wasm-ld-14"), Some(14));
        assert_eq!(of("/usr/bin/wasm-ld"), None);
        assert_eq!(of("/usr/bin/wasm-ld-x"), None);
    }
}

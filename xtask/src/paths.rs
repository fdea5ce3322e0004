//! Where things are: the repository, cargo's target folder, our own folder.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The checkout this binary belongs to, as cargo describes it.
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
    metadata: Value,
}

impl Workspace {
    /// Asks cargo. No dependency is resolved for it, so no network is needed.
    pub fn find() -> Result<Self> {
        // `cargo run` sets the variable; the built-in value serves a direct call.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("xtask has no parent folder")?.to_path_buf();
        let text = process::output(process::cargo(&root).args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
        ]))?;
        let metadata: Value = serde_json::from_str(&text).context("reading cargo metadata")?;
        let target = metadata
            .get("target_directory")
            .and_then(Value::as_str)
            .map(PathBuf::from)
            .context("cargo metadata names no target_directory")?;
        Ok(Self { root, target, metadata })
    }

    /// The repository root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `cargo metadata --no-deps` says.
    pub fn metadata(&self) -> &Value {
        &self.metadata
    }

    /// Cargo's target folder; `CARGO_TARGET_DIR` is honoured.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// A program that cargo built for this machine.
    pub fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(name)
    }

    /// The project-local folder for what we fetch and what `up` remembers.
    pub fn state(&self) -> PathBuf {
        self.root.join(".postern")
    }

    /// The log of a captured step.
    pub fn log(&self, step: &str) -> PathBuf {
        self.state().join("logs").join(format!("{step}.log"))
    }

    /// A cargo command in this workspace.
    pub fn cargo(&self) -> std::process::Command {
        process::cargo(&self.root)
    }

    /// `path` relative to the repository where it lies inside.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// A path as the caller meant it: `./dev` changes the folder and says from where.
pub fn as_called(path: &Path) -> PathBuf {
    match env::var_os("POSTERN_CALLED_FROM") {
        Some(folder) if path.is_relative() => Path::new(&folder).join(path),
        _ => path.to_path_buf(),
    }
}

/// A path from an environment variable; an empty value counts as unset.
pub fn from_env(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(|value| as_called(Path::new(&value)))
}

/// A program on the `PATH`. The folders of system programs, which not every
/// user's `PATH` holds, count as well.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/bin", "/usr/sbin", "/usr/local/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| is_executable(candidate))
}

/// Whether `path` is a file somebody may run.
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// `first` put before the present `PATH`.
pub fn path_with(first: &str) -> Result<OsString> {
    let present = env::var_os("PATH").unwrap_or_default();
    env::join_paths(std::iter::once(PathBuf::from(first)).chain(env::split_paths(&present)))
        .with_context(|| format!("putting {first} before {}", present.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs_and_only_programs() {
        assert!(program("sh").is_some());
        assert!(program("no-such-program-anywhere").is_none());
        assert!(!is_executable(Path::new("/etc")));
    }

    #[test]
    fn absolute_paths_stay_as_they_are() {
        assert_eq!(as_called(Path::new("/a/b")), PathBuf::from("/a/b"));
    }
}

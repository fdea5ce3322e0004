//! Compiling so that the result does not tell where it was compiled.
//!
//! Panic messages name source files by their paths. What ships names them alike whichever machine
//! built it: two builds have one digest, and nobody reads a user's name or a mirror's host in it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::paths::Workspace;

/// What stands for the target folder that is built in.
pub const TARGET: &str = "target";
/// What stands for the folders that cargo unpacks crates to.
const CRATES: &str = "crates";
/// What stands for the repository.
const REPOSITORY: &str = "postern";
/// The variable with the compiler's flags, and what is between them there: a path may have blanks.
const VARIABLE: &str = "CARGO_ENCODED_RUSTFLAGS";
const SEPARATOR: &str = "\u{1f}";

/// Folders of this machine, each with what stands for it. The last one that fits a path counts.
pub struct Remap(Vec<(PathBuf, &'static str)>);

impl Remap {
    /// The repository, cargo's target folder, and where cargo keeps the source of crates.
    pub fn of(workspace: &Workspace) -> Self {
        let mut folders = vec![
            (workspace.root().to_path_buf(), REPOSITORY),
            (workspace.target().to_path_buf(), TARGET),
        ];
        if let Some(home) = cargo_home() {
            let sources = home.join("registry").join("src");
            // One folder for each registry, named by its host.
            let registries = folders_in(&sources);
            folders.push((sources, CRATES));
            folders.extend(registries.into_iter().map(|folder| (folder, CRATES)));
        }
        Self(folders)
    }

    /// One more folder.
    #[must_use]
    pub fn with(mut self, folder: &Path, name: &'static str) -> Self {
        self.0.push((folder.to_path_buf(), name));
        self
    }

    /// Has a cargo command compile so. Flags from the caller's environment stay.
    pub fn apply(&self, command: &mut Command) {
        let mut flags: Vec<OsString> = callers_flags().into_iter().map(OsString::from).collect();
        for (folder, name) in &self.0 {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(folder);
            flag.push("=");
            flag.push(name);
            flags.push(flag);
        }
        command.env(VARIABLE, flags.join(OsStr::new(SEPARATOR)));
    }
}

/// The compiler's flags in the caller's environment, found as cargo finds them.
pub fn callers_flags() -> Vec<String> {
    let of = |name: &str| env::var(name).ok().filter(|flags| !flags.is_empty());
    if let Some(flags) = of(VARIABLE) {
        return flags.split(SEPARATOR).map(str::to_owned).collect();
    }
    of("RUSTFLAGS").unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Where cargo keeps what it fetched.
pub fn cargo_home() -> Option<PathBuf> {
    let of = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    of("CARGO_HOME").or_else(|| of("HOME").map(|home| home.join(".cargo")))
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_become_flags_in_order() {
        let remap = Remap(vec![(PathBuf::from("/a b"), REPOSITORY)]).with(Path::new("/t"), TARGET);
        let mut command = Command::new("cargo");
        remap.apply(&mut command);
        let (name, value) = command.get_envs().next().unwrap();
        assert_eq!(name, VARIABLE);
        let value = value.unwrap().to_str().unwrap();
        let ours: Vec<&str> =
            value.split(SEPARATOR).filter(|flag| flag.starts_with("--remap")).collect();
        assert!(
            ours.ends_with(&["--remap-path-prefix=/a b=postern", "--remap-path-prefix=/t=target"]),
            "{ours:?}"
        );
    }

    #[test]
    fn what_is_no_folder_holds_none() {
        assert_eq!(folders_in(Path::new("/etc/passwd")), Vec::<PathBuf>::new());
        assert_eq!(folders_in(Path::new("/no/such/folder")), Vec::<PathBuf>::new());
    }
}

//! Packages of Python for `./dev test clients`: wheels, each pinned, in a folder of ours. No virtual
//! environment: some distributions leave out what makes one.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::paths::Workspace;
use crate::setup::{digest, wheel};
use crate::{process, say};

const WAY_OUT: &str = "put a python3 with pip on the PATH, of version 3.11 or newer";

/// The folder that `PYTHONPATH` has to name.
pub fn packages(workspace: &Workspace) -> Result<PathBuf> {
    let wanted = workspace.root().join("tests").join("clients").join("requirements.txt");
    let folder = workspace.state().join("python").join(digest::of(std::slice::from_ref(&wanted))?);
    if !folder.is_dir() {
        let part = folder.with_extension("part");
        wheel::remove_folder(&part)?;
        let mut pip = wheel::pip(workspace, WAY_OUT)?;
        pip.args([
            "install",
            "--no-input",
            "--disable-pip-version-check",
            "--no-warn-script-location",
        ])
        .args(["--only-binary", ":all:", "--no-deps", "--target"])
        .arg(&part)
        .arg("-r")
        .arg(&wanted);
        process::run_logged(
            "fetching packages of Python (about 20 MB)",
            &workspace.log("pip-install"),
            &mut pip,
        )
        .with_context(|| format!("the packages of tests/clients could not be had; {WAY_OUT}"))?;
        fs::rename(&part, &folder)
            .with_context(|| format!("moving the packages to {}", folder.display()))?;
    }
    say::ok(&format!("packages of Python ({})", workspace.shown(&folder)));
    Ok(folder)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_package_is_pinned() {
        let wanted = include_str!("../../../tests/clients/requirements.txt");
        let lines = wanted.lines().filter(|line| !line.starts_with('#'));
        let names: Vec<&str> = lines
            .map(|line| {
                let (name, version) = line.split_once("==").unwrap_or_else(|| panic!("{line}"));
                assert!(!version.is_empty() && !version.contains(['*', ' ', ';']), "{line}");
                name
            })
            .collect();
        assert!(names.contains(&"authlib") && names.contains(&"schemathesis"), "{names:?}");
    }
}

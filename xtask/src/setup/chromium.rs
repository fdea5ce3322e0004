//! Chromium, which `./dev test clients` opens our pages in: `POSTERN_CHROMIUM`, the `PATH`'s, or the
//! distribution's.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::{self, Workspace};
use crate::setup::packages;
use crate::{process, say};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const WAY_OUT: &str = "set POSTERN_CHROMIUM=/path/to/chromium";

/// A Chromium that runs. The whole one: passkeys are made by its virtual authenticator.
pub fn get(workspace: &Workspace) -> Result<PathBuf> {
    let path = match paths::from_env("POSTERN_CHROMIUM") {
        Some(path) if paths::is_executable(&path) => path,
        Some(path) => {
            bail!("POSTERN_CHROMIUM names {}, which nobody can run; {WAY_OUT}", path.display())
        }
        None => match found() {
            Some(path) => path,
            None => {
                packages::install(workspace, "Chromium", &["chromium"], WAY_OUT)?;
                found().with_context(|| {
                    format!("Chromium is not there after its installation; {WAY_OUT}")
                })?
            }
        },
    };
    let text = process::output(Command::new(&path).arg("--version"))
        .with_context(|| format!("Chromium does not run; {WAY_OUT}"))?;
    say::ok(&format!("{} ({})", text.lines().next().unwrap_or_default().trim(), path.display()));
    Ok(path)
}

fn found() -> Option<PathBuf> {
    NAMES.into_iter().find_map(paths::program)
}

//! Binaryen's `wasm-opt`: `POSTERN_WASM_OPT`, the `PATH`'s, or the distribution's.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::{self, Workspace};
use crate::setup::packages;
use crate::{process, say};

const PROGRAM: &str = "wasm-opt";
const WAY_OUT: &str = "set POSTERN_WASM_OPT=/path/to/wasm-opt, of Binaryen 108 or newer";
/// Older ones were never tried on what the compiler writes.
const OLDEST: u32 = 108;

/// A `wasm-opt` that runs.
pub struct WasmOpt {
    path: PathBuf,
    version: u32,
}

impl WasmOpt {
    /// Finds it, or has it installed.
    pub fn get(workspace: &Workspace) -> Result<Self> {
        let path = match paths::from_env("POSTERN_WASM_OPT").or_else(|| paths::program(PROGRAM)) {
            Some(path) => path,
            None => {
                packages::install(workspace, PROGRAM, &["binaryen"], WAY_OUT)?;
                paths::program(PROGRAM).with_context(|| {
                    format!("{PROGRAM} is not on the PATH after its installation; {WAY_OUT}")
                })?
            }
        };
        let text = process::output(Command::new(&path).arg("--version"))
            .with_context(|| format!("{PROGRAM} does not run; {WAY_OUT}"))?;
        let version = parse_version(&text)
            .with_context(|| format!("{} names no version: {text:?}", path.display()))?;
        if version < OLDEST {
            bail!("{} is of Binaryen {version}, which is too old; {WAY_OUT}", path.display());
        }
        say::ok(&format!("{PROGRAM} {version} ({})", path.display()));
        Ok(Self { path, version })
    }

    /// Its version, on which the result depends.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Reads one module and writes another.
    pub fn run(&self, from: &Path, to: &Path, flags: &[&str], log: &Path) -> Result<()> {
        let title = format!("{PROGRAM} {}", flags.first().copied().unwrap_or_default());
        let mut command = Command::new(&self.path);
        command.args(flags).arg(from).arg("-o").arg(to);
        process::run_logged(&title, log, &mut command)
            .with_context(|| format!("Binaryen may not know what the compiler wrote; {WAY_OUT}"))
    }
}

/// `wasm-opt version 108`, or `wasm-opt version 120 (version_120-12-g…)`
fn parse_version(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("version ")?;
    version.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_first_number() {
        for (text, version) in [
            ("wasm-opt version 108\n", Some(108)),
            ("wasm-opt version 120 (version_120-12-gabc)\n", Some(120)),
            ("wasm-opt version_120\n", None),
            ("bash 5.2\n", None),
        ] {
            assert_eq!(parse_version(text), version, "{text}");
        }
    }
}

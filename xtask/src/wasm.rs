//! Building the filter modules and putting them where everybody looks.

mod exports;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::paths::Workspace;
use crate::setup::toolchain::{self, WasmToolchain};
use crate::{process, say};

/// The built modules, in cargo's target folder under `wasm/`.
pub struct Modules {
    /// The module that ships.
    pub bundle: PathBuf,
    /// A module that does nothing, to measure against.
    pub trivial: PathBuf,
}

/// `./dev wasm`
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolchain = toolchain::wasm(workspace)?;
    build(workspace, &toolchain).map(|_| ())
}

/// Builds both modules; cargo knows what has changed.
pub fn build(workspace: &Workspace, toolchain: &WasmToolchain) -> Result<Modules> {
    let mut command = toolchain.cargo(workspace, "build")?;
    command.args(["--profile", "wasm", "-p", "postern-bundle", "-p", "postern-trivial-filter"]);
    process::run("building the filter modules", &mut command)?;

    let built = toolchain.modules(workspace);
    let public = workspace.target().join("wasm");
    fs::create_dir_all(&public).with_context(|| format!("creating {}", public.display()))?;
    let publish = |from: &str, to: &str| {
        let to = public.join(to);
        let size = replace(&built.join(from), &to)?;
        say::ok(&format!("{} ({} KiB)", workspace.shown(&to), size.div_ceil(1024)));
        anyhow::Ok(to)
    };
    Ok(Modules {
        bundle: publish("postern_bundle.wasm", "postern-bundle.wasm")?,
        trivial: publish("postern_trivial.wasm", "postern-trivial.wasm")?,
    })
}

/// Publishes a module, when it has changed, without callbacks that it does not use, and returns its size in bytes. A
/// running Envoy may be reading the old one, so it is replaced, not rewritten.
fn replace(from: &Path, to: &Path) -> Result<usize> {
    let module = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    let module = exports::drop_unused(&module).with_context(|| format!("{}", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == module) {
        return Ok(module.len());
    }
    let part = to.with_extension("part");
    fs::write(&part, &module).with_context(|| format!("writing {}", part.display()))?;
    fs::rename(&part, to).with_context(|| format!("writing {}", to.display()))?;
    Ok(module.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_modules_are_published_and_only_when_changed() {
        let folder = std::env::temp_dir().join(format!("xtask-wasm-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("from.wasm"), folder.join("to.wasm"));

        fs::write(&from, b"\x7fELF").unwrap();
        assert!(replace(&from, &to).is_err());
        assert!(!to.exists());

        fs::write(&from, b"\0asm\x01\0\0\0").unwrap();
        assert_eq!(replace(&from, &to).unwrap(), 8);
        let first = to.metadata().unwrap().modified().unwrap();
        assert_eq!(replace(&from, &to).unwrap(), 8);
        assert_eq!(to.metadata().unwrap().modified().unwrap(), first);

        fs::remove_dir_all(&folder).unwrap();
    }
}

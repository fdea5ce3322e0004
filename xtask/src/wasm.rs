//! Building the filter modules and putting them where everybody looks.

mod exports;
mod publish;
mod sizes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

pub use self::publish::grouped;
use crate::cli::WasmOptions;
use crate::paths::Workspace;
use crate::process;
use crate::remap::{self, Remap};
use crate::setup::binaryen::WasmOpt;
use crate::setup::toolchain::{self, WasmToolchain};

/// The most bytes that the bundle may have. V8 compiles all of it with its optimiser, once for
/// each start of an Envoy and once more after each crash: nothing is decided before that is done,
/// and it takes about as long as the module is large.
const MOST_BUNDLE_BYTES: usize = 690_000;

/// The built modules, in cargo's target folder under `wasm/`.
pub struct Modules {
    /// The module that ships.
    pub bundle: PathBuf,
    /// A module that does nothing, to measure against.
    pub trivial: PathBuf,
    bundle_bytes: usize,
}

/// Modules of one stage each, made of the same crates as the bundle.
pub struct Stages {
    /// Tokens alone.
    pub jwt_auth: PathBuf,
    /// Local limits alone.
    pub local_rate_limit: PathBuf,
    /// Circuits alone.
    pub circuit_breaker: PathBuf,
}

/// `./dev wasm`
pub fn run(workspace: &Workspace, options: &WasmOptions) -> Result<()> {
    let builder = Builder::get(workspace)?;
    if options.sizes {
        return sizes::print(&builder.with_names()?);
    }
    if options.stages {
        builder.stages()?;
    }
    builder.modules()?.check_size()
}

/// What modules are built with.
pub struct Builder<'a> {
    workspace: &'a Workspace,
    toolchain: WasmToolchain,
    wasm_opt: WasmOpt,
}

impl<'a> Builder<'a> {
    /// Finds or gets the compiler and the optimiser.
    pub fn get(workspace: &'a Workspace) -> Result<Self> {
        let toolchain = toolchain::wasm(workspace)?;
        Ok(Self { workspace, toolchain, wasm_opt: WasmOpt::get(workspace)? })
    }

    /// The compiler.
    pub fn toolchain(&self) -> &WasmToolchain {
        &self.toolchain
    }

    /// The version of Binaryen, whose optimiser it is.
    pub fn binaryen(&self) -> u32 {
        self.wasm_opt.version()
    }

    /// The modules that everything but a few tests uses; cargo knows what has changed.
    pub fn modules(&self) -> Result<Modules> {
        let target = self.toolchain.target(self.workspace);
        let mut command = self.build(&target)?;
        command.args(["-p", "postern-trivial-filter"]);
        process::run("building the filter modules", &mut command)?;
        let built = toolchain::modules_in(&target);
        let (bundle, bundle_bytes) =
            self.publish(&built.join("postern_bundle.wasm"), "postern-bundle.wasm")?;
        let (trivial, _) =
            self.publish(&built.join("postern_trivial.wasm"), "postern-trivial.wasm")?;
        Ok(Modules { bundle, trivial, bundle_bytes })
    }

    /// The modules of one stage each.
    pub fn stages(&self) -> Result<Stages> {
        Ok(Stages {
            jwt_auth: self.stage("tokens", "postern-jwt-auth.wasm")?,
            local_rate_limit: self.stage("limits", "postern-local-rate-limit.wasm")?,
            circuit_breaker: self.stage("circuits", "postern-circuit-breaker.wasm")?,
        })
    }

    /// The bundle with one of its features.
    fn stage(&self, feature: &str, name: &str) -> Result<PathBuf> {
        let target = self.own_target(feature);
        let mut command = self.build(&target)?;
        command.args(["--no-default-features", "--features", feature]);
        process::run(&format!("building the module of {feature} alone"), &mut command)?;
        let built = toolchain::modules_in(&target).join("postern_bundle.wasm");
        self.publish(&built, name).map(|(path, _)| path)
    }

    /// The bundle as it ships, with the names of its functions.
    fn with_names(&self) -> Result<PathBuf> {
        let target = self.own_target("names");
        let mut command = self.build(&target)?;
        command.env("CARGO_PROFILE_WASM_STRIP", "none");
        process::run("building the bundle with the names of its functions", &mut command)?;
        let built = toolchain::modules_in(&target).join("postern_bundle.wasm");
        let (slim, named) = (target.join("slim.wasm"), target.join("named.wasm"));
        let module = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
        fs::write(&slim, exports::drop_unused(&module)?)
            .with_context(|| format!("writing {}", slim.display()))?;
        let flags = [publish::FLAGS, &["-g"]].concat();
        self.wasm_opt.run(&slim, &named, &flags, &self.workspace.log("wasm-opt"))?;
        Ok(named)
    }

    /// The bundle, compiled from nothing in a folder of its own: whether it comes out the same.
    pub fn bundle_again(&self) -> Result<PathBuf> {
        const NAME: &str = "postern-bundle-again.wasm";
        let target = self.own_target("again");
        if target.exists() {
            fs::remove_dir_all(&target)
                .with_context(|| format!("removing {}", target.display()))?;
        }
        let mut command = self.build(&target)?;
        // As in `modules`, so that the same features are on.
        command.args(["-p", "postern-trivial-filter"]);
        process::run("building the bundle from nothing", &mut command)?;
        let built = toolchain::modules_in(&target).join("postern_bundle.wasm");
        let published = self.workspace.target().join("wasm").join(NAME);
        if published.exists() {
            fs::remove_file(&published)
                .with_context(|| format!("removing {}", published.display()))?;
        }
        self.publish(&built, NAME).map(|(path, _)| path)
    }

    /// `cargo build` of the bundle, which does not tell where it was built.
    fn build(&self, target: &Path) -> Result<Command> {
        let mut command = self.toolchain.cargo(self.workspace, "build")?;
        command.args(["--profile", "wasm", "-p", "postern-bundle", "--target-dir"]).arg(target);
        let mut remap = Remap::of(self.workspace).with(target, remap::TARGET);
        if let Some(library) = self.toolchain.std_source() {
            remap = remap.with(library, "rust");
        }
        remap.apply(&mut command);
        Ok(command)
    }

    /// A target folder for one purpose. Cargo names the module of a crate alike whatever its
    /// features, and would take the one that was built last for the one that is asked for.
    fn own_target(&self, purpose: &str) -> PathBuf {
        self.toolchain.target(self.workspace).join("modules").join(purpose)
    }

    fn publish(&self, built: &Path, name: &str) -> Result<(PathBuf, usize)> {
        publish::run(self.workspace, &self.wasm_opt, built, name)
    }
}

impl Modules {
    /// Refuses a bundle that is too large.
    pub fn check_size(&self) -> Result<()> {
        check_bundle(self.bundle_bytes)
    }
}

fn check_bundle(bytes: usize) -> Result<()> {
    if bytes <= MOST_BUNDLE_BYTES {
        return Ok(());
    }
    bail!(
        "the bundle has {} bytes, {} more than the {} that it may have (MOST_BUNDLE_BYTES in \
         xtask/src/wasm.rs): V8 compiles all of it before an Envoy answers; `./dev wasm --sizes` \
         shows what takes the room",
        publish::grouped(bytes),
        publish::grouped(bytes - MOST_BUNDLE_BYTES),
        publish::grouped(MOST_BUNDLE_BYTES),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_is_too_large_is_told_by_how_much() {
        check_bundle(MOST_BUNDLE_BYTES).unwrap();
        let error = check_bundle(MOST_BUNDLE_BYTES + 1_234).unwrap_err().to_string();
        for part in ["691,234", " 1,234 more", "690,000", "--sizes"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}

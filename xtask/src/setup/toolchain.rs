//! A compiler for `wasm32-unknown-unknown`: the one at hand, rustup's, or
//! Debian's with a standard library that it builds itself.

use std::env::{self, consts};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::{self, Workspace};
use crate::setup::packages;
use crate::{process, say};

const TARGET: &str = "wasm32-unknown-unknown";
/// What the workspace needs, as in its `rust-version`.
const RUST_VERSION: &str = env!("CARGO_PKG_RUST_VERSION");
const WAY_OUT: &str = "run `rustup target add wasm32-unknown-unknown`";

/// How the filters are compiled on this machine.
pub enum WasmToolchain {
    /// The toolchain that builds everything else has the target.
    Own,
    /// Debian's compiler builds the standard library from its source package.
    Debian {
        /// The `library` folder of the source package.
        library: PathBuf,
        /// `rust-lld` or `wasm-ld`.
        linker: PathBuf,
    },
}

impl WasmToolchain {
    /// `cargo <subcommand>` for the WASM target.
    pub fn cargo(&self, workspace: &Workspace, subcommand: &str) -> Result<Command> {
        match self {
            Self::Own => {
                let mut command = workspace.cargo();
                command.args([subcommand, "--target", TARGET]);
                Ok(command)
            }
            Self::Debian { library, linker } => {
                let mut command = Command::new("/usr/bin/cargo");
                command
                    .current_dir(workspace.root())
                    .args([subcommand, "-Zbuild-std=std,panic_abort", "--target", TARGET])
                    .env("PATH", paths::path_with("/usr/bin")?)
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("__CARGO_TESTS_ONLY_SRC_ROOT", library)
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                    .env("CARGO_TARGET_DIR", self.target(workspace));
                forget_other_toolchain(&mut command);
                Ok(command)
            }
        }
    }

    /// `rustc`, as cargo runs it for the WASM target.
    pub fn rustc(&self, workspace: &Workspace) -> Command {
        let mut command = match self {
            Self::Own => Command::new("rustc"),
            Self::Debian { .. } => {
                let mut command = Command::new("/usr/bin/rustc");
                forget_other_toolchain(&mut command);
                command
            }
        };
        command.current_dir(workspace.root());
        command
    }

    /// The source of the standard library, where it is compiled with everything else.
    pub fn std_source(&self) -> Option<&Path> {
        match self {
            Self::Own => None,
            Self::Debian { library, .. } => Some(library),
        }
    }

    /// The target folder. Two compilers must not share one: each would rebuild it all.
    pub fn target(&self, workspace: &Workspace) -> PathBuf {
        match self {
            Self::Own => workspace.target().to_path_buf(),
            Self::Debian { .. } => workspace.target().join("debian-wasm"),
        }
    }
}

/// Where the modules of the profile `wasm` appear in a target folder.
pub fn modules_in(target: &Path) -> PathBuf {
    target.join(TARGET).join("wasm")
}

/// Finds or gets the compiler. `POSTERN_WASM_TOOLCHAIN=debian` insists on
/// Debian's.
pub fn wasm(workspace: &Workspace) -> Result<WasmToolchain> {
    let wish = env::var("POSTERN_WASM_TOOLCHAIN").unwrap_or_default();
    match wish.as_str() {
        "" => {
            if let Some(found) = own(workspace) {
                return Ok(found);
            }
        }
        "debian" => {}
        other => bail!("POSTERN_WASM_TOOLCHAIN={other}: `debian` is the only choice to make"),
    }
    debian(workspace)
}

fn own(workspace: &Workspace) -> Option<WasmToolchain> {
    let sysroot = sysroot(workspace)?;
    if has_target(&sysroot) {
        say::ok(&format!("{TARGET} ({})", sysroot.display()));
        return Some(WasmToolchain::Own);
    }
    paths::program("rustup")?;
    // rustup may refuse without a network; Debian's compiler comes next then.
    let added = process::run_logged(
        &format!("rustup target add {TARGET}"),
        &workspace.log("rustup-target-add"),
        Command::new("rustup").args(["target", "add", TARGET]).current_dir(workspace.root()),
    );
    match added {
        Ok(()) if has_target(&sysroot) => {
            say::ok(&format!("{TARGET} ({}, by rustup)", sysroot.display()));
            Some(WasmToolchain::Own)
        }
        Ok(()) => {
            say::note(&format!("rustup put {TARGET} into another toolchain than the one in use"));
            None
        }
        Err(_) => {
            say::note(&format!("rustup could not add {TARGET}: trying Debian's compiler"));
            None
        }
    }
}

/// The folder of the toolchain that runs us, with its libraries and tools.
fn sysroot(workspace: &Workspace) -> Option<PathBuf> {
    let mut command = Command::new("rustc");
    command.args(["--print", "sysroot"]).current_dir(workspace.root());
    process::output(&mut command).ok().map(|text| PathBuf::from(text.trim()))
}

/// Whether the toolchain has a core library for the target.
fn has_target(sysroot: &Path) -> bool {
    let folder = sysroot.join("lib").join("rustlib").join(TARGET).join("lib");
    fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    })
}

fn debian(workspace: &Workspace) -> Result<WasmToolchain> {
    if debian_library().is_none() {
        packages::install(
            workspace,
            "a compiler for WASM",
            &["rustc-web", "cargo-web", "rust-web-src"],
            WAY_OUT,
        )?;
    }
    let (version, library) = debian_library().with_context(|| {
        format!("Debian's rustc-web, cargo-web and rust-web-src are not complete; {WAY_OUT}")
    })?;
    if minor(&version) < minor(RUST_VERSION) {
        bail!(
            "Debian's rustc {version} is older than {RUST_VERSION}: enable the security \
             archive of your release and install rustc-web anew, or {WAY_OUT}"
        );
    }
    let linker = linker(workspace)?;
    say::ok(&format!(
        "{TARGET} (Debian's rustc {version}, std from {}, linker {})",
        library.display(),
        linker.display()
    ));
    Ok(WasmToolchain::Debian { library, linker })
}

/// The version of Debian's compiler and the source of its standard library,
/// when compiler, cargo and source are all there.
fn debian_library() -> Option<(String, PathBuf)> {
    if !paths::is_executable(Path::new("/usr/bin/cargo")) {
        return None;
    }
    let mut command = Command::new("/usr/bin/rustc");
    command.arg("--version");
    forget_other_toolchain(&mut command);
    let text = process::output(&mut command).ok()?;
    let version = text.split_whitespace().nth(1)?.to_owned();
    let library = Path::new("/usr/src").join(format!("rustc-{version}")).join("library");
    library.is_dir().then_some((version, library))
}

/// The linker that comes with rustup's toolchain, or LLVM's.
fn linker(workspace: &Workspace) -> Result<PathBuf> {
    let host = format!("{}-unknown-linux-gnu", consts::ARCH);
    let bundled = sysroot(workspace)
        .map(|root| root.join("lib").join("rustlib").join(host).join("bin").join("rust-lld"))
        .filter(|path| paths::is_executable(path));
    if let Some(path) = bundled.or_else(packages::wasm_ld) {
        return Ok(path);
    }
    packages::install(workspace, "a linker for WASM", &["lld"], WAY_OUT)?;
    packages::wasm_ld().context("Debian's lld brought no wasm-ld")
}

/// rustup and `cargo run` describe their toolchain in variables that would
/// lead Debian's compiler to the wrong libraries.
fn forget_other_toolchain(command: &mut Command) {
    process::without_own_package(command);
    for name in
        ["CARGO", "LD_LIBRARY_PATH", "RUSTC", "RUSTC_WRAPPER", "RUSTDOC", "RUSTUP_TOOLCHAIN"]
    {
        command.env_remove(name);
    }
}

/// The minor number of a version 1.x: all there is to compare.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_minor_number() {
        assert!(minor("1.85.0") < minor("1.94"));
        assert!(minor("1.100.1") > minor("1.94"));
        assert_eq!(minor("nightly"), None);
        assert!(minor("nightly") < minor(RUST_VERSION));
    }
}

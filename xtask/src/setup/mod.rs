//! Getting the real parts: idempotent, each step says what it found or did.

pub mod binaryen;
pub mod chromium;
pub mod digest;
pub mod envoy;
pub mod faketime;
pub mod go;
pub mod lent;
pub mod node;
pub mod packages;
pub mod postgres;
pub mod python;
pub mod redis;
pub mod toolchain;
pub mod wheel;

use anyhow::Result;

use crate::cli::SetupOptions;
use crate::lint;
use crate::paths::Workspace;

/// What `up` and `test` need; with `--clients` and `--chaos`, also what `test clients` and `test
/// chaos` need; with `--all`, also what `bench`, `lint` and `test mesh` need.
pub fn run(workspace: &Workspace, options: &SetupOptions) -> Result<()> {
    packages::c_compiler(workspace)?;
    packages::openssl(workspace)?;
    toolchain::wasm(workspace)?;
    binaryen::WasmOpt::get(workspace)?;
    envoy::get(workspace)?;
    redis::get(workspace)?;
    postgres::get(workspace)?;
    if options.clients || options.all {
        node::get(workspace)?.packages(workspace)?;
        python::packages(workspace)?;
        chromium::get(workspace)?;
    }
    if options.chaos || options.all {
        faketime::get(workspace)?;
    }
    if options.all {
        packages::wrk(workspace)?;
        lint::cargo_deny(workspace)?;
        go::get(workspace)?;
    }
    Ok(())
}

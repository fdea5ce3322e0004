//! `./dev test`: the suites of this version.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::Command;
use std::{env, thread};

use anyhow::{Result, bail};

use crate::cli::{Suite, TestOptions};
use crate::parts::Parts;
use crate::paths::Workspace;
use crate::setup::{envoy, postgres};
use crate::{arrows, chaos, clients, fuzz, matrix, mesh, process};

/// How many tests of one program run at once, as Rust's test harness reads it.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// Runs one suite, or, bare, everything a change must pass.
pub fn run(workspace: &Workspace, options: &TestOptions) -> Result<()> {
    let arguments = &options.arguments;
    if options.suite != Some(Suite::Matrix) && options.chooses_envoys() {
        bail!(
            "only the suite `matrix` takes Envoys and --oldest-and-newest; what a test's name must \
             hold goes behind `--`, for example ./dev test e2e -- tampered"
        );
    }
    if !matches!(options.suite, Some(Suite::Matrix | Suite::Chaos)) && options.short {
        bail!("only the suites `matrix` and `chaos` take --short");
    }
    if options.suite != Some(Suite::Clients) && options.only.is_some() {
        bail!("only the suite `clients` takes --only; a test's name goes behind `--`");
    }
    match options.suite {
        None => {
            arrows::run(workspace)?;
            unit(workspace, arguments)?;
            e2e(workspace, arguments)
        }
        Some(Suite::Unit) => unit(workspace, arguments),
        Some(Suite::E2e) => e2e(workspace, arguments),
        Some(Suite::Fuzz) => fuzz::run(workspace, options.seconds),
        Some(Suite::Matrix) => matrix::run(workspace, options),
        Some(Suite::Mesh) => mesh::run(workspace, arguments),
        Some(Suite::Clients) => clients::run(workspace, options),
        Some(Suite::Chaos) => chaos::run(workspace, options),
    }
}

/// Programs of tests beside the crates' own code. Not here are those that need real parts.
const BESIDE: [&str; 2] = ["suite", "vectors"];

/// Every crate's own tests.
///
/// They are chosen from the whole workspace, as all suites are: cargo compiles a dependency once
/// for each set of crates that are chosen together. Examples in comments are none, so that they
/// need not be looked for.
fn unit(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins"]);
    command.args(BESIDE.iter().flat_map(|program| ["--test", program]));
    command.arg("--").args(arguments);
    process::run("unit tests", &mut command)
}

/// Real Envoy, real Redis, real PostgreSQL, the real server and modules.
fn e2e(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let kit = Kit::get(workspace, envoy::get(workspace)?)?;
    let mut command = kit.test(workspace);
    command.args(["--no-fail-fast", "--"]).args(arguments);
    process::run("end-to-end tests", &mut command)
}

/// What end-to-end tests run with.
pub struct Kit {
    /// The parts.
    pub parts: Parts,
    postgres: PathBuf,
}

impl Kit {
    /// Gets and builds all of it, around this Envoy.
    pub fn get(workspace: &Workspace, envoy: PathBuf) -> Result<Self> {
        let parts = Parts::for_tests(workspace, envoy)?;
        let postgres = postgres::get(workspace)?;
        let mut build = workspace.cargo();
        build.args(["build", "-p", "postern-server", "-p", "postern-sample-upstream"]);
        process::run("building the server and the sample upstream", &mut build)?;
        Ok(Self { parts, postgres })
    }

    /// `cargo test` of the end-to-end tests. They wait for other processes most of the time, so
    /// twice as many run at once as there are processors, unless the caller says otherwise.
    pub fn test(&self, workspace: &Workspace) -> Command {
        let mut command = self.test_of(workspace, &["--workspace", "--test", "e2e"]);
        if env::var_os(TEST_THREADS).is_none() {
            let processors = thread::available_parallelism().map_or(1, NonZero::get);
            command.env(TEST_THREADS, (2 * processors).to_string());
        }
        command
    }

    /// `cargo test` of the chaos suite. In full it runs the server as it is released: one that is
    /// not optimised is no match for its load.
    pub fn chaos(&self, workspace: &Workspace, full: bool) -> Result<Command> {
        let mut command = self.test_of(workspace, &["--workspace", "--test", "chaos"]);
        if full {
            let mut build = workspace.cargo();
            build.args(["build", "--release", "-p", "postern-server"]);
            process::run("building the server as it is released", &mut build)?;
            command.env("POSTERN_BIN", workspace.binary("release", "postern"));
        }
        Ok(command)
    }

    /// `cargo test` of what is chosen, with the parts.
    pub fn test_of(&self, workspace: &Workspace, chosen: &[&str]) -> Command {
        let mut command = workspace.cargo();
        command.arg("test").args(chosen).env("POSTERN_POSTGRES", &self.postgres);
        self.parts.hand_to(&mut command, &workspace.binary("debug", "postern"));
        command
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Names of the programs of tests in a crate's folder.
    fn beside(krate: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(krate.join("tests")) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        let programs = paths.filter(|path| {
            path.extension().is_some_and(|it| it == "rs") || path.join("main.rs").is_file()
        });
        programs.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn no_tests_beside_a_crate_are_left_out() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut git = Command::new("git");
        let listed = git.current_dir(&root).args(["ls-files", "*Cargo.toml"]);
        let listed = String::from_utf8(listed.output().unwrap().stdout).unwrap();
        let crates = listed.lines().map(|manifest| Path::new(manifest).parent().unwrap());
        // With real parts: end-to-end, chaos and mesh; and the fuzzers' own workspace.
        let crates = crates.filter(|path| !path.starts_with("tests") && *path != Path::new(""));
        let found: BTreeSet<String> = crates.flat_map(|path| beside(&root.join(path))).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), BESIDE);
    }
}

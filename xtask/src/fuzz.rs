//! `./dev test fuzz`: coverage-guided fuzzing of what reads hostile input.
//!
//! The targets are plain libFuzzer programs, instrumented by the stable compiler's own pass:
//! no nightly toolchain, no extra cargo command.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::paths::{self, Workspace};
use crate::process;

/// The fuzz targets, each with its own seeds under `tests/fuzz/seeds`.
const TARGETS: &[&str] = &[
    "request",
    "token",
    "jwks",
    "dpop",
    "feed",
    "circuit",
    "document",
    "descriptors",
    "policies",
    "explain",
    "cases",
    "import",
    "normalize",
    "oauth_register",
    "oauth_authorize",
    "oauth_token",
    "webauthn_answer",
];

/// What `cargo fuzz` passes too, without the sanitizers: there is no `unsafe` code for them.
const INSTRUMENT: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
     -Ccodegen-units=1";

/// Builds every target and runs it for so many seconds.
pub fn run(workspace: &Workspace, seconds: u32) -> Result<()> {
    if paths::program("c++").is_none() && paths::program("g++").is_none() {
        bail!("fuzzing needs a C++ compiler (Debian: apt-get install g++)");
    }
    let folder = workspace.root().join("tests/fuzz");
    let target = workspace.target().join("fuzz");
    // With an explicit target, build scripts and macros stay without instrumentation.
    let triple = "x86_64-unknown-linux-gnu";
    let mut build = workspace.cargo();
    build
        .args(["build", "--release", "--target", triple, "--bins"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", INSTRUMENT);
    process::run("building the fuzzers", &mut build)?;
    for name in TARGETS {
        let corpus = corpus(workspace, name)?;
        let mut fuzzer = std::process::Command::new(target.join(triple).join("release").join(name));
        fuzzer
            .arg(&corpus)
            .arg(folder.join("seeds").join(name))
            .arg(format!("-max_total_time={seconds}"))
            .args(["-rss_limit_mb=2048", "-timeout=10", "-max_len=65536", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", workspace.state().join("fuzz").display()));
        process::run(&format!("fuzzing {name} for {seconds} s"), &mut fuzzer)?;
    }
    Ok(())
}

/// What earlier runs have found worth keeping.
fn corpus(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let corpus = workspace.state().join("fuzz").join(name);
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    Ok(corpus)
}

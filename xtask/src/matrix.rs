//! `./dev test matrix`: the end-to-end tests of what runs in Envoy, on several versions of it.
//!
//! Everything is built once, and each Envoy gets one run of all tests. None keeps the others from
//! running: a table at the end says what came of each file.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::cli::TestOptions;
use crate::paths::{self, Workspace};
use crate::setup::envoy::{self, DEFAULT_VERSION, OLDEST, SUPPORTED};
use crate::test::Kit;
use crate::{process, say};

/// Files whose tests start no Envoy, or start one that is not what they are about: what the
/// authorization server says is the same behind each. A new file runs on every Envoy unless it is
/// named here.
const ELSEWHERE: [&str; 30] = [
    "account",
    "admin",
    "admin_v1",
    "audit",
    "backup",
    "bad_input",
    "breached",
    "circuits_shared",
    "cli",
    "clients",
    "device",
    "docs",
    "dump",
    "exchange",
    "explain_property",
    "introspection",
    "manifests",
    "oauth_code",
    "openidconnect",
    "outside",
    "par",
    "passkeys",
    "policies",
    "postgres",
    "refresh",
    "registration",
    "render",
    "revocation_bus",
    "signing_keys",
    "stores",
];

/// An Envoy to test on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Version(String),
    Binary(PathBuf),
}

/// What came of one file of tests on one Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    /// There was no Envoy to run it on, or the run ended before.
    NotRun,
    /// No test of it has a name that was asked for.
    NotAsked,
}

/// One Envoy and what came of every file.
struct Column {
    version: String,
    outcomes: Vec<Outcome>,
    /// The run as a whole: it may have failed where no single test did.
    held: bool,
}

/// Runs the files on all wanted Envoys.
pub fn run(workspace: &Workspace, options: &TestOptions) -> Result<()> {
    let files = files(workspace)?;
    // All of them first: one that cannot be had shows at once.
    let envoys: Vec<(String, Result<PathBuf>)> =
        wanted(options)?.iter().map(|wanted| get(workspace, wanted)).collect();
    for (_, found) in &envoys {
        if let Err(error) = found {
            say::verdict(false, &format!("{error:#}"));
        }
    }
    let Some(first) = envoys.iter().find_map(|(_, found)| found.as_ref().ok()) else {
        bail!("there is no Envoy to test on");
    };
    let mut kit = Kit::get(workspace, first.clone())?;
    let mut build = kit.test(workspace);
    build.arg("--no-run");
    process::run("building the end-to-end tests", &mut build)?;

    let mut columns = Vec::new();
    for (version, found) in envoys {
        columns.push(match found {
            Ok(envoy) => on_one(workspace, &mut kit, version, envoy, &files, options),
            Err(_) => Column::not_run(version, &files),
        });
    }
    println!("\n{}\n", table(&files, &columns));
    let failed = columns.iter().filter(|column| !column.has_passed()).count();
    if failed > 0 {
        bail!("the tests do not hold on {failed} of {} Envoys: see the table", columns.len());
    }
    Ok(())
}

impl Column {
    fn not_run(version: String, files: &[String]) -> Self {
        Self { version, outcomes: vec![Outcome::NotRun; files.len()], held: false }
    }

    fn has_passed(&self) -> bool {
        let good = |outcome: &Outcome| matches!(outcome, Outcome::Passed | Outcome::NotAsked);
        self.held && self.outcomes.iter().all(good)
    }
}

fn on_one(
    workspace: &Workspace,
    kit: &mut Kit,
    version: String,
    envoy: PathBuf,
    files: &[String],
    options: &TestOptions,
) -> Column {
    kit.parts.run_on(envoy);
    if let Err(error) = kit.parts.check_envoy() {
        say::verdict(false, &format!("{version}: {error:#}"));
        return Column::not_run(version, files);
    }
    let mut command = kit.test(workspace);
    command.args(["--no-fail-fast", "--"]).args(&options.arguments);
    for elsewhere in ELSEWHERE {
        command.args(["--skip", &format!("{elsewhere}::")]);
    }
    let mut tests = Vec::new();
    let ended = process::run_read(&version, &mut command, |line| tests.extend(test_of(line)));
    if let Err(error) = &ended {
        say::verdict(false, &format!("{error:#}"));
    }
    let missing = if options.arguments.is_empty() { Outcome::NotRun } else { Outcome::NotAsked };
    let outcomes = files.iter().map(|file| outcome(file, &tests).unwrap_or(missing)).collect();
    Column { version, outcomes, held: ended.is_ok() }
}

/// The test that a line of `cargo test` speaks of, and whether it held.
fn test_of(line: &str) -> Option<(String, bool)> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    match outcome {
        "ok" => Some((name.to_owned(), true)),
        "FAILED" => Some((name.to_owned(), false)),
        _ => None,
    }
}

/// What came of a file, where any of its tests ran to its end.
fn outcome(file: &str, tests: &[(String, bool)]) -> Option<Outcome> {
    let of_file = |name: &str| name.strip_prefix(file).is_some_and(|rest| rest.starts_with("::"));
    let held = tests.iter().filter(|(name, _)| of_file(name)).map(|(_, held)| *held);
    let all = held.reduce(|all, one| all && one)?;
    Some(if all { Outcome::Passed } else { Outcome::Failed })
}

/// Which Envoys the caller means.
fn wanted(options: &TestOptions) -> Result<Vec<Wanted>> {
    let versions: &[&str] = if options.short {
        &[OLDEST]
    } else if options.oldest_and_newest {
        &[OLDEST, DEFAULT_VERSION]
    } else {
        &SUPPORTED
    };
    if options.envoys.is_empty() {
        return Ok(versions.iter().map(|version| Wanted::Version((*version).to_owned())).collect());
    }
    options.envoys.iter().map(|text| parse(text)).collect()
}

/// A path where it holds a slash, else a version.
fn parse(text: &str) -> Result<Wanted> {
    if text.contains('/') {
        return Ok(Wanted::Binary(paths::as_called(text.as_ref())));
    }
    envoy::check_version(text)?;
    Ok(Wanted::Version(text.to_owned()))
}

/// What the Envoy is called in the table, and the Envoy.
fn get(workspace: &Workspace, wanted: &Wanted) -> (String, Result<PathBuf>) {
    match wanted {
        Wanted::Version(version) => {
            let way_out =
                format!("name another way to it: ./dev test matrix /path/to/envoy-{version}");
            (version.clone(), envoy::of_version(workspace, version, &way_out))
        }
        Wanted::Binary(path) => match envoy::version(path) {
            Ok(version) => (version, Ok(path.clone())),
            Err(error) => (path.display().to_string(), Err(error)),
        },
    }
}

/// The files of end-to-end tests in which Envoy matters, by name.
fn files(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root().join("tests").join("tests");
    let entries = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_stem()?.to_str()?.to_owned();
            let is_ours =
                path.extension()? == "rs" && name != "main" && !ELSEWHERE.contains(&name.as_str());
            is_ours.then_some(name)
        })
        .collect();
    files.sort();
    Ok(files)
}

/// Files down, Envoys across.
fn table(files: &[String], columns: &[Column]) -> String {
    let widest = files.iter().map(String::len).max().unwrap_or_default();
    let mut lines = Vec::new();
    let mut heading = " ".repeat(widest);
    for column in columns {
        heading.push_str(&format!("  {:>7}", column.version));
    }
    lines.push(heading);
    for (at, file) in files.iter().enumerate() {
        let mut line = format!("{file:<widest$}");
        for column in columns {
            let outcome = column.outcomes.get(at).copied().unwrap_or(Outcome::NotRun);
            let width = column.version.len().max(7);
            line.push_str(&format!("  {:>width$}", outcome.word()));
        }
        lines.push(line);
    }
    lines.join("\n")
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::NotRun => "not run",
            Self::NotAsked => "-",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn options(line: &str) -> TestOptions {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Test(options) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn envoys_are_versions_or_paths() {
        let version = |text: &str| Wanted::Version(text.to_owned());
        for (line, expected) in [
            ("dev test matrix", SUPPORTED.map(version).to_vec()),
            ("dev test matrix --short", vec![version(OLDEST)]),
            (
                "dev test matrix --oldest-and-newest",
                vec![version(OLDEST), version(DEFAULT_VERSION)],
            ),
            (
                "dev test matrix 1.39.3 /opt/envoy -- bodies",
                vec![version("1.39.3"), Wanted::Binary(PathBuf::from("/opt/envoy"))],
            ),
        ] {
            assert_eq!(wanted(&options(line)).unwrap(), expected, "{line}");
        }
        assert!(wanted(&options("dev test matrix bodies")).is_err());
    }

    #[test]
    fn what_is_named_exists() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tests");
        let text = |file: &str| fs::read_to_string(folder.join(format!("{file}.rs"))).unwrap();
        for file in ELSEWHERE {
            assert!(!text(file).is_empty(), "{file}");
        }
    }

    #[test]
    fn a_file_has_passed_when_all_its_tests_have() {
        let lines = [
            "test limits::ends::of_day ... ok",
            "test limits::numbers ... FAILED",
            "test traffic::limits::one ... ok",
            "test away::later ... ignored, runs in another",
            "test result: ok. 3 passed",
        ];
        let tests: Vec<_> = lines.iter().copied().filter_map(test_of).collect();
        assert_eq!(outcome("limits", &tests), Some(Outcome::Failed));
        assert_eq!(outcome("traffic", &tests), Some(Outcome::Passed));
        assert_eq!(outcome("away", &tests), None);
    }

    #[test]
    fn the_table_has_a_row_for_every_file() {
        let column = |version: &str, outcomes: &[Outcome]| Column {
            version: version.to_owned(),
            outcomes: outcomes.to_vec(),
            held: true,
        };
        let (old, new) = (
            column("1.36.4", &[Outcome::Passed, Outcome::Failed]),
            column("1.40.0-dev", &[Outcome::NotRun; 2]),
        );
        assert!(!old.has_passed() && !new.has_passed());
        assert!(column("1.40.0", &[Outcome::Passed, Outcome::NotAsked]).has_passed());
        assert!(!Column { held: false, ..column("1.40.0", &[Outcome::Passed; 2]) }.has_passed());
        let files = ["bodies".to_owned(), "crash".to_owned()];
        let expected = "         1.36.4  1.40.0-dev\n\
                        bodies   passed     not run\n\
                        crash    FAILED     not run";
        assert_eq!(table(&files, &[old, new]), expected);
    }
}

//! The scripts: which there are, and how each is run.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use postern_e2e::env;
use postern_e2e::process::{self, Finished};

use crate::clients::stage::Stage;

/// The longest that one may take.
const LONGEST: Duration = Duration::from_secs(240);
/// How long the fuzzer of the admin API may go on.
const FUZZING_SECONDS: &str = "40";
/// What its checks cannot know: which values exist, and what one call leaves for the next one.
const EXCLUDED_CHECKS: &str = "positive_data_acceptance,use_after_free,\
                               ensure_resource_availability,object_level_authorization";

/// Something that is run against a gateway.
pub struct Script {
    name: String,
    kind: Kind,
}

enum Kind {
    /// In Node: a file of `tests`.
    Node(PathBuf),
    /// In Python: a file of `tests`.
    Python(PathBuf),
    /// The fuzzer that reads the admin API's own description.
    Schemathesis,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Script {
    /// All of them, or those whose name holds what was asked for.
    pub fn wanted() -> Vec<Self> {
        let only = std::env::var("POSTERN_CLIENTS_ONLY").unwrap_or_default();
        let mut scripts = vec![
            Self::new("openid-client", Kind::Node("clients/openid-client.mjs".into())),
            Self::new("oauth4webapi", Kind::Node("clients/oauth4webapi.mjs".into())),
            Self::new("authlib", Kind::Python("clients/authlib_client.py".into())),
            Self::new("schemathesis", Kind::Schemathesis),
        ];
        scripts.extend(in_browsers());
        scripts.retain(|script| script.name.contains(&only));
        scripts
    }

    fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind }
    }

    /// Runs it to its end.
    pub async fn run(&self, stage: &Stage) -> Finished {
        let mut command = match &self.kind {
            Kind::Node(file) => node(stage, file),
            Kind::Python(file) => {
                let mut command = python();
                command.arg(tests().join(file));
                command
            }
            Kind::Schemathesis => schemathesis(stage),
        };
        stage.tell(&mut command);
        command.env("NO_COLOR", "1").current_dir(stage.folder());
        process::run(command, LONGEST).await
    }
}

/// Every script for a browser. What begins with `_` is for the others to import.
fn in_browsers() -> Vec<Script> {
    let Ok(entries) = fs::read_dir(tests().join("browser")) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in ASCII"))
        .filter(|name| name.ends_with(".mjs") && !name.starts_with('_'))
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let file = Path::new("browser").join(&name);
            Script::new(&format!("browser/{}", name.trim_end_matches(".mjs")), Kind::Node(file))
        })
        .collect()
}

/// Node looks for packages beside a script, and above it: so the scripts stand in a folder that
/// has them.
fn node(stage: &Stage, file: &Path) -> Command {
    let packages = PathBuf::from(told("POSTERN_CLIENTS_PACKAGES")).join("node_modules");
    let folder = stage.folder().join("scripts");
    for part in ["clients", "browser"] {
        copy(&tests().join(part), &folder.join(part));
    }
    std::os::unix::fs::symlink(&packages, folder.join("node_modules")).expect("a link");
    let mut command = Command::new(told("POSTERN_CLIENTS_NODE"));
    command
        .arg(folder.join(file))
        .env("NODE_PATH", &packages)
        .env("CHROMIUM", told("POSTERN_CLIENTS_CHROMIUM"))
        .env("OUT", told("POSTERN_CLIENTS_OUT"));
    command
}

/// Copies a folder's files, and those of the folders in it.
fn copy(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else { return };
    fs::create_dir_all(to).expect("a folder");
    for entry in entries {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

fn python() -> Command {
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", told("POSTERN_CLIENTS_PYTHON"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Plain HTTP is for loopback alone.
        .env("AUTHLIB_INSECURE_TRANSPORT", "1");
    command
}

/// The same values in every run: what failed once fails again.
fn schemathesis(stage: &Stage) -> Command {
    let mut command = python();
    let report = Path::new(&told("POSTERN_CLIENTS_OUT")).join("schemathesis.xml");
    command
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(tests().join("clients").join("schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/admin/v1/openapi.json", stage.admin()))
        .args(["--url", &stage.admin(), "-H", &Stage::admin_header()])
        .args(["--checks", "all", "--exclude-checks", EXCLUDED_CHECKS])
        .args(["--phases", "examples,coverage,fuzzing", "--max-time", FUZZING_SECONDS])
        // One worker: Python 3.11 fails by chance where two of its threads read source code.
        .args(["--max-examples", "30", "--seed", "1", "--workers", "1"])
        .args(["--report", "junit", "--report-junit-path"])
        .arg(report);
    command
}

fn tests() -> PathBuf {
    env::repository().join("tests")
}

/// What `./dev test clients` says.
fn told(variable: &str) -> OsString {
    let value = std::env::var_os(variable).filter(|value| !value.is_empty());
    value.unwrap_or_else(|| panic!("{variable} is not set: run ./dev test clients, which sets it"))
}

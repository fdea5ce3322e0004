//! The programs of Go. `./dev test mesh` builds them and says where they are.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use postern_e2e::process::{self, Finished};
use serde_json::Value;

/// Validation starts up all of Istio's packages; a machine may be busy.
const COMMAND: Duration = Duration::from_secs(60);

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Istio's parts.
    Mesh,
    /// A Kubernetes API server.
    Kube,
}

impl Program {
    /// The variable that names it.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Mesh => "POSTERN_MESH",
            Self::Kube => "POSTERN_KUBE",
        }
    }

    fn path(self) -> Option<PathBuf> {
        std::env::var_os(self.variable()).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Whether somebody has said where it is.
    #[must_use]
    pub fn is_there(self) -> bool {
        self.path().is_some()
    }

    /// A command line of it.
    ///
    /// # Panics
    /// When nobody has said where it is.
    #[must_use]
    pub fn command(self, subcommand: &str) -> Command {
        let variable = self.variable();
        let path = self.path().unwrap_or_else(|| panic!("{variable}: run ./dev test mesh"));
        assert!(
            path.is_file(),
            "{variable} names {}, which is no file: run ./dev test mesh, which builds it",
            path.display()
        );
        let mut command = Command::new(path);
        command.arg(subcommand);
        command
    }
}

/// A command line of Istio's parts.
///
/// # Panics
/// When nobody has said where they are.
#[must_use]
pub fn command(subcommand: &str) -> Command {
    Program::Mesh.command(subcommand)
}

/// Runs a command of Istio's parts to its end.
pub async fn run<I, S>(subcommand: &str, arguments: I) -> Finished
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let mut command = command(subcommand);
    command.args(arguments);
    process::run(command, COMMAND).await
}

/// What a command reports: the last line that it prints, since Istio's packages may have logged
/// something before.
///
/// # Panics
/// When that is no JSON.
#[must_use]
pub fn report(finished: &Finished) -> Value {
    let last = finished.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {finished}"))
}

/// The version of Istio that is built in, as Go's modules name it.
pub async fn istio_version() -> String {
    let text = run("version", [""; 0]).await.expect_success();
    text.lines().last().unwrap_or_default().trim().to_owned()
}

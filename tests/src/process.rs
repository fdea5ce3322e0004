//! Child processes: known by their handle, stopped with it, their output kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

/// How many of a log's last lines a failed test prints.
const TAIL_LINES: usize = 60;

/// A program that runs until it is stopped or this value is dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program; what it writes goes to `log`, after what is there already.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, log: &Path, command: &mut Command) -> Self {
        let out = File::options().create(true).append(true).open(log);
        let out = out.unwrap_or_else(|error| panic!("opening {}: {error}", log.display()));
        let err = out.try_clone().expect("a second handle of the log");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.unwrap_or_else(|error| panic!("starting {name}: {error}"));
        Self { name: name.to_owned(), child, log: log.to_path_buf() }
    }

    /// Whether the program has ended by itself, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Everything it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal, for example `STOP`.
    ///
    /// # Panics
    /// When that does not work.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: not every machine has one as a program.
        let line = format!("kill -s {name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &line]).status().expect("a shell");
        assert!(status.success(), "{line}: {status}");
    }

    /// Bounds how large the files get that it writes to, its log among them; without a number,
    /// they are bounded no more. What is beyond is refused as on a full disk, where the program is
    /// started so that it outlives the signal `XFSZ`.
    ///
    /// # Panics
    /// When that does not work.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let most = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        // The soft limit alone: whoever set it may raise it again.
        let mut command = Command::new("prlimit");
        command.args(["--pid", &self.child.id().to_string()]).arg(format!("--fsize={most}:"));
        let status = command.status().expect("`prlimit` of util-linux");
        assert!(status.success(), "{command:?}: {status}");
    }

    /// Ends it at once, as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = self.ended();
        self.kill();
        if std::thread::panicking() {
            let state = ended.map_or_else(|| "running".to_owned(), |status| status.to_string());
            eprintln!("--- {} ({state}), the end of its log:\n{}", self.name, tail(&self.log()));
        }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// What a program that ran to its end left behind.
#[derive(Debug)]
pub struct Finished {
    /// As it was called.
    pub command: String,
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// Standard output of a program that succeeded.
    ///
    /// # Panics
    /// When it did not.
    pub fn expect_success(self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout
    }

    /// Both outputs of a program that failed with this code.
    ///
    /// # Panics
    /// When it did not.
    pub fn expect_code(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self}");
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, code, stdout, stderr } = self;
        write!(f, "`{command}` ended with {code:?}\nstdout:\n{stdout}\nstderr:\n{stderr}")
    }
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be started or does not end within `longest`; it is killed then.
pub async fn run(command: Command, longest: Duration) -> Finished {
    run_with_input(command, "", longest).await
}

/// The same with a text on its standard input.
///
/// # Panics
/// As [`run`].
pub async fn run_with_input(mut command: Command, input: &str, longest: Duration) -> Finished {
    let shown = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let child = command.spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{shown} could not be run: {error}"));
    let mut stdin = child.stdin.take().expect("a standard input");
    // One that does not read has ended, or will; its exit code says more than this error.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = tokio::time::timeout(longest, child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("{shown} did not end within {longest:?}"));
    let output = output.unwrap_or_else(|error| panic!("{shown} could not be waited for: {error}"));
    Finished {
        command: shown,
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

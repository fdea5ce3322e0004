//! Running other programs to their end, so that a person can follow.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::say;

/// How often a captured step says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The cargo that runs us, in `root`, without what `cargo run` adds for us
/// alone: build scripts of others would see it and be run again.
pub fn cargo(root: &Path) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root);
    without_own_package(&mut command);
    command
}

/// Takes away the variables by which cargo describes the package xtask.
pub fn without_own_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        }) {
            command.env_remove(name);
        }
    }
}

/// Runs a program whose own output is the progress report.
pub fn run(title: &str, command: &mut Command) -> Result<()> {
    say::start(title);
    let began = Instant::now();
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("{title}: `{}` ended with {status}", shown(command));
    }
    say::ok(&format!("{title} ({})", say::seconds(began.elapsed())));
    Ok(())
}

/// Like [`run`]; each line of what it prints is read, too.
pub fn run_read(title: &str, command: &mut Command, mut read: impl FnMut(&str)) -> Result<()> {
    say::start(title);
    let began = Instant::now();
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line.with_context(|| format!("reading what `{}` prints", shown(command)))?;
        println!("{line}");
        read(&line);
    }
    let status = child.wait().with_context(|| format!("waiting for: {title}"))?;
    if !status.success() {
        bail!("{title}: `{}` ended with {status}", shown(command));
    }
    say::ok(&format!("{title} ({})", say::seconds(began.elapsed())));
    Ok(())
}

/// Runs a program whose output matters only when it fails: it goes to `log`,
/// a heartbeat shows that it lives, and a failure prints the log's end.
pub fn run_logged(title: &str, log: &Path, command: &mut Command) -> Result<()> {
    say::start(title);
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    let out = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    let err = out.try_clone().with_context(|| format!("sharing {}", log.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .with_context(|| cannot_start(command))?;
    let began = Instant::now();
    let status = wait_with_heartbeat(title, &mut child, began)?;
    if !status.success() {
        bail!(
            "{title}: `{}` ended with {status}; the end of {}:\n{}",
            shown(command),
            log.display(),
            tail(log, 30)
        );
    }
    say::ok(&format!("{title} ({})", say::seconds(began.elapsed())));
    Ok(())
}

/// What a short program prints. Its standard error becomes part of the error.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "`{}` ended with {}:\n{text}{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(text)
}

/// Whether a program can be started and ends well.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The last lines of a log, indented.
pub fn tail(log: &Path, lines: usize) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut last: Vec<String> =
        text.lines().rev().take(lines).map(|line| format!("    {line}")).collect();
    last.reverse();
    if last.is_empty() { "    (empty)".to_owned() } else { last.join("\n") }
}

/// A command as it reads on a terminal.
pub fn shown(command: &Command) -> String {
    let mut text = command.get_program().display().to_string();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.display().to_string());
    }
    text
}

fn cannot_start(command: &Command) -> String {
    format!("`{}` could not be started", shown(command))
}

fn wait_with_heartbeat(title: &str, child: &mut Child, began: Instant) -> Result<ExitStatus> {
    let mut next = HEARTBEAT;
    loop {
        if let Some(status) = child.try_wait().with_context(|| format!("waiting for: {title}"))? {
            return Ok(status);
        }
        if began.elapsed() >= next {
            say::busy(title, began.elapsed());
            next += HEARTBEAT;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_carries_standard_error_on_failure() {
        let text = output(Command::new("sh").args(["-c", "echo fine"])).unwrap();
        assert_eq!(text, "fine\n");
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }

    #[test]
    fn tail_keeps_the_last_lines_in_order() {
        let path = env::temp_dir().join(format!("xtask-tail-{}", std::process::id()));
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&path, 2), "    two\n    three");
        fs::remove_file(&path).unwrap();
        assert_eq!(tail(&path, 2), "    (empty)");
    }
}

//! How long `postern` takes for a document of a thousand routes: what a pull request waits for.
//!
//! Whole runs of the program, from its start to its end, files written: that is what somebody
//! waits for, and so it is told as time, not as CPU.

mod document;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::time::timeout;

use crate::launcher::Launcher;
use crate::reading::{Reading, Section};
use crate::stats;

/// Of each command, one after the other.
const RUNS: usize = 5;
const AT_MOST_MS: f64 = 1_000.0;
/// The longest that one may take.
const LONGEST: Duration = Duration::from_secs(120);

/// A command line, and what its reading is called.
struct Task {
    name: &'static str,
    arguments: Vec<OsString>,
    /// Whether it must not take longer than [`AT_MOST_MS`].
    is_bound: bool,
}

/// Measures what is rendered, and what is said of the document.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    let tasks = tasks(launcher, figure)?;
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); tasks.len()];
    for run in 1..=RUNS {
        eprintln!("  run {run}/{RUNS}");
        for (task, times) in tasks.iter().zip(&mut times) {
            times.push(Box::pin(time(launcher, task)).await?);
        }
    }
    let readings: Option<Vec<Reading>> =
        tasks.iter().zip(&times).map(|(task, times)| reading(figure, task, times)).collect();
    let note = format!(
        "{figure}: {} routes of {} services; whole runs of the program",
        document::ROUTES,
        document::SERVICES
    );
    Ok(Section::of(readings.context("nothing was run")?).note(note))
}

fn tasks(launcher: &Launcher, figure: &str) -> Result<Vec<Task>> {
    let folder = launcher.folder_of(figure)?;
    let file = folder.join("gateway.yaml");
    fs::write(&file, document::document())
        .with_context(|| format!("writing {}", file.display()))?;
    let (file, bundle) = (file.as_os_str(), launcher.parts.bundle.as_os_str());
    let task = |name: &'static str, is_bound: bool, words: &[&OsStr], out: Option<&str>| {
        let mut arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        if let Some(out) = out {
            arguments.extend([OsString::from("--out"), folder.join(out).into_os_string()]);
        }
        Task { name, arguments, is_bound }
    };
    let word = |text: &'static str| OsStr::new(text);
    let istio = |api: &'static str| [word("render"), word("istio"), file, word("--api"), word(api)];
    let envoy = [word("render"), word("envoy"), file, word("--wasm"), bundle];
    let review = [word("review"), file, word("--fail-on"), word("never")];
    Ok(vec![
        task("envoy", true, &envoy, Some("envoy")),
        task("istio", true, &istio("istio"), Some("istio")),
        task("gateway_api", true, &istio("gateway"), Some("gateway-api")),
        task("check", false, &[word("check"), file], None),
        task("review", false, &review, Some("review.md")),
    ])
}

/// Runs a command to its end; how many milliseconds that took.
async fn time(launcher: &Launcher, task: &Task) -> Result<f64> {
    let mut command = Command::new(&launcher.parts.postern);
    command.args(&task.arguments).stdin(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let began = Instant::now();
    let output = timeout(LONGEST, command.output()).await;
    let milliseconds = began.elapsed().as_secs_f64() * 1e3;
    let output = output
        .with_context(|| format!("{} did not end within {} s", task.name, LONGEST.as_secs()))?
        .with_context(|| format!("starting {}", task.name))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}:\n{said}", task.name, output.status);
    }
    Ok(milliseconds)
}

fn reading(figure: &str, task: &Task, times: &[f64]) -> Option<Reading> {
    let median = stats::median(times)?;
    let reading = Reading::new(format!("{figure}.{}", task.name), "ms", median).made_of(times);
    Some(if task.is_bound { reading.at_most(AT_MOST_MS) } else { reading })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rendered_has_a_bound() {
        let task = |is_bound| Task { name: "t", arguments: Vec::new(), is_bound };
        let section = |is_bound, times: &[f64]| {
            Section::of(reading("f", &task(is_bound), times).into_iter().collect())
        };
        let slow = [900.0, 1_100.0, 1_200.0];
        assert!(section(true, &slow).is_missed());
        assert!(!section(false, &slow).is_missed());
        assert!(!section(true, &[900.0, 990.0, 5_000.0]).is_missed(), "the median");
        let json: Vec<_> = section(true, &slow).json().collect();
        assert_eq!(json[0]["name"], "f.t");
        assert_eq!(json[0]["value"], 1_100.0);
        assert!(section(true, &[]).json().next().is_none());
    }
}

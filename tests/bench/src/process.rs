//! Child processes: known by their id, ended with the value.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How many of a log's last lines an error shows.
const TAIL_LINES: usize = 30;
const PAUSE: Duration = Duration::from_millis(50);

/// A program that runs until this value is dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program; what it writes goes to `log`.
    pub fn start(name: &str, log: &Path, command: &mut Command) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let err = out.try_clone().context("a second handle of the log")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_path_buf() })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// That it still runs.
    pub fn check(&mut self) -> Result<()> {
        let ended = self.child.try_wait().with_context(|| format!("asking for {}", self.name))?;
        match ended {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.tail()),
        }
    }

    /// The end of what it wrote.
    pub fn tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let mut lines: Vec<&str> = text.lines().rev().take(TAIL_LINES).collect();
        lines.reverse();
        format!("the end of {}:\n{}", self.log.display(), lines.join("\n"))
    }

    /// Waits until an attempt works, for as long as the program runs, and not for ever.
    pub async fn until<F>(
        &mut self,
        longest: Duration,
        mut attempt: impl FnMut() -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<(), String>>,
    {
        let began = Instant::now();
        loop {
            self.check()?;
            match attempt().await {
                Ok(()) => return Ok(()),
                Err(problem) if began.elapsed() >= longest => {
                    let (name, seconds) = (&self.name, longest.as_secs());
                    bail!("{name} is not ready after {seconds} s: {problem}\n{}", self.tail());
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Programs that run beside us: started, watched, stopped by their own
//! process id, and never left behind.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::{process, say};

/// How long a program gets to end when it is dropped on the way of an error.
const GRACE_ON_DROP: Duration = Duration::from_secs(3);

/// A program in the background, its output in a log.
pub struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts the program. It stays in our process group, so that Ctrl-C and
    /// whatever ends the group reach it even if we do not live to stop it.
    pub fn start(name: &'static str, log: PathBuf, command: &mut Command) -> Result<Self> {
        let out = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let err = out.try_clone().with_context(|| format!("sharing {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("`{}` could not be started", process::shown(command)))?;
        Ok(Self { name, child, log })
    }

    /// A report with the end of the log, if the program has ended.
    pub fn ended(&mut self) -> Result<Option<String>> {
        let status = self.child.try_wait().with_context(|| format!("watching {}", self.name))?;
        Ok(status.map(|status| format!("{} ended with {status}; {}", self.name, self.log_end())))
    }

    /// The end of the log, for a message.
    pub fn log_end(&self) -> String {
        format!("the end of {}:\n{}", self.log.display(), process::tail(&self.log, 30))
    }

    /// Asks the program to end, waits, and ends it by force after `grace`.
    pub fn stop(&mut self, grace: Duration) {
        if self.is_over() {
            return;
        }
        // std can only kill; the shell's own `kill` asks, without unsafe code
        // and on machines that have no /bin/kill.
        let asked = process::succeeds(Command::new("sh").args([
            "-c",
            "kill -TERM \"$0\"",
            &self.child.id().to_string(),
        ]));
        let deadline = Instant::now() + grace;
        while asked && Instant::now() < deadline {
            if self.is_over() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        if asked {
            say::note(&format!("{} did not end within {}: killed", self.name, say::seconds(grace)));
        }
        // An error here means that it has just ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn is_over(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop(GRACE_ON_DROP);
    }
}

/// Set once somebody asked us to end: Ctrl-C, SIGTERM, a closed terminal.
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From here on these signals set the flag instead of ending us.
    pub fn on_signals() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .with_context(|| format!("listening to signal {signal}"))?;
        }
        Ok(Self(flag))
    }

    /// Whether it is time to end.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tries `ready` until it succeeds; gives up when time is over, when somebody
/// wants us to stop, or when one of the programs it depends on has ended.
pub fn wait_until(
    what: &str,
    limit: Duration,
    stop: &Stop,
    programs: &mut [&mut Running],
    mut ready: impl FnMut() -> Result<()>,
) -> Result<()> {
    let began = Instant::now();
    loop {
        if stop.requested() {
            bail!("stopped while waiting for {what}");
        }
        for program in programs.iter_mut() {
            if let Some(report) = program.ended()? {
                bail!("while waiting for {what}: {report}");
            }
        }
        let Err(error) = ready() else {
            say::ok(&format!("{what} ({})", say::seconds(began.elapsed())));
            return Ok(());
        };
        if began.elapsed() >= limit {
            let logs: Vec<String> = programs
                .iter()
                .map(|program| format!("{}: {}", program.name, program.log_end()))
                .collect();
            bail!("no {what} within {}: {error:#}\n{}", say::seconds(limit), logs.join("\n"));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Running {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("xtask-running-{}-{number}.log", std::process::id());
        let log = std::env::temp_dir().join(name);
        Running::start("a shell", log, Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn stop_asks_first_and_is_quick_when_the_program_listens() {
        let began = Instant::now();
        let mut program = shell("exec sleep 60");
        assert!(program.ended().unwrap().is_none());
        program.stop(Duration::from_secs(10));
        assert!(program.ended().unwrap().is_some());
        assert!(began.elapsed() < Duration::from_secs(9));
    }

    #[test]
    fn stop_kills_what_does_not_listen() {
        let mut program = shell("trap '' TERM; echo up; while :; do sleep 0.05; done");
        while !process::tail(&program.log, 1).contains("up") {
            thread::sleep(Duration::from_millis(10));
        }
        program.stop(Duration::from_millis(200));
        assert!(program.ended().unwrap().is_some());
    }

    #[test]
    fn waiting_ends_with_the_program_and_shows_its_log() {
        let stop = Stop(Arc::new(AtomicBool::new(false)));
        let mut program = shell("echo broken; exit 7");
        let limit = Duration::from_secs(20);
        let error = wait_until("an answer", limit, &stop, &mut [&mut program], || bail!("nothing"))
            .unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }
}

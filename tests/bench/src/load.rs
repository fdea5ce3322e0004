//! The load: wrk with the same requests for every Envoy, and with those of each authorization
//! server; and our own programs, where wrk speaks another language or would forget what it was
//! told.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::cli::{RefreshLoad, RlsLoad};
use crate::cpu::Place;
use crate::launcher::Launcher;
use crate::outcome::Outcome;
use crate::tokens::Tokens;
use crate::{documents, posts, sign};

const SCRIPT: &str = include_str!("load.lua");
/// Different values of the header that limits may count by.
const CLIENTS: usize = 1_000;
const CONNECTIONS: u32 = 32;
/// Beyond the duration: connecting, reading the requests, reporting.
const SPARE: Duration = Duration::from_secs(20);

/// Which requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Tokens that a cache holds.
    Warm,
    /// Tokens of which a cache never holds the next one.
    Cold,
    /// Tokens of one subject.
    OneSubject,
    /// As [`Kind::Cold`], signed with ES256.
    ColdEs256,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Warm, Self::Cold, Self::OneSubject, Self::ColdEs256];

    /// Whether no cache ever holds the next token.
    pub const fn is_cold(self) -> bool {
        matches!(self, Self::Cold | Self::ColdEs256)
    }

    const fn file(self) -> &'static str {
        match self {
            Self::Warm => "warm.txt",
            Self::Cold => "cold.txt",
            Self::OneSubject => "one-subject.txt",
            Self::ColdEs256 => "cold-es256.txt",
        }
    }

    fn tokens(self, tokens: &Tokens) -> &[String] {
        match self {
            Self::Warm => tokens.warm(),
            Self::Cold => tokens.cold(),
            Self::OneSubject => tokens.one_subject(),
            Self::ColdEs256 => tokens.es256(),
        }
    }
}

/// What is asked, and what for.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// An Envoy, by requests.
    Envoy {
        /// Its port.
        port: u16,
        /// Which requests.
        kind: Kind,
        /// Whether it has a core to itself.
        pinned: bool,
    },
    /// A rate limit service, by calls.
    RateLimiter {
        /// Its gRPC port.
        server: SocketAddr,
        /// Limits of a call.
        limits: u32,
    },
    /// A server's public port, by the requests that stand in the entry's folder.
    Posts {
        /// The port.
        port: u16,
        /// The entry.
        entry: &'static str,
    },
    /// The same, by the refresh tokens that stand there.
    RefreshTokens {
        /// The port.
        port: u16,
        /// The entry.
        entry: &'static str,
    },
    /// A program that signs.
    Signer {
        /// Where it waits to be told to.
        server: SocketAddr,
    },
}

/// wrk, with a file of requests.
#[derive(Debug, Clone, Copy)]
pub struct Wrk<'a> {
    /// The file.
    pub requests: &'a Path,
    /// Who is asked.
    pub port: u16,
    /// How many connections.
    pub connections: u32,
    /// For how many seconds.
    pub seconds: u32,
    /// Where it runs.
    pub place: Place,
}

impl Wrk<'_> {
    /// Its command line. The script must have been written ([`write_script`]).
    pub fn command(&self, launcher: &Launcher) -> Command {
        let Self { requests, port, connections, seconds, place } = self;
        let mut command = launcher.cores.command(*place, &launcher.parts.wrk);
        command
            .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--latency", "-s"])
            .arg(script(launcher))
            .arg(format!("http://127.0.0.1:{port}"))
            .arg("--")
            .arg(requests);
        command
    }
}

/// Writes what tells wrk how to read its requests.
pub fn write_script(launcher: &Launcher) -> Result<()> {
    write(&script(launcher), SCRIPT)
}

fn script(launcher: &Launcher) -> PathBuf {
    launcher.folder.join("load.lua")
}

/// Where refresh tokens stand.
pub fn refresh_tokens(folder: &Path) -> PathBuf {
    folder.join("refresh-tokens.txt")
}

/// The load generators and what they send.
#[derive(Debug)]
pub struct Load<'a> {
    launcher: &'a Launcher,
}

impl<'a> Load<'a> {
    /// Writes wrk's script and the requests into the launcher's folder.
    pub fn prepare(launcher: &'a Launcher, tokens: &Tokens) -> Result<Self> {
        let load = Self { launcher };
        write_script(launcher)?;
        for kind in Kind::ALL {
            write(&load.requests(kind), &lines(kind.tokens(tokens)))?;
        }
        Ok(load)
    }

    /// Loads something for some seconds.
    pub async fn run(&self, target: Target, seconds: u32) -> Result<Outcome> {
        let command = match target {
            Target::Envoy { port, kind, pinned } => {
                let place = if pinned { Place::Beside } else { Place::Anywhere };
                self.wrk(&self.requests(kind), port, seconds, place)
            }
            Target::Posts { port, entry } => {
                let requests = posts::file(&self.launcher.folder.join(entry));
                self.wrk(&requests, port, seconds, Place::Beside)
            }
            Target::RefreshTokens { port, entry } => {
                let tokens = refresh_tokens(&self.launcher.folder.join(entry));
                let load = RefreshLoad { port, tokens, connections: CONNECTIONS, seconds };
                own(self.launcher, &load.arguments(), Place::Beside)
            }
            Target::Signer { server } => return sign::run(server, seconds).await,
            Target::RateLimiter { server, limits } => {
                let load = RlsLoad { limits, ..RlsLoad::of(server, seconds) };
                calls(self.launcher, &load, Place::Beside)
            }
        };
        run_to_end(command, Duration::from_secs(u64::from(seconds)) + SPARE).await
    }

    fn wrk(&self, requests: &Path, port: u16, seconds: u32, place: Place) -> Command {
        let wrk = Wrk { requests, port, connections: CONNECTIONS, seconds, place };
        wrk.command(self.launcher)
    }

    fn requests(&self, kind: Kind) -> PathBuf {
        self.launcher.folder.join(kind.file())
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

/// Our own load generator of calls of a rate limit service.
pub fn calls(launcher: &Launcher, load: &RlsLoad, place: Place) -> Command {
    own(launcher, &load.arguments(), place)
}

/// A load generator of our own, by its command line.
pub fn own<S: AsRef<OsStr>>(launcher: &Launcher, arguments: &[S], place: Place) -> Command {
    let mut command = launcher.cores.command(place, &launcher.parts.own);
    command.args(arguments);
    command
}

/// Runs a load generator until it has ended by itself, and reads what it says.
pub async fn run_to_end(mut command: Command, longest: Duration) -> Result<Outcome> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    let output = tokio::time::timeout(longest, command.kill_on_drop(true).output());
    let output = output.await.context("the load does not end")?;
    let output = output.with_context(|| format!("starting {program}"))?;
    let report = String::from_utf8_lossy(&output.stdout);
    match Outcome::read(&report) {
        Some(outcome) if output.status.success() => Ok(outcome),
        _ => {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("the load ended with {}:\n{report}{errors}", output.status)
        }
    }
}

/// One line a token; every route and every client gets its share.
fn lines(tokens: &[String]) -> String {
    let mut text = String::new();
    for (index, token) in tokens.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}\t{token}\tclient-{}", documents::path(index), index % CLIENTS);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_spread_over_routes_and_clients() {
        let tokens: Vec<String> = (0..1_001).map(|index| format!("t{index}")).collect();
        let text = lines(&tokens);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "/service-00/items\tt0\tclient-0");
        assert_eq!(lines[199], "/service-49/orders/4711\tt199\tclient-199");
        assert_eq!(lines[1_000], "/service-00/items\tt1000\tclient-0");
    }
}

//! The load: wrk, the same requests for every entry.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::cpu::{Cores, Place};
use crate::documents;
use crate::tokens::Tokens;

const SCRIPT: &str = include_str!("load.lua");
/// How the script's own line of the report begins.
const REPORT: &str = "postern-bench ";
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

/// wrk and what it sends.
#[derive(Debug)]
pub struct Load {
    wrk: PathBuf,
    folder: PathBuf,
    cores: Cores,
}

impl Load {
    /// Writes the script and the requests into a folder.
    pub fn prepare(wrk: &Path, folder: &Path, tokens: &Tokens, cores: Cores) -> Result<Self> {
        let load = Self { wrk: wrk.to_path_buf(), folder: folder.to_path_buf(), cores };
        load.write(&load.script(), SCRIPT)?;
        for kind in Kind::ALL {
            load.write(&folder.join(kind.file()), &lines(kind.tokens(tokens)))?;
        }
        Ok(load)
    }

    /// Sends requests for some seconds.
    pub async fn run(&self, kind: Kind, port: u16, seconds: u32, pinned: bool) -> Result<Outcome> {
        let place = if pinned { Place::Beside } else { Place::Anywhere };
        let mut command = self.cores.command(place, &self.wrk);
        command
            .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "--latency", "-s"])
            .arg(self.script())
            .arg(format!("http://127.0.0.1:{port}"))
            .arg("--")
            .arg(self.folder.join(kind.file()))
            .stdin(Stdio::null());
        let mut command = tokio::process::Command::from(command);
        let longest = Duration::from_secs(u64::from(seconds)) + SPARE;
        let output = tokio::time::timeout(longest, command.kill_on_drop(true).output());
        let output = output.await.context("wrk does not end")?.context("starting wrk")?;
        let report = String::from_utf8_lossy(&output.stdout);
        match Outcome::read(&report) {
            Some(outcome) if output.status.success() => Ok(outcome),
            _ => {
                let errors = String::from_utf8_lossy(&output.stderr);
                bail!("wrk ended with {}:\n{report}{errors}", output.status)
            }
        }
    }

    fn script(&self) -> PathBuf {
        self.folder.join("load.lua")
    }

    fn write(&self, file: &Path, text: &str) -> Result<()> {
        fs::write(file, text).with_context(|| format!("writing {}", file.display()))
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

/// What wrk says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Requests that were answered.
    pub requests: u64,
    /// How long it took.
    pub micros: u64,
    /// Half of the answers came within so many microseconds.
    pub p50_micros: u64,
    /// And 99 % of them within so many.
    pub p99_micros: u64,
    /// Answers of 400 and above.
    pub bad_status: u64,
    /// Connections that failed or broke.
    pub broken: u64,
    /// Answers that took longer than wrk waits (two seconds).
    pub late: u64,
}

impl Outcome {
    /// Reads the line that the script prints.
    fn read(report: &str) -> Option<Self> {
        let line = report.lines().find_map(|line| line.strip_prefix(REPORT))?;
        let figures: BTreeMap<&str, u64> = line
            .split_ascii_whitespace()
            .map(|pair| {
                let (name, value) = pair.split_once('=')?;
                Some((name, value.parse::<u64>().ok()?))
            })
            .collect::<Option<_>>()?;
        let figure = |name: &str| figures.get(name).copied();
        Some(Self {
            requests: figure("requests")?,
            micros: figure("microseconds")?,
            p50_micros: figure("p50")?,
            p99_micros: figure("p99")?,
            bad_status: figure("status")?,
            broken: figure("connect")? + figure("read")? + figure("write")?,
            late: figure("timeout")?,
        })
    }

    /// That all went well: a refusal costs other CPU time than what is to be measured.
    pub fn check(&self) -> Result<()> {
        // A stalled machine makes Envoy give a call-out up; a run in which that happened now and
        // then still says what a request costs. More than that is another path than the one meant.
        let tolerated = self.requests / ONE_IN;
        if self.requests == 0 || self.bad_status > tolerated || self.broken > 0 {
            bail!(
                "{} answers, {} of them of 400 and above, {} connections broken",
                self.requests,
                self.bad_status,
                self.broken
            );
        }
        Ok(())
    }

    /// Requests a second.
    pub fn per_second(&self) -> f64 {
        self.requests as f64 * 1e6 / self.micros.max(1) as f64
    }
}

/// One answer in so many may be an error.
const ONE_IN: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    const WRK: &str = "Running 1s test @ http://127.0.0.1:20900
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    13.23ms   17.10ms  86.56ms   85.65%
    Req/Sec     4.25k     3.58k   11.71k    80.00%
  4528 requests in 1.09s, 521.78KB read
  Non-2xx or 3xx responses: 7
Requests/sec:   4146.19
Transfer/sec:    477.78KB

postern-bench requests=4528 microseconds=1092088 p50=4271 p99=71012 status=7 connect=1 read=2 write=3 timeout=9
";

    #[test]
    fn the_report_is_read() {
        let outcome = Outcome::read(WRK).unwrap();
        let expected = Outcome {
            requests: 4528,
            micros: 1_092_088,
            p50_micros: 4271,
            p99_micros: 71_012,
            bad_status: 7,
            broken: 6,
            late: 9,
        };
        assert_eq!(outcome, expected);
        assert!((outcome.per_second() - 4146.19).abs() < 0.01);
    }

    #[test]
    fn what_is_no_report_is_none() {
        for broken in [
            "",
            "unable to connect to 127.0.0.1:1 Connection refused",
            "postern-bench requests=1",
            "postern-bench requests=x microseconds=1",
            &WRK.replace("timeout=9", "timeout"),
        ] {
            assert_eq!(Outcome::read(broken), None, "{broken}");
        }
    }

    #[test]
    fn many_refusals_or_one_broken_connection_are_too_many() {
        let good = Outcome { bad_status: 0, broken: 0, ..Outcome::read(WRK).unwrap() };
        assert!(good.check().is_ok());
        assert!(Outcome { bad_status: good.requests / 10, ..good }.check().is_err());
        assert!(Outcome { broken: 1, ..good }.check().is_err());
        assert!(Outcome { requests: 0, ..good }.check().is_err());
    }

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

//! How long decisions take while many log in, and what that takes of memory: hashing a password
//! is slow and large on purpose, and must not be at the expense of those who are in already.
//!
//! One server does both, as small deployments do, and nothing is pinned. A round is quiet first:
//! `ext_authz` is called at a steady rate. Then fifty people log in at a time, again and again,
//! and the same calls are made meanwhile. The machine is never the same for long, so what counts
//! is how the two compare within a round.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use postern_e2e::oauth::PASSWORD;
use postern_e2e::{ports, server};
use tokio::time::sleep;

use crate::accounts::Accounts;
use crate::cli::CheckLoad;
use crate::cpu::Place;
use crate::database::{Database, Revoked};
use crate::documents::identity::{self, Hashing};
use crate::launcher::Launcher;
use crate::load::{self, Wrk, run_to_end};
use crate::memory::{self, megabytes};
use crate::outcome::Outcome;
use crate::posts::{self, Post};
use crate::reading::{Reading, Section};
use crate::tokens::Tokens;
use crate::{station, stats};

/// How many people log in at a time.
const PEOPLE: u32 = 50;
const ROUNDS: u32 = 5;
/// Calls of `ext_authz` a second: enough of them for the slowest hundredth to be many, and few
/// enough not to fill a core.
const CHECKS: u32 = 1_000;
/// Every token, and more than once: what does not depend on the storm is there then.
const WARM_UP_SECS: u32 = 5;
const QUIET_SECS: u32 = 10;
const STORM_SECS: u32 = 20;
/// Before the calls of a storm: all of those fifty wait by then.
const RISING_SECS: u32 = 1;
const P99_RATIO_AT_MOST: f64 = 2.0;
/// Beside what the threads hash in: what people have of their log-ins, and what serves them.
const GROWN_AT_MOST_MIB: usize = 64;
/// What a document says of memory that says nothing.
const HASHED_IN_MIB: usize = 19;
/// A thread that hashes passwords, as far as Linux tells names.
const HASHES: &str = "postern-passwor";
/// The longest that a load may take beyond its time: who waits for a hash is waited for.
const SPARE: Duration = Duration::from_secs(60);

/// Measures rounds of quiet and storm.
pub async fn measure(launcher: &Launcher, figure: &str) -> Result<Section> {
    let folder = launcher.folder_of(figure)?;
    let document = identity::write(&folder, Hashing::Default)?;
    let database = Database::make(&launcher.home, &folder, Revoked::Nobody).await?;
    write_people(&Accounts::of(launcher, &database, &document), &folder).await?;
    let tokens = write_tokens(launcher, &folder)?;
    let options = station::options(&folder, &document, "memory", Some(&database));
    let (mut process, ports) = launcher.postern(&options, &[], Place::Anywhere).await?;
    let pid = process.pid();
    let threads = hashing_threads(pid)?;
    let loads = Loads { launcher, requests: posts::file(&folder), tokens, ports };

    loads.checks(WARM_UP_SECS).await?;
    let before = memory::of(pid)?.now;
    memory::forget_peak(pid)?;
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round = Box::pin(loads.round()).await?;
        eprintln!("  round {number}/{ROUNDS}  {}", round.described());
        rounds.push(round);
        process.check()?;
    }
    let grown = Grown { before, peak: memory::of(pid)?.peak, threads };
    let readings = readings(figure, &rounds, &grown).context("there was no round")?;
    let note = format!(
        "{figure}: {PEOPLE} people log in at a time for {STORM_SECS} s, {threads} of the server's \
         threads hash their passwords; {CHECKS} calls of ext_authz a second meanwhile"
    );
    Ok(Section::of(readings).note(note))
}

/// Makes the people who log in, and writes how they do.
async fn write_people(accounts: &Accounts<'_>, folder: &Path) -> Result<()> {
    eprintln!("  making {PEOPLE} users");
    accounts.key().await?;
    let mut log_ins = Vec::new();
    for number in 0..PEOPLE {
        let email = format!("person-{number}@example.test");
        accounts.user(&email).await?;
        log_ins.push(Post::log_in(&email, PASSWORD));
    }
    posts::write(folder, &log_ins)
}

/// Writes the tokens that `ext_authz` is asked about.
fn write_tokens(launcher: &Launcher, folder: &Path) -> Result<PathBuf> {
    let tokens = Tokens::get(&launcher.home.join("tokens.txt"))?;
    let file = folder.join("tokens.txt");
    fs::write(&file, tokens.warm().join("\n"))
        .with_context(|| format!("writing {}", file.display()))?;
    load::write_script(launcher)?;
    Ok(file)
}

/// How many threads of a process hash passwords.
fn hashing_threads(pid: u32) -> Result<usize> {
    let folder = format!("/proc/{pid}/task");
    let mut count = 0;
    for thread in fs::read_dir(&folder).with_context(|| format!("reading {folder}"))? {
        let file = thread.with_context(|| format!("reading {folder}"))?.path().join("comm");
        // One may have ended meanwhile.
        let name = fs::read_to_string(file).unwrap_or_default();
        count += usize::from(name.trim_end() == HASHES);
    }
    if count == 0 {
        bail!("no thread of the server is called {HASHES}");
    }
    Ok(count)
}

/// What is sent.
struct Loads<'a> {
    launcher: &'a Launcher,
    /// The log-ins.
    requests: PathBuf,
    tokens: PathBuf,
    ports: server::Ports,
}

/// What came of a round.
#[derive(Debug, Clone, Copy)]
struct Round {
    quiet: Outcome,
    storm: Outcome,
    log_ins: Outcome,
}

/// What the server had in memory, in bytes.
struct Grown {
    before: u64,
    /// In all storms.
    peak: u64,
    /// How many hash passwords.
    threads: usize,
}

impl Loads<'_> {
    async fn round(&self) -> Result<Round> {
        let quiet = self.checks(QUIET_SECS).await?;
        let meanwhile = async {
            sleep(Duration::from_secs(RISING_SECS.into())).await;
            // They end before the storm does.
            self.checks(STORM_SECS - 2 * RISING_SECS).await
        };
        let (log_ins, storm) = tokio::try_join!(self.log_ins(), meanwhile)?;
        Ok(Round { quiet, storm, log_ins })
    }

    async fn checks(&self, seconds: u32) -> Result<Outcome> {
        let server = ports::local(self.ports.grpc);
        let load = CheckLoad { server, tokens: self.tokens.clone(), rate: CHECKS, seconds };
        let command = load::own(self.launcher, &load.arguments(), Place::Anywhere);
        let outcome = Box::pin(run_to_end(command, longest(seconds))).await?;
        outcome.check().context("ext_authz")?;
        Ok(outcome)
    }

    async fn log_ins(&self) -> Result<Outcome> {
        let wrk = Wrk {
            requests: &self.requests,
            port: self.ports.public,
            connections: PEOPLE,
            seconds: STORM_SECS,
            place: Place::Anywhere,
        };
        let running = run_to_end(wrk.command(self.launcher), longest(STORM_SECS));
        let outcome = Box::pin(running).await?;
        outcome.check().context("logging in")?;
        Ok(outcome)
    }
}

fn longest(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into()) + SPARE
}

impl Round {
    fn ratio(&self) -> f64 {
        self.storm.p99_micros as f64 / self.quiet.p99_micros.max(1) as f64
    }

    fn described(&self) -> String {
        let (quiet, storm) = (millis(self.quiet.p99_micros), millis(self.storm.p99_micros));
        let rate = self.log_ins.per_second();
        format!("p99 {quiet:.2} ms, then {storm:.2} ms with {rate:.1} log-ins a second")
    }
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

fn readings(figure: &str, rounds: &[Round], grown: &Grown) -> Option<Vec<Reading>> {
    let of = |what: &str, unit: &'static str, value: fn(&Round) -> f64| {
        let values: Vec<f64> = rounds.iter().map(value).collect();
        let name = format!("{figure}.{what}");
        Some(Reading::new(name, unit, stats::median(&values)?).made_of(&values))
    };
    let quiet = of("p99_quiet", "ms", |round| millis(round.quiet.p99_micros))?;
    let storm = of("p99_storm", "ms", |round| millis(round.storm.p99_micros))?;
    // Of each round by itself: medians of different rounds do not compare.
    let ratio = of("p99_ratio", "× in quiet", Round::ratio)?.at_most(P99_RATIO_AT_MOST);
    let log_ins = of("log_ins", "a second", |round| round.log_ins.per_second())?;
    let memory =
        |what: &str, value: f64| Reading::new(format!("{figure}.memory_{what}"), "MB", value);
    let Grown { before, peak, threads } = *grown;
    let allowed = threads * HASHED_IN_MIB + GROWN_AT_MOST_MIB;
    let allowed = megabytes(u64::try_from(allowed << 20).ok()?);
    Some(vec![
        quiet,
        storm,
        ratio,
        log_ins,
        memory("before", megabytes(before)),
        memory("peak", megabytes(peak)),
        memory("grown", memory::grown(before, peak)).at_most(allowed),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(p99_micros: u64) -> Outcome {
        Outcome {
            requests: 600,
            micros: 20_000_000,
            p50_micros: 0,
            p99_micros,
            bad_status: 0,
            broken: 0,
            late: 0,
        }
    }

    fn rounds(p99: &[(u64, u64)]) -> Vec<Round> {
        let round = |(quiet, storm): &(u64, u64)| Round {
            quiet: outcome(*quiet),
            storm: outcome(*storm),
            log_ins: outcome(0),
        };
        p99.iter().map(round).collect()
    }

    fn section(p99: &[(u64, u64)], peak: u64) -> Section {
        let grown = Grown { before: 50 << 20, peak, threads: 1 };
        Section::of(readings("f", &rounds(p99), &grown).unwrap())
    }

    #[test]
    fn a_storm_is_compared_with_the_quiet_before_it() {
        // The machine got slower from round to round, and the storm changed little.
        let good = section(&[(400, 600), (800, 1_200), (1_600, 2_000)], 60 << 20);
        assert!(!good.is_missed());
        let json: Vec<_> = good.json().collect();
        let value = |name: &str| {
            let found = json.iter().find(|json| json["name"] == format!("f.{name}")).unwrap();
            found["value"].as_f64().unwrap()
        };
        assert_eq!((value("p99_quiet"), value("p99_storm")), (0.8, 1.2));
        assert_eq!((value("p99_ratio"), value("log_ins")), (1.5, 30.0));
        assert!(section(&[(400, 900), (800, 1_700), (1_600, 2_000)], 60 << 20).is_missed());
    }

    #[test]
    fn memory_may_grow_by_what_is_hashed_in_and_somewhat_more() {
        let peak = |mib: u64| section(&[(400, 600)], (50 + mib) << 20).is_missed();
        assert!(!peak(19 + 63));
        assert!(peak(19 + 65));
    }

    #[test]
    fn without_a_round_there_is_nothing_to_say() {
        let grown = Grown { before: 1, peak: 1, threads: 1 };
        assert!(readings("f", &[], &grown).is_none());
    }

    #[test]
    fn threads_are_counted_by_their_names() {
        assert!(hashing_threads(std::process::id()).is_err(), "nobody hashes passwords here");
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let hashes = std::thread::Builder::new().name("postern-password".to_owned());
        let (begin, begun) = std::sync::mpsc::channel();
        let thread = hashes.spawn(move || {
            begin.send(()).unwrap();
            let _ = stopped.recv();
        });
        begun.recv().unwrap();
        assert_eq!(hashing_threads(std::process::id()).unwrap(), 1);
        drop(stop);
        thread.unwrap().join().unwrap();
    }
}

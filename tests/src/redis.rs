//! A real Redis: a process of our own that keeps nothing on disk, or a database of one that
//! already runs, where the caller of `./dev test` lends it by `REDIS_URL`.

pub mod cluster;
#[path = "../../xtask/src/setup/lent.rs"]
pub mod lent;
pub mod sentinel;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::process::Running;
use crate::{env, ports, wait};

use self::lent::Database;

const START: Duration = Duration::from_secs(15);
/// How long a test waits while others have all of the databases.
const FREE: Duration = Duration::from_secs(60);
/// How long a database stays taken by a test that was killed. None runs for longer.
const LEASE: Duration = Duration::from_secs(600);

/// A Redis that is nobody else's: empty at first, and gone with this value.
#[derive(Debug)]
pub struct Redis(Place);

#[derive(Debug)]
enum Place {
    /// A process on a port of its own, whether it runs or not.
    Own {
        server: PathBuf,
        port: u16,
        /// What is special about it, for its command line.
        options: Vec<String>,
        process: Option<Running>,
        folder: TempDir,
    },
    /// A database in somebody else's process.
    Lent(Database),
}

impl Redis {
    /// Starts one, or takes a database of the one that was lent. Where a test stops its Redis,
    /// make it by [`Redis::down`] or [`Redis::down_or_skip`].
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let lent = env::redis_url();
        match (choose(false, lent.is_some(), env::has_redis_server()), lent) {
            (Choice::Lent, Some(url)) => {
                let take = || std::future::ready(url.take_database(LEASE));
                Self(Place::Lent(wait::until("database in the lent Redis", FREE, take).await))
            }
            _ => {
                let mut redis = Self::down();
                redis.bring_up().await;
                redis
            }
        }
    }

    /// One that does not run yet: its port is known, and nobody listens there. Always a process
    /// of its own.
    ///
    /// # Panics
    /// When there is no `redis-server`, or no folder for it.
    #[must_use]
    pub fn down() -> Self {
        Self::down_with(&[])
    }

    /// Like [`Redis::down`], with options of its own, as its command line takes them.
    ///
    /// # Panics
    /// As [`Redis::down`] does.
    #[must_use]
    pub fn down_with(options: &[&str]) -> Self {
        let server = env::redis_server();
        let folder = tempfile::tempdir().expect("a folder for Redis");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self(Place::Own { server, port: ports::free(), options, process: None, folder })
    }

    /// The port of a process of our own.
    ///
    /// # Panics
    /// When it was lent.
    #[must_use]
    pub fn port(&self) -> u16 {
        match &self.0 {
            Place::Own { port, .. } => *port,
            Place::Lent(_) => panic!("{NOT_OURS}"),
        }
    }

    /// Sends it a signal: `STOP` makes it hang.
    ///
    /// # Panics
    /// When it does not run, or was lent.
    pub fn signal(&self, name: &str) {
        match &self.0 {
            Place::Own { process: Some(process), .. } => process.signal(name),
            _ => panic!("{NOT_OURS}"),
        }
    }

    /// Loses everything, as after `FLUSHALL`.
    ///
    /// # Panics
    /// When it does not run, or was lent.
    pub async fn flush(&self) {
        let said = ask(self.port(), "FLUSHALL").await;
        assert_eq!(said.unwrap_or_else(|error| panic!("{error}")), "OK");
    }

    /// Like [`Redis::down`]; none where [`is_skipped`] says so.
    #[must_use]
    pub fn down_or_skip() -> Option<Self> {
        (!is_skipped()).then(Self::down)
    }

    /// Starts it, empty.
    ///
    /// # Panics
    /// When it does not answer soon, or was lent.
    pub async fn bring_up(&mut self) {
        let Place::Own { server, port, options, process, folder } = &mut self.0 else {
            panic!("{NOT_OURS}");
        };
        let port = *port;
        *process = Some(start(server, folder.path(), port, options));
        wait::until("answer of Redis", START, || ping(port)).await;
    }

    /// Ends it as a crash would; all it held is gone.
    ///
    /// # Panics
    /// When it was lent.
    pub fn take_down(&mut self) {
        match &mut self.0 {
            Place::Own { process, .. } => *process = None,
            Place::Lent(_) => panic!("{NOT_OURS}"),
        }
    }

    /// As the server's command line takes it.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.0 {
            Place::Own { port, .. } => format!("redis://127.0.0.1:{port}"),
            Place::Lent(database) => database.url(),
        }
    }
}

/// Whether a test that takes Redis processes of its own is to return: a Redis was lent, and there
/// is no `redis-server` beside it. The reason is printed then. With neither, such a test fails.
#[must_use]
pub fn is_skipped() -> bool {
    let lent = env::redis_url().is_some();
    let skips = choose(true, lent, env::has_redis_server()) == Choice::Skip;
    if skips {
        let thread = std::thread::current();
        let text = skipped(thread.name().unwrap_or("a test"));
        // Not `eprintln!`, which a test that passes keeps to itself.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    skips
}

const NOT_OURS: &str = "a Redis that was lent is neither started nor stopped: make it by \
                        Redis::down or Redis::down_or_skip";

/// What a test gets.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    /// A process of its own, or a failure that says what is missing.
    Own,
    Lent,
    Skip,
}

/// `own`: the test needs a process. `lent`, `server`: what there is.
const fn choose(own: bool, lent: bool, server: bool) -> Choice {
    match (own, lent, server) {
        (false, true, _) => Choice::Lent,
        (true, true, false) => Choice::Skip,
        _ => Choice::Own,
    }
}

fn skipped(test: &str) -> String {
    format!(
        "\nSKIPPED {test}: it takes a Redis process of its own, and REDIS_URL gives none; \
         REDIS_SERVER=/path/to/redis-server provides one\n"
    )
}

/// That a Redis answers. One that wants to know first who asks has answered, too.
async fn ping(port: u16) -> std::io::Result<()> {
    match ask(port, "PING").await {
        Ok(answer) if answer == "PONG" => Ok(()),
        Ok(answer) => Err(std::io::Error::other(answer)),
        Err(error) if error.to_string().contains("-NOAUTH ") => Ok(()),
        Err(error) => Err(error),
    }
}

/// That a replica follows its master.
async fn follows(port: u16) -> std::io::Result<()> {
    expect(port, "INFO replication", "master_link_status:up").await
}

/// That the answer to a command has this line.
async fn expect(port: u16, command: &str, line: &str) -> std::io::Result<()> {
    let answer = ask(port, command).await?;
    if answer.lines().any(|found| found == line) {
        return Ok(());
    }
    Err(std::io::Error::other(format!("{command}: no {line} in\n{answer}")))
}

/// How far a node has come with what is replicated.
async fn offset(port: u16, field: &str) -> std::io::Result<u64> {
    let answer = ask(port, "INFO replication").await?;
    let found = answer.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let missing = || std::io::Error::other(format!("no {field} in\n{answer}"));
    found.ok_or_else(missing)?.parse().map_err(std::io::Error::other)
}

/// Until a replica has what its master has now.
async fn until_caught_up(master: u16, replica: u16, longest: Duration) {
    let written = offset(master, "master_repl_offset").await;
    let written = written.unwrap_or_else(|error| panic!("{error}"));
    wait::until("replica that has caught up", longest, || async move {
        let read = offset(replica, "slave_repl_offset").await?;
        let behind = || std::io::Error::other(format!("{read} of {written}"));
        if read >= written { Ok(()) } else { Err(behind()) }
    })
    .await;
}

/// Sends one command, of words without spaces, and reads its answer: a line, or a text. Whatever
/// Redis says is wrong is an error.
async fn ask(port: u16, command: &str) -> std::io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(ports::local(port)).await?);
    stream.write_all(format!("{command}\r\n").as_bytes()).await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+" | ":", answer)) => Ok(answer.to_owned()),
        Some(("$", length)) => {
            let mut text = vec![0; length.parse().map_err(std::io::Error::other)?];
            stream.read_exact(&mut text).await?;
            String::from_utf8(text).map_err(std::io::Error::other)
        }
        _ => Err(std::io::Error::other(format!("{command}: {line}"))),
    }
}

/// Starts a `redis-server` that keeps nothing; `arguments` are what is special about it.
fn start(server: &Path, folder: &Path, port: u16, arguments: &[String]) -> Running {
    let mut command = Command::new(server);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"])
        .arg(folder)
        .args(arguments);
    Running::start("redis-server", &folder.join("redis.log"), &mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_skipped_only_when_a_redis_was_lent_and_it_needs_a_process() {
        for (own, lent, server, expected) in [
            (false, false, false, Choice::Own),
            (false, false, true, Choice::Own),
            (false, true, false, Choice::Lent),
            (false, true, true, Choice::Lent),
            (true, false, false, Choice::Own),
            (true, false, true, Choice::Own),
            (true, true, false, Choice::Skip),
            (true, true, true, Choice::Own),
        ] {
            assert_eq!(choose(own, lent, server), expected, "{own} {lent} {server}");
        }
    }

    #[test]
    fn what_is_skipped_says_why_and_what_to_do() {
        let text = skipped("without_redis");
        for word in ["SKIPPED without_redis:", "REDIS_URL", "REDIS_SERVER=/path"] {
            assert!(text.contains(word), "{text}");
        }
    }
}

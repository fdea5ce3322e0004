//! A real Redis: a process of our own that keeps nothing on disk, or a database of one that
//! already runs, where the caller of `./dev test` lends it by `REDIS_URL`.

#[path = "../../xtask/src/setup/lent.rs"]
pub mod lent;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
    Own { server: PathBuf, port: u16, process: Option<Running>, folder: TempDir },
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
        let server = env::redis_server();
        let folder = tempfile::tempdir().expect("a folder for Redis");
        Self(Place::Own { server, port: ports::free(), process: None, folder })
    }

    /// Like [`Redis::down`]; none where a Redis was lent and there is no `redis-server` beside
    /// it: the reason is printed, and the test is to return. With neither, it panics.
    #[must_use]
    pub fn down_or_skip() -> Option<Self> {
        let lent = env::redis_url().is_some();
        if choose(true, lent, env::has_redis_server()) == Choice::Skip {
            let thread = std::thread::current();
            let text = skipped(thread.name().unwrap_or("a test"));
            // Not `eprintln!`, which a test that passes keeps to itself.
            let _ = std::io::stderr().write_all(text.as_bytes());
            return None;
        }
        Some(Self::down())
    }

    /// Starts it, empty.
    ///
    /// # Panics
    /// When it does not answer soon, or was lent.
    pub async fn bring_up(&mut self) {
        let Place::Own { server, port, process, folder } = &mut self.0 else {
            panic!("{NOT_OURS}");
        };
        let port = *port;
        let mut command = Command::new(server);
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"])
            .arg(folder.path());
        let log = folder.path().join("redis.log");
        *process = Some(Running::start("redis-server", &log, &mut command));
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

/// `stops_it`: the test needs a process. `lent`, `server`: what there is.
const fn choose(stops_it: bool, lent: bool, server: bool) -> Choice {
    match (stops_it, lent, server) {
        (false, true, _) => Choice::Lent,
        (true, true, false) => Choice::Skip,
        _ => Choice::Own,
    }
}

fn skipped(test: &str) -> String {
    format!(
        "\nSKIPPED {test}: it stops Redis, and REDIS_URL gives no process to stop; \
         REDIS_SERVER=/path/to/redis-server provides one\n"
    )
}

async fn ping(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(ports::local(port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    if &answer == b"+PONG\r\n" { Ok(()) } else { Err(std::io::Error::other("no PONG")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_skipped_only_when_a_redis_was_lent_and_it_needs_a_process() {
        for (stops_it, lent, server, expected) in [
            (false, false, false, Choice::Own),
            (false, false, true, Choice::Own),
            (false, true, false, Choice::Lent),
            (false, true, true, Choice::Lent),
            (true, false, false, Choice::Own),
            (true, false, true, Choice::Own),
            (true, true, false, Choice::Skip),
            (true, true, true, Choice::Own),
        ] {
            assert_eq!(choose(stops_it, lent, server), expected, "{stops_it} {lent} {server}");
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

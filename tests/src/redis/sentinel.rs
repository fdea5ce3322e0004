//! A real Redis with a replica, watched by real sentinels.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{ask, expect, follows, ping, start, until_caught_up};
use crate::process::Running;
use crate::{env, ports, wait};

const START: Duration = Duration::from_secs(30);
const SENTINELS: usize = 3;
/// The name of the watched master.
pub const MASTER: &str = "limits";

/// A master, its replica, and three sentinels.
#[derive(Debug)]
pub struct WatchedRedis {
    master: Running,
    port: u16,
    replica_port: u16,
    sentinel_ports: Vec<u16>,
    // Ended before their folder goes.
    _others: Vec<Running>,
    _folder: TempDir,
}

impl WatchedRedis {
    /// Starts them all.
    ///
    /// # Panics
    /// When there is no `redis-server`, or the sentinels do not find the replica.
    pub async fn start() -> Self {
        let server = env::redis_server();
        let folder = tempfile::tempdir().expect("a folder for Redis");
        let (port, replica_port) = (ports::free(), ports::free());
        let place = |name: &str| {
            let place = folder.path().join(name);
            fs::create_dir(&place).expect("a folder");
            place
        };
        let at_once = ["--repl-diskless-sync-delay", "0"].map(str::to_owned);
        let master = start(&server, &place("master"), port, &at_once);
        wait::until("answer of the master", START, || ping(port)).await;
        let follow = ["--replicaof", "127.0.0.1", &port.to_string()].map(str::to_owned);
        let mut others = vec![start(&server, &place("replica"), replica_port, &follow)];
        // Sentinels ask for a master's replicas at once, and then every ten seconds.
        wait::until("replica that follows", START, || follows(replica_port)).await;
        let mut sentinel_ports = Vec::new();
        for number in 0..SENTINELS {
            let sentinel_port = ports::free();
            let place = place(&format!("sentinel-{number}"));
            others.push(sentinel(&server, &place, sentinel_port, port));
            sentinel_ports.push(sentinel_port);
        }
        for port in &sentinel_ports {
            wait::until("sentinels that know each other", START, || knows(*port)).await;
        }
        Self { master, port, replica_port, sentinel_ports, _others: others, _folder: folder }
    }

    /// As the server's command line takes it.
    #[must_use]
    pub fn url(&self) -> String {
        let sentinels = self.sentinel_ports.iter().map(|port| format!("127.0.0.1:{port}"));
        format!("redis+sentinel://{}/{MASTER}", sentinels.collect::<Vec<_>>().join(","))
    }

    /// Until the replica has what the master has now.
    ///
    /// # Panics
    /// When it does not come so far.
    pub async fn until_replicated(&self) {
        until_caught_up(self.port, self.replica_port, START).await;
    }

    /// Ends the master as a crash would.
    pub fn kill_master(&mut self) {
        self.master.kill();
    }

    /// Until the replica is the master.
    pub async fn until_taken_over(&self) {
        wait::until("fail-over", START, || is_master(self.replica_port)).await;
    }
}

fn sentinel(server: &Path, place: &Path, port: u16, master: u16) -> Running {
    let file = place.join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\n\
         sentinel monitor {MASTER} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {MASTER} 1000\n\
         sentinel failover-timeout {MASTER} 5000\n",
        place.display()
    );
    fs::write(&file, text).expect("a sentinel's settings");
    let mut command = Command::new(server);
    command.arg(&file).arg("--sentinel");
    Running::start("sentinel", &place.join("sentinel.log"), &mut command)
}

/// That a sentinel has found the replica and the other sentinels.
async fn knows(port: u16) -> std::io::Result<()> {
    let answer = ask(port, "INFO sentinel").await?;
    let known = format!("name={MASTER},status=ok");
    let found = answer.lines().any(|line| {
        let counts = format!("slaves=1,sentinels={SENTINELS}");
        line.contains(&known) && line.ends_with(&counts)
    });
    if found { Ok(()) } else { Err(std::io::Error::other(answer)) }
}

async fn is_master(port: u16) -> std::io::Result<()> {
    expect(port, "INFO replication", "role:master").await
}

//! A real Redis Cluster: masters that share the slots, each with a replica that takes over.

use std::time::Duration;

use tempfile::TempDir;

use super::{ask, expect, follows, ping, start, until_caught_up};
use crate::process::Running;
use crate::{env, ports, wait};

const START: Duration = Duration::from_secs(30);
const SLOTS: usize = 16_384;
/// After so long without a word a node is taken for dead: what a fail-over takes begins with it.
pub const NODE_TIMEOUT: Duration = Duration::from_millis(1_000);

/// A cluster of our own.
#[derive(Debug)]
pub struct RedisCluster {
    masters: Vec<Node>,
    replicas: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    port: u16,
    bus_port: u16,
    process: Running,
    // Gone after the process.
    _folder: TempDir,
}

impl Node {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for Redis");
        let (port, bus_port) = (ports::free(), ports::free());
        let options = [
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &bus_port.to_string(),
            "--cluster-node-timeout",
            &NODE_TIMEOUT.as_millis().to_string(),
            // A replica that has just been made may take over too.
            "--cluster-replica-validity-factor",
            "0",
            "--repl-diskless-sync-delay",
            "0",
        ]
        .map(str::to_owned);
        let process = start(&env::redis_server(), folder.path(), port, &options);
        wait::until("answer of a node", START, || ping(port)).await;
        Self { port, bus_port, process, _folder: folder }
    }

    async fn tell(&self, command: &str) -> String {
        ask(self.port, command).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl RedisCluster {
    /// Starts one with so many masters and a replica of each.
    ///
    /// # Panics
    /// When there is no `redis-server`, or the nodes do not find each other.
    pub async fn start(masters: usize) -> Self {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for _ in 0..masters {
            first.push(Node::start().await);
            second.push(Node::start().await);
        }
        for (at, node) in first.iter().enumerate() {
            let (from, to) = (at * SLOTS / masters, (at + 1) * SLOTS / masters - 1);
            node.tell(&format!("CLUSTER ADDSLOTSRANGE {from} {to}")).await;
            node.tell(&format!("CLUSTER SET-CONFIG-EPOCH {}", at + 1)).await;
        }
        let cluster = Self { masters: first, replicas: second };
        cluster.introduce().await;
        for (master, replica) in cluster.masters.iter().zip(&cluster.replicas) {
            let id = master.tell("CLUSTER MYID").await;
            // It takes a moment until every node has heard of every other.
            let command = format!("CLUSTER REPLICATE {id}");
            wait::until("replica", START, || ask(replica.port, &command)).await;
        }
        cluster.until_whole().await;
        cluster
    }

    async fn introduce(&self) {
        let Some(first) = self.masters.first() else { panic!("a cluster without masters") };
        for node in self.nodes().skip(1) {
            let (port, bus) = (node.port, node.bus_port);
            first.tell(&format!("CLUSTER MEET 127.0.0.1 {port} {bus}")).await;
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.masters.iter().chain(&self.replicas)
    }

    /// Until every node that runs has every slot served, and every replica follows its master.
    async fn until_whole(&self) {
        for node in self.nodes() {
            wait::until("whole cluster", START, || is_whole(node.port)).await;
        }
        for replica in &self.replicas {
            wait::until("replica that follows", START, || follows(replica.port)).await;
        }
    }

    /// As the server's command line takes it.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes = self.masters.iter().map(|node| format!("127.0.0.1:{}", node.port));
        format!("redis+cluster://{}", nodes.collect::<Vec<_>>().join(","))
    }

    /// Until every replica has what its master has now.
    ///
    /// # Panics
    /// When one does not come so far.
    pub async fn until_replicated(&self) {
        for (master, replica) in self.masters.iter().zip(&self.replicas) {
            until_caught_up(master.port, replica.port, START).await;
        }
    }

    /// Ends a master as a crash would.
    ///
    /// # Panics
    /// When there is no such master.
    pub fn kill_master(&mut self, at: usize) {
        self.masters[at].process.kill();
    }

    /// Until the replica of a master that was killed serves its slots.
    ///
    /// # Panics
    /// When it does not take over.
    pub async fn until_taken_over(&self, at: usize) {
        let replica = &self.replicas[at];
        wait::until("fail-over", START, || is_master(replica.port)).await;
    }
}

async fn is_whole(port: u16) -> std::io::Result<()> {
    expect(port, "CLUSTER INFO", "cluster_state:ok").await?;
    expect(port, "CLUSTER INFO", &format!("cluster_slots_ok:{SLOTS}")).await
}

async fn is_master(port: u16) -> std::io::Result<()> {
    expect(port, "INFO replication", "role:master").await?;
    is_whole(port).await
}

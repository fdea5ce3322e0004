//! Three servers and their cluster.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use postern_e2e::grpc::Grpc;
use postern_e2e::redis::cluster::RedisCluster;
use postern_e2e::server::{self, Server};
use postern_e2e::{keys, wait};
use tempfile::TempDir;

pub(crate) const ALGORITHMS: [&str; 5] =
    ["sliding_window", "sliding_log", "token_bucket", "gcra", "fixed_window"];
/// What a limit may do while the store is away.
pub(crate) const ANSWERS: [&str; 3] = ["deny", "allow", "local_share"];
/// What a caller may do, in a time that no test sees the end of.
pub(crate) const LIMIT: u64 = 60;
/// More than any test sends; a log holds no more.
pub(crate) const MANY: u64 = 10_000;
/// What a caller may do in a second, by the limits called so.
pub(crate) const BRISK: usize = 40;
pub(crate) const SERVERS: usize = 3;
const MASTERS: usize = 3;

const LONGEST: Duration = Duration::from_secs(40);
/// Keys enough that each master has some.
const EVERY_PART: usize = 24;

/// Fields drop in this order.
pub(crate) struct Replicas {
    servers: Vec<Server>,
    pub(crate) cluster: RedisCluster,
    _folder: TempDir,
}

/// Where a limit is tried.
pub(crate) fn path(one: &str, other: &str) -> String {
    format!("/{one}-{other}").replace('_', "-")
}

impl Replicas {
    /// Starts them, and waits until all of them count.
    pub(crate) async fn start() -> Self {
        let cluster = RedisCluster::start(MASTERS).await;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gateway.yaml");
        fs::write(&file, document()).expect("the document");
        let mut servers = Vec::new();
        for number in 0..SERVERS {
            let place = folder.path().join(format!("server-{number}"));
            fs::create_dir(&place).expect("a folder");
            let options = server::Options {
                document: file.clone(),
                volatile: cluster.url(),
                durable: None,
                folder: place,
            };
            servers.push(Server::start(options, server::Ports::free()).await);
        }
        let replicas = Self { servers, cluster, _folder: folder };
        replicas.until_all_count().await;
        replicas
    }

    /// A connection of its own to one of the servers, in turn.
    pub(crate) fn grpc(&self, number: usize) -> Grpc {
        Grpc::to(self.servers[number % SERVERS].ports().grpc)
    }

    /// Until every server counts in every part of the store.
    pub(crate) async fn until_all_count(&self) {
        for number in 0..SERVERS {
            let grpc = self.grpc(number);
            let what = format!("counting of server {number} in the whole store");
            wait::until(&what, LONGEST, || every_part(&grpc)).await;
        }
    }
}

async fn every_part(grpc: &Grpc) -> Result<(), String> {
    let path = path("gcra", "deny");
    for _ in 0..EVERY_PART {
        let caller = keys::subject("anywhere");
        let said = grpc.check(&path, &[("x-caller", caller.as_str())]).await;
        if said.status != 200 {
            return Err(format!("{said:?}"));
        }
    }
    Ok(())
}

/// One route for each limit: every algorithm with every answer, and some more.
fn document() -> String {
    let (mut limits, mut routes) = (String::new(), String::new());
    let mut add = |path: &str, rule: &str| {
        let name = path.trim_start_matches('/');
        let limit = format!("  {name}: {{key: [header.x-caller], mode: exact, {rule}}}");
        let route = route(name, name);
        writeln!(limits, "{limit}").expect("a text");
        writeln!(routes, "{route}").expect("a text");
    };
    let days = days();
    for algorithm in ALGORITHMS {
        for answer in ANSWERS {
            let rule = format!(
                "algorithm: {algorithm}, rate: {LIMIT}/{days}d, when_store_fails: {answer}"
            );
            add(&path(algorithm, answer), &rule);
        }
        let rule = format!("algorithm: {algorithm}, rate: {BRISK}/1s, when_store_fails: deny");
        add(&path("brisk", algorithm), &rule);
    }
    let many = format!("algorithm: sliding_log, rate: {MANY}/{days}d, when_store_fails: deny");
    add("/many", &many);
    let both = route("both", "many, tenant");
    format!(
        "version: 1\n\
         stores: {{replicas: {SERVERS}}}\n\
         services: {{limited: {{upstream: '127.0.0.1:1'}}}}\n\
         limits:\n{limits}  \
         tenant: {{key: [header.x-tenant], mode: exact, rate: {LIMIT}/{days}d, \
         when_store_fails: deny}}\n\
         routes:\n{routes}{both}\n"
    )
}

fn route(name: &str, limits: &str) -> String {
    format!(
        "  - {{name: {name}, match: {{path: /{name}}}, service: limited, auth: none, \
         limits: [{limits}]}}"
    )
}

/// Of so many days a window does not end while a test runs: they begin at multiples of their
/// length since 1970.
fn days() -> u64 {
    let ends_late = |days: &u64| days * 86_400 - keys::now() % (days * 86_400) > 1_800;
    [200, 201].into_iter().find(ends_late).expect("one of two")
}

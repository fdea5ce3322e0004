//! The rate limit service, asked by a real Envoy's `ratelimit` filter, by gRPC and by HTTP, with
//! configuration of envoyproxy/ratelimit.

mod admin;
mod away;
mod bootstrap;
mod calls;
mod files;
mod filter;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::envoy::{Envoy, Ports};
use postern_e2e::grpc::Grpc;
use postern_e2e::server::{self, Server};
use postern_e2e::upstream::Upstream;
use tempfile::TempDir;

const LONGEST: Duration = Duration::from_secs(20);
/// Of the admin port.
const CREDENTIAL: &str = "a-credential-of-the-rate-limit-tests-alone";

/// Enough of a gateway document for a server that is nothing else.
const DOCUMENT: &str = "version: 1
stores: {replicas: 2}
routes:
  - {name: health, match: {path: /health}, service: postern, auth: none}
";

/// A server with rules of its own. Fields drop in this order.
struct Limits {
    server: Server,
    rules: PathBuf,
    folder: TempDir,
}

impl Limits {
    /// Counts in memory.
    async fn start(rules: &str) -> Self {
        Self::start_with("memory", rules, &[]).await
    }

    /// With this store and further options.
    async fn start_with(volatile: &str, rules: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("rules.yaml");
        fs::write(&file, rules).expect("rules");
        Self::start_at(volatile, folder, file, more).await
    }

    /// With rules that are there already: a file, or a folder.
    async fn start_at(volatile: &str, folder: TempDir, rules: PathBuf, more: &[&str]) -> Self {
        let options = options(folder.path(), volatile);
        let token = folder.path().join("admin-token");
        fs::write(&token, CREDENTIAL).expect("a credential");
        let mut arguments = vec!["--rate-limit-config".to_owned(), rules.display().to_string()];
        arguments.extend(["--admin-token-file".to_owned(), token.display().to_string()]);
        arguments.extend(more.iter().map(|option| (*option).to_owned()));
        let server = Server::start_with(options, server::Ports::free(), arguments).await;
        Self { server, rules, folder }
    }

    fn grpc(&self) -> Grpc {
        Grpc::to(self.server.ports().grpc)
    }

    fn admin(&self) -> Client {
        Client::new(Protocol::Http1, self.server.ports().admin)
    }

    /// The rules in use, as the server tells them.
    async fn rules_in_use(&self) -> String {
        self.admin().send(&Call::get("/rlconfig").bearer(CREDENTIAL)).await.expect(200).text()
    }
}

fn options(folder: &Path, volatile: &str) -> server::Options {
    let document = folder.join("gateway.yaml");
    fs::write(&document, DOCUMENT).expect("the document");
    let (volatile, folder) = (volatile.to_owned(), folder.to_path_buf());
    server::Options { document, volatile, durable: None, folder }
}

/// An Envoy that asks it. Fields drop in this order.
struct Stack {
    envoy: Envoy,
    limits: Limits,
    upstream: Upstream,
}

impl Stack {
    async fn start(limits: Limits) -> Self {
        let upstream = Upstream::start().await;
        let ports = Ports::free();
        let config = limits.folder.path().join("envoy.json");
        let grpc = limits.server.ports().grpc;
        let bootstrap = bootstrap::of(ports, upstream.address().port(), grpc);
        fs::write(&config, bootstrap.to_string()).expect("Envoy's configuration");
        let log = limits.folder.path().join("envoy.log");
        let envoy = Envoy::start(&config, ports, 1, &log).await;
        Self { envoy, limits, upstream }
    }

    fn client(&self, protocol: Protocol) -> Client {
        Client::new(protocol, self.envoy.ports().listen)
    }

    /// The statuses of so many equal calls, one after the other.
    async fn statuses(&self, call: &Call, times: usize) -> Vec<u16> {
        let client = self.client(Protocol::Http1);
        let mut statuses = Vec::with_capacity(times);
        for _ in 0..times {
            statuses.push(client.send(call).await.status);
        }
        statuses
    }

    /// That `passing` calls pass, and those after them do not.
    async fn lets_pass(&self, call: &Call, passing: usize) {
        let mut expected = vec![200; passing];
        expected.extend([429, 429]);
        assert_eq!(self.statuses(call, passing + 2).await, expected, "{call}");
    }
}

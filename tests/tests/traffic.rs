//! How requests reach services, on a real Envoy: which version, which endpoint, by whose
//! connections, how often, and what is made to go wrong on the way.

mod bulkheads;
mod endpoints;
mod faults;
mod health;
mod rate_limits;
mod retries;
mod versions;

use std::fs;
use std::net::SocketAddr;

use postern_e2e::gateway::Gateway;
use postern_e2e::upstream::Upstream;
use tempfile::TempDir;

const DOCUMENT: &str = include_str!("../fixtures/traffic.yaml");

/// What the rate limit service counts by. Years, so that no test runs into another window.
const RULES: &str = "
domain: shop
descriptors:
  - key: area
    value: address
    descriptors:
      - key: remote_address
        rate_limit: {unit: year, requests_per_unit: 3}
  - key: area
    value: both
    rate_limit: {unit: year, requests_per_unit: 3}
  - key: route
    value: by-caller
    descriptors:
      - key: principal
        rate_limit: {unit: year, requests_per_unit: 2}
";

/// A stack with three upstreams besides its own. Fields drop in this order.
struct Stack {
    gateway: Gateway,
    a: Upstream,
    b: Upstream,
    c: Upstream,
    _rules: TempDir,
}

impl Stack {
    async fn start() -> Self {
        let (a, b, c) = (Upstream::start().await, Upstream::start().await, Upstream::start().await);
        let mut document = DOCUMENT.to_owned();
        for (name, upstream) in [("$A", &a), ("$B", &b), ("$C", &c)] {
            document = fill_in(&document, name, upstream.address());
        }
        let folder = tempfile::tempdir().expect("a folder");
        let rules = folder.path().join("rules.yaml");
        fs::write(&rules, RULES).expect("rules");
        let options = ["--rate-limit-config".to_owned(), rules.display().to_string()];
        let gateway = Gateway::builder().document(document).serve_with(options);
        let gateway = gateway.render_with(["--zone=eu/eu-1"]).start().await;
        Self { gateway, a, b, c, _rules: folder }
    }

    /// How many requests of a service each of the three got.
    fn got(&self, service: &str) -> [u64; 3] {
        [&self.a, &self.b, &self.c].map(|upstream| upstream.requests(service))
    }
}

/// The longer names first: one begins as another is called.
fn fill_in(document: &str, name: &str, address: SocketAddr) -> String {
    document
        .replace(&format!("{name}_HOST"), &address.ip().to_string())
        .replace(&format!("{name}_PORT"), &address.port().to_string())
        .replace(&format!("{name}\n"), &format!("{address}\n"))
        .replace(&format!("{name}}}"), &format!("{address}}}"))
}

//! Services that a registry finds, over the real server: what is registered by the admin API and by
//! the command line, what checks make of it, and a catalog of Consul.

use std::fs;
use std::time::Duration;

use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::consul::{self, Consul};
use postern_e2e::redis::Redis;
use postern_e2e::server::{self, Durable, Options, Ports, Server};
use postern_e2e::{documents, ports, wait};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

const SECRET: &str = "0d1c7f4e-admin-credential-of-this-test-alone";
const SOON: Duration = Duration::from_secs(20);
const SHOP: &str = "/admin/v1/services/shop/instances";

/// A server without a gateway in front of it, whose document finds one of its services.
struct Fixture {
    server: Server,
    durable: Durable,
    _folder: TempDir,
}

impl Fixture {
    /// `discovery` is what the document says of registries.
    async fn start(volatile: &str, discovery: impl FnOnce(&TempDir) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let durable = Durable::prepare(folder.path()).await;
        let ports = Ports::free();
        let issuer = format!("http://{}", ports::local(ports.public));
        let found = "\nservices:\n  found:\n    discover:\n      registry: shop\n";
        let text = documents::sample().replacen("\nservices:\n", found, 1) + &discovery(&folder);
        let document = folder.path().join("gateway.yaml");
        fs::write(&document, documents::fill_in(&text, ports::local(9), &issuer)).expect("a file");
        let credential = folder.path().join("admin-token");
        fs::write(&credential, SECRET).expect("the credential");
        let options = Options {
            document,
            volatile: volatile.to_owned(),
            durable: Some(durable.clone()),
            folder: folder.path().to_path_buf(),
        };
        let more = vec!["--admin-token-file".to_owned(), credential.display().to_string()];
        let server = Server::start_with(options, ports, more).await;
        Self { server, durable, _folder: folder }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let call = Call::new(method, path).bearer(SECRET);
        let call = match body {
            Some(body) => call.header("content-type", "application/json").body(body.to_string()),
            None => call,
        };
        Client::new(Protocol::Http1, self.server.ports().admin).send(&call).await
    }

    /// Waits until so many instances are followed that are like this.
    async fn until(&self, health: &str, expected: u64) {
        let labels = [("service", "shop"), ("health", health)];
        let what = format!("{expected} {health} instances");
        wait::until(&what, SOON, || async {
            let found = self.server.metric("postern_registry_instances", &labels).await;
            if found == expected { Ok(()) } else { Err(found) }
        })
        .await;
    }

    async fn outcomes(&self, of: &str, outcome: &str) -> u64 {
        let name = format!("postern_registry_{of}_total");
        self.server.metric(&name, &[("outcome", outcome)]).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_stays_is_checked_and_outlives_the_server() {
    let mut fixture = Fixture::start("memory", |_| String::new()).await;
    let listener = TcpListener::bind(ports::local(0)).await.expect("a listener");
    let place = listener.local_addr().expect("its address");
    let instance = json!({
        "id": "shop-1", "address": "127.0.0.1", "port": place.port(), "stays": true,
        "protocol": "tcp", "interval": 1, "timeout": 1, "retries": 1, "failureThreshold": 1,
        "recovery": 1,
    });
    fixture.send("POST", SHOP, Some(&instance)).await.expect(201);
    fixture.until("healthy", 1).await;
    drop(listener);
    fixture.until("unhealthy", 1).await;
    let shown = fixture.send("GET", &format!("{SHOP}/shop-1"), None).await.expect(200).json();
    assert_eq!(shown["data"]["health"], "unhealthy", "{shown}");
    for (of, outcome) in
        [("looks", "good"), ("checks", "passed"), ("checks", "failed"), ("renewals", "good")]
    {
        assert!(fixture.outcomes(of, outcome).await > 0, "{of} {outcome}");
    }

    // The registry in its memory is gone with it; what stays is not.
    fixture.server.take_down();
    let _listener = TcpListener::bind(place).await.expect("the same place");
    fixture.server.bring_up().await;
    fixture.until("healthy", 1).await;
    fixture.send("DELETE", &format!("{SHOP}/shop-1"), None).await.expect(200);
    fixture.until("healthy", 0).await;
    fixture.send("DELETE", &format!("{SHOP}/shop-1"), None).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_and_the_servers_share_the_registry_in_redis() {
    let redis = Redis::start().await;
    let fixture = Fixture::start(&redis.url(), |_| String::new()).await;
    let url = redis.url();
    let run = async |words: &[&str]| {
        let mut all = vec!["service"];
        all.extend(words);
        all.extend(["--volatile", url.as_str()]);
        server::run(all).await
    };
    let durable = fixture.durable.address().to_owned();
    let with = ["shop", "shop-1", "--durable", durable.as_str()];
    let place = ["--address", "10.0.0.7:8080", "--weight", "3"];
    let register = [&["register"][..], &with[..], &place[..]];
    let said = run(&register.concat()).await.expect_success();
    assert!(said.contains("shop/shop-1 is registered"), "{said}");
    // Nobody checks it, and so nobody knows.
    fixture.until("unknown", 1).await;
    let table = run(&["list"]).await.expect_success();
    assert!(table.contains("10.0.0.7:8080") && table.contains("not checked"), "{table}");
    let listed = run(&["list", "shop", "--json"]).await.expect_success();
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!((&listed[0]["instance"], &listed[0]["weight"]), (&json!("shop-1"), &json!(3)));
    run(&["heartbeat", "shop", "shop-1"]).await.expect_success();
    let api = fixture.send("GET", SHOP, None).await.expect(200).json();
    assert_eq!(api["data"][0]["id"], "shop-1");

    run(&[&["deregister"][..], &with[..]].concat()).await.expect_success();
    fixture.until("unknown", 0).await;
    let gone = run(&["heartbeat", "shop", "shop-1"]).await.expect_code(1);
    assert!(gone.contains("register it again"), "{gone}");
    let words = ["service", "list", "--volatile", "memory"];
    let refused = server::run(words).await.expect_code(1);
    assert!(refused.contains("/admin/v1/services"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_of_consul_is_followed_and_not_written_to() {
    let catalog = Consul::play("shop.json").await;
    let fixture = Fixture::start("memory", |folder| {
        let token = folder.path().join("consul-token");
        fs::write(&token, consul::TOKEN).expect("the token");
        let (url, token) = (catalog.url(), token.display());
        format!(
            "\ndiscovery:\n  registry: consul\n  consul:\n    address: {url}\n    \
             token: file:{token}\n"
        )
    })
    .await;
    fixture.until("healthy", 2).await;
    catalog.go_on();
    fixture.until("unhealthy", 1).await;
    // Whoever does not know changes nothing.
    catalog.lose_its_leader(true);
    wait::until("look that failed", SOON, || async {
        if fixture.outcomes("looks", "failed").await > 0 { Ok(()) } else { Err("none") }
    })
    .await;
    fixture.until("healthy", 1).await;
    catalog.lose_its_leader(false);

    let listed = fixture.send("GET", SHOP, None).await.expect(200).json();
    assert_eq!(listed["meta"]["pagination"]["total"], 2);
    let instance = json!({"id": "shop-9", "address": "10.0.0.7", "port": 8080});
    let refused = fixture.send("POST", SHOP, Some(&instance)).await;
    refused.expect_denial(503, "UNAVAILABLE");
}

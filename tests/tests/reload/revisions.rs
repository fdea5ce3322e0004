//! From the durable store.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::grpc::Grpc;
use postern_e2e::postgres::Postgres;
use postern_e2e::process::{self, Finished};
use postern_e2e::server::{self, Durable, Ports, Server};
use postern_e2e::{env, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LONGEST, alone, digest, options, until_digest};

const SECRET: &str = "f6e5d4c3b2a190817263544536271809";
const REVISIONS: &str = "/admin/v1/config/revisions";

/// Servers of one durable store, and a command line.
struct Stage {
    durable: Durable,
    folder: TempDir,
}

impl Stage {
    fn options(&self, name: &str) -> server::Options {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let durable = Some(self.durable.clone());
        server::Options { durable, ..options(Path::new(""), &folder) }
    }

    async fn server(&self, name: &str) -> Server {
        let token = self.write("token", SECRET).display().to_string();
        let more = vec!["--admin-token-file".to_owned(), token];
        Server::start_with(self.options(name), Ports::free(), more).await
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, text).expect("a file");
        file
    }

    async fn config(&self, words: &[&str]) -> Finished {
        let words: Vec<&str> = ["config"].iter().chain(words).copied().collect();
        server::run(self.durable.arguments(&words)).await
    }

    async fn apply(&self, text: &str, more: &[&str]) -> Finished {
        let file = self.write("gateway.yaml", text).display().to_string();
        let words = [&["apply", file.as_str(), "--why", "a test"][..], more].concat();
        self.config(&words).await
    }

    /// The digest of what is applied.
    async fn applied(&self, text: &str) -> String {
        let printed = self.apply(text, &["--json"]).await.expect_success();
        let answer: Value = serde_json::from_str(&printed).expect("JSON");
        answer["digest"].as_str().expect("a digest").to_owned()
    }

    async fn json(&self, words: &[&str]) -> Value {
        let printed = self.config(words).await.expect_success();
        serde_json::from_str(&printed).expect("JSON")
    }
}

async fn send(server: &Server, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let call = Call::new(method, path).bearer(SECRET);
    let call = match body {
        Some(body) => call.header("content-type", "application/json").body(body.to_string()),
        None => call,
    };
    Client::new(Protocol::Http1, server.ports().admin).send(&call).await
}

async fn refused_start(options: &server::Options) -> String {
    let command = server::serve_command(options, Ports::free());
    process::run(command, Duration::from_secs(20)).await.expect_code(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_applied_is_served_by_every_replica_and_can_be_gone_back_to() {
    let postgres = Postgres::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare_at(&postgres.database("config").await, folder.path()).await;
    let stage = Stage { durable, folder };
    let told = refused_start(&stage.options("none")).await;
    assert!(told.contains("postern config apply"), "{told}");

    let first = stage.applied(&alone("5s")).await;
    let replicas = [stage.server("one").await, stage.server("two").await];
    for server in &replicas {
        assert_eq!(digest(server).await, first);
    }
    let second = stage.applied(&alone("6s")).await;
    for server in &replicas {
        until_digest(server, &second).await;
        // Envoys that run the first one are judged by it.
        let grpc = Grpc::to(server.ports().grpc);
        assert_eq!(grpc.judged_by(Some(&first), "/content/a").await, first);
    }
    let changes = stage.config(&["diff", "1", "2"]).await.expect_success();
    assert_eq!(changes.trim(), "~ services.content.timeout: \"5000ms\" -> \"6000ms\"");

    let back = stage.json(&["rollback", "1", "--json"]).await;
    assert_eq!((&back["number"], &back["digest"]), (&json!(3), &json!(first)));
    for server in &replicas {
        until_digest(server, &first).await;
    }
    let history = stage.json(&["history", "--json"]).await;
    let numbers: Vec<&Value> =
        history.as_array().expect("a list").iter().map(|revision| &revision["number"]).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert_eq!((&history[0]["active"], &history[1]["active"]), (&json!(true), &json!(false)));
    let shown = stage.json(&["show", "2"]).await;
    assert_eq!(shown["services"]["content"]["timeout"], "6000ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_api_does_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare(folder.path()).await;
    let stage = Stage { durable, folder };
    let first = stage.applied(&alone("5s")).await;
    let server = stage.server("one").await;

    let spec = send(&server, "GET", "/admin/v1/openapi.json", None).await.expect(200).json();
    let body = &spec["paths"][REVISIONS]["post"]["requestBody"];
    let example = &body["content"]["application/json"]["example"];
    // What takes a restart is applied, and not served before.
    let made = send(&server, "POST", REVISIONS, Some(example)).await.expect(201).json();
    assert_eq!(made["data"]["revision"]["number"], 2, "{made}");
    assert!(!made["data"]["restart"].as_array().expect("fields").is_empty(), "{made}");
    wait::until("word of a document that is not used", LONGEST, || async {
        let document = super::told(&server).await;
        if document.get("note").is_some() { Ok(()) } else { Err(document.to_string()) }
    })
    .await;
    assert_eq!(digest(&server).await, first);

    let path = format!("{REVISIONS}/1/rollback");
    // Who has applied what takes a restart says so for the way back, too.
    send(&server, "POST", &path, None).await.expect_denial(422, "VALIDATION_ERROR");
    let restart = json!({"restart": true});
    send(&server, "POST", &path, Some(&restart)).await.expect(201);
    let new = json!({"document": alone("9s"), "why": "it takes longer"});
    let made = send(&server, "POST", REVISIONS, Some(&new)).await.expect(201).json();
    let revision = &made["data"]["revision"];
    assert_eq!((&revision["number"], &revision["who"]), (&json!(4), &json!("admin")));
    until_digest(&server, revision["digest"].as_str().expect("a digest")).await;

    let list = send(&server, "GET", &format!("{REVISIONS}?limit=1"), None).await.expect(200).json();
    assert_eq!((&list["data"][0], &list["meta"]["pagination"]["total"]), (revision, &json!(4)));
    let changes = send(&server, "GET", &format!("{REVISIONS}/4/changes"), None).await.expect(200);
    let expected =
        json!([{"path": "services.content.timeout", "before": "5000ms", "after": "9000ms"}]);
    assert_eq!(changes.json()["data"]["changes"], expected, "{changes}");
    let shown = send(&server, "GET", &format!("{REVISIONS}/4"), None).await.expect(200).json();
    assert_eq!(shown["data"]["document"]["services"]["content"]["timeout"], "9000ms");
    send(&server, "GET", &format!("{REVISIONS}/5"), None).await.expect_denial(404, "NOT_FOUND");

    // Longer than other bodies may be, and wrong.
    let long = format!("{}# {}\nnothing: 1\n", alone("9s"), "a".repeat(100_000));
    let new = json!({"document": long, "why": "a test"});
    let refused = send(&server, "POST", REVISIONS, Some(&new)).await;
    let problems = refused.expect_denial(422, "VALIDATION_ERROR").json();
    let told = problems["validationErrors"][0].clone();
    assert_eq!(told["field"], "document", "{problems}");
    assert!(told["message"].as_str().is_some_and(|text| text.contains("nothing")), "{problems}");

    let log = send(&server, "GET", "/admin/v1/audit?limit=100", None).await.expect(200).json();
    let entries = log["data"].as_array().expect("entries").iter();
    let actions: Vec<(&str, &str)> = entries
        .filter_map(|entry| Some((entry["action"].as_str()?, entry["detail"]["number"].as_str()?)))
        .filter(|(action, _)| action.starts_with("config."))
        .collect();
    let expected = [
        ("config.applied", "1"),
        ("config.applied", "2"),
        ("config.rolled_back", "3"),
        ("config.applied", "4"),
    ];
    assert_eq!(actions, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_meant_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare(folder.path()).await;
    let stage = Stage { durable, folder };
    let both = server::run(["serve", "gateway.yaml", "--config-from", "store"]).await;
    assert!(both.expect_code(2).contains("--config-from"));
    let nowhere = server::Options { durable: None, ..stage.options("none") };
    assert!(refused_start(&nowhere).await.contains("--durable"));

    let mesh = env::repository().join("envoy").join("mesh.yaml");
    let mesh = fs::read_to_string(mesh).expect("a document");
    assert!(stage.apply(&mesh, &[]).await.expect_code(1).contains("mesh"));
    let broken = stage.apply("version: 1\nroutes: [{}]\n", &[]).await.expect_code(1);
    assert!(broken.contains("gateway.yaml:2"), "{broken}");
    stage.applied(&alone("5s")).await;
    let elsewhere = alone("5s").replace("127.0.0.1:8080", "127.0.0.1:8081");
    let refused = stage.apply(&elsewhere, &[]).await.expect_code(1);
    assert!(refused.contains("`issuer`") && refused.contains("--restart"), "{refused}");
    stage.apply(&elsewhere, &["--restart"]).await.expect_success();
    assert_eq!(stage.json(&["history", "--json"]).await.as_array().map(Vec::len), Some(2));
    let nothing = stage.config(&["rollback", "7"]).await.expect_code(1);
    assert!(nothing.contains("no revision 7"), "{nothing}");
}

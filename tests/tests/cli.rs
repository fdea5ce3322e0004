//! The command line, and the shipped document from its check to a token that opens the door.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::client::{Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::server::{self, Durable, Options};
use postern_e2e::{documents, env, envoy, keys, ports, process, wait};
use serde_json::{Value, json};

const SAMPLE: &str = "envoy/sample.yaml";

#[tokio::test]
async fn the_shipped_document_is_in_order() {
    server::run(["check", SAMPLE]).await.expect_success();
}

#[tokio::test]
async fn envoy_itself_accepts_what_is_rendered() {
    let folder = tempfile::tempdir().expect("a folder");
    let sample = env::repository().join(SAMPLE);
    let (envoy_ports, server_ports) = (envoy::Ports::free(), server::Ports::free());
    let rendered = envoy::render(&sample, folder.path(), envoy_ports, server_ports).await;
    rendered.expect_success();
    envoy::validate(&envoy::config_file(folder.path())).await.expect_success();
}

#[tokio::test]
async fn the_database_says_where_it_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::new(folder.path());
    server::run(durable.arguments(&["migrate", "up"])).await.expect_success();
    // Again: nothing to do, and no error.
    server::run(durable.arguments(&["migrate", "up"])).await.expect_success();
    let status = server::run(durable.arguments(&["migrate", "status"])).await.expect_success();
    assert!(!status.trim().is_empty(), "`migrate status` says nothing");

    assert_eq!(key_list(&durable).await.len(), 0);
    for expected in [1, 2] {
        let arguments = durable.arguments_with_key(&["keys", "rotate"]);
        server::run(arguments).await.expect_success();
        assert_eq!(key_list(&durable).await.len(), expected);
    }
}

#[tokio::test]
async fn a_database_is_made_by_going_up_and_deleted_by_a_yes() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::new(folder.path());
    let file = folder.path().join("postern.db");
    let status = server::run(durable.arguments(&["migrate", "status"])).await.expect_success();
    assert!(status.contains("pending"), "{status}");
    server::run(durable.arguments(&["migrate", "down", "--yes"])).await.expect_code(1);
    assert!(!file.exists(), "asking made a database");

    server::run(durable.arguments(&["migrate", "up"])).await.expect_success();
    let asked = server::run(durable.arguments(&["migrate", "down"])).await.expect_code(1);
    assert!(asked.contains("service_registry") && asked.contains("--yes"), "{asked}");
    let status = server::run(durable.arguments(&["migrate", "status"])).await.expect_success();
    assert!(!status.contains("reverted"), "{status}");
    server::run(durable.arguments(&["migrate", "down", "--yes"])).await.expect_success();
    let status = server::run(durable.arguments(&["migrate", "status"])).await.expect_success();
    assert!(status.contains("reverted"), "{status}");
}

#[tokio::test]
async fn errors_of_a_store_name_it_once_and_no_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("no.db");
    fs::write(&file, "anything but a database. ".repeat(100)).expect("a file");
    let url = format!("sqlite:{}", file.display());
    let told = server::run(["keys", "list", "--durable", &url]).await.expect_code(1);
    assert!(told.contains(&url), "{told}");
    assert_eq!(told.matches("not a database").count(), 1, "{told}");

    for url in ["postgres://u:hush@127.0.0.1:1/gate", "mysql://u:hush@db/gate", "env:x://u:hush@db"]
    {
        let told = server::run(["keys", "list", "--durable", url]).await.expect_code(1);
        assert!(!told.contains("hush"), "{told}");
    }
}

#[tokio::test]
async fn a_key_file_that_does_not_fit_is_named_with_its_option() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare(folder.path()).await;
    let other = folder.path().join("other");
    for content in [None, Some("hunter2"), Some("MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=")] {
        if let Some(content) = content {
            fs::write(&other, content).expect("a file");
        }
        let place = other.display().to_string();
        let words = ["keys", "rotate", "--key-file", &place];
        let told = server::run(durable.arguments(&words)).await.expect_code(1);
        assert!(told.contains("--key-file") && told.contains(&place), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_named_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("admin-token");
    fs::write(&file, "hunter2-hunter2-hunter2-hunter2-hunter2").expect("a credential");
    let file = file.display().to_string();
    let nobody = format!("http://127.0.0.1:{}", server::Ports::free().admin);
    for (server, expected) in [
        (nobody.as_str(), "is the server up, and is this its admin port?"),
        ("hunter2@localhost:9193", "--server: write it as http://HOST:PORT"),
    ] {
        let words = ["xds", "status", "--server", server, "--admin-token-file", &file];
        let told = server::run(words).await.expect_code(1);
        assert!(told.contains(expected), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn who_stops_reading_is_no_error() {
    let script = "(sleep 0.3; \"$0\" check \"$1\") | true; \"$0\" completions bash | head -c 1";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(env::postern()).arg(env::repository().join(SAMPLE));
    let finished = process::run(command, Duration::from_secs(20)).await;
    assert_eq!(finished.stderr, "", "{finished}");
}

#[tokio::test]
async fn manifests_that_work_on_one_machine_only_are_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let finished = server::run(["render", "istio", SAMPLE, "--out", &out]).await;
    assert_eq!(finished.code, Some(0), "{finished}");
    for word in ["--wasm-sha256", "loopback"] {
        assert!(finished.stderr.contains(word), "no {word}: {finished}");
    }
}

/// How `serve` ends with these further words, and a document that says this beyond its route.
async fn refused_start(folder: &Path, more: &str, words: Vec<String>) -> String {
    let document = folder.join("gateway.yaml");
    let text = format!(
        "version: 1\nissuer: http://127.0.0.1:8080\n{more}\nroutes:\n  \
         - {{name: r, match: {{path: /r}}, service: postern, auth: none}}\n"
    );
    fs::write(&document, text).expect("the document");
    let options = Options {
        document,
        volatile: "memory".to_owned(),
        durable: None,
        folder: folder.to_path_buf(),
    };
    let mut command = server::serve_command(&options, server::Ports::free());
    command.args(words);
    process::run(command, Duration::from_secs(20)).await.expect_code(1)
}

#[tokio::test]
async fn a_server_that_could_issue_no_token_does_not_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare(folder.path()).await;
    let told = refused_start(folder.path(), "", durable.arguments(&[])).await;
    assert!(told.contains("--key-file") && told.contains("--roles"), "{told}");
}

#[tokio::test]
async fn sqlite_is_for_one_replica_wherever_it_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare(folder.path()).await;
    let stores = "stores: {replicas: 2}";
    let words = durable.arguments_with_key(&[]);
    let told = refused_start(folder.path(), stores, words).await;
    assert!(told.contains("replicas") && told.contains("one replica"), "{told}");
}

async fn key_list(durable: &Durable) -> Vec<Value> {
    let arguments = durable.arguments_with_key(&["keys", "list", "--json"]);
    let text = server::run(arguments).await.expect_success();
    let list: Value = serde_json::from_str(&text).expect("JSON");
    // A private key never leaves the store.
    assert!(!text.contains("PRIVATE"), "{text}");
    list.as_array().expect("a list").clone()
}

#[tokio::test]
async fn wrong_use_is_an_error_with_a_hint() {
    for arguments in [&["frobnicate"][..], &["check"], &["render", "envoy"], &["serve"]] {
        let finished = server::run(arguments).await;
        assert_ne!(finished.code, Some(0), "{finished}");
        assert!(finished.stderr.contains("Usage"), "{finished}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_option() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        document: env::repository().join(SAMPLE),
        volatile: "memory".to_owned(),
        durable: None,
        folder: folder.path().to_path_buf(),
    };
    let addresses = server::Ports::free();
    for (port, option) in [
        (addresses.grpc, "--grpc-address"),
        (addresses.public, "--public-address"),
        (addresses.admin, "--admin-address"),
        (addresses.metrics, "--metrics-address"),
    ] {
        let taken = TcpListener::bind(ports::local(port)).expect("a port");
        let command = server::serve_command(&options, addresses);
        let finished = process::run(command, Duration::from_secs(20)).await;
        assert_eq!(finished.code, Some(1), "{finished}");
        let place = ports::local(port).to_string();
        assert!(finished.stderr.contains(&place), "no {place}: {finished}");
        assert!(finished.stderr.contains(option), "no {option}: {finished}");
        drop(taken);
    }
}

/// Everything that `./dev up` shows, on the document that ships.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_keys_to_a_token_that_opens_the_door() {
    let mut gateway = Gateway::builder().document(documents::sample()).durable().start().await;
    let durable = gateway.durable.clone().expect("a durable store");
    let full = issue(&gateway, &durable, "content.read payments.read payments.write").await;
    let content = |token: &str| Call::get("/content/items").bearer(token);

    // The filters fetch the keys when they start, and again until they have them.
    let answer = gateway.until_status(200, &content(&full)).await;
    assert_eq!(answer.upstream_header("x-postern-subject"), Some(json!("alice")));
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        client.send(&content(&full)).await.expect(200);
        client.send(&Call::get("/payments/charges").bearer(&full)).await.expect(200);
        client.send(&Call::get("/content/items")).await.expect_denial(401, "UNAUTHORIZED");
        let tampered = content(&keys::tampered(&full));
        client.send(&tampered).await.expect_denial(401, "INVALID_TOKEN");
        // A token of another issuer, good elsewhere.
        let foreign = keys::Token::of("alice").scope("content.read").sign();
        client.send(&content(&foreign)).await.expect_denial(401, "INVALID_TOKEN");
    }
    inspection_tells_good_from_bad(&gateway, &durable, &full).await;
    inspection_says_what_the_gateway_does(&gateway, &durable).await;
    refusals_are_found_in_the_access_log(&gateway).await;
    let narrow = issue(&gateway, &durable, "content.read").await;
    let charge = Call::post("/payments/charges").bearer(&narrow);
    gateway.send(&charge).await.expect_denial(403, "INSUFFICIENT_SCOPE");

    let with_key = Call::get("/commerce/orders").header("x-api-key", documents::sample_api_key());
    let answer = gateway.send(&with_key).await.expect(200);
    assert_eq!(answer.upstream_header("x-postern-subject"), Some(json!("sample-partner")));
    let caller = answer.upstream_header("x-caller").expect("a caller").to_string();
    assert!(caller.contains("user=sample-partner"), "{caller}");

    discovery_is_consistent(&gateway).await;
    client_credentials_open_the_door(&gateway, &durable).await;
    for _ in 0..10 {
        gateway.send(&Call::get("/notifications/ping")).await.expect(200);
    }
    let answer = gateway.send(&Call::get("/notifications/ping")).await;
    let answer = answer.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(answer.number("x-ratelimit-limit"), 10);

    after_a_rotation_old_tokens_hold(&mut gateway, &durable, &full).await;
}

async fn issue(gateway: &Gateway, durable: &Durable, scope: &str) -> String {
    let document = gateway.document().display().to_string();
    let words = ["token", "issue", "--document", &document, "--subject", "alice", "--scope", scope];
    let text = server::run(durable.arguments_with_key(&words)).await.expect_success();
    let token = text.trim().to_owned();
    assert_eq!(token.split('.').count(), 3, "{token}");
    token
}

async fn inspection_tells_good_from_bad(gateway: &Gateway, durable: &Durable, token: &str) {
    let document = gateway.document().display().to_string();
    let inspect = |token: &str| {
        let words = ["token", "inspect", "--json", "--document", &document, token];
        server::run(durable.arguments_with_key(&words))
    };
    let told = inspect(token).await.expect_success();
    assert!(told.contains("alice") && told.contains("content.read"), "{told}");
    // Whatever it says of a bad one, not the same.
    let of_bad = inspect(&keys::tampered(token)).await;
    assert!(of_bad.code != Some(0) || of_bad.stdout != told, "{of_bad}");
}

/// A token may hold and still be for somebody else.
async fn inspection_says_what_the_gateway_does(gateway: &Gateway, durable: &Durable) {
    let document = gateway.document().display().to_string();
    for (audience, accepted) in [(gateway.url(""), true), ("https://other.test".to_owned(), false)]
    {
        let words = [
            "token",
            "issue",
            "--document",
            &document,
            "--subject",
            "alice",
            "--audience",
            &audience,
            "--scopes",
            "content.read",
            "--client-id",
            "nobody",
        ];
        let issued = server::run(durable.arguments_with_key(&words)).await;
        assert!(issued.stderr.contains("`nobody`"), "no word of the client: {issued}");
        let token = issued.expect_success().trim().to_owned();
        let words = ["token", "inspect", "--json", "--document", &document, &token];
        let told = server::run(durable.arguments(&words)).await.expect_success();
        let told: Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(told["active"], true, "{told}");
        assert_eq!(told["gateway"]["accepts"], accepted, "{told}");
        let answer = gateway.send(&Call::get("/content/items").bearer(&token)).await;
        if accepted {
            answer.expect(200);
        } else {
            answer.expect_denial(401, "INVALID_TOKEN");
            assert_eq!(told["gateway"]["status"], 401, "{told}");
            assert_eq!(told["gateway"]["reason"], "token_audience", "{told}");
            let because = told["gateway"]["because"].as_str().unwrap_or_default();
            assert!(because.contains(&gateway.url("")), "{told}");
        }
    }
}

/// By the id of its answer, with the reason where it was the bundle that refused.
async fn refusals_are_found_in_the_access_log(gateway: &Gateway) {
    let wrong_key = Call::get("/commerce/orders").header("x-api-key", "pk_sample1_wrong");
    let mut refused = Vec::new();
    for (call, status, code, reason) in [
        (Call::get("/content/items"), 401, "UNAUTHORIZED", Some("credential_missing")),
        (Call::get("/nowhere"), 404, "NOT_FOUND", Some("no_route")),
        // The server's log has the reason of this one.
        (wrong_key, 401, "INVALID_TOKEN", None),
    ] {
        let answer = gateway.send(&call).await.expect_denial(status, code);
        let id = answer.json()["correlation_id"].as_str().expect("an id").to_owned();
        refused.push((id, reason));
    }
    // Envoy writes its log every ten seconds.
    let wanted = &refused;
    let log = wait::until("line of each refusal", Duration::from_secs(40), || async move {
        let log = gateway.envoy.log();
        let missing = wanted.iter().find(|(id, _)| !log.contains(id.as_str()));
        missing.map_or(Ok(log.clone()), |(id, _)| Err(id.clone()))
    })
    .await;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.collect();
    for (id, reason) in refused {
        let line = lines.iter().find(|line| line["correlation_id"] == id.as_str());
        let line = line.unwrap_or_else(|| panic!("no line with the correlation id {id}"));
        assert_eq!(line["reason"], json!(reason), "{line}");
    }
}

async fn discovery_is_consistent(gateway: &Gateway) {
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let found = gateway.send(&Call::get(path)).await.expect(200).json();
        assert_eq!(found["issuer"], gateway.url(""), "{found}");
        assert_eq!(found["token_endpoint"], gateway.url("/oauth2/token"), "{found}");
        assert_eq!(found["jwks_uri"], gateway.url("/oauth2/jwks"), "{found}");
    }
    let set = gateway.send(&Call::get("/oauth2/jwks")).await.expect(200).json();
    let keys = set["keys"].as_array().expect("keys");
    assert!(!keys.is_empty(), "{set}");
    for key in keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "a private member `{private}` is published");
        }
    }
    let health = gateway.send(&Call::get("/health")).await.expect(200).json();
    assert!(["healthy", "degraded"].contains(&health["status"].as_str().unwrap_or_default()));
}

async fn client_credentials_open_the_door(gateway: &Gateway, durable: &Durable) {
    let words = ["client", "create", "--json", "--name", "e2e", "--scopes", "content.read"];
    let text = server::run(durable.arguments(&words)).await.expect_success();
    let client: Value = serde_json::from_str(&text).expect("JSON");
    let id = client["client_id"].as_str().expect("client_id");
    let secret = client["client_secret"].as_str().expect("client_secret");
    let basic = |secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let ask = |secret: &str, form: &str| {
        Call::post("/oauth2/token").header("authorization", basic(secret)).form(form)
    };

    let answer = gateway.send(&ask(secret, "grant_type=client_credentials")).await.expect(200);
    // RFC 6749 §5.1.
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    let granted = answer.json();
    assert_eq!(granted["token_type"], "Bearer");
    assert_eq!(granted["scope"], "content.read");
    assert!(granted["expires_in"].as_u64().is_some_and(|seconds| seconds > 0), "{granted}");
    let token = granted["access_token"].as_str().expect("access_token");
    let opened = gateway.send(&Call::get("/content/items").bearer(token)).await.expect(200);
    assert_eq!(opened.upstream_header("x-postern-client"), Some(json!(id)));
    let too_far = Call::get("/payments/charges").bearer(token);
    gateway.send(&too_far).await.expect_denial(403, "INSUFFICIENT_SCOPE");

    // RFC 6749 §5.2.
    for (call, status, error) in [
        (ask("wrong", "grant_type=client_credentials"), 401, "invalid_client"),
        (ask(secret, "grant_type=password"), 400, "unsupported_grant_type"),
        (ask(secret, ""), 400, "invalid_request"),
        (ask(secret, "grant_type=client_credentials&scope=admin"), 400, "invalid_scope"),
        (Call::post("/oauth2/token").form("grant_type=client_credentials"), 401, "invalid_client"),
    ] {
        let answer = gateway.send(&call).await.expect(status);
        assert_eq!(answer.json()["error"], error, "{answer}");
        assert!(!answer.text().contains(secret), "a secret comes back");
    }
}

async fn after_a_rotation_old_tokens_hold(gateway: &mut Gateway, durable: &Durable, old: &str) {
    let arguments = durable.arguments_with_key(&["keys", "rotate"]);
    server::run(arguments).await.expect_success();
    gateway.server.take_down();
    gateway.server.bring_up().await;
    let set = gateway.until_status(200, &Call::get("/oauth2/jwks")).await.json();
    let ids: Vec<&Value> =
        set["keys"].as_array().expect("keys").iter().map(|k| &k["kid"]).collect();
    assert_eq!(ids.len(), 2, "{set}");
    assert_ne!(ids[0], ids[1], "{set}");
    gateway.send(&Call::get("/content/items").bearer(old)).await.expect(200);
}

/// Whether a bound token counts is up to the document; what it is bound to, a request shows.
#[tokio::test]
async fn inspection_knows_which_documents_take_bound_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::new(folder.path());
    server::run(durable.arguments(&["migrate", "up"])).await.expect_success();
    server::run(durable.arguments_with_key(&["keys", "rotate"])).await.expect_success();
    let bound = include_str!("../fixtures/tokens-bound.yaml");
    let unbound = include_str!("../fixtures/tokens.yaml");
    let confirmation = json!({"x5t#S256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"});
    let token = keys::Token::of("alice").claim("cnf", confirmation).sign();
    for (name, text, accepted) in [("bound", bound, true), ("unbound", unbound, false)] {
        let document = folder.path().join(format!("{name}.yaml"));
        let text = text.replace("$KIND", "asked").replace("$ASKED", "true");
        let text =
            text.replace("version: 1\n", "version: 1\nissuer: https://gateway.example.test\n");
        let text = documents::fill_in(&text, ports::local(9), "https://gateway.example.test");
        fs::write(&document, text).expect("a document");
        let document = document.display().to_string();
        let words = ["token", "inspect", "--json", "--document", &document, &token];
        let finished = server::run(durable.arguments_with_key(&words)).await;
        let told = &finished.stdout;
        let told: Value =
            serde_json::from_str(told).unwrap_or_else(|error| panic!("{error}: {finished}"));
        assert_eq!(told["gateway"]["accepts"], accepted, "{name}: {told}");
        assert_eq!(told["gateway"]["with_proof"] == true, accepted, "{name}: {told}");
    }
}

/// What a command prints as JSON, and nothing of it on standard error.
async fn told(durable: &Durable, words: &[&str]) -> Value {
    let finished = server::run(durable.arguments(words)).await;
    assert_eq!(finished.code, Some(0), "{finished}");
    let told: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    for secret in ["password", "client_secret", "key"] {
        if let Some(secret) = told[secret].as_str() {
            assert!(!finished.stderr.contains(secret), "a secret on standard error: {finished}");
        }
    }
    told
}

#[tokio::test]
async fn users_are_managed_by_commands() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare(folder.path()).await;
    let create = ["user", "create", "--document", SAMPLE, "--first-name", "A", "--last-name", "B"];
    let with = |more: &[&'static str]| [&create[..], more].concat();
    let made = with(&["--email", "root@example.test", "--admin", "--generate", "--json"]);
    let root = told(&durable, &made).await;
    assert_eq!(root["role"], "admin", "{root}");
    assert!(root["password"].as_str().is_some_and(|password| password.len() > 20), "{root}");
    let ada = told(&durable, &with(&["--email", "ada@example.test", "--json"])).await;
    assert_eq!((&ada["role"], &ada["password"]), (&json!("student"), &Value::Null));

    let list = told(&durable, &["user", "list", "--json"]).await;
    let emails: Vec<&Value> =
        list.as_array().expect("a list").iter().map(|user| &user["email"]).collect();
    assert_eq!(emails, ["root@example.test", "ada@example.test"], "oldest first");
    let id = ada["id"].as_str().expect("an id");
    let of = ["--document", SAMPLE, "--json"];
    let update = [&["user", "update", id, "--role", "teacher", "--tier", "gold"][..], &of].concat();
    told(&durable, &update).await;
    let shown = told(&durable, &["user", "show", "ADA@example.test", "--json"]).await;
    assert_eq!((&shown["id"], &shown["role"]), (&json!(id), &json!("teacher")));
    assert_eq!((&shown["tier"], &shown["is_active"]), (&json!("gold"), &json!(true)));
    for (command, member) in [("end-sessions", "ended"), ("reset-mfa", "removed")] {
        let ended = told(&durable, &[&["user", command, id][..], &of].concat()).await;
        assert_eq!(ended[member], 0, "{ended}");
    }
    let off = told(&durable, &[&["user", "deactivate", id][..], &of].concat()).await;
    assert_eq!(off["is_active"], false, "{off}");
    let on = told(&durable, &[&["user", "update", id, "--active"][..], &of].concat()).await;
    assert_eq!(on["is_active"], true, "{on}");

    for (words, expected) in [
        (&["user", "deactivate", "root@example.test"][..], "nobody else may administer"),
        (&["user", "deactivate", "gone@example.test"], "no user with this e-mail"),
        (&["user", "update", id], "what is to change"),
        (&["user", "update", id, "--role", "gone"], "no such role"),
    ] {
        let words = [words, &of[..2]].concat();
        let refused = server::run(durable.arguments(&words)).await.expect_code(1);
        assert!(refused.contains(expected), "{refused}");
    }
}

#[tokio::test]
async fn clients_and_keys_are_managed_by_commands() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare(folder.path()).await;
    let client = told(&durable, &["client", "create", "--name", "A", "--json"]).await;
    let id = client["client_id"].as_str().expect("an id");
    let other = told(&durable, &["client", "rotate-secret", id, "--json"]).await;
    assert_ne!(other["client_secret"], client["client_secret"]);
    let update = ["client", "update", id, "--scopes", "a b", "--lifetime", "90s", "--json"];
    let changed = told(&durable, &update).await;
    assert_eq!(changed["scopes"], json!(["a", "b"]), "{changed}");
    assert_eq!(changed["access_token_lifetime"], 90, "{changed}");
    let by_key = ["--auth-method", "private_key_jwt", "--jwks-uri", "https://a.example/jwks"];
    let by_key = [&["client", "update", id, "--json"][..], &by_key].concat();
    assert_eq!(told(&durable, &by_key).await["has_secret"], false);
    let update = ["client", "update", id, "--json"];
    let asks = ["--may-introspect", "https://api.example", "--may-introspect", "*"];
    let asks = told(&durable, &[&update[..], &asks].concat()).await;
    assert_eq!(asks["may_introspect"], json!(["https://api.example", "*"]), "{asks}");
    let asks = told(&durable, &[&update[..], &["--no-may-introspect"]].concat()).await;
    assert_eq!(asks["may_introspect"], json!([]), "{asks}");
    for (words, expected) in [
        (&["client", "update", id][..], "what is to change"),
        (&["client", "update", id, "--may-introspect", "api"], "resources to introspect for"),
        (&["client", "update", id, "--redirect-uri", "http://a.example/"], "redirect URIs"),
        (&["client", "update", id, "--grant", "password"], "--grant"),
        (&["client", "rotate-secret", id], "by a secret"),
        (&["client", "show", "none"], "no such client"),
    ] {
        let refused = server::run(durable.arguments(words)).await.expect_code(1);
        assert!(refused.contains(expected), "{refused}");
    }
    let off = ["client", "update", id, "--inactive", "--document", SAMPLE, "--json"];
    assert_eq!(told(&durable, &off).await["is_active"], false);
    told(&durable, &["client", "delete", id, "--document", SAMPLE, "--json"]).await;
    assert_eq!(told(&durable, &["client", "list", "--json"]).await, json!([]));

    let create = ["apikey", "create", "--subject", "s", "--expires-in", "30d", "--json"];
    let key = told(&durable, &create).await;
    let id = key["id"].as_str().expect("an id");
    let rotate = ["apikey", "rotate", id, "--overlap", "1h", "--json"];
    let next = told(&durable, &rotate).await;
    assert_ne!(next["key"], key["key"]);
    let shown = told(&durable, &["apikey", "show", id, "--json"]).await;
    assert_eq!(shown["successor"], next["id"], "{shown}");
    let update = ["apikey", "update", id, "--name", "Old", "--no-expiry", "--json"];
    let changed = told(&durable, &update).await;
    assert_eq!((&changed["name"], &changed["expires_at"]), (&json!("Old"), &Value::Null));
    let revoked = told(&durable, &["apikey", "revoke", id, "--json"]).await;
    assert_eq!(revoked["state"], "revoked", "{revoked}");
    let again = server::run(durable.arguments(&rotate)).await.expect_code(1);
    assert!(again.contains("revoked"), "{again}");
}

#[tokio::test]
async fn clients_are_created_for_what_their_options_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare(folder.path()).await;
    let create = ["client", "create", "--name", "A", "--json"];
    let grants = async |more: &[&str]| {
        let made = told(&durable, &[&create[..], more].concat()).await;
        let id = made["client_id"].as_str().expect("an id");
        told(&durable, &["client", "show", id, "--json"]).await
    };
    let place = ["--redirect-uri", "https://a.example/callback"];
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    for (more, expected) in [
        (&place[..], json!(["authorization_code", "refresh_token"])),
        (&[], json!(["client_credentials"])),
        (&["--public", "--grant", "device_code"], json!([device])),
        (&["--public", "--grant", device], json!([device])),
    ] {
        assert_eq!(grants(more).await["grant_types"], expected, "{more:?}");
    }
    let bye = "https://a.example/bye";
    let shown = grants(&["--post-logout-redirect-uri", bye]).await;
    assert_eq!(shown["post_logout_redirect_uris"], json!([bye]), "{shown}");
    let refused = server::run(durable.arguments(&[&create[..], &["--public"]].concat())).await;
    assert!(refused.expect_code(1).contains("--redirect-uri"));
    let unknown = ["--scopes", "content.read gone", "--document", SAMPLE];
    let warned = server::run(durable.arguments(&[&create[..], &unknown].concat())).await;
    assert!(warned.stderr.contains("`gone`"), "{warned}");
    assert!(!warned.stderr.contains("`content.read`"), "{warned}");
    warned.expect_success();
}

#[tokio::test]
async fn what_was_revoked_is_looked_up_and_users_are_found_by_their_email() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare(folder.path()).await;
    let create = ["user", "create", "--document", SAMPLE, "--first-name", "A", "--last-name", "B"];
    let create = [&create[..], &["--email", "ada@example.test", "--json"]].concat();
    let ada = told(&durable, &create).await;
    let id = ada["id"].as_str().expect("an id");
    let issue = ["token", "issue", "--document", SAMPLE, "--subject", id];
    let issue = [&issue[..], &["--scope", "payments.read"]].concat();
    let token = server::run(durable.arguments_with_key(&issue)).await.expect_success();
    let inspect = ["token", "inspect", "--json", "--document", SAMPLE, token.trim()];
    assert_eq!(told(&durable, &inspect).await["active"], true);
    let explain = ["explain", SAMPLE, "GET", "http://127.0.0.1:8080/payments/charges", "--token"];
    let explain = [&explain[..], &[token.trim()]].concat();
    let seen = server::run(durable.arguments(&explain)).await.expect_success();
    assert!(seen.contains("looked up: not revoked"), "{seen}");
    let unasked = server::run(&explain).await.expect_success();
    assert!(unasked.contains("not looked up"), "{unasked}");

    let revoke = ["token", "revoke", "--document", SAMPLE, "--json", "--subject"];
    let unknown = [&revoke[..], &["eve@example.test"]].concat();
    let refused = server::run(durable.arguments(&unknown)).await.expect_code(1);
    assert!(refused.contains("eve@example.test") && refused.contains("--issuer"), "{refused}");
    let done = told(&durable, &[&revoke[..], &["ada@example.test"]].concat()).await;
    assert_eq!((&done["revoked"], &done["value"]), (&json!("subject"), &json!(id)));

    let finished = server::run(durable.arguments(&inspect)).await;
    let now: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((&now["active"], &now["gateway"]["accepts"]), (&json!(false), &json!(false)));
    assert_eq!(now["gateway"]["error"], "TOKEN_REVOKED", "{now}");
    let seen = server::run(durable.arguments(&explain)).await.expect_success();
    assert!(seen.contains("TOKEN_REVOKED"), "{seen}");
}

#[tokio::test]
async fn a_file_without_its_scheme_is_told_with_it() {
    let told = server::run(["migrate", "up", "--durable", "postern.db"]).await.expect_code(1);
    assert!(told.contains("did you mean sqlite:postern.db?"), "{told}");
    let told = server::run(["migrate", "up", "--durable", "hush"]).await.expect_code(1);
    assert!(!told.contains("hush"), "{told}");
}

//! `/admin/v1` as an operator's programs see it, over the real server: who gets in, what the
//! specification promises, and that nothing that is sent ends in a 500.

use std::fs;
use std::time::Duration;

use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::postgres::Postgres;
use postern_e2e::server::{self, Durable, Options, Ports, Server};
use postern_e2e::{documents, keys, ports, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "3f9b6d01-admin-credential-of-this-test-alone";
const SOON: Duration = Duration::from_secs(10);
const NOBODY: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";

/// A server without a gateway in front of it, with the sample document.
struct Fixture {
    server: Server,
    durable: Durable,
    document: String,
    _folder: TempDir,
}

impl Fixture {
    async fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let durable = Durable::prepare(folder.path()).await;
        Self::start_on(folder, durable, options).await
    }

    async fn start_on(folder: TempDir, durable: Durable, options: &[&str]) -> Self {
        let ports = Ports::free();
        let issuer = format!("http://{}", ports::local(ports.public));
        let text = documents::fill_in(&documents::sample(), ports::local(9), &issuer);
        let path = folder.path().join("gateway.yaml");
        fs::write(&path, text).expect("the document");
        fs::write(folder.path().join("admin-token"), SECRET).expect("the credential");
        let credential = folder.path().join("admin-token").display().to_string();
        let options = options.iter().map(|option| option.replace("CREDENTIAL", &credential));
        let runs_with = Options {
            document: path.clone(),
            volatile: "memory".to_owned(),
            durable: Some(durable.clone()),
            folder: folder.path().to_path_buf(),
        };
        let server = Server::start_with(runs_with, ports, options.collect()).await;
        Self { server, durable, document: path.display().to_string(), _folder: folder }
    }

    async fn with_credential() -> Self {
        Self::start(&["--admin-token-file", "CREDENTIAL"]).await
    }

    fn admin(&self) -> Client {
        Client::new(Protocol::Http1, self.server.ports().admin)
    }

    fn public(&self) -> Client {
        Client::new(Protocol::Http1, self.server.ports().public)
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.admin().send(&call(method, path, body).bearer(SECRET)).await
    }

    async fn get(&self, path: &str) -> Value {
        self.send("GET", path, None).await.expect(200).json()
    }

    async fn make(&self, path: &str, body: &Value) -> Value {
        self.send("POST", path, Some(body)).await.expect(201).json()["data"].clone()
    }

    /// A token of the server's own issuer.
    async fn token(&self, subject: &str, scope: &str, more: &[&str]) -> String {
        let document = self.document.as_str();
        let mut words = vec!["token", "issue", "--document", document];
        words.extend(["--subject", subject, "--scope", scope]);
        words.extend(more);
        let printed = server::run(self.durable.arguments_with_key(&words)).await;
        printed.expect_success().trim().to_owned()
    }

    async fn log_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.public().send(&call("POST", "/auth/login", Some(&body))).await
    }
}

fn call(method: &str, path: &str, body: Option<&Value>) -> Call {
    let call = Call::new(method, path);
    match body {
        Some(body) => call.header("content-type", "application/json").body(body.to_string()),
        None => call,
    }
}

/// What the specification says of an operation.
struct Specification(Value);

impl Specification {
    async fn of(fixture: &Fixture) -> Self {
        Self(fixture.get("/admin/v1/openapi.json").await)
    }

    /// The operations with their paths and methods.
    fn operations(&self) -> Vec<(String, String, Value)> {
        let mut all = Vec::new();
        for (path, operations) in self.0["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                all.push((path.clone(), method.clone(), operation.clone()));
            }
        }
        all
    }

    /// Asserts that an answer is one that the operation may give.
    fn check(&self, path: &str, method: &str, answer: &Answer) {
        let operation = &self.0["paths"][path][method];
        let mut response = &operation["responses"][answer.status.to_string()];
        assert!(response.is_object(), "{method} {path}: {} is not named\n{answer}", answer.status);
        if let Some(reference) = response["$ref"].as_str() {
            response = self.0.pointer(reference.trim_start_matches('#')).expect("a response");
        }
        let content_type = answer.header("content-type").unwrap_or_default();
        let mut schema = response["content"][content_type]["schema"].clone();
        assert!(schema.is_object(), "{method} {path}: no schema for {content_type:?}\n{answer}");
        schema["components"] = self.0["components"].clone();
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let body = answer.json();
        let problems: Vec<String> =
            validator.iter_errors(&body).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{method} {path}: {problems:?}\n{answer}");
    }

    fn example(&self, path: &str, method: &str) -> Value {
        let body = &self.0["paths"][path][method]["requestBody"];
        body["content"]["application/json"]["example"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_examples_are_accepted_and_answered_as_it_says() {
    its_examples_are_accepted(&Fixture::with_credential().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_over_postgresql_too() {
    let postgres = Postgres::start().await;
    let url = postgres.database("admin").await;
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare_at(&url, folder.path()).await;
    let options = ["--admin-token-file", "CREDENTIAL"];
    its_examples_are_accepted(&Fixture::start_on(folder, durable, &options).await).await;
}

async fn its_examples_are_accepted(fixture: &Fixture) {
    let spec = Specification::of(fixture).await;
    let made = async |path: &str| {
        let example = spec.example(path, "post");
        let answer = fixture.send("POST", path, Some(&example)).await;
        spec.check(path, "post", &answer);
        answer.expect(201).json()["data"].clone()
    };
    let user = made("/admin/v1/users").await["user"]["id"].as_str().expect("an id").to_owned();
    let client = made("/admin/v1/clients").await["client"]["clientId"].clone();
    let api_key = made("/admin/v1/api-keys").await["apiKey"]["id"].clone();
    let kid = made("/admin/v1/keys").await["kid"].clone();
    let id_of = |path: &str| match path.split('/').nth(3) {
        Some("users") => user.clone(),
        Some("clients") => client.as_str().expect("an id").to_owned(),
        Some("api-keys") => api_key.as_str().expect("an id").to_owned(),
        Some("keys") => kid.as_str().expect("an id").to_owned(),
        _ => NOBODY.to_owned(),
    };
    let token = fixture.token("alice", "content.read", &[]).await;
    // What takes away comes last: the rest needs what is there.
    let mut operations = spec.operations();
    operations.sort_by_key(|(path, method, _)| (method == "delete", path.matches('/').count()));
    operations.sort_by_key(|(path, method, _)| method == "delete" && path.ends_with("{id}"));
    let is_made = |path: &str| path.matches('/').count() == 3 && !path.ends_with(".json");
    operations.retain(|(path, method, _)| method != "post" || !is_made(path));
    // This server takes its document from a file; those that do not are asked elsewhere.
    operations.retain(|(_, _, operation)| operation["tags"][0] != "config");
    for (path, method, operation) in operations {
        let mut example =
            operation["requestBody"]["content"]["application/json"]["example"].clone();
        if path.starts_with("/admin/v1/tokens/") {
            example["token"] = json!(token);
        }
        let target = path.replace("{id}", &id_of(&path)).replace("{kid}", &id_of(&path));
        let target = target.replace("{factor}", NOBODY).replace("{client}", &id_of("///clients"));
        let service = if path.contains("/circuits/") { "payments" } else { "shop" };
        let target = target.replace("{service}", service).replace("{instance}", "shop-1");
        let body = (!example.is_null()).then_some(&example);
        let answer = fixture.send(&method.to_uppercase(), &target, body).await;
        spec.check(&path, &method, &answer);
        // What the path names may not be there; what is sent has to be taken.
        let is_fine = answer.status < 300 || (answer.status == 404 && body.is_none());
        assert!(is_fine, "{method} {target}:\n{answer}");
        let is_cached = answer.header("cache-control") != Some("no-store");
        assert!(!is_cached, "{method} {target}: secrets stay in caches\n{answer}");
    }
}

/// Texts, numbers and forms that have broken readers before.
fn hostile() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "null",
        "0",
        "\"\"",
        "[]",
        "{}",
        "{",
        "{\"\":\"\"}",
        "[[[[[[]]]]]]",
        "{}{}",
        "{\"email\":\"\\u0000@b\",\"firstName\":\"a\",\"lastName\":\"b\"}",
        "{\"email\":\"a@b\",\"firstName\":\"\\ud800\",\"lastName\":\"b\"}",
        "{\"email\":\"a@b\",\"firstName\":\"\\u0000\",\"lastName\":\"b\"}",
        "{\"email\":\"a@b\",\"firstName\":\"a\",\"lastName\":\"b\",\"tier\":\"\\n\"}",
        "{\"email\":\"a@b\",\"firstName\":\"a\",\"lastName\":\"b\",\"role\":\"gone\"}",
        "{\"email\":\"a@b\",\"firstName\":\"a\",\"lastName\":\"b\",\"password\":\"\"}",
        "{\"name\":\"a\",\"accessTokenLifetime\":1e400}",
        "{\"name\":\"a\",\"accessTokenLifetime\":-1}",
        "{\"name\":\"a\",\"refreshTokenLifetime\":18446744073709551615}",
        "{\"name\":\"a\",\"redirectUris\":[\"\\u0000\"]}",
        "{\"name\":\"a\",\"jwks\":[]}",
        "{\"name\":\"a\",\"jwks\":{\"keys\":[{\"kty\":\"oct\"}]}}",
        "{\"name\":\"a\",\"type\":\"public\"}",
        "{\"name\":\"a\",\"authMethod\":\"private_key_jwt\"}",
        "{\"subject\":\"a\",\"expiresIn\":0}",
        "{\"subject\":\"a\",\"scopes\":[\"\"]}",
        "{\"overlap\":0}",
        "{\"expiresIn\":1,\"why\":\"\\u0000\"}",
        "{\"expiresIn\":18446744073709551615}",
        "{\"overlap\":18446744073709551615}",
        "{\"algorithm\":\"none\"}",
        "{\"token\":\"\"}",
        "{\"token\":\"..\"}",
        "{\"token\":\"\\u0000\"}",
        "{\"token\":\"eyJhbGciOiJub25lIn0.e30.\"}",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    bodies.push(b"{\"name\":\"\xff\"}".to_vec());
    bodies.push(format!("{{\"name\":\"{}\"}}", "a".repeat(16_000)).into_bytes());
    bodies.push("[".repeat(10_000).into_bytes());
    bodies.push(vec![b'a'; 20_000]);
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_is_answered_as_the_specification_says() {
    let fixture = Fixture::with_credential().await;
    let spec = Specification::of(&fixture).await;
    let admin = fixture.admin();
    let ids = ["%00", "%FF", "a%2Fb", "%F0%9F%A6%80", NOBODY, "'%20OR%20'1'='1"];
    let queries =
        ["?", "?page=0", "?limit=1e3", "?sort=%00", "?x=%FF", "?page=1&page=1", "?email=%00"];
    for (path, method, operation) in spec.operations() {
        let upper = method.to_uppercase();
        let fill = |id: &str| {
            let parts = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
            parts.collect::<Vec<_>>().join("/")
        };
        let plain = |target: String| {
            Call::new(&upper, &target).bearer(SECRET).header("content-type", "application/json")
        };
        let mut calls = Vec::new();
        if path.contains('{') {
            calls.extend(ids.iter().map(|id| plain(fill(id))));
        }
        if method == "get" {
            calls.extend(queries.iter().map(|query| plain(format!("{}{query}", fill(NOBODY)))));
        }
        if operation.get("requestBody").is_some() {
            calls.extend(hostile().into_iter().map(|body| plain(fill(NOBODY)).body(body)));
            let untyped = Call::new(&upper, &fill(NOBODY)).bearer(SECRET).body("{}");
            calls.push(untyped);
        }
        for call in calls {
            let answer = admin.send(&call).await;
            assert_ne!(answer.status, 500, "{call}:\n{answer}");
            spec.check(&path, &method, &answer);
        }
    }
    assert!(!fixture.server.log().contains("panicked"), "{}", fixture.server.log());
    fixture.get("/admin/v1/users").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_is_known_by_a_token_of_our_own_with_the_scope() {
    // Without the file: whoever has a role that administers comes in.
    let fixture = Fixture::start(&[]).await;
    let (admin, path) = (fixture.admin(), "/admin/v1/users");
    let ask = async |token: &str| admin.send(&Call::get(path).bearer(token)).await;
    let good = fixture.token(NOBODY, "postern.admin", &[]).await;
    ask(&good).await.expect(200);

    let narrow = fixture.token(NOBODY, "content.read", &[]).await;
    let refused = ask(&narrow).await.expect_denial(403, "INSUFFICIENT_SCOPE");
    let challenge = refused.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("scope=\"postern.admin\""), "{refused}");
    let elsewhere = ["--audience", "https://content.example.test"];
    let elsewhere = fixture.token(NOBODY, "postern.admin", &elsewhere).await;
    ask(&elsewhere).await.expect_denial(401, "INVALID_TOKEN");
    let foreign = keys::Token::of("alice").scope("postern.admin").sign();
    for bad in [foreign.as_str(), &keys::tampered(&good), SECRET, "a.b.c"] {
        ask(bad).await.expect_denial(401, "INVALID_TOKEN");
    }
    admin.send(&Call::get(path)).await.expect_denial(401, "UNAUTHORIZED");
    let other_scheme = Call::get(path).header("authorization", format!("DPoP {good}"));
    admin.send(&other_scheme).await.expect_denial(401, "INVALID_TOKEN");
    for port in [fixture.server.ports().public, fixture.server.ports().metrics] {
        let client = Client::new(Protocol::Http1, port);
        client.send(&Call::get(path).bearer(&good)).await.expect(404);
    }

    // Nobody waits until it is written down.
    let (ask_log, admin_of_log) = (Call::get("/admin/v1/audit?limit=100").bearer(&good), &admin);
    let ask_log = &ask_log;
    let denied = wait::until("entry of a refusal", SOON, || async move {
        let log = admin_of_log.send(ask_log).await.expect(200).json();
        let entries = log["data"].as_array().expect("entries").iter();
        let denied: Vec<Value> =
            entries.filter(|entry| entry["action"] == "admin.denied").cloned().collect();
        if denied.is_empty() { Err(log.to_string()) } else { Ok(denied) }
    })
    .await;
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert_eq!(denied[0]["actor"], NOBODY);
    assert_eq!(denied[0]["target"], "GET /admin/v1/users");

    let revoke = json!({"token": good});
    let call = call("POST", "/admin/v1/tokens/revoke", Some(&revoke)).bearer(&good);
    admin.send(&call).await.expect(200);
    let again = &Call::get(path).bearer(&good);
    let refused = wait::until("refusal of a revoked token", SOON, || async move {
        let answer = admin_of_log.send(again).await;
        if answer.status == 401 { Ok(answer) } else { Err(answer.to_string()) }
    })
    .await;
    refused.expect_denial(401, "TOKEN_REVOKED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_admin_is_made_by_a_command_and_manages_the_rest() {
    let fixture = Fixture::start(&[]).await;
    let mut words = vec!["user", "create", "--document", fixture.document.as_str()];
    words.extend(["--admin", "--generate", "--json", "--email", "root@example.test"]);
    words.extend(["--first-name", "Ro", "--last-name", "Ot"]);
    let finished = server::run(fixture.durable.arguments(&words)).await;
    let made: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let password = made["password"].as_str().expect("a password");
    assert!(!finished.stderr.contains(password), "{}", finished.stderr);
    let session = fixture.log_in("root@example.test", password).await.expect(200).json();
    let token = session["accessToken"].as_str().expect("a token").to_owned();

    let admin = fixture.admin();
    let send = async |method: &str, path: &str, body: Option<&Value>| {
        admin.send(&call(method, path, body).bearer(&token)).await
    };
    let new = json!({"email": "ada@example.test", "firstName": "Ada", "lastName": "L", "generatePassword": true});
    let ada = send("POST", "/admin/v1/users", Some(&new)).await.expect(201).json()["data"].clone();
    let (id, password) = (ada["user"]["id"].as_str().unwrap(), ada["password"].as_str().unwrap());
    let of_ada = fixture.log_in("ada@example.test", password).await.expect(200).json();
    let of_ada = of_ada["accessToken"].as_str().expect("a token").to_owned();
    let me = Call::get("/auth/me").bearer(&of_ada);
    fixture.public().send(&me).await.expect(200);
    let sessions = send("GET", &format!("/admin/v1/users/{id}/sessions"), None).await.expect(200);
    assert_eq!(sessions.json()["meta"]["pagination"]["total"], 1, "{sessions}");

    send("DELETE", &format!("/admin/v1/users/{id}"), None).await.expect(200);
    let (public, me) = (&fixture.public(), &me);
    wait::until("refusal of who was switched off", SOON, || async move {
        let answer = public.send(me).await;
        if answer.status == 401 { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
    let refused = fixture.log_in("ada@example.test", password).await;
    refused.expect_denial(403, "BLOCKED");

    // Nobody locks everybody out.
    let root = made["id"].as_str().expect("an id");
    let refused = send("DELETE", &format!("/admin/v1/users/{root}"), None).await;
    refused.expect_denial(422, "VALIDATION_ERROR");
    let log = send("GET", "/admin/v1/audit?limit=100", None).await.expect(200).json();
    let by_root = log["data"].as_array().expect("entries").iter();
    let by_root: Vec<_> = by_root.filter(|entry| entry["actor"] == root).collect();
    let actions: Vec<_> = by_root.iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert!(actions.contains(&"user.created") && actions.contains(&"user.changed"), "{actions:?}");
    for text in [fixture.server.log(), log.to_string()] {
        assert!(!text.contains(password) && !text.contains(&token), "a secret is written down");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_told_once_and_the_old_one_is_not_good_any_more() {
    let fixture = Fixture::with_credential().await;
    let new = json!({
        "name": "Billing",
        "scopes": ["content.read"],
        "authMethod": "client_secret_post",
    });
    let made = fixture.make("/admin/v1/clients", &new).await;
    let id = made["client"]["clientId"].as_str().expect("an id").to_owned();
    let first = made["clientSecret"].as_str().expect("a secret").to_owned();
    let path = format!("/admin/v1/clients/{id}");
    until(&fixture, &id, &first, 200).await;
    let other = fixture.send("POST", &format!("{path}/secret"), None).await.expect(201).json();
    let other = other["data"]["clientSecret"].as_str().expect("a secret").to_owned();
    until(&fixture, &id, &first, 401).await;
    until(&fixture, &id, &other, 200).await;
    let shown = fixture.send("GET", &path, None).await.expect(200).text();
    let log = fixture.server.log();
    let changes = log.lines().filter(|line| line.contains("changed by the admin API"));
    let from_here = changes.filter(|line| line.contains(r#""remote":"127.0.0.1:"#)).count();
    assert_eq!(from_here, 2, "made, and its secret: {log}");
    for secret in [&first, &other] {
        assert!(!shown.contains(secret.as_str()) && !log.contains(secret.as_str()));
    }
    fixture.send("DELETE", &path, None).await.expect(200);
    until(&fixture, &id, &other, 401).await;
    fixture.send("DELETE", &path, None).await.expect_denial(404, "NOT_FOUND");
}

/// Until the server has forgotten what it remembers of a client.
async fn until(fixture: &Fixture, id: &str, secret: &str, status: u16) {
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let (public, ask) = (&fixture.public(), &Call::post("/oauth2/token").form(&form));
    wait::until(&format!("a {status}"), Duration::from_secs(20), || async move {
        let answer = public.send(ask).await;
        if answer.status == status { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_looked_through_in_pages() {
    let fixture = Fixture::with_credential().await;
    for at in 0..5 {
        let new = json!({"subject": format!("s{at}")});
        fixture.make("/admin/v1/api-keys", &new).await;
    }
    let page = async |query: &str| {
        let list = fixture.get(&format!("/admin/v1/api-keys{query}")).await;
        let subjects = list["data"].as_array().expect("a list").iter();
        let subjects: Vec<_> =
            subjects.map(|key| key["subject"].as_str().unwrap().to_owned()).collect();
        (subjects, list["meta"]["pagination"].clone())
    };
    let (all, pagination) = page("?sort=createdAt").await;
    assert_eq!(pagination, json!({"page": 1, "limit": 20, "total": 5, "pages": 1}));
    let mut parts = Vec::new();
    for at in 1..=3 {
        let (part, pagination) = page(&format!("?sort=createdAt&limit=2&page={at}")).await;
        assert_eq!((&pagination["total"], &pagination["pages"]), (&json!(5), &json!(3)));
        parts.extend(part);
    }
    assert_eq!(parts, all);
    let (mut newest, _) = page("").await;
    newest.reverse();
    assert_eq!(newest, all);
    assert!(page("?page=4&limit=2").await.0.is_empty());
}

//! Signing keys on schedule, with several replicas and real gateways; and the rights that each role
//! needs, by the statements of the operations page.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::postgres::{PASSWORD, Postgres};
use postern_e2e::server::{self, Durable, Options, Ports, Server};
use postern_e2e::{documents, env, ports, wait};
use serde_json::Value;

/// The first look of a server, and as long again.
const LOOKS: Duration = Duration::from_secs(12);
const LONGEST: Duration = Duration::from_secs(30);
const FETCHES: &str = "postern_filter_key_fetches_total";
/// The admin API's credential.
const ADMIN: &str = "f6e5d4c3b2a190817263544536271809";
const ORDER: &str = r#"{"kind": "subject", "issuer": "https://i.test", "value": "mallory"}"#;

/// The sample, whose keys are made on schedule and fetched every second.
fn document() -> String {
    let sample = documents::sample();
    assert!(sample.contains("\noauth:\n") && sample.contains("refresh: 1m"), "{sample}");
    sample
        .replace("\noauth:\n", "\noauth:\n  keys: {rotate_every: 1d}\n")
        .replace("refresh: 1m", "refresh: 1s")
}

/// As if all keys had been made two days ago.
async fn age(postgres: &Postgres, database: &str) {
    let two_days = "UPDATE signing_keys SET created_at = created_at - 172800000, \
                    activates_at = activates_at - 172800000";
    postgres.sql(database, two_days).await;
}

async fn count(postgres: &Postgres, database: &str, of: &str) -> u64 {
    let printed = postgres.sql(database, &format!("SELECT COUNT(*) FROM {of}")).await;
    printed.trim().parse().expect("a number")
}

/// A client's call for a token.
async fn client(durable: &Durable) -> Call {
    let words = ["client", "create", "--json", "--name", "keys", "--scopes"];
    let words = [&words[..], &["content.read payments.read"]].concat();
    let text = server::run(durable.arguments(&words)).await.expect_success();
    let made: Value = serde_json::from_str(&text).expect("JSON");
    let text = |name: &str| made[name].as_str().expect(name).to_owned();
    let basic = format!("{}:{}", text("client_id"), text("client_secret"));
    let call = Call::post("/oauth2/token").form("grant_type=client_credentials");
    call.header("authorization", format!("Basic {}", STANDARD.encode(basic)))
}

async fn token(gateway: &Gateway, call: &Call) -> String {
    let granted = gateway.until_status(200, call).await.json();
    granted["access_token"].as_str().expect("a token").to_owned()
}

/// The `kid` that a token's header names.
fn kid(token: &str) -> String {
    let header = token.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"].as_str().expect("a kid").to_owned()
}

fn content(token: &str) -> Call {
    Call::get("/content/items").bearer(token)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_look_at_once_make_one_key() {
    let postgres = Postgres::start().await;
    let folder = tempfile::tempdir().unwrap();
    let durable = Durable::prepare_at(&postgres.database("gate").await, folder.path()).await;
    let es256 = ["keys", "rotate", "--algorithm", "ES256"];
    server::run(durable.arguments_with_key(&es256)).await.expect_success();
    age(&postgres, "gate").await;
    let path = folder.path().join("gateway.yaml");
    let text = documents::fill_in(&document(), ports::local(1), "http://127.0.0.1:8080");
    fs::write(&path, text).unwrap();
    let replica = |name: &str| {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        let options = Options {
            document: path.clone(),
            volatile: "memory".to_owned(),
            durable: Some(durable.clone()),
            folder,
        };
        Server::start(options, Ports::free())
    };
    let (one, two) = tokio::join!(replica("one"), replica("two"));
    // Each algorithm has a successor, and no replica has made one more by its own first look.
    let both = || async {
        let keys = count(&postgres, "gate", "signing_keys").await;
        if keys >= 4 { Ok(()) } else { Err(format!("{keys} keys")) }
    };
    wait::until("successor of each key", LONGEST, both).await;
    tokio::time::sleep(LOOKS).await;
    assert_eq!(count(&postgres, "gate", "signing_keys").await, 4);
    let rotations = "postern_identity_key_rotations_total";
    let mut rotated = 0;
    for server in [&one, &two] {
        rotated += server.metric(rotations, &[("outcome", "rotated")]).await;
        assert_eq!(server.metric(rotations, &[("outcome", "failed")]).await, 0);
    }
    assert_eq!(rotated, 2, "one for each algorithm");
    // Two by hand, two by the schedule.
    let written = count(&postgres, "gate", "audit_log WHERE action = 'key.rotated'").await;
    assert_eq!(written, 4);
    let retiring = count(&postgres, "gate", "signing_keys WHERE retires_at IS NOT NULL").await;
    assert_eq!(retiring, 2, "the ones before them have an end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_hold_all_the_time_while_keys_change() {
    let postgres = Postgres::start().await;
    let url = postgres.database("gate").await;
    let mut gateway = Gateway::builder().document(document()).durable_at(url).start().await;
    let durable = gateway.durable.clone().expect("a durable store");
    let client = client(&durable).await;
    let first = token(&gateway, &client).await;
    gateway.until_status(200, &content(&first)).await;

    gateway.server.take_down();
    age(&postgres, "gate").await;
    gateway.server.bring_up().await;
    let jwks = Call::get("/oauth2/jwks");
    let published = wait::until("published key", LONGEST, || async {
        let keys = gateway.send(&jwks).await.json()["keys"].as_array().map_or(0, Vec::len);
        if keys == 2 { Ok(keys) } else { Err(format!("{keys} keys")) }
    });
    assert_eq!(published.await, 2);
    // Published, and not signing yet.
    let second = token(&gateway, &client).await;
    assert_eq!(kid(&second), kid(&first));
    gateway.send(&content(&second)).await.expect(200);

    // By the time that it signs, who checks has fetched it: that is what the lead is for.
    let fetches = async || gateway.envoy.filter_stat(FETCHES).await.unwrap_or_default();
    let before = fetches().await;
    let fetched = || async {
        let now = fetches().await;
        if now >= before + 2 { Ok(()) } else { Err(format!("{now} fetches, {before} before")) }
    };
    wait::until("two fetches of keys", LONGEST, fetched).await;
    // As if the lead were over.
    let over = "UPDATE signing_keys SET activates_at = activates_at - 3600000 \
                WHERE retires_at IS NULL";
    postgres.sql("gate", over).await;
    let changed = || async {
        let fresh = token(&gateway, &client).await;
        // Every one holds at once, whichever key signed it: nothing is asked for a second time.
        gateway.send(&content(&fresh)).await.expect(200);
        gateway.send(&content(&first)).await.expect(200);
        if kid(&fresh) == kid(&first) { Err("the old key signs") } else { Ok(fresh) }
    };
    let third = wait::until("token of the new key", LONGEST, changed).await;
    let payments = Call::get("/payments/charges").bearer(&third);
    gateway.until_status(200, &payments).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_runs_with_the_rights_that_the_page_grants_and_only_identity_has_a_key() {
    let postgres = Postgres::start().await;
    let url = postgres.database("gate").await;
    let mut gateway = Gateway::builder().document(document()).durable_at(&url).start().await;
    let durable = gateway.durable.clone().expect("a durable store");
    let client = client(&durable).await;
    let key = ["apikey", "create", "--json", "--subject", "partner", "--scopes", "commerce.read"];
    let key = server::run(durable.arguments(&key)).await.expect_success();
    let key: Value = serde_json::from_str(&key).expect("JSON");
    let key = key["key"].as_str().expect("a key").to_owned();
    gateway.server.take_down();

    let roles = ["postern_decide", "postern_identity", "postern_admin"];
    for role in roles {
        let make = format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'");
        postgres.sql("gate", &make).await;
    }
    postgres.sql("gate", &granted()).await;
    for role in ["postern_decide", "postern_admin"] {
        let may = format!(
            "SELECT has_column_privilege('{role}', 'signing_keys', 'private_sealed', 'SELECT')"
        );
        assert_eq!(postgres.sql("gate", &may).await.trim(), "f", "{role}");
    }
    let of = |role: &str| url.replacen("//postern:", &format!("//{role}:"), 1);
    let start = |name: &str, ports: Ports, durable: Option<Durable>, more: Vec<String>| {
        let folder = gateway.folder().join(name);
        fs::create_dir(&folder).unwrap();
        let document = gateway.document().to_path_buf();
        let options = Options { document, volatile: "memory".to_owned(), durable, folder };
        Server::start_with(options, ports, more)
    };
    let public = |role: &str| vec!["--roles".to_owned(), role.to_owned()];
    let without_key =
        |roles: &str, user: &str| [public(roles), vec!["--durable".to_owned(), of(user)]].concat();
    // Envoy finds each role where it found them all.
    let all = gateway.server.ports();
    let for_public = Ports { public: all.public, ..Ports::free() };
    let for_grpc = Ports { grpc: all.grpc, ..Ports::free() };
    let keyed = durable.moved_to(&of("postern_identity"));
    let identity = start("identity", for_public, Some(keyed), public("identity")).await;
    let more = without_key("decide,message,discovery", "postern_decide");
    let decide = start("decide", for_grpc, None, more).await;
    let admin_token = gateway.folder().join("admin-token");
    fs::write(&admin_token, ADMIN).unwrap();
    let mut more = without_key("admin", "postern_admin");
    more.extend(["--admin-token-file".to_owned(), admin_token.display().to_string()]);
    let admin = start("admin", Ports::free(), None, more).await;

    // A token by `identity`, checked by the bundle alone and by `decide`; an API key by `decide`.
    let granted = token(&gateway, &client).await;
    gateway.until_status(200, &content(&granted)).await;
    gateway.until_status(200, &Call::get("/payments/charges").bearer(&granted)).await;
    let with_key = Call::get("/commerce/orders").header("x-api-key", key);
    gateway.until_status(200, &with_key).await;
    // The admin API revokes, which is written down.
    let order = Call::post("/admin/revocations").bearer(ADMIN);
    let order = order.header("content-type", "application/json").body(ORDER);
    let answer = Client::new(Protocol::Http1, admin.ports().admin).send(&order).await;
    assert_eq!(answer.status, 201, "{answer}");
    let written = count(&postgres, "gate", "audit_log WHERE action = 'token.revoked'").await;
    assert_eq!(written, 1);
    for server in [&identity, &decide, &admin] {
        let log = server.log();
        assert!(!log.contains("permission denied"), "{log}");
    }
}

/// The statements of the page, as they stand there.
fn granted() -> String {
    let page = fs::read_to_string(env::repository().join(Path::new("docs/operations.md")));
    let page = page.expect("the page");
    let blocks = page.split("```sql\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let block = blocks.filter(|block| block.contains("GRANT ")).collect::<Vec<_>>().join("\n");
    assert!(block.contains("postern_decide") && block.contains("postern_admin"), "{block}");
    block
}

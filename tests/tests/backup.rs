//! Backups: an instance that was lost comes back, and a database moves to another kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::client::Call;
use postern_e2e::documents;
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::postgres::Postgres;
use postern_e2e::redis::Redis;
use postern_e2e::server::{self, Durable, Options, Server};
use postern_request::UnixMillis;
use postern_store::durable::{AuditEntry, AuditStore as _, contract};
use postern_store_sql::SqlStore;
use postern_store_sql::backup::{
    Backup, BackupError, BackupSecret, Contents, Kind, NOT_KEPT, Restore, TABLES,
};
use serde_json::{Value, json};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const SECRET: BackupSecret<'_> = BackupSecret(&[7; 32]);
const EMAIL: &str = "student@example.test";

/// The answer of a command that prints JSON.
async fn answer(arguments: Vec<String>) -> Value {
    let text = server::run(arguments).await.expect_success();
    serde_json::from_str(&text).expect("JSON")
}

/// What an instance gave out before it was lost.
struct GivenOut {
    password: String,
    api_key: String,
    client: Call,
    good: String,
    revoked: String,
}

impl GivenOut {
    async fn of(gateway: &Gateway, durable: &Durable) -> Self {
        let document = gateway.document().display().to_string();
        let user = ["user", "create", "--json", "--generate", "--email", EMAIL];
        let user = [&user[..], &["--first-name", "Sam", "--last-name", "Lee", "--document"]];
        let user = [&user.concat()[..], &[document.as_str()]].concat();
        let user = answer(durable.arguments(&user)).await;
        let key = ["apikey", "create", "--json", "--subject", "partner", "--scopes"];
        let key = answer(durable.arguments(&[&key[..], &["commerce.read"]].concat())).await;
        let client = ["client", "create", "--json", "--name", "lost", "--scopes", "content.read"];
        let client = answer(durable.arguments(&client)).await;
        let text = |value: &Value, name: &str| value[name].as_str().expect(name).to_owned();
        let basic = format!("{}:{}", text(&client, "client_id"), text(&client, "client_secret"));
        let basic = format!("Basic {}", STANDARD.encode(basic));
        let client = Call::post("/oauth2/token").header("authorization", basic);
        let client = client.form("grant_type=client_credentials");
        let (good, revoked) = (token(gateway, &client).await, token(gateway, &client).await);
        let (password, api_key) = (text(&user, "password"), text(&key, "key"));
        Self { password, api_key, client, good, revoked }
    }

    fn log_in(&self) -> Call {
        let body = json!({"email": EMAIL, "password": self.password}).to_string();
        Call::post("/auth/login").header("content-type", "application/json").body(body)
    }

    /// All of it does what it should.
    async fn stands(&self, gateway: &Gateway) {
        let content = |token: &str| Call::get("/content/items").bearer(token);
        gateway.until_status(200, &content(&self.good)).await;
        let refused = gateway.until_status(401, &content(&self.revoked)).await;
        refused.expect_denial(401, "TOKEN_REVOKED");
        let with_key = Call::get("/commerce/orders").header("x-api-key", self.api_key.clone());
        gateway.until_status(200, &with_key).await;
        let logged_in = gateway.send(&self.log_in()).await.expect(200).json();
        let session = logged_in["accessToken"].as_str().expect("a token");
        gateway.until_status(200, &content(session)).await;
        let another = token(gateway, &self.client).await;
        gateway.until_status(200, &content(&another)).await;
    }
}

async fn token(gateway: &Gateway, call: &Call) -> String {
    let granted = gateway.until_status(200, call).await.json();
    granted["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_instance_comes_back() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    redis.bring_up().await;
    let document =
        format!("{}\nrevocation:\n  max_staleness: 60s\n  when_stale: deny\n", documents::sample());
    let builder = Gateway::builder().document(document).store(Store::At(redis.url()));
    let mut gateway = builder.durable().start().await;
    let durable = gateway.durable.clone().expect("a durable store");
    let given = GivenOut::of(&gateway, &durable).await;
    let url = redis.url();
    let revoke = ["token", "revoke", "--volatile", &url, &given.revoked];
    server::run(durable.arguments(&revoke)).await.expect_success();
    given.stands(&gateway).await;

    let file = gateway.folder().join("backup");
    let path = file.display().to_string();
    let backup = ["backup", "--json", "--out", &path];
    let made = answer(durable.arguments_with_key(&backup)).await;
    assert_eq!((&made["sealed"], &made["audit"]["whole"]), (&json!(true), &json!(true)), "{made}");
    let mode = fs::metadata(&file).expect("a backup").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = server::run(durable.arguments_with_key(&backup)).await;
    assert!(again.expect_code(1).contains("--out"), "nothing is overwritten");

    // Gone: the server, its database and Redis.
    gateway.server.take_down();
    durable.lose();
    redis.take_down();

    let postgres = Postgres::start().await;
    let durable = durable.moved_to(&postgres.database("gate").await);
    server::run(durable.arguments(&["migrate", "up"])).await.expect_success();
    let restore = ["restore", "--json", "--from", &path];
    let tried = server::run(durable.arguments_with_key(&restore)).await;
    assert!(tried.stderr.contains("nothing was written: say --yes"), "{tried}");
    tried.expect_success();
    let restore = ["restore", "--json", "--yes", "--from", &path];
    let restored = answer(durable.arguments_with_key(&restore)).await;
    assert_eq!(restored["rows"], made["rows"]);

    redis.bring_up().await;
    let options = Options {
        document: gateway.document().to_path_buf(),
        volatile: redis.url(),
        durable: Some(durable.clone()),
        folder: gateway.folder().to_path_buf(),
    };
    let ports = gateway.server.ports();
    gateway.server = Server::start(options, ports).await;
    given.stands(&gateway).await;

    // The log goes on where it was, and says what happened.
    let head = made["audit"]["head"].as_str().expect("a head");
    let verified = answer(durable.arguments(&["audit", "verify", "--json", "--head", head])).await;
    assert_eq!((&verified["whole"], &verified["kept"]), (&json!(true), &made["audit"]["entries"]));
    let exported = durable.arguments(&["audit", "export", "--json"]);
    let exported = server::run(exported).await.expect_success();
    let action = |line: &str| {
        let entry: Value = serde_json::from_str(line).expect("JSON");
        entry["action"].as_str().expect("an action").to_owned()
    };
    let actions: BTreeSet<String> = exported.lines().map(action).collect();
    assert!(actions.contains("backup.restored") && actions.contains("login.succeeded"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_sealed_says_so_and_another_key_opens_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let durable = Durable::prepare(folder.path()).await;
    let clear = folder.path().join("clear").display().to_string();
    let without_key = server::run(durable.arguments(&["backup", "--out", &clear])).await;
    assert!(without_key.expect_code(1).contains("--clear"));
    let made = server::run(durable.arguments(&["backup", "--clear", "--out", &clear])).await;
    assert!(made.stderr.contains("not sealed"), "{made}");
    made.expect_success();
    let text = fs::read_to_string(&clear).expect("a backup");
    assert!(text.starts_with('{') && text.contains("[\"signing_keys\",["), "{text}");

    let sealed = folder.path().join("sealed").display().to_string();
    let backup = ["backup", "--out", &sealed];
    server::run(durable.arguments_with_key(&backup)).await.expect_success();
    let bytes = fs::read(&sealed).expect("a backup");
    assert!(!bytes.windows(12).any(|part| part == b"signing_keys"));
    let other = tempfile::tempdir().expect("a folder");
    let stranger = Durable::new(other.path());
    server::run(stranger.arguments(&["migrate", "up"])).await.expect_success();
    // Nobody would open it later: the key has to be the database's own.
    let wrong = folder.path().join("wrong-key");
    fs::write(&wrong, "0123456789abcdef".repeat(4)).expect("a key file");
    let (wrong, never) = (wrong.display().to_string(), folder.path().join("never"));
    let out = never.display().to_string();
    let backup = ["backup", "--out", &out, "--key-file", &wrong];
    let refused = server::run(durable.arguments(&backup)).await.expect_code(1);
    assert!(refused.contains("is not the key of this database"), "{refused}");
    assert!(!never.exists(), "and nothing is written");
    let try_clear = ["restore", "--clear", "--from", &clear, "--key-file", &wrong];
    let refused = server::run(stranger.arguments(&try_clear)).await.expect_code(1);
    assert!(refused.contains("is not the key of this database"), "{refused}");
    let restore = ["restore", "--yes", "--from", &sealed];
    let refused = server::run(stranger.arguments_with_key(&restore)).await.expect_code(1);
    assert!(refused.contains("does not open this backup"), "{refused}");
    // What is not sealed may come from anybody: a key that is at hand does not let it in.
    let restore_clear = ["restore", "--yes", "--from", &clear];
    let refused = server::run(stranger.arguments_with_key(&restore_clear)).await.expect_code(1);
    assert!(refused.contains("not sealed") && refused.contains("--clear"), "{refused}");
    let without_key = server::run(stranger.arguments(&restore_clear)).await.expect_code(1);
    assert!(without_key.contains("--clear"), "{without_key}");
    // One that is there is not written over.
    let refused = server::run(durable.arguments_with_key(&restore)).await.expect_code(1);
    assert!(refused.contains("not empty"), "{refused}");
    let restore_clear = ["restore", "--yes", "--clear", "--from", &clear];
    server::run(stranger.arguments(&restore_clear)).await.expect_success();
}

async fn migrated(url: &str) -> SqlStore {
    let store = SqlStore::open(url).await.unwrap();
    store.migrator().up(None, NOW).await.unwrap();
    store
}

async fn sqlite(folder: &Path, name: &str) -> SqlStore {
    migrated(&format!("sqlite:{}", folder.join(name).display())).await
}

async fn file_of(store: &SqlStore, secret: Option<BackupSecret<'_>>) -> Vec<u8> {
    let how = Backup { secret, now: NOW, progress: &mut |_, _| {} };
    store.backup(Vec::new(), how).await.unwrap().1
}

async fn restore(store: &SqlStore, file: &[u8]) -> Result<Contents, BackupError> {
    let entry = |_: &Contents| AuditEntry {
        at: NOW,
        actor: "cli".to_owned(),
        action: "backup.restored".to_owned(),
        target: "durable".to_owned(),
        detail: "{}".to_owned(),
    };
    let how = Restore {
        secret: Some(SECRET),
        keep: true,
        accept_broken_chain: false,
        opens: &|_, _| true,
        entry: &entry,
        progress: &mut |_, _| {},
    };
    Ok(store.restore(file, how).await?.contents)
}

/// The rows of all tables but the log, which says that it was restored. Sorted: the order of texts
/// is the database's.
async fn rows(store: &SqlStore) -> Vec<String> {
    let text = String::from_utf8(file_of(store, None).await).unwrap();
    let rows = text.lines().filter(|line| line.starts_with('[') && !line.starts_with("[\"audit_"));
    let mut rows: Vec<String> = rows.map(str::to_owned).collect();
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_the_way_from_one_database_to_the_other_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = Postgres::start().await;
    let first = sqlite(folder.path(), "first.db").await;
    contract::run(&first).await;
    let second = migrated(&postgres.database("second").await).await;
    restore(&second, &file_of(&first, Some(SECRET)).await).await.unwrap();
    assert_eq!(rows(&second).await, rows(&first).await);
    let third = sqlite(folder.path(), "third.db").await;
    restore(&third, &file_of(&second, Some(SECRET)).await).await.unwrap();
    assert_eq!(rows(&third).await, rows(&first).await);
    let head = async |store: &SqlStore| store.audit_head().await.unwrap().unwrap().seq;
    assert_eq!(head(&third).await, head(&first).await + 2, "two restorations");
    // What is full stays as it is.
    let refused = restore(&second, &file_of(&first, Some(SECRET)).await).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_column_of_postgresql_is_forgotten() {
    let postgres = Postgres::start().await;
    migrated(&postgres.database("gate").await).await;
    let columns = postgres
        .sql(
            "gate",
            "SELECT table_name, column_name, data_type FROM information_schema.columns \
             WHERE table_schema = 'public'",
        )
        .await;
    let mut found: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for line in columns.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<String> = line.split('|').map(str::to_owned).collect();
        let [table, column, kind]: [String; 3] = cells.try_into().expect("three columns");
        found.entry(table).or_default().insert((column, kind));
    }
    for table in NOT_KEPT {
        assert!(found.remove(*table).is_some(), "{table}");
    }
    let known: BTreeMap<String, BTreeSet<(String, String)>> = TABLES
        .iter()
        .map(|table| {
            let columns = table.columns.iter().map(|column| {
                let kind = match column.kind {
                    Kind::Text => "text",
                    Kind::Integer => "bigint",
                    Kind::Boolean => "boolean",
                };
                (column.name.to_owned(), kind.to_owned())
            });
            (table.name.to_owned(), columns.collect())
        })
        .collect();
    assert_eq!(found, known);
}

//! The audit log: what was changed in it is found, and what is written to it is described.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use postern_e2e::env;
use postern_e2e::postgres::Postgres;
use postern_e2e::server::{self, Durable};
use postern_request::UnixMillis;
use postern_store::durable::{AuditEntry, NO_AUDIT, audit_hash};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

/// How many entries a log has before somebody changes it: a signing key and some revocations.
const ENTRIES: u64 = 6;

/// A change that somebody with rights to the tables makes, and what is found of it.
struct Change {
    statement: &'static str,
    /// What `verify` says; none where it finds nothing.
    finds: Option<&'static str>,
    /// The same where a head is given that was kept before.
    finds_with_head: &'static str,
}

const CHANGES: [Change; 4] = [
    Change {
        statement: "UPDATE audit_log SET target = 'nobody' WHERE seq = 3",
        finds: Some("entry 3 was changed"),
        finds_with_head: "entry 3 was changed",
    },
    Change {
        statement: "DELETE FROM audit_log WHERE seq = 3",
        finds: Some("entry 3 is missing"),
        finds_with_head: "entry 3 is missing",
    },
    Change {
        statement: "DELETE FROM audit_log WHERE seq > 4",
        finds: Some("the entries after 4 are missing"),
        finds_with_head: "the entries after 4 are missing",
    },
    // Whoever sets the head back, too, leaves a chain that is whole.
    Change {
        statement: "DELETE FROM audit_log WHERE seq > 4; UPDATE audit_head SET last_seq = 4, \
                    hash = (SELECT hash FROM audit_log WHERE seq = 4)",
        finds: None,
        finds_with_head: "no entry has the hash that was kept",
    },
];

/// Where a log is kept.
enum Place<'a> {
    Sqlite(Durable, #[allow(dead_code, reason = "it is deleted with this")] TempDir),
    Postgres(
        Durable,
        #[allow(dead_code, reason = "it is deleted with this")] TempDir,
        &'a Postgres,
        String,
    ),
}

impl Place<'_> {
    fn durable(&self) -> &Durable {
        match self {
            Self::Sqlite(durable, _) | Self::Postgres(durable, ..) => durable,
        }
    }

    async fn execute(&self, statement: &'static str) {
        match self {
            Self::Sqlite(durable, _) => {
                let options = SqliteConnectOptions::new().filename(durable.file());
                let mut connection = options.connect().await.unwrap();
                sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
            }
            Self::Postgres(_, _, postgres, name) => {
                postgres.sql(name, statement).await;
            }
        }
    }

    /// With a log of [`ENTRIES`].
    async fn fill(&self) {
        let made = self.verify(&[]).await.0["entries"].as_u64().expect("a number");
        for at in made..ENTRIES {
            let subject = format!("subject-{at}");
            let revoke = ["token", "revoke", "--issuer", "https://i.test", "--subject", &subject];
            server::run(self.durable().arguments(&revoke)).await.expect_success();
        }
    }

    /// What `audit verify` says, and how it ends.
    async fn verify(&self, more: &[&str]) -> (Value, Option<i32>) {
        let words = [&["audit", "verify", "--json"][..], more].concat();
        let finished = server::run(self.durable().arguments(&words)).await;
        let said = serde_json::from_str(&finished.stdout);
        (said.unwrap_or_else(|error| panic!("{error}: {finished}")), finished.code)
    }
}

async fn in_sqlite() -> Place<'static> {
    let folder = tempfile::tempdir().unwrap();
    Place::Sqlite(Durable::prepare(folder.path()).await, folder)
}

async fn in_postgres<'a>(postgres: &'a Postgres, name: &str) -> Place<'a> {
    let folder = tempfile::tempdir().unwrap();
    let url = postgres.database(name).await;
    let durable = Durable::prepare_at(&url, folder.path()).await;
    Place::Postgres(durable, folder, postgres, name.to_owned())
}

async fn a_change_is_found(place: &Place<'_>, change: &Change) {
    place.fill().await;
    let (whole, code) = place.verify(&[]).await;
    assert_eq!((&whole["whole"], &whole["entries"]), (&json!(true), &json!(ENTRIES)), "{whole}");
    assert_eq!(code, Some(0));
    let head = whole["head"].as_str().expect("a head").to_owned();
    let (kept, code) = place.verify(&["--head", &head]).await;
    assert_eq!((&kept["kept"], code), (&json!(ENTRIES), Some(0)), "{kept}");

    place.execute(change.statement).await;
    let (found, code) = place.verify(&[]).await;
    match change.finds {
        Some(word) => {
            let problem = found["problem"].as_str().unwrap_or_default();
            assert!(problem.contains(word), "{}: {found}", change.statement);
            assert_eq!((&found["whole"], code), (&json!(false), Some(1)));
        }
        None => assert_eq!((&found["whole"], code), (&json!(true), Some(0)), "{found}"),
    }
    let (found, code) = place.verify(&["--head", &head]).await;
    let problem = found["problem"].as_str().unwrap_or_default();
    assert!(problem.contains(change.finds_with_head), "{}: {found}", change.statement);
    assert_eq!(code, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_is_found_in_sqlite() {
    for change in &CHANGES {
        a_change_is_found(&in_sqlite().await, change).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_is_found_in_postgresql() {
    let postgres = Postgres::start().await;
    for (at, change) in CHANGES.iter().enumerate() {
        let place = in_postgres(&postgres, &format!("gate{at}")).await;
        a_change_is_found(&place, change).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_has_all_that_is_hashed() {
    let place = in_sqlite().await;
    place.fill().await;
    let exported = place.durable().arguments(&["audit", "export", "--json"]);
    let exported = server::run(exported).await.expect_success();
    let entries: Vec<Value> =
        exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(u64::try_from(entries.len()).unwrap(), ENTRIES);
    let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut previous = NO_AUDIT;
    for (seq, entry) in (1..).zip(&entries) {
        let text = |name: &str| entry[name].as_str().expect(name).to_owned();
        let said = AuditEntry {
            at: UnixMillis(entry["at_ms"].as_u64().unwrap()),
            actor: text("actor"),
            action: text("action"),
            target: text("target"),
            detail: text("detail"),
        };
        assert_eq!((entry["seq"].as_u64(), text("previous")), (Some(seq), hex(&previous)));
        previous = audit_hash(&previous, seq, &said);
        assert_eq!(text("hash"), hex(&previous));
        assert!(said.actor.starts_with("cli"), "{entry}");
    }
    let later = place.durable().arguments(&["audit", "export", "--after", "4"]);
    let later = server::run(later).await.expect_success();
    assert_eq!(later.lines().count(), 2, "{later}");
    assert!(later.starts_with("5  "), "{later}");
}

/// What an action is called: what it is about, and what became of it.
fn is_action(text: &str) -> bool {
    const ABOUT: [&str; 17] = [
        "admin", "apikey", "backup", "client", "code", "config", "consent", "identity", "key",
        "login", "mfa", "password", "refresh", "service", "session", "token", "user",
    ];
    // Files, and the scope by which clients register.
    const OTHERS: [&str; 3] = ["html", "pem", "register"];
    let Some((about, what)) = text.split_once('.') else { return false };
    ABOUT.contains(&about)
        && !OTHERS.contains(&what)
        && !what.is_empty()
        && what.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The sources of a folder, without their tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if ["tests", "fixture"].contains(&name) {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_action_has_its_row_and_every_row_its_action() {
    let mut files = Vec::new();
    for folder in ["identity/src", "server/src"] {
        sources(&env::repository().join(folder), &mut files);
    }
    let mut written = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        written.extend(code.split('"').filter(|text| is_action(text)).map(str::to_owned));
    }
    assert!(written.contains("login.failed") && written.contains("key.rotated"), "{written:?}");
    let page = fs::read_to_string(env::repository().join("docs/audit.md")).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let described: BTreeSet<String> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap_or_default().split('`').map(str::to_owned))
        .filter(|text| is_action(text))
        .collect();
    assert_eq!(written, described, "code, and docs/audit.md");
}

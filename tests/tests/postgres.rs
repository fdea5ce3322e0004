//! The durable store in a real PostgreSQL: the contract that the ones in memory and in SQLite
//! keep, and what only several replicas and a server of its own can bring about.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_e2e::postgres::{PASSWORD, Postgres};
use postern_e2e::{ports, wait};
use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::StoreError;
use postern_store::durable::{
    AuditEntry, AuditStore as _, ClientKind, ClientRecord, DurableStore as _, NO_AUDIT,
    NewRevocation, RevocationRecord, RevocationStore as _, contract,
};
use postern_store_sql::{MIGRATIONS, MigrationState, SqlError, SqlStore};

const NOW: UnixMillis = UnixMillis(5_000);

async fn migrated(url: &str) -> SqlStore {
    let store = SqlStore::open(url).await.unwrap();
    store.migrator().up(None, NOW).await.unwrap();
    store
}

fn token(value: &str) -> NewRevocation {
    let revocation = Revocation::at(5, RevocationKind::Token, "i", value, 1_000).unwrap();
    NewRevocation { revocation, created_at: NOW, reason: None }
}

fn value(record: &RevocationRecord) -> &str {
    record.revocation.as_ref().unwrap().value()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_keeps_the_durable_contract() {
    let postgres = Postgres::start().await;
    let store = migrated(&postgres.database("gate").await).await;
    contract::run(&store).await;
    let shown = format!("{store:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_keeps_it_when_many_come_at_once() {
    let postgres = Postgres::start().await;
    let store = migrated(&postgres.database("gate").await).await;
    contract::parallel(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_record_at_once_make_one_chain() {
    const EACH: u64 = 40;
    let postgres = Postgres::start().await;
    let url = postgres.database("gate").await;
    let reader = migrated(&url).await;
    let client =
        |id: &str| ClientRecord::new(id.to_owned(), "C".to_owned(), ClientKind::Public, NOW);
    // Two rows that all of them change, in both orders: whoever has the head waits for nobody.
    for id in ["a", "b"] {
        reader.insert_client(client(id)).await.unwrap();
    }
    let mut writers = Vec::new();
    for replica in 0..3 {
        let store = SqlStore::open_migrated(&url).await.unwrap();
        writers.push(tokio::spawn(async move {
            for at in 0..EACH {
                let order = if (at + replica) % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
                for id in order {
                    let said = AuditEntry {
                        at: NOW,
                        actor: "admin".to_owned(),
                        action: "client.changed".to_owned(),
                        target: id.to_owned(),
                        detail: format!("{{\"replica\":{replica}}}"),
                    };
                    let client = client(id);
                    let from = client.updated_at;
                    assert!(store.change_client(client, from, &said).await.unwrap());
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let records = reader.audit_since(0, 1_000).await.unwrap();
    assert_eq!(u64::try_from(records.len()).unwrap(), 3 * EACH * 2);
    let (mut previous, mut seq) = (NO_AUDIT, 0);
    for record in &records {
        assert!(record.seq == seq + 1 && record.follows(&previous), "{record:?}");
        (previous, seq) = (record.hash, record.seq);
    }
    let head = reader.audit_head().await.unwrap().unwrap();
    assert_eq!((head.seq, head.hash), (seq, previous));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_text_of_postgresql_holds_is_recorded_all_the_same() {
    let postgres = Postgres::start().await;
    let store = migrated(&postgres.database("gate").await).await;
    let said = AuditEntry {
        at: NOW,
        actor: "system".to_owned(),
        action: "login.failed".to_owned(),
        target: "a\0b".to_owned(),
        detail: "{}".to_owned(),
    };
    assert_eq!(store.append_audit(&said).await, Ok(1));
    let record = store.audit_since(0, 1).await.unwrap().remove(0);
    assert!(record.follows(&NO_AUDIT) && record.entry.target == "a\u{fffd}b", "{record:?}");
    assert!(store.list_clients(Some("a\0"), 5).await.unwrap().is_empty());
}

/// What the migrations' own tests put into every table of SQLite.
const ROWS: &str = include_str!("../../store/sql/src/migrate/rows.sql");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_go_down_and_up_whatever_was_kept() {
    let postgres = Postgres::start().await;
    let store = SqlStore::open(&postgres.database("gate").await).await.unwrap();
    let migrator = store.migrator();
    let names: Vec<_> = MIGRATIONS.iter().map(|migration| migration.name).collect();
    for _ in 0..2 {
        assert_eq!(migrator.up(None, NOW).await.unwrap(), names);
        postgres.sql("gate", ROWS).await;
        for name in names.iter().rev() {
            assert_eq!(migrator.down(1, NOW).await.unwrap(), [*name]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_go_up_once_and_down_again() {
    let postgres = Postgres::start().await;
    let url = postgres.database("gate").await;
    let names: Vec<_> = MIGRATIONS.iter().map(|migration| migration.name).collect();

    // Two replicas at once: each step is taken by one of them.
    let (one, two) = (SqlStore::open(&url).await.unwrap(), SqlStore::open(&url).await.unwrap());
    let (migrator, other) = (one.migrator(), two.migrator());
    let (first, second) = tokio::join!(migrator.up(None, NOW), other.up(None, NOW));
    let mut applied = first.unwrap();
    applied.extend(second.unwrap());
    applied.sort_unstable();
    assert_eq!(applied, names);
    let status = other.status().await.unwrap();
    assert!(status.iter().all(|one| one.state == MigrationState::Applied), "{status:?}");

    assert_eq!(migrator.down(names.len(), NOW).await.unwrap().len(), names.len());
    let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(postgres.sql("gate", tables).await.trim(), "schema_migrations");

    // A step that fails half way leaves its record and nothing else.
    postgres.sql("gate", "CREATE TABLE feed_identity (id TEXT)").await;
    let error = migrator.up(None, NOW).await.unwrap_err();
    assert!(matches!(error, SqlError::Migration { name: "0002_revocations", .. }), "{error}");
    let there = "SELECT to_regclass('revocations') IS NOT NULL";
    assert_eq!(postgres.sql("gate", there).await.trim(), "f");
    let status = migrator.status().await.unwrap();
    let failed = status.iter().find(|one| one.name == "0002_revocations").unwrap();
    assert_eq!(failed.state, MigrationState::Failed);
    assert!(failed.error.as_ref().is_some_and(|text| text.contains("feed_identity")), "{failed:?}");
    postgres.sql("gate", "DROP TABLE feed_identity").await;
    assert_eq!(other.up(None, NOW).await.unwrap(), names[1..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serving_wants_every_migration_and_no_right_to_make_tables() {
    let postgres = Postgres::start().await;
    let url = postgres.database("gate").await;
    let pending = SqlStore::open_migrated(&url).await.unwrap_err();
    assert!(pending.to_string().contains("postern migrate up"), "{pending}");
    assert!(pending.to_string().contains("0002_revocations"), "{pending}");
    assert!(!format!("{pending} {pending:?}").contains(PASSWORD), "{pending:?}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(postgres.sql("gate", tables).await.trim(), "0", "who asks changes nothing");

    migrated(&url).await;
    let role = format!(
        "CREATE ROLE replica LOGIN PASSWORD '{PASSWORD}'; \
         REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO replica;"
    );
    postgres.sql("gate", &role).await;
    let url = url.replacen("//postern:", "//replica:", 1);
    let store = SqlStore::open_migrated(&url).await.unwrap();
    // Made when it ends: nothing is deleted that ended later than the newest was made.
    let ended = NewRevocation { created_at: UnixMillis(1_000_000), ..token("t") };
    assert_eq!(store.revoke(vec![ended]).await.unwrap(), [1]);
    store.feed_identity().await.unwrap();
    assert_eq!(store.delete_expired_revocations(UnixMillis(2_000_000), 9).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_opened_says_why_and_shows_no_password() {
    let postgres = Postgres::start().await;
    let url = postgres.database("gate").await;
    let port = ports::free();
    for (url, word) in [
        (url.replacen(PASSWORD, "hush-wrong", 1), "password"),
        (postgres.url("other"), "other"),
        (format!("{url}?sslmode=require"), "TLS"),
        (format!("postgres://postern:{PASSWORD}@127.0.0.1:{port}/gate"), "refused"),
    ] {
        let began = Instant::now();
        let error = SqlStore::open_migrated(&url).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, SqlError::Connect { .. }), "{text}");
        assert!(text.contains(word), "{word}: {text}");
        assert!(!text.contains("hush"), "{text}");
        assert!(began.elapsed() < Duration::from_secs(4), "it says so at once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_misses_nothing_while_replicas_revoke() {
    const EACH: u64 = 60;
    let postgres = Postgres::start().await;
    let url = postgres.database("gate").await;
    let reader = migrated(&url).await;
    let mut writers = Vec::new();
    for replica in 0..3 {
        let store = SqlStore::open_migrated(&url).await.unwrap();
        for writer in 0..3 {
            let store = store.clone();
            writers.push(tokio::spawn(async move {
                for at in 0..EACH {
                    let pair =
                        vec![token(&format!("{replica}-{writer}-{at}")), token("all the same")];
                    store.revoke(pair).await.unwrap();
                }
            }));
        }
    }
    let (mut cursor, mut seen) = (0, 0);
    loop {
        let over = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let page = reader.revocations_since(cursor, 7, NOW).await.unwrap();
        for record in &page {
            assert!(record.seq > cursor, "{} after {cursor}", record.seq);
            cursor = record.seq;
            seen += u64::from(value(record) != "all the same");
        }
        if over && page.is_empty() {
            break;
        }
    }
    assert_eq!(seen, 9 * EACH);
    assert_eq!(cursor, 2 * 9 * EACH, "the last of all was `all the same`");
    assert_eq!(reader.count_revocations(NOW).await.unwrap(), seen + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_ask_at_once_get_one_identity() {
    let postgres = Postgres::start().await;
    let url = postgres.database("gate").await;
    let (one, two) = (migrated(&url).await, SqlStore::open(&url).await.unwrap());
    let (first, second) = tokio::join!(one.feed_identity(), two.feed_identity());
    let identity = first.unwrap();
    assert_eq!(second.unwrap(), identity);
    let other = migrated(&postgres.database("other").await).await;
    assert_ne!(other.feed_identity().await.unwrap(), identity);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loses_nothing_and_connections_come_back() {
    let mut postgres = Postgres::start().await;
    let store = migrated(&postgres.database("gate").await).await;
    let identity = store.feed_identity().await.unwrap();
    assert_eq!(store.revoke(vec![token("one")]).await.unwrap(), [1]);
    postgres.take_down();
    let answer = store.revoke(vec![token("two")]).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    postgres.bring_up().await;
    let ask = || store.ping();
    wait::until("answer of the store", Duration::from_secs(10), ask).await;
    assert_eq!(store.revoke(vec![token("two")]).await.unwrap(), [2]);
    let values = store.revocations_since(0, 9, NOW).await.unwrap();
    let values: Vec<_> = values.iter().map(value).collect();
    assert_eq!(values, ["one", "two"]);
    assert_eq!(store.feed_identity().await.unwrap(), identity);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_waits_too_long_is_given_up() {
    let postgres = Postgres::start().await;
    let store = migrated(&postgres.database("gate").await).await;
    let hold = "BEGIN; UPDATE revocation_counter SET last_seq = last_seq; \
                SELECT pg_sleep(8); COMMIT";
    let revoke = async {
        let held = "SELECT count(*) FROM pg_locks WHERE relation = 'revocation_counter'::regclass \
                    AND mode = 'RowExclusiveLock'";
        let ask = || async {
            let count = postgres.sql("gate", held).await;
            if count.trim() == "0" { Err("not held yet") } else { Ok(()) }
        };
        wait::until("lock", Duration::from_secs(5), ask).await;
        let began = Instant::now();
        let answer = store.revoke(vec![token("late")]).await;
        (answer, began.elapsed())
    };
    let (_, (answer, took)) = tokio::join!(postgres.sql("gate", hold), revoke);
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(7), "{took:?}");
    assert_eq!(store.revoke(vec![token("late")]).await.unwrap(), [1], "nothing was kept half way");
}

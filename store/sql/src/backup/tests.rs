use std::collections::BTreeSet;

use postern_store::durable::{
    AuditEntry, AuditStore as _, DurableStore as _, RevocationStore as _, Sealed, contract,
};
use sqlx::Row as _;
use tempfile::TempDir;

use super::*;
use crate::database::on;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const SECRET: BackupSecret<'_> = BackupSecret(&[7; 32]);
/// A row in every table.
const ROWS: &str = include_str!("../migrate/rows.sql");

async fn fresh() -> (TempDir, SqlStore) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("postern.db").display());
    let store = SqlStore::open(&url).await.unwrap();
    store.migrator().up(None, UnixMillis(1)).await.unwrap();
    (folder, store)
}

/// With all that the contract's suite leaves behind.
async fn filled() -> (TempDir, SqlStore) {
    let (folder, store) = fresh().await;
    contract::run(&store).await;
    (folder, store)
}

async fn execute(store: &SqlStore, statement: &'static str) {
    on!(&store.database, pool => sqlx::raw_sql(statement).execute(pool).await.map(drop)).unwrap();
}

async fn backup(store: &SqlStore, secret: Option<BackupSecret<'_>>) -> (Contents, Vec<u8>) {
    let mut told = Vec::new();
    let mut progress = |table: &'static str, rows: u64| told.push((table, rows));
    let how = Backup { secret, now: NOW, progress: &mut progress };
    let made = store.backup(Vec::new(), how).await.unwrap();
    assert_eq!(told, made.0.rows, "each table is told of once");
    made
}

fn said(contents: &Contents) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: "cli".to_owned(),
        action: "backup.restored".to_owned(),
        target: "database".to_owned(),
        detail: format!("{{\"rows\":\"{}\"}}", contents.total()),
    }
}

async fn restore_as(
    store: &SqlStore,
    file: &[u8],
    secret: Option<BackupSecret<'_>>,
    keep: bool,
    accept_broken_chain: bool,
) -> Result<Restored, BackupError> {
    let how = Restore {
        secret,
        keep,
        accept_broken_chain,
        opens: &|_, _| true,
        entry: &said,
        progress: &mut |_, _| {},
    };
    store.restore(file, how).await
}

async fn restore_with_key(
    store: &SqlStore,
    file: &[u8],
    keep: bool,
    opens: &dyn Fn(&str, &Sealed) -> bool,
) -> Result<Restored, BackupError> {
    let how = Restore {
        secret: Some(SECRET),
        keep,
        accept_broken_chain: false,
        opens,
        entry: &said,
        progress: &mut |_, _| {},
    };
    store.restore(file, how).await
}

async fn restore(store: &SqlStore, file: &[u8]) -> Result<Restored, BackupError> {
    restore_as(store, file, None, true, false).await
}

/// The lines of a backup that is not sealed, without its first and its last one.
fn rows(file: &[u8]) -> Vec<String> {
    let text = String::from_utf8(file.to_vec()).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[1..lines.len() - 1].to_vec()
}

#[tokio::test]
async fn no_table_and_no_column_is_forgotten() {
    const NAMES: &str = "SELECT name FROM sqlite_master WHERE type = 'table'";
    let (_folder, store) = fresh().await;
    let names: Vec<String> =
        on!(&store.database, pool => sqlx::query_scalar(NAMES).fetch_all(pool).await.unwrap());
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let known = TABLES.iter().map(|table| table.name).chain(NOT_KEPT.iter().copied());
    assert_eq!(names, known.collect());
    for table in TABLES {
        let info = format!("SELECT name, type, pk FROM pragma_table_info('{}')", table.name);
        let found: Vec<(String, String, i64)> = on!(&store.database, pool => {
            let rows = sqlx::query(sqlx::AssertSqlSafe(info)).fetch_all(pool).await.unwrap();
            rows.iter().map(|row| (row.get("name"), row.get("type"), row.get("pk"))).collect()
        });
        let known: Vec<(String, String, i64)> = (1..)
            .zip(table.columns)
            .map(|(at, column)| {
                let kind = match column.kind {
                    Kind::Text => "TEXT",
                    Kind::Integer => "BIGINT",
                    Kind::Boolean => "BOOLEAN",
                };
                let key = usize::try_from(at).is_ok_and(|at: usize| at <= table.key);
                (column.name.to_owned(), kind.to_owned(), if key { at } else { 0 })
            })
            .collect();
        let sorted = |mut columns: Vec<(String, String, i64)>| {
            columns.sort();
            columns
        };
        assert_eq!(sorted(found), sorted(known), "{}", table.name);
    }
}

#[tokio::test]
async fn what_was_backed_up_comes_back_as_it_was() {
    let (_folder, store) = filled().await;
    let identity = store.feed_identity().await.unwrap();
    for secret in [None, Some(SECRET)] {
        let (contents, file) = backup(&store, secret).await;
        assert!(contents.total() > 200 && contents.audit.is_ok(), "{contents:?}");
        let (_other, restored) = fresh().await;
        let done = restore_as(&restored, &file, secret, true, false).await.unwrap();
        assert_eq!(done.contents, contents);
        let head = restored.audit_head().await.unwrap().unwrap();
        assert_eq!(done.entry, Some(head.seq));
        assert_eq!(Ok(head.seq - 1), contents.audit.map(|head| head.seq));
        // All of it again: the one entry more is the last one.
        let (_, again) = backup(&restored, None).await;
        let (_, before) = backup(&store, None).await;
        let is_of_log = |line: &String| line.starts_with("[\"audit_");
        let without = |file: &[u8]| -> Vec<String> {
            rows(file).into_iter().filter(|line| !is_of_log(line)).collect()
        };
        assert_eq!(without(&again), without(&before));
        assert_eq!(rows(&again).len(), rows(&before).len() + 1);
        assert_ne!(restored.feed_identity().await.unwrap(), identity, "the list is another one");
    }
}

#[tokio::test]
async fn what_was_only_tried_leaves_nothing() {
    let (_folder, store) = filled().await;
    let (contents, file) = backup(&store, None).await;
    let (_other, empty) = fresh().await;
    let tried = restore_as(&empty, &file, None, false, false).await.unwrap();
    assert_eq!(tried, Restored { contents, entry: None });
    assert_eq!(empty.audit_head().await.unwrap(), None);
    assert!(empty.list_signing_keys().await.unwrap().is_empty());
    restore(&empty, &file).await.unwrap();
}

#[tokio::test]
async fn nothing_is_restored_over_anything() {
    let (_folder, store) = filled().await;
    let (_, file) = backup(&store, None).await;
    let refused = restore(&store, &file).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty("oauth2_clients")), "{refused}");
    for (statement, table) in [
        ("INSERT INTO feed_identity VALUES (1, 7, 'AAAAAAAAAAAAAAAAAAAAAA==')", "feed_identity"),
        ("UPDATE revocation_counter SET last_seq = 1", "revocation_counter"),
        ("UPDATE audit_head SET last_seq = 1", "audit_head"),
    ] {
        let (_other, used) = fresh().await;
        execute(&used, statement).await;
        let refused = restore(&used, &file).await.unwrap_err();
        assert!(matches!(refused, BackupError::NotEmpty(name) if name == table), "{refused}");
        assert!(used.list_signing_keys().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_backup_of_another_form_is_refused() {
    let (_folder, store) = filled().await;
    let (_, file) = backup(&store, None).await;
    let text = String::from_utf8(file).unwrap();
    let (_other, empty) = fresh().await;
    let last = MIGRATIONS.last().unwrap().name;
    let newer = text.replacen(last, "9999_newer", 1);
    let refused = restore(&empty, newer.as_bytes()).await.unwrap_err();
    assert!(matches!(&refused, BackupError::Migrations { file, .. } if file == "9999_newer"));
    // A database that another release has changed is not read either.
    execute(&empty, "INSERT INTO schema_migrations VALUES ('9999_newer', 'applied', NULL, 1, 1)")
        .await;
    let how = Backup { secret: None, now: NOW, progress: &mut |_, _| {} };
    let refused = empty.backup(Vec::new(), how).await.unwrap_err();
    assert!(matches!(refused, BackupError::Release), "{refused}");
    assert!(matches!(restore(&empty, text.as_bytes()).await, Err(BackupError::Release)));
}

#[tokio::test]
async fn a_file_that_was_cut_or_changed_changes_nothing() {
    let (_folder, store) = filled().await;
    let (_, file) = backup(&store, Some(SECRET)).await;
    let (_other, empty) = fresh().await;
    let mut changed = file.clone();
    *changed.last_mut().unwrap() ^= 1;
    for bad in [&file[..file.len() - 1], &file[..file.len() / 2], &changed[..]] {
        let refused = restore_as(&empty, bad, Some(SECRET), true, false).await.unwrap_err();
        assert!(matches!(refused, BackupError::Opened { .. }), "{refused}");
    }
    let other = Some(BackupSecret(&[8; 32]));
    assert!(restore_as(&empty, &file, other, true, false).await.is_err());
    assert!(matches!(restore(&empty, &file).await, Err(BackupError::Sealed)));
    assert!(empty.list_signing_keys().await.unwrap().is_empty());
    restore_as(&empty, &file, Some(SECRET), true, false).await.unwrap();
}

#[tokio::test]
async fn a_log_that_was_changed_is_told_of_and_is_not_restored_unasked() {
    let (_folder, store) = filled().await;
    execute(&store, "UPDATE audit_log SET target = 'nobody' WHERE seq = 2").await;
    let (contents, file) = backup(&store, None).await;
    assert_eq!(contents.audit, Err(Broken::Changed { seq: 2 }));
    let (_other, empty) = fresh().await;
    let refused = restore(&empty, &file).await.unwrap_err();
    assert!(matches!(refused, BackupError::Chain(Broken::Changed { seq: 2 })), "{refused}");
    assert_eq!(empty.audit_head().await.unwrap(), None);
    restore_as(&empty, &file, None, true, true).await.unwrap();
    // The same for a log that was cut: the head still counts what is gone.
    let (_folder, store) = filled().await;
    let last = store.audit_head().await.unwrap().unwrap().seq;
    execute(&store, "DELETE FROM audit_log WHERE seq = (SELECT MAX(seq) FROM audit_log)").await;
    let (contents, _) = backup(&store, None).await;
    assert_eq!(contents.audit, Err(Broken::Cut { last: last - 1, head: last }));
}

#[tokio::test]
async fn a_backup_is_of_one_moment() {
    let (_folder, store) = fresh().await;
    execute(&store, ROWS).await;
    execute(&store, "UPDATE audit_head SET last_seq = 1").await;
    let writer = store.clone();
    // Somebody writes to two tables while the first one is through.
    let mut wrote = None;
    let mut progress = |table: &'static str, _: u64| {
        if table == "users" {
            let writer = writer.clone();
            wrote = Some(tokio::spawn(async move {
                execute(&writer, "DELETE FROM mfa_factors").await;
                execute(&writer, "DELETE FROM consents").await;
            }));
            // The task runs at the next page that is waited for, or later: both are as good.
        }
    };
    let how = Backup { secret: None, now: NOW, progress: &mut progress };
    let (contents, _) = store.backup(Vec::new(), how).await.unwrap();
    wrote.unwrap().await.unwrap();
    let of = |name: &str| contents.rows.iter().find(|(table, _)| *table == name).unwrap().1;
    assert_eq!((of("mfa_factors"), of("consents")), (1, 1));
    let (later, _) = backup(&store, None).await;
    assert_eq!(later.total() + 2, contents.total());
}

#[tokio::test]
async fn more_rows_than_a_page_and_a_batch_come_back() {
    const MANY: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                        WHERE i < 1203) INSERT INTO user_identities \
                        SELECT 'p' || (i % 7), 's' || i, 'u', i FROM n";
    let (_folder, store) = fresh().await;
    execute(&store, ROWS).await;
    execute(&store, "DELETE FROM audit_log").await;
    execute(&store, MANY).await;
    let (contents, file) = backup(&store, None).await;
    let (_other, empty) = fresh().await;
    restore(&empty, &file).await.unwrap();
    let (_, again) = backup(&empty, None).await;
    let of = |file: &[u8]| -> Vec<String> {
        rows(file).into_iter().filter(|line| line.starts_with("[\"user_identities\"")).collect()
    };
    assert_eq!(of(&file).len(), 1_204);
    assert_eq!(of(&file), of(&again));
    assert_eq!(contents.rows.iter().find(|(name, _)| *name == "user_identities").unwrap().1, 1_204);
}

#[tokio::test]
async fn a_key_that_opens_no_signing_key_of_the_file_restores_nothing() {
    let (_first, store) = filled().await;
    let keys = store.list_signing_keys().await.unwrap();
    assert!(!keys.is_empty(), "the suite leaves some behind");
    let file = backup(&store, Some(SECRET)).await.1;
    let (_second, empty) = fresh().await;
    for keep in [false, true] {
        let refused = restore_with_key(&empty, &file, keep, &|_, _| false).await.unwrap_err();
        assert!(matches!(refused, BackupError::SigningKeys), "{refused}");
        assert!(empty.list_signing_keys().await.unwrap().is_empty());
    }
    // One is enough: those that were retired may have been another key's.
    let last = keys.last().unwrap();
    let opens = |kid: &str, sealed: &Sealed| kid == last.kid && *sealed == last.private_sealed;
    restore_with_key(&empty, &file, true, &opens).await.unwrap();
    assert_eq!(empty.list_signing_keys().await.unwrap(), keys);
    // Nothing to open is nothing to refuse.
    let (_third, bare) = fresh().await;
    let file = backup(&bare, Some(SECRET)).await.1;
    let (_fourth, target) = fresh().await;
    restore_with_key(&target, &file, true, &|_, _| false).await.unwrap();
}

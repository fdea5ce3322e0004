use super::*;
use crate::SqlStore;
use postern_store::durable::{
    ApiKeyRecord, AuditEntry, ClientKind, ClientRecord, DurableStore as _, SecretHash,
};
use tempfile::TempDir;

const STEPS: &[Migration] = &[
    Migration {
        name: "0001_one",
        up: "CREATE TABLE one (id TEXT PRIMARY KEY); INSERT INTO one VALUES ('a;b');",
        down: "DROP TABLE one;",
    },
    Migration {
        name: "0002_two",
        up: "CREATE TABLE two (id TEXT PRIMARY KEY);",
        down: "DROP TABLE two;",
    },
];

const BROKEN: &[Migration] = &[
    STEPS[0],
    Migration {
        name: "0002_broken",
        up: "CREATE TABLE half (id TEXT); INSERT INTO nowhere VALUES (1);",
        down: "DROP TABLE half;",
    },
];

async fn fresh() -> (TempDir, SqlStore) {
    let folder = tempfile::tempdir().unwrap();
    let url = url_in(&folder);
    let store = SqlStore::open(&url).await.unwrap();
    (folder, store)
}

fn url_in(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("postern.db").display())
}

async fn tables(store: &SqlStore) -> Vec<String> {
    const TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    on!(&store.database, pool => sqlx::query_scalar(TABLES).fetch_all(pool).await.unwrap())
}

fn states(all: &[MigrationStatus]) -> Vec<(&str, MigrationState)> {
    all.iter().map(|one| (one.name.as_str(), one.state)).collect()
}

#[tokio::test]
async fn up_and_down_and_up_again() {
    let (_folder, store) = fresh().await;
    let migrator = Migrator::new(&store.database, STEPS);
    assert_eq!(migrator.pending().await.unwrap(), ["0001_one", "0002_two"]);
    assert!(tables(&store).await.is_empty(), "who asks changes nothing");
    assert_eq!(migrator.up(Some("0001_one"), UnixMillis(5)).await.unwrap(), ["0001_one"]);
    let all = migrator.status().await.unwrap();
    assert_eq!(
        states(&all),
        [("0001_one", MigrationState::Applied), ("0002_two", MigrationState::Pending)]
    );
    assert_eq!(all[0].applied_at, Some(UnixMillis(5)));
    assert_eq!(migrator.up(None, UnixMillis(6)).await.unwrap(), ["0002_two"]);
    assert!(migrator.up(None, UnixMillis(7)).await.unwrap().is_empty());
    assert_eq!(tables(&store).await, ["one", "schema_migrations", "two"]);

    assert_eq!(migrator.down(1, UnixMillis(8)).await.unwrap(), ["0002_two"]);
    assert_eq!(
        states(&migrator.status().await.unwrap()),
        [("0001_one", MigrationState::Applied), ("0002_two", MigrationState::Reverted)]
    );
    assert_eq!(migrator.up(None, UnixMillis(9)).await.unwrap(), ["0002_two"]);
    assert_eq!(migrator.down(9, UnixMillis(10)).await.unwrap(), ["0002_two", "0001_one"]);
    assert_eq!(tables(&store).await, ["schema_migrations"]);
    assert!(migrator.down(1, UnixMillis(11)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_failure_leaves_its_record_and_nothing_else() {
    let (_folder, store) = fresh().await;
    let migrator = Migrator::new(&store.database, BROKEN);
    let error = migrator.up(None, UnixMillis(5)).await.unwrap_err();
    assert!(matches!(error, SqlError::Migration { name: "0002_broken", .. }), "{error}");
    let all = migrator.status().await.unwrap();
    assert_eq!(
        states(&all),
        [("0001_one", MigrationState::Applied), ("0002_broken", MigrationState::Failed)]
    );
    assert!(all[1].error.as_ref().is_some_and(|text| text.contains("nowhere")), "{all:?}");
    assert_eq!(tables(&store).await, ["one", "schema_migrations"]);
    assert_eq!(migrator.pending().await.unwrap(), ["0002_broken"]);
}

#[tokio::test]
async fn two_runners_do_not_run_a_step_twice() {
    let (_folder, store) = fresh().await;
    let one = Migrator::new(&store.database, STEPS);
    let (first, second) = tokio::join!(one.up(None, UnixMillis(5)), one.up(None, UnixMillis(5)));
    assert_eq!(first.unwrap().len() + second.unwrap().len(), STEPS.len());
}

#[tokio::test]
async fn names_that_this_build_does_not_have() {
    let (_folder, store) = fresh().await;
    let migrator = Migrator::new(&store.database, STEPS);
    let unknown = migrator.up(Some("0009_none"), UnixMillis(5)).await.unwrap_err();
    assert!(matches!(unknown, SqlError::UnknownMigration(_)), "{unknown}");
    migrator.up(None, UnixMillis(5)).await.unwrap();
    let older = Migrator::new(&store.database, &STEPS[..1]);
    assert!(older.pending().await.unwrap().is_empty(), "a newer build was here");
    assert!(matches!(older.down(1, UnixMillis(6)).await, Err(SqlError::UnknownMigration(_))));
}

#[tokio::test]
async fn serving_wants_every_migration() {
    let folder = tempfile::tempdir().unwrap();
    let url = url_in(&folder);
    let missing = SqlStore::open_migrated(&url).await.unwrap_err();
    assert!(missing.to_string().contains("postern migrate up"), "{missing}");
    assert!(!folder.path().join("postern.db").exists(), "serving makes no database");

    let store = SqlStore::open(&url).await.unwrap();
    let pending = SqlStore::open_migrated(&url).await.unwrap_err();
    assert!(pending.to_string().contains("postern migrate up"), "{pending}");
    assert!(pending.to_string().contains("0001_identity"), "{pending}");

    store.migrator().up(None, UnixMillis(5)).await.unwrap();
    assert!(SqlStore::open_migrated(&url).await.is_ok());
}

const ROWS: &str = include_str!("rows.sql");

async fn execute(store: &SqlStore, statements: &'static str) {
    let done =
        on!(&store.database, pool => sqlx::raw_sql(statements).execute(pool).await.map(drop));
    done.unwrap();
}

#[tokio::test]
async fn every_migration_of_this_build_goes_down_again_whatever_was_kept() {
    let (_folder, store) = fresh().await;
    let migrator = store.migrator();
    let names: Vec<_> = MIGRATIONS.iter().map(|migration| migration.name).collect();
    assert!(names.is_sorted(), "migrations run in the order of their names");
    for _ in 0..2 {
        assert_eq!(migrator.up(None, UnixMillis(5)).await.unwrap(), names);
        execute(&store, ROWS).await;
        for table in tables(&store).await {
            let count = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
            let count: i64 = on!(&store.database, pool => {
                sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
            });
            assert!(count > 0, "rows.sql has nothing for {table}");
        }
        // Step by step: each has to go with what is kept before it.
        for name in names.iter().rev() {
            assert_eq!(migrator.down(1, UnixMillis(6)).await.unwrap(), [*name]);
        }
        assert_eq!(tables(&store).await, ["schema_migrations"]);
    }
}

#[tokio::test]
async fn what_was_kept_before_a_column_came_is_read_with_it() {
    const BEFORE: &str = "0002_revocations";
    let (_folder, store) = fresh().await;
    let migrator = store.migrator();
    let since = MIGRATIONS.iter().filter(|migration| migration.name > BEFORE).count();
    migrator.up(Some(BEFORE), UnixMillis(5)).await.unwrap();
    execute(
        &store,
        "INSERT INTO oauth2_clients VALUES ('p', NULL, 'P', 'public', '', '', 3600, TRUE, 7);
         INSERT INTO oauth2_clients VALUES ('c', NULL, 'C', 'confidential', '', '', 3600, TRUE, 8);
         INSERT INTO api_keys VALUES ('k',
         '0000000000000000000000000000000000000000000000000000000000000000', 's', NULL, '', NULL,
         NULL, 9, NULL);",
    )
    .await;
    let client = |id: &str, kind, at| {
        ClientRecord::new(id.to_owned(), id.to_uppercase(), kind, UnixMillis(at))
    };
    let key = ApiKeyRecord::new("k".to_owned(), SecretHash([0; 32]), "s".to_owned(), UnixMillis(9));
    // There and back: what the columns held goes with them, the rest stays.
    for _ in 0..2 {
        migrator.up(None, UnixMillis(5)).await.unwrap();
        let clients = store.list_clients(None, 10).await.unwrap();
        let expected =
            [client("c", ClientKind::Confidential, 8), client("p", ClientKind::Public, 7)];
        assert_eq!(clients, expected);
        assert_eq!(store.find_api_key("k").await.unwrap().as_ref(), Some(&key));
        execute(&store, "UPDATE oauth2_clients SET redirect_uris = '[\"x\"]', updated_at = 99")
            .await;
        execute(&store, "UPDATE api_keys SET request_count = 99").await;
        migrator.down(since, UnixMillis(6)).await.unwrap();
    }
}

#[tokio::test]
async fn who_might_ask_about_tokens_of_others_still_may() {
    let (_folder, store) = fresh().await;
    let migrator = store.migrator();
    migrator.up(Some("0007_audit"), UnixMillis(5)).await.unwrap();
    execute(
        &store,
        "INSERT INTO oauth2_clients (client_id, name, type, grant_types, scopes,
         access_token_lifetime_secs, is_active, created_at, may_introspect) VALUES
         ('all', 'A', 'confidential', '', '', 60, TRUE, 5, TRUE),
         ('none', 'N', 'confidential', '', '', 60, TRUE, 5, FALSE),
         ('one', 'O', 'confidential', '', '', 60, TRUE, 5, FALSE);",
    )
    .await;
    migrator.up(Some("0008_introspection"), UnixMillis(6)).await.unwrap();
    let clients = store.list_clients(None, 10).await.unwrap();
    let found: Vec<_> =
        clients.iter().map(|one| (one.client_id.as_str(), one.may_introspect.join(" "))).collect();
    let none = String::new;
    assert_eq!(found, [("all", "*".to_owned()), ("none", none()), ("one", none())]);
}

/// Those that came before the column of resources, and go on while others have come after it.
#[tokio::test]
async fn older_servers_read_who_may_ask_about_all_tokens() {
    const ASKS: &str = "SELECT client_id FROM oauth2_clients WHERE may_introspect \
                        ORDER BY client_id";
    let (_folder, store) = fresh().await;
    let asks = async || -> Vec<String> {
        on!(&store.database, pool => sqlx::query_scalar(ASKS).fetch_all(pool).await.unwrap())
    };
    let migrator = store.migrator();
    migrator.up(None, UnixMillis(5)).await.unwrap();
    for (id, resources) in
        [("all", &["*"][..]), ("both", &["urn:a:b", "*"]), ("none", &[]), ("one", &["urn:a:b"])]
    {
        let may_introspect = resources.iter().map(|&resource| resource.to_owned()).collect();
        let kind = ClientKind::Confidential;
        let client = ClientRecord::new(id.to_owned(), id.to_uppercase(), kind, UnixMillis(5));
        store.insert_client(ClientRecord { may_introspect, ..client }).await.unwrap();
    }
    assert_eq!(asks().await, ["all", "both"]);
    // And what they take away is gone.
    for (statement, found) in [
        ("UPDATE oauth2_clients SET may_introspect = FALSE;", &["urn:a:b"][..]),
        (
            "UPDATE oauth2_clients SET may_introspect = TRUE WHERE client_id IN ('all', 'both');",
            &["urn:a:b", "*"],
        ),
    ] {
        execute(&store, statement).await;
        assert_eq!(store.find_client("both").await.unwrap().unwrap().may_introspect, found);
    }
    let mut all = store.find_client("all").await.unwrap().unwrap();
    all.may_introspect.clear();
    all.updated_at = UnixMillis(6);
    let said = AuditEntry {
        at: UnixMillis(6),
        actor: "test".to_owned(),
        action: "client.changed".to_owned(),
        target: "all".to_owned(),
        detail: "{}".to_owned(),
    };
    assert!(store.change_client(all, UnixMillis(5), &said).await.unwrap());
    assert_eq!(asks().await, ["both"]);
    // Whoever goes back finds it as it was said last.
    let since = MIGRATIONS.iter().filter(|migration| migration.name >= "0008").count();
    migrator.down(since, UnixMillis(7)).await.unwrap();
    assert_eq!(asks().await, ["both"]);
}

use super::*;
use crate::SqlStore;
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

#[tokio::test]
async fn every_migration_of_this_build_goes_down_again() {
    let (_folder, store) = fresh().await;
    let migrator = store.migrator();
    let names: Vec<_> = MIGRATIONS.iter().map(|migration| migration.name).collect();
    assert!(names.is_sorted(), "migrations run in the order of their names");
    assert_eq!(migrator.up(None, UnixMillis(5)).await.unwrap(), names);
    assert_eq!(migrator.down(names.len(), UnixMillis(6)).await.unwrap().len(), names.len());
    assert_eq!(tables(&store).await, ["schema_migrations"]);
}

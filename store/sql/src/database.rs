//! The two databases behind one store. Statements are written once, in SQL that both take; the
//! little that differs is here.

use std::fmt;

use postern_store::durable::AuditWatch;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

/// The database at hand.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) pools: Pools,
    /// Who is told of entries of the audit log.
    pub(crate) watch: AuditWatch,
}

/// Connections to it.
#[derive(Clone)]
pub(crate) enum Pools {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.pools {
            Pools::Sqlite(_) => "SQLite",
            Pools::Postgres(_) => "PostgreSQL",
        })
    }
}

/// The same statements for either database: `$pool` names the pool of the one at hand.
///
/// The driver that picks the database at run time (`sqlx::any`) would do without this macro, but
/// knows no BOOLEAN in SQLite and takes its options as text.
macro_rules! on {
    ($database:expr, $pool:ident => $body:expr) => {
        match &$database.pools {
            $crate::database::Pools::Sqlite($pool) => $body,
            $crate::database::Pools::Postgres($pool) => $body,
        }
    };
}
pub(crate) use on;

impl Database {
    pub(crate) fn new(pools: Pools) -> Self {
        Self { pools, watch: AuditWatch::default() }
    }

    pub(crate) async fn close(&self) {
        on!(self, pool => pool.close().await);
    }

    /// Asks for the database's own clock, in seconds since 1970.
    pub(crate) const fn clock(&self) -> &'static str {
        match &self.pools {
            Pools::Sqlite(_) => "SELECT CAST(strftime('%s', 'now') AS BIGINT)",
            Pools::Postgres(_) => "SELECT CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) AS BIGINT)",
        }
    }
}

/// How migrations take turns on PostgreSQL: any number, as long as all versions use the same.
const MIGRATION_LOCK: i64 = 0x0070_6f73_7465_726e;
/// How those who rotate signing keys do.
const ROTATION_LOCK: i64 = 0x0070_6f73_7465_7272;
/// How those do who take away from users what only some have.
const DEMOTION_LOCK: i64 = 0x0070_6f73_7465_7264;

/// Where the two databases differ in how they begin.
pub(crate) trait Begin {
    type Database: sqlx::Database;

    /// A transaction that writes first. Those of PostgreSQL run beside each other until two of
    /// them write one row.
    async fn begin_write(&self) -> Result<Transaction<'static, Self::Database>, sqlx::Error>;

    /// A transaction that no other one of its kind runs beside.
    async fn begin_migration(&self) -> Result<Transaction<'static, Self::Database>, sqlx::Error>;

    /// A transaction that rotates signing keys, which no other one of its kind runs beside: what it
    /// reads of them stands until its commit.
    async fn begin_rotation(&self) -> Result<Transaction<'static, Self::Database>, sqlx::Error>;

    /// A transaction that takes away from a user what somebody must have, which no other one of
    /// its kind runs beside: who else has it stays so until its commit.
    async fn begin_demotion(&self) -> Result<Transaction<'static, Self::Database>, sqlx::Error>;

    /// A transaction that only reads, and sees nothing that is committed after it has begun to.
    async fn begin_snapshot(&self) -> Result<Transaction<'static, Self::Database>, sqlx::Error>;

    /// A transaction that fills tables which are empty, and stay so for all others until its
    /// commit.
    async fn begin_restore(&self) -> Result<Transaction<'static, Self::Database>, sqlx::Error>;

    /// Whether there is a table with this name. Asked for rather than made on the way: whoever
    /// serves need not be allowed to make tables.
    async fn has_table(&self, name: &str) -> Result<bool, sqlx::Error>;
}

impl Begin for SqlitePool {
    type Database = Sqlite;

    async fn begin_write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        // Takes the one write lock at once. Taken at the first write, it would fail where
        // somebody else has written since the first read.
        self.begin_with("BEGIN IMMEDIATE").await
    }

    async fn begin_migration(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.begin_write().await
    }

    async fn begin_rotation(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.begin_write().await
    }

    async fn begin_demotion(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.begin_write().await
    }

    async fn begin_snapshot(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        // In the write-ahead log's mode a reader stays where its first read was.
        self.begin().await
    }

    async fn begin_restore(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.begin_write().await
    }

    async fn has_table(&self, name: &str) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1)",
        )
        .bind(name.to_owned())
        .fetch_one(self)
        .await
    }
}

impl Begin for PgPool {
    type Database = Postgres;

    async fn begin_write(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.begin().await
    }

    async fn begin_migration(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        // A step may take its time, another replica's, too; a lock that does not come is an
        // error, not a hang.
        sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await?;
        sqlx::query("SET LOCAL lock_timeout = '60s'").execute(&mut *transaction).await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(MIGRATION_LOCK)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    async fn begin_rotation(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(ROTATION_LOCK)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    async fn begin_demotion(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        // Of its own rather than the rows' locks: those who may administer would wait in a circle
        // for each other's. What is read after it is what the one before has committed.
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(DEMOTION_LOCK)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    async fn begin_snapshot(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let mut transaction =
            self.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        // Whoever reads writes to a disk or a terminal in between, which may take its time.
        sqlx::query("SET LOCAL idle_in_transaction_session_timeout = '10min'")
            .execute(&mut *transaction)
            .await?;
        sqlx::query("SET LOCAL statement_timeout = '60s'").execute(&mut *transaction).await?;
        Ok(transaction)
    }

    async fn begin_restore(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        // No migration runs beside it, and no other restore.
        let mut transaction = self.begin_migration().await?;
        sqlx::query("SET LOCAL idle_in_transaction_session_timeout = '10min'")
            .execute(&mut *transaction)
            .await?;
        // Others may read, and find nothing.
        for table in crate::backup::TABLES {
            let lock = format!("LOCK TABLE {} IN EXCLUSIVE MODE", table.name);
            sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut *transaction).await?;
        }
        Ok(transaction)
    }

    async fn has_table(&self, name: &str) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(name.to_owned())
            .fetch_one(self)
            .await
    }
}

//! Migrations: each runs in a transaction of its own, and what became of it is on record.

use std::time::Instant;

use postern_request::UnixMillis;
use sqlx::{Row as _, SqliteExecutor, SqlitePool};

use crate::error::SqlError;

/// A step of the schema and the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its name; migrations run in the order of their names.
    pub name: &'static str,
    /// Statements that take the step.
    pub up: &'static str,
    /// Statements that undo it.
    pub down: &'static str,
}

/// Every step, in order.
pub const MIGRATIONS: &[Migration] = &[Migration {
    name: "0001_identity",
    up: include_str!("../migrations/0001_identity.up.sql"),
    down: include_str!("../migrations/0001_identity.down.sql"),
}];

/// What became of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationState {
    /// Never run.
    Pending,
    /// Its tables are there.
    Applied,
    /// It was tried and left nothing behind.
    Failed,
    /// It was undone.
    Reverted,
}

impl MigrationState {
    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Applied => "applied",
            Self::Failed => "failed",
            Self::Reverted => "reverted",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Applied, Self::Failed, Self::Reverted]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// The record of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Which.
    pub name: String,
    /// What became of it.
    pub state: MigrationState,
    /// What the database said when it failed.
    pub error: Option<String>,
    /// How long the last run took.
    pub duration_ms: Option<u64>,
    /// When it last ran, in whichever direction.
    pub applied_at: Option<UnixMillis>,
}

/// Runs migrations on one database.
#[derive(Debug, Clone, Copy)]
pub struct Migrator<'a> {
    pool: &'a SqlitePool,
    migrations: &'static [Migration],
}

/// Which way a step is taken.
#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl<'a> Migrator<'a> {
    pub(crate) const fn new(pool: &'a SqlitePool, migrations: &'static [Migration]) -> Self {
        Self { pool, migrations }
    }

    /// Applies what is pending, up to and including `to`; the names of what was applied. It
    /// stops at the first failure.
    ///
    /// # Errors
    /// [`SqlError::UnknownMigration`], [`SqlError::Migration`] and those of the database.
    pub async fn up(
        &self,
        to: Option<&str>,
        now: UnixMillis,
    ) -> Result<Vec<&'static str>, SqlError> {
        if let Some(to) = to {
            self.find(to)?;
        }
        self.prepare().await?;
        let mut applied = Vec::new();
        for migration in self.migrations {
            if self.run(migration, Direction::Up, now).await? {
                applied.push(migration.name);
            }
            if to == Some(migration.name) {
                break;
            }
        }
        Ok(applied)
    }

    /// Undoes the last `count` that are applied, newest first; their names.
    ///
    /// # Errors
    /// As [`Migrator::up`]; a migration of a newer build cannot be undone by this one.
    pub async fn down(&self, count: usize, now: UnixMillis) -> Result<Vec<&'static str>, SqlError> {
        let mut reverted = Vec::new();
        let recorded = self.recorded().await?;
        let applied = recorded.iter().filter(|one| one.state == MigrationState::Applied);
        for status in applied.rev().take(count) {
            let migration = self.find(&status.name)?;
            if self.run(migration, Direction::Down, now).await? {
                reverted.push(migration.name);
            }
        }
        Ok(reverted)
    }

    /// What became of each migration of this build, and of those that a newer build recorded.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn status(&self) -> Result<Vec<MigrationStatus>, SqlError> {
        let mut all = self.recorded().await?;
        for migration in self.migrations {
            if !all.iter().any(|known| known.name == migration.name) {
                all.push(MigrationStatus {
                    name: migration.name.to_owned(),
                    state: MigrationState::Pending,
                    error: None,
                    duration_ms: None,
                    applied_at: None,
                });
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Migrations of this build that are not applied. Those of a newer build do not count: in a
    /// rolling upgrade the old one goes on for a while.
    pub(crate) async fn pending(&self) -> Result<Vec<&'static str>, SqlError> {
        let recorded = self.recorded().await?;
        let is_applied = |name: &str| {
            recorded
                .iter()
                .any(|status| status.name == name && status.state == MigrationState::Applied)
        };
        Ok(self.migrations.iter().map(|m| m.name).filter(|name| !is_applied(name)).collect())
    }

    fn find(&self, name: &str) -> Result<&'static Migration, SqlError> {
        self.migrations
            .iter()
            .find(|migration| migration.name == name)
            .ok_or_else(|| SqlError::UnknownMigration(name.to_owned()))
    }

    async fn prepare(&self) -> Result<(), SqlError> {
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS schema_migrations (\
             name TEXT PRIMARY KEY, status TEXT NOT NULL, error TEXT, \
             duration_ms BIGINT NOT NULL, applied_at BIGINT NOT NULL)",
        )
        .execute(self.pool)
        .await?;
        Ok(())
    }

    async fn recorded(&self) -> Result<Vec<MigrationStatus>, SqlError> {
        self.prepare().await?;
        let rows = sqlx::query(
            "SELECT name, status, error, duration_ms, applied_at FROM schema_migrations \
             ORDER BY name",
        )
        .fetch_all(self.pool)
        .await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let status: String = row.try_get("status")?;
            let state = MigrationState::parse(&status)
                .ok_or_else(|| SqlError::Corrupt(format!("migration status {status:?}")))?;
            let (duration, time): (i64, i64) =
                (row.try_get("duration_ms")?, row.try_get("applied_at")?);
            all.push(MigrationStatus {
                name: row.try_get("name")?,
                state,
                error: row.try_get("error")?,
                duration_ms: u64::try_from(duration).ok(),
                applied_at: u64::try_from(time).ok().map(UnixMillis),
            });
        }
        Ok(all)
    }

    /// Takes one step; whether there was something to do.
    async fn run(
        &self,
        migration: &Migration,
        direction: Direction,
        now: UnixMillis,
    ) -> Result<bool, SqlError> {
        let started = Instant::now();
        match self.attempt(migration, direction, now, started).await {
            Ok(done) => Ok(done),
            Err(source) => {
                // What failed to be undone is still there.
                let state = match direction {
                    Direction::Up => MigrationState::Failed,
                    Direction::Down => MigrationState::Applied,
                };
                let error = Some(source.to_string());
                record(self.pool, migration.name, state, error, started, now).await?;
                Err(SqlError::Migration { name: migration.name, source })
            }
        }
    }

    async fn attempt(
        &self,
        migration: &Migration,
        direction: Direction,
        now: UnixMillis,
        started: Instant,
    ) -> Result<bool, sqlx::Error> {
        // SQLite's way of taking the write lock first, so that of two runners the second one
        // sees what the first one did. (PostgreSQL: an advisory lock.)
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let status: Option<String> =
            sqlx::query_scalar("SELECT status FROM schema_migrations WHERE name = $1")
                .bind(migration.name)
                .fetch_optional(&mut *transaction)
                .await?;
        let is_applied = status.as_deref() == Some(MigrationState::Applied.as_str());
        let (nothing_to_do, statements, state) = match direction {
            Direction::Up => (is_applied, migration.up, MigrationState::Applied),
            Direction::Down => (!is_applied, migration.down, MigrationState::Reverted),
        };
        if nothing_to_do {
            transaction.rollback().await?;
            return Ok(false);
        }
        sqlx::raw_sql(statements).execute(&mut *transaction).await?;
        record(&mut *transaction, migration.name, state, None, started, now).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

async fn record(
    executor: impl SqliteExecutor<'_>,
    name: &'static str,
    state: MigrationState,
    error: Option<String>,
    started: Instant,
    now: UnixMillis,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO schema_migrations (name, status, error, duration_ms, applied_at) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET \
         status = excluded.status, error = excluded.error, \
         duration_ms = excluded.duration_ms, applied_at = excluded.applied_at",
    )
    .bind(name)
    .bind(state.as_str())
    .bind(error)
    .bind(i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX))
    .bind(i64::try_from(now.0).unwrap_or(i64::MAX))
    .execute(executor)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;

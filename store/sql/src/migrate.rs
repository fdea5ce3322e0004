//! Migrations: each runs in a transaction of its own, one after the other whoever runs them, and
//! what became of it is on record.
//!
//! One text serves both databases. A step that cannot be said in both gets a text for each.

use std::time::Instant;

use postern_request::UnixMillis;
use sqlx::Row as _;

use crate::column::write_time;
use crate::database::{Begin as _, Database, on};
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
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "0001_identity",
        up: include_str!("../migrations/0001_identity.up.sql"),
        down: include_str!("../migrations/0001_identity.down.sql"),
    },
    Migration {
        name: "0002_revocations",
        up: include_str!("../migrations/0002_revocations.up.sql"),
        down: include_str!("../migrations/0002_revocations.down.sql"),
    },
    Migration {
        name: "0003_users",
        up: include_str!("../migrations/0003_users.up.sql"),
        down: include_str!("../migrations/0003_users.down.sql"),
    },
    Migration {
        name: "0004_clients",
        up: include_str!("../migrations/0004_clients.up.sql"),
        down: include_str!("../migrations/0004_clients.down.sql"),
    },
    Migration {
        name: "0005_grants",
        up: include_str!("../migrations/0005_grants.up.sql"),
        down: include_str!("../migrations/0005_grants.down.sql"),
    },
    Migration {
        name: "0006_api_keys",
        up: include_str!("../migrations/0006_api_keys.up.sql"),
        down: include_str!("../migrations/0006_api_keys.down.sql"),
    },
    Migration {
        name: "0007_audit",
        up: include_str!("../migrations/0007_audit.up.sql"),
        down: include_str!("../migrations/0007_audit.down.sql"),
    },
    Migration {
        name: "0008_introspection",
        up: include_str!("../migrations/0008_introspection.up.sql"),
        down: include_str!("../migrations/0008_introspection.down.sql"),
    },
    Migration {
        name: "0009_config_revisions",
        up: include_str!("../migrations/0009_config_revisions.up.sql"),
        down: include_str!("../migrations/0009_config_revisions.down.sql"),
    },
    Migration {
        name: "0010_service_registry",
        up: include_str!("../migrations/0010_service_registry.up.sql"),
        down: include_str!("../migrations/0010_service_registry.down.sql"),
    },
];

/// Where it is on record what became of each.
const RECORDS: &str = "schema_migrations";

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
    database: &'a Database,
    migrations: &'static [Migration],
}

/// What is put on record.
struct Outcome {
    name: &'static str,
    state: MigrationState,
    error: Option<String>,
    started: Instant,
    now: UnixMillis,
}

/// Puts an [`Outcome`] on record, by a pool or within a transaction of either database.
macro_rules! record {
    ($executor:expr, $outcome:expr) => {{
        let outcome: Outcome = $outcome;
        sqlx::query(
            "INSERT INTO schema_migrations (name, status, error, duration_ms, applied_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET \
             status = excluded.status, error = excluded.error, \
             duration_ms = excluded.duration_ms, applied_at = excluded.applied_at",
        )
        .bind(outcome.name)
        .bind(outcome.state.as_str())
        .bind(outcome.error)
        .bind(i64::try_from(outcome.started.elapsed().as_millis()).unwrap_or(i64::MAX))
        .bind(write_time(outcome.now))
        .execute($executor)
        .await?;
    }};
}

/// Which way a step is taken.
#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl<'a> Migrator<'a> {
    pub(crate) const fn new(database: &'a Database, migrations: &'static [Migration]) -> Self {
        Self { database, migrations }
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
        on!(self.database, pool => {
            let mut transaction = pool.begin_migration().await?;
            sqlx::query(
                "CREATE TABLE IF NOT EXISTS schema_migrations (\
                 name TEXT PRIMARY KEY, status TEXT NOT NULL, error TEXT, \
                 duration_ms BIGINT NOT NULL, applied_at BIGINT NOT NULL)",
            )
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
        });
        Ok(())
    }

    /// In the order of their names.
    async fn recorded(&self) -> Result<Vec<MigrationStatus>, SqlError> {
        let mut all = Vec::new();
        on!(self.database, pool => {
            if !pool.has_table(RECORDS).await? {
                return Ok(all);
            }
            let rows = sqlx::query(
                "SELECT name, status, error, duration_ms, applied_at FROM schema_migrations",
            )
            .fetch_all(pool)
            .await?;
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
        });
        all.sort_by(|a: &MigrationStatus, b| a.name.cmp(&b.name));
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
                let outcome = Outcome { name: migration.name, state, error, started, now };
                on!(self.database, pool => record!(pool, outcome));
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
        on!(self.database, pool => {
            // Of two runners the second one waits here, and then sees what the first one did.
            let mut transaction = pool.begin_migration().await?;
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
            let outcome = Outcome { name: migration.name, state, error: None, started, now };
            record!(&mut *transaction, outcome);
            transaction.commit().await?;
        });
        Ok(true)
    }
}

#[cfg(test)]
mod tests;

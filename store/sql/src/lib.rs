//! The durable port in SQL.
//!
//! SQLite for now, the embedded default for one replica. Statements, placeholders (`$1`) and
//! column types are those that PostgreSQL takes too; the little that is SQLite's own stands in
//! this file and in `migrate`.
//!
//! Deliberately absent: rules. What may be stored is decided by whoever calls.

mod api_keys;
mod clients;
mod column;
mod error;
mod migrate;
mod signing_keys;
mod store;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub use error::SqlError;
pub use migrate::{MIGRATIONS, Migration, MigrationState, MigrationStatus, Migrator};

/// How long a statement waits for another connection's write to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite has one writer at a time; more connections only let reads pass each other.
const MAX_CONNECTIONS: u32 = 4;

/// The durable store in a database.
#[derive(Debug, Clone)]
pub struct SqlStore {
    pool: SqlitePool,
}

impl SqlStore {
    /// Opens the database that `url` (`sqlite:PATH`) names, or makes it, whatever state its
    /// tables are in: for `postern migrate`.
    ///
    /// # Errors
    /// [`SqlError::Url`] and [`SqlError::Database`].
    pub async fn open(url: &str) -> Result<Self, SqlError> {
        Self::connect(&path_of(url)?, true).await
    }

    /// Opens a database that is there and has every migration: for everything else.
    ///
    /// # Errors
    /// [`SqlError::Missing`] and [`SqlError::Pending`] say what to run first.
    pub async fn open_migrated(url: &str) -> Result<Self, SqlError> {
        let path = path_of(url)?;
        if !path.exists() {
            return Err(SqlError::Missing { url: url.to_owned() });
        }
        let store = Self::connect(&path, false).await?;
        let pending = store.migrator().pending().await?;
        if pending.is_empty() {
            return Ok(store);
        }
        store.close().await;
        Err(SqlError::Pending { url: url.to_owned(), names: pending.join(", ") })
    }

    async fn connect(path: &Path, create: bool) -> Result<Self, SqlError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(create)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is a promise here (revocations, keys), so it waits for the disk.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(BUSY_TIMEOUT)
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// The migrations of this database.
    #[must_use]
    pub const fn migrator(&self) -> Migrator<'_> {
        Migrator::new(&self.pool, MIGRATIONS)
    }

    /// Closes the connections, so that the write-ahead log is folded into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The file of `sqlite:PATH`; `sqlite://PATH` is read the same way.
fn path_of(url: &str) -> Result<PathBuf, SqlError> {
    let bad = |reason| SqlError::Url { url: url.to_owned(), reason };
    let Some(path) = url.strip_prefix("sqlite:") else {
        return Err(bad("it must begin with sqlite:"));
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') || path.contains(['?', '#']) {
        return Err(bad("it must name a file, as in sqlite:/var/lib/postern/postern.db"));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_file() {
        for (url, expected) in [
            ("sqlite:a.db", Some("a.db")),
            ("sqlite:/var/a.db", Some("/var/a.db")),
            ("sqlite:///var/a.db", Some("/var/a.db")),
            ("sqlite:", None),
            ("sqlite://", None),
            ("sqlite::memory:", None),
            ("sqlite:a.db?mode=ro", None),
            ("postgres://db/postern", None),
            ("a.db", None),
        ] {
            assert_eq!(path_of(url).ok(), expected.map(PathBuf::from), "{url}");
        }
    }
}

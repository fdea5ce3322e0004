//! The durable port in SQL: SQLite, the embedded default for one replica, and PostgreSQL, which
//! replicas share.
//!
//! Statements, placeholders (`$1`) and column types are those that both take; what differs stands
//! in `address` and `database`, and in the options below.
//!
//! Deliberately absent: rules. What may be stored is decided by whoever calls.

mod address;
mod api_keys;
mod audit;
pub mod backup;
mod clients;
mod column;
mod consents;
mod database;
mod error;
mod factors;
mod families;
mod identities;
mod migrate;
mod page;
mod revisions;
mod revocations;
mod services;
mod signing_keys;
mod store;
mod users;

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
    SqliteSynchronous, SqliteTransactionManager,
};
use sqlx::{Connection as _, PgConnection};
use sqlx_core::transaction::TransactionManager as _;
use tokio::time::timeout;

use crate::address::Address;
use crate::database::{Database, Pools};

pub use error::SqlError;
pub use migrate::{MIGRATIONS, Migration, MigrationState, MigrationStatus, Migrator};

/// How long a call waits for a connection, and a statement of SQLite for another one's write.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite has one writer at a time; more connections only let reads pass each other.
const SQLITE_CONNECTIONS: u32 = 4;
/// Of each replica. PostgreSQL takes a hundred by default, for all replicas and tools together.
const POSTGRES_CONNECTIONS: u32 = 8;
/// What PostgreSQL ends by itself: a statement that takes too long, and a transaction whose
/// server fell silent and keeps others from revoking.
const POSTGRES_OPTIONS: [(&str, &str); 2] =
    [("statement_timeout", "5s"), ("idle_in_transaction_session_timeout", "10s")];

/// The durable store in a database.
#[derive(Debug, Clone)]
pub struct SqlStore {
    database: Database,
}

impl SqlStore {
    /// Opens the database that `url` names (`sqlite:PATH`, which is made if need be, or
    /// `postgres://user:password@host:port/database`), whatever state its tables are in: for
    /// `postern migrate`.
    ///
    /// # Errors
    /// [`SqlError::Url`] and [`SqlError::Connect`]; neither shows a password.
    pub async fn open(url: &str) -> Result<Self, SqlError> {
        Self::connect(&Address::parse(url)?, true).await
    }

    /// Opens a database that is there and has every migration: for everything else.
    ///
    /// # Errors
    /// [`SqlError::Missing`] and [`SqlError::Pending`] say what to run first.
    pub async fn open_migrated(url: &str) -> Result<Self, SqlError> {
        let address = Address::parse(url)?;
        if matches!(&address, Address::Sqlite(path) if !path.exists()) {
            return Err(SqlError::Missing { url: address.to_string() });
        }
        let store = Self::connect(&address, false).await?;
        let pending = store.migrator().pending().await?;
        if pending.is_empty() {
            return Ok(store);
        }
        store.close().await;
        Err(SqlError::Pending { url: address.to_string(), names: pending.join(", ") })
    }

    async fn connect(address: &Address, create: bool) -> Result<Self, SqlError> {
        let database = match address {
            Address::Sqlite(path) => sqlite(path, create).await,
            Address::Postgres(options) => postgres(options).await,
        };
        let error = |source| SqlError::Connect { url: address.to_string(), source };
        Ok(Self { database: database.map_err(error)? })
    }

    /// The migrations of this database.
    #[must_use]
    pub const fn migrator(&self) -> Migrator<'_> {
        Migrator::new(&self.database, MIGRATIONS)
    }

    /// Closes the connections, so that SQLite's write-ahead log is folded into its file.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

async fn sqlite(path: &Path, create: bool) -> Result<Database, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit is a promise here (revocations, keys), so it waits for the disk.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(ACQUIRE_TIMEOUT)
        .foreign_keys(true);
    let pool = SqlitePoolOptions::new()
        .after_release(|connection, _| Box::pin(settle(connection)))
        .max_connections(SQLITE_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await?;
    Ok(Database::new(Pools::Sqlite(pool)))
}

/// Whether a connection can be used again.
///
/// Where the disk is full, a commit fails and SQLite takes everything back by itself. Then there
/// is nothing for the driver to take back, who goes on thinking that there is, and would begin
/// nothing any more. So it gets something to take back. The connection is not closed for that: on
/// a full disk there might be no other.
async fn settle(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if !connection.is_in_transaction() {
        return Ok(true);
    }
    // A transaction that was dropped is taken back in its turn, before this is answered.
    connection.ping().await?;
    if connection.is_in_transaction() {
        // One that is there all the same is taken back as well.
        let _ = sqlx::raw_sql("BEGIN").execute(&mut *connection).await;
        SqliteTransactionManager::rollback(connection).await?;
    }
    Ok(!connection.is_in_transaction())
}

async fn postgres(options: &PgConnectOptions) -> Result<Database, sqlx::Error> {
    let mut options = options.clone().options(POSTGRES_OPTIONS);
    if options.get_application_name().is_none() {
        options = options.application_name("postern");
    }
    // The pool tries a refused connection until its time is over, and then says only that; one
    // connection beside it tells why.
    match timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&options)).await {
        Ok(connection) => connection?.close().await?,
        Err(_) => return Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await?;
    Ok(Database::new(Pools::Postgres(pool)))
}

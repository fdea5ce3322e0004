//! What can go wrong with a database, and what to do about it.

use postern_store::StoreError;

/// Why a database could not be opened or migrated.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The operator's: not a database that this build knows.
    #[error("durable store {url:?}: {reason}")]
    Url {
        /// What was given, without anything that may be secret.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operator's: the database was never made.
    #[error("there is no database at {url}: run `postern migrate up --durable {url}`")]
    Missing {
        /// Where it should be.
        url: String,
    },
    /// The operator's or the database's: no connection, or none with this user. A retry may help.
    #[error("the database at {url} cannot be opened")]
    Connect {
        /// Which database.
        url: String,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// The operator's: the database is older than this build.
    #[error("{url} lacks migrations ({names}): run `postern migrate up --durable {url}`")]
    Pending {
        /// Which database.
        url: String,
        /// What is missing.
        names: String,
    },
    /// The operator's: no such migration in this build.
    #[error("this build has no migration {0:?}")]
    UnknownMigration(String),
    /// Ours: a migration did not run. It left no trace but its record.
    #[error("migration {name} failed: {source}")]
    Migration {
        /// Which.
        name: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The database's: a retry may help.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The database's: it holds what no migration of ours writes.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
}

/// A failed statement in the port's terms.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    use sqlx::Error::{ColumnDecode, ColumnIndexOutOfBounds, ColumnNotFound, Decode, TypeNotFound};
    match error {
        // Somebody has what is to be unique, such as an e-mail.
        sqlx::Error::Database(said) if said.is_unique_violation() => StoreError::Conflict,
        // A retry does not bring what is spoken of; what the database says of it may be personal.
        sqlx::Error::Database(said) if said.is_foreign_key_violation() => {
            StoreError::Corrupt("a record of something that is not there".to_owned())
        }
        ColumnDecode { .. }
        | ColumnIndexOutOfBounds { .. }
        | ColumnNotFound(_)
        | Decode(_)
        | TypeNotFound { .. } => StoreError::Corrupt(error.to_string()),
        other => StoreError::Unavailable(other.to_string()),
    }
}

//! Backups: all that is kept, in one file, which either database is restored from.
//!
//! A file is lines of JSON. The first one says what the file is (`postern-backup-1`), when it was
//! made, by which release, which migrations the database had, and whether the rest is sealed. Then
//! comes one array a row, `["table",[values…]]`, in the order of [`TABLES`]; the last line counts
//! the rows of each table and has the SHA-256 of all lines before it. Sealed, what follows the
//! first line is in pieces that are encrypted one by one (`seal`).
//!
//! It is read in one snapshot and written in one transaction: there is no moment between two
//! tables. Nothing of a row is in any error, because rows hold names and hashes.
//!
//! Deliberately absent: which file, and who may read it. `postern backup` sees to that.

mod cell;
mod chain;
mod input;
mod output;
mod read;
mod seal;
mod tables;
mod write;

use std::fmt;
use std::io;

use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::{AuditHead, Broken};

use crate::SqlStore;
use crate::error::SqlError;
use crate::migrate::{MIGRATIONS, MigrationState};

pub use read::{Restore, Restored};
pub use tables::{Column, Kind, NOT_KEPT, TABLES, Table};
pub use write::Backup;

/// What a file begins with, so that another way of writing can follow.
const FORMAT: &str = "postern-backup-1";

/// What a backup is sealed with: 32 bytes that were derived for this and for nothing else.
#[derive(Clone, Copy)]
pub struct BackupSecret<'a>(pub &'a [u8]);

impl fmt::Debug for BackupSecret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupSecret(…)")
    }
}

/// Is told of each table that is through, with its rows; of a long one, now and then.
pub type Progress<'a> = &'a mut dyn FnMut(&'static str, u64);

/// What stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// When it was made.
    pub made_at: UnixMillis,
    /// The release that made it.
    pub release: String,
    /// Whether it is sealed.
    pub sealed: bool,
    /// The rows of each table.
    pub rows: Vec<(&'static str, u64)>,
    /// Where the audit log ends; number 0 of an empty one. The error where its chain is broken.
    pub audit: Result<AuditHead, Broken>,
}

impl Contents {
    /// Rows in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows.iter().map(|(_, rows)| rows).sum()
    }
}

/// Why there is no backup, or nothing was restored from one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file's, or the disk's: a retry may help.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The database's.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The database's, of a table.
    #[error("table {table}: {source}")]
    Table {
        /// Which.
        table: &'static str,
        /// What it said.
        source: StoreError,
    },
    /// The operator's: another release has changed the database's form.
    #[error(
        "the database has migrations that this release does not know, or lacks some: use the \
         release that it belongs to"
    )]
    Release,
    /// The operator's: no file of ours.
    #[error("this is no backup of ours: {0}")]
    NoBackup(&'static str),
    /// The file's: it was cut, or somebody wrote into it.
    #[error("line {line}: {reason}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it; nothing of what stands there.
        reason: &'static str,
    },
    /// The operator's: the file is sealed.
    #[error("the backup is sealed: it takes the key-encryption key that it was made with")]
    Sealed,
    /// The operator's or the file's: nobody can vouch for what is not sealed, and somebody may have
    /// put it into the place of what was.
    #[error("the backup is not sealed, with this key or any other: anybody may have written it")]
    NotSealed,
    /// The operator's or the file's: AES-GCM cannot tell which.
    #[error(
        "piece {piece} of the backup cannot be opened: it was sealed with another key-encryption \
         key, or the file was changed or cut"
    )]
    Opened {
        /// Which, from 1.
        piece: u64,
    },
    /// The operator's: a backup fits the form that the database had.
    #[error(
        "the backup was made of a database with other migrations (the last one is {file}, here \
         {database}): migrate this one to the same, restore, and migrate on"
    )]
    Migrations {
        /// The file's last one.
        file: String,
        /// The database's.
        database: String,
    },
    /// The operator's: nothing is overwritten.
    #[error("table {0} is not empty: restore into a new database")]
    NotEmpty(&'static str),
    /// The operator's: with this key nobody could sign with what was restored.
    #[error(
        "none of the signing keys in the backup can be opened: they were sealed with another \
         key-encryption key"
    )]
    SigningKeys,
    /// The file's: its audit log was changed before the backup was made.
    #[error("the audit log in the backup was changed: {0}")]
    Chain(Broken),
    /// The machine's: no random numbers, no memory.
    #[error("the cryptographic library failed")]
    Crypto,
}

/// What the database said of a table.
fn of_table(table: &'static str) -> impl Fn(sqlx::Error) -> BackupError {
    move |error| BackupError::Table { table, source: crate::error::store_error(error) }
}

impl SqlStore {
    /// The names of the database's migrations, which are those of this build.
    async fn same_migrations(&self) -> Result<Vec<String>, BackupError> {
        let status = self.migrator().status().await?;
        let applied = status.iter().filter(|one| one.state == MigrationState::Applied);
        let applied: Vec<String> = applied.map(|one| one.name.clone()).collect();
        let is_same = applied.len() == MIGRATIONS.len()
            && applied.iter().zip(MIGRATIONS).all(|(name, known)| name == known.name);
        if is_same { Ok(applied) } else { Err(BackupError::Release) }
    }
}

#[cfg(test)]
mod tests;

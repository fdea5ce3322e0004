//! Making a backup.

use std::io::Write;

use postern_request::UnixMillis;

use super::cell::{self, Cell, Row};
use super::chain::Followed;
use super::output::Output;
use super::tables::{PAGE, TABLES, Table};
use super::{BackupError, BackupSecret, Contents, Progress, of_table};
use crate::SqlStore;
use crate::database::{Begin as _, on};
use crate::error::SqlError;

/// Whoever waits is told of a long table after so many rows.
const TOLD_EVERY: u64 = 100_000;

/// How a backup is made.
pub struct Backup<'a> {
    /// What it is sealed with; without one, everybody who has the file can read and change it.
    pub secret: Option<BackupSecret<'a>>,
    /// When it is made.
    pub now: UnixMillis,
    /// Is told how far it is.
    pub progress: Progress<'a>,
}

/// Reads a page of a table within a transaction of either database.
macro_rules! page {
    ($transaction:ident, $table:expr, $after:expr) => {{
        let (table, after): (&'static Table, Option<&Row>) = ($table, $after);
        // Composed of the names in `tables` alone.
        let mut query = sqlx::query(sqlx::AssertSqlSafe(table.select(after.is_some())));
        for cell in table.key_of(after) {
            query = match cell {
                Cell::Text(text) => query.bind(text),
                Cell::Integer(number) => query.bind(number),
                Cell::Boolean(truth) => query.bind(truth),
            };
        }
        let rows = query.fetch_all(&mut *$transaction).await.map_err(of_table(table.name))?;
        let rows: Result<Vec<Row>, _> = rows.iter().map(|row| cell::read(table, row)).collect();
        rows.map_err(|source| BackupError::Table { table: table.name, source })?
    }};
}

impl SqlStore {
    /// Writes all that is kept, as it is at one moment; what is changed meanwhile is not in it.
    /// Returns what was written, and where it was written to.
    ///
    /// # Errors
    /// [`BackupError`]; what was written by then is no backup.
    pub async fn backup<W: Write>(
        &self,
        to: W,
        how: Backup<'_>,
    ) -> Result<(Contents, W), BackupError> {
        let migrations = self.same_migrations().await?;
        let Backup { secret, now, progress } = how;
        let mut output = Output::begin(to, now, &migrations, secret)?;
        let (mut counts, mut chain) = (Vec::with_capacity(TABLES.len()), Followed::default());
        on!(&self.database, pool => {
            let mut transaction = pool.begin_snapshot().await.map_err(SqlError::from)?;
            for table in TABLES {
                let (mut count, mut told) = (0, 0);
                let mut last: Option<Row> = None;
                loop {
                    let page = page!(transaction, table, last.as_ref());
                    for row in &page {
                        chain.see(table, row);
                        output.line(cell::to_line(table, row))?;
                    }
                    let read = page.len();
                    count += u64::try_from(read).unwrap_or(u64::MAX);
                    if read < PAGE {
                        break;
                    }
                    last = page.into_iter().last();
                    if count - told >= TOLD_EVERY {
                        progress(table.name, count);
                        told = count;
                    }
                }
                progress(table.name, count);
                counts.push((table.name, count));
            }
            transaction.rollback().await.map_err(SqlError::from)?;
        });
        let to = output.end(&counts)?;
        let contents = Contents {
            made_at: now,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            sealed: secret.is_some(),
            rows: counts,
            audit: chain.verdict(),
        };
        Ok((contents, to))
    }
}

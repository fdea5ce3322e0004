//! Restoring a backup.

use std::io::Read;

use postern_store::StoreError;
use postern_store::durable::{AuditEntry, Sealed};

use super::cell::{Cell, Row, text};
use super::chain::Followed;
use super::input::{Header, Input, Line};
use super::tables::{SIGNING, TABLES, Table};
use super::{BackupError, BackupSecret, Contents, NOT_KEPT, Progress, of_table};
use crate::SqlStore;
use crate::audit::{append, committed};
use crate::column::read_bytes;
use crate::database::{Begin as _, on};
use crate::error::SqlError;

/// Rows that are written at a time: no statement binds more than 32,766 values.
const BATCH: usize = 64;
/// What these may take, as far as texts go: a batch ends with the row that is over it.
const BATCH_BYTES: usize = 1_048_576;

/// How a backup is restored.
pub struct Restore<'a> {
    /// What it was sealed with: with this, a file that is not sealed is refused.
    pub secret: Option<BackupSecret<'a>>,
    /// Whether what was restored stays; else all of it is tried, and taken back.
    pub keep: bool,
    /// Whether a log is taken whose chain was broken when the backup was made.
    pub accept_broken_chain: bool,
    /// Whether the key that is at hand opens a signing key, by its id and its sealed half. Where the
    /// file has signing keys and none opens, nothing is restored: nobody could sign with them.
    pub opens: &'a dyn Fn(&str, &Sealed) -> bool,
    /// What the audit log says of it.
    pub entry: &'a dyn Fn(&Contents) -> AuditEntry,
    /// Is told how far it is.
    pub progress: Progress<'a>,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What stood in the file.
    pub contents: Contents,
    /// The number of the audit log's entry about it; none where it was only tried.
    pub entry: Option<u64>,
}

/// Signing keys that have gone by, and whether one of them opened.
#[derive(Default)]
struct SigningKeys {
    any: bool,
    opened: bool,
}

impl SigningKeys {
    fn see(&mut self, table: &Table, row: &Row, opens: &dyn Fn(&str, &Sealed) -> bool) {
        if table.name != SIGNING || self.opened {
            return;
        }
        self.any = true;
        let sealed = text(table, row, "private_sealed").and_then(read_bytes).map(Sealed);
        let kid = text(table, row, "kid");
        self.opened = kid.zip(sealed).is_some_and(|(kid, sealed)| opens(kid, &sealed));
    }

    const fn verdict(&self) -> Result<(), BackupError> {
        if self.any && !self.opened { Err(BackupError::SigningKeys) } else { Ok(()) }
    }
}

/// Rows of one table that are not written yet.
#[derive(Default)]
struct Batch {
    place: usize,
    rows: Vec<Row>,
    bytes: usize,
}

impl Batch {
    /// The rows that have to be written before this one is taken.
    fn take(&mut self, place: usize, row: Row) -> Option<(&'static Table, Vec<Row>)> {
        let is_full = self.rows.len() >= BATCH || self.bytes >= BATCH_BYTES;
        let full = if is_full || place != self.place { self.rest() } else { None };
        self.place = place;
        let bytes = row.iter().map(|cell| match cell {
            Cell::Text(Some(text)) => text.len(),
            _ => 0,
        });
        self.bytes += bytes.sum::<usize>();
        self.rows.push(row);
        full
    }

    fn rest(&mut self) -> Option<(&'static Table, Vec<Row>)> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        let table = TABLES.get(self.place)?;
        (!rows.is_empty()).then_some((table, rows))
    }
}

/// Writes rows within a transaction of either database.
macro_rules! insert {
    ($transaction:ident, $rows:expr) => {{
        let (table, rows): (&'static Table, Vec<Row>) = $rows;
        // Composed of the names in `tables` alone.
        let mut query = sqlx::query(sqlx::AssertSqlSafe(table.insert(rows.len())));
        for cell in rows.into_iter().flatten() {
            query = match cell {
                Cell::Text(text) => query.bind(text),
                Cell::Integer(number) => query.bind(number),
                Cell::Boolean(truth) => query.bind(truth),
            };
        }
        query.execute(&mut *$transaction).await.map_err(of_table(table.name))?;
    }};
}

impl SqlStore {
    /// Reads a backup into a database that is empty but for its migrations, which are those that
    /// the backup was made with: all of it or none. The list of revocations gets a new identity.
    ///
    /// # Errors
    /// [`BackupError`]; nothing is changed then.
    pub async fn restore<R: Read>(
        &self,
        from: R,
        how: Restore<'_>,
    ) -> Result<Restored, BackupError> {
        let migrations = self.same_migrations().await?;
        let Restore { secret, keep, accept_broken_chain, opens, entry, progress } = how;
        let (header, mut input) = Input::begin(from, secret)?;
        fits(&header, &migrations)?;
        let (mut chain, mut batch) = (Followed::default(), Batch::default());
        let mut signing_keys = SigningKeys::default();
        on!(&self.database, pool => {
            let mut transaction = pool.begin_restore().await.map_err(SqlError::from)?;
            for table in TABLES {
                let count = sqlx::query_scalar(sqlx::AssertSqlSafe(table.occupied()));
                let count: i64 =
                    count.fetch_one(&mut *transaction).await.map_err(of_table(table.name))?;
                if count > 0 {
                    return Err(BackupError::NotEmpty(table.name));
                }
                if let Some(clear) = table.clear() {
                    let clear = sqlx::query(sqlx::AssertSqlSafe(clear));
                    clear.execute(&mut *transaction).await.map_err(of_table(table.name))?;
                }
            }
            // Made by the first server that asks, which would be one that has run here before.
            let identities: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM feed_identity")
                .fetch_one(&mut *transaction)
                .await
                .map_err(of_table("feed_identity"))?;
            if identities > 0 {
                return Err(BackupError::NotEmpty("feed_identity"));
            }
            while let Line::Row(place, row) = input.next()? {
                let Some(current) = TABLES.get(place) else { continue };
                chain.see(current, &row);
                signing_keys.see(current, &row, opens);
                if let Some((table, rows)) = batch.take(place, row) {
                    if table.name != current.name {
                        progress(table.name, input.count_of(table));
                    }
                    insert!(transaction, (table, rows));
                }
            }
            if let Some((table, rows)) = batch.rest() {
                progress(table.name, input.count_of(table));
                insert!(transaction, (table, rows));
            }
            signing_keys.verdict()?;
            let contents = judge(&header, &input, &chain, accept_broken_chain)?;
            if !keep {
                transaction.rollback().await.map_err(SqlError::from)?;
                return Ok(Restored { contents, entry: None });
            }
            let entry = entry(&contents);
            let appended = async {
                let record = append!(transaction, &entry);
                transaction.commit().await.map_err(crate::error::store_error)?;
                Ok::<_, StoreError>(record)
            };
            let record = appended
                .await
                .map_err(|source| BackupError::Table { table: "audit_log", source })?;
            committed(&self.database, &record);
            Ok(Restored { contents, entry: Some(record.seq) })
        })
    }
}

fn fits(header: &Header, migrations: &[String]) -> Result<(), BackupError> {
    if header.migrations == migrations {
        return Ok(());
    }
    let last = |names: &[String]| names.last().cloned().unwrap_or_else(|| "none".to_owned());
    // It is shown, and somebody else may have written it.
    let is_name = |name: &String| {
        name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if !header.migrations.iter().all(is_name) {
        return Err(BackupError::NoBackup("it names migrations that are none"));
    }
    Err(BackupError::Migrations { file: last(&header.migrations), database: last(migrations) })
}

/// What stood in the file, where it may be kept.
fn judge(
    header: &Header,
    input: &Input<'_>,
    chain: &Followed,
    accept_broken_chain: bool,
) -> Result<Contents, BackupError> {
    let rows = input.counts();
    for (table, (_, count)) in TABLES.iter().zip(&rows) {
        if table.counter && *count != 1 {
            return Err(BackupError::NoBackup("it does not say which number was given out last"));
        }
    }
    let audit = chain.verdict();
    if let (Err(broken), false) = (audit, accept_broken_chain) {
        return Err(BackupError::Chain(broken));
    }
    Ok(Contents {
        made_at: header.made_at,
        release: header.release.clone(),
        sealed: header.is_sealed(),
        rows,
        audit,
    })
}

const _: () = assert!(NOT_KEPT.len() == 2, "restore looks whether these are empty");

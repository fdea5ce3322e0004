//! The tables `audit_log` and `audit_head`, and how other tables are changed together with them.

use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::audit::{AuditEntry, AuditHead, AuditRecord, MAX_AUDIT_PAGE};

use crate::column::{Columns, corrupt, write_digest, write_number};
use crate::database::{Begin as _, Database, on};
use crate::error::store_error;

/// The hash of so many entries goes to the program's own log each time, so that there is one
/// outside of the database.
const ANCHOR_EVERY: u64 = 1_000;

/// Appends an entry within a transaction of either database, as the last thing that it does: the
/// head's row is locked from then on up to the commit, and whoever has it waits for nobody.
macro_rules! append {
    ($transaction:ident, $entry:expr) => {{
        let head = sqlx::query(
            "UPDATE audit_head SET last_seq = last_seq + 1 WHERE id = 1 RETURNING last_seq, hash",
        )
        .fetch_optional(&mut *$transaction)
        .await
        .map_err($crate::error::store_error)?;
        let record = $crate::audit::following(head.as_ref(), $entry)?;
        let hash = $crate::column::write_digest(&record.hash);
        sqlx::query(
            "INSERT INTO audit_log (seq, at, actor, action, target, detail, previous, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind($crate::column::write_number(record.seq))
        .bind($crate::column::write_time(record.entry.at))
        .bind(record.entry.actor.clone())
        .bind(record.entry.action.clone())
        .bind(record.entry.target.clone())
        .bind(record.entry.detail.clone())
        .bind($crate::column::write_digest(&record.previous))
        .bind(hash.clone())
        .execute(&mut *$transaction)
        .await
        .map_err($crate::audit::not_appended)?;
        sqlx::query("UPDATE audit_head SET hash = $1 WHERE id = 1")
            .bind(hash)
            .execute(&mut *$transaction)
            .await
            .map_err($crate::error::store_error)?;
        record
    }};
}
pub(crate) use append;

/// Changes something in a transaction of its own, and appends an entry where there was something to
/// change: both or none. `$changed` says whether there was, and asks by `$transaction`, which
/// begins by `$begin` of [`crate::database::Begin`].
macro_rules! audited {
    ($database:expr, $entry:expr, $transaction:ident => $changed:expr) => {
        $crate::audit::audited!($database, $entry, begin_write: $transaction => $changed)
    };
    ($database:expr, $entry:expr, $begin:ident: $transaction:ident => $changed:expr) => {
        $crate::database::on!($database, pool => {
            let mut $transaction = $crate::database::Begin::$begin(pool)
                .await
                .map_err($crate::error::store_error)?;
            let changed: bool = $changed;
            if changed {
                let record = $crate::audit::append!($transaction, $entry);
                $transaction.commit().await.map_err($crate::error::store_error)?;
                $crate::audit::committed($database, &record);
            } else {
                $transaction.rollback().await.map_err($crate::error::store_error)?;
            }
            changed
        })
    };
}
pub(crate) use audited;

/// Where a record stands already that nobody here wrote, it is not what was to be changed that is
/// there already.
pub(crate) fn not_appended(error: sqlx::Error) -> StoreError {
    match store_error(error) {
        StoreError::Conflict => corrupt("seq of audit_log"),
        other => other,
    }
}

/// Tells of an entry that is committed, and now and then says where the log stands.
pub(crate) fn committed(database: &Database, record: &AuditRecord) {
    database.watch.tell(&record.entry);
    if record.seq.is_multiple_of(ANCHOR_EVERY) {
        let hash = write_digest(&record.hash);
        tracing::info!(seq = record.seq, %hash, "the audit log has reached another thousand");
    }
}

/// The record that an entry makes, from the head that already counts it.
pub(crate) fn following<R: Columns>(
    head: Option<&R>,
    entry: &AuditEntry,
) -> Result<AuditRecord, StoreError> {
    let head = head.ok_or_else(|| corrupt("audit_head"))?;
    let (seq, previous) = (head.number("last_seq")?, head.digest("hash")?);
    // Times are kept in 63 bits, and are hashed as they are kept.
    let latest = UnixMillis(i64::MAX.unsigned_abs());
    let entry = AuditEntry {
        at: entry.at.min(latest),
        actor: kept(&entry.actor),
        action: kept(&entry.action),
        target: kept(&entry.target),
        detail: kept(&entry.detail),
    };
    Ok(AuditRecord::after(previous, seq, entry))
}

/// A text as both databases keep it. What somebody sent must not make the entry about it fail, so
/// what PostgreSQL has no room for is shown as what is not to be read.
fn kept(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(crate) async fn add(database: &Database, entry: &AuditEntry) -> Result<u64, StoreError> {
    on!(database, pool => {
        let mut transaction = pool.begin_write().await.map_err(store_error)?;
        let record = append!(transaction, entry);
        transaction.commit().await.map_err(store_error)?;
        committed(database, &record);
        Ok(record.seq)
    })
}

pub(crate) async fn since(
    database: &Database,
    after: u64,
    limit: u32,
) -> Result<Vec<AuditRecord>, StoreError> {
    on!(database, pool => {
        let rows = sqlx::query(
            "SELECT seq, at, actor, action, target, detail, previous, hash FROM audit_log \
             WHERE seq > $1 ORDER BY seq LIMIT $2",
        )
        .bind(write_number(after))
        .bind(i64::from(limit.min(MAX_AUDIT_PAGE)))
        .fetch_all(pool)
        .await
        .map_err(store_error)?;
        rows.iter().map(read).collect()
    })
}

/// None while nothing was appended.
pub(crate) async fn head(database: &Database) -> Result<Option<AuditHead>, StoreError> {
    let head = on!(database, pool => {
        let row = sqlx::query("SELECT last_seq, hash FROM audit_head WHERE id = 1")
            .fetch_optional(pool)
            .await
            .map_err(store_error)?;
        let row = row.ok_or_else(|| corrupt("audit_head"))?;
        AuditHead { seq: row.number("last_seq")?, hash: row.digest("hash")? }
    });
    Ok((head.seq > 0).then_some(head))
}

/// As it stands there: whoever reads it checks the chain.
fn read<R: Columns>(row: &R) -> Result<AuditRecord, StoreError> {
    let entry = AuditEntry {
        at: row.time("at")?,
        actor: row.text("actor")?,
        action: row.text("action")?,
        target: row.text("target")?,
        detail: row.text("detail")?,
    };
    let (previous, hash) = (row.digest("previous")?, row.digest("hash")?);
    Ok(AuditRecord { seq: row.number("seq")?, entry, previous, hash })
}

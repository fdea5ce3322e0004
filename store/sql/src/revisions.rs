//! The table `config_revisions`.

use postern_store::StoreError;
use postern_store::durable::{
    AuditEntry, MAX_PAGE, PageAsk, Paged, RevisionRecord, RevisionSummary,
};

use crate::audit::audited;
use crate::column::{Columns, corrupt, write_number, write_time};
use crate::database::{Database, on};
use crate::error::store_error;

/// All but the document, which may be long.
macro_rules! summary {
    () => {
        "number, digest, who, created_at, why, active"
    };
}

/// Whoever adds one at the same time waits for the row that was active, or for the number, and then
/// finds that it is taken: each without a conflict that would be an error.
pub(crate) async fn add(
    database: &Database,
    revision: RevisionRecord,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let RevisionRecord { summary, document } = revision;
    let added = audited!(database, entry, transaction => {
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(number) FROM config_revisions")
            .fetch_one(&mut *transaction)
            .await
            .map_err(store_error)?;
        let next = u64::try_from(last.unwrap_or(0)).map_err(|_| corrupt("number"))? + 1;
        if summary.number == next {
            sqlx::query("UPDATE config_revisions SET active = FALSE WHERE active")
                .execute(&mut *transaction)
                .await
                .map_err(store_error)?;
            let done = sqlx::query(
                "INSERT INTO config_revisions \
                 (number, document, digest, who, created_at, why, active) \
                 VALUES ($1, $2, $3, $4, $5, $6, TRUE) ON CONFLICT DO NOTHING",
            )
            .bind(write_number(summary.number))
            .bind(document)
            .bind(summary.digest)
            .bind(summary.who)
            .bind(write_time(summary.at))
            .bind(summary.why)
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
            done.rows_affected() == 1
        } else {
            false
        }
    });
    Ok(added)
}

pub(crate) async fn active(database: &Database) -> Result<Option<RevisionSummary>, StoreError> {
    on!(database, pool => {
        let row = sqlx::query(concat!(
            "SELECT ", summary!(), " FROM config_revisions WHERE active"
        ))
        .fetch_optional(pool)
        .await
        .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    })
}

pub(crate) async fn find(
    database: &Database,
    number: u64,
) -> Result<Option<RevisionRecord>, StoreError> {
    on!(database, pool => {
        let row = sqlx::query(concat!(
            "SELECT ", summary!(), ", document FROM config_revisions WHERE number = $1"
        ))
        .bind(write_number(number))
        .fetch_optional(pool)
        .await
        .map_err(store_error)?;
        row.as_ref().map(read_whole).transpose()
    })
}

pub(crate) async fn page(
    database: &Database,
    ask: PageAsk,
) -> Result<Paged<RevisionSummary>, StoreError> {
    let statement = if ask.newest_first {
        concat!(
            "SELECT ",
            summary!(),
            " FROM config_revisions ORDER BY number DESC LIMIT $1 OFFSET $2"
        )
    } else {
        concat!("SELECT ", summary!(), " FROM config_revisions ORDER BY number LIMIT $1 OFFSET $2")
    };
    on!(database, pool => {
        let rows = sqlx::query(statement)
            .bind(i64::from(ask.limit.min(MAX_PAGE)))
            .bind(write_number(ask.offset))
            .fetch_all(pool)
            .await
            .map_err(store_error)?;
        let total: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM config_revisions")
            .fetch_one(pool)
            .await
            .map_err(store_error)?;
        Ok(Paged {
            records: rows.iter().map(read).collect::<Result<_, _>>()?,
            total: u64::try_from(total).map_err(|_| corrupt("count"))?,
        })
    })
}

fn read<R: Columns>(row: &R) -> Result<RevisionSummary, StoreError> {
    Ok(RevisionSummary {
        number: row.number("number")?,
        digest: row.text("digest")?,
        who: row.text("who")?,
        at: row.time("created_at")?,
        why: row.text("why")?,
        active: row.boolean("active")?,
    })
}

fn read_whole<R: Columns>(row: &R) -> Result<RevisionRecord, StoreError> {
    Ok(RevisionRecord { summary: read(row)?, document: row.text("document")? })
}

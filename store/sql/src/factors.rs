//! The table `mfa_factors`.

use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::{AuditEntry, FactorKind, FactorRecord, Sealed};

use crate::audit::audited;
use crate::column::{Columns, corrupt, write_bytes, write_number, write_time};
use crate::database::{Database, on};
use crate::error::store_error;

macro_rules! columns {
    () => {
        "id, user_id, kind, name, sealed, credential_id, last_step, confirmed_at, created_at, \
         last_used_at"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO mfa_factors (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING"
);

pub(crate) async fn insert(
    database: &Database,
    factor: FactorRecord,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    let inserted = audited!(database, entry, transaction => {
        let done = sqlx::query(INSERT)
            .bind(factor.id)
            .bind(factor.user_id)
            .bind(factor.kind.as_str())
            .bind(factor.name)
            .bind(write_bytes(&factor.sealed.0))
            .bind(factor.credential_id)
            .bind(write_number(factor.last_step))
            .bind(factor.confirmed_at.map(write_time))
            .bind(write_time(factor.created_at))
            .bind(factor.last_used_at.map(write_time))
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        done.rows_affected() == 1
    });
    if inserted { Ok(()) } else { Err(StoreError::Conflict) }
}

/// Oldest first; of one age, in an order that no collation of the database changes.
pub(crate) async fn of_user(
    database: &Database,
    user_id: &str,
) -> Result<Vec<FactorRecord>, StoreError> {
    let mut factors: Vec<FactorRecord> = on!(database, pool => {
        let rows =
            sqlx::query(concat!("SELECT ", columns!(), " FROM mfa_factors WHERE user_id = $1"))
                .bind(user_id.to_owned())
                .fetch_all(pool)
                .await
                .map_err(store_error)?;
        rows.iter().map(read).collect::<Result<_, _>>()?
    });
    factors.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    Ok(factors)
}

pub(crate) async fn find_passkey(
    database: &Database,
    credential_id: &str,
) -> Result<Option<FactorRecord>, StoreError> {
    on!(database, pool => {
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM mfa_factors WHERE credential_id = $1"
        ))
        .bind(credential_id.to_owned())
        .fetch_optional(pool)
        .await
        .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    })
}

/// What is put in the place of what.
pub(crate) struct Use<'a> {
    pub(crate) id: &'a str,
    pub(crate) from: &'a Sealed,
    pub(crate) to: Sealed,
    pub(crate) after_step: u64,
    pub(crate) step: u64,
    pub(crate) at: UnixMillis,
}

/// One statement: of two who show the same code, the second finds another step.
pub(crate) async fn use_once(database: &Database, used: &Use<'_>) -> Result<bool, StoreError> {
    let rows = on!(database, pool => {
        let done = sqlx::query(
            "UPDATE mfa_factors SET sealed = $1, last_step = $2, last_used_at = $3 \
             WHERE id = $4 AND sealed = $5 AND last_step = $6",
        )
        .bind(write_bytes(&used.to.0))
        .bind(write_number(used.step))
        .bind(write_time(used.at))
        .bind(used.id.to_owned())
        .bind(write_bytes(&used.from.0))
        .bind(write_number(used.after_step))
        .execute(pool)
        .await
        .map_err(store_error)?;
        done.rows_affected()
    });
    Ok(rows > 0)
}

pub(crate) async fn confirm(
    database: &Database,
    id: &str,
    at: UnixMillis,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let confirmed = audited!(database, entry, transaction => {
        let done = sqlx::query(
            "UPDATE mfa_factors SET confirmed_at = $1 WHERE id = $2 AND confirmed_at IS NULL",
        )
        .bind(write_time(at))
        .bind(id.to_owned())
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
        done.rows_affected() == 1
    });
    Ok(confirmed)
}

pub(crate) async fn delete(
    database: &Database,
    user_id: &str,
    id: &str,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let deleted = audited!(database, entry, transaction => {
        let done = sqlx::query("DELETE FROM mfa_factors WHERE id = $1 AND user_id = $2")
            .bind(id.to_owned())
            .bind(user_id.to_owned())
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        done.rows_affected() == 1
    });
    Ok(deleted)
}

fn read<R: Columns>(row: &R) -> Result<FactorRecord, StoreError> {
    Ok(FactorRecord {
        id: row.text("id")?,
        user_id: row.text("user_id")?,
        kind: FactorKind::parse(&row.text("kind")?).ok_or_else(|| corrupt("kind"))?,
        name: row.text("name")?,
        sealed: row.sealed("sealed")?,
        credential_id: row.optional_text("credential_id")?,
        last_step: row.number("last_step")?,
        confirmed_at: row.optional_time("confirmed_at")?,
        created_at: row.time("created_at")?,
        last_used_at: row.optional_time("last_used_at")?,
    })
}

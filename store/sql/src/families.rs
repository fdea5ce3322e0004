//! The table `refresh_families`.

use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::{AuditEntry, FamilyRecord, MAX_PAGE};

use crate::audit::audited;
use crate::column::{Columns, write_digest, write_time};
use crate::database::{Database, on};
use crate::error::store_error;

macro_rules! columns {
    () => {
        "id, user_id, client_id, session_id, scopes, created_at, ends_at, ended_at, end_reason"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO refresh_families (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING"
);

pub(crate) async fn insert(database: &Database, family: FamilyRecord) -> Result<(), StoreError> {
    let rows = on!(database, pool => {
        let done = sqlx::query(INSERT)
            .bind(write_digest(&family.id))
            .bind(family.user_id)
            .bind(family.client_id)
            .bind(family.session_id)
            .bind(family.scopes.join(" "))
            .bind(write_time(family.created_at))
            .bind(write_time(family.ends_at))
            .bind(family.ended_at.map(write_time))
            .bind(family.end_reason)
            .execute(pool)
            .await
            .map_err(store_error)?;
        done.rows_affected()
    });
    if rows == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

pub(crate) async fn find(
    database: &Database,
    id: [u8; 32],
) -> Result<Option<FamilyRecord>, StoreError> {
    on!(database, pool => {
        let row =
            sqlx::query(concat!("SELECT ", columns!(), " FROM refresh_families WHERE id = $1"))
                .bind(write_digest(&id))
                .fetch_optional(pool)
                .await
                .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    })
}

/// Pages go by the id that the last one ended with: no id is empty, so an empty text begins.
pub(crate) async fn of_user(
    database: &Database,
    user_id: &str,
    after: Option<[u8; 32]>,
    limit: u32,
) -> Result<Vec<FamilyRecord>, StoreError> {
    on!(database, pool => {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM refresh_families WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3"
        ))
        .bind(user_id.to_owned())
        .bind(after.as_ref().map(write_digest).unwrap_or_default())
        .bind(i64::from(limit.min(MAX_PAGE)))
        .fetch_all(pool)
        .await
        .map_err(store_error)?;
        rows.iter().map(read).collect()
    })
}

pub(crate) async fn end(
    database: &Database,
    id: [u8; 32],
    at: UnixMillis,
    reason: &str,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let ended = audited!(database, entry, transaction => {
        let done = sqlx::query(
            "UPDATE refresh_families SET ended_at = $1, end_reason = $2 \
             WHERE id = $3 AND ended_at IS NULL",
        )
        .bind(write_time(at))
        .bind(reason.to_owned())
        .bind(write_digest(&id))
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
        done.rows_affected() == 1
    });
    Ok(ended)
}

const END_OF_SESSION: &str = "UPDATE refresh_families SET ended_at = $1, end_reason = $2 \
    WHERE session_id = $3 AND ended_at IS NULL RETURNING id";
const END_OF_USER: &str = "UPDATE refresh_families SET ended_at = $1, end_reason = $2 \
    WHERE user_id = $3 AND ended_at IS NULL RETURNING id";

pub(crate) async fn end_of_session(
    database: &Database,
    session_id: &str,
    at: UnixMillis,
    reason: &str,
) -> Result<Vec<[u8; 32]>, StoreError> {
    end_all(database, END_OF_SESSION, session_id, at, reason).await
}

pub(crate) async fn end_of_user(
    database: &Database,
    user_id: &str,
    at: UnixMillis,
    reason: &str,
) -> Result<Vec<[u8; 32]>, StoreError> {
    end_all(database, END_OF_USER, user_id, at, reason).await
}

/// One statement: a crash leaves all of them or none.
async fn end_all(
    database: &Database,
    statement: &'static str,
    whose: &str,
    at: UnixMillis,
    reason: &str,
) -> Result<Vec<[u8; 32]>, StoreError> {
    on!(database, pool => {
        let rows = sqlx::query(statement)
        .bind(write_time(at))
        .bind(reason.to_owned())
        .bind(whose.to_owned())
        .fetch_all(pool)
        .await
        .map_err(store_error)?;
        rows.iter().map(|row| row.digest("id")).collect()
    })
}

pub(crate) async fn delete_ended(
    database: &Database,
    before: UnixMillis,
    limit: u32,
) -> Result<u64, StoreError> {
    Ok(on!(database, pool => {
        let done = sqlx::query(
            "DELETE FROM refresh_families WHERE id IN \
             (SELECT id FROM refresh_families WHERE ends_at < $1 ORDER BY ends_at LIMIT $2)",
        )
        .bind(write_time(before))
        .bind(i64::from(limit))
        .execute(pool)
        .await
        .map_err(store_error)?;
        done.rows_affected()
    }))
}

fn read<R: Columns>(row: &R) -> Result<FamilyRecord, StoreError> {
    Ok(FamilyRecord {
        id: row.digest("id")?,
        user_id: row.text("user_id")?,
        client_id: row.text("client_id")?,
        session_id: row.text("session_id")?,
        scopes: row.names("scopes")?,
        created_at: row.time("created_at")?,
        ends_at: row.time("ends_at")?,
        ended_at: row.optional_time("ended_at")?,
        end_reason: row.optional_text("end_reason")?,
    })
}

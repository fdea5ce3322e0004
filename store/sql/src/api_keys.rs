//! The table `api_keys`.

use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::{ApiKeyRecord, MAX_PAGE};

use crate::column::{Columns, write_hash, write_time};
use crate::database::{Database, on};
use crate::error::store_error;

pub(crate) async fn insert(database: &Database, key: ApiKeyRecord) -> Result<(), StoreError> {
    let rows = on!(database, pool => {
        let done = sqlx::query(
            "INSERT INTO api_keys \
             (id, key_hash, subject, client_id, scopes, tier, expires_at, created_at, revoked_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        )
        .bind(key.id)
        .bind(write_hash(&key.sha256))
        .bind(key.subject)
        .bind(key.client_id)
        .bind(key.scopes.join(" "))
        .bind(key.tier)
        .bind(key.expires_at.map(write_time))
        .bind(write_time(key.created_at))
        .bind(key.revoked_at.map(write_time))
        .execute(pool)
        .await
        .map_err(store_error)?;
        done.rows_affected()
    });
    if rows == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

pub(crate) async fn find(
    database: &Database,
    id: &str,
) -> Result<Option<ApiKeyRecord>, StoreError> {
    on!(database, pool => {
        let row = sqlx::query(
            "SELECT id, key_hash, subject, client_id, scopes, tier, expires_at, created_at, \
             revoked_at FROM api_keys WHERE id = $1",
        )
        .bind(id.to_owned())
        .fetch_optional(pool)
        .await
        .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    })
}

/// Pages go by the id that the last one ended with: no id is empty, so an empty text begins.
pub(crate) async fn list(
    database: &Database,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<ApiKeyRecord>, StoreError> {
    on!(database, pool => {
        let rows = sqlx::query(
            "SELECT id, key_hash, subject, client_id, scopes, tier, expires_at, created_at, \
             revoked_at FROM api_keys WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after.unwrap_or_default().to_owned())
        .bind(i64::from(limit.min(MAX_PAGE)))
        .fetch_all(pool)
        .await
        .map_err(store_error)?;
        rows.iter().map(read).collect()
    })
}

pub(crate) async fn revoke(
    database: &Database,
    id: &str,
    revoked_at: UnixMillis,
) -> Result<bool, StoreError> {
    let rows = on!(database, pool => {
        let done = sqlx::query(
            "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2",
        )
        .bind(write_time(revoked_at))
        .bind(id.to_owned())
        .execute(pool)
        .await
        .map_err(store_error)?;
        done.rows_affected()
    });
    Ok(rows > 0)
}

fn read<R: Columns>(row: &R) -> Result<ApiKeyRecord, StoreError> {
    Ok(ApiKeyRecord {
        id: row.text("id")?,
        sha256: row.hash("key_hash")?,
        subject: row.text("subject")?,
        client_id: row.optional_text("client_id")?,
        scopes: row.names("scopes")?,
        tier: row.optional_text("tier")?,
        expires_at: row.optional_time("expires_at")?,
        created_at: row.time("created_at")?,
        revoked_at: row.optional_time("revoked_at")?,
    })
}

//! The table `api_keys`.

use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::{ApiKeyRecord, AuditEntry, PageAsk, Paged};

use crate::audit::audited;
use crate::column::{Columns, holds_nul, write_hash, write_number, write_time};
use crate::database::{Begin as _, Database, on};
use crate::error::store_error;
use crate::page::{list, page};

macro_rules! columns {
    () => {
        "id, key_hash, subject, name, client_id, scopes, tier, limits, expires_at, created_at, \
         revoked_at, successor, last_used_at, request_count"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO api_keys (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
     ON CONFLICT DO NOTHING"
);

/// Replicas tell of their own part each, in any order.
const TOUCH: &str = "UPDATE api_keys SET \
    last_used_at = CASE WHEN last_used_at IS NULL OR last_used_at < $1 \
    THEN $1 ELSE last_used_at END, \
    request_count = request_count + $2 WHERE id = $3";

pub(crate) async fn insert(database: &Database, key: ApiKeyRecord) -> Result<(), StoreError> {
    let rows = on!(database, pool => {
        let done = sqlx::query(INSERT)
            .bind(key.id)
            .bind(write_hash(&key.sha256))
            .bind(key.subject)
            .bind(key.name)
            .bind(key.client_id)
            .bind(key.scopes.join(" "))
            .bind(key.tier)
            .bind(key.limits.join(" "))
            .bind(key.expires_at.map(write_time))
            .bind(write_time(key.created_at))
            .bind(key.revoked_at.map(write_time))
            .bind(key.successor)
            .bind(key.last_used_at.map(write_time))
            .bind(write_number(key.request_count))
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
        let row = sqlx::query(concat!("SELECT ", columns!(), " FROM api_keys WHERE id = $1"))
            .bind(id.to_owned())
            .fetch_optional(pool)
            .await
            .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    })
}

pub(crate) async fn list(
    database: &Database,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<ApiKeyRecord>, StoreError> {
    list!(database, after, limit, [columns!()] of "api_keys" by "id", read)
}

pub(crate) async fn page(
    database: &Database,
    ask: PageAsk,
) -> Result<Paged<ApiKeyRecord>, StoreError> {
    page!(database, ask, [columns!()] of "api_keys" by "id", read)
}

pub(crate) async fn change(
    database: &Database,
    key: ApiKeyRecord,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let changed = audited!(database, entry, transaction => {
        let done = sqlx::query(
            "UPDATE api_keys SET name = $1, scopes = $2, tier = $3, limits = $4, \
             expires_at = $5, successor = $6 WHERE id = $7 AND revoked_at IS NULL \
             AND (successor IS NULL OR successor = $6)",
        )
        .bind(key.name)
        .bind(key.scopes.join(" "))
        .bind(key.tier)
        .bind(key.limits.join(" "))
        .bind(key.expires_at.map(write_time))
        .bind(key.successor)
        .bind(key.id)
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
        done.rows_affected() == 1
    });
    Ok(changed)
}

pub(crate) async fn touch(
    database: &Database,
    used: &[(String, UnixMillis, u64)],
) -> Result<(), StoreError> {
    let mut used: Vec<_> = used.iter().filter(|(id, ..)| !holds_nul(id)).collect();
    if used.is_empty() {
        return Ok(());
    }
    // Replicas that tell of the same keys take their rows in the same order, and so none waits for
    // one that waits for it.
    used.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    on!(database, pool => {
        let mut transaction = pool.begin_write().await.map_err(store_error)?;
        for (id, at, requests) in used {
            sqlx::query(TOUCH)
                .bind(write_time(*at))
                .bind(write_number(*requests))
                .bind(id.clone())
                .execute(&mut *transaction)
                .await
                .map_err(store_error)?;
        }
        transaction.commit().await.map_err(store_error)
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
        name: row.optional_text("name")?,
        client_id: row.optional_text("client_id")?,
        scopes: row.names("scopes")?,
        tier: row.optional_text("tier")?,
        limits: row.names("limits")?,
        expires_at: row.optional_time("expires_at")?,
        created_at: row.time("created_at")?,
        revoked_at: row.optional_time("revoked_at")?,
        successor: row.optional_text("successor")?,
        last_used_at: row.optional_time("last_used_at")?,
        request_count: row.number("request_count")?,
    })
}

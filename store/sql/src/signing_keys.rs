//! The table `signing_keys`.

use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::SigningKeyRecord;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use crate::column::{Columns, write_sealed, write_time};
use crate::error::store_error;

pub(crate) async fn list(pool: &SqlitePool) -> Result<Vec<SigningKeyRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT kid, algorithm, public_jwk, private_sealed, created_at, activates_at, retires_at \
         FROM signing_keys ORDER BY created_at, kid",
    )
    .fetch_all(pool)
    .await
    .map_err(store_error)?;
    rows.iter().map(read).collect()
}

pub(crate) async fn insert(pool: &SqlitePool, key: SigningKeyRecord) -> Result<(), StoreError> {
    let done = sqlx::query(
        "INSERT INTO signing_keys \
         (kid, algorithm, public_jwk, private_sealed, created_at, activates_at, retires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(key.kid)
    .bind(key.algorithm)
    .bind(key.public_jwk)
    .bind(write_sealed(&key.private_sealed))
    .bind(write_time(key.created_at))
    .bind(write_time(key.activates_at))
    .bind(key.retires_at.map(write_time))
    .execute(pool)
    .await
    .map_err(store_error)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

pub(crate) async fn set_retirement(
    pool: &SqlitePool,
    kid: &str,
    retires_at: UnixMillis,
) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE signing_keys SET retires_at = $1 WHERE kid = $2")
        .bind(write_time(retires_at))
        .bind(kid.to_owned())
        .execute(pool)
        .await
        .map_err(store_error)?;
    Ok(done.rows_affected() > 0)
}

fn read(row: &SqliteRow) -> Result<SigningKeyRecord, StoreError> {
    let columns = Columns(row);
    Ok(SigningKeyRecord {
        kid: columns.text("kid")?,
        algorithm: columns.text("algorithm")?,
        public_jwk: columns.text("public_jwk")?,
        private_sealed: columns.sealed("private_sealed")?,
        created_at: columns.time("created_at")?,
        activates_at: columns.time("activates_at")?,
        retires_at: columns.optional_time("retires_at")?,
    })
}

//! The table `signing_keys`.

use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::{PublicSigningKey, SigningKeyRecord};

use crate::column::{Columns, write_bytes, write_time};
use crate::database::{Begin as _, Database, on};
use crate::error::store_error;

const INSERT: &str = "INSERT INTO signing_keys \
    (kid, algorithm, public_jwk, private_sealed, created_at, activates_at, retires_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";

/// Inserts a key, by a pool or within a transaction of either database; how many rows that made.
macro_rules! insert {
    ($executor:expr, $key:expr) => {{
        let key: SigningKeyRecord = $key;
        sqlx::query(INSERT)
            .bind(key.kid)
            .bind(key.algorithm)
            .bind(key.public_jwk)
            .bind(write_bytes(&key.private_sealed.0))
            .bind(write_time(key.created_at))
            .bind(write_time(key.activates_at))
            .bind(key.retires_at.map(write_time))
            .execute($executor)
            .await
            .map_err(store_error)?
            .rows_affected()
    }};
}

/// Oldest first; of one age, in an order that no collation of the database changes.
pub(crate) async fn list(database: &Database) -> Result<Vec<SigningKeyRecord>, StoreError> {
    let mut keys: Vec<SigningKeyRecord> = on!(database, pool => {
        let rows = sqlx::query(
            "SELECT kid, algorithm, public_jwk, private_sealed, created_at, activates_at, \
             retires_at FROM signing_keys",
        )
        .fetch_all(pool)
        .await
        .map_err(store_error)?;
        rows.iter().map(read).collect::<Result<_, _>>()?
    });
    keys.sort_by(|a, b| (a.created_at, &a.kid).cmp(&(b.created_at, &b.kid)));
    Ok(keys)
}

/// As [`list`]. A column that is not asked for here, somebody who may not read it is not refused
/// for: no `*`, and nothing of `private_sealed`.
pub(crate) async fn list_public(database: &Database) -> Result<Vec<PublicSigningKey>, StoreError> {
    let mut keys: Vec<PublicSigningKey> = on!(database, pool => {
        let rows = sqlx::query(
            "SELECT kid, algorithm, public_jwk, created_at, activates_at, retires_at \
             FROM signing_keys",
        )
        .fetch_all(pool)
        .await
        .map_err(store_error)?;
        rows.iter().map(read_public).collect::<Result<_, _>>()?
    });
    keys.sort_by(|a, b| (a.created_at, &a.kid).cmp(&(b.created_at, &b.kid)));
    Ok(keys)
}

pub(crate) async fn insert(database: &Database, key: SigningKeyRecord) -> Result<(), StoreError> {
    let rows = on!(database, pool => insert!(pool, key));
    if rows == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

/// Who rotates at the same time waits at the beginning, and then sees what the first one made.
pub(crate) async fn insert_after(
    database: &Database,
    key: SigningKeyRecord,
    newest: Option<&str>,
) -> Result<bool, StoreError> {
    on!(database, pool => {
        let mut transaction = pool.begin_rotation().await.map_err(store_error)?;
        let mut known: Vec<(i64, String)> =
            sqlx::query_as("SELECT created_at, kid FROM signing_keys WHERE algorithm = $1")
                .bind(key.algorithm.clone())
                .fetch_all(&mut *transaction)
                .await
                .map_err(store_error)?;
        // Not by the database, whose collation may have another last one.
        known.sort_unstable();
        if known.last().map(|(_, kid)| kid.as_str()) != newest {
            transaction.rollback().await.map_err(store_error)?;
            return Ok(false);
        }
        let rows = insert!(&mut *transaction, key);
        transaction.commit().await.map_err(store_error)?;
        if rows == 1 { Ok(true) } else { Err(StoreError::Conflict) }
    })
}

pub(crate) async fn set_retirement(
    database: &Database,
    kid: &str,
    retires_at: UnixMillis,
) -> Result<bool, StoreError> {
    let rows = on!(database, pool => {
        // Never later: between somebody's look at the keys and this, another may have withdrawn one.
        let done = sqlx::query(
            "UPDATE signing_keys SET retires_at = CASE \
             WHEN retires_at IS NULL OR retires_at > $1 THEN $1 ELSE retires_at END \
             WHERE kid = $2",
        )
        .bind(write_time(retires_at))
        .bind(kid.to_owned())
        .execute(pool)
        .await
        .map_err(store_error)?;
        done.rows_affected()
    });
    Ok(rows > 0)
}

fn read_public<R: Columns>(row: &R) -> Result<PublicSigningKey, StoreError> {
    Ok(PublicSigningKey {
        kid: row.text("kid")?,
        algorithm: row.text("algorithm")?,
        public_jwk: row.text("public_jwk")?,
        created_at: row.time("created_at")?,
        activates_at: row.time("activates_at")?,
        retires_at: row.optional_time("retires_at")?,
    })
}

fn read<R: Columns>(row: &R) -> Result<SigningKeyRecord, StoreError> {
    Ok(SigningKeyRecord {
        kid: row.text("kid")?,
        algorithm: row.text("algorithm")?,
        public_jwk: row.text("public_jwk")?,
        private_sealed: row.sealed("private_sealed")?,
        created_at: row.time("created_at")?,
        activates_at: row.time("activates_at")?,
        retires_at: row.optional_time("retires_at")?,
    })
}

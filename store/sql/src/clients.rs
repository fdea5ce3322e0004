//! The table `oauth2_clients`.

use postern_store::StoreError;
use postern_store::durable::{ClientKind, ClientRecord, MAX_PAGE};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

use crate::column::{Columns, corrupt, write_hash, write_number, write_time};
use crate::error::store_error;

pub(crate) async fn insert(pool: &SqlitePool, client: ClientRecord) -> Result<(), StoreError> {
    let done = sqlx::query(
        "INSERT INTO oauth2_clients \
         (client_id, secret_hash, name, type, grant_types, scopes, access_token_lifetime_secs, \
         is_active, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
    )
    .bind(client.client_id)
    .bind(client.secret_sha256.as_ref().map(write_hash))
    .bind(client.name)
    .bind(client.kind.as_str())
    .bind(client.grant_types.join(" "))
    .bind(client.scopes.join(" "))
    .bind(write_number(client.access_token_lifetime_secs))
    .bind(client.is_active)
    .bind(write_time(client.created_at))
    .execute(pool)
    .await
    .map_err(store_error)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

pub(crate) async fn find(
    pool: &SqlitePool,
    client_id: &str,
) -> Result<Option<ClientRecord>, StoreError> {
    let row = sqlx::query(
        "SELECT client_id, secret_hash, name, type, grant_types, scopes, \
         access_token_lifetime_secs, is_active, created_at \
         FROM oauth2_clients WHERE client_id = $1",
    )
    .bind(client_id.to_owned())
    .fetch_optional(pool)
    .await
    .map_err(store_error)?;
    row.as_ref().map(read).transpose()
}

/// Pages go by the id that the last one ended with: no id is empty, so an empty text begins.
pub(crate) async fn list(
    pool: &SqlitePool,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<ClientRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT client_id, secret_hash, name, type, grant_types, scopes, \
         access_token_lifetime_secs, is_active, created_at \
         FROM oauth2_clients WHERE client_id > $1 ORDER BY client_id LIMIT $2",
    )
    .bind(after.unwrap_or_default().to_owned())
    .bind(i64::from(limit.min(MAX_PAGE)))
    .fetch_all(pool)
    .await
    .map_err(store_error)?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<ClientRecord, StoreError> {
    let columns = Columns(row);
    Ok(ClientRecord {
        client_id: columns.text("client_id")?,
        name: columns.text("name")?,
        kind: ClientKind::parse(&columns.text("type")?).ok_or_else(|| corrupt("type"))?,
        secret_sha256: columns.optional_hash("secret_hash")?,
        grant_types: columns.names("grant_types")?,
        scopes: columns.names("scopes")?,
        access_token_lifetime_secs: columns.number("access_token_lifetime_secs")?,
        is_active: columns.boolean("is_active")?,
        created_at: columns.time("created_at")?,
    })
}

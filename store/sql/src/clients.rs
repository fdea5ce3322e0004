//! The table `oauth2_clients`.

use postern_store::StoreError;
use postern_store::durable::{ClientKind, ClientRecord, MAX_PAGE};

use crate::column::{Columns, corrupt, write_hash, write_number, write_time};
use crate::database::{Database, on};
use crate::error::store_error;

pub(crate) async fn insert(database: &Database, client: ClientRecord) -> Result<(), StoreError> {
    let rows = on!(database, pool => {
        let done = sqlx::query(
            "INSERT INTO oauth2_clients \
             (client_id, secret_hash, name, type, grant_types, scopes, \
             access_token_lifetime_secs, is_active, created_at) \
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
        done.rows_affected()
    });
    if rows == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

pub(crate) async fn find(
    database: &Database,
    client_id: &str,
) -> Result<Option<ClientRecord>, StoreError> {
    on!(database, pool => {
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
    })
}

/// Pages go by the id that the last one ended with: no id is empty, so an empty text begins.
pub(crate) async fn list(
    database: &Database,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<ClientRecord>, StoreError> {
    on!(database, pool => {
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
    })
}

fn read<R: Columns>(row: &R) -> Result<ClientRecord, StoreError> {
    Ok(ClientRecord {
        client_id: row.text("client_id")?,
        name: row.text("name")?,
        kind: ClientKind::parse(&row.text("type")?).ok_or_else(|| corrupt("type"))?,
        secret_sha256: row.optional_hash("secret_hash")?,
        grant_types: row.names("grant_types")?,
        scopes: row.names("scopes")?,
        access_token_lifetime_secs: row.number("access_token_lifetime_secs")?,
        is_active: row.boolean("is_active")?,
        created_at: row.time("created_at")?,
    })
}

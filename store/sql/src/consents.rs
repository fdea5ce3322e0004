//! The table `consents`.

use postern_store::StoreError;
use postern_store::durable::{AuditEntry, ConsentRecord};

use crate::audit::audited;
use crate::column::{Columns, write_list, write_time};
use crate::database::{Database, on};
use crate::error::store_error;

pub(crate) async fn find(
    database: &Database,
    user_id: &str,
    client_id: &str,
) -> Result<Option<ConsentRecord>, StoreError> {
    on!(database, pool => {
        let row = sqlx::query(
            "SELECT user_id, client_id, scopes, resources, granted_at FROM consents \
             WHERE user_id = $1 AND client_id = $2",
        )
        .bind(user_id.to_owned())
        .bind(client_id.to_owned())
        .fetch_optional(pool)
        .await
        .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    })
}

pub(crate) async fn put(
    database: &Database,
    consent: ConsentRecord,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    audited!(database, entry, transaction => {
        let done = sqlx::query(
            "INSERT INTO consents (user_id, client_id, scopes, resources, granted_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id, client_id) DO UPDATE SET \
             scopes = excluded.scopes, resources = excluded.resources, \
             granted_at = excluded.granted_at",
        )
        .bind(consent.user_id)
        .bind(consent.client_id)
        .bind(consent.scopes.join(" "))
        .bind(write_list(&consent.resources))
        .bind(write_time(consent.granted_at))
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
        done.rows_affected() == 1
    });
    Ok(())
}

pub(crate) async fn delete(
    database: &Database,
    user_id: &str,
    client_id: &str,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let deleted = audited!(database, entry, transaction => {
        let done = sqlx::query("DELETE FROM consents WHERE user_id = $1 AND client_id = $2")
            .bind(user_id.to_owned())
            .bind(client_id.to_owned())
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        done.rows_affected() == 1
    });
    Ok(deleted)
}

/// By the clients' ids, in an order that no collation of the database changes.
pub(crate) async fn list(
    database: &Database,
    user_id: &str,
) -> Result<Vec<ConsentRecord>, StoreError> {
    let mut consents: Vec<ConsentRecord> = on!(database, pool => {
        let rows = sqlx::query(
            "SELECT user_id, client_id, scopes, resources, granted_at FROM consents \
             WHERE user_id = $1",
        )
        .bind(user_id.to_owned())
        .fetch_all(pool)
        .await
        .map_err(store_error)?;
        rows.iter().map(read).collect::<Result<_, _>>()?
    });
    consents.sort_by(|a, b| a.client_id.cmp(&b.client_id));
    Ok(consents)
}

fn read<R: Columns>(row: &R) -> Result<ConsentRecord, StoreError> {
    Ok(ConsentRecord {
        user_id: row.text("user_id")?,
        client_id: row.text("client_id")?,
        scopes: row.names("scopes")?,
        resources: row.list("resources")?,
        granted_at: row.time("granted_at")?,
    })
}

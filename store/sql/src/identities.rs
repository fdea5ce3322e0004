//! The table `user_identities`.

use postern_store::StoreError;
use postern_store::durable::AuditEntry;

use crate::audit::audited;
use crate::column::write_time;
use crate::database::{Database, on};
use crate::error::store_error;

pub(crate) async fn link(
    database: &Database,
    provider: &str,
    subject: &str,
    user_id: &str,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    let linked = audited!(database, entry, transaction => {
        let done = sqlx::query(
            "INSERT INTO user_identities (provider, subject, user_id, linked_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(provider.to_owned())
        .bind(subject.to_owned())
        .bind(user_id.to_owned())
        .bind(write_time(entry.at))
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
        done.rows_affected() == 1
    });
    if linked { Ok(()) } else { Err(StoreError::Conflict) }
}

pub(crate) async fn find(
    database: &Database,
    provider: &str,
    subject: &str,
) -> Result<Option<String>, StoreError> {
    on!(database, pool => {
        sqlx::query_scalar(
            "SELECT user_id FROM user_identities WHERE provider = $1 AND subject = $2",
        )
        .bind(provider.to_owned())
        .bind(subject.to_owned())
        .fetch_optional(pool)
        .await
        .map_err(store_error)
    })
}

//! [`SqlStore`] as the durable port.

mod identity;

use postern_request::UnixMillis;
use postern_store::durable::{
    ApiKeyRecord, AuditEntry, ClientRecord, DurableStore, FeedIdentity, NewRevocation, PageAsk,
    Paged, PublicSigningKey, RevocationRecord, RevocationStore, SigningKeyRecord,
};
use postern_store::{BoxFuture, StoreError};

use crate::column::holds_nul;
use crate::database::on;
use crate::error::store_error;
use crate::{SqlStore, api_keys, clients, revocations, signing_keys};

impl DurableStore for SqlStore {
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            on!(&self.database, pool => {
                // Of a table, so that a page is read: SQLite answers `SELECT 1` without its file.
                let asked = sqlx::query("SELECT kid FROM signing_keys LIMIT 1").execute(pool);
                asked.await.map(drop).map_err(store_error)
            })
        })
    }

    fn list_signing_keys(&self) -> BoxFuture<'_, Result<Vec<SigningKeyRecord>, StoreError>> {
        Box::pin(signing_keys::list(&self.database))
    }

    fn list_public_signing_keys(&self) -> BoxFuture<'_, Result<Vec<PublicSigningKey>, StoreError>> {
        Box::pin(signing_keys::list_public(&self.database))
    }

    fn insert_signing_key(&self, key: SigningKeyRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(signing_keys::insert(&self.database, key))
    }

    fn insert_signing_key_after<'a>(
        &'a self,
        key: SigningKeyRecord,
        newest: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(signing_keys::insert_after(&self.database, key, newest))
    }

    fn set_signing_key_retirement<'a>(
        &'a self,
        kid: &'a str,
        retires_at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(signing_keys::set_retirement(&self.database, kid, retires_at))
    }

    fn insert_client(&self, client: ClientRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(clients::insert(&self.database, client))
    }

    fn find_client<'a>(
        &'a self,
        client_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ClientRecord>, StoreError>> {
        Box::pin(async move {
            if holds_nul(client_id) {
                return Ok(None);
            }
            clients::find(&self.database, client_id).await
        })
    }

    fn list_clients<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ClientRecord>, StoreError>> {
        Box::pin(clients::list(&self.database, after, limit))
    }

    fn page_clients(&self, ask: PageAsk) -> BoxFuture<'_, Result<Paged<ClientRecord>, StoreError>> {
        Box::pin(clients::page(&self.database, ask))
    }

    fn change_client<'a>(
        &'a self,
        client: ClientRecord,
        from: UnixMillis,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(&client.client_id) {
                return Ok(false);
            }
            clients::change(&self.database, client, from, audit).await
        })
    }

    fn delete_client<'a>(
        &'a self,
        client_id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(client_id) {
                return Ok(false);
            }
            clients::delete(&self.database, client_id, audit).await
        })
    }

    fn keep_client<'a>(
        &'a self,
        client_id: &'a str,
        expires_unused_at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(client_id) {
                return Ok(false);
            }
            clients::keep(&self.database, client_id, expires_unused_at).await
        })
    }

    fn delete_unused_clients(
        &self,
        before: UnixMillis,
        limit: u32,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(clients::delete_unused(&self.database, before, limit))
    }

    fn insert_api_key(&self, key: ApiKeyRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(api_keys::insert(&self.database, key))
    }

    fn find_api_key<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        Box::pin(async move {
            if holds_nul(id) {
                return Ok(None);
            }
            api_keys::find(&self.database, id).await
        })
    }

    fn list_api_keys<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ApiKeyRecord>, StoreError>> {
        Box::pin(api_keys::list(&self.database, after, limit))
    }

    fn page_api_keys(
        &self,
        ask: PageAsk,
    ) -> BoxFuture<'_, Result<Paged<ApiKeyRecord>, StoreError>> {
        Box::pin(api_keys::page(&self.database, ask))
    }

    fn change_api_key<'a>(
        &'a self,
        key: ApiKeyRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(&key.id) {
                return Ok(false);
            }
            api_keys::change(&self.database, key, audit).await
        })
    }

    fn touch_api_keys<'a>(
        &'a self,
        used: &'a [(String, UnixMillis, u64)],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(api_keys::touch(&self.database, used))
    }

    fn revoke_api_key<'a>(
        &'a self,
        id: &'a str,
        revoked_at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(id) {
                return Ok(false);
            }
            api_keys::revoke(&self.database, id, revoked_at).await
        })
    }
}

impl RevocationStore for SqlStore {
    fn revoke(&self, new: Vec<NewRevocation>) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        Box::pin(revocations::insert(&self.database, new))
    }

    fn revocations_since(
        &self,
        after_seq: u64,
        limit: u32,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Vec<RevocationRecord>, StoreError>> {
        Box::pin(revocations::since(&self.database, after_seq, limit, now))
    }

    fn count_revocations(&self, now: UnixMillis) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(revocations::count(&self.database, now))
    }

    fn delete_expired_revocations(
        &self,
        now: UnixMillis,
        limit: u32,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(revocations::delete_expired(&self.database, now, limit))
    }

    fn feed_identity(&self) -> BoxFuture<'_, Result<FeedIdentity, StoreError>> {
        Box::pin(revocations::identity(&self.database))
    }
}

#[cfg(test)]
mod tests;

//! [`SqlStore`] as the durable port.

use postern_request::UnixMillis;
use postern_store::durable::{ApiKeyRecord, ClientRecord, DurableStore, SigningKeyRecord};
use postern_store::{BoxFuture, StoreError};

use crate::error::store_error;
use crate::{SqlStore, api_keys, clients, signing_keys};

impl DurableStore for SqlStore {
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            sqlx::query("SELECT 1").execute(&self.pool).await.map(drop).map_err(store_error)
        })
    }

    fn list_signing_keys(&self) -> BoxFuture<'_, Result<Vec<SigningKeyRecord>, StoreError>> {
        Box::pin(signing_keys::list(&self.pool))
    }

    fn insert_signing_key(&self, key: SigningKeyRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(signing_keys::insert(&self.pool, key))
    }

    fn set_signing_key_retirement<'a>(
        &'a self,
        kid: &'a str,
        retires_at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(signing_keys::set_retirement(&self.pool, kid, retires_at))
    }

    fn insert_client(&self, client: ClientRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(clients::insert(&self.pool, client))
    }

    fn find_client<'a>(
        &'a self,
        client_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ClientRecord>, StoreError>> {
        Box::pin(clients::find(&self.pool, client_id))
    }

    fn list_clients<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ClientRecord>, StoreError>> {
        Box::pin(clients::list(&self.pool, after, limit))
    }

    fn insert_api_key(&self, key: ApiKeyRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(api_keys::insert(&self.pool, key))
    }

    fn find_api_key<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        Box::pin(api_keys::find(&self.pool, id))
    }

    fn list_api_keys<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ApiKeyRecord>, StoreError>> {
        Box::pin(api_keys::list(&self.pool, after, limit))
    }

    fn revoke_api_key<'a>(
        &'a self,
        id: &'a str,
        revoked_at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(api_keys::revoke(&self.pool, id, revoked_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_store::durable::contract;
    use postern_store::durable::{Sealed, SecretHash};
    use tempfile::TempDir;

    async fn fresh() -> (TempDir, SqlStore) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("postern.db").display());
        let store = SqlStore::open(&url).await.unwrap();
        store.migrator().up(None, UnixMillis(1)).await.unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn sqlite_keeps_the_contract() {
        let (_folder, store) = fresh().await;
        contract::run(&store).await;
    }

    #[tokio::test]
    async fn what_is_committed_survives_a_restart() {
        let (folder, store) = fresh().await;
        let key = SigningKeyRecord {
            kid: "k".to_owned(),
            algorithm: "ES256".to_owned(),
            public_jwk: "{}".to_owned(),
            private_sealed: Sealed(vec![0, 255]),
            created_at: UnixMillis(1),
            activates_at: UnixMillis(2),
            retires_at: None,
        };
        store.insert_signing_key(key.clone()).await.unwrap();
        store.close().await;
        let url = format!("sqlite:{}", folder.path().join("postern.db").display());
        let store = SqlStore::open_migrated(&url).await.unwrap();
        assert_eq!(store.list_signing_keys().await.unwrap(), [key]);
    }

    #[tokio::test]
    async fn writers_wait_for_each_other() {
        let (_folder, store) = fresh().await;
        let tasks: Vec<_> = (0..32)
            .map(|at| {
                let store = store.clone();
                tokio::spawn(async move {
                    let key = ApiKeyRecord {
                        id: format!("k{at:02}"),
                        sha256: SecretHash([1; 32]),
                        subject: "s".to_owned(),
                        client_id: None,
                        scopes: Vec::new(),
                        tier: None,
                        expires_at: None,
                        created_at: UnixMillis(1),
                        revoked_at: None,
                    };
                    store.insert_api_key(key).await
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(store.list_api_keys(None, 100).await.unwrap().len(), 32);
    }

    #[tokio::test]
    async fn a_damaged_row_is_told_from_a_lost_database() {
        let (_folder, store) = fresh().await;
        sqlx::query(
            "INSERT INTO signing_keys VALUES ('k', 'RS256', '{}', 'not base64!', 1, 1, NULL)",
        )
        .execute(&store.pool)
        .await
        .unwrap();
        assert!(matches!(store.list_signing_keys().await, Err(StoreError::Corrupt(_))));
        store.close().await;
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    }
}

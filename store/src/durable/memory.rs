//! The durable port without durability: for tests, and for trying things out on one replica.

mod revocations;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::ready;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use postern_request::UnixMillis;

use super::{ApiKeyRecord, ClientRecord, DurableStore, MAX_PAGE, SigningKeyRecord};
use crate::{BoxFuture, StoreError};

/// Records in memory: gone with the process.
#[derive(Debug, Default)]
pub struct MemoryDurableStore {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    signing_keys: BTreeMap<String, SigningKeyRecord>,
    clients: BTreeMap<String, ClientRecord>,
    api_keys: BTreeMap<String, ApiKeyRecord>,
    revocations: revocations::Revocations,
}

impl MemoryDurableStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No method panics between two changes, so what a poisoned lock guards is still whole.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn insert<T>(table: &mut BTreeMap<String, T>, id: &str, record: T) -> Result<(), StoreError> {
    match table.entry(id.to_owned()) {
        Entry::Occupied(_) => Err(StoreError::Conflict),
        Entry::Vacant(place) => {
            place.insert(record);
            Ok(())
        }
    }
}

fn page<T: Clone>(table: &BTreeMap<String, T>, after: Option<&str>, limit: u32) -> Vec<T> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let limit = usize::try_from(limit.min(MAX_PAGE)).unwrap_or(usize::MAX);
    table
        .range::<str, _>((start, Bound::Unbounded))
        .take(limit)
        .map(|(_, record)| record.clone())
        .collect()
}

impl DurableStore for MemoryDurableStore {
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(ready(Ok(())))
    }

    fn list_signing_keys(&self) -> BoxFuture<'_, Result<Vec<SigningKeyRecord>, StoreError>> {
        let mut keys: Vec<_> = self.tables().signing_keys.values().cloned().collect();
        // The map is ordered by kid already, and the sort keeps that order among equals.
        keys.sort_by_key(|key| key.created_at);
        Box::pin(ready(Ok(keys)))
    }

    fn insert_signing_key(&self, key: SigningKeyRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        let kid = key.kid.clone();
        Box::pin(ready(insert(&mut self.tables().signing_keys, &kid, key)))
    }

    fn set_signing_key_retirement<'a>(
        &'a self,
        kid: &'a str,
        retires_at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let mut tables = self.tables();
        let key = tables.signing_keys.get_mut(kid);
        let found = key.is_some();
        if let Some(key) = key {
            key.retires_at = Some(retires_at);
        }
        Box::pin(ready(Ok(found)))
    }

    fn insert_client(&self, client: ClientRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = client.client_id.clone();
        Box::pin(ready(insert(&mut self.tables().clients, &id, client)))
    }

    fn find_client<'a>(
        &'a self,
        client_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ClientRecord>, StoreError>> {
        Box::pin(ready(Ok(self.tables().clients.get(client_id).cloned())))
    }

    fn list_clients<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ClientRecord>, StoreError>> {
        Box::pin(ready(Ok(page(&self.tables().clients, after, limit))))
    }

    fn insert_api_key(&self, key: ApiKeyRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = key.id.clone();
        Box::pin(ready(insert(&mut self.tables().api_keys, &id, key)))
    }

    fn find_api_key<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        Box::pin(ready(Ok(self.tables().api_keys.get(id).cloned())))
    }

    fn list_api_keys<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ApiKeyRecord>, StoreError>> {
        Box::pin(ready(Ok(page(&self.tables().api_keys, after, limit))))
    }

    fn revoke_api_key<'a>(
        &'a self,
        id: &'a str,
        revoked_at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let mut tables = self.tables();
        let key = tables.api_keys.get_mut(id);
        let found = key.is_some();
        if let Some(key) = key {
            key.revoked_at = key.revoked_at.or(Some(revoked_at));
        }
        Box::pin(ready(Ok(found)))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::durable::contract;

    #[test]
    fn memory_keeps_the_contract() {
        let store = MemoryDurableStore::new();
        let mut run = pin!(contract::run(&store));
        // Nothing here ever waits, so one poll takes the suite to its end.
        assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}

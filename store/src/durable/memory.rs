//! The durable port without durability: for tests, and for trying things out on one replica.

mod audit;
mod factors;
mod grants;
mod revisions;
mod revocations;
mod services;
mod users;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::ready;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use postern_request::UnixMillis;

use super::{
    ApiKeyRecord, AuditEntry, AuditWatch, ClientOrigin, ClientRecord, DurableStore, FactorRecord,
    MAX_PAGE, PageAsk, Paged, PublicSigningKey, SigningKeyRecord,
};
use crate::{BoxFuture, StoreError};

/// Most records of one kind. What would be one more is refused: nothing durable is forgotten to
/// make room.
const MAX_RECORDS: usize = 200_000;

/// Records in memory: gone with the process.
#[derive(Debug, Default)]
pub struct MemoryDurableStore {
    tables: Mutex<Tables>,
    watch: AuditWatch,
}

#[derive(Debug, Default)]
struct Tables {
    signing_keys: BTreeMap<String, SigningKeyRecord>,
    clients: BTreeMap<String, ClientRecord>,
    api_keys: BTreeMap<String, ApiKeyRecord>,
    users: users::Users,
    factors: BTreeMap<String, FactorRecord>,
    grants: grants::Grants,
    instances: services::Instances,
    audit: audit::Audit,
    revocations: revocations::Revocations,
    revisions: revisions::Revisions,
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

    /// Changes something, and appends what is said of it where there was something to change:
    /// both or none.
    fn change(
        &self,
        audit: &AuditEntry,
        change: impl FnOnce(&mut Tables) -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        // Asked before anything is changed: appending cannot fail any more then.
        tables.audit.check_room()?;
        let changed = change(&mut tables)?;
        if changed {
            tables.audit.append(audit);
            drop(tables);
            self.watch.tell(audit);
        }
        Ok(changed)
    }
}

fn no_room() -> StoreError {
    StoreError::Unavailable("no room to keep more in memory".to_owned())
}

fn insert<K: Ord, T>(table: &mut BTreeMap<K, T>, id: K, record: T) -> Result<(), StoreError> {
    let is_full = table.len() >= MAX_RECORDS;
    match table.entry(id) {
        Entry::Occupied(_) => Err(StoreError::Conflict),
        Entry::Vacant(_) if is_full => Err(no_room()),
        Entry::Vacant(place) => {
            place.insert(record);
            Ok(())
        }
    }
}

fn page<T: Clone>(table: &BTreeMap<String, T>, after: Option<&str>, limit: u32) -> Vec<T> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    table
        .range::<str, _>((start, Bound::Unbounded))
        .take(page_size(limit))
        .map(|(_, record)| record.clone())
        .collect()
}

fn page_size(limit: u32) -> usize {
    usize::try_from(limit.min(MAX_PAGE)).unwrap_or(usize::MAX)
}

impl Tables {
    /// Deletes a client and the consents to it; whether there was one.
    fn delete_client(&mut self, client_id: &str) -> bool {
        self.grants.forget_client(client_id);
        self.clients.remove(client_id).is_some()
    }

    fn unused_clients(&self, before: UnixMillis, limit: u32) -> Vec<String> {
        let is_over = |client: &ClientRecord| {
            client.origin.expires_unused_at().is_some_and(|end| end < before)
        };
        let unused = self.clients.values().filter(|client| is_over(client));
        unused
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|client| client.client_id.clone())
            .collect()
    }
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

    fn list_public_signing_keys(&self) -> BoxFuture<'_, Result<Vec<PublicSigningKey>, StoreError>> {
        Box::pin(async move {
            let keys = self.list_signing_keys().await?;
            Ok(keys.iter().map(SigningKeyRecord::public).collect())
        })
    }

    fn insert_signing_key(&self, key: SigningKeyRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        let kid = key.kid.clone();
        Box::pin(ready(insert(&mut self.tables().signing_keys, kid, key)))
    }

    fn insert_signing_key_after<'a>(
        &'a self,
        key: SigningKeyRecord,
        newest: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut tables = self.tables();
            let same = tables.signing_keys.values().filter(|kept| kept.algorithm == key.algorithm);
            // Of several that are equally new it is the last, as it is by `kid`.
            let stands = same.max_by_key(|kept| kept.created_at).map(|kept| kept.kid.as_str());
            if stands != newest {
                return Ok(false);
            }
            insert(&mut tables.signing_keys, key.kid.clone(), key).map(|()| true)
        })
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
            key.retires_at = Some(key.retires_at.map_or(retires_at, |end| end.min(retires_at)));
        }
        Box::pin(ready(Ok(found)))
    }

    fn insert_client(&self, client: ClientRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = client.client_id.clone();
        Box::pin(ready(insert(&mut self.tables().clients, id, client)))
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

    fn page_clients(&self, ask: PageAsk) -> BoxFuture<'_, Result<Paged<ClientRecord>, StoreError>> {
        let all: Vec<_> = self.tables().clients.values().cloned().collect();
        Box::pin(ready(Ok(ask.of(all, |client| (client.created_at, client.client_id.clone())))))
    }

    fn change_client<'a>(
        &'a self,
        client: ClientRecord,
        from: UnixMillis,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.change(audit, |tables| {
                let kept = tables.clients.get_mut(&client.client_id);
                let Some(kept) = kept.filter(|kept| kept.updated_at == from) else {
                    return Ok(false);
                };
                *kept = ClientRecord { created_at: kept.created_at, ..client };
                Ok(true)
            })
        })
    }

    fn delete_client<'a>(
        &'a self,
        client_id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { self.change(audit, |tables| Ok(tables.delete_client(client_id))) })
    }

    fn keep_client<'a>(
        &'a self,
        client_id: &'a str,
        expires_unused_at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut tables = self.tables();
            let origin = tables.clients.get_mut(client_id).map(|client| &mut client.origin);
            let Some(ClientOrigin::Registered { expires_unused_at: end }) = origin else {
                return Ok(false);
            };
            *end = (*end).max(expires_unused_at);
            Ok(true)
        })
    }

    fn delete_unused_clients(
        &self,
        before: UnixMillis,
        limit: u32,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut tables = self.tables();
            let unused = tables.unused_clients(before, limit);
            for client_id in &unused {
                tables.delete_client(client_id);
            }
            Ok(u64::try_from(unused.len()).unwrap_or(u64::MAX))
        })
    }

    fn insert_api_key(&self, key: ApiKeyRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = key.id.clone();
        Box::pin(ready(insert(&mut self.tables().api_keys, id, key)))
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

    fn page_api_keys(
        &self,
        ask: PageAsk,
    ) -> BoxFuture<'_, Result<Paged<ApiKeyRecord>, StoreError>> {
        let all: Vec<_> = self.tables().api_keys.values().cloned().collect();
        Box::pin(ready(Ok(ask.of(all, |key| (key.created_at, key.id.clone())))))
    }

    fn change_api_key<'a>(
        &'a self,
        key: ApiKeyRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.change(audit, |tables| {
                let Some(kept) = tables.api_keys.get_mut(&key.id) else { return Ok(false) };
                let is_replaced = kept.successor.is_some() && kept.successor != key.successor;
                if kept.revoked_at.is_some() || is_replaced {
                    return Ok(false);
                }
                kept.name = key.name;
                kept.scopes = key.scopes;
                kept.tier = key.tier;
                kept.limits = key.limits;
                kept.expires_at = key.expires_at;
                kept.successor = key.successor;
                Ok(true)
            })
        })
    }

    fn touch_api_keys<'a>(
        &'a self,
        used: &'a [(String, UnixMillis, u64)],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut tables = self.tables();
            for (id, at, requests) in used {
                let Some(key) = tables.api_keys.get_mut(id) else { continue };
                key.last_used_at = key.last_used_at.max(Some(*at));
                key.request_count = key.request_count.saturating_add(*requests);
            }
            Ok(())
        })
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
mod tests;

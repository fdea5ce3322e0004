//! Consents and families in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use postern_request::UnixMillis;

use super::{MAX_RECORDS, MemoryDurableStore, Tables, insert, no_room, page_size};
use crate::durable::AuditEntry;
use crate::durable::grants::{ConsentRecord, FamilyRecord, GrantStore};
use crate::{BoxFuture, StoreError};

#[derive(Debug, Default)]
pub(super) struct Grants {
    /// By user and client.
    consents: BTreeMap<(String, String), ConsentRecord>,
    families: BTreeMap<[u8; 32], FamilyRecord>,
}

/// Ends a family that has not ended; whether it had not.
fn end(family: &mut FamilyRecord, at: UnixMillis, reason: &str) -> bool {
    if family.ended_at.is_some() {
        return false;
    }
    family.ended_at = Some(at);
    family.end_reason = Some(reason.to_owned());
    true
}

impl Grants {
    pub(super) fn forget_client(&mut self, client_id: &str) {
        self.consents.retain(|(_, client), _| client != client_id);
    }

    fn delete_ended(&mut self, before: UnixMillis, limit: u32) -> u64 {
        let ended = self.families.values().filter(|family| family.ends_at < before);
        let ended = ended.take(usize::try_from(limit).unwrap_or(usize::MAX));
        let ids: Vec<_> = ended.map(|family| family.id).collect();
        for id in &ids {
            self.families.remove(id);
        }
        u64::try_from(ids.len()).unwrap_or(u64::MAX)
    }
}

impl Tables {
    fn put_consent(&mut self, consent: ConsentRecord) -> Result<bool, StoreError> {
        if !self.clients.contains_key(&consent.client_id) {
            return Err(StoreError::Corrupt("a consent to no client".to_owned()));
        }
        let name = (consent.user_id.clone(), consent.client_id.clone());
        let consents = &mut self.grants.consents;
        if consents.len() >= MAX_RECORDS && !consents.contains_key(&name) {
            return Err(no_room());
        }
        consents.insert(name, consent);
        Ok(true)
    }
}

impl GrantStore for MemoryDurableStore {
    fn find_consent<'a>(
        &'a self,
        user_id: &'a str,
        client_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ConsentRecord>, StoreError>> {
        Box::pin(async move {
            let name = (user_id.to_owned(), client_id.to_owned());
            Ok(self.tables().grants.consents.get(&name).cloned())
        })
    }

    fn put_consent<'a>(
        &'a self,
        consent: ConsentRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.change(audit, |tables| tables.put_consent(consent)).map(drop) })
    }

    fn delete_consent<'a>(
        &'a self,
        user_id: &'a str,
        client_id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let name = (user_id.to_owned(), client_id.to_owned());
            self.change(audit, |tables| Ok(tables.grants.consents.remove(&name).is_some()))
        })
    }

    fn list_consents<'a>(
        &'a self,
        user_id: &'a str,
    ) -> BoxFuture<'a, Result<Vec<ConsentRecord>, StoreError>> {
        Box::pin(async move {
            let tables = self.tables();
            let consents = tables.grants.consents.values();
            Ok(consents.filter(|consent| consent.user_id == user_id).cloned().collect())
        })
    }

    fn insert_family(&self, family: FamilyRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { insert(&mut self.tables().grants.families, family.id, family) })
    }

    fn find_family(&self, id: [u8; 32]) -> BoxFuture<'_, Result<Option<FamilyRecord>, StoreError>> {
        Box::pin(async move { Ok(self.tables().grants.families.get(&id).cloned()) })
    }

    fn families_of<'a>(
        &'a self,
        user_id: &'a str,
        after: Option<[u8; 32]>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<FamilyRecord>, StoreError>> {
        Box::pin(async move {
            let tables = self.tables();
            let start = after.map_or(Bound::Unbounded, Bound::Excluded);
            let families = tables.grants.families.range::<[u8; 32], _>((start, Bound::Unbounded));
            let theirs = families.filter(|(_, family)| family.user_id == user_id);
            Ok(theirs.take(page_size(limit)).map(|(_, family)| family.clone()).collect())
        })
    }

    fn end_family<'a>(
        &'a self,
        id: [u8; 32],
        at: UnixMillis,
        reason: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.change(audit, |tables| {
                let family = tables.grants.families.get_mut(&id);
                Ok(family.is_some_and(|family| end(family, at, reason)))
            })
        })
    }

    fn end_families_of_session<'a>(
        &'a self,
        session_id: &'a str,
        at: UnixMillis,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<Vec<[u8; 32]>, StoreError>> {
        Box::pin(async move {
            let mut tables = self.tables();
            let families = tables.grants.families.values_mut();
            let its = families.filter(|family| family.session_id == session_id);
            Ok(its.filter_map(|family| end(family, at, reason).then_some(family.id)).collect())
        })
    }

    fn end_families_of_user<'a>(
        &'a self,
        user_id: &'a str,
        at: UnixMillis,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<Vec<[u8; 32]>, StoreError>> {
        Box::pin(async move {
            let mut tables = self.tables();
            let families = tables.grants.families.values_mut();
            let theirs = families.filter(|family| family.user_id == user_id);
            Ok(theirs.filter_map(|family| end(family, at, reason).then_some(family.id)).collect())
        })
    }

    fn delete_ended_families(
        &self,
        before: UnixMillis,
        limit: u32,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { Ok(self.tables().grants.delete_ended(before, limit)) })
    }
}

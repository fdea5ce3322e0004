//! Factors in memory.

use postern_request::UnixMillis;

use super::{MemoryDurableStore, Tables, insert};
use crate::durable::factors::{FactorRecord, FactorStore};
use crate::durable::{AuditEntry, Sealed};
use crate::{BoxFuture, StoreError};

impl Tables {
    fn passkey(&self, credential_id: &str) -> Option<&FactorRecord> {
        let is_it = |factor: &&FactorRecord| factor.credential_id.as_deref() == Some(credential_id);
        self.factors.values().find(is_it)
    }

    fn insert_factor(&mut self, factor: FactorRecord) -> Result<bool, StoreError> {
        if !self.users.is_there(&factor.user_id) {
            return Err(StoreError::Corrupt("a factor of no user".to_owned()));
        }
        if factor.credential_id.as_deref().is_some_and(|id| self.passkey(id).is_some()) {
            return Err(StoreError::Conflict);
        }
        insert(&mut self.factors, factor.id.clone(), factor).map(|()| true)
    }
}

impl FactorStore for MemoryDurableStore {
    fn insert_factor<'a>(
        &'a self,
        factor: FactorRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.change(audit, |tables| tables.insert_factor(factor)).map(drop) })
    }

    fn factors_of<'a>(
        &'a self,
        user_id: &'a str,
    ) -> BoxFuture<'a, Result<Vec<FactorRecord>, StoreError>> {
        Box::pin(async move {
            let tables = self.tables();
            let factors = tables.factors.values().filter(|factor| factor.user_id == user_id);
            let mut factors: Vec<_> = factors.cloned().collect();
            // The map is ordered by id already, and the sort keeps that order among equals.
            factors.sort_by_key(|factor| factor.created_at);
            Ok(factors)
        })
    }

    fn find_passkey<'a>(
        &'a self,
        credential_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<FactorRecord>, StoreError>> {
        Box::pin(async move { Ok(self.tables().passkey(credential_id).cloned()) })
    }

    fn use_factor<'a>(
        &'a self,
        id: &'a str,
        from: &'a Sealed,
        to: Sealed,
        after_step: u64,
        step: u64,
        at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut tables = self.tables();
            let stands = |factor: &&mut FactorRecord| {
                factor.sealed == *from && factor.last_step == after_step
            };
            let Some(factor) = tables.factors.get_mut(id).filter(stands) else {
                return Ok(false);
            };
            factor.sealed = to;
            factor.last_step = step;
            factor.last_used_at = Some(at);
            Ok(true)
        })
    }

    fn confirm_factor<'a>(
        &'a self,
        id: &'a str,
        at: UnixMillis,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.change(audit, |tables| {
                let factor = tables.factors.get_mut(id);
                let Some(factor) = factor.filter(|factor| factor.confirmed_at.is_none()) else {
                    return Ok(false);
                };
                factor.confirmed_at = Some(at);
                Ok(true)
            })
        })
    }

    fn delete_factor<'a>(
        &'a self,
        user_id: &'a str,
        id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.change(audit, |tables| {
                let is_theirs = tables.factors.get(id).is_some_and(|it| it.user_id == user_id);
                if is_theirs {
                    tables.factors.remove(id);
                }
                Ok(is_theirs)
            })
        })
    }
}

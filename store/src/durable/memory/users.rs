//! Users in memory.

use std::collections::BTreeMap;

use super::{MemoryDurableStore, insert, page};
use crate::durable::users::{PasswordHash, UserChange, UserRecord, UserStore, email_key};
use crate::durable::{AuditEntry, PageAsk, Paged};
use crate::{BoxFuture, StoreError};

#[derive(Debug, Default)]
pub(super) struct Users {
    by_id: BTreeMap<String, UserRecord>,
    /// Ids by what e-mails are found by.
    by_email: BTreeMap<String, String>,
    /// Ids by an outside provider and its subject.
    identities: BTreeMap<(String, String), String>,
}

impl Users {
    pub(super) fn is_there(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    fn insert(&mut self, user: UserRecord) -> Result<(), StoreError> {
        let (id, key) = (user.id.clone(), email_key(&user.email));
        if self.by_email.contains_key(&key) {
            return Err(StoreError::Conflict);
        }
        insert(&mut self.by_id, id.clone(), user)?;
        self.by_email.insert(key, id);
        Ok(())
    }

    fn change(&mut self, id: &str, change: UserChange) -> Result<bool, StoreError> {
        let Some(user) = self.by_id.get_mut(id) else { return Ok(false) };
        let UserChange { email, role, is_active, profile, tier, password, at } = change;
        if let Some(email) = email {
            let key = email_key(&email);
            if self.by_email.get(&key).is_some_and(|owner| owner != id) {
                return Err(StoreError::Conflict);
            }
            self.by_email.remove(&email_key(&user.email));
            self.by_email.insert(key, id.to_owned());
            user.email = email;
        }
        if let Some(role) = role {
            user.role = role;
        }
        if let Some(is_active) = is_active {
            user.is_active = is_active;
        }
        if let Some(profile) = profile {
            user.profile = profile;
        }
        if let Some(tier) = tier {
            user.tier = tier;
        }
        if let Some((password, must_change)) = password {
            user.password = Some(password);
            user.must_change_password = must_change;
        }
        user.updated_at = at;
        Ok(true)
    }

    /// Whether this user alone may log in and has one of these roles.
    fn is_last(&self, id: &str, roles: &[String]) -> bool {
        let has = |user: &&UserRecord| user.is_active && roles.contains(&user.role);
        let mut those = self.by_id.values().filter(has);
        let first = those.next();
        first.is_some_and(|user| user.id == id) && those.next().is_none()
    }

    fn link(&mut self, provider: &str, subject: &str, user_id: &str) -> Result<(), StoreError> {
        if !self.is_there(user_id) {
            return Err(StoreError::Corrupt("an identity of no user".to_owned()));
        }
        let identity = (provider.to_owned(), subject.to_owned());
        insert(&mut self.identities, identity, user_id.to_owned())
    }
}

impl UserStore for MemoryDurableStore {
    fn insert_user<'a>(
        &'a self,
        user: UserRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.change(audit, |tables| tables.users.insert(user).map(|()| true)).map(drop)
        })
    }

    fn find_user<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<UserRecord>, StoreError>> {
        Box::pin(async move { Ok(self.tables().users.by_id.get(id).cloned()) })
    }

    fn find_user_by_email<'a>(
        &'a self,
        email: &'a str,
    ) -> BoxFuture<'a, Result<Option<UserRecord>, StoreError>> {
        Box::pin(async move {
            let tables = self.tables();
            let id = tables.users.by_email.get(&email_key(email));
            Ok(id.and_then(|id| tables.users.by_id.get(id)).cloned())
        })
    }

    fn list_users<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<UserRecord>, StoreError>> {
        Box::pin(async move { Ok(page(&self.tables().users.by_id, after, limit)) })
    }

    fn page_users(&self, ask: PageAsk) -> BoxFuture<'_, Result<Paged<UserRecord>, StoreError>> {
        Box::pin(async move {
            let all: Vec<_> = self.tables().users.by_id.values().cloned().collect();
            Ok(ask.of(all, |user| (user.created_at, user.id.clone())))
        })
    }

    fn count_active_users<'a>(
        &'a self,
        roles: &'a [String],
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let tables = self.tables();
            let users = tables.users.by_id.values();
            let count = users.filter(|user| user.is_active && roles.contains(&user.role)).count();
            Ok(u64::try_from(count).unwrap_or(u64::MAX))
        })
    }

    fn change_user<'a>(
        &'a self,
        id: &'a str,
        change: UserChange,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { self.change(audit, |tables| tables.users.change(id, change)) })
    }

    fn change_user_but_the_last<'a>(
        &'a self,
        id: &'a str,
        change: UserChange,
        roles: &'a [String],
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.change(audit, |tables| {
                if tables.users.is_last(id, roles) {
                    return Ok(false);
                }
                tables.users.change(id, change)
            })
        })
    }

    fn upgrade_password<'a>(
        &'a self,
        id: &'a str,
        from: &'a PasswordHash,
        to: PasswordHash,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut tables = self.tables();
            let user = tables.users.by_id.get_mut(id);
            let Some(user) = user.filter(|user| user.password.as_ref() == Some(from)) else {
                return Ok(false);
            };
            user.password = Some(to);
            Ok(true)
        })
    }

    fn link_identity<'a>(
        &'a self,
        provider: &'a str,
        subject: &'a str,
        user_id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let link = self.change(audit, |tables| {
                tables.users.link(provider, subject, user_id).map(|()| true)
            });
            link.map(drop)
        })
    }

    fn find_identity<'a>(
        &'a self,
        provider: &'a str,
        subject: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(async move {
            let identity = (provider.to_owned(), subject.to_owned());
            Ok(self.tables().users.identities.get(&identity).cloned())
        })
    }
}

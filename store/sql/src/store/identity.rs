//! [`SqlStore`] as the ports of users, factors, grants, revisions, instances and the audit log.
//!
//! What is asked for by a name that no text can be is not there: it is answered here, and never
//! asked for.

use postern_registry::Instance;
use postern_request::UnixMillis;
use postern_store::durable::audit::{AuditEntry, AuditHead, AuditRecord, AuditStore, Told};
use postern_store::durable::factors::{FactorRecord, FactorStore};
use postern_store::durable::grants::{ConsentRecord, FamilyRecord, GrantStore};
use postern_store::durable::revisions::{RevisionRecord, RevisionStore, RevisionSummary};
use postern_store::durable::services::{InstanceHealth, InstanceRecord, ServiceStore};
use postern_store::durable::users::{PasswordHash, UserChange, UserRecord, UserStore};
use postern_store::durable::{PageAsk, Paged, Sealed};
use postern_store::{BoxFuture, StoreError};

use crate::column::holds_nul;
use crate::{SqlStore, audit, consents, factors, families, identities, revisions, services, users};

impl UserStore for SqlStore {
    fn insert_user<'a>(
        &'a self,
        user: UserRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(users::insert(&self.database, user, audit))
    }

    fn find_user<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<UserRecord>, StoreError>> {
        Box::pin(async move {
            if holds_nul(id) {
                return Ok(None);
            }
            users::find(&self.database, id).await
        })
    }

    fn find_user_by_email<'a>(
        &'a self,
        email: &'a str,
    ) -> BoxFuture<'a, Result<Option<UserRecord>, StoreError>> {
        Box::pin(async move {
            if holds_nul(email) {
                return Ok(None);
            }
            users::find_by_email(&self.database, email).await
        })
    }

    fn list_users<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<UserRecord>, StoreError>> {
        Box::pin(users::list(&self.database, after, limit))
    }

    fn page_users(&self, ask: PageAsk) -> BoxFuture<'_, Result<Paged<UserRecord>, StoreError>> {
        Box::pin(users::page(&self.database, ask))
    }

    fn count_active_users<'a>(
        &'a self,
        roles: &'a [String],
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(users::count_active(&self.database, roles))
    }

    fn change_user<'a>(
        &'a self,
        id: &'a str,
        change: UserChange,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(id) {
                return Ok(false);
            }
            users::change(&self.database, id, change, audit).await
        })
    }

    fn change_user_but_the_last<'a>(
        &'a self,
        id: &'a str,
        change: UserChange,
        roles: &'a [String],
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(id) {
                return Ok(false);
            }
            users::change_but_the_last(&self.database, id, change, roles, audit).await
        })
    }

    fn upgrade_password<'a>(
        &'a self,
        id: &'a str,
        from: &'a PasswordHash,
        to: PasswordHash,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(users::upgrade_password(&self.database, id, from, to))
    }

    fn link_identity<'a>(
        &'a self,
        provider: &'a str,
        subject: &'a str,
        user_id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(identities::link(&self.database, provider, subject, user_id, audit))
    }

    fn find_identity<'a>(
        &'a self,
        provider: &'a str,
        subject: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(async move {
            if holds_nul(provider) || holds_nul(subject) {
                return Ok(None);
            }
            identities::find(&self.database, provider, subject).await
        })
    }
}

impl FactorStore for SqlStore {
    fn insert_factor<'a>(
        &'a self,
        factor: FactorRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(factors::insert(&self.database, factor, audit))
    }

    fn factors_of<'a>(
        &'a self,
        user_id: &'a str,
    ) -> BoxFuture<'a, Result<Vec<FactorRecord>, StoreError>> {
        Box::pin(async move {
            if holds_nul(user_id) {
                return Ok(Vec::new());
            }
            factors::of_user(&self.database, user_id).await
        })
    }

    fn find_passkey<'a>(
        &'a self,
        credential_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<FactorRecord>, StoreError>> {
        Box::pin(async move {
            if holds_nul(credential_id) {
                return Ok(None);
            }
            factors::find_passkey(&self.database, credential_id).await
        })
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
            if holds_nul(id) {
                return Ok(false);
            }
            let used = factors::Use { id, from, to, after_step, step, at };
            factors::use_once(&self.database, &used).await
        })
    }

    fn confirm_factor<'a>(
        &'a self,
        id: &'a str,
        at: UnixMillis,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(id) {
                return Ok(false);
            }
            factors::confirm(&self.database, id, at, audit).await
        })
    }

    fn delete_factor<'a>(
        &'a self,
        user_id: &'a str,
        id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(user_id) || holds_nul(id) {
                return Ok(false);
            }
            factors::delete(&self.database, user_id, id, audit).await
        })
    }
}

impl GrantStore for SqlStore {
    fn find_consent<'a>(
        &'a self,
        user_id: &'a str,
        client_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ConsentRecord>, StoreError>> {
        Box::pin(async move {
            if holds_nul(user_id) || holds_nul(client_id) {
                return Ok(None);
            }
            consents::find(&self.database, user_id, client_id).await
        })
    }

    fn put_consent<'a>(
        &'a self,
        consent: ConsentRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(consents::put(&self.database, consent, audit))
    }

    fn delete_consent<'a>(
        &'a self,
        user_id: &'a str,
        client_id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(user_id) || holds_nul(client_id) {
                return Ok(false);
            }
            consents::delete(&self.database, user_id, client_id, audit).await
        })
    }

    fn list_consents<'a>(
        &'a self,
        user_id: &'a str,
    ) -> BoxFuture<'a, Result<Vec<ConsentRecord>, StoreError>> {
        Box::pin(async move {
            if holds_nul(user_id) {
                return Ok(Vec::new());
            }
            consents::list(&self.database, user_id).await
        })
    }

    fn insert_family(&self, family: FamilyRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(families::insert(&self.database, family))
    }

    fn find_family(&self, id: [u8; 32]) -> BoxFuture<'_, Result<Option<FamilyRecord>, StoreError>> {
        Box::pin(families::find(&self.database, id))
    }

    fn families_of<'a>(
        &'a self,
        user_id: &'a str,
        after: Option<[u8; 32]>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<FamilyRecord>, StoreError>> {
        Box::pin(async move {
            if holds_nul(user_id) {
                return Ok(Vec::new());
            }
            families::of_user(&self.database, user_id, after, limit).await
        })
    }

    fn end_family<'a>(
        &'a self,
        id: [u8; 32],
        at: UnixMillis,
        reason: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(families::end(&self.database, id, at, reason, audit))
    }

    fn end_families_of_session<'a>(
        &'a self,
        session_id: &'a str,
        at: UnixMillis,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<Vec<[u8; 32]>, StoreError>> {
        Box::pin(async move {
            if holds_nul(session_id) {
                return Ok(Vec::new());
            }
            families::end_of_session(&self.database, session_id, at, reason).await
        })
    }

    fn end_families_of_user<'a>(
        &'a self,
        user_id: &'a str,
        at: UnixMillis,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<Vec<[u8; 32]>, StoreError>> {
        Box::pin(async move {
            if holds_nul(user_id) {
                return Ok(Vec::new());
            }
            families::end_of_user(&self.database, user_id, at, reason).await
        })
    }

    fn delete_ended_families(
        &self,
        before: UnixMillis,
        limit: u32,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(families::delete_ended(&self.database, before, limit))
    }
}

impl RevisionStore for SqlStore {
    fn add_revision<'a>(
        &'a self,
        revision: RevisionRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(revisions::add(&self.database, revision, audit))
    }

    fn active_revision(&self) -> BoxFuture<'_, Result<Option<RevisionSummary>, StoreError>> {
        Box::pin(revisions::active(&self.database))
    }

    fn find_revision(
        &self,
        number: u64,
    ) -> BoxFuture<'_, Result<Option<RevisionRecord>, StoreError>> {
        Box::pin(revisions::find(&self.database, number))
    }

    fn page_revisions(
        &self,
        ask: PageAsk,
    ) -> BoxFuture<'_, Result<Paged<RevisionSummary>, StoreError>> {
        Box::pin(revisions::page(&self.database, ask))
    }
}

impl ServiceStore for SqlStore {
    fn put_instance<'a>(
        &'a self,
        instance: &'a Instance,
        now: UnixMillis,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(services::put(&self.database, instance, now, audit))
    }

    fn find_instance<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<InstanceRecord>, StoreError>> {
        Box::pin(async move {
            if holds_nul(service) || holds_nul(id) {
                return Ok(None);
            }
            services::find(&self.database, service, id).await
        })
    }

    fn list_instances<'a>(
        &'a self,
        after: Option<(&'a str, &'a str)>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<InstanceRecord>, StoreError>> {
        Box::pin(services::list(&self.database, after, limit))
    }

    fn set_instance_health<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        health: InstanceHealth,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(service) || holds_nul(id) {
                return Ok(false);
            }
            services::set_health(&self.database, service, id, health).await
        })
    }

    fn delete_instance<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if holds_nul(service) || holds_nul(id) {
                return Ok(false);
            }
            services::delete(&self.database, service, id, audit).await
        })
    }
}

impl AuditStore for SqlStore {
    fn append_audit<'a>(&'a self, entry: &'a AuditEntry) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(audit::add(&self.database, entry))
    }

    fn audit_since(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<AuditRecord>, StoreError>> {
        Box::pin(audit::since(&self.database, after, limit))
    }

    fn audit_head(&self) -> BoxFuture<'_, Result<Option<AuditHead>, StoreError>> {
        Box::pin(audit::head(&self.database))
    }

    fn watch_audit(&self, told: Told) {
        self.database.watch.set(told);
    }
}

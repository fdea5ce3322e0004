//! Instances of services that stay: registered until somebody takes them out, whatever becomes of
//! what is volatile. Servers renew them in the [`crate::registry`], which says who is there.

use postern_registry::{Health, Instance};
use postern_request::UnixMillis;

use super::AuditEntry;
use crate::{BoxFuture, StoreError};

/// An instance that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRecord {
    /// What it is.
    pub instance: Instance,
    /// How it was, as far as was written: for whoever looks at the table.
    pub health: InstanceHealth,
    /// When it was registered first.
    pub created_at: UnixMillis,
    /// When it was registered last.
    pub updated_at: UnixMillis,
}

/// How an instance was, when that changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InstanceHealth {
    /// How it was.
    pub health: Health,
    /// Checks in a row that had failed.
    pub failures: u32,
    /// How long its answers took, in milliseconds.
    pub average_ms: u32,
}

/// What is durable about services.
///
/// # Errors
/// As with [`super::DurableStore`].
pub trait ServiceStore: Send + Sync {
    /// Keeps an instance, in place of the one with its name. When that was registered first and
    /// how it was stay.
    fn put_instance<'a>(
        &'a self,
        instance: &'a Instance,
        now: UnixMillis,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The instance with this name.
    fn find_instance<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<InstanceRecord>, StoreError>>;

    /// Up to `limit` instances, by service and id, beginning after these. One that cannot be read is
    /// left out; where there is none, none follow.
    fn list_instances<'a>(
        &'a self,
        after: Option<(&'a str, &'a str)>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<InstanceRecord>, StoreError>>;

    /// Says how an instance is; whether there is one.
    fn set_instance_health<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        health: InstanceHealth,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Forgets an instance; whether there was one.
    fn delete_instance<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

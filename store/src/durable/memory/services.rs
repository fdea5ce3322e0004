//! Instances that stay, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use postern_registry::Instance;
use postern_request::UnixMillis;

use super::{MAX_RECORDS, MemoryDurableStore, no_room, page_size};
use crate::durable::AuditEntry;
use crate::durable::services::{InstanceHealth, InstanceRecord, ServiceStore};
use crate::{BoxFuture, StoreError};

/// By service and id.
pub(super) type Instances = BTreeMap<(String, String), InstanceRecord>;

fn name(service: &str, id: &str) -> (String, String) {
    (service.to_owned(), id.to_owned())
}

fn put(instances: &mut Instances, new: &Instance, now: UnixMillis) -> Result<bool, StoreError> {
    let key = name(&new.service, &new.id);
    let before = instances.get(&key);
    if before.is_none() && instances.len() >= MAX_RECORDS {
        return Err(no_room());
    }
    let record = InstanceRecord {
        instance: new.clone(),
        health: before.map(|record| record.health).unwrap_or_default(),
        created_at: before.map_or(now, |record| record.created_at),
        updated_at: now,
    };
    instances.insert(key, record);
    Ok(true)
}

impl ServiceStore for MemoryDurableStore {
    fn put_instance<'a>(
        &'a self,
        instance: &'a Instance,
        now: UnixMillis,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.change(audit, |tables| put(&mut tables.instances, instance, now)).map(drop)
        })
    }

    fn find_instance<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<InstanceRecord>, StoreError>> {
        Box::pin(async move { Ok(self.tables().instances.get(&name(service, id)).cloned()) })
    }

    fn list_instances<'a>(
        &'a self,
        after: Option<(&'a str, &'a str)>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<InstanceRecord>, StoreError>> {
        Box::pin(async move {
            let start = after.map(|(service, id)| name(service, id));
            let start = start.map_or(Bound::Unbounded, Bound::Excluded);
            let tables = self.tables();
            let records = tables.instances.range((start, Bound::Unbounded));
            Ok(records.take(page_size(limit)).map(|(_, record)| record.clone()).collect())
        })
    }

    fn set_instance_health<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        health: InstanceHealth,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut tables = self.tables();
            let record = tables.instances.get_mut(&name(service, id));
            let is_there = record.is_some();
            if let Some(record) = record {
                record.health = health;
            }
            Ok(is_there)
        })
    }

    fn delete_instance<'a>(
        &'a self,
        service: &'a str,
        id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.change(audit, |tables| Ok(tables.instances.remove(&name(service, id)).is_some()))
        })
    }
}

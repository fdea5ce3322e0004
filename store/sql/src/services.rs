//! The table `service_registry`.

use postern_registry::{Check, Health, Instance, Probe};
use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::{AuditEntry, InstanceHealth, InstanceRecord, MAX_PAGE};

use crate::audit::audited;
use crate::column::{Columns, before_nul, corrupt, write_number, write_time};
use crate::database::{Database, on};
use crate::error::store_error;

macro_rules! columns {
    () => {
        "service, instance, host, port, protocol, base_path, health_path, interval_ms, \
         timeout_ms, retries, weight, max_connections, failure_threshold, recovery_ms, ttl_ms, \
         health, consecutive_failures, average_ms, version, environment, region, zone, \
         created_at, updated_at"
    };
}

/// What nobody has checked yet is in the first row; whoever comes again keeps how it was, and when
/// it came first.
const PUT: &str = concat!(
    "INSERT INTO service_registry (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'unknown', 0, 0, \
     $16, $17, $18, $19, $20, $20) \
     ON CONFLICT (service, instance) DO UPDATE SET \
     host = excluded.host, port = excluded.port, protocol = excluded.protocol, \
     base_path = excluded.base_path, health_path = excluded.health_path, \
     interval_ms = excluded.interval_ms, timeout_ms = excluded.timeout_ms, \
     retries = excluded.retries, weight = excluded.weight, \
     max_connections = excluded.max_connections, \
     failure_threshold = excluded.failure_threshold, recovery_ms = excluded.recovery_ms, \
     ttl_ms = excluded.ttl_ms, version = excluded.version, environment = excluded.environment, \
     region = excluded.region, zone = excluded.zone, updated_at = excluded.updated_at"
);

pub(crate) async fn put(
    database: &Database,
    instance: &Instance,
    now: UnixMillis,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    // Where it is not checked, the usual numbers stand there, and mean nothing.
    let (protocol, check) = match &instance.check {
        Some(check) => (check.probe.protocol(), check.clone()),
        None => ("", Check::new(Probe::Tcp)),
    };
    audited!(database, entry, transaction => {
        let done = sqlx::query(PUT)
            .bind(instance.service.clone())
            .bind(instance.id.clone())
            .bind(instance.address.to_string())
            .bind(i64::from(instance.port))
            .bind(protocol)
            .bind(instance.base_path.clone())
            .bind(check.probe.path().unwrap_or_default().to_owned())
            .bind(write_number(check.interval_ms))
            .bind(write_number(check.timeout_ms))
            .bind(i64::from(check.tries))
            .bind(i64::from(instance.weight))
            .bind(i64::from(instance.max_connections))
            .bind(i64::from(check.threshold))
            .bind(write_number(check.recovery_ms))
            .bind(write_number(instance.ttl_ms))
            .bind(instance.version.clone())
            .bind(instance.environment.clone())
            .bind(instance.region.clone())
            .bind(instance.zone.clone())
            .bind(write_time(now))
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        done.rows_affected() == 1
    });
    Ok(())
}

pub(crate) async fn find(
    database: &Database,
    service: &str,
    id: &str,
) -> Result<Option<InstanceRecord>, StoreError> {
    on!(database, pool => {
        let row = sqlx::query(concat!(
            "SELECT ", columns!(), " FROM service_registry WHERE service = $1 AND instance = $2"
        ))
        .bind(service.to_owned())
        .bind(id.to_owned())
        .fetch_optional(pool)
        .await
        .map_err(store_error)?;
        row.as_ref().map(read).transpose()
    })
}

/// No service is called by an empty text, so that one begins. What cannot be read is left out alone,
/// and no page is empty that others follow.
pub(crate) async fn list(
    database: &Database,
    after: Option<(&str, &str)>,
    limit: u32,
) -> Result<Vec<InstanceRecord>, StoreError> {
    let (service, id) = after.unwrap_or_default();
    let mut after = (before_nul(service).to_owned(), before_nul(id).to_owned());
    loop {
        let (records, last) = page(database, after, limit).await?;
        match last {
            Some(last) if records.is_empty() => after = last,
            _ => return Ok(records),
        }
    }
}

/// Service and instance.
type Name = (String, String);

/// A page without what cannot be read, and the last name on it.
async fn page(
    database: &Database,
    (service, id): Name,
    limit: u32,
) -> Result<(Vec<InstanceRecord>, Option<Name>), StoreError> {
    on!(database, pool => {
        let rows = sqlx::query(concat!(
            "SELECT ", columns!(), " FROM service_registry \
             WHERE service > $1 OR (service = $1 AND instance > $2) \
             ORDER BY service, instance LIMIT $3"
        ))
        .bind(service)
        .bind(id)
        .bind(i64::from(limit.min(MAX_PAGE)))
        .fetch_all(pool)
        .await
        .map_err(store_error)?;
        let last = rows.last().map(name).transpose()?;
        Ok((rows.iter().filter_map(read_or_warn).collect(), last))
    })
}

pub(crate) async fn set_health(
    database: &Database,
    service: &str,
    id: &str,
    health: InstanceHealth,
) -> Result<bool, StoreError> {
    let rows = on!(database, pool => {
        let done = sqlx::query(
            "UPDATE service_registry SET health = $1, consecutive_failures = $2, \
             average_ms = $3 WHERE service = $4 AND instance = $5",
        )
        .bind(health.health.as_str())
        .bind(i64::from(health.failures))
        .bind(i64::from(health.average_ms))
        .bind(service.to_owned())
        .bind(id.to_owned())
        .execute(pool)
        .await
        .map_err(store_error)?;
        done.rows_affected()
    });
    Ok(rows > 0)
}

pub(crate) async fn delete(
    database: &Database,
    service: &str,
    id: &str,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    let deleted = audited!(database, entry, transaction => {
        let done = sqlx::query("DELETE FROM service_registry WHERE service = $1 AND instance = $2")
            .bind(service.to_owned())
            .bind(id.to_owned())
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        done.rows_affected() == 1
    });
    Ok(deleted)
}

fn name<R: Columns>(row: &R) -> Result<Name, StoreError> {
    Ok((row.text("service")?, row.text("instance")?))
}

/// One that is damaged keeps nobody from the others.
fn read_or_warn<R: Columns>(row: &R) -> Option<InstanceRecord> {
    let warn = |error: &StoreError| {
        let (service, id) = name(row).unwrap_or_default();
        tracing::warn!(service, id, %error, "an instance that stays cannot be read");
    };
    read(row).inspect_err(warn).ok()
}

fn read<R: Columns>(row: &R) -> Result<InstanceRecord, StoreError> {
    let instance = Instance {
        service: row.text("service")?,
        id: row.text("instance")?,
        address: row.text("host")?.parse().map_err(|_| corrupt("host"))?,
        port: small(row, "port")?,
        weight: small(row, "weight")?,
        base_path: row.text("base_path")?,
        check: check(row)?,
        max_connections: small(row, "max_connections")?,
        version: row.optional_text("version")?,
        environment: row.optional_text("environment")?,
        region: row.optional_text("region")?,
        zone: row.optional_text("zone")?,
        ttl_ms: row.number("ttl_ms")?,
        stays: true,
    };
    let health = InstanceHealth {
        health: Health::parse(&row.text("health")?).ok_or_else(|| corrupt("health"))?,
        failures: small(row, "consecutive_failures")?,
        average_ms: small(row, "average_ms")?,
    };
    let (created_at, updated_at) = (row.time("created_at")?, row.time("updated_at")?);
    Ok(InstanceRecord { instance, health, created_at, updated_at })
}

fn check<R: Columns>(row: &R) -> Result<Option<Check>, StoreError> {
    let probe = match row.text("protocol")?.as_str() {
        "" => return Ok(None),
        "tcp" => Probe::Tcp,
        "http" => Probe::Http { path: row.text("health_path")? },
        _ => return Err(corrupt("protocol")),
    };
    Ok(Some(Check {
        probe,
        interval_ms: row.number("interval_ms")?,
        timeout_ms: row.number("timeout_ms")?,
        tries: small(row, "retries")?,
        threshold: small(row, "failure_threshold")?,
        recovery_ms: row.number("recovery_ms")?,
    }))
}

fn small<R: Columns, T: TryFrom<i64>>(row: &R, name: &str) -> Result<T, StoreError> {
    T::try_from(row.integer(name)?).map_err(|_| corrupt(name))
}

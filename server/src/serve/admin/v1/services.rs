//! `/admin/v1/services`

use std::net::IpAddr;
use std::sync::Arc;

use postern_identity::IdentityError;
use postern_registry::{CheckParts, Health, Instance, Listed};
use postern_request::UnixMillis;

use super::Api;
use super::call::{Call, Reply};
use super::dto;
use super::refusal::Refusal;

const WHAT: &str = "instance";

pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let listing = call.listing()?;
    let names = api.operators.services(call.now).await?;
    // They have names and no beginning.
    let page = listing.ask().of(names, |name| (UnixMillis(0), name.clone()));
    let mut services = Vec::with_capacity(page.records.len());
    for name in page.records {
        let instances = api.operators.instances(&name, call.now).await?.entries;
        let is_healthy = |listed: &&Listed| listed.standing.health != Health::Unhealthy;
        let healthy = count(instances.iter().filter(is_healthy).count());
        services.push(dto::Service { name, instances: count(instances.len()), healthy });
    }
    Ok(Reply::page(listing, &services, page.total))
}

pub(super) async fn instances(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let listing = call.listing()?;
    let found = api.operators.instances(call.id(0, "service")?, call.now).await?;
    let since = |listed: &Listed| (listed.standing.since, listed.instance.id.clone());
    let page = listing.ask().of(found.entries, since);
    let instances: Vec<dto::Instance> = page.records.into_iter().map(dto::Instance::from).collect();
    Ok(Reply::page(listing, &instances, page.total))
}

pub(super) async fn register(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let service = call.id(0, "service")?;
    let instance = read(service, call.body()?)?;
    api.operators.register_instance(&instance, &call.by, call.now).await?;
    shown(&api, service, &instance.id, call.now).await
}

pub(super) async fn show(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let (service, id) = (call.id(0, "service")?, call.id(1, WHAT)?);
    shown(&api, service, id, call.now).await
}

pub(super) async fn heartbeat(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let (service, id) = (call.id(0, "service")?, call.id(1, WHAT)?);
    api.operators.renew_instance(service, id, call.now).await?;
    shown(&api, service, id, call.now).await
}

pub(super) async fn deregister(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let (service, id) = (call.id(0, "service")?, call.id(1, WHAT)?);
    api.operators.deregister_instance(service, id, &call.by, call.now).await?;
    Ok(Reply::one(&dto::Ended { ended: 1 }))
}

async fn shown(api: &Api, service: &str, id: &str, now: UnixMillis) -> Result<Reply, Refusal> {
    let listed = api.operators.instance(service, id, now).await?;
    Ok(Reply::one(&dto::Instance::from(listed)))
}

/// What is to be registered. Bounds are the registry's own.
fn read(service: &str, body: dto::NewInstance) -> Result<Instance, Refusal> {
    let address: IpAddr = body.address.parse().map_err(|_| {
        Refusal::invalid(
            "address",
            "expected an IP address; names are resolved by \
                                                  Envoy, where a service has an `upstream`",
        )
    })?;
    let millis = |seconds: Option<u64>| seconds.map(|seconds| seconds.saturating_mul(1000));
    let parts = CheckParts {
        protocol: body.protocol,
        health_path: body.health_path,
        interval_ms: millis(body.interval),
        timeout_ms: millis(body.timeout),
        tries: body.retries,
        threshold: body.failure_threshold,
        recovery_ms: millis(body.recovery),
    };
    let check = parts.check().map_err(IdentityError::from)?;
    let usual = Instance::new(service.to_owned(), body.id, address, body.port);
    Ok(Instance {
        weight: body.weight.unwrap_or(usual.weight),
        base_path: body.base_path.unwrap_or_default(),
        check,
        max_connections: body.max_connections.unwrap_or(usual.max_connections),
        version: body.version,
        environment: body.environment,
        region: body.region,
        zone: body.zone,
        ttl_ms: millis(body.ttl).unwrap_or(usual.ttl_ms),
        stays: body.stays.unwrap_or(false),
        ..usual
    })
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

//! `postern service`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use postern_document::parse_duration_ms;
use postern_registry::{CheckParts, Instance, Listed};
use postern_store::Registry;
use postern_store_redis::RedisStore;
use serde_json::{Value, json};

use super::{now, operators};
use crate::cli::{Service, ServiceAction, ServiceRegister};
use crate::output;

/// Registers, renews, lists and takes out instances of services.
///
/// # Errors
/// When a store cannot be used, a value is none, or there is no such instance.
pub async fn run(arguments: &Service) -> Result<ExitCode> {
    match &arguments.action {
        ServiceAction::Register(arguments) => register(arguments).await?,
        ServiceAction::Heartbeat { registry, service, instance, json: as_json } => {
            let registry = operators::registry(&registry.volatile).await?;
            let is_there = registry.heartbeat(service, instance, now()).await?;
            anyhow::ensure!(is_there, "{NOT_THERE}");
            done(*as_json, "renewed", service, instance)?;
        }
        ServiceAction::Deregister { durable, registry, service, instance, json: as_json } => {
            let operators = operators::registering(durable, &registry.volatile).await?;
            let by = operators::actor();
            operators.deregister_instance(service, instance, &by, now()).await?;
            done(*as_json, "taken out", service, instance)?;
        }
        ServiceAction::List { registry, service, json: as_json } => {
            let registry = operators::registry(&registry.volatile).await?;
            list(&all(&registry, service.as_deref()).await?, *as_json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

const NOT_THERE: &str = "there is no such instance, or its time is over: register it again";

async fn register(arguments: &ServiceRegister) -> Result<()> {
    let instance = instance(arguments)?;
    let volatile = &arguments.registry.volatile;
    let operators = operators::registering(&arguments.durable, volatile).await?;
    operators.register_instance(&instance, &operators::actor(), now()).await?;
    done(arguments.json, "registered", &instance.service, &instance.id)
}

/// What is to be registered. Bounds are the registry's own.
fn instance(arguments: &ServiceRegister) -> Result<Instance> {
    let parts = CheckParts {
        protocol: arguments.check.map(|check| check.as_str().to_owned()),
        health_path: arguments.health_path.clone(),
        interval_ms: duration("--interval", arguments.interval.as_deref())?,
        timeout_ms: duration("--timeout", arguments.timeout.as_deref())?,
        tries: arguments.retries,
        threshold: arguments.failure_threshold,
        recovery_ms: duration("--recovery", arguments.recovery.as_deref())?,
    };
    let (service, id) = (arguments.service.clone(), arguments.instance.clone());
    let usual = Instance::new(service, id, arguments.address.ip(), arguments.address.port());
    let instance = Instance {
        weight: arguments.weight,
        base_path: arguments.base_path.clone(),
        check: parts.check()?,
        max_connections: arguments.max_connections,
        version: arguments.instance_version.clone(),
        environment: arguments.environment.clone(),
        region: arguments.region.clone(),
        zone: arguments.zone.clone(),
        ttl_ms: duration("--ttl", Some(&arguments.ttl))?.unwrap_or(usual.ttl_ms),
        stays: arguments.stays,
        ..usual
    };
    // Before a store is asked for: what is wrong is known without.
    instance.validate()?;
    Ok(instance)
}

fn duration(option: &str, text: Option<&str>) -> Result<Option<u64>> {
    let Some(text) = text else { return Ok(None) };
    let millis = parse_duration_ms(text);
    let millis = millis.with_context(|| {
        format!("{option}: `{text}` is not a duration, such as 500ms, 30s, 15m or 1h")
    })?;
    Ok(Some(millis))
}

fn done(as_json: bool, what: &str, service: &str, instance: &str) -> Result<()> {
    if as_json {
        let done = json!({"service": service, "instance": instance, "done": what});
        return output::line(done.to_string());
    }
    output::line(format!("{service}/{instance} is {what}"))
}

/// The instances of one service, or of all.
async fn all(registry: &Arc<RedisStore>, service: Option<&str>) -> Result<Vec<Listed>> {
    let services = match service {
        Some(service) => vec![service.to_owned()],
        None => registry.services(now()).await?,
    };
    let mut all = Vec::new();
    for service in services {
        all.extend(registry.list(&service, now()).await?.entries);
    }
    Ok(all)
}

fn list(instances: &[Listed], as_json: bool) -> Result<()> {
    if as_json {
        return output::line(Value::Array(instances.iter().map(to_json).collect()).to_string());
    }
    let row = |Listed { instance, standing, expires_in_ms }: &Listed| {
        let left = expires_in_ms.map(|left| format!("{}s", left.div_ceil(1000)));
        let expires = if instance.stays { "stays".to_owned() } else { left.unwrap_or_default() };
        let health = match &instance.check {
            Some(_) => standing.health.as_str(),
            None => "not checked",
        };
        vec![
            instance.service.clone(),
            instance.id.clone(),
            instance.place(),
            instance.weight.to_string(),
            health.to_owned(),
            expires,
        ]
    };
    let rows: Vec<Vec<String>> = instances.iter().map(row).collect();
    output::table(&["SERVICE", "INSTANCE", "ADDRESS", "WEIGHT", "HEALTH", "EXPIRES"], &rows)
}

fn to_json(Listed { instance, standing, expires_in_ms }: &Listed) -> Value {
    let check = instance.check.as_ref();
    json!({
        "service": instance.service,
        "instance": instance.id,
        "address": instance.place(),
        "weight": instance.weight,
        "check": check.map(|check| check.probe.protocol()),
        "health_path": instance.health_path(),
        "interval_ms": check.map(|check| check.interval_ms),
        "version": instance.version,
        "environment": instance.environment,
        "region": instance.region,
        "zone": instance.zone,
        "stays": instance.stays,
        "health": standing.health.as_str(),
        "since": standing.since.to_rfc3339(),
        "failures": standing.failures,
        "last_check": standing.last_check.map(postern_request::UnixMillis::to_rfc3339),
        "response_ms": standing.response_ms,
        "expires_in_ms": expires_in_ms,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn read(words: &str) -> Result<Instance> {
        let start = "postern service register shop shop-1 --durable a --volatile b --address ";
        let words = format!("{start}{words}");
        let cli = Cli::try_parse_from(words.split_whitespace())?;
        let Command::Service(service) = cli.command else { panic!("{cli:?}") };
        let ServiceAction::Register(arguments) = service.action else { panic!("{service:?}") };
        instance(&arguments)
    }

    #[test]
    fn an_instance_is_read_with_the_numbers_of_the_contract() {
        let plain = read("10.0.0.7:8080").unwrap();
        assert_eq!((plain.place().as_str(), plain.weight), ("10.0.0.7:8080", 1));
        assert_eq!((plain.ttl_ms, plain.max_connections), (300_000, 100));
        assert!(plain.check.is_none() && !plain.stays);
        let checked = read("[::1]:80 --health-path /health --timeout 500ms --zone a --region b");
        let checked = checked.unwrap();
        let check = checked.check.unwrap();
        assert_eq!((check.interval_ms, check.timeout_ms, check.tries), (30_000, 500, 3));
        assert_eq!((check.threshold, check.recovery_ms), (5, 60_000));
        assert_eq!(checked.zone.as_deref(), Some("a"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_reason() {
        for (words, expected) in [
            ("shop.example.test:80", "--address"),
            ("10.0.0.7:8080 --weight 0", "weight"),
            ("10.0.0.7:8080 --interval 10s", "say how it is checked"),
            ("10.0.0.7:8080 --check tcp --interval soon", "--interval"),
            ("10.0.0.7:8080 --check http", "which path"),
            ("10.0.0.7:8080 --stays --ttl 1m", "3m to 1h"),
            ("10.0.0.7:8080 --zone a", "--region"),
            ("169.254.169.254:80", "link-local"),
        ] {
            let error = format!("{:#}", read(words).unwrap_err());
            assert!(error.contains(expected), "{words}: {error}");
        }
    }
}

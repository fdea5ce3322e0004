//! Services and their instances.

use postern_registry::{Check, Listed};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::moment;

/// A service that has instances.
#[derive(Serialize, ToSchema)]
pub struct Service {
    /// What it is called.
    pub name: String,
    /// How many instances it has.
    pub instances: u64,
    /// How many of them are not unhealthy.
    pub healthy: u64,
}

/// An instance of a service. Times that last are in seconds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Its name within the service.
    pub id: String,
    /// The service.
    pub service: String,
    /// Its IP address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its share of the service's requests.
    pub weight: u32,
    /// How it is checked, `http` or `tcp`; null where it is not.
    pub protocol: Option<String>,
    /// What stands before the path that is asked for.
    pub base_path: String,
    /// The path that is asked for.
    pub health_path: Option<String>,
    /// How far checks are apart.
    pub interval: Option<u64>,
    /// How long one try may take.
    pub timeout: Option<u64>,
    /// How often one check tries.
    pub retries: Option<u32>,
    /// After so many failed checks in a row it is unhealthy.
    pub failure_threshold: Option<u32>,
    /// How long it is left alone then, at first.
    pub recovery: Option<u64>,
    /// How many connections it takes, as it says.
    pub max_connections: u32,
    /// What runs there.
    pub version: Option<String>,
    /// What it is for.
    pub environment: Option<String>,
    /// Where it is.
    pub region: Option<String>,
    /// Where within that.
    pub zone: Option<String>,
    /// How long it is there unless it is renewed.
    pub ttl: u64,
    /// Whether it stays until somebody takes it out.
    pub stays: bool,
    /// `unknown`, `healthy`, `unhealthy` or `recovering`.
    pub health: String,
    /// Since when.
    pub since: String,
    /// Checks in a row that have failed.
    pub failures: u32,
    /// When it was checked last.
    pub last_check: Option<String>,
    /// How long its answers take, in milliseconds.
    pub response_time: u32,
    /// How long it is there unless it is renewed, from now on.
    pub expires_in: Option<u64>,
}

impl From<Listed> for Instance {
    fn from(Listed { instance, standing, expires_in_ms }: Listed) -> Self {
        let check = instance.check.as_ref();
        let seconds = |of: fn(&Check) -> u64| check.map(|check| of(check).div_ceil(1000));
        Self {
            address: instance.address.to_string(),
            port: instance.port,
            weight: instance.weight,
            protocol: check.map(|check| check.probe.protocol().to_owned()),
            health_path: check.and_then(|check| check.probe.path()).map(str::to_owned),
            interval: seconds(|check| check.interval_ms),
            timeout: seconds(|check| check.timeout_ms),
            retries: check.map(|check| check.tries),
            failure_threshold: check.map(|check| check.threshold),
            recovery: seconds(|check| check.recovery_ms),
            max_connections: instance.max_connections,
            ttl: instance.ttl_ms.div_ceil(1000),
            stays: instance.stays,
            health: standing.health.as_str().to_owned(),
            since: moment(standing.since),
            failures: standing.failures,
            last_check: standing.last_check.map(moment),
            response_time: standing.response_ms,
            expires_in: expires_in_ms.map(|left| left.div_ceil(1000)),
            id: instance.id,
            service: instance.service,
            base_path: instance.base_path,
            version: instance.version,
            environment: instance.environment,
            region: instance.region,
            zone: instance.zone,
        }
    }
}

/// An instance to be registered. Times are in seconds.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewInstance {
    /// Its name within the service.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", example = "shop-1")]
    pub id: String,
    /// Its IP address.
    #[schema(example = "10.0.0.7")]
    pub address: String,
    /// Its port.
    #[schema(minimum = 1, maximum = 65535)]
    pub port: u16,
    /// Its share of the service's requests; 1 without this.
    #[schema(minimum = 1, maximum = 1000)]
    pub weight: Option<u32>,
    /// How it is checked, `http` or `tcp`; not at all without this and a path.
    #[schema(pattern = "^(http|tcp)$")]
    pub protocol: Option<String>,
    /// What stands before the path that is asked for.
    #[schema(max_length = 255)]
    pub base_path: Option<String>,
    /// The path that is asked for.
    #[schema(max_length = 255, example = "/health")]
    pub health_path: Option<String>,
    /// How far checks are apart; 30 without this.
    #[schema(minimum = 1, maximum = 3600)]
    pub interval: Option<u64>,
    /// How long one try may take; 5 without this, or `interval` if that is shorter.
    #[schema(minimum = 1, maximum = 60)]
    pub timeout: Option<u64>,
    /// How often one check tries, the first time included; 3 without this.
    #[schema(minimum = 1, maximum = 10)]
    pub retries: Option<u32>,
    /// After so many failed checks in a row it is unhealthy; 5 without this.
    #[schema(minimum = 1, maximum = 100)]
    pub failure_threshold: Option<u32>,
    /// How long it is left alone then, at first; 60 without this.
    #[schema(minimum = 1, maximum = 3600)]
    pub recovery: Option<u64>,
    /// How many connections it takes; 100 without this.
    #[schema(minimum = 1, maximum = 1000000)]
    pub max_connections: Option<u32>,
    /// What runs there.
    #[schema(min_length = 1, max_length = 63)]
    pub version: Option<String>,
    /// What it is for.
    #[schema(min_length = 1, max_length = 63)]
    pub environment: Option<String>,
    /// Where it is.
    #[schema(min_length = 1, max_length = 63)]
    pub region: Option<String>,
    /// Where within that.
    #[schema(min_length = 1, max_length = 63)]
    pub zone: Option<String>,
    /// How long it is there unless it is renewed; 300 without this.
    #[schema(minimum = 5, maximum = 3600)]
    pub ttl: Option<u64>,
    /// Whether it stays until somebody takes it out, and servers renew it; false without this.
    pub stays: Option<bool>,
}

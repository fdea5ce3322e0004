//! Instances as they are kept: a hash, with the fields that others who read it know and ours. What
//! an instance has not is an empty text.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use postern_registry::{Check, Health, Instance, Probe, Standing};
use postern_request::UnixMillis;
use postern_store::StoreError;
use redis::Value;
use sha2::{Digest as _, Sha256};

use crate::error::unexpected;

/// The fields of an instance but its address, and their values.
pub(crate) fn fields(instance: &Instance) -> Vec<(&'static str, String)> {
    let label = |label: &Option<String>| label.clone().unwrap_or_default();
    let number = |found: Option<u64>| found.map(|found| found.to_string()).unwrap_or_default();
    let check = instance.check.as_ref();
    let small = |of: fn(&Check) -> u32| number(check.map(|check| u64::from(of(check))));
    vec![
        ("weight", instance.weight.to_string()),
        ("basePath", instance.base_path.clone()),
        ("protocol", check.map(|check| check.probe.protocol()).unwrap_or_default().to_owned()),
        ("healthPath", check.and_then(|check| check.probe.path()).unwrap_or_default().to_owned()),
        ("interval", number(check.map(|check| check.interval_ms))),
        ("timeout", number(check.map(|check| check.timeout_ms))),
        ("retries", small(|check| check.tries)),
        ("failureThreshold", small(|check| check.threshold)),
        ("recovery", number(check.map(|check| check.recovery_ms))),
        ("maxConnections", instance.max_connections.to_string()),
        ("version", label(&instance.version)),
        ("environment", label(&instance.environment)),
        ("region", label(&instance.region)),
        ("zone", label(&instance.zone)),
        ("ttl", instance.ttl_ms.to_string()),
        ("stays", u8::from(instance.stays).to_string()),
    ]
}

/// What tells one set of fields from another: the first half of SHA-256, in hexadecimal.
pub(crate) fn digest(fields: &[(&'static str, String)]) -> String {
    let mut hash = Sha256::new();
    for (name, value) in fields {
        hash.update(name);
        // No value has one.
        hash.update([0_u8]);
        hash.update(value);
        hash.update([0_u8]);
    }
    let mut text = String::with_capacity(32);
    for byte in hash.finalize().iter().take(16) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads what the scripts have written; none where there is nothing.
pub(crate) fn read(
    service: &str,
    id: &str,
    answer: Value,
) -> Result<Option<(Instance, Standing)>, StoreError> {
    let fields: HashMap<String, String> =
        redis::from_redis_value(answer).map_err(|_| unexpected("of an instance"))?;
    if fields.is_empty() {
        return Ok(None);
    }
    let fields = Fields(&fields);
    let place: SocketAddr = fields.parsed("address")?;
    let instance = Instance {
        service: service.to_owned(),
        id: id.to_owned(),
        address: place.ip(),
        port: place.port(),
        weight: fields.parsed("weight")?,
        base_path: fields.text("basePath")?.to_owned(),
        check: fields.check()?,
        max_connections: fields.parsed("maxConnections")?,
        version: fields.label("version")?,
        environment: fields.label("environment")?,
        region: fields.label("region")?,
        zone: fields.label("zone")?,
        ttl_ms: fields.parsed("ttl")?,
        stays: fields.parsed::<u8>("stays")? == 1,
    };
    // Whatever stands there ends up at Envoys.
    instance.validate().map_err(|invalid| damaged(invalid.what))?;
    let health = Health::parse(fields.text("health")?).ok_or_else(|| damaged("health"))?;
    let last_check = match fields.text("lastCheck")? {
        "" => None,
        _ => Some(UnixMillis(fields.parsed("lastCheck")?)),
    };
    let standing = Standing {
        health,
        since: UnixMillis(fields.parsed("since")?),
        failures: fields.parsed("failures")?,
        attempts: fields.parsed("attempts")?,
        last_check,
        response_ms: fields.parsed("responseTime")?,
    };
    Ok(Some((instance, standing)))
}

/// The field alone, as sessions have it.
fn damaged(field: &str) -> StoreError {
    unexpected(&format!("of an instance with a damaged field {field}"))
}

/// What Redis holds of an instance, and says which field cannot be read.
struct Fields<'f>(&'f HashMap<String, String>);

impl Fields<'_> {
    fn text(&self, name: &str) -> Result<&str, StoreError> {
        self.0.get(name).map(String::as_str).ok_or_else(|| damaged(name))
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<T, StoreError> {
        self.text(name)?.parse().map_err(|_| damaged(name))
    }

    fn label(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(Some(self.text(name)?).filter(|text| !text.is_empty()).map(str::to_owned))
    }

    fn check(&self) -> Result<Option<Check>, StoreError> {
        let probe = match self.text("protocol")? {
            "" => return Ok(None),
            "tcp" => Probe::Tcp,
            "http" => Probe::Http { path: self.text("healthPath")?.to_owned() },
            _ => return Err(damaged("protocol")),
        };
        Ok(Some(Check {
            probe,
            interval_ms: self.parsed("interval")?,
            timeout_ms: self.parsed("timeout")?,
            tries: self.parsed("retries")?,
            threshold: self.parsed("failureThreshold")?,
            recovery_ms: self.parsed("recovery")?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::*;

    fn full() -> Instance {
        Instance {
            weight: 7,
            base_path: "/api".to_owned(),
            check: Some(Check::new(Probe::Http { path: "/health".to_owned() })),
            version: Some("1.2".to_owned()),
            environment: Some("test".to_owned()),
            region: Some("r".to_owned()),
            zone: Some("z".to_owned()),
            stays: true,
            ..bare()
        }
    }

    fn bare() -> Instance {
        let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
        Instance::new("shop".to_owned(), "shop-1".to_owned(), address, 80)
    }

    /// What Redis answers to HGETALL of what `register.lua` and `report.lua` write.
    fn kept(instance: &Instance) -> Vec<(String, String)> {
        let own = |(name, value): (&str, String)| (name.to_owned(), value);
        let standing = [
            ("address", instance.place()),
            ("definition", digest(&fields(instance))),
            ("health", "recovering".to_owned()),
            ("since", "5".to_owned()),
            ("failures", "0".to_owned()),
            ("attempts", "2".to_owned()),
            ("lastCheck", String::new()),
            ("responseTime", "17".to_owned()),
        ];
        fields(instance).into_iter().chain(standing).map(own).collect()
    }

    fn answer(kept: Vec<(String, String)>) -> Value {
        let text = |text: String| Value::BulkString(text.into_bytes());
        Value::Array(kept.into_iter().flat_map(|(name, value)| [text(name), text(value)]).collect())
    }

    fn read_all(kept: Vec<(String, String)>) -> Result<Option<(Instance, Standing)>, StoreError> {
        read("shop", "shop-1", answer(kept))
    }

    #[test]
    fn instances_are_read_as_they_are_written() {
        let standing = Standing {
            health: Health::Recovering,
            since: UnixMillis(5),
            attempts: 2,
            response_ms: 17,
            ..Standing::default()
        };
        let tcp = Instance { check: Some(Check::new(Probe::Tcp)), ..bare() };
        for instance in [full(), bare(), tcp] {
            assert_eq!(read_all(kept(&instance)), Ok(Some((instance, standing))));
        }
        assert_eq!(read_all(Vec::new()), Ok(None));
    }

    #[test]
    fn damage_is_told_by_the_field() {
        for (name, value) in [
            ("address", "example.test:80"),
            ("address", "169.254.1.1:80"),
            ("weight", "0"),
            ("weight", "-1"),
            ("protocol", "udp"),
            ("interval", ""),
            ("health", "fine"),
            ("since", "soon"),
            ("lastCheck", "soon"),
            ("zone", "a b"),
        ] {
            let mut kept = kept(&full());
            let field = kept.iter_mut().find(|(known, _)| known == name).unwrap();
            value.clone_into(&mut field.1);
            let error = read_all(kept).unwrap_err();
            assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
        let mut missing = kept(&full());
        missing.retain(|(name, _)| name != "ttl");
        assert!(matches!(read_all(missing), Err(StoreError::Corrupt(_))));
        assert!(matches!(read("s", "i", Value::Int(1)), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn a_digest_tells_what_is_different() {
        let of = |instance: &Instance| digest(&fields(instance));
        assert_eq!(of(&full()), of(&full()));
        for other in [
            Instance { weight: 8, ..full() },
            Instance { zone: None, ..full() },
            Instance { region: Some("rz".to_owned()), zone: None, ..full() },
            Instance { stays: false, ..full() },
            Instance { check: Some(Check::new(Probe::Tcp)), ..full() },
        ] {
            assert_ne!(of(&other), of(&full()), "{other:?}");
        }
    }
}

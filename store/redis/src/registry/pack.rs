//! Keys and commands of the registry. Services and instances are called what operators call them,
//! and have no braces or colons in their names.

use postern_registry::{Instance, MAX_INSTANCES, Standing};
use postern_store::registry::{Checker, Report};
use redis::Cmd;

use super::record;
use crate::script::Scripts;

/// How much longer than its instances a service's state is remembered: whoever waits for it asks
/// far more often.
const REMEMBERED_MS: u64 = 3_600_000;
/// The most services that are listed.
const MAX_SERVICES: usize = 10_000;
/// How long they are, after the last registration or renewal.
const LISTED_MS: u64 = 86_400_000;
/// Room for keys and the fields of an instance.
const BYTES: usize = 768;

/// All services, by their last change.
pub(crate) const SERVICES: &str = "postern:services";
/// The same by when nobody runs them any more, in the same slot.
const ENDS: &str = "postern:services:ends:{postern:services}";

fn instance_key(service: &str, id: &str) -> String {
    format!("postern:service:{{{service}}}:{id}")
}

fn index_key(service: &str) -> String {
    format!("postern:service:of:{{{service}}}")
}

fn state_key(service: &str) -> String {
    format!("postern:service:state:{{{service}}}")
}

fn turn_key(service: &str) -> String {
    format!("postern:service:turn:{{{service}}}")
}

/// A call of `register.lua`.
pub(crate) fn register(scripts: &Scripts, instance: &Instance) -> Cmd {
    let fields = record::fields(instance);
    let mut call = scripts.registry.register.call(3, 9 + 2 * fields.len(), BYTES);
    call.arg(instance_key(&instance.service, &instance.id));
    call.arg(index_key(&instance.service)).arg(state_key(&instance.service));
    call.arg(&instance.id).arg(instance.ttl_ms).arg(MAX_INSTANCES);
    call.arg(record::digest(&fields)).arg(REMEMBERED_MS).arg(instance.place());
    for (name, value) in fields {
        call.arg(name).arg(value);
    }
    call
}

/// A call of `heartbeat.lua`.
pub(crate) fn heartbeat(scripts: &Scripts, service: &str, id: &str) -> Cmd {
    let mut call = scripts.registry.heartbeat.call(3, 5, BYTES);
    call.arg(instance_key(service, id)).arg(index_key(service)).arg(state_key(service));
    call.arg(id).arg(REMEMBERED_MS);
    call
}

/// A call of `deregister.lua`.
pub(crate) fn deregister(scripts: &Scripts, service: &str, id: &str) -> Cmd {
    let mut call = scripts.registry.deregister.call(3, 5, BYTES);
    call.arg(instance_key(service, id)).arg(index_key(service)).arg(state_key(service));
    call.arg(id).arg(REMEMBERED_MS);
    call
}

/// A call of `index.lua`.
pub(crate) fn index(scripts: &Scripts, service: &str) -> Cmd {
    let mut call = scripts.registry.index.call(2, 2, BYTES);
    call.arg(index_key(service)).arg(state_key(service));
    call
}

/// What `record::read` reads.
pub(crate) fn find(service: &str, id: &str) -> Cmd {
    let mut command = redis::cmd("HGETALL");
    command.arg(instance_key(service, id));
    command
}

/// A call of `claim.lua`.
pub(crate) fn claim(scripts: &Scripts, service: &str, checker: Checker, life_ms: u64) -> Cmd {
    let mut call = scripts.registry.claim.call(1, 3, BYTES);
    call.arg(turn_key(service)).arg(checker.0).arg(life_ms.max(1));
    call
}

/// A call of `report.lua`.
pub(crate) fn report(scripts: &Scripts, report: &Report<'_>) -> Cmd {
    let Standing { health, since, failures, attempts, last_check, response_ms } = report.standing;
    let last_check = last_check.map(|at| at.0.to_string()).unwrap_or_default();
    let mut call = scripts.registry.report.call(3, 11, BYTES);
    call.arg(instance_key(report.service, report.id));
    call.arg(state_key(report.service)).arg(turn_key(report.service));
    call.arg(report.checker.0).arg(health.as_str()).arg(since.0);
    call.arg(failures).arg(attempts).arg(last_check).arg(response_ms);
    call.arg(report.place.to_string());
    call
}

/// A call of `ring.lua`; without a life it is as it was.
pub(crate) fn ring(
    scripts: &Scripts,
    service: &str,
    is_changed: bool,
    life_ms: Option<u64>,
) -> Cmd {
    let mut call = scripts.registry.ring.call(2, 7, BYTES);
    let change = if is_changed { "1" } else { "0" };
    call.arg(SERVICES).arg(ENDS).arg(service).arg(change).arg(MAX_SERVICES).arg(LISTED_MS);
    call.arg(life_ms.map(|life| life.to_string()).unwrap_or_default());
    call
}

/// All services that are listed.
pub(crate) fn services() -> Cmd {
    let mut command = redis::cmd("ZRANGE");
    command.arg(SERVICES).arg(0).arg(-1);
    command
}

/// The newest change, of whichever service; none where there is none.
pub(crate) fn newest() -> Cmd {
    let mut command = redis::cmd("ZRANGE");
    command.arg(SERVICES).arg(-1).arg(-1).arg("WITHSCORES");
    command
}

/// Changes after a number.
pub(crate) fn changes(after: u64) -> Cmd {
    let mut command = redis::cmd("ZRANGEBYSCORE");
    command.arg(SERVICES).arg(format!("({after}")).arg("+inf").arg("WITHSCORES");
    command
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn what_belongs_to_a_service_lies_in_its_slot() {
        let keys =
            [instance_key("shop", "a"), index_key("shop"), state_key("shop"), turn_key("shop")];
        for (at, key) in keys.iter().enumerate() {
            assert!(key.starts_with("postern:service:"), "{key}");
            assert_eq!(key.split(['{', '}']).nth(1), Some("shop"), "{key}");
            assert!(keys.iter().skip(at + 1).all(|other| other != key));
        }
        // As others who read it know it.
        assert_eq!(instance_key("shop", "shop-1"), "postern:service:{shop}:shop-1");
        // No instance is called so that it would be one of the others.
        assert_ne!(instance_key("shop", "of"), index_key("shop"));
    }

    #[test]
    fn what_is_of_all_services_lies_in_one_slot() {
        assert!(!SERVICES.contains('{'), "all of it says where it lies");
        assert_eq!(ENDS.split(['{', '}']).nth(1), Some(SERVICES));
    }

    #[test]
    fn an_address_stands_where_the_script_looks_for_it() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let instance = Instance::new("shop".to_owned(), "a".to_owned(), address, 80);
        let call = register(&Scripts::default(), &instance);
        let sent = String::from_utf8_lossy(&call.get_packed_command()).replace("\r\n", " ");
        let words: Vec<&str> = sent.split(' ').collect();
        let place = words.iter().position(|word| *word == "127.0.0.1:80").unwrap();
        // Each word stands behind its length; `*N` and EVALSHA, its hash and the count come first.
        assert_eq!((place - 1) / 2, 3 + 3 + 5, "{sent}");
        assert!(words.contains(&"ttl") && words.contains(&"300000"), "{sent}");
    }
}

//! What Consul answers, as instances.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

use postern_registry::instance::fits_label;
use postern_registry::{Health, Instance, Listed, MAX_INSTANCES, Standing};
use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

/// The most services that are listed.
const MAX_SERVICES: usize = 10_000;
/// Longest name of an instance, in bytes.
const MAX_ID_BYTES: usize = 128;
/// Longest entry, in bytes: with all metadata that Consul allows, and what many checks have said.
const MAX_ENTRY_BYTES: usize = 1 << 18;

/// An entry of `/v1/health/service/NAME`. There is more, which is not for us.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: Service,
    checks: Vec<CheckState>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
    address: String,
    datacenter: Option<String>,
    meta: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    address: String,
    port: u16,
    weights: Option<Weights>,
    meta: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: u16,
    warning: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CheckState {
    status: String,
}

/// The instances of a service, by their ids, and how many made no sense; none where it is no list.
pub(crate) fn listed(service: &str, body: &[u8]) -> Option<(Vec<Listed>, u32)> {
    let mut all = 0_usize;
    let mut instances: Vec<(String, Listed)> = Vec::new();
    each_element(body, |entry| {
        all += 1;
        if instances.len() < MAX_INSTANCES && entry.len() <= MAX_ENTRY_BYTES {
            instances.extend(read(service, entry));
        }
    })?;
    // Agents give ids, each on its own node.
    let mut times: HashMap<String, usize> = HashMap::new();
    for (_, listed) in &instances {
        *times.entry(listed.instance.id.clone()).or_default() += 1;
    }
    let mut by_id: BTreeMap<String, Listed> = BTreeMap::new();
    for (node, mut listed) in instances {
        if times.get(&listed.instance.id) != Some(&1) {
            listed.instance.id = format!("{}@{node}", listed.instance.id);
        }
        if fits_id(&listed.instance.id) {
            by_id.insert(listed.instance.id.clone(), listed);
        }
    }
    let left_out = u32::try_from(all.saturating_sub(by_id.len())).unwrap_or(u32::MAX);
    Some((by_id.into_values().collect(), left_out))
}

/// Hands over the elements of a list of JSON, each as it stands there; nothing where it is no list.
/// However many there are, and whatever stands in them, no more is kept than what comes of it.
fn each_element(body: &[u8], mut take: impl FnMut(&[u8])) -> Option<()> {
    let mut rest = body.trim_ascii_start().strip_prefix(b"[")?.trim_ascii_start();
    if let Some(after) = rest.strip_prefix(b"]") {
        return after.trim_ascii().is_empty().then_some(());
    }
    loop {
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let (element, after) = rest.split_at_checked(values.byte_offset())?;
        take(element);
        match after.trim_ascii_start().split_first()? {
            (b',', after) => rest = after,
            (b']', after) => return after.trim_ascii().is_empty().then_some(()),
            _ => return None,
        }
    }
}

/// An instance, with its node.
fn read(service: &str, entry: &[u8]) -> Option<(String, Listed)> {
    let entry: Entry = serde_json::from_slice(entry).ok()?;
    let listed = instance(service, &entry)?;
    Some((entry.node.node, listed))
}

fn fits_id(id: &str) -> bool {
    id.len() <= MAX_ID_BYTES && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn instance(service: &str, entry: &Entry) -> Option<Listed> {
    let id = Some(entry.service.id.clone()).filter(|id| fits_id(id))?;
    let of_service = entry.service.address.as_str();
    // The service is where its node is, unless it says so itself.
    let address = if of_service.is_empty() { entry.node.address.as_str() } else { of_service };
    let address: IpAddr = address.parse().ok()?;
    postern_registry::instance::check_address(address).ok()?;
    let port = Some(entry.service.port).filter(|port| *port > 0)?;
    let meta = |name: &str| {
        let of_service = entry.service.meta.as_ref().and_then(|meta| meta.get(name));
        of_service.or_else(|| entry.node.meta.as_ref()?.get(name)).filter(|text| fits_label(text))
    };
    let (health, weight) = health(entry);
    let datacenter = entry.node.datacenter.as_ref().filter(|text| fits_label(text));
    let instance = Instance {
        weight,
        version: meta("version").cloned(),
        environment: meta("environment").cloned(),
        region: meta("region").or(datacenter).cloned(),
        zone: meta("zone").cloned(),
        ..Instance::new(service.to_owned(), id, address, port)
    };
    let standing = Standing { health, ..Standing::default() };
    Some(Listed { instance, standing, expires_in_ms: None })
}

/// As bad as the worst of its checks, those of its node included.
fn health(entry: &Entry) -> (Health, u32) {
    let weights = entry.service.weights.as_ref();
    let (passing, warning) = weights.map_or((1, 1), |weights| (weights.passing, weights.warning));
    let all =
        |states: &[&str]| entry.checks.iter().all(|check| states.contains(&check.status.as_str()));
    let weight = if all(&["passing"]) {
        passing
    } else if all(&["passing", "warning"]) {
        warning
    } else {
        0
    };
    match weight {
        // Also what is to get nothing: a weight of nothing is none that Envoy knows.
        0 => (Health::Unhealthy, 1),
        weight => (Health::Healthy, u32::from(weight)),
    }
}

/// The names of services, in order; none where it is no mapping.
pub(crate) fn services(body: &[u8]) -> Option<Vec<String>> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let names = json.deserialize_map(Names).ok()?;
    json.end().ok()?;
    Some(names.into_iter().collect())
}

/// Reads names without what stands beside them, and keeps no more than are listed.
struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = BTreeSet<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("services by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = BTreeSet::new();
        while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            names.insert(name);
            if names.len() > MAX_SERVICES {
                names.pop_last();
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entry(id: &str, address: &str, port: u32, statuses: &[&str]) -> Value {
        let checks: Vec<Value> =
            statuses.iter().map(|status| json!({"CheckID": "c", "Status": status})).collect();
        json!({
            "Node": {"ID": "n", "Node": "node-1", "Address": "10.9.0.1", "Datacenter": "dc1",
                     "Meta": {"zone": "a", "consul-version": "1.20.1"}},
            "Service": {"ID": id, "Service": "shop", "Tags": ["v1"], "Address": address,
                        "Port": port, "Weights": {"Passing": 7, "Warning": 2},
                        "Meta": {"version": "1.2"}},
            "Checks": checks,
        })
    }

    fn read(entries: &[Value]) -> (Vec<Listed>, u32) {
        listed("shop", json!(entries).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_entry_is_an_instance() {
        let (listed, left_out) = read(&[entry("shop-1", "10.1.0.1", 8080, &["passing"])]);
        assert_eq!((listed.len(), left_out), (1, 0));
        let Listed { instance, standing, expires_in_ms } = &listed[0];
        assert_eq!((instance.place().as_str(), instance.weight), ("10.1.0.1:8080", 7));
        let labels = [&instance.version, &instance.region, &instance.zone];
        assert_eq!(labels.map(Option::as_deref), [Some("1.2"), Some("dc1"), Some("a")]);
        assert_eq!((standing.health, *expires_in_ms), (Health::Healthy, None));
    }

    #[test]
    fn it_is_where_its_node_is_unless_it_says_so() {
        let (listed, _) = read(&[entry("shop-1", "", 80, &[])]);
        assert_eq!(listed[0].instance.place(), "10.9.0.1:80");
    }

    #[test]
    fn the_worst_check_counts() {
        for (statuses, health, weight) in [
            (&["passing", "passing"][..], Health::Healthy, 7),
            (&[], Health::Healthy, 7),
            (&["passing", "warning"], Health::Healthy, 2),
            (&["warning", "critical"], Health::Unhealthy, 1),
            (&["maintenance"], Health::Unhealthy, 1),
            (&["unheard of"], Health::Unhealthy, 1),
        ] {
            let (listed, _) = read(&[entry("a", "10.1.0.1", 80, statuses)]);
            let found = (listed[0].standing.health, listed[0].instance.weight);
            assert_eq!(found, (health, weight), "{statuses:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_left_out_alone() {
        let good = entry("good", "10.1.0.1", 80, &["passing"]);
        let without = |member: &str| {
            let mut entry = good.clone();
            entry.as_object_mut().unwrap().remove(member);
            entry
        };
        for bad in [
            entry("a", "shop.example.test", 80, &[]),
            entry("a", "169.254.169.254", 80, &[]),
            entry("a", "0.0.0.0", 80, &[]),
            entry("a", "10.1.0.1", 0, &[]),
            entry("a", "10.1.0.1", 65_536, &[]),
            entry("", "10.1.0.1", 80, &[]),
            entry("a b", "10.1.0.1", 80, &[]),
            entry(&"a".repeat(129), "10.1.0.1", 80, &[]),
            without("Node"),
            without("Service"),
            without("Checks"),
            json!("shop"),
            Value::Null,
        ] {
            let (listed, left_out) = read(&[bad.clone(), good.clone()]);
            let ids: Vec<&str> = listed.iter().map(|one| one.instance.id.as_str()).collect();
            assert_eq!((ids, left_out), (vec!["good"], 1), "{bad}");
        }
    }

    #[test]
    fn ids_that_nodes_share_are_told_apart() {
        let mut other = entry("shop", "10.1.0.2", 80, &[]);
        other["Node"]["Node"] = json!("node-2");
        let (listed, left_out) = read(&[other, entry("shop", "10.1.0.1", 80, &[])]);
        let ids: Vec<&str> = listed.iter().map(|one| one.instance.id.as_str()).collect();
        assert_eq!((ids, left_out), (vec!["shop@node-1", "shop@node-2"], 0));
    }

    #[test]
    fn there_is_a_bound_on_instances() {
        let many: Vec<Value> = (0..MAX_INSTANCES + 5)
            .map(|number| entry(&format!("i-{number}"), "10.1.0.1", 80, &[]))
            .collect();
        let (listed, left_out) = read(&many);
        assert_eq!((listed.len(), left_out), (MAX_INSTANCES, 5));
    }

    #[test]
    fn what_is_too_long_is_left_out_alone_and_what_is_for_others_is_not_read() {
        let good = entry("good", "10.1.0.1", 80, &["passing"]);
        let mut long = entry("long", "10.1.0.2", 80, &[]);
        long["Checks"] = vec![json!({"Status": "passing"}); MAX_ENTRY_BYTES / 20].into();
        let mut deep = String::from("0");
        for _ in 0..1_000 {
            deep = format!("[{deep}]");
        }
        let body = format!("[{long}, {deep}, {{\"deep\": {deep}}}, {good}]");
        let (listed, left_out) = listed("shop", body.as_bytes()).unwrap();
        assert_eq!((listed.len(), left_out), (1, 3));
        let ids: Vec<&str> = listed.iter().map(|one| one.instance.id.as_str()).collect();
        assert_eq!(ids, ["good"]);
        let body = format!("{{\"shop\": {deep}}}");
        assert_eq!(services(body.as_bytes()).unwrap(), ["shop"]);
    }

    #[test]
    fn there_is_a_bound_on_services() {
        let name = |number: usize| format!("s-{number:05}");
        let all = (0..MAX_SERVICES + 5).rev();
        let all: Vec<String> = all.map(|number| format!("\"{}\": []", name(number))).collect();
        let listed = services(format!("{{{}}}", all.join(",")).as_bytes()).unwrap();
        assert_eq!(listed.len(), MAX_SERVICES);
        assert_eq!(listed.last(), Some(&name(MAX_SERVICES - 1)), "the first by name");
    }

    #[test]
    fn what_is_no_list_says_nothing() {
        for body in [
            "",
            "{}",
            "null",
            "[",
            "[,]",
            "[1,]",
            "[1 2]",
            "[1,2",
            "[]]",
            "[1]1",
            "[1}",
            "\"x\"",
            "rpc error: No cluster leader",
        ] {
            assert!(listed("shop", body.as_bytes()).is_none(), "{body}");
        }
        assert_eq!(listed("shop", b"[]").unwrap().0, []);
        assert_eq!(listed("shop", b" [ ] ").unwrap().1, 0);
        assert_eq!(listed("shop", b"\n[1 , \"a,]\", [[]],{} ]\n").unwrap().1, 4);
        assert_eq!(services(br#"{"shop": ["v1"], "consul": []}"#).unwrap(), ["consul", "shop"]);
        assert_eq!(services(b"[]"), None);
    }
}

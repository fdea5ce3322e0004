//! Endpoints by where they are. Priorities are Envoy's: those of the next one are asked as soon as
//! fewer than 72 % of one are healthy, for as much as is missing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::cluster::socket_address;
use crate::envoy::rendering::Place;

/// Weights hold across zones of one priority: each endpoint has its share of the whole. `near`: the
/// zone whose endpoints come first; where there is none, all have one priority.
pub(super) fn by_zone(places: &[Place<'_>], near: Option<&str>) -> Value {
    let mut zones: BTreeMap<Option<&str>, Vec<Value>> = BTreeMap::new();
    for place in places {
        zones.entry(place.endpoint.zone.as_deref()).or_default().push(host(*place));
    }
    let far = |zone: Option<&str>| near.map_or(0, |near| distance(near, zone));
    let distances: BTreeSet<u8> = zones.keys().map(|zone| far(*zone)).collect();
    let localities = zones.into_iter().map(|(zone, endpoints)| {
        let mut locality = json!({"lb_endpoints": endpoints});
        if let Value::Object(members) = &mut locality {
            if let Some(zone) = zone {
                members.insert("locality".to_owned(), self::locality(zone));
            }
            // Envoy skips none: the nearest that there are have the first.
            let priority = distances.range(..far(zone)).count();
            if priority > 0 {
                members.insert("priority".to_owned(), json!(priority));
            }
        }
        locality
    });
    Value::Array(localities.collect())
}

fn host(Place { endpoint, is_healthy }: Place<'_>) -> Value {
    let address = socket_address(&endpoint.address.to_string(), endpoint.port);
    let mut host = json!({
        "endpoint": {"address": address},
        "load_balancing_weight": endpoint.weight,
    });
    if let (Value::Object(members), false) = (&mut host, is_healthy) {
        members.insert("health_status".to_owned(), json!("UNHEALTHY"));
    }
    host
}

/// As Envoy writes `region` or `region/zone`.
pub(in crate::envoy) fn locality(text: &str) -> Value {
    match text.split_once('/') {
        Some((region, zone)) => json!({"region": region, "zone": zone}),
        None => json!({"region": text}),
    }
}

/// The same zone, the same region, anywhere else.
fn distance(near: &str, zone: Option<&str>) -> u8 {
    match zone {
        Some(zone) if zone == near => 0,
        Some(zone) if region(zone) == region(near) => 1,
        _ => 2,
    }
}

fn region(zone: &str) -> &str {
    zone.split_once('/').map_or(zone, |(region, _)| region)
}

#[cfg(test)]
mod tests {
    use postern_document::Endpoint;

    use super::*;

    fn endpoint(at: u8, zone: Option<&str>) -> Endpoint {
        Endpoint {
            address: [10, 0, 0, at].into(),
            port: 80,
            weight: 1,
            zone: zone.map(str::to_owned),
            labels: BTreeMap::new(),
            service_account: None,
        }
    }

    /// Region, zone and priority of each.
    fn told(zones: &[Option<&str>], near: Option<&str>) -> Vec<(String, u64)> {
        let endpoints: Vec<Endpoint> =
            (1..).zip(zones).map(|(at, zone)| endpoint(at, *zone)).collect();
        let place = |endpoint| Place { endpoint, is_healthy: true };
        let places: Vec<Place<'_>> = endpoints.iter().map(place).collect();
        let localities = by_zone(&places, near);
        let localities = localities.as_array().unwrap().iter().map(|locality| {
            let text = |name: &str| locality["locality"][name].as_str().unwrap_or("-").to_owned();
            let place = format!("{}/{}", text("region"), text("zone"));
            (place, locality["priority"].as_u64().unwrap_or(0))
        });
        localities.collect()
    }

    #[test]
    fn what_is_near_comes_first_and_no_priority_is_left_out() {
        let all = [Some("eu/eu-1"), Some("eu/eu-2"), Some("us/us-1"), Some("eu"), None];
        for (near, expected) in [
            (None, [0, 0, 0, 0, 0]),
            // None, eu, eu/eu-1, eu/eu-2, us/us-1: in the order of their texts.
            (Some("eu/eu-1"), [2, 1, 0, 1, 2]),
            (Some("eu/eu-9"), [1, 0, 0, 0, 1]),
            (Some("eu"), [2, 0, 1, 1, 2]),
            (Some("us/us-1"), [1, 1, 1, 1, 0]),
            (Some("asia/a"), [0, 0, 0, 0, 0]),
        ] {
            let told = told(&all, near);
            let priorities: Vec<u64> = told.iter().map(|(_, priority)| *priority).collect();
            assert_eq!(priorities, expected, "{near:?}: {told:?}");
        }
    }

    #[test]
    fn whether_an_endpoint_works_is_told_where_it_does_not() {
        let endpoint = endpoint(1, None);
        let status = |is_healthy| {
            let places = [Place { endpoint: &endpoint, is_healthy }];
            by_zone(&places, None)[0]["lb_endpoints"][0]["health_status"].clone()
        };
        assert_eq!((status(true), status(false)), (Value::Null, json!("UNHEALTHY")));
    }

    #[test]
    fn a_place_is_a_region_with_or_without_a_zone() {
        assert_eq!(locality("eu/eu-1"), json!({"region": "eu", "zone": "eu-1"}));
        assert_eq!(locality("eu"), json!({"region": "eu"}));
    }
}

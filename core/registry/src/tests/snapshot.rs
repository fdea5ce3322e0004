use std::net::{IpAddr, Ipv4Addr};

use crate::{Difference, Endpoint, ServiceEndpoints, Snapshot};

fn endpoint(instance: &str, number: u8, is_healthy: bool) -> Endpoint {
    Endpoint {
        instance: instance.to_owned(),
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)),
        port: 80,
        weight: 10,
        is_healthy,
        region: None,
        zone: None,
        version: None,
    }
}

fn service(name: &str, numbers: &[u8]) -> ServiceEndpoints {
    let endpoints = numbers.iter().map(|number| endpoint("a", *number, true)).collect();
    ServiceEndpoints::new(name.to_owned(), endpoints)
}

/// As texts.
fn told(after: &Snapshot, before: &Snapshot) -> Vec<String> {
    after
        .since(before)
        .map(|difference| match difference {
            Difference::Is(service) => format!("{} {}", service.service, service.endpoints.len()),
            Difference::Gone(name) => format!("{name} gone"),
        })
        .collect()
}

#[test]
fn endpoints_are_sorted_and_each_place_is_there_once() {
    let all = vec![
        endpoint("c", 2, true),
        endpoint("b", 1, false),
        endpoint("z", 1, true),
        endpoint("a", 2, true),
    ];
    let service = ServiceEndpoints::new("shop".to_owned(), all);
    let names: Vec<&str> = service.endpoints.iter().map(|one| one.instance.as_str()).collect();
    assert_eq!(names, ["z", "a"], "one that works, with the first name");
    assert_eq!(service.healthy(), 2);
}

#[test]
fn a_snapshot_changes_where_something_is_different() {
    let empty = Snapshot::default();
    assert!(empty.get("shop").is_none(), "nothing is known");
    let first = empty.with(service("shop", &[1, 2])).unwrap();
    assert_eq!(first.version(), 1);
    assert_eq!(first.with(service("shop", &[2, 1])), None, "the same in another order");
    let second = first.with(service("pay", &[])).unwrap();
    assert_eq!(second.get("pay").unwrap().endpoints, [], "known to be nobody");
    assert_eq!(second.only(|_| true), None);
    assert_eq!(second.services().count(), 2);
}

#[test]
fn differences_are_told_by_service() {
    let first = Snapshot::default().with(service("shop", &[1])).unwrap();
    let first = first.with(service("pay", &[1])).unwrap();
    let second = first.with(service("shop", &[1, 2])).unwrap();
    assert_eq!(told(&second, &first), ["shop 2"]);
    let third = second.only(|name| name == "shop").unwrap();
    assert_eq!(told(&third, &first), ["shop 2", "pay gone"]);
    assert_eq!(told(&third, &third), [""; 0]);
    assert_eq!(told(&third, &Snapshot::default()), ["shop 2"]);
    assert_eq!(told(&Snapshot::default(), &third), ["shop gone"]);
}

use super::*;
use postern_document::{Document, from_json};
use postern_filter_shared_data::Memory;
use postern_request::address;

fn document() -> Document {
    from_json(
        br#"{"version":1,"services":{"s":{"upstream":"h:1"}},
            "limits":{"ip":{"key":["ip"],"rate":"3/1m","mode":"local"},
                      "all":{"key":["route"],"rate":"4/1m","mode":"local"}},
            "routes":[{"name":"r","match":{"path":"/{rest=**}"},"service":"s","auth":"none",
                       "limits":["ip","all"]}]}"#,
    )
    .unwrap()
}

fn ask(document: &Document, shared: &Memory, client: &str) -> Verdict {
    let headers: Vec<(String, Vec<u8>)> = Vec::new();
    let subject =
        Counted { address: address::parse(client), principal: None, headers: &headers, path: "/" };
    check(&document.routes[0], &subject, shared, 7, UnixMillis(0))
}

#[test]
fn each_client_has_its_own_bucket() {
    let (document, shared) = (document(), Memory::default());
    for expected in [2, 1, 0] {
        let verdict = ask(&document, &shared, "192.0.2.1:5");
        assert_eq!(verdict.denial, None);
        assert_eq!(verdict.status.unwrap().remaining, expected);
    }
    let denied = ask(&document, &shared, "192.0.2.1:6").denial.unwrap();
    assert_eq!((denied.code.status(), denied.retry_after_secs), (429, Some(20)));
    assert_eq!(ask(&document, &shared, "192.0.2.2:5").denial, None);
}

#[test]
fn what_is_refused_takes_from_no_limit() {
    let (document, shared) = (document(), Memory::default());
    for _ in 0..3 {
        assert_eq!(ask(&document, &shared, "192.0.2.1").denial, None);
    }
    for _ in 0..5 {
        assert!(ask(&document, &shared, "192.0.2.1").denial.is_some(), "by ip");
    }
    assert_eq!(ask(&document, &shared, "192.0.2.2").denial, None, "the fourth of all");
    assert!(ask(&document, &shared, "192.0.2.2").denial.is_some(), "all four are gone");
    let ip = &document.limits[0];
    let headers: Vec<(String, Vec<u8>)> = Vec::new();
    let subject = Counted {
        address: address::parse("192.0.2.2"),
        principal: None,
        headers: &headers,
        path: "/",
    };
    let place = Place::of(hash(7, ip.key_of(&document.routes[0], &subject).as_bytes()));
    let mut slot = Slot::decode(&shared.get(&slot_key(place)).unwrap().0);
    let (outcome, _) = slot.take(place.fingerprint, ip.bucket(), 2, UnixMillis(0));
    assert!(outcome.allowed, "the ip limit got back what the refused request took");
}

#[test]
fn a_faster_worker_costs_a_retry_and_no_request() {
    let (document, shared) = (document(), Memory::default());
    shared.conflicts.set(3);
    let verdict = ask(&document, &shared, "192.0.2.1");
    assert_eq!((verdict.conflicts, verdict.status.unwrap().remaining), (3, 2));
}

#[test]
fn memory_stays_bounded_under_a_flood_of_clients() {
    let (document, shared) = (document(), Memory::default());
    for client in 0..30_000_u32 {
        let _ = ask(&document, &shared, &std::net::Ipv4Addr::from(client).to_string());
    }
    assert!(shared.keys() <= 4096);
    assert!(shared.longest() <= 128);
}

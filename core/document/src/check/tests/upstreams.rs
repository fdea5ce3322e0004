use super::{OPEN, load, problems};
use super::{loaded, named, only, service};
use crate::{Health, HealthBy, PreferredZone};

fn health(members: &str) -> String {
    named(&format!(r#""http2": true, "health": {{{members}}}"#))
}

#[test]
fn endpoints_are_asked_in_one_way() {
    let by_default = |by: HealthBy| Health {
        by,
        host: None,
        interval_ms: 10_000,
        timeout_ms: 2_000,
        unhealthy: 3,
        healthy: 2,
        unhealthy_interval_ms: 30_000,
        jitter: 10,
        min_healthy: 0,
    };
    let http = |statuses: &[(u16, u16)]| HealthBy::Http {
        path: "/healthz?full=1".to_owned(),
        statuses: statuses.to_vec(),
    };
    let grpc = |service: &str| HealthBy::Grpc { service: service.to_owned() };
    let path = r#""path": "/healthz?full=1""#;
    let stated = format!(r#"{path}, "statuses": ["200-299", 304]"#);
    let all = format!(
        r#"{path}, "host": "api.test", "interval": "500ms", "timeout": "250ms", "unhealthy": 1,
           "healthy": 5, "unhealthy_interval": "1m", "jitter": "0%", "min_healthy": "25%""#
    );
    let full = Health {
        host: Some("api.test".to_owned()),
        interval_ms: 500,
        timeout_ms: 250,
        unhealthy: 1,
        healthy: 5,
        unhealthy_interval_ms: 60_000,
        jitter: 0,
        min_healthy: 25,
        ..by_default(http(&[(200, 299)]))
    };
    let rarely = Health {
        interval_ms: 300_000,
        unhealthy_interval_ms: 900_000,
        ..by_default(HealthBy::Tcp)
    };
    for (members, expected) in [
        (path, by_default(http(&[(200, 299)]))),
        (stated.as_str(), by_default(http(&[(200, 299), (304, 304)]))),
        (r#""grpc": "shop.Orders""#, by_default(grpc("shop.Orders"))),
        (r#""grpc": """#, by_default(grpc(""))),
        (r#""tcp": true"#, by_default(HealthBy::Tcp)),
        (r#""tcp": true, "interval": "5m""#, rarely),
        (all.as_str(), full),
    ] {
        assert_eq!(loaded(&health(members), &[OPEN]).health, Some(expected), "{members}");
    }
    assert_eq!(loaded(&named(r#""http2": true"#), &[OPEN]).health, None);
}

#[test]
fn what_endpoints_cannot_be_asked_is_refused() {
    for (members, place, word) in [
        ("", "", "exactly one"),
        (r#""interval": "1s""#, "", "exactly one"),
        (r#""path": "/a", "tcp": true"#, "", "exactly one"),
        (r#""tcp": false"#, ".tcp", "write true"),
        (r#""path": "a""#, ".path", "slash"),
        (r#""path": "/a b""#, ".path", "slash"),
        (r##""path": "/a#b""##, ".path", "slash"),
        (r#""grpc": "shop Orders""#, ".grpc", "shop.Orders"),
        (r#""tcp": true, "host": "a.test""#, ".host", "nobody is told"),
        (r#""path": "/a", "host": "A.test""#, ".host", "lower case"),
        (r#""path": "/a", "host": "*.a.test""#, ".host", "lower case"),
        (r#""path": "/a", "host": "a.test:80""#, ".host", "lower case"),
        (r#""path": "/a", "statuses": []"#, ".statuses", "at least one"),
        (r#""path": "/a", "statuses": [2000]"#, ".statuses[0]", "100 to 599"),
        (r#""path": "/a", "statuses": [200, "299-200"]"#, ".statuses[1]", "100 to 599"),
        (r#""tcp": true, "statuses": [200]"#, ".statuses", "`path`"),
        (r#""tcp": true, "interval": "99ms""#, ".interval", "100ms to 5m"),
        (r#""tcp": true, "timeout": "61s""#, ".timeout", "10ms to 1m"),
        (r#""tcp": true, "unhealthy": 0"#, ".unhealthy", "1 to 100"),
        (r#""tcp": true, "healthy": 101"#, ".healthy", "1 to 100"),
        (r#""tcp": true, "unhealthy_interval": "9s""#, ".unhealthy_interval", "`interval`"),
        (r#""tcp": true, "unhealthy_interval": "2h""#, ".unhealthy_interval", "1h"),
        (r#""tcp": true, "jitter": "101%""#, ".jitter", "0% to 100%"),
        (r#""tcp": true, "min_healthy": "101%""#, ".min_healthy", "0% to 100%"),
    ] {
        only(&health(members), &[OPEN], &format!("services.s.health{place}"), word);
    }
    let http1 = named(r#""health": {"grpc": ""}"#);
    only(&http1, &[OPEN], "services.s.health.grpc", "`http2: true`");
    let twice = r#""outlier_detection": {"consecutive_5xx": 5, "min_healthy": "20%"},
                   "health": {"tcp": true, "min_healthy": "10%"}"#;
    only(&named(twice), &[OPEN], "services.s.health.min_healthy", "says this already");
    let once = twice.replace(r#", "min_healthy": "10%""#, "");
    assert_eq!(loaded(&named(&once), &[OPEN]).min_healthy(), Some(20));
}

/// A check is a request like others to the Envoy that guards a workload.
#[test]
fn of_a_guarded_workload_only_connections_are_tried() {
    let workloads = r#""workloads": {"pay": {"namespace": "shop", "labels": {"app": "pay"},
        "service_account": "pay", "ports": [1]}},"#;
    let guarded = |health: &str| {
        let guard = r#""workload": "pay", "guard": "workload""#;
        format!("{workloads} {}", named(&format!(r#"{guard}, "health": {health}"#)))
    };
    assert!(load(&guarded(r#"{"tcp": true}"#), &[OPEN]).is_ok());
    only(&guarded(r#"{"path": "/healthz"}"#), &[OPEN], "services.s.health", "`tcp: true`");
}

#[test]
fn the_own_zone_comes_first_only_where_somebody_notices_that_it_fails() {
    let zones =
        |prefer: &str, more: &str| named(&format!(r#""zones": {{"prefer": "{prefer}"}}{more}"#));
    let outliers = r#", "outlier_detection": {"consecutive_5xx": 5}"#;
    let own = loaded(&zones("own", outliers), &[OPEN]).prefer_zone;
    assert_eq!(own, Some(PreferredZone::Own));
    let any = loaded(&zones("any", ""), &[OPEN]).prefer_zone;
    assert_eq!(any, Some(PreferredZone::Any));
    assert_eq!(loaded(&named(r#""http2": true"#), &[OPEN]).prefer_zone, None);
    let place = "services.s.zones.prefer";
    only(&zones("own", ""), &[OPEN], place, "`outlier_detection`");
    only(&zones("near", outliers), &[OPEN], place, "own, any");
    let endpoints = |zone: &str| {
        service(&format!(
            r#""endpoints": [{{"address": "10.0.0.1", "port": 80{zone}}}],
               "zones": {{"prefer": "own"}}{outliers}"#
        ))
    };
    assert!(load(&endpoints(r#", "zone": "eu/eu-1""#), &[OPEN]).is_ok());
    only(&endpoints(""), &[OPEN], place, "no endpoint");
}

fn through(bulkhead: &str) -> String {
    format!(
        r#"{{"name": "r", "match": {{"path": "/r"}}, "service": "s", "auth": "none",
            "bulkhead": "{bulkhead}"}}"#
    )
}

#[test]
fn a_bulkhead_bounds_what_it_says_and_the_service_the_rest() {
    let bulkhead = |members: &str, more: &str| {
        named(&format!(r#""max_connections": 40, "bulkheads": {{"slow": {{{members}}}}}{more}"#))
    };
    for (members, more, expected) in [
        (r#""max_connections": 5"#, "", (5, 100, 500)),
        (r#""max_pending": 7"#, "", (40, 7, 4_000)),
        (r#""max_connections": 5, "max_requests": 5"#, "", (5, 100, 5)),
        (r#""max_connections": 5"#, r#", "pool": {"max_requests": 90}"#, (5, 100, 90)),
    ] {
        let read = loaded(&bulkhead(members, more), &[&through("slow")]);
        let [slow] = read.bulkheads.as_slice() else { panic!("{:?}", read.bulkheads) };
        let found = (slow.max_connections, slow.max_pending, slow.max_requests);
        assert_eq!((slow.name.as_str(), found), ("slow", expected), "{members}");
    }
    let place = "services.s.bulkheads.slow";
    for (members, below, word) in [
        ("", "", "say what it bounds"),
        (r#""max_connections": 0"#, ".max_connections", "1 to"),
        (r#""max_pending": 1000001"#, ".max_pending", "1 to"),
        (r#""max_requests": 39"#, ".max_requests", "max_connections"),
    ] {
        only(&bulkhead(members, ""), &[&through("slow")], &format!("{place}{below}"), word);
    }
    let used = bulkhead(r#""max_pending": 7"#, "");
    only(&used, &[OPEN], place, "no route uses it");
    only(&named(r#""bulkheads": {}"#), &[OPEN], "services.s.bulkheads", "at least one");
    let names = (0..17).map(|at| format!(r#""b{at}": {{"max_pending": 1}}"#));
    let many = named(&format!(r#""bulkheads": {{{}}}"#, names.collect::<Vec<_>>().join(", ")));
    let found = problems(&many, &[&through("b0")]);
    let at_most = |problem: &String| problem.contains("at most 16 bulkheads");
    assert!(found.iter().any(at_most), "{found:?}");
}

#[test]
fn a_route_names_a_bulkhead_of_its_service() {
    let used = named(r#""bulkheads": {"slow": {"max_pending": 7}}"#);
    let document = load(&used, &[&through("slow")]).unwrap();
    let bulkhead = document.routes[0].bulkhead.as_ref().unwrap();
    assert!(std::sync::Arc::ptr_eq(bulkhead, &document.services[0].bulkheads[0]));
    let place = "routes.r.bulkhead";
    only(&used, &[&through("slwo")], place, "did you mean `slow`");
    only(&named(r#""http2": true"#), &[&through("slow")], place, "`s` has no bulkheads");
    let own = through("slow").replace(r#""service": "s""#, r#""service": "postern""#);
    only("", &[&own], place, "the suite itself");
}

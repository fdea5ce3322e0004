use super::{OPEN, load, loaded, named, only, service};
use crate::{
    DescriptorEntry, Endpoint, Hash, HashAlgorithm, HashBy, Keepalive, OnFailure, Outliers, Pool,
    Retries, RetryBudget, Upstream,
};

#[test]
fn a_service_is_at_an_upstream_or_at_endpoints() {
    let full = r#""endpoints": [{"address": "10.0.0.7", "port": 8080, "weight": 2,
        "zone": "eu/1", "labels": {"version": "v1"}, "service_account": "pay"},
        {"address": "::1", "port": 8081, "service_account": "pay"}]"#;
    let read = loaded(&service(full), &[OPEN]);
    let first = Endpoint {
        address: [10, 0, 0, 7].into(),
        port: 8080,
        weight: 2,
        zone: Some("eu/1".to_owned()),
        labels: [("version".to_owned(), "v1".to_owned())].into(),
        service_account: Some("pay".to_owned()),
    };
    assert_eq!(read.endpoints[0], first);
    assert_eq!((read.endpoints[1].weight, read.endpoints.len()), (1, 2));
    assert_eq!((read.host.as_str(), read.port), ("10.0.0.7", 8080));
    let place = |host: &str, port| Upstream { host: host.to_owned(), port };
    assert_eq!(read.upstreams(), [place("10.0.0.7", 8080), place("::1", 8081)]);

    let one = |members: &str| service(&format!(r#""endpoints": [{{{members}}}]"#));
    let two = |a: &str, b: &str| service(&format!(r#""endpoints": [{{{a}}}, {{{b}}}]"#));
    let (good, first) = (r#""address": "10.0.0.7", "port": 80"#, "services.s.endpoints[0]");
    let meshed = good.replace('7', "8") + r#", "service_account": "a""#;
    let listed: Vec<String> = (0..1001)
        .map(|at| format!(r#"{{"address": "10.0.{}.{}", "port": 80}}"#, at / 250, at % 250))
        .collect();
    for (members, place, word) in [
        (service(""), "services.s", "either `upstream` or `endpoints`"),
        (named(&format!(r#""endpoints": [{{{good}}}]"#)), "services.s", "either"),
        (service(r#""endpoints": []"#), "services.s.endpoints", "at least one"),
        (one(&good.replace("10.0.0.7", "h.test")), "services.s.endpoints[0].address", "IP"),
        (one(&good.replace("80", "0")), "services.s.endpoints[0].port", "1 to 65535"),
        (one(&format!(r#"{good}, "weight": 0"#)), "services.s.endpoints[0].weight", "1 to"),
        (one(&format!(r#"{good}, "zone": "a/b/c""#)), "services.s.endpoints[0].zone", "region"),
        (one(&format!(r#"{good}, "zone": """#)), "services.s.endpoints[0].zone", "region"),
        (
            one(&format!(r#"{good}, "service_account": "A""#)),
            "services.s.endpoints[0].service_account",
            "name",
        ),
        (one(&format!(r#"{good}, "adress": 1"#)), first, "did you mean `address`"),
        (two(good, good), "services.s.endpoints[1]", "twice"),
        (two(good, &meshed), "services.s.endpoints[1]", "or none has"),
        (
            service(&format!(r#""tls": true, "endpoints": [{{{good}}}]"#)),
            "services.s.endpoints",
            "`tls`",
        ),
        (
            service(&format!(r#""endpoints": [{}]"#, listed.join(", "))),
            "services.s.endpoints",
            "at most 1000",
        ),
    ] {
        only(&members, &[OPEN], place, word);
    }
    let most = service(&format!(r#""endpoints": [{}]"#, listed[..1000].join(", ")));
    assert!(load(&most, &[OPEN]).is_ok());
}

#[test]
fn requests_are_hashed_by_one_thing() {
    let hash = |members: &str| named(&format!(r#""hash": {{{members}}}"#));
    let ring = |by| Hash { by, algorithm: HashAlgorithm::RingHash, ring: 16_384 };
    let cookie = |ttl_ms, path: &str| HashBy::Cookie {
        name: "sid".to_owned(),
        ttl_ms,
        path: path.to_owned(),
    };
    for (members, expected) in [
        (r#""header": "x-postern-subject""#, ring(HashBy::Header("x-postern-subject".to_owned()))),
        (r#""cookie": {"name": "sid", "ttl": "7d"}"#, ring(cookie(604_800_000, "/"))),
        (r#""cookie": {"name": "sid", "ttl": "1h", "path": "/a"}"#, ring(cookie(3_600_000, "/a"))),
        (
            r#""query": "key", "ring": 150"#,
            Hash { ring: 150, ..ring(HashBy::Query("key".to_owned())) },
        ),
        (
            r#""source_ip": true, "algorithm": "maglev""#,
            Hash { by: HashBy::SourceIp, algorithm: HashAlgorithm::Maglev, ring: 65_537 },
        ),
    ] {
        assert_eq!(loaded(&hash(members), &[OPEN]).hash, Some(expected), "{members}");
    }
    let cookie = |members: &str| format!(r#""cookie": {{"name": "sid", {members}}}"#);
    let lasting = cookie(r#""ttl": "8d""#);
    let pathless = cookie(r#""ttl": "1h", "path": "a""#);
    let split = cookie(r#""ttl": "1h", "path": "/;a""#);
    let good = cookie(r#""ttl": "1h""#);
    let spaced = good.replace("sid", "s id");
    for (members, place, word) in [
        ("", "", "exactly one"),
        (r#""header": "x-a", "source_ip": true"#, "", "exactly one"),
        (r#""algorithm": "maglev""#, "", "exactly one"),
        (r#""source_ip": false"#, ".source_ip", "write true"),
        (r#""header": "X-A""#, ".header", "lower case"),
        (r#""header": ":path""#, ".header", "lower case"),
        (r#""header": "x_a""#, ".header", "`_`"),
        (r#""header": "authorization""#, ".header", "credentials"),
        (r#""header": "cookie""#, ".header", "credentials"),
        (r#""header": "x-api-key""#, ".header", "credentials"),
        (r#""header": "host""#, ".header", "match.hosts"),
        (r#""query": "a b""#, ".query", "letters"),
        (r#""query": """#, ".query", "letters"),
        (r#""source_ip": true, "ring": 149"#, ".ring", "150 to 8388608"),
        (r#""source_ip": true, "ring": 8388609"#, ".ring", "150 to 8388608"),
        (r#""source_ip": true, "algorithm": "maglev", "ring": 1024"#, ".ring", "prime"),
        (r#""source_ip": true, "algorithm": "maglev", "ring": 5000077"#, ".ring", "150 to 5000011"),
        (lasting.as_str(), ".cookie.ttl", "7d"),
        (pathless.as_str(), ".cookie.path", "slash"),
        (split.as_str(), ".cookie.path", "slash"),
        (spaced.as_str(), ".cookie.name", "letters"),
    ] {
        only(&hash(members), &[OPEN], &format!("services.s.hash{place}"), word);
    }
    let jwt = r#""credentials": {"jwt": {"issuers": [{"issuer": "https://a.test",
        "audiences": ["a"]}], "from": [{"header": "x-token"}, {"cookie": "sid"},
        {"query": "token"}]}},"#;
    for (by, place) in [
        (r#""header": "x-token""#, "header"),
        (good.as_str(), "cookie.name"),
        (r#""query": "token""#, "query"),
    ] {
        let members = format!("{jwt} {}", hash(by));
        let word = if place == "header" { "credentials" } else { "tokens stand" };
        only(&members, &[OPEN], &format!("services.s.hash.{place}"), word);
    }
}

/// Each endpoint has 150 places at least, or none of them has its share.
#[test]
fn a_ring_has_room_for_all_endpoints() {
    let with = |weights: &[u32], hash: &str| {
        let endpoints = weights.iter().enumerate().map(|(at, weight)| {
            format!(
                r#"{{"address": "10.0.{}.{}", "port": 80, "weight": {weight}}}"#,
                at / 250,
                at % 250
            )
        });
        let endpoints = endpoints.collect::<Vec<_>>().join(", ");
        service(&format!(r#""endpoints": [{endpoints}], "hash": {{"source_ip": true, {hash}}}"#))
    };
    let (ring, maglev) = (r#""algorithm": "ring_hash""#, r#""algorithm": "maglev""#);
    for (weights, hash, expected) in [
        (vec![1; 3], ring, 1_024),
        (vec![1; 7], ring, 1_050),
        (vec![1; 1000], ring, 150_000),
        (vec![1, 99], ring, 15_000),
        (vec![1; 3], maglev, 65_537),
        // The next prime.
        (vec![1; 1000], maglev, 150_001),
    ] {
        let read = loaded(&with(&weights, hash), &[OPEN]).hash.unwrap();
        assert_eq!(read.ring, expected, "{} endpoints, {hash}", weights.len());
    }
    let written = |ring: u32| format!(r#""ring": {ring}"#);
    assert_eq!(loaded(&with(&[1; 7], &written(1_050)), &[OPEN]).hash.unwrap().ring, 1_050);
    let ring_place = "services.s.hash.ring";
    only(&with(&[1; 7], &written(1_049)), &[OPEN], ring_place, "1050 in all");
    only(&with(&[1, 1_000_000], ring), &[OPEN], ring_place, "closer together");
    only(&with(&[1, 1_000_000], &written(2_048)), &[OPEN], ring_place, "closer together");
}

#[test]
fn endpoints_that_fail_are_left_out() {
    let outliers = |members: &str| named(&format!(r#""outlier_detection": {{{members}}}"#));
    let read = loaded(&outliers(r#""consecutive_gateway": 5"#), &[OPEN]).outlier_detection;
    let expected = Outliers {
        consecutive_5xx: None,
        consecutive_gateway: Some(5),
        consecutive_local: None,
        interval_ms: 10_000,
        ejection_ms: 30_000,
        max_ejected: 10,
        min_healthy: 0,
    };
    assert_eq!(read, Some(expected));
    let all = r#""consecutive_5xx": 1, "consecutive_gateway": 2, "consecutive_local": 1000,
        "interval": "1m", "ejection": "1m", "max_ejected": "100%", "min_healthy": "50%""#;
    let read = loaded(&outliers(all), &[OPEN]).outlier_detection.unwrap();
    assert_eq!((read.interval_ms, read.max_ejected, read.min_healthy), (60_000, 100, 50));
    for (members, place, word) in [
        ("", "", "after how many"),
        (r#""interval": "1s""#, "", "after how many"),
        (r#""consecutive_5xx": 0"#, ".consecutive_5xx", "1 to 1000"),
        (r#""consecutive_local": 1001"#, ".consecutive_local", "1 to 1000"),
        (r#""consecutive_5xx": 5, "interval": "99ms""#, ".interval", "100ms to 5m"),
        (r#""consecutive_5xx": 5, "interval": "31s""#, ".ejection", "as long as"),
        (r#""consecutive_5xx": 5, "ejection": "9s""#, ".ejection", "as long as"),
        (r#""consecutive_5xx": 5, "ejection": "61m""#, ".ejection", "100ms to 1h"),
        (r#""consecutive_5xx": 5, "max_ejected": "0%""#, ".max_ejected", "1% to 100%"),
        (r#""consecutive_5xx": 5, "min_healthy": "101%""#, ".min_healthy", "0% to 100%"),
    ] {
        let place = format!("services.s.outlier_detection{place}");
        only(&outliers(members), &[OPEN], &place, word);
    }
}

#[test]
fn connections_are_bounded() {
    let pool = |members: &str| named(&format!(r#""pool": {{{members}}}"#));
    assert_eq!(loaded(&named(r#""http2": true"#), &[OPEN]).pool, Pool::of(50));
    let all = r#""connect_timeout": "1s", "idle_timeout": "1h", "max_requests": 50,
        "requests_per_connection": 1000, "max_retries": 3,
        "keepalive": {"time": "1m", "interval": "10s", "probes": 3}"#;
    let expected = Pool {
        connect_timeout_ms: 1_000,
        idle_timeout_ms: 3_600_000,
        max_requests: 50,
        requests_per_connection: Some(1000),
        max_retries: Some(3),
        retry_budget: None,
        keepalive: Some(Keepalive { time_secs: 60, interval_secs: 10, probes: 3 }),
    };
    assert_eq!(loaded(&pool(all), &[OPEN]).pool, expected);
    let keepalive = |time: &str, probes: u32| {
        format!(r#""keepalive": {{"time": "{time}", "interval": "1s", "probes": {probes}}}"#)
    };
    for (members, place, word) in [
        (r#""connect_timeout": "9ms""#.to_owned(), "connect_timeout", "10ms to 1m"),
        (r#""connect_timeout": "30s""#.to_owned(), "connect_timeout", "shorter"),
        (r#""idle_timeout": "999ms""#.to_owned(), "idle_timeout", "1s to 1h"),
        (r#""max_requests": 49"#.to_owned(), "max_requests", "max_connections"),
        (r#""max_requests": 0"#.to_owned(), "max_requests", "1 to"),
        (r#""requests_per_connection": 0"#.to_owned(), "requests_per_connection", "1 to"),
        (r#""max_retries": 0"#.to_owned(), "max_retries", "1 to"),
        (
            r#""max_retries": 5, "retry_budget": {}"#.to_owned(),
            "retry_budget",
            "`retry_budget` or `max_retries`",
        ),
        (r#""retry_budget": {"share": "0%"}"#.to_owned(), "retry_budget.share", "1% to 100%"),
        (r#""retry_budget": {"at_least": 0}"#.to_owned(), "retry_budget.at_least", "1 to"),
        (keepalive("1500ms", 3), "keepalive.time", "whole seconds"),
        (keepalive("25h", 3), "keepalive.time", "1s to 24h"),
        (keepalive("1s", 0), "keepalive.probes", "1 to 100"),
    ] {
        only(&pool(&members), &[OPEN], &format!("services.s.pool.{place}"), word);
    }
}

#[test]
fn repetitions_have_a_budget() {
    let budget = |members: &str| named(&format!(r#""pool": {{"retry_budget": {{{members}}}}}"#));
    for (members, share, at_least) in
        [("", 20, 3), (r#""share": "35%""#, 35, 3), (r#""share": "100%", "at_least": 10"#, 100, 10)]
    {
        let read = loaded(&budget(members), &[OPEN]).pool;
        assert_eq!(read.retry_budget, Some(RetryBudget { share, at_least }), "{members}");
        assert_eq!(read.max_retries, None);
    }
}

#[test]
fn an_attempt_has_its_time() {
    let retries = |members: &str| named(&format!(r#""timeout": "5s", "retries": {{{members}}}"#));
    let on = r#""on": ["connect-failure"]"#;
    let read = loaded(
        &retries(&format!(r#""attempts": 2, {on}, "per_try_timeout": "5s", "backoff": "10s""#)),
        &[OPEN],
    );
    let expected = Retries {
        attempts: 2,
        on: vec!["connect-failure"],
        per_try_timeout_ms: Some(5_000),
        backoff_ms: Some(10_000),
    };
    assert_eq!(read.retries, expected);
    for (members, place, word) in [
        (r#""attempts": 2, ON, "per_try_timeout": "5001ms""#, "per_try_timeout", "`timeout`"),
        (r#""attempts": 2, ON, "backoff": "11s""#, "backoff", "1ms to 10s"),
        (r#""attempts": 1, "backoff": "1s""#, "backoff", "nothing is tried again"),
        (r#""attempts": 1, "per_try_timeout": "1s""#, "per_try_timeout", "nothing is tried again"),
    ] {
        let members = retries(&members.replace("ON", on));
        only(&members, &[OPEN], &format!("services.s.retries.{place}"), word);
    }
}

const FILTER: &str = r#""rate_limit_filter": {"domain": "shop", "on_failure": "allow"},"#;

#[test]
fn the_rate_limit_service_is_told_of_requests() {
    let jwt = r#""credentials": {"jwt": {"issuers": [{"issuer": "https://a.test",
        "audiences": ["a"]}]}},"#;
    let told = |auth: &str, descriptors: &str| {
        format!(
            r#"{{"name": "r", "match": {{"path": "/r"}}, "service": "postern", "auth": {auth},
                "descriptors": {descriptors}}}"#
        )
    };
    let all = r#"[[{"remote_address": true}], [{"principal": true}, {"route": true},
        {"method": true}, {"key": "plan", "header": "x-postern-tier"},
        {"key": "kind", "value": "api"}]]"#;
    let members = format!("{FILTER} {jwt}");
    let document = load(&members, &[&told(r#"{"any": ["jwt"]}"#, all)]).unwrap();
    let filter = document.rate_limit_filter.as_ref().unwrap();
    assert_eq!((filter.domain.as_str(), filter.timeout_ms), ("shop", 100));
    assert_eq!(filter.on_failure, OnFailure::Allow);
    let expected = [
        vec![DescriptorEntry::RemoteAddress],
        vec![
            DescriptorEntry::Principal,
            DescriptorEntry::Route,
            DescriptorEntry::Method,
            DescriptorEntry::Header { key: "plan".to_owned(), header: "x-postern-tier".to_owned() },
            DescriptorEntry::Fixed { key: "kind".to_owned(), value: "api".to_owned() },
        ],
    ];
    assert_eq!(document.routes[0].descriptors, expected);
    let again = crate::from_json(document.to_json().as_bytes()).unwrap();
    assert_eq!(again.routes[0].descriptors, expected);

    let route = r#"[[{"route": true}]]"#;
    only("", &[&told(r#""none""#, route)], "routes.r.descriptors", "no `rate_limit_filter`");
    let at = "routes.r.descriptors[0][0]";
    let many = format!("[{}]", [r#"[{"route": true}]"#; 17].join(", "));
    for (descriptors, place, word) in [
        ("[]", "routes.r.descriptors", "at least one"),
        ("[[]]", "routes.r.descriptors", "at least one"),
        (many.as_str(), "routes.r.descriptors", "at most 16"),
        ("[[{}]]", at, "exactly one"),
        (r#"[[{"route": true, "method": true}]]"#, at, "exactly one"),
        (r#"[[{"route": true, "key": "a"}]]"#, at, "exactly one"),
        (r#"[[{"key": "a"}]]"#, at, "exactly one"),
        (r#"[[{"key": "a", "header": "x-a", "value": "b"}]]"#, at, "exactly one"),
        (r#"[[{"route": false}]]"#, at, "write true"),
        (r#"[[{"key": "a", "header": "authorization"}]]"#, at, "credentials"),
        (r#"[[{"key": "a", "header": "X-A"}]]"#, at, "lower case"),
        (r#"[[{"key": "", "value": "b"}]]"#, at, "1 to 256"),
        (r#"[[{"key": "a", "value": " b"}]]"#, at, "no space"),
        (r#"[[{"key": "a", "value": "100%"}]]"#, at, "`%` is Envoy's"),
        (r#"[[{"key": "a", "value": "%DOWNSTREAM_PEER_URI_SAN%"}]]"#, at, "`%` is Envoy's"),
        (r#"[[{"principal": true}]]"#, at, "auth: none"),
    ] {
        only(FILTER, &[&told(r#""none""#, descriptors)], place, word);
    }
    let nameless = format!(r#"{members} "identity_headers": ["tier"],"#);
    let principal = told(r#"{"any": ["jwt"]}"#, r#"[[{"principal": true}]]"#);
    only(&nameless, &[&principal], at, "`subject`");
}

#[test]
fn the_rate_limit_filter_says_what_happens_without_the_service() {
    let filter = |members: &str| format!(r#""rate_limit_filter": {{{members}}},"#);
    for (members, place, word) in [
        (r#""domain": "shop""#, "rate_limit_filter", "`on_failure` is missing"),
        (r#""on_failure": "deny""#, "rate_limit_filter", "`domain` is missing"),
        (r#""domain": "", "on_failure": "deny""#, "rate_limit_filter.domain", "1 to 255"),
        (r#""domain": " a", "on_failure": "deny""#, "rate_limit_filter.domain", "no space"),
        (
            r#""domain": "a", "on_failure": "deny", "timeout": "6s""#,
            "rate_limit_filter.timeout",
            "1ms to 5s",
        ),
    ] {
        only(&filter(members), &[OPEN], place, word);
    }
}

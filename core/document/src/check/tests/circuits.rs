use postern_circuit::{Counts, Probes, Recovery, Settings, Share, Slow, StatusRanges};

use super::{OPEN, load, loaded, named, only, service};
use crate::{Fallback, FixedAnswer, Stale};

const UPSTREAM: &str = r#""upstream": "h:1""#;

fn circuit(members: &str) -> String {
    named(&format!(r#""circuit": {{{members}}}"#))
}

fn settings(members: &str) -> Settings {
    loaded(&circuit(members), &[OPEN]).circuit.unwrap()
}

#[test]
fn a_circuit_without_fields_has_the_defaults() {
    let default = Settings::default();
    assert_eq!(settings(""), default);
    assert_eq!((default.failures, default.recovery.first_ms, default.reporters), (5, 60_000, 2));
    let http2 = named(r#""http2": true, "circuit": {}"#);
    let counts = Counts { grpc: Counts::GRPC_FAILURES, ..default.counts };
    assert_eq!(loaded(&http2, &[OPEN]).circuit, Some(Settings { counts, ..default }));
}

#[test]
fn every_field_of_a_circuit_counts() {
    let all = r#""failures": "off", "ratio": "50%", "slow": {"over": "2s", "share": "80%"},
        "window": "30s", "minimum": 100, "recovery": "10s", "recovery_longest": "10m",
        "jitter": "0%", "probes": {"per_interval": 3, "interval": "2s", "successes": 5},
        "reporters": 1,
        "counts": {"statuses": [503, "500-502", "429"], "grpc": ["UNAVAILABLE", "UNKNOWN"]}"#;
    let statuses = StatusRanges::NONE.with(500, 503).with(429, 429);
    let expected = Settings {
        failures: 0,
        ratio: Some(Share::percent(50)),
        slow: Some(Slow { over_ms: 2_000, share: Share::percent(80) }),
        minimum: 100,
        window_ms: 30_000,
        recovery: Recovery { first_ms: 10_000, longest_ms: 600_000, jitter: Share(0) },
        probes: Probes { per_interval: 3, interval_ms: 2_000, successes: 5 },
        reporters: 1,
        counts: Counts { statuses, grpc: (1 << 14) | (1 << 2) },
    };
    assert_eq!(settings(all), expected);
}

#[test]
fn what_is_left_out_follows_what_is_said() {
    let recovery = |members: &str| {
        let Settings { recovery, probes, .. } = settings(members);
        (recovery.first_ms, recovery.longest_ms, probes.interval_ms)
    };
    assert_eq!(recovery(r#""recovery": "10s""#), (10_000, 300_000, 1_000));
    assert_eq!(recovery(r#""recovery": "10m""#), (600_000, 600_000, 1_000));
    assert_eq!(recovery(r#""recovery": "200ms""#), (200, 300_000, 200));
    let none = settings(r#""counts": {"statuses": [], "grpc": []}"#).counts;
    assert_eq!(none, Counts { statuses: StatusRanges::NONE, grpc: 0 });
    let names =
        ["CANCELLED", "INVALID_ARGUMENT", "UNAUTHENTICATED"].map(|name| format!("{name:?}"));
    let grpc = settings(&format!(r#""counts": {{"grpc": [{}]}}"#, names.join(", "))).counts;
    assert_eq!(grpc, Counts { grpc: (1 << 1) | (1 << 3) | (1 << 16), ..Counts::default() });
}

#[test]
fn circuits_that_make_no_sense_are_refused() {
    for (members, place, word) in [
        (r#""failures": 0"#, ".failures", "1 to 10000"),
        (r#""failures": 10001"#, ".failures", "1 to 10000"),
        (r#""failures": "of""#, ".failures", "or `off`"),
        (r#""failures": "off""#, ".failures", "nothing would ever open it"),
        (r#""failures": "off", "minimum": 5"#, ".failures", "nothing would ever open it"),
        (r#""failures": "off", "ratio": "200%""#, ".ratio", "at most 100%"),
        (r#""ratio": 0.5"#, ".ratio", "at most 100%"),
        (r#""slow": {"share": "80%"}"#, ".slow", "`over` is missing"),
        (r#""slow": {"over": "2h", "share": "80%"}"#, ".slow.over", "1ms to 1h"),
        (r#""window": "999ms""#, ".window", "1s to 5m"),
        (r#""window": "6m""#, ".window", "1s to 5m"),
        (r#""minimum": 5"#, ".minimum", "without `ratio` or `slow`"),
        (r#""ratio": "50%", "minimum": 0"#, ".minimum", "1 to 1000000"),
        (r#""recovery": "99ms""#, ".recovery", "100ms to 1h"),
        (r#""recovery": "61m""#, ".recovery", "100ms to 1h"),
        (r#""recovery_longest": "25h""#, ".recovery_longest", "100ms to 24h"),
        (r#""recovery_longest": "59s""#, ".recovery_longest", "shorter than the first"),
        (r#""jitter": "51%""#, ".jitter", "0% to 50%"),
        (r#""probes": {"per_interval": 0}"#, ".probes.per_interval", "1 to 1000"),
        (r#""probes": {"interval": "61s"}"#, ".probes.interval", "100ms to 1m"),
        (r#""probes": {"successes": 1001}"#, ".probes.successes", "1 to 1000"),
        (r#""reporters": 0"#, ".reporters", "1 to 1000"),
        (r#""counts": {"statuses": ["5xx"]}"#, ".counts.statuses[0]", "from 400 to 599"),
        (r#""counts": {"statuses": [500, 200]}"#, ".counts.statuses[1]", "from 400 to 599"),
        (r#""counts": {"statuses": ["599-500"]}"#, ".counts.statuses[0]", "from 400 to 599"),
        (r#""counts": {"statuses": ["0500"]}"#, ".counts.statuses[0]", "from 400 to 599"),
        (r#""counts": {"grpc": ["OK"]}"#, ".counts.grpc[0]", "one of CANCELLED"),
        (r#""counts": {"grpc": ["UNAVAILABEL"]}"#, ".counts.grpc[0]", "did you mean `UNAVAILABLE`"),
        (r#""failure": 5"#, "", "did you mean `failures`"),
    ] {
        only(&circuit(members), &[OPEN], &format!("services.s.circuit{place}"), word);
    }
}

fn route(service: &str, fallback: &str) -> String {
    format!(
        r#"{{"name": "r", "match": {{"path": "/r"}}, "service": "{service}", "auth": "none",
            "fallback": {fallback}}}"#
    )
}

/// A service with a circuit, one without, one in parts, and one that a workload guards.
const SERVICES: &str = r#"
    "workloads": {"pay": {"namespace": "shop", "labels": {"app": "pay"},
        "service_account": "pay", "ports": [8080]}},
    "services": {
        "s": {"upstream": "h:1", "circuit": {}},
        "other": {"upstream": "h:2"},
        "parts": {"upstream": "h:3", "versions": {"one": {"upstream": "h:4"}}},
        "pay": {"upstream": "h:8080", "circuit": {}, "workload": "pay", "guard": "workload"}},"#;
const TO_PARTS: &str = r#"{"name": "parts", "match": {"path": "/parts"}, "service": "parts",
    "auth": "none", "split": {"one": 100}}"#;

fn fallback(written: &str) -> Fallback {
    let route = route("s", written);
    let document = load(SERVICES, &[&route, TO_PARTS]);
    let document = document.unwrap_or_else(|found| panic!("{found:?} in {written}"));
    let again = crate::from_json(document.to_json().as_bytes()).unwrap();
    assert_eq!(again.routes[0].fallback, document.routes[0].fallback, "as it is written out");
    // What the filter reads.
    let of_filter = crate::from_json(document.filter_config().as_bytes()).unwrap();
    assert_eq!(of_filter.routes[0].fallback.is_some(), document.routes[0].fallback.is_some());
    document.routes[0].fallback.clone().unwrap()
}

#[test]
fn an_open_circuit_has_one_of_four_answers() {
    let answer = r#"{"answer": {"status": 200, "content_type": "application/json; charset=utf-8",
        "body": "[]", "headers": {"cache-control": "no-store"}}}"#;
    let expected = FixedAnswer {
        status: 200,
        content_type: Some("application/json; charset=utf-8".to_owned()),
        body: "[]".to_owned(),
        headers: vec![("cache-control".to_owned(), "no-store".to_owned())],
    };
    assert_eq!(fallback(answer), Fallback::Answer(expected));
    let Fallback::Answer(bare) = fallback(r#"{"answer": {"status": 204}}"#) else { panic!() };
    assert_eq!((bare.status, bare.content_type, bare.body.as_str()), (204, None, ""));

    let stale = Stale { max_age_ms: 3_600_000, max_bytes: 65_536, entries: 64, private: false };
    assert_eq!(fallback(r#"{"stale": {}}"#), Fallback::Stale(stale));
    let all = r#"{"stale": {"max_age": "7d", "max_bytes": "1MiB", "entries": 4, "private": true}}"#;
    let stale = Stale { max_age_ms: 604_800_000, max_bytes: 1 << 20, entries: 4, private: true };
    assert_eq!(fallback(all), Fallback::Stale(stale));

    let Fallback::Service(other) = fallback(r#"{"service": "other"}"#) else { panic!() };
    assert_eq!((other.name.as_str(), other.port), ("other", 2));
    assert_eq!(fallback(r#"{"shadow": true}"#), Fallback::Shadow);
}

#[test]
fn fallbacks_that_make_no_sense_are_refused() {
    let long = format!(
        r#"{{"answer": {{"status": 200, "content_type": "a/b", "body": "{}"}}}}"#,
        "x".repeat(16_385)
    );
    let many: Vec<String> = (0..17).map(|number| format!(r#""x-{number}": "a""#)).collect();
    let many = format!(r#"{{"answer": {{"status": 200, "headers": {{{}}}}}}}"#, many.join(", "));
    for (written, place, word) in [
        ("{}", "", "exactly one"),
        (r#"{"shadow": true, "stale": {}}"#, "", "exactly one"),
        (r#"{"shadow": false}"#, ".shadow", "write true"),
        (r#"{"answer": {"status": 199}}"#, ".answer.status", "200 to 599"),
        (r#"{"answer": {"status": 600}}"#, ".answer.status", "200 to 599"),
        (r#"{"answer": {"status": 200, "body": "x"}}"#, ".answer.body", "content_type"),
        (
            r#"{"answer": {"status": 204, "body": "x", "content_type": "a/b"}}"#,
            ".answer.body",
            "has no body",
        ),
        (
            r#"{"answer": {"status": 200, "body": "", "content_type": "a/b"}}"#,
            ".answer.body",
            "leave `body` out",
        ),
        (long.as_str(), ".answer.body", "1 to 16384 bytes"),
        (
            r#"{"answer": {"status": 200, "content_type": "a/b"}}"#,
            ".answer.content_type",
            "no `body`",
        ),
        (
            r#"{"answer": {"status": 200, "body": "x", "content_type": "json"}}"#,
            ".answer.content_type",
            "media type",
        ),
        (
            r#"{"answer": {"status": 200, "headers": {"content-type": "a/b"}}}"#,
            ".answer.headers.content-type",
            "`content_type`",
        ),
        (
            r#"{"answer": {"status": 200, "headers": {"content-length": "1"}}}"#,
            ".answer.headers.content-length",
            "belongs to Envoy",
        ),
        (
            r#"{"answer": {"status": 200, "headers": {"x-a": "a\r\nb"}}}"#,
            ".answer.headers.x-a",
            "control characters",
        ),
        (many.as_str(), ".answer.headers", "at most 16"),
        (r#"{"stale": {"max_age": "8d"}}"#, ".stale.max_age", "1s to 7d"),
        (r#"{"stale": {"max_bytes": "2MiB"}}"#, ".stale.max_bytes", "1KiB to 1MiB"),
        (r#"{"stale": {"max_bytes": "1023B"}}"#, ".stale.max_bytes", "1KiB to 1MiB"),
        (r#"{"stale": {"entries": 4097}}"#, ".stale.entries", "1 to 4096"),
        (r#"{"stale": {"max_bytes": "64KiB", "entries": 1025}}"#, ".stale", "come to 65 MiB"),
        (r#"{"service": "s"}"#, ".service", "another one"),
        (r#"{"service": "postern"}"#, ".service", "the suite itself"),
        (r#"{"service": "othr"}"#, ".service", "did you mean `other`"),
        (r#"{"service": "parts"}"#, ".service", "has versions"),
        (r#"{"service": "pay"}"#, ".service", "guards `pay`"),
    ] {
        let place = format!("routes.r.fallback{place}");
        only(SERVICES, &[&route("s", written), TO_PARTS], &place, word);
    }
    for (service, written, place, word) in [
        ("other", r#"{"shadow": true}"#, "", "`other` has no `circuit`"),
        ("postern", r#"{"shadow": true}"#, "", "`postern` has no `circuit`"),
        ("pay", r#"{"service": "other"}"#, ".service", "sends requests nowhere else"),
    ] {
        let place = format!("routes.r.fallback{place}");
        only(SERVICES, &[&route(service, written), TO_PARTS], &place, word);
    }
    let written = route("s", r#"{"stale": {}}"#);
    let posts = written.replace(r#""path": "/r""#, r#""path": "/r", "methods": ["POST"]"#);
    only(SERVICES, &[&posts, TO_PARTS], "routes.r.fallback.stale", "neither");
    let services = SERVICES.replace(r#""h:3","#, r#""h:3", "circuit": {},"#);
    let parts = route("parts", r#"{"stale": {}}"#)
        .replace(r#""auth": "none","#, r#""auth": "none", "split": {"one": 100},"#);
    assert!(load(&services, &[&parts]).is_ok(), "shares choose for everybody");
    let canary = r#""canary": [{"header": "x-beta", "value": "1", "version": "one"}], "fallback""#;
    let picked = parts.replace(r#""fallback""#, canary);
    only(&services, &[&picked], "routes.r.fallback.stale", "`canary`");
    // What is wrong with it is said where it stands, once.
    for (written, place, word) in [
        (r#"{"answer": {}}"#, "routes[0].fallback.answer", "`status` is missing"),
        (r#"{"stale": {"max_bytes": 64}}"#, "routes[0].fallback.stale.max_bytes", "64KiB"),
        (r#"{"stael": {}}"#, "routes[0].fallback", "did you mean `stale`"),
    ] {
        only(SERVICES, &[&route("s", written), TO_PARTS], place, word);
    }
}

#[test]
fn a_circuit_is_the_filters_and_others_are_heard_by_the_feed() {
    let route = r#"{"name": "r", "match": {"path": "/r"}, "service": "s", "auth": "none"}"#;
    for (members, needs_feed) in [(service(UPSTREAM), false), (named(r#""circuit": {}"#), true)] {
        let document = load(&members, &[route]).unwrap();
        assert_eq!((document.needs_feed(), document.relies_on_feed()), (needs_feed, false));
        assert!(!document.needs_ext_authz() && !document.needs_ext_proc());
    }
    // One that no route leads to is nobody's.
    assert!(!load(&named(r#""circuit": {}"#), &[OPEN]).unwrap().needs_feed());
}

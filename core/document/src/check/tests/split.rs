use super::{load, problems};
use crate::{CanaryPick, Fault, FaultAbort, FaultDelay, HeaderValue, Retries};

const SERVICE: &str = r#""services": {"s": {"upstream": "h:1", "versions": {
    "old": {"labels": {"version": "v1"}},
    "new": {"labels": {"version": "v2"}, "upstream": "h2:1"}}}},"#;

fn route(members: &str) -> String {
    format!(
        r#"{{"name": "r", "match": {{"path": "/r", "methods": ["GET"]}}, "service": "s",
            "auth": "none", {members}}}"#
    )
}

const EVEN: &str = r#""split": {"old": 50, "new": 50}"#;

fn only(members: &str, route: &str, place: &str, word: &str) {
    let found = problems(members, &[route]);
    let [only] = found.as_slice() else { panic!("{found:?} for {members} {route}") };
    assert!(only.starts_with(&format!("{place}: ")) && only.contains(word), "{only} ({word})");
}

#[test]
fn requests_are_split_between_versions() {
    let canary = r#""canary": [{"header": "x-canary", "value": "always", "version": "new"},
        {"header": "x-postern-tier", "value": {"prefix": "beta"}, "version": "new"}]"#;
    let split = r#""split": {"new": 0, "old": 100}"#;
    let document = load(SERVICE, &[&route(&format!("{split}, {canary}"))]).unwrap();
    let again = crate::from_json(document.to_json().as_bytes()).unwrap();
    for document in [document, again] {
        let (service, route) = (&document.services[0], &document.routes[0]);
        let (old, new) = (service.version("old").unwrap(), service.version("new").unwrap());
        assert_eq!(new.upstream.as_ref().map(|to| (to.host.as_str(), to.port)), Some(("h2", 1)));
        let expected = [(new.clone(), 0), (old.clone(), 100)];
        assert_eq!(route.split, expected, "in the order of the document");
        let pick = |header: &str, value| CanaryPick {
            header: header.to_owned(),
            value,
            version: new.clone(),
        };
        let expected = [
            pick("x-canary", HeaderValue::Exact("always".to_owned())),
            pick("x-postern-tier", HeaderValue::Prefix("beta".to_owned())),
        ];
        assert_eq!(route.canary, expected);
    }
}

#[test]
fn a_split_is_whole_and_of_the_routes_own_service() {
    let (place, old) = ("routes.r.split", "services.s.versions.old");
    for (split, place, word) in [
        (r#""split": {"old": 50, "new": 49}"#, place, "99 in all"),
        (r#""split": {"old": 100, "new": 1}"#, place, "101 in all"),
        (r#""split": {"old": 300, "new": 0}"#, place, "300 in all"),
        (r#""split": {}"#, place, "0 in all"),
        (r#""split": {"odl": 50, "new": 50}"#, place, "did you mean `old`"),
        (r#""timeout": "1s""#, place, "to all of them"),
        (r#""split": {"new": 100}"#, old, "no route goes there"),
    ] {
        only(SERVICE, &route(split), place, word);
    }
    let unreadable = problems(SERVICE, &[&route(r#""split": 5"#)]);
    assert_eq!(unreadable.len(), 1, "what cannot be read is not missing: {unreadable:?}");
    let none = r#""services": {"s": {"upstream": "h:1"}},"#;
    only(none, &route(r#""split": {"old": 100}"#), place, "has no versions");
    let own = route(r#""split": {"old": 100}"#).replace(r#""s","#, r#""postern","#);
    only("", &own, place, "no versions");
}

#[test]
fn versions_are_parts_that_can_be_told_apart() {
    let with = |versions: &str| {
        format!(r#""services": {{"s": {{"upstream": "h:1", "versions": {{{versions}}}}}}},"#)
    };
    let many: Vec<String> =
        (0..17).map(|at| format!(r#""v{at}": {{"upstream": "h{at}:1"}}"#)).collect();
    let all: Vec<String> = (1..17).map(|at| format!(r#""v{at}": 0"#)).collect();
    let split_of_many = format!(r#""split": {{"v0": 100, {}}}"#, all.join(", "));
    for (versions, split, place, word) in [
        ("", r#""timeout": "1s""#, "", "at least one"),
        (r#""a": {}"#, r#""split": {"a": 100}"#, ".a", "`labels`, `upstream`, or both"),
        (r#""a": {"labels": {}}"#, r#""split": {"a": 100}"#, ".a", "`labels`, `upstream`"),
        (r#""a": {"upstream": "h"}"#, r#""split": {"a": 100}"#, ".a.upstream", "HOST:PORT"),
        (
            r#""a": {"labels": {"v": "1"}}, "b": {"labels": {"v": "1"}, "upstream": "x:1"}"#,
            r#""split": {"a": 50, "b": 50}"#,
            ".b",
            "`a` is the same",
        ),
        (
            r#""a": {"upstream": "x:1"}, "b": {"upstream": "x:1"}"#,
            r#""split": {"a": 50, "b": 50}"#,
            ".b",
            "`a` is the same",
        ),
        (many.join(", ").as_str(), split_of_many.as_str(), "", "at most 16"),
    ] {
        only(&with(versions), &route(split), &format!("services.s.versions{place}"), word);
    }
    let endpoints = r#""services": {"s": {"endpoints": [
        {"address": "10.0.0.1", "port": 1, "labels": {"v": "1"}}], "versions": {
        "a": {"labels": {"v": "2"}}}}},"#;
    let place = "services.s.versions.a";
    only(endpoints, &route(r#""split": {"a": 100}"#), place, "no endpoint");
}

#[test]
fn a_header_chooses_a_version_and_is_no_credential() {
    let canary = |picks: &str| route(&format!(r#"{EVEN}, "canary": [{picks}]"#));
    let pick = |header: &str, value: &str, version: &str| {
        format!(r#"{{"header": "{header}", "value": {value}, "version": "{version}"}}"#)
    };
    let good = pick("x-a", r#""b""#, "new");
    let long = format!(r#""{}""#, "a".repeat(257));
    let many: Vec<String> = (0..9).map(|at| pick(&format!("x-{at}"), r#""b""#, "new")).collect();
    for (picks, place, word) in [
        (String::new(), "", "at least one"),
        (many.join(", "), "", "at most 8"),
        (format!("{good}, {good}"), "[1]", "already"),
        (pick("X-A", r#""b""#, "new"), "[0].header", "lower case"),
        (pick("x_a", r#""b""#, "new"), "[0].header", "`_`"),
        (pick("authorization", r#""b""#, "new"), "[0].header", "credentials"),
        (pick("cookie", r#""b""#, "new"), "[0].header", "credentials"),
        (pick("x-api-key", r#""b""#, "new"), "[0].header", "credentials"),
        (pick("host", r#""b""#, "new"), "[0].header", "match.hosts"),
        (pick("x-a", r#""""#, "new"), "[0].value", "1 to 256"),
        (pick("x-a", r#"" b""#, "new"), "[0].value", "1 to 256"),
        (pick("x-a", r#"{"prefix": ""}"#, "new"), "[0].value", "1 to 256"),
        (pick("x-a", &long, "new"), "[0].value", "1 to 256"),
        (pick("x-a", r#""b""#, "odl"), "[0].version", "did you mean `old`"),
    ] {
        only(SERVICE, &canary(&picks), &format!("routes.r.canary{place}"), word);
    }
    let both = format!("{good}, {}", pick("x-a", r#"{"prefix": "b"}"#, "new"));
    assert!(load(SERVICE, &[&canary(&both)]).is_ok(), "another comparison is another pick");
}

#[test]
fn faults_are_refusals_and_delays() {
    let fault = |members: &str| route(&format!(r#"{EVEN}, "fault": {{{members}}}"#));
    let both = r#""delay": {"share": "0.1%", "time": "5m"},
        "abort": {"share": "100%", "status": 503}"#;
    let document = load(SERVICE, &[&fault(both)]).unwrap();
    let expected = Fault {
        delay: Some(FaultDelay { parts_per_million: 1_000, time_ms: 300_000 }),
        abort: Some(FaultAbort { parts_per_million: 1_000_000, status: 503 }),
    };
    assert_eq!(document.routes[0].fault, Some(expected));
    for (members, place, word) in [
        ("", "routes.r.fault", "`delay` or `abort`"),
        (r#""delay": {"share": "1%", "time": "6m"}"#, "routes.r.fault.delay.time", "1ms to 5m"),
        (r#""abort": {"share": "1%", "status": 200}"#, "routes.r.fault.abort.status", "400 to 599"),
        (r#""abort": {"share": "1%", "status": 600}"#, "routes.r.fault.abort.status", "400 to 599"),
        (r#""abort": {"share": "0%", "status": 503}"#, "routes[0].fault.abort.share", "above 0%"),
        (r#""abort": {"share": "101%", "status": 503}"#, "routes[0].fault.abort.share", "at most"),
        (r#""abort": {"share": 1, "status": 503}"#, "routes[0].fault.abort.share", "for example"),
    ] {
        only(SERVICE, &fault(members), place, word);
    }
}

#[test]
fn a_route_has_retries_of_its_own() {
    let posts = |members: &str| route(members).replace(r#"["GET"]"#, r#"["POST"]"#);
    let service = |retries: &str| {
        format!(r#""services": {{"s": {{"upstream": "h:1", "timeout": "5s", {retries}}}}},"#)
    };
    let (on_5xx, never) = (r#"{"attempts": 2, "on": ["5xx"]}"#, r#"{"attempts": 1}"#);
    let repeating = service(&format!(r#""retries": {on_5xx}"#));
    let own = |retries: &str| posts(&format!(r#""retries": {retries}"#));
    // The service's would repeat a POST; the route's own count instead.
    only(&repeating, &posts(r#""timeout": "1s""#), "routes.r.service", "the retries of `s`");
    let document = load(&repeating, &[&own(never)]).unwrap();
    assert_eq!(document.routes[0].retries, Retries::NEVER);
    assert_eq!(document.services[0].retries.attempts, 2);
    let plain = service(r#""http2": false"#);
    only(&plain, &own(on_5xx), "routes.r.retries", "could repeat a POST");
    let safe = r#"{"attempts": 4, "on": ["refused-stream"], "per_try_timeout": "2s"}"#;
    let read = load(&plain, &[&own(safe)]).unwrap().routes[0].retries.clone();
    assert_eq!((read.attempts, read.per_try_timeout_ms), (4, Some(2_000)));
    // Bounded by the route's own time, and by the service's where it has none.
    let slow = r#"{"attempts": 2, "on": ["connect-failure"], "per_try_timeout": "6s"}"#;
    only(&plain, &own(slow), "routes.r.retries.per_try_timeout", "`timeout`");
    let patient = posts(&format!(r#""timeout": "6s", "retries": {slow}"#));
    assert!(load(&plain, &[&patient]).is_ok());
    // Without any of its own it has the service's; the suite itself is asked once.
    let inherits = load(&plain, &[&posts(r#""timeout": "1s""#)]).unwrap();
    assert_eq!(inherits.routes[0].retries, inherits.services[0].retries);
    let suite = load("", &[super::OPEN]).unwrap();
    assert_eq!(suite.routes[0].retries, Retries::NEVER);
    let suite = own(on_5xx).replace(r#""s","#, r#""postern","#);
    only("", &suite, "routes.r.retries", "could repeat a POST");
}

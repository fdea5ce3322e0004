use postern_limits::{Algorithm, Anchor, Period};

use super::{OPEN, load, problems};
use crate::{Allowance, Document, Limit, LimitMode, Skip, StoreFailure, from_json};

fn limit(mode: &str, fields: &str) -> String {
    format!(r#""limits": {{"l": {{"key": ["ip"], "mode": "{mode}", {fields}}}}},"#)
}

/// A route with this `auth` that names these limits.
fn route(auth: &str, limits: &str) -> String {
    format!(
        r#"{{"name": "r", "match": {{"path": "/r/{{id}}"}}, "service": "postern",
             "auth": {auth}, "limits": [{limits}]}}"#
    )
}

fn read(mode: &str, fields: &str) -> Limit {
    let document = load(&limit(mode, fields), &[OPEN]);
    let document = document.unwrap_or_else(|problems| panic!("{fields}: {problems:?}"));
    (*document.limits[0]).clone()
}

/// The one problem of a document, at this place, with this word in it.
fn assert_problem(members: &str, route: &str, place: &str, word: &str) {
    let found = problems(members, &[route]);
    let [only] = found.as_slice() else { panic!("{found:?} for {members} {route}") };
    assert!(only.starts_with(&format!("{place}: ")) && only.contains(word), "{only} ({word})");
}

#[test]
fn a_limit_is_read_as_it_is_written() {
    let fields = r#""rate": "2000/1m", "algorithm": "gcra", "burst": 100, "weight": 2,
        "tiers": {"premium": "5000/1m", "enterprise": "unlimited"},
        "clients": {"mobile-app": "10000/1m"}, "skip": "successful", "shadow": true,
        "when_store_fails": "deny", "ipv6_prefix": 56"#;
    let read = read("exact", fields);
    let Allowance::Rate(spec) = read.allowance else { panic!("{read:?}") };
    assert_eq!(
        (spec.algorithm(), spec.rate().requests(), spec.burst()),
        (Algorithm::Gcra, 2000, 100)
    );
    let [(enterprise, Allowance::Unlimited), (premium, Allowance::Rate(of_premium))] =
        read.tiers.as_slice()
    else {
        panic!("sorted by name: {:?}", read.tiers)
    };
    assert_eq!((enterprise.as_str(), premium.as_str()), ("enterprise", "premium"));
    assert_eq!((of_premium.rate().requests(), of_premium.burst()), (5000, 100));
    assert_eq!(read.clients.len(), 1);
    assert_eq!(read.mode, LimitMode::Exact { when_store_fails: StoreFailure::Deny });
    assert_eq!((read.weight, read.skip, read.shadow), (2, Some(Skip::Successful), true));
    assert_eq!(read.ipv6_prefix, 56);
    assert!(read.needs_principal());
}

#[test]
fn what_is_not_said_has_a_default() {
    let spec = |mode: &str, fields: &str| match read(mode, fields).allowance {
        Allowance::Rate(spec) => spec,
        other => panic!("{other:?}"),
    };
    let rate = r#""rate": "5/1m""#;
    assert_eq!(spec("local", rate).algorithm(), Algorithm::TokenBucket);
    assert_eq!(spec("local", rate).burst(), 5);
    assert_eq!(spec("exact", rate).algorithm(), Algorithm::SlidingWindow);
    let window = r#""rate": "5/1d", "algorithm": "fixed_window""#;
    assert_eq!(spec("local", window).anchor(), Anchor::Clock);
    let first = r#""rate": "5/1d", "algorithm": "fixed_window", "windows": "first_hit""#;
    assert_eq!(spec("local", first).anchor(), Anchor::FirstHit);
    let month = r#""rate": "5/1mo", "algorithm": "fixed_window""#;
    assert_eq!(spec("exact", month).rate().period(), Period::Month);
    let plain = read("exact", rate);
    assert_eq!((plain.weight, plain.skip, plain.shadow), (1, None, false));
    assert_eq!(plain.mode, LimitMode::Exact { when_store_fails: StoreFailure::LocalShare });
    assert!(!plain.needs_principal());
    let Allowance::InFlight(in_flight) = read("local", r#""in_flight": 50"#).allowance else {
        panic!("in flight");
    };
    assert_eq!((in_flight.max(), in_flight.life_ms()), (50, 60_000));
    let fields = r#""in_flight": "unlimited", "slot_life": "2m", "tiers": {"basic": 3}"#;
    let bounded = read("exact", fields);
    assert_eq!(bounded.allowance, Allowance::Unlimited);
    let [(_, Allowance::InFlight(basic))] = bounded.tiers.as_slice() else { panic!("{bounded:?}") };
    assert_eq!((basic.max(), basic.life_ms()), (3, 120_000));
    assert_eq!(read("local", r#""rate": "unlimited""#).allowance, Allowance::Unlimited);
    // All of an Envoy's slots have room for: everything but a log.
    for algorithm in ["sliding_window", "token_bucket", "gcra", "fixed_window"] {
        read("local", &format!(r#""rate": "5/1m", "algorithm": "{algorithm}""#));
    }
}

#[test]
fn a_limit_comes_through_every_form_of_the_document() {
    let members = limit(
        "exact",
        r#""in_flight": 7, "slot_life": "90s", "tiers": {"a": 9, "b": "unlimited"}, "shadow": true"#,
    );
    let auth = r#"{"any": ["api_key"]}"#;
    let members = format!(r#""credentials": {{"api_key": {{}}}}, {members}"#);
    let document = load(&members, &[&route(auth, r#""l""#)]).unwrap();
    for text in [document.to_json(), document.filter_config()] {
        let again = from_json(text.as_bytes()).unwrap();
        assert_eq!((&again.limits, &again.digest), (&document.limits, &document.digest));
    }
    let with = |limits: &str| load(&members, &[&route(auth, limits)]).unwrap().digest;
    assert_eq!(with(r#""l""#), with(r#"{"limit": "l"}"#), "one meaning");
    let other = members.replace("\"90s\"", "\"91s\"");
    let other = load(&other, &[&route(auth, r#""l""#)]).unwrap();
    assert_ne!(other.digest, document.digest);
}

#[test]
fn nonsense_is_no_rate() {
    for rate in [
        r#""0/1m""#,
        r#""-5/1m""#,
        r#""NaN/1m""#,
        r#""1.5/1m""#,
        r#""99999999999999999999999/1m""#,
        r#""5/99999999999999999999999d""#,
        r#""5/0s""#,
        r#""5/367d""#,
        r#""5""#,
        "5",
        "1e9",
        "-1",
        r#""Unlimited""#,
        r#""none""#,
        r#""infinity""#,
        "true",
    ] {
        assert_problem(&limit("local", &format!(r#""rate": {rate}"#)), OPEN, "limits.l.rate", "");
    }
    for unlimited in [r#""unlimted""#, r#""UNLIMITED""#, r#""no limit""#, r#""inf""#, "-1"] {
        let fields = format!(r#""rate": {unlimited}"#);
        assert_problem(&limit("exact", &fields), OPEN, "limits.l.rate", "`unlimited`");
    }
}

#[test]
fn a_limit_says_once_how_much() {
    for (mode, fields, place, word) in [
        ("local", r#""weight": 1"#, "", "`rate`"),
        ("local", r#""rate": "5/1m", "in_flight": 5"#, ".in_flight", "two"),
        ("local", r#""rate": "5/1m", "slot_life": "30s""#, ".slot_life", "`in_flight`"),
        ("exact", r#""in_flight": 0"#, ".in_flight", "zero"),
        ("exact", r#""in_flight": 100001"#, ".in_flight", "100000"),
        ("exact", r#""in_flight": 4294967297"#, ".in_flight", "100000"),
        ("exact", r#""in_flight": "5/1m""#, ".in_flight", "whole number"),
        ("exact", r#""in_flight": "none""#, ".in_flight", "`unlimited`"),
        ("exact", r#""in_flight": 5, "slot_life": "999ms""#, ".slot_life", "24h"),
        ("exact", r#""in_flight": 5, "slot_life": "25h""#, ".slot_life", "24h"),
        ("exact", r#""in_flight": 5, "algorithm": "gcra""#, ".algorithm", "`rate`"),
        ("exact", r#""in_flight": 5, "windows": "clock""#, ".windows", "`rate`"),
        ("exact", r#""in_flight": 5, "burst": 5"#, ".burst", "`rate`"),
        ("exact", r#""in_flight": 5, "weight": 6"#, ".weight", "`rate`"),
        ("exact", r#""in_flight": 5, "skip": "failed""#, ".skip", "`rate`"),
    ] {
        assert_problem(&limit(mode, fields), OPEN, &format!("limits.l{place}"), word);
    }
}

#[test]
fn every_algorithm_has_its_own_settings() {
    for (mode, fields, place, word) in [
        ("exact", r#""rate": "5/1m", "burst": 5"#, "burst", "gcra"),
        ("local", r#""rate": "5/1m", "burst": 0"#, "burst", "expected 1"),
        ("local", r#""rate": "5/1m", "burst": 4294967296"#, "burst", "4294967295"),
        ("local", r#""rate": "5/1m", "windows": "clock""#, "windows", "fixed_window"),
        ("local", r#""rate": "5/1m", "algorithm": "sliding_log""#, "algorithm", "exact"),
        ("local", r#""rate": "5/1m", "algorithm": "leaky""#, "algorithm", "fixed_window"),
        ("local", r#""rate": "5/1mo", "algorithm": "fixed_window""#, "rate", "exact"),
        ("exact", r#""rate": "5/1mo""#, "rate", "fixed_window"),
        (
            "exact",
            r#""rate": "5/1mo", "algorithm": "fixed_window", "windows": "first_hit""#,
            "rate",
            "clock",
        ),
        ("exact", r#""rate": "10001/1m", "algorithm": "sliding_log""#, "rate", "10000"),
        ("local", r#""rate": "5/1m", "when_store_fails": "deny""#, "when_store_fails", "store"),
    ] {
        assert_problem(&limit(mode, fields), OPEN, &format!("limits.l.{place}"), word);
    }
}

#[test]
fn tiers_and_clients_say_how_much_too() {
    for (fields, place, word) in [
        (r#""rate": "5/1m", "tiers": {}"#, "tiers", "at least one"),
        (r#""rate": "5/1m", "tiers": {"a": "0/1m"}"#, "tiers.a", "zero"),
        (r#""rate": "5/1m", "tiers": {"a": "none"}"#, "tiers.a", "`unlimited`"),
        (r#""rate": "5/1m", "tiers": {"a": true}"#, "tiers.a", "expected"),
        (r#""rate": "5/1m", "clients": {"a": 5}"#, "clients.a", "rate"),
        (r#""in_flight": 5, "clients": {"a": "5/1m"}"#, "clients.a", "`in_flight`"),
        (r#""in_flight": 5, "tiers": {"a": 0}"#, "tiers.a", "zero"),
        (r#""rate": "5/1m", "clients": {" a": "5/1m"}"#, "clients", "space"),
        (
            r#""rate": "5/1m", "algorithm": "sliding_log", "tiers": {"a": "10001/1m"}"#,
            "tiers.a",
            "10000",
        ),
    ] {
        assert_problem(&limit("exact", fields), OPEN, &format!("limits.l.{place}"), word);
    }
    let many: Vec<String> = (0..65).map(|at| format!(r#""t{at}": "5/1m""#)).collect();
    let fields = format!(r#""rate": "5/1m", "tiers": {{{}}}"#, many.join(", "));
    assert_problem(&limit("exact", &fields), OPEN, "limits.l.tiers", "64");
}

#[test]
fn what_weighs_too_much_could_never_pass() {
    for (fields, word) in [
        (r#""rate": "5/1m", "weight": 0"#, "1000000"),
        (r#""rate": "5/1m", "weight": 1000001"#, "1000000"),
        (r#""rate": "5/1m", "weight": 6"#, "`l` has room for 5"),
        (r#""rate": "9/1m", "weight": 6, "tiers": {"a": "5/1m", "b": "6/1m"}"#, "tier `a`"),
        (r#""rate": "unlimited", "weight": 6, "clients": {"a": "5/1m"}"#, "client `a`"),
        (r#""rate": "9/1m", "burst": 5, "weight": 6"#, "room for 5"),
    ] {
        assert_problem(&limit("local", fields), OPEN, "limits.l.weight", word);
    }
    assert_eq!(read("local", r#""rate": "5/1m", "burst": 6, "weight": 6"#).weight, 6);
    assert_eq!(read("local", r#""rate": "unlimited", "weight": 6"#).weight, 6);
}

fn weights(document: &Document) -> Vec<(&str, u64)> {
    let route = &document.routes[0];
    let applied = route.local_limits.iter().chain(&route.exact_limits);
    applied.map(|applied| (applied.limit.name.as_str(), applied.weight)).collect()
}

#[test]
fn a_route_may_weigh_its_requests_itself() {
    let members = r#""limits": {
        "a": {"key": ["ip"], "mode": "local", "rate": "9/1m", "weight": 3},
        "b": {"key": ["ip"], "mode": "exact", "rate": "9/1m"},
        "c": {"key": ["ip"], "mode": "local", "in_flight": 9}},"#;
    for (uses, expected) in [
        (r#""a", "b""#, [("a", 3), ("b", 1)]),
        (r#"{"limit": "b", "weight": 9}, {"limit": "a"}"#, [("a", 3), ("b", 9)]),
        (r#"{"limit": "a", "weight": 1}, "b""#, [("a", 1), ("b", 1)]),
    ] {
        let document = load(members, &[&route(r#""none""#, uses)]).unwrap();
        assert_eq!(weights(&document), expected, "{uses}");
        let again = from_json(document.to_json().as_bytes()).unwrap();
        assert_eq!(weights(&again), expected, "{uses}");
    }
    for (uses, place, word) in [
        (r#"{"limit": "a", "weight": 0}"#, "routes.r.limits", "1000000"),
        (r#"{"limit": "a", "weight": 10}"#, "routes.r.limits", "could never pass"),
        (r#"{"limit": "c", "weight": 1}"#, "routes.r.limits", "in_flight"),
        (r#""a", {"limit": "a", "weight": 2}"#, "routes.r.limits", "twice"),
        (r#"{"limit": "d", "weight": 2}"#, "routes.r.limits", "no limit `d`"),
        (r#"{"weight": 2}"#, "routes[0].limits[0]", "`limit` is missing"),
        (r#"{"limit": "a", "wieght": 2}"#, "routes[0].limits[0]", "did you mean `weight`"),
        (r#"["a"]"#, "routes[0].limits[0]", "{limit: per-user, weight: 5}"),
    ] {
        assert_problem(members, &route(r#""none""#, uses), place, word);
    }
}

#[test]
fn a_route_has_what_its_limits_count_by() {
    let credentials = r#""credentials": {"api_key": {}, "jwt": {"issuers": [
        {"issuer": "https://a.test", "audiences": ["x"],
         "claim_headers": {"x-tenant": "tenant"}}]}},"#;
    let members = |limit: &str| format!(r#"{credentials} "limits": {{"l": {limit}}},"#);
    let by =
        |part: &str| members(&format!(r#"{{"key": ["{part}"], "mode": "local", "rate": "5/1m"}}"#));
    let tiers =
        members(r#"{"key": ["ip"], "mode": "local", "rate": "5/1m", "tiers": {"a": "unlimited"}}"#);
    let none = r#""none""#;
    for (members, auth, word) in [
        (tiers.clone(), none, "depends on the caller"),
        (by("claim.sub"), none, "knows none"),
        (by("claim.tenant"), none, "knows none"),
        (by("api_key"), none, "knows none"),
        (by("api_key"), r#"{"any": ["jwt"]}"#, "takes none"),
        (by("claim.tenant"), r#"{"any": ["api_key"]}"#, "no tokens"),
        (by("path.other"), none, "path has not"),
    ] {
        assert_problem(&members, &route(auth, r#""l""#), "routes.r.limits", word);
    }
    let both = r#"{"any": ["jwt", "api_key"]}"#;
    for part in ["claim.sub", "claim.tenant", "api_key", "claim.client_id", "path.id", "method"] {
        load(&by(part), &[&route(both, r#""l""#)]).unwrap();
    }
    load(&tiers, &[&route(both, r#""l""#)]).unwrap();
    let place = "limits.l.key[0]";
    assert_problem(&by("claim.other"), OPEN, place, "claim_headers");
    for bad in ["moon", "claim", "header.X-Upper"] {
        assert_problem(&by(bad), OPEN, place, &format!("`{bad}`: "));
    }
    assert_problem(&by("sub"), OPEN, place, "did you mean `claim.sub`?");
    let twice = r#""limits": {"l": {"key": ["ip", "ip"], "mode": "local", "rate": "5/1m"}},"#;
    assert_problem(twice, OPEN, "limits.l.key[1]", "twice");
    // Which claims there are cannot be said before `credentials` is mended.
    let broken = by("claim.tenant").replace("[\"x\"]", "[]");
    let found = problems(&broken, &[OPEN]);
    assert!(found.iter().all(|problem| problem.starts_with("credentials.")), "{found:?}");
}

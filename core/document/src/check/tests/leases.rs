use postern_leases::{Start, Terms};
use postern_limits::{Algorithm, Period};

use super::{OPEN, load, problems};
use crate::{Allowance, Document, Limit, LimitMode, StoreFailure, from_json};

fn limit(fields: &str) -> String {
    format!(r#""limits": {{"l": {{"key": ["ip"], "mode": "leased", {fields}}}}},"#)
}

/// A limit with this lease that is large enough for it.
fn leased(lease: &str) -> String {
    limit(&format!(r#""rate": "100000/1m", "lease": {{{lease}}}"#))
}

fn route(limits: &str) -> String {
    format!(
        r#"{{"name": "r", "match": {{"path": "/r"}}, "service": "postern", "auth": "none",
             "limits": [{limits}]}}"#
    )
}

fn read(members: &str) -> Document {
    load(members, &[OPEN]).unwrap_or_else(|problems| panic!("{members}: {problems:?}"))
}

fn terms(limit: &Limit) -> Terms {
    let LimitMode::Leased { terms, .. } = limit.mode else { panic!("{limit:?}") };
    terms
}

/// The one problem of a document, at this place, with this word in it.
fn assert_problem(members: &str, route: &str, place: &str, word: &str) {
    let found = problems(members, &[route]);
    let [only] = found.as_slice() else { panic!("{found:?} for {members} {route}") };
    assert!(only.starts_with(&format!("{place}: ")) && only.contains(word), "{only} ({word})");
}

#[test]
fn a_lease_is_read_as_it_is_written() {
    let document = read(&limit(
        r#""rate": "100000/1m", "when_store_fails": "deny",
           "lease": {"sidecars": 20, "outstanding": "25%", "life": "2s", "start": "optimistic",
                     "allowance": 7}"#,
    ));
    let expected = Terms::new(20, 25, 2000, Start::Optimistic { allowance: 7 }).unwrap();
    let when_store_fails = StoreFailure::Deny;
    assert_eq!(document.limits[0].mode, LimitMode::Leased { when_store_fails, terms: expected });
    for text in [document.to_json(), document.filter_config()] {
        let again = from_json(text.as_bytes()).unwrap();
        assert_eq!((&again.limits, &again.digest), (&document.limits, &document.digest));
    }
    let strict = read(&leased(r#""sidecars": 20, "start": "strict""#));
    assert_eq!(terms(&strict.limits[0]), Terms::of(20).unwrap());
}

#[test]
fn what_a_lease_does_not_say_has_a_default() {
    let document = read(&leased(r#""sidecars": 3"#));
    let limit = &document.limits[0];
    let expected = Terms::new(3, 10, 5000, Start::Optimistic { allowance: 10 }).unwrap();
    let when_store_fails = StoreFailure::LocalShare;
    assert_eq!(limit.mode, LimitMode::Leased { when_store_fails, terms: expected });
    let Allowance::Rate(spec) = limit.allowance else { panic!("{limit:?}") };
    assert_eq!(spec.algorithm(), Algorithm::SlidingWindow);
    for fields in [
        r#""rate": "10000/1m", "algorithm": "sliding_log""#,
        r#""rate": "10000/1m", "algorithm": "token_bucket", "burst": 5000"#,
        r#""rate": "10000/1m", "algorithm": "gcra""#,
        r#""rate": "10000/1d", "algorithm": "fixed_window", "windows": "first_hit""#,
        r#""rate": "10000/1mo", "algorithm": "fixed_window""#,
    ] {
        let document = read(&self::limit(&format!(r#"{fields}, "lease": {{"sidecars": 3}}"#)));
        assert!(matches!(document.limits[0].mode, LimitMode::Leased { .. }), "{fields}");
        let Allowance::Rate(spec) = document.limits[0].allowance else { panic!("{fields}") };
        let is_month = spec.rate().period() == Period::Month;
        assert_eq!(is_month, fields.contains("1mo"), "{fields}");
    }
}

#[test]
fn the_numbers_of_a_lease_have_bounds() {
    for (lease, place, word) in [
        (r#""outstanding": "10%""#, "limits.l.lease", "`sidecars` is missing"),
        (r#""sidecars": 0"#, "limits.l.lease.sidecars", "100000"),
        (r#""sidecars": 100001"#, "limits.l.lease.sidecars", "100000"),
        (r#""sidecars": 4294967299"#, "limits.l.lease.sidecars", "100000"),
        (r#""sidecars": "many""#, "limits.l.lease.sidecars", "whole number"),
        (r#""sidecars": 3, "outstanding": "0%""#, "limits.l.lease.outstanding", "1 to 100"),
        (r#""sidecars": 3, "outstanding": "101%""#, "limits.l.lease.outstanding", "1 to 100"),
        (r#""sidecars": 3, "outstanding": 10"#, "limits.l.lease.outstanding", "10%"),
        (r#""sidecars": 3, "outstanding": "+10%""#, "limits.l.lease.outstanding", "10%"),
        (r#""sidecars": 3, "outstanding": "%""#, "limits.l.lease.outstanding", "10%"),
        (r#""sidecars": 3, "outstanding": "0.1""#, "limits.l.lease.outstanding", "10%"),
        (r#""sidecars": 3, "life": "999ms""#, "limits.l.lease.life", "60 s"),
        (r#""sidecars": 3, "life": "61s""#, "limits.l.lease.life", "60 s"),
        (r#""sidecars": 3, "start": "slow""#, "limits.l.lease.start", "strict"),
        (r#""sidecars": 3, "allowance": 0"#, "limits.l.lease.allowance", "strict"),
        (r#""sidecars": 3, "allowance": 10001"#, "limits.l.lease.allowance", "10000"),
        (
            r#""sidecars": 3, "start": "strict", "allowance": 5"#,
            "limits.l.lease.allowance",
            "optimistic",
        ),
        (r#""sidecars": 3, "lives": "5s""#, "limits.l.lease", "did you mean `life`"),
    ] {
        assert_problem(&leased(lease), OPEN, place, word);
    }
    let found = problems(&leased(r#""sidecars": 0, "outstanding": "0%", "life": "1ms""#), &[OPEN]);
    assert_eq!(found.len(), 3, "all in one run: {found:?}");
}

#[test]
fn a_lease_and_its_mode_belong_together() {
    let rate = r#""rate": "100000/1m""#;
    let lease = r#""lease": {"sidecars": 3}"#;
    assert_problem(&limit(rate), OPEN, "limits.l.lease", "{sidecars: 20}");
    for mode in ["local", "exact"] {
        let other = limit(&format!("{rate}, {lease}")).replace("leased", mode);
        assert_problem(&other, OPEN, "limits.l.lease", "`mode: leased`");
    }
    for fields in [r#""in_flight": 50"#.to_owned(), format!(r#""in_flight": 50, {lease}"#)] {
        assert_problem(&limit(&fields), OPEN, "limits.l.mode", "cannot be lent");
    }
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for (fields, place, word) in [
        (r#""rate": "299/1m""#, "limits.l.rate", "10 % of 299 is 29, and 3 sidecars"),
        (r#""rate": "1000/9s""#, "limits.l.rate", "more than half of a period of 9000 ms"),
        (r#""rate": "1000/1m", "weight": 5"#, "limits.l.rate", "slices of 50"),
        (
            r#""rate": "1000/1m", "algorithm": "gcra", "burst": 299"#,
            "limits.l.rate",
            "of 299 is 29",
        ),
        (r#""rate": "10001/1m", "algorithm": "sliding_log""#, "limits.l.rate", "10000"),
        (
            r#""rate": "1000/1m", "tiers": {"basic": "300/1m", "small": "200/1m"}"#,
            "limits.l.tiers.small",
            "of 200 is 20",
        ),
        (
            r#""rate": "unlimited", "clients": {"a": "200/1m"}"#,
            "limits.l.clients.a",
            "use `mode: exact`",
        ),
    ] {
        let members = limit(&format!(r#"{fields}, "lease": {{"sidecars": 3}}"#));
        assert_problem(&members, OPEN, place, word);
    }
    let starts = limit(r#""rate": "1000/1m", "lease": {"sidecars": 10, "allowance": 101}"#);
    assert_problem(&starts, OPEN, "limits.l.rate", "1010 pass beyond a limit of 1000");
    // What is wrong with the terms is said once, and numbers are judged by what can be read.
    assert_problem(
        &limit(r#""rate": "5/1m", "lease": {"sidecars": "many"}"#),
        OPEN,
        "limits.l.lease.sidecars",
        "whole number",
    );
}

#[test]
fn a_route_that_weighs_more_needs_larger_slices() {
    let members =
        limit(r#""rate": "1000/1m", "tiers": {"big": "100000/1m"}, "lease": {"sidecars": 3}"#);
    let weighed = |weight: u64| {
        route(&format!(r#"{{"limit": "l", "weight": {weight}}}"#))
            .replace(r#""none""#, r#"{"any": ["api_key"]}"#)
    };
    let members = format!(r#""credentials": {{"api_key": {{}}}}, {members}"#);
    load(&members, &[&weighed(3)]).unwrap();
    assert_problem(&members, &weighed(4), "routes.r.limits", "`l`, where a request counts 4");
    let small = members.replace("100000/1m", "500/1m");
    assert_problem(&small, &weighed(2), "routes.r.limits", "tier `big`");
}

#[test]
fn leased_limits_are_counted_by_the_filter_and_need_the_feed() {
    let members = r#""limits": {
        "a": {"key": ["ip"], "mode": "local", "rate": "9/1m"},
        "b": {"key": ["ip"], "mode": "leased", "rate": "1000/1m", "lease": {"sidecars": 3},
              "skip": "failed", "shadow": true, "weight": 2}},"#;
    let document = load(members, &[&route(r#""a", "b""#)]).unwrap();
    let route_of = |document: &Document| document.routes[0].clone();
    let names = |applied: &[crate::AppliedLimit]| {
        applied.iter().map(|applied| applied.limit.name.clone()).collect::<Vec<_>>()
    };
    let found = route_of(&document);
    assert_eq!(names(&found.local_limits), ["a"]);
    assert_eq!(names(&found.leased_limits), ["b"]);
    assert!(found.exact_limits.is_empty());
    let limit = &found.leased_limits[0].limit;
    assert!(limit.shadow && limit.skip.is_some());
    assert_eq!(found.leased_limits[0].weight, 2);
    assert!(document.needs_feed() && document.needs_leases() && !document.needs_ext_authz());
    assert!(found.counts_addresses());
    let of_filters = from_json(document.filter_config().as_bytes()).unwrap();
    assert_eq!(route_of(&of_filters).leased_limits, found.leased_limits);
    assert!(of_filters.needs_feed());
    let without = load(members, &[&route(r#""a""#)]).unwrap();
    assert!(!without.needs_feed(), "a limit that no route names asks for nothing");
    let leased_alone = load(members, &[&route(r#""b""#)]).unwrap();
    assert!(leased_alone.routes[0].counts_addresses());
}

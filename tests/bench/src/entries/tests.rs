use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::bounds::AtMost;

fn selected(names: &[&str], check: bool) -> Vec<&'static str> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    select(&names, check, true).iter().map(|entry| entry.name).collect()
}

/// All rows, and what each is compared with.
fn rows() -> BTreeMap<String, String> {
    let rows = ENTRIES.iter().flat_map(Entry::rows);
    rows.map(|row| (row.name, row.base)).collect()
}

#[test]
fn every_name_is_there_once() {
    let names: BTreeSet<&str> = ENTRIES.iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), ENTRIES.len());
    assert_eq!(rows().len(), ENTRIES.iter().map(|entry| entry.rows().len()).sum::<usize>());
}

#[test]
fn bounds_are_about_rows_and_their_bases() {
    let rows = rows();
    for bound in BOUNDS {
        let base = rows.get(bound.name).unwrap_or_else(|| panic!("{bound:?}"));
        match bound.at_most {
            AtMost::Adds { than, .. } => assert!(rows.contains_key(than), "{bound:?}"),
            AtMost::AddsMicros { to: than, .. } | AtMost::Takes { than, .. } => {
                assert_eq!(base, than, "{bound:?}");
            }
            AtMost::TakesMicros { .. } => {}
        }
    }
}

#[test]
fn what_is_selected_can_be_compared() {
    let rows = rows();
    assert!(rows.values().all(|base| rows.contains_key(base)), "{rows:?}");
    for entry in ENTRIES {
        let chosen = selected(&[entry.name], false);
        let is_chosen = |other: &&Entry| chosen.contains(&other.name);
        for row in ENTRIES.iter().filter(is_chosen).flat_map(Entry::rows) {
            let is_there = ENTRIES.iter().filter(is_chosen).any(|other| other.has_row(&row.base));
            assert!(is_there, "{row:?}");
        }
    }
}

#[test]
fn redis_is_measured_wherever_it_is_asked() {
    let rows_of = |name: &str| {
        let entry = ENTRIES.iter().find(|entry| entry.name == name).unwrap();
        entry.rows().into_iter().map(|row| (row.name, row.base)).collect::<Vec<_>>()
    };
    let pairs = |pairs: &[(&str, &str)]| {
        let owned = |(name, base): &(&str, &str)| ((*name).to_owned(), (*base).to_owned());
        pairs.iter().map(owned).collect::<Vec<_>>()
    };
    assert_eq!(
        rows_of("ext_authz.decision.redis"),
        pairs(&[
            ("ext_authz.decision.redis", "envoy.base"),
            ("ext_authz.decision.redis.server", "ext_authz.noop.server"),
            ("ext_authz.decision.redis.redis", "ext_authz.decision.redis.redis"),
        ])
    );
    assert_eq!(
        rows_of("filter.rate_limit.leased"),
        pairs(&[
            ("filter.rate_limit.leased", "envoy.base"),
            ("filter.rate_limit.leased.server", "filter.rate_limit.leased.server"),
            ("filter.rate_limit.leased.redis", "filter.rate_limit.leased.redis"),
        ])
    );
    assert_eq!(
        rows_of("rls.redis"),
        pairs(&[
            ("rls.redis", "rls.noop"),
            ("rls.redis.redis", "rls.redis.redis"),
            ("rls.redis.sum", "rls.redis.sum"),
        ])
    );
    assert_eq!(
        rows_of("rls.redis.4limits"),
        pairs(&[
            ("rls.redis.4limits", "rls.redis"),
            ("rls.redis.4limits.redis", "rls.redis.redis"),
            ("rls.redis.4limits.sum", "rls.redis.sum"),
        ])
    );
    assert_eq!(
        rows_of("envoy.ratelimit_rls"),
        pairs(&[
            ("envoy.ratelimit_rls", "envoy.base.routed"),
            ("envoy.ratelimit_rls.server", "envoy.ratelimit_rls.server"),
        ])
    );
}

#[test]
fn one_entry_spends_leases() {
    let spends = ENTRIES.iter().filter(|entry| entry.spends_leases());
    assert_eq!(spends.map(|entry| entry.name).collect::<Vec<_>>(), ["filter.rate_limit.leased"]);
}

#[test]
fn what_tokens_are_is_asked_of_two_entries() {
    let asks = ENTRIES.iter().filter(|entry| entry.introspects()).map(|entry| entry.name);
    let expected = ["identity.introspection", "identity.introspection.cold"];
    assert_eq!(asks.collect::<Vec<_>>(), expected);
}

#[test]
fn circuits_are_reported_of_where_the_bundle_has_some() {
    let reports = ENTRIES.iter().filter(|entry| entry.reports_circuits());
    assert_eq!(reports.map(|entry| entry.name).collect::<Vec<_>>(), ["filter.circuit"]);
}

#[test]
fn a_token_is_compared_with_its_signature_and_the_rest_with_a_token() {
    let rows = rows();
    let base = |name: &str| rows[name].clone();
    assert_eq!(base("identity.rs256_sign"), "identity.rs256_sign");
    assert_eq!(base("identity.token"), "identity.rs256_sign");
    assert_eq!(base("identity.introspection"), "identity.token");
    assert_eq!(base("identity.refresh"), "identity.token");
    assert_eq!(base("identity.introspection.cold"), "identity.introspection");
}

#[test]
fn a_peer_is_measured_where_there_is_one() {
    assert!(selected(&["rls"], false).contains(&PEER));
    assert!(select(&[], true, false).iter().all(|entry| entry.name != PEER));
}

#[test]
fn names_are_beginnings() {
    assert_eq!(selected(&[], false).len(), ENTRIES.len());
    assert_eq!(
        selected(&["filter.jwt"], false),
        [
            "envoy.base",
            "filter.jwt.warm",
            "filter.jwt.cold",
            "filter.jwt.es256.cold",
            "filter.jwt.revocation",
            "filter.jwt.revocation_1m",
            "filter.jwt.revocation_moving",
        ]
    );
    assert_eq!(
        selected(&["filter.jwt.revocation_1m"], false),
        ["envoy.base", "filter.jwt.revocation", "filter.jwt.revocation_1m"]
    );
    assert_eq!(
        selected(&["ext_authz.decision.redis"], false),
        ["envoy.base", "ext_authz.noop", "ext_authz.decision.redis"]
    );
    assert_eq!(selected(&["rls.redis.4"], false), ["rls.noop", "rls.redis", "rls.redis.4limits"]);
    assert_eq!(
        selected(&["identity.introspection"], false),
        [
            "identity.rs256_sign",
            "identity.token",
            "identity.introspection",
            "identity.introspection.cold",
        ]
    );
    assert!(selected(&["envoy.proxy"], true).contains(&"filter.bundle"));
    assert!(selected(&["envoy.proxy"], true).contains(&"rls.redis.4limits"));
    let bound = selected(&["envoy.proxy"], true);
    for name in ["filter.rate_limit.leased", "envoy.ratelimit_rls", "envoy.base.routed"] {
        assert!(bound.contains(&name), "{name}");
    }
    for name in ["identity.rs256_sign", "identity.token", "identity.introspection"] {
        assert!(bound.contains(&name), "{name}");
    }
    assert!(!bound.contains(&"identity.introspection.cold"), "it has no bound");
    assert!(selected(&["feed"], false).is_empty());
}

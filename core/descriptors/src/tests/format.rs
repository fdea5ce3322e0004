//! What each field means.

use super::*;
use crate::{Unit, drop_replaced};

#[test]
fn values_of_a_key_have_limits_of_their_own() {
    let read = load(
        "domain: database\n\
         descriptors:\n\
         - key: table\n  value: users\n  rate_limit: {unit: second, requests_per_unit: 500}\n\
         - key: table\n  value: orders\n  rate_limit: {unit: minute, requests_per_unit: 50}\n",
    );
    assert_eq!(allowed(&read, "database", &[("table", "users")]), Some(per(500, 1)));
    assert_eq!(allowed(&read, "database", &[("table", "orders")]), Some(per(50, 60)));
    assert_eq!(allowed(&read, "database", &[("table", "carts")]), None);
    assert_eq!(allowed(&read, "elsewhere", &[("table", "users")]), None);
    assert!(read.has_domain("database") && !read.has_domain("elsewhere"));
}

#[test]
fn a_key_without_a_value_counts_each_value_apart() {
    let read = load(
        "domain: letters\n\
         descriptors:\n\
         - key: kind\n  value: advert\n  descriptors:\n  \
           - key: to\n    rate_limit: {unit: day, requests_per_unit: 5}\n\
         - key: to\n  rate_limit: {unit: day, requests_per_unit: 100}\n",
    );
    let advert = |to| [("kind", "advert"), ("to", to)];
    assert_eq!(allowed(&read, "letters", &advert("anna")), Some(per(5, 86_400)));
    assert_eq!(allowed(&read, "letters", &[("to", "anna")]), Some(per(100, 86_400)));
    let counters = [
        counter(&read, "letters", &advert("anna")),
        counter(&read, "letters", &advert("bert")),
        counter(&read, "letters", &[("to", "anna")]),
    ];
    assert_eq!(counters[0], counter(&read, "letters", &advert("anna")));
    assert!(counters[0] != counters[1] && counters[0] != counters[2]);
}

#[test]
fn no_requests_are_none_and_not_any_number() {
    let read = load(&flow(
        "{key: ip, rate_limit: {unit: second, requests_per_unit: 10}},
         {key: ip, value: 192.0.2.1, rate_limit: {unit: second, requests_per_unit: 0}}",
    ));
    assert_eq!(allowed(&read, "d", &[("ip", "192.0.2.2")]), Some(per(10, 1)));
    let banned = read.find("d", &[("ip", "192.0.2.1")]).unwrap();
    assert_eq!(banned.rule.allowed, Allowed::Nothing);
    assert_eq!((banned.rule.requests, banned.rule.period_secs()), (0, Some(1)));
}

#[test]
fn unlimited_is_a_rule_without_a_unit() {
    let read = load(&flow("{key: inside, rate_limit: {unlimited: true, name: free}}"));
    let found = read.find("d", &[("inside", "x")]).unwrap();
    assert_eq!(found.rule.allowed, Allowed::Unlimited);
    assert_eq!((found.rule.unit, found.rule.period_secs()), (None, None));
    assert_eq!(found.rule.name, "free");
}

#[test]
fn shadow_and_quota_are_of_the_rule_that_has_them() {
    let read = load(&flow(
        "{key: service, shadow_mode: true, descriptors: [
           {key: user, value: a, shadow_mode: true, rate_limit: {unit: second, requests_per_unit: 1}},
           {key: user, value: b, quota_mode: true, rate_limit: {unit: second, requests_per_unit: 2}},
           {key: user, rate_limit: {unit: second, requests_per_unit: 3}}]}",
    ));
    let flags = |user| {
        let found = read.find("d", &[("service", "s"), ("user", user)]).unwrap();
        (found.rule.shadow, found.rule.quota)
    };
    assert_eq!(
        [flags("a"), flags("b"), flags("c")],
        [(true, false), (false, true), (false, false)]
    );
}

#[test]
fn every_unit_is_read_in_any_case_and_multiplied() {
    for (unit, secs) in [
        ("second", 1),
        ("Minute", 60),
        ("HOUR", 3600),
        ("day", 86_400),
        ("week", 604_800),
        ("MONTH", 2_592_000),
        ("year", 31_536_000),
    ] {
        let read =
            load(&flow(&format!("{{key: k, rate_limit: {{unit: {unit}, requests_per_unit: 7}}}}")));
        let found = read.find("d", &[("k", "v")]).unwrap();
        assert_eq!(found.rule.allowed, per(7, secs), "{unit}");
        assert_eq!(found.rule.unit, Unit::parse(unit));
        assert_eq!(found.rule.period_secs(), Some(secs));
    }
    let read = load(&flow(
        "{key: k, rate_limit: {unit: minute, unit_multiplier: 15, requests_per_unit: 4294967295}}",
    ));
    let found = read.find("d", &[("k", "v")]).unwrap();
    assert_eq!(found.rule.allowed, per(u64::from(u32::MAX), 900));
    assert_eq!((found.rule.requests, found.rule.unit_multiplier), (u32::MAX, 15));
}

#[test]
fn a_rule_takes_the_place_of_those_it_names() {
    let read = load(&flow(
        "{key: a, rate_limit: {name: general, unit: second, requests_per_unit: 5}},
         {key: b, rate_limit: {name: special, replaces: [{name: general}, {name: gone}], unit: second, requests_per_unit: 9}},
         {key: c, rate_limit: {name: last, replaces: [{name: special}], unit: second, requests_per_unit: 9}},
         {key: e, rate_limit: {unit: second, requests_per_unit: 1}}",
    ));
    let remain = |keys: &[&str]| {
        let mut found: Vec<_> = keys.iter().map(|key| read.find("d", &[(*key, "v")])).collect();
        drop_replaced(&mut found);
        found.iter().map(Option::is_some).collect::<Vec<bool>>()
    };
    assert_eq!(remain(&["a", "e"]), [true, true]);
    assert_eq!(remain(&["a", "b", "e"]), [false, true, true]);
    assert_eq!(remain(&["b", "a", "nothing"]), [true, false, false]);
    assert_eq!(remain(&["a", "c"]), [true, true], "`c` says nothing of `a`");
    // What is replaced replaces all the same.
    assert_eq!(remain(&["a", "b", "c"]), [false, false, true]);
    assert_eq!(remain(&[]), Vec::<bool>::new());
}

#[test]
fn numbers_and_truth_values_are_texts_where_texts_stand() {
    let read = load(
        "domain: 5\n\
         descriptors:\n\
         - key: 404\n  value: true\n  rate_limit: {unit: second, requests_per_unit: 1}\n\
         - key: to\n  value: 2061234567   # 99\n  rate_limit: {unit: second, requests_per_unit: 2}\n\
         - key: to\n  value: '007'\n  rate_limit: {unit: second, requests_per_unit: 3}\n\
         - key: to\n  value: 1.50\n  rate_limit: {unit: second, requests_per_unit: 4}\n",
    );
    assert_eq!(allowed(&read, "5", &[("404", "true")]), Some(per(1, 1)));
    assert_eq!(allowed(&read, "5", &[("to", "2061234567")]), Some(per(2, 1)));
    assert_eq!(allowed(&read, "5", &[("to", "007")]), Some(per(3, 1)));
    assert_eq!(allowed(&read, "5", &[("to", "1.50")]), Some(per(4, 1)));
}

#[test]
fn the_dump_is_one_sorted_line_a_rule() {
    let read = load(&flow(
        "{key: b, value: x, descriptors: [
           {key: c, rate_limit: {unit: minute, requests_per_unit: 5}},
           {key: c, value: \"line\\nbreak\", shadow_mode: true, rate_limit: {unit: day, requests_per_unit: 0}}]},
         {key: a, value: '/v1/*', quota_mode: true,
           rate_limit: {unit: week, unit_multiplier: 2, requests_per_unit: 7}},
         {key: z, rate_limit: {unlimited: true}}",
    ));
    assert_eq!(
        read.dump(),
        "d.a_/v1/*: unit=WEEK requests_per_unit=7, shadow_mode: false, unit_multiplier: 2, quota_mode: true\n\
         d.b_x.c: unit=MINUTE requests_per_unit=5, shadow_mode: false\n\
         d.b_x.c_line\\nbreak: unit=DAY requests_per_unit=0, shadow_mode: true\n\
         d.z: unit=UNKNOWN requests_per_unit=0, shadow_mode: false, unlimited: true\n"
    );
    let keys: Vec<&str> = read.rules().iter().map(|rule| rule.full_key.as_str()).collect();
    assert_eq!(keys, ["d.a_/v1/*", "d.b_x.c", "d.b_x.c_line\nbreak", "d.z"]);
    assert_eq!(Descriptors::default().dump(), "");
}

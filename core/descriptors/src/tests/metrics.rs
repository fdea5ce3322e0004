//! What a rule is called in metrics.

use std::borrow::Cow;

use super::*;

const LIMIT: &str = "rate_limit: {unit: second, requests_per_unit: 1}";

fn metric<'a>(read: &'a Descriptors, entries: &[(&str, &str)]) -> Cow<'a, str> {
    read.find("d", entries).unwrap().metric_key
}

#[test]
fn without_more_it_is_what_the_configuration_says() {
    let read = load(&flow(&format!(
        "{{key: a, {LIMIT}}}, {{key: a, value: 'x*', {LIMIT}}}, {{key: a, value: x1, {LIMIT}}}"
    )));
    for (value, expected) in [("v", "d.a"), ("xyz", "d.a_x*"), ("x1", "d.a_x1")] {
        let metric = metric(&read, &[("a", value)]);
        assert_eq!(metric, expected);
        assert!(matches!(metric, Cow::Borrowed(_)), "nothing is allocated for it");
    }
}

#[test]
fn detailed_metrics_hold_all_values() {
    let read = load(&flow(&format!(
        "{{key: a, descriptors: [{{key: b, detailed_metric: true, {LIMIT}}}]}},
         {{key: a, value: fix, detailed_metric: true, {LIMIT}}},
         {{key: w, value: 'x*', detailed_metric: true, {LIMIT}}},
         {{key: s, value: 'x*', share_threshold: true, descriptors: [
           {{key: b, detailed_metric: true, {LIMIT}}}]}}"
    )));
    assert_eq!(metric(&read, &[("a", "1"), ("b", "2")]), "d.a_1.b_2");
    assert_eq!(metric(&read, &[("a", "1"), ("b", "")]), "d.a_1.b");
    assert_eq!(metric(&read, &[("a", "fix")]), "d.a_fix");
    assert_eq!(metric(&read, &[("w", "x7")]), "d.w_x7");
    // What counts together is shown together.
    assert_eq!(metric(&read, &[("s", "x7"), ("b", "2")]), "d.s_x*.b_2");
}

#[test]
fn values_go_into_metrics_one_by_one() {
    let read = load(&flow(&format!(
        "{{key: route, value_to_metric: true, descriptors: [
           {{key: method, value: GET, value_to_metric: true, descriptors: [
             {{key: user, {LIMIT}}}]}}]}},
         {{key: w, value: 'x*', value_to_metric: true, descriptors: [{{key: user, {LIMIT}}}]}},
         {{key: s, value: 'x*', value_to_metric: true, share_threshold: true, {LIMIT}}}"
    )));
    let route = [("route", "/cart"), ("method", "GET"), ("user", "anna")];
    assert_eq!(metric(&read, &route), "d.route_/cart.method_GET.user");
    assert_eq!(metric(&read, &[("w", "x7"), ("user", "anna")]), "d.w_x7.user");
    assert_eq!(metric(&read, &[("s", "x7")]), "d.s_x*");
    let full = read.find("d", &route).unwrap().rule.full_key.clone();
    assert_eq!(full, "d.route.method_GET.user");
}

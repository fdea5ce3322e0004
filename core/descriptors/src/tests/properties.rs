//! What holds for any configuration and any request.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::counter_key;

type Entries = Vec<(String, String)>;

fn pairs(entries: &[(String, String)]) -> Vec<(&str, &str)> {
    entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// Rules for any values of two keys, on each of so many levels.
fn open_to_all(levels: usize) -> String {
    let below = if levels > 1 { open_to_all(levels - 1) } else { String::new() };
    let one = |key: &str| {
        format!("{{key: {key}, rate_limit: {{unlimited: true}}, descriptors: [{below}]}}")
    };
    format!("{}, {}", one("a"), one("b"))
}

/// Texts with all that has a meaning in a counter's name.
fn entries(key: &'static str) -> impl Strategy<Value = Entries> {
    prop::collection::vec((key, "[a:=*1-3]{0,4}"), 1..=3)
}

/// The obvious matcher, which tries every place.
fn fits(pattern: &[u8], value: &[u8]) -> bool {
    match pattern.split_first() {
        None => value.is_empty(),
        Some((b'*', rest)) => (0..=value.len()).any(|from| fits(rest, &value[from..])),
        Some((byte, rest)) => value.first() == Some(byte) && fits(rest, &value[1..]),
    }
}

/// Which of these values is chosen, by looking at all of them.
fn chosen(values: &[Option<String>], request: &str) -> Option<usize> {
    let is = |wanted: &str| values.iter().position(|value| value.as_deref() == Some(wanted));
    let exact = is(request).filter(|_| !request.contains('*'));
    let literal = |text: &str| text.bytes().filter(|byte| *byte != b'*').count();
    let prefix = |text: &str| text.find('*').unwrap_or(text.len());
    let wildcards = values.iter().flatten().filter(|value| value.contains('*'));
    let best = wildcards
        .filter(|value| fits(value.as_bytes(), request.as_bytes()))
        // The last of equal ones is taken: from the end, that is the first.
        .rev()
        .max_by_key(|value| (literal(value), prefix(value)));
    let default = values.iter().position(Option::is_none);
    exact.or_else(|| best.and_then(|value| is(value))).or(default)
}

proptest! {
    #[test]
    fn different_descriptors_never_share_a_counter(
        a in entries("[ab]"), b in entries("[ab]"),
    ) {
        let read = load(&flow(&open_to_all(3)));
        let of = |entries: &Entries| counter(&read, "d", &pairs(entries));
        prop_assert_eq!(of(&a) == of(&b), a == b);
    }

    #[test]
    fn nor_do_those_that_bring_their_own_limit(
        a in ("[d1:]{1,3}", entries("[a:=1-3]{1,3}")),
        b in ("[d1:]{1,3}", entries("[a:=1-3]{1,3}")),
    ) {
        let of = |(domain, entries): &(String, Entries)| {
            counter_key(domain, pairs(entries).into_iter())
        };
        prop_assert_eq!(of(&a) == of(&b), a == b);
    }

    #[test]
    fn the_choice_is_that_of_looking_at_all_rules(
        values in prop::collection::btree_set(prop::option::of("[ab*]{1,3}"), 0..6),
        request in "[ab*]{0,4}",
    ) {
        let values: Vec<Option<String>> = values.into_iter().collect();
        let rules = values.iter().enumerate().map(|(index, value)| {
            let value = value.as_ref().map(|value| format!("value: '{value}', "));
            let value = value.unwrap_or_default();
            let limit = format!("{{unit: day, requests_per_unit: {index}}}");
            format!("{{key: k, {value}rate_limit: {limit}}}")
        });
        let read = load(&flow(&rules.collect::<Vec<String>>().join(", ")));
        let found = read.find("d", &[("k", request.as_str())]).map(|found| found.rule.requests);
        let expected = chosen(&values, &request).map(|index| u32::try_from(index).unwrap());
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_entries_are_looked_up(
        domain in "d|\\PC{0,8}",
        entries in prop::collection::vec(("[abks]|\\PC{0,8}", "x?\\PC{0,12}"), 0..40),
    ) {
        let read = load(&flow(&format!(
            "{}, {{key: s, value: 'x*ü*', share_threshold: true, detailed_metric: true,
              rate_limit: {{unlimited: true}}}}",
            open_to_all(2)
        )));
        if let Some(found) = read.find(&domain, &pairs(&entries)) {
            prop_assert!((1..=2).contains(&entries.len()));
            prop_assert!(found.metric_key.starts_with("d."));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "domain", "descriptors", "key", "value", "rate_limit", "unit", "minute", "true",
                "requests_per_unit", "replaces", "name", "7", "'*'", "[", "]", "{", "}", ",", ":",
                ": ", "\n", "\n- ", "  ", "#", "~", "\"", "é",
            ]),
            0..60,
        ),
    ) {
        let text = words.concat();
        match Descriptors::load(&[source("f", &text)], false) {
            Ok(read) => prop_assert_eq!(read.dump().lines().count(), read.rules().len()),
            Err(problems) => {
                let shown: BTreeSet<String> = problems.iter().map(ToString::to_string).collect();
                prop_assert!(!shown.is_empty());
            }
        }
    }
}

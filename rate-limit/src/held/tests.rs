use super::*;
use postern_descriptors::Source;

use crate::ask::Hits;
use crate::testing::ask;

const RULES: &str = "
domain: d
descriptors:
  - key: ip
    rate_limit: {name: by ip, unit: minute, requests_per_unit: 5}
    descriptors:
      - key: path
        rate_limit: {unit: minute, requests_per_unit: 5}
  - key: day
    rate_limit: {unit: day, requests_per_unit: 5}
  - key: free
    rate_limit: {unlimited: true}
  - key: closed
    rate_limit: {unit: hour, unit_multiplier: 2, requests_per_unit: 0}
  - key: shadow
    shadow_mode: true
    quota_mode: true
    rate_limit: {unit: minute, requests_per_unit: 5}
  - key: quota
    quota_mode: true
    rate_limit: {unit: minute, requests_per_unit: 5}
  - key: better
    rate_limit: {name: better, replaces: [{name: by ip}], unit: minute, requests_per_unit: 9}
";

fn rules() -> Descriptors {
    let source = Source { name: "rules.yaml".to_owned(), text: RULES.to_owned() };
    match Descriptors::load(&[source], false) {
        Ok(rules) => rules,
        Err(problems) => panic!("{problems:#?}"),
    }
}

fn key_of(rules: &Descriptors, asked: &Ask) -> LimitKey {
    match find(rules, asked).unwrap()[0].as_ref().unwrap().allowance {
        Allowance::Rate(_, key) => key,
        other => panic!("{other:?}"),
    }
}

fn brought_along(mut asked: Ask, requests: u32, unit: Option<Unit>) -> Ask {
    asked.descriptors[0].instead = Some(Override { requests, unit });
    asked
}

#[test]
fn rules_say_what_a_descriptor_is_held_to() {
    let rules = rules();
    let asked = ask(
        "d",
        &[
            &[("free", "")],
            &[("closed", "")],
            &[("shadow", "")],
            &[("quota", "")],
            &[("day", "")],
            &[("none", "")],
            &[("ip", "1"), ("path", "/"), ("deeper", "")],
            &[],
        ],
    );
    let held = find(&rules, &asked).unwrap();
    let modes: Vec<_> = held.iter().flatten().map(|held| held.mode).collect();
    use Mode::{Binding, Quota, Shadow};
    assert_eq!(modes, [Binding, Binding, Shadow, Quota, Binding]);
    let allowance = |at: usize| held[at].as_ref().map(|held| held.allowance);
    assert_eq!(allowance(0), Some(Allowance::Unlimited));
    assert_eq!(allowance(1), Some(Allowance::Nothing(7200)));
    assert!(matches!(allowance(4), Some(Allowance::Rate(spec, _)) if spec.rate().requests() == 5));
    assert!(held[5..].iter().all(Option::is_none), "neither unknown keys nor other depths");
    assert!(find(&rules, &ask("other", &[&[("ip", "1")]])).unwrap()[0].is_none());
}

#[test]
fn different_descriptors_never_share_a_counter() {
    let rules = rules();
    let asks = [
        ask("d", &[&[("ip", "1")]]),
        ask("d", &[&[("ip", "2")]]),
        ask("d", &[&[("ip", "")]]),
        ask("d", &[&[("ip", "1"), ("path", "")]]),
        ask("d", &[&[("ip", "1"), ("path", "/")]]),
        ask("d", &[&[("ip", "1/"), ("path", "")]]),
        ask("d", &[&[("day", "1")]]),
    ];
    let mut keys: Vec<_> = asks.iter().map(|asked| key_of(&rules, asked)).collect();
    keys.push(key_of(&rules, &brought_along(ask("d", &[&[("ip", "1")]]), 5, Some(Unit::Hour))));
    keys.push(key_of(&rules, &brought_along(ask("e", &[&[("ip", "1")]]), 5, Some(Unit::Minute))));
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[at + 1..].iter().any(|other| other.hash == key.hash), "{at}");
        assert!(!keys[at + 1..].iter().any(|other| other.owner == key.owner), "{at}");
    }
}

#[test]
fn a_limit_goes_on_from_what_was_counted_when_its_number_changes() {
    let rules = rules();
    let asked = ask("d", &[&[("ip", "1")]]);
    let by_rule = key_of(&rules, &asked);
    for requests in [1, 5, u32::MAX] {
        let brought = brought_along(asked.clone(), requests, Some(Unit::Minute));
        assert_eq!(key_of(&rules, &brought), by_rule);
    }
}

#[test]
fn limits_that_are_brought_along_replace_rules() {
    let rules = rules();
    let shadow = ask("d", &[&[("shadow", "1")]]);
    for unit in Unit::ALL {
        let asked = brought_along(shadow.clone(), u32::MAX, Some(unit));
        let held = find(&rules, &asked).unwrap();
        let held = held[0].as_ref().unwrap();
        assert_eq!((held.mode, held.requests, held.unit), (Mode::Binding, u32::MAX, Some(unit)));
        let Allowance::Rate(spec, _) = held.allowance else { panic!("{:?}", held.allowance) };
        assert_eq!(spec.rate().period_ms(), unit.secs() * 1000);
        assert_eq!((held.name(), held.label.as_ref()), ("", "override"));
    }
    let nothing = find(&rules, &brought_along(shadow.clone(), 0, Some(Unit::Day)));
    assert_eq!(nothing.unwrap()[0].as_ref().unwrap().allowance, Allowance::Nothing(86_400));
    let senseless = find(&rules, &brought_along(shadow, 1, None));
    assert_eq!(senseless.err(), Some(Refusal::Unit));
}

#[test]
fn what_is_replaced_does_not_count() {
    let rules = rules();
    let held = |asked: &Ask| -> Vec<bool> {
        find(&rules, asked).unwrap().iter().map(Option::is_some).collect()
    };
    let both = ask("d", &[&[("ip", "1")], &[("better", "")]]);
    assert_eq!(held(&both), [false, true]);
    assert_eq!(held(&ask("d", &[&[("ip", "1")]])), [true]);
    // What is brought along replaces nothing, and is replaced by nothing.
    let brought = brought_along(both, 1, Some(Unit::Day));
    assert_eq!(held(&brought), [true, true]);
    assert_eq!(brought.descriptors[0].hits, Hits::Take(1));
}

use super::{NOW, checked, later, listed, listing};
use crate::{Health, Listed, View, WEIGHT_UNIT};

fn ids(view: &View) -> Vec<&str> {
    view.listed().map(|listed| listed.instance.id.as_str()).collect()
}

#[test]
fn nothing_is_said_before_anything_was_heard() {
    let mut view = View::default();
    assert_eq!(view.endpoints("shop", NOW), None);
    view.apply(listing(1, 1, Vec::new()), NOW);
    assert_eq!(view.endpoints("shop", NOW).unwrap().endpoints, []);
}

#[test]
fn whoever_is_missing_is_gone() {
    let mut view = View::default();
    view.apply(listing(1, 1, vec![listed(1), listed(2)]), NOW);
    assert_eq!(ids(&view), ["shop-1", "shop-2"]);
    view.apply(listing(1, 2, vec![listed(2)]), NOW);
    assert_eq!(ids(&view), ["shop-2"]);
    view.apply(listing(1, 2, Vec::new()), NOW);
    assert_eq!(ids(&view), [""; 0], "its time was over, which is no change of the registry's");
}

#[test]
fn what_the_registry_has_forgotten_stays_until_its_time_is_over() {
    for (epoch, number) in [(2, 9), (1, 4)] {
        let mut view = View::default();
        let brief = Listed { expires_in_ms: Some(10_000), ..listed(3) };
        view.apply(listing(1, 5, vec![listed(1), listed(2), brief]), NOW);
        view.apply(listing(epoch, number, vec![listed(2)]), later(9_999));
        assert_eq!(ids(&view), ["shop-1", "shop-2", "shop-3"]);
        assert_eq!(view.forgotten(), 2);
        // What it says of those that it knows counts at once.
        view.apply(listing(epoch, number + 1, Vec::new()), later(10_000));
        assert_eq!(ids(&view), ["shop-1"]);
        view.apply(listing(epoch, number + 2, vec![listed(1)]), later(10_001));
        assert_eq!(view.forgotten(), 0, "it is back");
        view.apply(listing(epoch, number + 3, Vec::new()), later(10_002));
        assert_eq!(ids(&view), [""; 0]);
    }
}

#[test]
fn without_an_end_nothing_is_kept_that_is_not_there() {
    let mut view = View::default();
    let endless = Listed { expires_in_ms: None, ..listed(1) };
    view.apply(listing(0, 50, vec![endless]), NOW);
    assert_eq!(view.next_end(), None);
    view.apply(listing(0, 3, Vec::new()), NOW);
    assert_eq!(ids(&view), [""; 0]);
}

#[test]
fn weights_follow_health_and_time() {
    let mut view = View::default();
    let mut entries = vec![
        checked(1, Health::Healthy, NOW),
        checked(2, Health::Unhealthy, NOW),
        checked(3, Health::Recovering, NOW),
        checked(4, Health::Unknown, NOW),
        listed(5),
    ];
    entries[0].instance.weight = 7;
    view.apply(listing(1, 1, entries), NOW);
    let told = |now| {
        let endpoints = view.endpoints("shop", now).unwrap().endpoints;
        endpoints.iter().map(|one| (one.weight, one.is_healthy)).collect::<Vec<_>>()
    };
    let rest = [(10, false), (1, true), (1, true), (WEIGHT_UNIT, true)];
    assert_eq!(told(NOW), [&[(70, true)][..], &rest].concat());
    let step = view.next_step(NOW).unwrap();
    assert_eq!(told(step)[2], (2, true));
    assert_eq!(told(later(60_003))[2], (10, true));
    assert_eq!(view.next_step(later(60_003)), None);
}

#[test]
fn clocks_that_disagree_do_no_harm() {
    let mut view = View::default();
    // Here it is an hour earlier than there.
    let mut theirs = listing(1, 1, vec![checked(1, Health::Recovering, later(3_600_000))]);
    theirs.at = later(3_600_000);
    view.apply(theirs, NOW);
    let weight = |now| view.endpoints("shop", now).unwrap().endpoints[0].weight;
    assert_eq!((weight(NOW), weight(later(60_003))), (1, 10));
    assert_eq!(view.next_step(NOW), Some(later(6_667)));
    assert_eq!(view.next_end(), Some(later(300_000)));
}

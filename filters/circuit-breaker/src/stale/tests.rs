use postern_document::from_json;
use postern_filter_shared_data::Memory;
use proptest::prelude::*;

use super::*;

const START: u64 = 1_700_000_000_000;

fn at(ms: u64) -> UnixMillis {
    UnixMillis(START + ms)
}

/// Routes that keep so many answers, and one that keeps none in front of them.
fn shelves(entries: &[u32]) -> (Document, Shelves) {
    let routes: Vec<String> = entries
        .iter()
        .enumerate()
        .map(|(at, entries)| {
            format!(
                r#", {{"name": "r{at}", "match": {{"path": "/{at}"}}, "service": "s",
                      "auth": "none", "fallback": {{"stale": {{"entries": {entries}}}}}}}"#
            )
        })
        .collect();
    let text = format!(
        r#"{{"version": 1, "services": {{"s": {{"upstream": "h:1", "circuit": {{}}}}}},
            "routes": [{{"name": "none", "match": {{"path": "/none"}}, "service": "s",
                         "auth": "none"}}{}]}}"#,
        routes.concat()
    );
    let document = from_json(text.as_bytes()).unwrap();
    let shelves = Shelves::new(&document);
    (document, shelves)
}

fn shelf(entries: u32) -> Shelf {
    let (document, shelves) = shelves(&[entries]);
    let place = shelves.of(&document.routes[1]).unwrap();
    shelves.get(place).unwrap().clone()
}

#[test]
fn routes_find_their_own() {
    let (document, shelves) = shelves(&[4, 6, 1]);
    assert_eq!(shelves.of(&document.routes[0]), None);
    let firsts = [0, 1, 3];
    for (route, first_set) in document.routes.iter().skip(1).zip(firsts) {
        let shelf = shelves.get(shelves.of(route).unwrap()).unwrap();
        assert_eq!((shelf.route.name.as_str(), shelf.first_set), (route.name.as_str(), first_set));
    }
    assert!(shelves.get(3).is_none());
}

#[test]
fn an_answer_is_found_under_its_hash() {
    let (shared, shelf) = (Memory::default(), shelf(4));
    assert_eq!(shelf.find(&shared, 7), None);
    assert!(shelf.is_due(&shared, 7, at(0)) && shelf.keep(&shared, 7, b"seven", at(0), at(0)));
    assert_eq!(shelf.find(&shared, 7).as_deref(), Some(&b"seven"[..]));
    assert_eq!(shelf.find(&shared, 8), None);
}

#[test]
fn an_answer_is_written_once_a_second() {
    let (shared, shelf) = (Memory::default(), shelf(4));
    assert!(shelf.keep(&shared, 7, b"first", at(0), at(0)));
    let before = shared.calls.get();
    assert!(!shelf.is_due(&shared, 7, at(999)));
    assert_eq!(shared.calls.get() - before, 1, "one short read");
    assert!(!shelf.keep(&shared, 7, b"second", at(999), at(999)));
    assert!(
        shelf.is_due(&shared, 7, at(1_000))
            && shelf.keep(&shared, 7, b"third", at(1_000), at(1_000))
    );
    assert_eq!(shelf.find(&shared, 7).as_deref(), Some(&b"third"[..]));
}

#[test]
fn the_oldest_makes_room_once_it_has_settled() {
    let (shared, shelf) = (Memory::default(), shelf(4));
    for (hash, ms) in [(2, 1_000), (3, 2_000), (1, 3_000), (4, 4_000)] {
        assert!(shelf.keep(&shared, hash, b"x", at(ms), at(ms)));
    }
    assert!(
        !shelf.is_due(&shared, 9, at(10_999))
            && !shelf.keep(&shared, 9, b"y", at(10_999), at(10_999))
    );
    assert!(shelf.keep(&shared, 9, b"y", at(11_000), at(11_000)));
    let found: Vec<bool> = [1, 2, 3, 4, 9].map(|hash| shelf.find(&shared, hash).is_some()).into();
    assert_eq!(found, [true, false, true, true, true]);
}

#[test]
fn what_is_asked_for_again_keeps_its_place() {
    let (shared, shelf) = (Memory::default(), shelf(4));
    for second in 0..60_u64 {
        let now = at(second * 1_000);
        assert!(shelf.keep(&shared, 1, b"much asked", now, now));
        for other in 0..20 {
            shelf.keep(&shared, u128::from(1_000 + second * 20 + other), b"once", now, now);
        }
        assert!(shelf.find(&shared, 1).is_some(), "{second}");
    }
}

#[test]
fn a_clock_that_was_set_back_stops_nothing() {
    let (shared, shelf) = (Memory::default(), shelf(1));
    assert!(shelf.keep(&shared, 1, b"x", at(3_600_000), at(3_600_000)));
    assert!(shelf.is_due(&shared, 1, at(0)) && shelf.keep(&shared, 2, b"y", at(0), at(0)));
}

#[test]
fn an_older_answer_that_ends_later_replaces_nothing() {
    let (shared, shelf) = (Memory::default(), shelf(4));
    assert!(shelf.keep(&shared, 1, b"new", at(5_000), at(6_000)));
    for begun in [0, 4_999, 5_000, 5_999] {
        assert!(!shelf.keep(&shared, 1, b"old", at(begun), at(9_000)), "{begun}");
    }
    assert_eq!(shelf.find(&shared, 1).as_deref(), Some(&b"new"[..]));
    assert!(shelf.keep(&shared, 1, b"newer", at(6_000), at(9_000)));
}

#[test]
fn what_is_forgotten_is_gone_and_leaves_room() {
    let (shared, shelf) = (Memory::default(), shelf(1));
    assert!(shelf.keep(&shared, 1, b"x", at(0), at(0)));
    shelf.forget(&shared, 2);
    assert!(shelf.find(&shared, 1).is_some());
    shelf.forget(&shared, 1);
    assert_eq!(shelf.find(&shared, 1), None);
    assert!(read(&shared, &place(0, 0)).is_empty(), "its bytes are gone too");
    assert!(shelf.keep(&shared, 2, b"y", at(1), at(1)));
}

#[test]
fn a_worker_that_is_faster_wins() {
    let (shared, shelf) = (Memory::default(), shelf(1));
    shared.conflicts.set(3);
    assert!(shelf.keep(&shared, 1, b"x", at(0), at(0)), "tried again");
    shared.conflicts.set(100);
    assert!(!shelf.keep(&shared, 1, b"y", at(5_000), at(5_000)));
    assert_eq!(shelf.find(&shared, 1).as_deref(), Some(&b"x"[..]));
}

proptest! {
    #[test]
    fn there_are_as_many_as_the_document_says(
        entries in prop::collection::vec(1..20_u32, 1..4),
        asked in prop::collection::vec((any::<prop::sample::Index>(), any::<u128>()), 0..200),
    ) {
        let (document, shelves) = shelves(&entries);
        let shared = Memory::default();
        for ((route, hash), second) in asked.iter().zip(0_u64..) {
            let route = &document.routes[1 + route.index(entries.len())];
            let shelf = shelves.get(shelves.of(route).unwrap()).unwrap();
            let now = at(second * 10_000);
            let fits = shelf.is_due(&shared, *hash, now);
            prop_assert_eq!(shelf.keep(&shared, *hash, &hash.to_le_bytes(), now, now), fits);
            if fits {
                prop_assert_eq!(shelf.find(&shared, *hash), Some(hash.to_le_bytes().to_vec()));
            }
        }
        let sets: u32 = entries.iter().map(|entries| entries.div_ceil(4)).sum();
        let places: u32 = entries.iter().sum();
        prop_assert!(shared.keys() <= usize::try_from(sets + places).unwrap());
    }

    #[test]
    fn a_list_is_read_as_it_was_written(
        places in prop::array::uniform4(any::<(u128, u64)>()),
        nonsense in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let listed = |(hash, ms)| Listed { hash, kept_at: UnixMillis(ms) };
        let set = Set(places.map(listed));
        prop_assert_eq!(Set::read(&set.write()), set);
        let _ = Set::read(&nonsense).claim(7, 4, at(0), at(0));
    }
}

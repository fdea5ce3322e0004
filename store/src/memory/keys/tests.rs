use super::*;

use postern_limits::State;

fn key(number: u64) -> Hash {
    let mut key = [7; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

fn until(ends: u64) -> Kept<u64> {
    Kept { value: ends, ends: UnixMillis(ends) }
}

/// Full of keys that end one after the other, from `first_end` on.
fn full(bound: usize, first_end: u64) -> Keys<u64> {
    let mut keys = Keys::new(bound);
    for number in 0..bound as u64 {
        keys.insert(key(number), until(first_end + number), UnixMillis(0));
    }
    assert_eq!(keys.kept.len(), bound);
    keys
}

#[test]
fn the_hand_never_looks_at_more_than_it_may() {
    let mut keys = full(1_000, 5_000);
    let much_later = UnixMillis(1_000_000);
    for round in 1..=3 {
        keys.insert(key(1_000 + round), until(2_000_000), much_later);
        if round == 1 {
            assert_eq!(keys.kept.len(), 1_000 - FOR_ROOM + 1, "all that it saw were over");
        }
    }
    assert_eq!(keys.kept.len(), 1_000 - FOR_ROOM + 3, "with room it does not look at all");
    let before = keys.kept.len();
    keys.tidy(much_later);
    assert!((1..=IN_PASSING).contains(&(before - keys.kept.len())));
}

#[test]
fn of_those_it_sees_the_one_that_ends_first_makes_room() {
    let mut keys = full(100, 5_000);
    // Ends before all others, and out of the hand's reach.
    keys.get_mut(&key(FOR_ROOM as u64)).unwrap().ends = UnixMillis(1_001);
    keys.get_mut(&key(9)).unwrap().ends = UnixMillis(4_000);
    keys.insert(key(100), until(9_000), UnixMillis(1_000));
    assert_eq!(keys.kept.len(), 100);
    assert!(keys.get(&key(9)).is_none());
    assert!(keys.get(&key(FOR_ROOM as u64)).is_some());
    keys.insert(key(101), until(9_000), UnixMillis(1_000));
    assert!(keys.get(&key(FOR_ROOM as u64)).is_none(), "the hand has gone on");
}

#[test]
fn a_key_that_is_there_needs_no_room() {
    let mut keys = full(10, 5_000);
    keys.insert(key(3), until(6_000), UnixMillis(0));
    assert_eq!(keys.kept.len(), 10);
    assert_eq!(keys.get(&key(3)).unwrap().ends, UnixMillis(6_000));
}

#[test]
fn the_hand_goes_round() {
    let mut keys = full(10, 5_000);
    for _ in 0..7 {
        keys.tidy(UnixMillis(0));
    }
    assert_eq!(keys.hand, 4);
    for _ in 0..5 {
        keys.tidy(UnixMillis(1_000_000));
    }
    assert_eq!(keys.kept.len(), 0);
    keys.tidy(UnixMillis(1_000_000));
    keys.insert(key(1), until(2_000_000), UnixMillis(1_000_000));
    keys.tidy(UnixMillis(1_000_000));
    assert_eq!(keys.kept.len(), 1);
}

#[test]
fn whoever_has_read_the_clock_earlier_finds_what_is_over() {
    let mut keys = full(10, 5_000);
    for _ in 0..10 {
        keys.tidy(UnixMillis(5_000 + LATE_MS - 1));
    }
    assert_eq!(keys.kept.len(), 10);
    for _ in 0..10 {
        keys.tidy(UnixMillis(5_000 + LATE_MS));
    }
    assert_eq!(keys.kept.len(), 9, "the first alone is over for so long");
}

#[test]
fn what_is_removed_is_gone() {
    let mut keys = full(3, 5_000);
    assert!(keys.remove(&key(1)));
    assert!(!keys.remove(&key(1)));
    assert!(keys.get(&key(1)).is_none());
    assert!(keys.get(&key(2)).is_some());
}

#[test]
fn the_memory_of_keys_that_are_over_comes_back() {
    let mut keys = full(20_000, 5_000);
    let room = keys.kept.capacity();
    let later = UnixMillis(1_000_000);
    // One client that stays, and no new ones.
    keys.get_mut(&key(77)).unwrap().ends = UnixMillis(2_000_000);
    for _ in 0..20_000 {
        keys.tidy(later);
    }
    assert_eq!(keys.kept.len(), 1);
    assert!(keys.kept.capacity() <= SMALL * 2, "{room} → {}", keys.kept.capacity());
}

#[test]
fn keys_go_faster_than_they_come() {
    let mut keys = Keys::new(65_536);
    for number in 0..50_000_u64 {
        let now = UnixMillis(number);
        keys.insert(key(number), until(number + 100), now);
        keys.tidy(now);
        let living = usize::try_from(100 + LATE_MS).unwrap();
        assert!(keys.kept.len() <= 3 * living, "{}", keys.kept.len());
    }
}

/// What the allocator is asked for: the entries, and a table of places with one byte of control
/// each. A million keys are 15,625 in each of 64 shards.
#[test]
fn a_million_keys_take_less_than_250_bytes_each() {
    assert!(size_of::<State>() <= 32, "{}", size_of::<State>());
    let entry = size_of::<(u64, Hash, Kept<State>)>();
    let place = size_of::<usize>() + 1;
    let mut keys = Keys::<u64>::new(65_536);
    for number in 0..65_536 {
        keys.insert(key(number), until(1), UnixMillis(0));
        let len = keys.kept.len();
        if len >= 10_000 {
            let room = keys.kept.capacity();
            let places = (room * 8 / 7).next_power_of_two();
            let each = (room * entry + places * place) / len;
            assert!(each <= 250, "{each} bytes each of {len}");
        }
    }
}

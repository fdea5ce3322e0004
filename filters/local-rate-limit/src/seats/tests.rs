use super::*;

fn spec(max: u32, life_ms: u64) -> InFlight {
    InFlight::new(max, life_ms).unwrap()
}

/// Asks at `now`, by way of the slot's bytes.
fn enter(seats: &mut Seats, fingerprint: u64, spec: InFlight, now: u64) -> (bool, u64) {
    let (entered, _) = seats.enter(fingerprint, spec, UnixMillis(now));
    *seats = Seats::decode(&seats.encode());
    (entered.outcome.allowed, entered.stretch)
}

#[test]
fn so_many_at_once_and_no_more() {
    let (mut seats, spec) = (Seats::default(), spec(2, 10_000));
    let (first, stretch) = enter(&mut seats, 7, spec, 5);
    assert!(first && enter(&mut seats, 7, spec, 5).0);
    assert!(!enter(&mut seats, 7, spec, 5).0);
    assert!(enter(&mut seats, 8, spec, 5).0, "another key");
    seats.leave(7, stretch);
    let (entered, room) = seats.enter(7, spec, UnixMillis(6));
    assert_eq!(room, Room::Free);
    let status = RateLimitStatus { limit: 2, remaining: 0, reset_secs: 1, window_secs: 10 };
    assert_eq!(entered.outcome, Outcome { allowed: true, status });
}

#[test]
fn a_seat_that_nobody_leaves_is_free_after_one_to_two_lives() {
    let spec = spec(1, 10_000);
    for (came, still, free) in [(0, 19_999, 20_000), (9_999, 19_999, 20_000)] {
        let mut seats = Seats::default();
        assert!(enter(&mut seats, 7, spec, came).0);
        assert!(!enter(&mut seats, 7, spec, still).0, "{came}");
        assert!(enter(&mut seats, 7, spec, free).0, "{came}");
    }
}

#[test]
fn who_stays_too_long_takes_nobody_elses_seat_along() {
    let (mut seats, spec) = (Seats::default(), spec(2, 10_000));
    let (_, early) = enter(&mut seats, 7, spec, 0);
    let (_, late) = enter(&mut seats, 7, spec, 10_000);
    assert!(!enter(&mut seats, 7, spec, 10_000).0);
    // The early one counts no more; its end changes nothing.
    assert!(enter(&mut seats, 7, spec, 20_000).0);
    seats.leave(7, early);
    assert!(!enter(&mut seats, 7, spec, 20_000).0);
    seats.leave(7, late);
    assert!(enter(&mut seats, 7, spec, 20_000).0, "of the stretch before");
}

#[test]
fn a_clock_that_steps_back_frees_no_seat_and_keeps_none() {
    let (mut seats, spec) = (Seats::default(), spec(1, 10_000));
    let (_, stretch) = enter(&mut seats, 7, spec, 3_600_000);
    assert!(!enter(&mut seats, 7, spec, 3_599_999).0, "a little");
    assert!(!enter(&mut seats, 7, spec, 0).0, "by an hour");
    let mut left = seats.clone();
    left.leave(7, stretch);
    assert!(enter(&mut left, 7, spec, 1).0, "who came before the step can leave");
    assert!(!enter(&mut seats, 7, spec, 19_999).0);
    assert!(enter(&mut seats, 7, spec, 20_000).0, "two lives after the step");
}

#[test]
fn the_key_with_the_fewest_seats_makes_room() {
    let (mut seats, spec) = (Seats::default(), spec(3, 10_000));
    for (fingerprint, times) in [(1, 2), (2, 1), (3, 3), (4, 2)] {
        for _ in 0..times {
            assert!(enter(&mut seats, fingerprint, spec, 0).0);
        }
    }
    assert_eq!(seats.enter(5, spec, UnixMillis(1)).1, Room::Evicted);
    for (fingerprint, free) in [(1, 1), (3, 0), (4, 1)] {
        let found = seats.entries.iter().find(|entry| entry.fingerprint == fingerprint).unwrap();
        assert_eq!(3 - found.taken(), free, "{fingerprint}");
    }
    seats.leave(2, 0);
    assert_eq!(seats.entries.len(), WAYS, "who was forgotten cannot leave");
    // Two lives later nothing is under way any more, by each entry's own life.
    assert_eq!(seats.enter(6, spec, UnixMillis(20_000)).1, Room::Free);
    assert_eq!(seats.entries.len(), 1);
}

#[test]
fn a_key_without_seats_leaves_nothing_behind() {
    let (mut seats, spec) = (Seats::default(), spec(3, 1000));
    let (_, stretch) = enter(&mut seats, 7, spec, 0);
    seats.leave(7, stretch);
    seats.leave(7, stretch);
    assert!(seats.encode().is_empty());
}

#[test]
fn any_bytes_are_seats_of_bounded_size() {
    for length in 0..300 {
        for byte in [0_u8, 1, 0x7f, 0xff] {
            for now in [0, 7, u64::MAX] {
                let mut seats = Seats::decode(&vec![byte; length]);
                seats.leave(u64::MAX, 3);
                seats.enter(9, spec(1, 1000), UnixMillis(now));
                assert!(seats.encode().len() <= WAYS * ENTRY_BYTES, "{length} {byte}");
            }
        }
    }
}

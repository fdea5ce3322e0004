use super::*;
use postern_leases::Start;
use proptest::prelude::*;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const ASK: Ask = Ask { id: LeaseId([1; 16]), asked: 10 };

fn later(ms: u64) -> UnixMillis {
    UnixMillis(NOW.0 + ms)
}

fn grant(granted: u64) -> Option<Grant> {
    Some(Grant { granted, life_ms: 5000, remaining: 500, reset_ms: 0 })
}

fn asking() -> Entry {
    let mut entry = Entry { life_ms: 5000, ..Entry::new(7, (8, [9; 16]), 10) };
    entry.ask(ASK, NOW);
    entry
}

/// One for which somebody has come in vain, and somebody else all the time since.
fn dry(now: UnixMillis) -> Entry {
    let mut entry = Entry { life_ms: 5000, ..Entry::new(7, (8, [9; 16]), 10) };
    try_again(&mut entry, now);
    entry
}

fn try_again(entry: &mut Entry, now: UnixMillis) {
    let (spec, terms) = (crate::tests::spec(), crate::tests::terms(Start::Strict));
    let _ = entry.borrower.spend(spec, &terms, 1, now);
}

/// Asks under this id at a time, and is answered at once.
fn answer(entry: &mut Entry, id: u8, grant: Option<Grant>, now: UnixMillis) {
    let id = LeaseId([id; 16]);
    entry.ask(Ask { id, asked: 10 }, now);
    entry.answered(id, grant, now);
}

#[test]
fn a_question_is_answered_once() {
    let mut entry = asking();
    entry.answered(LeaseId([2; 16]), grant(10), later(3));
    assert_eq!((entry.question, entry.borrower.lease()), (Some(ASK), None), "another's");
    entry.answered(ASK.id, grant(99), later(3));
    assert_eq!(entry.borrower.left(later(3)), 10, "no more than was asked for");
    entry.answered(ASK.id, grant(10), later(4));
    assert_eq!((entry.question, entry.owed, entry.borrower.left(later(4))), (None, None, 10));
}

#[test]
fn a_question_that_waited_too_long_goes_back_whole() {
    for (now, given_up) in [(later(4999), false), (later(5000), true), (UnixMillis(5), true)] {
        let mut entry = asking();
        entry.give_up_late(now);
        let expected = given_up.then_some(Return { id: ASK.id, unused: 10 });
        assert_eq!((entry.owed, entry.question.is_none()), (expected, given_up), "{now:?}");
        entry.answered(ASK.id, grant(10), later(4000));
        assert_eq!(entry.borrower.lease().is_none(), given_up, "{now:?}: its answer is late");
    }
}

#[test]
fn what_is_not_answered_is_told_from_what_is_answered_with_nothing() {
    let mut entry = asking();
    assert!(!entry.lacks(3000, later(2999)) && entry.lacks(3000, later(3000)));
    entry.give_up_late(later(5000));
    entry.ask(Ask { id: LeaseId([3; 16]), asked: 1 }, later(5000));
    assert!(entry.lacks(3000, later(5001)), "a new question is no answer");
    entry.answered(LeaseId([3; 16]), grant(0), later(5100));
    assert!(!entry.lacks(3000, later(60_000)));
    entry.ask(ASK, later(60_000));
    entry.answered(ASK.id, None, later(60_001));
    assert!(entry.lacks(3000, later(60_001)), "the server does not lease it");
}

#[test]
fn of_two_returns_the_larger_is_kept_until_it_was_heard() {
    let mut entry = asking();
    entry.answered(ASK.id, grant(4), NOW);
    entry.ask(Ask { id: LeaseId([2; 16]), asked: 9 }, NOW);
    entry.end(UnixMillis(NOW.0 - 1));
    assert_eq!(entry.owed, Some(Return { id: LeaseId([2; 16]), unused: 9 }));
    entry.returned(ASK.id);
    assert!(entry.owed.is_some());
    entry.returned(LeaseId([2; 16]));
    assert_eq!(entry.owed, None);
}

#[test]
fn what_was_in_vain_pauses_until_there_is_more_and_not_for_long() {
    let nothing = |remaining, reset_ms| Some(Grant { granted: 0, life_ms: 0, remaining, reset_ms });
    for (grant, pause_ms) in [
        (nothing(0, 30_000), 750),
        (nothing(0, 751), 750),
        (nothing(0, 400), 400),
        (nothing(0, 3), 50),
        // A window is about to end, or all that may be out is out.
        (nothing(500, 200), 200),
        (nothing(500, u64::MAX), 750),
        (None, 750),
    ] {
        let mut entry = dry(NOW);
        answer(&mut entry, 1, grant, NOW);
        try_again(&mut entry, later(pause_ms - 1));
        assert_eq!(entry.wants(later(pause_ms - 1)), None, "{grant:?}");
        try_again(&mut entry, later(pause_ms));
        assert!(entry.wants(later(pause_ms)).is_some(), "{grant:?}");
    }
}

#[test]
fn a_limit_that_has_more_all_the_time_is_not_asked_all_the_time() {
    let mut entry = dry(NOW);
    let nothing = Some(Grant { granted: 0, life_ms: 0, remaining: 0, reset_ms: 60 });
    answer(&mut entry, 1, nothing, NOW);
    try_again(&mut entry, later(60));
    assert!(entry.wants(later(60)).is_some());
    answer(&mut entry, 2, grant(1), later(60));
    try_again(&mut entry, later(61));
    try_again(&mut entry, later(61));
    assert!(entry.wants(later(61)).is_some(), "there was something, and it is spent");
    answer(&mut entry, 3, nothing, later(100));
    try_again(&mut entry, later(849));
    assert_eq!(entry.wants(later(849)), None, "the second pause is a whole one");
    try_again(&mut entry, later(850));
    assert!(entry.wants(later(850)).is_some());
    answer(&mut entry, 4, nothing, later(850));
    try_again(&mut entry, later(910));
    assert!(entry.wants(later(910)).is_some(), "and the one after that is not");
}

#[test]
fn a_slice_that_is_smaller_than_the_one_there_is_an_answer_too() {
    let mut entry = dry(NOW);
    answer(&mut entry, 1, grant(10), NOW);
    for _ in 0..6 {
        try_again(&mut entry, later(10));
    }
    assert!(entry.wants(later(10)).is_some(), "less than half is left");
    answer(&mut entry, 2, Some(Grant { reset_ms: 60_000, ..grant(3).unwrap() }), later(10));
    assert_eq!(entry.borrower.lease(), Some(LeaseId([1; 16])), "which is kept");
    assert_eq!(entry.owed, Some(Return { id: LeaseId([2; 16]), unused: 3 }));
    assert_eq!((entry.wants(later(759)), entry.question), (None, None));
    assert!(entry.wants(later(760)).is_some());
}

#[test]
fn when_the_clock_goes_back_what_the_server_has_said_is_forgotten() {
    let mut entry = dry(NOW);
    let nothing = Grant { granted: 0, life_ms: 0, remaining: 0, reset_ms: 30_000 };
    answer(&mut entry, 1, Some(nothing), NOW);
    let back = UnixMillis(NOW.0 - 100);
    entry.end(back);
    try_again(&mut entry, back);
    assert!(entry.wants(back).is_some() && entry.borrower.is_urgent(back));
    try_again(&mut entry, later(10));
    assert!(entry.wants(later(10)).is_some(), "also when it comes by that time again");
}

proptest! {
    #[test]
    fn bytes_are_read_as_they_are_written(
        bytes in prop::collection::vec(any::<u8>(), ENTRY_BYTES),
    ) {
        let entry = Entry::decode(bytes.first_chunk().unwrap());
        let mut written = Vec::new();
        entry.encode(&mut written);
        prop_assert_eq!(written.len(), ENTRY_BYTES);
        prop_assert_eq!(Entry::decode(written.first_chunk().unwrap()), entry);
    }

    #[test]
    fn any_entry_and_clock_will_do(
        bytes in prop::collection::vec(any::<u8>(), ENTRY_BYTES),
        now in any::<u64>(),
        number in any::<u64>(),
    ) {
        let now = UnixMillis(now);
        let mut entry = Entry::decode(bytes.first_chunk().unwrap());
        entry.wants(now);
        entry.lacks(number, now);
        entry.note_end(now);
        entry.give_up_late(now);
        entry.ask(ASK, now);
        entry.answered(ASK.id, grant(number), now);
        entry.worth(now);
        entry.end(now);
    }
}

use super::*;
use crate::Start;
use postern_limits::{Algorithm, Anchor, Rate};

/// The beginning of a minute.
const MINUTE: u64 = 1_699_999_980_000;

struct Lender {
    spec: Spec,
    terms: Terms,
    state: State,
    ledger: Ledger,
}

/// A thousand a minute, two hundred of them out at once for five seconds.
fn lender(algorithm: Algorithm) -> Lender {
    let rate = Rate::parse("1000/1m").unwrap();
    let spec = Spec::new(algorithm, rate, None, Anchor::Clock).unwrap();
    let state = spec.fresh(UnixMillis(MINUTE));
    let terms = Terms::new(10, 20, 5000, Start::Strict).unwrap();
    Lender { spec, terms, state, ledger: Ledger::default() }
}

fn id(number: u64) -> LeaseId {
    LeaseId((u128::from(number) + 1).to_le_bytes())
}

impl Lender {
    fn lend(&mut self, number: u64, asked: u64, at: u64) -> Grant {
        let ask = Ask { id: id(number), asked };
        let now = UnixMillis(MINUTE + at);
        self.ledger.lend(&mut self.state, self.spec, &self.terms, ask, now)
    }

    fn give_back(&mut self, number: u64, unused: u64, at: u64) -> u64 {
        let now = UnixMillis(MINUTE + at);
        self.ledger.give_back(&mut self.state, self.spec, id(number), unused, now)
    }

    fn remaining(&mut self, at: u64) -> u64 {
        self.spec.take(&mut self.state, 0, UnixMillis(MINUTE + at)).status.remaining
    }

    fn outstanding(&self, at: u64) -> u64 {
        self.ledger.outstanding(UnixMillis(MINUTE + at))
    }
}

#[test]
fn a_slice_is_debited_before_it_is_spent() {
    for algorithm in Algorithm::ALL {
        let mut lender = lender(algorithm);
        let grant = lender.lend(1, 60, 0);
        assert_eq!((grant.granted, grant.life_ms, grant.remaining), (60, 5000, 940));
        assert_eq!(lender.remaining(0), 940, "{algorithm:?}");
        assert_eq!(lender.lend(2, 200, 0).granted, 70, "{algorithm:?}: half of the room");
        assert_eq!((lender.outstanding(4999), lender.outstanding(5000)), (130, 0));
    }
}

#[test]
fn the_same_question_again_gets_the_same_answer_and_debits_nothing() {
    let mut lender = lender(Algorithm::SlidingWindow);
    lender.lend(1, 60, 0);
    let again = lender.lend(1, 60, 2000);
    assert_eq!((again.granted, again.life_ms, again.remaining), (60, 3000, 940));
    assert_eq!(lender.lend(1, 60, 5000).granted, 0, "it has ended");
    assert_eq!(lender.give_back(1, 10, 5001), 10);
    assert_eq!(lender.lend(1, 60, 5002).granted, 60, "nobody remembers it: a new lease");
}

#[test]
fn a_return_is_credited_once_and_never_beyond_the_debit() {
    for algorithm in Algorithm::ALL {
        let mut lender = lender(algorithm);
        lender.lend(1, 60, 0);
        lender.lend(2, 30, 0);
        assert_eq!(lender.give_back(1, u64::MAX, 10), 60, "{algorithm:?}");
        assert_eq!(lender.give_back(1, 60, 10), 0);
        assert_eq!(lender.give_back(3, 60, 10), 0, "never lent");
        assert_eq!(lender.remaining(10), 970, "{algorithm:?}");
        assert_eq!(lender.outstanding(10), 30);
        assert_eq!(lender.lend(1, 60, 20).granted, 0, "a late copy of the question");
    }
}

#[test]
fn a_lease_that_ends_frees_the_cap_and_credits_nothing_by_itself() {
    for algorithm in [Algorithm::FixedWindow, Algorithm::SlidingWindow] {
        let mut lender = lender(algorithm);
        assert_eq!(lender.lend(1, 100, 0).granted, 100);
        assert_eq!(lender.lend(2, 100, 4999).granted, 50);
        assert_eq!(lender.lend(3, 100, 5000).granted, 75);
        assert_eq!(lender.remaining(5000), 775);
        assert_eq!(lender.give_back(1, 70, 6000), 70, "late, and still welcome");
        assert_eq!(lender.remaining(6000), 845);
    }
}

#[test]
fn no_lease_outlives_its_fixed_window() {
    let mut lender = lender(Algorithm::FixedWindow);
    let last = lender.lend(1, 50, 57_000);
    assert_eq!((last.life_ms, last.reset_ms), (3000, 3000));
    let too_late = lender.lend(2, 50, 59_800);
    assert_eq!((too_late.granted, too_late.remaining, too_late.reset_ms), (0, 950, 200));
    assert_eq!(lender.remaining(59_900), 950, "what nobody could spend is not debited");
    assert_eq!(lender.give_back(1, 50, 60_100), 0, "its window is over");
    assert_eq!(lender.remaining(60_100), 1000);
}

#[test]
fn when_there_is_room_again_is_told_to_the_millisecond() {
    for (algorithm, lent, used_up) in [
        (Algorithm::FixedWindow, 58_766, 58_666),
        // A thousandth of what counts has to slide out, in the next window.
        (Algorithm::SlidingWindow, 58_766, 58_726),
        (Algorithm::SlidingLog, 60_000, 59_900),
        // A token comes back every 60 ms: after 100 of them, two thirds of the second one.
        (Algorithm::TokenBucket, 360, 20),
        (Algorithm::Gcra, 360, 20),
    ] {
        let mut lender = lender(algorithm);
        let grant = lender.lend(1, 6, 1234);
        assert_eq!((grant.granted, grant.reset_ms), (6, lent), "{algorithm:?}");
        assert_eq!(lender.lend(1, 6, 1244).reset_ms, lent - 10, "{algorithm:?}: again");
        let now = UnixMillis(MINUTE + 1334);
        let room = lender.remaining(1334);
        assert!(lender.spec.take(&mut lender.state, room, now).allowed);
        let nothing = lender.lend(2, 1, 1334);
        let told = (nothing.granted, nothing.remaining, nothing.reset_ms);
        assert_eq!(told, (0, 0, used_up), "{algorithm:?}");
    }
}

#[test]
fn a_sliding_window_is_credited_where_it_was_debited() {
    let mut lender = lender(Algorithm::SlidingWindow);
    lender.lend(1, 50, 1000);
    lender.lend(2, 50, 59_000);
    lender.lend(3, 20, 60_500);
    assert_eq!(lender.give_back(1, 50, 60_900), 50, "the window before still counts");
    assert_eq!(lender.give_back(3, 20, 60_950), 20);
    let State::Window(window) = &lender.state else { panic!("{:?}", lender.state) };
    assert_eq!((window.current, window.previous), (0, 50));
    assert_eq!(lender.give_back(2, 50, 119_001), 0, "a period later nobody waits any more");
}

#[test]
fn what_a_bucket_may_get_back_fits_under_the_cap() {
    for algorithm in [Algorithm::TokenBucket, Algorithm::Gcra, Algorithm::SlidingLog] {
        let mut lender = lender(algorithm);
        assert_eq!((lender.lend(1, 80, 0).granted, lender.lend(2, 60, 1).granted), (80, 60));
        assert_eq!(lender.lend(3, 100, 5001).granted, 100);
        assert_eq!(lender.give_back(1, 80, 5002), 0, "{algorithm:?}: the oldest had to go");
        assert_eq!(lender.give_back(2, 60, 5002), 60, "{algorithm:?}: for this there is room");
    }
}

#[test]
fn first_come_does_not_take_all() {
    let mut lender = lender(Algorithm::FixedWindow);
    lender.terms = Terms::new(10, 100, 5000, Start::Strict).unwrap();
    let granted: Vec<u64> = (0..6).map(|number| lender.lend(number, 900, 0).granted).collect();
    assert_eq!(granted, [500, 250, 84, 42, 25, 17]);
}

#[test]
fn the_ledger_is_bounded() {
    let mut lender = lender(Algorithm::FixedWindow);
    let rate = Rate::parse("1000000/1m").unwrap();
    lender.spec = Spec::new(Algorithm::FixedWindow, rate, None, Anchor::Clock).unwrap();
    let most = u64::try_from(MAX_LEASES).unwrap();
    for number in 0..most {
        assert_eq!(lender.lend(number, 1, 0).granted, 1);
    }
    assert_eq!(lender.lend(most, 1, 4999).granted, 0, "all of them are out");
    assert_eq!(lender.remaining(4999), 1_000_000 - most);
    assert_eq!(lender.lend(most, 1, 5000).granted, 1, "one that ended makes room");
    assert_eq!(lender.ledger.leases.len(), MAX_LEASES);
    assert_eq!(lender.give_back(0, 1, 5001), 0, "it was that one");
    assert_eq!((lender.give_back(1, 1, 5001), lender.give_back(2, 1, 5001)), (1, 1));
    assert_eq!(lender.lend(most + 1, 1, 60_000).granted, 1);
    let kept = lender.ledger.leases.len();
    assert!(kept < MAX_LEASES, "a lease that was returned is forgotten with its life");
    assert_eq!(lender.lend(most + 2, 1, 125_000).granted, 1);
    assert_eq!(lender.ledger.leases.len(), 1, "all are forgotten a period later");
    let forgettable = lender.ledger.forgettable_at(lender.spec);
    assert_eq!(forgettable, UnixMillis(MINUTE + 125_000 + 60_001));
}

#[test]
fn a_lenders_clock_that_goes_back_keeps_nobody_waiting() {
    for algorithm in Algorithm::ALL {
        let mut lender = lender(algorithm);
        lender.lend(1, 100, 10_000);
        let jitter = lender.lend(2, 10, 9500);
        assert_eq!((jitter.granted, jitter.life_ms), (10, 5000), "{algorithm:?}");
        assert_eq!((lender.outstanding(14_999), lender.outstanding(15_000)), (110, 0));
        // Six seconds back: both have five seconds from here.
        lender.lend(3, 0, 4000);
        assert_eq!((lender.outstanding(8999), lender.outstanding(9000)), (110, 0));
        // Who knows which window it was.
        let has_windows = matches!(algorithm, Algorithm::FixedWindow | Algorithm::SlidingWindow);
        let expected = if has_windows { 0 } else { 100 };
        assert_eq!(lender.give_back(1, 100, 4001), expected, "{algorithm:?}");
    }
}

#[test]
fn nonsense_is_survived() {
    for algorithm in Algorithm::ALL {
        let mut lender = lender(algorithm);
        for now in [0, u64::MAX, 7, u64::MAX - 1] {
            let now = UnixMillis(now);
            let ask = Ask { id: id(now.0 / 2), asked: u64::MAX };
            lender.ledger.lend(&mut lender.state, lender.spec, &lender.terms, ask, now);
            let ledger = &mut lender.ledger;
            ledger.give_back(&mut lender.state, lender.spec, ask.id, u64::MAX, now);
            assert!(ledger.forgettable_at(lender.spec) >= UnixMillis(0));
        }
    }
}

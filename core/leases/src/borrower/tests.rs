use super::*;
use crate::Start;
use postern_limits::{Algorithm, Anchor, Rate};
use proptest::prelude::*;

/// The beginning of a minute.
const START: u64 = 1_699_999_980_000;

fn spec() -> Spec {
    let rate = Rate::parse("1000/1m").unwrap();
    Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap()
}

fn strict() -> Terms {
    Terms::of(10).unwrap()
}

fn optimistic(allowance: u32) -> Terms {
    Terms::new(10, 10, 5000, Start::Optimistic { allowance }).unwrap()
}

fn id(number: u8) -> LeaseId {
    LeaseId([number; 16])
}

fn at(ms: u64) -> UnixMillis {
    UnixMillis(START + ms)
}

fn slice(granted: u64) -> Grant {
    Grant { granted, life_ms: 5000, remaining: 500, reset_ms: 30_000 }
}

const NOTHING: Grant = Grant { granted: 0, life_ms: 0, remaining: 0, reset_ms: 30_000 };

fn passes(borrower: &mut Borrower, terms: &Terms, cost: u64, now: UnixMillis) -> bool {
    matches!(borrower.spend(spec(), terms, cost, now), Spent::Passed { .. })
}

/// A borrower with a slice whose question was sent at `START`.
fn with_slice(granted: u64) -> Borrower {
    let mut borrower = Borrower::default();
    assert_eq!(borrower.granted(id(1), slice(granted), at(0), at(3)), None);
    borrower
}

#[test]
fn a_slice_is_spent_while_it_lives() {
    let (mut borrower, terms) = (with_slice(10), strict());
    let Spent::Passed { status } = borrower.spend(spec(), &terms, 4, at(10)) else {
        panic!("there is a slice")
    };
    let expected = RateLimitStatus { limit: 1000, remaining: 506, reset_secs: 31, window_secs: 60 };
    assert_eq!(status, expected);
    let Spent::Dry { status } = borrower.spend(spec(), &terms, 7, at(11)) else {
        panic!("six are left")
    };
    assert_eq!((status.remaining, status.reset_secs), (0, 1));
    assert!(passes(&mut borrower, &terms, 5, at(4749)), "nothing was taken for the one before");
    assert!(!passes(&mut borrower, &terms, 1, at(4750)), "over, a guard before its life");
    assert!(passes(&mut borrower, &terms, 0, at(4751)));
    assert_eq!(borrower.unused_at_end(at(4751)), Some(Return { id: id(1), unused: 1 }));
    assert_eq!(borrower.unused_at_end(at(4752)), None);
    assert_eq!((borrower.report(), borrower.report()), (9, 0));
}

#[test]
fn life_counts_from_the_send() {
    let mut borrower = Borrower::default();
    assert_eq!(borrower.granted(id(1), slice(10), at(0), at(4000)), None);
    assert_eq!((borrower.left(at(4749)), borrower.left(at(4750))), (10, 0));
    for (sent, now) in [(0, 4750), (0, 9000), (5000, 4999)] {
        let mut borrower = Borrower::default();
        let returned = borrower.granted(id(1), slice(10), at(sent), at(now));
        assert_eq!(returned, Some(Return { id: id(1), unused: 10 }), "{sent} {now}");
        assert_eq!((borrower.lease(), borrower.left(at(now))), (None, 0));
    }
}

#[test]
fn an_answer_counts_once() {
    let (mut borrower, terms) = (with_slice(10), strict());
    assert!(passes(&mut borrower, &terms, 10, at(10)));
    assert_eq!(borrower.granted(id(1), slice(10), at(0), at(20)), None);
    assert!(!passes(&mut borrower, &terms, 1, at(20)));
    assert_eq!(borrower.unused_at_end(at(20)), Some(Return { id: id(1), unused: 0 }));
    assert_eq!(borrower.granted(id(1), slice(10), at(0), at(30)), None);
    assert!(!passes(&mut borrower, &terms, 1, at(30)), "not even after it was returned");
}

#[test]
fn a_new_slice_replaces_the_old_one() {
    let (mut borrower, terms) = (with_slice(10), strict());
    assert!(passes(&mut borrower, &terms, 7, at(10)));
    let replaced = borrower.granted(id(2), slice(20), at(15), at(20));
    assert_eq!(replaced, Some(Return { id: id(1), unused: 3 }));
    assert_eq!((borrower.lease(), borrower.left(at(20))), (Some(id(2)), 20));
    assert_eq!(borrower.granted(id(3), NOTHING, at(25), at(30)), None);
    assert_eq!(borrower.left(at(30)), 20, "an answer without a slice replaces nothing");
}

#[test]
fn what_passes_on_credit_is_paid_for() {
    let (mut borrower, terms) = (Borrower::default(), optimistic(5));
    assert!(!passes(&mut borrower, &terms, 6, at(0)));
    assert!(passes(&mut borrower, &terms, 3, at(0)) && passes(&mut borrower, &terms, 2, at(1)));
    assert!(!passes(&mut borrower, &terms, 1, at(2)));
    assert_eq!(borrower.debt(), 5);
    borrower.granted(id(1), slice(4), at(3), at(4));
    assert_eq!((borrower.left(at(4)), borrower.debt()), (0, 1));
    borrower.granted(id(2), slice(4), at(5), at(6));
    assert_eq!((borrower.left(at(6)), borrower.debt()), (3, 0));
    assert!(passes(&mut borrower, &terms, 8, at(7)), "three of the slice, five on credit");
    assert_eq!((borrower.left(at(7)), borrower.debt()), (0, 5));
}

#[test]
fn credit_ends_where_nothing_is_left() {
    let (mut borrower, terms) = (Borrower::default(), optimistic(5));
    borrower.granted(id(1), NOTHING, at(0), at(1));
    let Spent::Dry { status } = borrower.spend(spec(), &terms, 1, at(2)) else {
        panic!("the lender has said so")
    };
    assert_eq!((status.remaining, status.reset_secs), (0, 31));
    assert!(!borrower.is_urgent(at(2)), "asking at once would get the same answer");
    assert!(passes(&mut borrower, &terms, 1, at(31_000)), "since then it may have changed");
}

#[test]
fn a_clock_that_goes_back_ends_the_slice_for_good() {
    let terms = strict();
    // Behind its birth, behind the last request, and by an hour.
    for (last, back) in [(10, -1), (2000, 1900), (10, -3_600_000)] {
        let mut borrower = with_slice(10);
        assert!(passes(&mut borrower, &terms, 1, at(last)));
        let went_back = UnixMillis(START.saturating_add_signed(back));
        assert!(!passes(&mut borrower, &terms, 1, went_back), "{back}");
        assert!(!passes(&mut borrower, &terms, 1, at(last + 1)), "{back}: and forth again");
        assert_eq!(borrower.unused_at_end(at(last)), Some(Return { id: id(1), unused: 9 }));
    }
    let mut borrower = with_slice(10);
    assert!(passes(&mut borrower, &terms, 1, at(2000)));
    assert!(passes(&mut borrower, &terms, 1, at(1950)), "workers write in another order");
}

#[test]
fn a_clock_that_jumps_forward_ends_the_slice() {
    let (mut borrower, terms) = (with_slice(10), strict());
    assert!(!passes(&mut borrower, &terms, 1, at(3_600_000)));
    assert!(!passes(&mut borrower, &terms, 1, at(10)), "and back again");
}

#[test]
fn what_does_not_count_in_the_end_goes_back_where_it_came_from() {
    let (mut borrower, terms) = (with_slice(10), optimistic(5));
    let from = borrower.lease();
    assert!(passes(&mut borrower, &terms, 4, at(10)));
    borrower.give_back(from, 4);
    assert_eq!((borrower.left(at(10)), borrower.debt()), (10, 0));
    assert!(passes(&mut borrower, &terms, 12, at(11)));
    borrower.give_back(from, 12);
    assert_eq!((borrower.left(at(11)), borrower.debt()), (10, 0));
    assert!(passes(&mut borrower, &terms, 4, at(12)));
    borrower.granted(id(2), slice(20), at(13), at(14));
    borrower.give_back(from, 4);
    assert_eq!(borrower.left(at(14)), 20, "that slice has been returned");
    assert_eq!(borrower.report(), 0);
}

#[test]
fn it_asks_in_time_and_for_what_it_needs() {
    let (mut borrower, terms) = (Borrower::default(), strict());
    assert_eq!(borrower.want(at(0), 1000), None, "nobody has come");
    for _ in 0..20 {
        assert!(!passes(&mut borrower, &terms, 1, at(0)));
    }
    assert!(borrower.is_urgent(at(0)));
    assert_eq!(borrower.want(at(0), 1000), Some(120), "twenty a second for three, and it is dry");
    borrower.granted(id(1), slice(60), at(0), at(3));
    assert!(!borrower.is_urgent(at(3)));
    assert_eq!(borrower.want(at(3), 1000), None);
    for _ in 0..30 {
        assert!(passes(&mut borrower, &terms, 1, at(100)));
    }
    assert_eq!(borrower.want(at(100), 1000), None, "half is left");
    assert!(passes(&mut borrower, &terms, 1, at(100)));
    // 51 in this second so far, for three seconds; the last slice was too small once.
    assert_eq!(borrower.want(at(100), 1000), Some(51 * 3 * 2));
    let low = borrower.granted(id(2), slice(1000), at(100), at(103));
    assert_eq!(low, Some(Return { id: id(1), unused: 29 }));
    assert_eq!(borrower.want(at(2500), 1000), None);
    assert_eq!(borrower.want(at(2850), 1000), Some(39), "it ends before the poll after next");
    assert_eq!(borrower.want(at(20_000), 1000), None, "nobody comes any more");
}

#[test]
fn doubling_has_an_end_and_helps_only_where_there_is_something() {
    let (mut borrower, terms) = (Borrower::default(), strict());
    let ask_dry = |borrower: &mut Borrower| {
        let now = at(0);
        while passes(borrower, &terms, 1, now) {}
        let expected = borrower.demand.expected(3000);
        borrower.want(now, 1000).unwrap() / expected
    };
    let mut factors = Vec::new();
    for number in 1..6 {
        factors.push(ask_dry(&mut borrower));
        borrower.granted(id(number), slice(1), at(0), at(0));
    }
    assert_eq!(factors, [2, 4, 8, 8, 8]);
    borrower.granted(id(9), NOTHING, at(0), at(0));
    assert_eq!(ask_dry(&mut borrower), 1);
}

#[test]
fn what_knows_nothing_can_be_forgotten() {
    let (mut borrower, terms) = (Borrower::default(), optimistic(5));
    assert!(borrower.is_forgettable(at(0)));
    assert!(passes(&mut borrower, &terms, 1, at(0)));
    assert!(!borrower.is_forgettable(at(60_000)), "it owes");
    borrower.granted(id(1), slice(1), at(0), at(0));
    assert!(!borrower.is_forgettable(at(60_000)), "it has something to return");
    assert_eq!(borrower.end(), Some(Return { id: id(1), unused: 0 }));
    assert!(!borrower.is_forgettable(at(60_000)), "it has something to report");
    assert_eq!(borrower.report(), 1);
    assert!(!borrower.is_forgettable(at(1000)), "somebody may come again");
    assert!(borrower.is_forgettable(at(60_000)));
}

fn any_borrower() -> impl Strategy<Value = Borrower> {
    let numbers = (any::<[u32; 9]>(), any::<[u16; 2]>(), any::<[bool; 3]>());
    (any::<[u8; 16]>(), 0..=(1_u64 << 48) - 1, numbers, 0..=MAX_BOOST).prop_map(
        |(id, born, (numbers, [life_ms, seen_ms], [holds, refused, ran_dry]), boost)| {
            let [a, b, spent, debt, rate, counted, since, remaining, reset_at] = numbers;
            Borrower {
                id: LeaseId(id),
                holds,
                born: UnixMillis(born),
                life_ms,
                seen_ms,
                granted: a.max(b),
                left: a.min(b),
                spent,
                debt,
                demand: Demand { rate, counted, since },
                remaining,
                reset_at,
                refused,
                ran_dry,
                boost,
            }
        },
    )
}

proptest! {
    #[test]
    fn bytes_are_read_as_they_are_written(borrower in any_borrower()) {
        prop_assert_eq!(Borrower::decode(&borrower.encode()), borrower);
    }

    #[test]
    fn any_bytes_are_a_borrower(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
        let borrower = Borrower::decode(&bytes);
        prop_assert!(borrower == Borrower::default() || borrower.encode().as_slice() == bytes);
    }

    #[test]
    fn any_state_clock_and_cost_will_do(
        mut borrower in any_borrower(),
        numbers in any::<[u64; 6]>(),
        allowance in 1_u32..9,
    ) {
        let [now, cost, poll, granted, life, sent] = numbers;
        let now = UnixMillis(now);
        borrower.spend(spec(), &optimistic(allowance), cost, now);
        borrower.give_back(borrower.lease(), cost);
        prop_assert_ne!(borrower.want(now, poll), Some(0));
        let grant = Grant { granted, life_ms: life, remaining: life, reset_ms: granted };
        borrower.granted(LeaseId([7; 16]), grant, UnixMillis(sent), now);
        prop_assert!(borrower.left(now) <= u64::from(borrower.granted));
        borrower.unused_at_end(now);
    }
}

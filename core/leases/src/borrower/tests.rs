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

/// Something is left, and all that may be out is.
const NOT_NOW: Grant = Grant { granted: 0, life_ms: 0, remaining: 300, reset_ms: 3_600_000 };

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
    let expected = RateLimitStatus { limit: 1000, remaining: 506, reset_secs: 30, window_secs: 60 };
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
    assert_eq!((status.remaining, status.reset_secs), (0, 30));
    assert!(!borrower.is_urgent(at(2)), "asking at once would get the same answer");
    assert!(!passes(&mut borrower, &terms, 1, at(30_000)) && !borrower.is_urgent(at(30_000)));
    assert!(borrower.is_urgent(at(30_001)), "to the millisecond, also where windows begin");
    assert!(passes(&mut borrower, &terms, 1, at(30_001)), "since then it may have changed");
}

#[test]
fn what_cannot_be_had_just_now_is_still_wanted() {
    let (mut borrower, terms) = (Borrower::default(), optimistic(5));
    assert!(!passes(&mut borrower, &terms, 6, at(0)));
    borrower.granted(id(1), NOT_NOW, at(0), at(1));
    assert!(borrower.is_urgent(at(1)), "others may give something back");
    assert!(passes(&mut borrower, &terms, 5, at(2)), "there is credit, as before");
    let Spent::Dry { status } = borrower.spend(spec(), &terms, 1, at(3)) else {
        panic!("and no more of it")
    };
    assert_eq!((status.remaining, status.reset_secs), (0, 1), "not in an hour");
    assert!(borrower.want(at(3), 1000) > Some(5));
    // What nobody waits for does not get urgent by that.
    let mut calm = Borrower::default();
    assert!(passes(&mut calm, &terms, 1, at(0)));
    calm.granted(id(1), NOT_NOW, at(0), at(1));
    assert!(!calm.is_urgent(at(1)) && calm.want(at(1), 1000).is_some());
    // And it takes back what was said before.
    calm.granted(id(2), NOTHING, at(1), at(2));
    assert!(!passes(&mut calm, &terms, 1, at(3)));
    calm.granted(id(3), NOT_NOW, at(3), at(4));
    assert!(calm.is_urgent(at(4)) && passes(&mut calm, &terms, 1, at(4)));
}

#[test]
fn what_the_lender_said_is_forgotten_with_the_clock() {
    let (mut borrower, terms) = (Borrower::default(), optimistic(5));
    borrower.granted(id(1), NOTHING, at(0), at(1));
    let an_hour_ago = UnixMillis(START - 3_600_000);
    let Spent::Dry { status } = borrower.spend(spec(), &terms, 1, an_hour_ago) else {
        panic!("for an hour and half a minute")
    };
    assert!(status.reset_secs > 3600);
    borrower.forget_answer();
    assert!(borrower.is_urgent(an_hour_ago));
    let Spent::Passed { status } = borrower.spend(spec(), &terms, 1, an_hour_ago) else {
        panic!("nobody has said anything")
    };
    // As if nobody else was there, but for what is owed.
    assert_eq!((status.remaining, status.reset_secs), (999, 60));
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
fn what_is_too_heavy_for_the_slice_asks_for_one_that_is_not() {
    let (mut borrower, terms) = (with_slice(20), strict());
    assert!(passes(&mut borrower, &terms, 5, at(3)));
    assert_eq!(borrower.want(at(3), 1000), None);
    assert!(!passes(&mut borrower, &terms, 16, at(3)) && !passes(&mut borrower, &terms, 17, at(3)));
    assert!(!passes(&mut borrower, &terms, 16, at(3)));
    // More than half is left of it, and of its life; requests are fewer by now.
    assert!(borrower.is_urgent(at(4100)));
    assert_eq!(borrower.want(at(4100), 1), Some(17), "the heaviest would pass");
    borrower.granted(id(2), NOTHING, at(4100), at(4101));
    assert_eq!(borrower.want(at(4102), 100), None, "where nothing is left, nothing helps");
    let old = borrower.granted(id(3), slice(17), at(4102), at(4103));
    assert_eq!(old, Some(Return { id: id(1), unused: 15 }));
    assert!(!borrower.is_urgent(at(4103)) && borrower.want(at(4103), 1).is_none());
    assert!(passes(&mut borrower, &terms, 17, at(4103)));
    assert!(!passes(&mut borrower, &terms, 1, at(8000)));
    assert_eq!(borrower.want(at(8000), 1), Some(2), "that one has been served");
}

#[test]
fn a_smaller_slice_replaces_none_that_is_larger() {
    let (mut borrower, terms) = (with_slice(100), strict());
    assert!(passes(&mut borrower, &terms, 60, at(100)));
    assert!(borrower.want(at(100), 1000).is_some(), "less than half is left");
    for (number, granted) in [(2, 10), (3, 39)] {
        let returned = borrower.granted(id(number), slice(granted), at(110), at(113));
        assert_eq!(returned, Some(Return { id: id(number), unused: granted }));
        assert_eq!((borrower.lease(), borrower.left(at(113))), (Some(id(1)), 40));
    }
    let returned = borrower.granted(id(4), slice(41), at(110), at(113));
    assert_eq!(returned, Some(Return { id: id(1), unused: 40 }));
    assert_eq!((borrower.lease(), borrower.left(at(113))), (Some(id(4)), 41));
}

#[test]
fn a_slice_that_is_about_to_end_is_replaced_though_more_is_left_of_it() {
    for (each_ms, requests) in [(100, 40), (4000, 1)] {
        let (mut borrower, terms) = (with_slice(100), strict());
        for request in 1..=requests {
            assert!(passes(&mut borrower, &terms, 1, at(request * each_ms)));
        }
        let now = at(4000);
        let asked = borrower.want(now, 1000).unwrap();
        assert!(asked < borrower.left(now), "{asked}");
        let old = borrower.granted(id(2), slice(asked), now, now);
        assert_eq!(old, Some(Return { id: id(1), unused: 100 - requests }));
        assert_eq!(borrower.left(now), asked);
    }
}

#[test]
fn a_slice_that_is_sent_back_pays_what_is_owed_and_is_not_asked_for_again() {
    let (mut borrower, terms) = (with_slice(20), strict());
    assert!(passes(&mut borrower, &terms, 5, at(3)));
    assert!(!passes(&mut borrower, &terms, 16, at(3)));
    borrower.debt = 4;
    let rest = borrower.granted(id(2), slice(14), at(5), at(6));
    assert_eq!(rest, Some(Return { id: id(2), unused: 10 }), "the debt is paid out of the new one");
    assert_eq!((borrower.lease(), borrower.left(at(6)), borrower.debt()), (Some(id(1)), 15, 0));
    assert!(!borrower.is_urgent(at(6)), "the lender gave what it could");
    assert_eq!(borrower.want(at(6), 1000), None);
    assert!(!passes(&mut borrower, &terms, 16, at(7)));
    assert!(borrower.is_urgent(at(7)), "somebody has come in vain again");
    // More than what is held, also after the debt.
    borrower.debt = 4;
    let old = borrower.granted(id(3), slice(20), at(7), at(8));
    assert_eq!(old, Some(Return { id: id(1), unused: 15 }));
    assert!(passes(&mut borrower, &terms, 16, at(8)));
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
    assert!(!borrower.is_forgettable(at(1000)), "somebody may come again");
    assert!(borrower.is_forgettable(at(60_000)));
}

fn any_borrower() -> impl Strategy<Value = Borrower> {
    let moments = [0..=MAX_MOMENT, 0..=MAX_MOMENT];
    let numbers = (any::<[u32; 7]>(), any::<[u16; 3]>(), any::<[bool; 3]>());
    (any::<[u8; 16]>(), moments, numbers, 0..=MAX_BOOST).prop_map(
        |(id, [born, reset_at], (numbers, shorts, [holds, refused, ran_dry]), boost)| {
            let [a, b, rate, counted, since, remaining, short] = numbers;
            let [life_ms, seen_ms, debt] = shorts;
            Borrower {
                id: LeaseId(id),
                holds,
                born: UnixMillis(born),
                life_ms,
                seen_ms,
                granted: a.max(b),
                left: a.min(b),
                debt: u32::from(debt),
                demand: Demand { rate, counted, since },
                remaining,
                reset_at: UnixMillis(reset_at),
                refused,
                ran_dry,
                short,
                boost,
            }
        },
    )
}

#[test]
fn what_may_be_owed_fits_its_bytes() {
    let borrower = Borrower::owing(u64::MAX);
    assert_eq!(borrower.debt(), u64::from(MAX_ALLOWANCE));
    assert_eq!(Borrower::decode(&borrower.encode()), borrower);
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

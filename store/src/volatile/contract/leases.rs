//! Slices that are lent, and what comes back of them.

use std::time::{Duration, Instant};

use postern_leases::{Ask, LeaseId, Start, Terms};
use postern_limits::{Algorithm, Anchor, Rate, Spec};

use super::{Case, all_at_once, every_way, spec};
use crate::volatile::{Grant, LendAsk, TakeBack};

pub(super) async fn run(case: Case<'_>) {
    a_slice_is_debited_before_it_is_spent(case).await;
    the_same_question_again_debits_nothing(case).await;
    no_more_is_out_than_the_terms_say(case).await;
    first_come_does_not_take_all(case).await;
    a_return_is_credited_once(case).await;
    a_fixed_window_is_never_exceeded(case).await;
    every_question_has_its_own_answer(case).await;
    questions_at_once_get_no_more(case).await;
    what_is_forgotten_comes_back_to_nobody(case).await;
    a_lease_that_ends_makes_room_and_credits_nothing(case).await;
    no_lease_outlives_its_fixed_window(case).await;
    what_is_left_is_full_again_to_the_millisecond(case).await;
    room_comes_nearer_by_the_millisecond(case).await;
}

/// So much percent may be out at once, for five seconds.
fn percent(outstanding: u32) -> Terms {
    Terms::new(10, outstanding, 5000, Start::Strict).unwrap()
}

impl Case<'_> {
    fn id(self, number: u8) -> LeaseId {
        let mut id = [self.salt; 16];
        id[0] = number;
        LeaseId(id)
    }

    fn asking(self, name: &str, spec: Spec, terms: Terms, number: u8, asked: u64) -> LendAsk {
        let ask = Ask { id: self.id(number), asked };
        LendAsk { key: self.key(name), spec, terms, ask }
    }

    async fn lend(self, ask: LendAsk) -> Grant {
        let mut answers = self.store.lend(&[ask], self.now).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0).unwrap()
    }

    fn returning(self, name: &str, spec: Spec, number: u8, unused: u64) -> TakeBack {
        TakeBack { key: self.key(name), spec, id: self.id(number), unused }
    }

    async fn take_back(self, back: TakeBack) -> u64 {
        let mut answers = self.store.take_back(&[back], self.now).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0).unwrap()
    }

    /// What is left of a limit.
    async fn left(self, name: &str, spec: Spec) -> u64 {
        let limit = self.rate(name, spec, 1);
        let found = self.store.inspect(limit.key, limit.take, self.now).await.unwrap();
        found.map_or(spec.capacity(), |found| found.status.remaining)
    }
}

async fn a_slice_is_debited_before_it_is_spent(case: Case<'_>) {
    for (way, spec) in every_way(1000) {
        let name = format!("A{way}");
        let grant = case.lend(case.asking(&name, spec, percent(20), 1, 60)).await;
        assert_eq!((grant.granted, grant.remaining), (60, 940), "{way}");
        assert!((251..=5000).contains(&grant.life_ms), "{way}: {grant:?}");
        assert!((1..=62 * 86_400_000).contains(&grant.reset_ms), "{way}: {grant:?}");
        assert_eq!(case.left(&name, spec).await, 940, "{way}");
        let all_that_is_left = case.lend(case.asking(&name, spec, percent(20), 2, u64::MAX)).await;
        assert_eq!((all_that_is_left.granted, all_that_is_left.remaining), (70, 870), "{way}");
    }
}

async fn the_same_question_again_debits_nothing(case: Case<'_>) {
    for (way, spec) in every_way(1000) {
        let name = format!("B{way}");
        let ask = case.asking(&name, spec, percent(10), 1, 50);
        let first = case.lend(ask).await;
        for _ in 0..2 {
            let again = case.lend(ask).await;
            assert_eq!((again.granted, again.remaining), (50, 950), "{way}");
            assert!((1..=first.life_ms).contains(&again.life_ms), "{way}: {again:?}");
        }
        assert_eq!(case.take_back(case.returning(&name, spec, 1, 50)).await, 50, "{way}");
        let late = case.lend(ask).await;
        assert_eq!((late.granted, late.life_ms, late.remaining), (0, 0, 1000), "{way}");
    }
}

async fn no_more_is_out_than_the_terms_say(case: Case<'_>) {
    for (way, spec) in every_way(1000) {
        let name = format!("C{way}");
        let mut granted = Vec::new();
        for number in 1..=9 {
            let ask = case.asking(&name, spec, percent(10), number, 1000);
            granted.push(case.lend(ask).await.granted);
        }
        assert_eq!(granted, [50, 25, 13, 6, 3, 2, 1, 0, 0], "{way}");
        assert_eq!(case.left(&name, spec).await, 900, "{way}");
        assert_eq!(case.take_back(case.returning(&name, spec, 1, 0)).await, 0, "{way}");
        let next = case.lend(case.asking(&name, spec, percent(10), 10, 1000)).await;
        assert_eq!(next.granted, 25, "{way}: what is over makes room for others, spent or not");
        let nothing = case.lend(case.asking(&name, spec, percent(10), 11, 0)).await;
        assert_eq!((nothing.granted, nothing.life_ms), (0, 0), "{way}: nothing was asked for");
    }
}

async fn first_come_does_not_take_all(case: Case<'_>) {
    for (way, spec) in every_way(1000) {
        if spec.algorithm().has_burst() {
            // Something flows in meanwhile.
            continue;
        }
        let mut granted = Vec::new();
        for number in 1..=6 {
            let ask = case.asking(&format!("D{way}"), spec, percent(100), number, 900);
            granted.push(case.lend(ask).await.granted);
        }
        assert_eq!(granted, [500, 250, 84, 42, 25, 17], "{way}");
    }
}

async fn a_return_is_credited_once(case: Case<'_>) {
    for (way, spec) in every_way(1000) {
        let name = format!("E{way}");
        for number in [1, 2] {
            let ask = case.asking(&name, spec, percent(20), number, 30);
            assert_eq!(case.lend(ask).await.granted, 30, "{way}");
        }
        for (number, unused, credited) in
            [(1, u64::MAX, 30), (1, 30, 0), (2, 12, 12), (2, 30, 0), (3, 30, 0)]
        {
            let back = case.returning(&name, spec, number, unused);
            assert_eq!(case.take_back(back).await, credited, "{way}: {number}");
        }
        assert_eq!(case.left(&name, spec).await, 982, "{way}");
        let nobody = case.returning(&format!("F{way}"), spec, 1, 9);
        assert_eq!(case.take_back(nobody).await, 0, "{way}: of this key nothing is lent");
    }
}

/// Half of each slice is spent, and the other half comes back.
async fn a_fixed_window_is_never_exceeded(case: Case<'_>) {
    let rate = Rate::new(1000, 3_600_000).unwrap();
    let spec = spec(Algorithm::FixedWindow, rate, Anchor::FirstHit);
    let mut spent = 0;
    for number in 0..100 {
        let grant = case.lend(case.asking("Gfirst", spec, percent(100), number, 1000)).await;
        let unused = grant.granted / 2;
        assert_eq!(case.take_back(case.returning("Gfirst", spec, number, unused)).await, unused);
        spent += grant.granted - unused;
        assert_eq!(case.left("Gfirst", spec).await, 1000 - spent);
    }
    assert_eq!(spent, 1000, "all of it, and no more");
}

async fn every_question_has_its_own_answer(case: Case<'_>) {
    assert!(case.store.lend(&[], case.now).await.is_empty());
    assert!(case.store.take_back(&[], case.now).await.is_empty());
    let ways = every_way(1000);
    let name = |way: &str| format!("H{way}");
    // One id may stand for a lease of each key.
    let asks: Vec<_> = (10..)
        .zip(&ways)
        .map(|(asked, (way, spec))| case.asking(&name(way), *spec, percent(10), 1, asked))
        .collect();
    let granted: Vec<_> = case.store.lend(&asks, case.now).await;
    let granted: Vec<_> = granted.into_iter().map(|grant| grant.unwrap().granted).collect();
    assert_eq!(granted, [10, 11, 12, 13, 14, 15, 16]);
    let returns: Vec<_> = (1..)
        .zip(&ways)
        .map(|(unused, (way, spec))| case.returning(&name(way), *spec, 1, unused))
        .collect();
    let credited = case.store.take_back(&returns, case.now).await;
    let credited: Vec<_> = credited.into_iter().map(Result::unwrap).collect();
    assert_eq!(credited, [1, 2, 3, 4, 5, 6, 7]);
}

async fn questions_at_once_get_no_more(case: Case<'_>) {
    for (way, spec) in every_way(1000) {
        let name = format!("I{way}");
        let asks: Vec<_> =
            (0..50).map(|number| [case.asking(&name, spec, percent(10), number, 1000)]).collect();
        let calls = asks.iter().map(|ask| case.store.lend(ask, case.now)).collect();
        let answers = all_at_once(calls).await.into_iter().flatten();
        let granted: u64 = answers.map(|grant| grant.unwrap().granted).sum();
        assert_eq!(granted, 100, "{way}");
        let returns: Vec<_> =
            (0..50).map(|number| case.returning(&name, spec, number, u64::MAX)).collect();
        let calls = (0..5).map(|_| case.store.take_back(&returns, case.now)).collect();
        let answers = all_at_once(calls).await.into_iter().flatten();
        let credited: u64 = answers.map(Result::unwrap).sum();
        assert_eq!(credited, 100, "{way}: each once");
        assert_eq!(case.left(&name, spec).await, 1000, "{way}");
    }
}

async fn what_is_forgotten_comes_back_to_nobody(case: Case<'_>) {
    for (way, spec) in every_way(1000) {
        let name = format!("J{way}");
        assert_eq!(case.lend(case.asking(&name, spec, percent(10), 1, 50)).await.granted, 50);
        assert_eq!(case.store.reset(&[case.key(&name)]).await, Ok(1), "{way}");
        assert_eq!(case.left(&name, spec).await, 1000, "{way}");
        assert_eq!(case.lend(case.asking(&name, spec, percent(10), 2, 50)).await.granted, 50);
        assert_eq!(case.take_back(case.returning(&name, spec, 1, 50)).await, 0, "{way}");
        assert_eq!(case.left(&name, spec).await, 950, "{way}");
    }
}

async fn a_lease_that_ends_makes_room_and_credits_nothing(case: Case<'_>) {
    let terms = Terms::new(10, 10, 1000, Start::Strict).unwrap();
    let ways = every_way(1000);
    for (way, spec) in &ways {
        let name = format!("K{way}");
        for (number, granted) in [(1, 50), (2, 25)] {
            let ask = case.asking(&name, *spec, terms, number, 50);
            assert_eq!(case.lend(ask).await.granted, granted, "{way}");
        }
    }
    let later = case.later(1100).await;
    for (way, spec) in &ways {
        let name = format!("K{way}");
        assert_eq!(later.left(&name, *spec).await, 925, "{way}");
        let over = later.lend(later.asking(&name, *spec, terms, 1, 50)).await;
        assert_eq!((over.granted, over.life_ms), (0, 0), "{way}: that question had its answer");
        let next = later.lend(later.asking(&name, *spec, terms, 3, 50)).await;
        assert_eq!((next.granted, next.remaining), (50, 875), "{way}");
        // Windows are credited where they were debited. Of the others, what is out and what may
        // come back have to fit under the cap together: the oldest had to go.
        let has_windows =
            matches!(spec.algorithm(), Algorithm::SlidingWindow | Algorithm::FixedWindow);
        for (number, credited) in [(1, if has_windows { 50 } else { 0 }), (2, 25)] {
            let back = later.returning(&name, *spec, number, 50);
            assert_eq!(later.take_back(back).await, credited, "{way}: {number}");
        }
    }
}

async fn no_lease_outlives_its_fixed_window(case: Case<'_>) {
    let rate = Rate::new(1000, 2000).unwrap();
    let spec = spec(Algorithm::FixedWindow, rate, Anchor::FirstHit);
    let terms = Terms::new(10, 10, 1000, Start::Strict).unwrap();
    let began = Instant::now();
    assert_eq!(case.lend(case.asking("Lfirst", spec, terms, 1, 50)).await.life_ms, 1000);
    let later = case.later(1200).await;
    let short = later.lend(later.asking("Lfirst", spec, terms, 2, 50)).await;
    if began.elapsed() > Duration::from_millis(1700) {
        // On so slow a machine the window may have ended by now.
        return;
    }
    assert_eq!((short.granted, short.remaining), (50, 900));
    assert!((251..=800).contains(&short.life_ms), "{short:?}");
    let later = later.later(1000).await;
    assert_eq!(later.take_back(later.returning("Lfirst", spec, 1, 50)).await, 0);
    assert_eq!(later.left("Lfirst", spec).await, 1000, "its window is over");
}

/// The reset of a limit of which a first slice was lent. No period here is a whole number of
/// seconds, and no store's clock matters.
async fn what_is_left_is_full_again_to_the_millisecond(case: Case<'_>) {
    let rate = Rate::new(1000, 3_600_123).unwrap();
    for (way, algorithm, anchor, reset_ms) in [
        ("first", Algorithm::FixedWindow, Anchor::FirstHit, 3_600_123),
        ("log", Algorithm::SlidingLog, Anchor::Clock, 3_600_123),
        // Seven thousandths of a period, rounded up.
        ("bucket", Algorithm::TokenBucket, Anchor::Clock, 25_201),
        ("gcra", Algorithm::Gcra, Anchor::Clock, 25_201),
    ] {
        let spec = spec(algorithm, rate, anchor);
        let grant = case.lend(case.asking(&format!("M{way}"), spec, percent(10), 1, 7)).await;
        assert_eq!((grant.granted, grant.remaining), (7, 993), "{way}");
        assert_eq!(grant.reset_ms, reset_ms, "{way}");
    }
}

/// Where something is left and where nothing is.
async fn room_comes_nearer_by_the_millisecond(case: Case<'_>) {
    const PAUSE_MS: u64 = 40;
    let began = Instant::now();
    let names = |way: &str| [format!("N{way}"), format!("O{way}")];
    let mut before = Vec::new();
    for (way, spec) in every_way(1000) {
        let [some, none] = names(way);
        assert_eq!(case.lend(case.asking(&some, spec, percent(10), 1, 7)).await.granted, 7);
        assert!(case.take(case.rate(&none, spec, 1000)).await.0, "{way}");
        for name in [some, none] {
            let told = case.lend(case.asking(&name, spec, percent(10), 2, 0)).await;
            before.push((name, spec, told));
        }
    }
    let later = case.later(PAUSE_MS).await;
    for (name, spec, before) in before {
        let told = later.lend(later.asking(&name, spec, percent(10), 3, 0)).await;
        let most = u64::try_from(began.elapsed().as_millis()).unwrap() + 2;
        // By the store's clock a window may just have ended; on a slow machine, some may be back.
        if told.remaining != before.remaining || told.reset_ms > before.reset_ms {
            continue;
        }
        let passed = before.reset_ms - told.reset_ms;
        assert!((PAUSE_MS - 2..=most).contains(&passed), "{name}: {before:?}, then {told:?}");
    }
}

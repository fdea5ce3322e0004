//! Everything that can happen in so many steps, from each state there is.

use super::model::Model;
use super::*;
use crate::{Breaker, Verdict};

#[derive(Debug, Clone, Copy)]
enum Event {
    Wait(u64),
    Ask,
    Fail,
    FailSlowly,
    Succeed,
    SucceedSlowly,
    Ignored,
}
use Event::{Ask, Fail, FailSlowly, Ignored, Succeed, SucceedSlowly, Wait};

/// A breaker and its model, at the same time.
#[derive(Debug, Clone)]
struct Pair {
    settings: Settings,
    breaker: Breaker,
    model: Model,
    now: u64,
}

impl Pair {
    fn new(settings: Settings) -> Self {
        Self { settings, breaker: Breaker::default(), model: Model::new(settings), now: START }
    }

    fn record(&mut self, failed: bool, slow: bool) -> bool {
        let verdict = if failed { Verdict::Failure { slow } } else { Verdict::Success { slow } };
        let before = self.breaker.state(UnixMillis(self.now));
        let moved = self.breaker.record(&self.settings, verdict, UnixMillis(self.now), 7);
        let from = moved.is_none_or(|moved| moved.from == before);
        let moved = moved.map(|moved| (moved.to, moved.reason));
        from && moved == self.model.record(self.now, failed, slow)
    }

    /// Whether both say the same.
    fn step(&mut self, event: Event) -> bool {
        let same = match event {
            Wait(ms) => {
                self.now += ms;
                true
            }
            Ask => {
                let now = UnixMillis(self.now);
                self.breaker.admit(&self.settings, now, 7) == self.model.admit(self.now)
            }
            Fail => self.record(true, false),
            FailSlowly => self.record(true, true),
            Succeed => self.record(false, false),
            SucceedSlowly => self.record(false, true),
            Ignored => {
                let before = self.breaker;
                let now = UnixMillis(self.now);
                let moved = self.breaker.record(&self.settings, Verdict::Ignored, now, 7);
                moved.is_none() && self.breaker == before
            }
        };
        let now = UnixMillis(self.now);
        same && self.breaker.state(now) == self.model.state(self.now)
            && self.breaker.run() == self.model.run()
            && self.breaker.totals(now) == self.model.totals(self.now)
    }

    /// Tries all events, one after the other, so many deep.
    fn walk(&self, events: &[Event], depth: usize, path: &mut Vec<Event>) {
        if depth == 0 {
            return;
        }
        for event in events {
            let mut next = self.clone();
            path.push(*event);
            assert!(next.step(*event), "{path:?} of {:?}\n{next:#?}", self.settings);
            next.walk(events, depth - 1, path);
            path.pop();
        }
    }
}

fn all_settings() -> Vec<Settings> {
    let probes =
        |per_interval, interval_ms, successes| Probes { per_interval, interval_ms, successes };
    let recovery = |first_ms, longest_ms| Recovery { first_ms, longest_ms, ..SMALL.recovery };
    vec![
        SMALL,
        Settings { failures: 0, ratio: Some(Share::percent(50)), minimum: 2, ..SMALL },
        Settings { failures: 3, slow: slow(50), minimum: 3, ..SMALL },
        Settings { failures: 1, probes: probes(2, 200, 2), ..SMALL },
        // Where an interval is longer than a recovery.
        Settings { failures: 1, recovery: recovery(50, 100), probes: probes(1, 700, 2), ..SMALL },
        Settings {
            ratio: Some(Share::percent(100)),
            slow: slow(100),
            minimum: 2,
            probes: probes(3, 200, 1),
            ..SMALL
        },
    ]
}

/// What leads into each state: closed, open, open with its time over, half open, and half open
/// after recovery has failed.
const STARTS: [&[Event]; 5] = [
    &[],
    &[Fail, Fail, Fail],
    &[Fail, Fail, Fail, Wait(1_000)],
    &[Fail, Fail, Fail, Wait(1_000), Ask],
    &[Fail, Fail, Fail, Wait(1_000), Ask, Fail, Wait(1_000), Ask],
];

#[test]
fn whatever_happens_in_each_state_is_what_the_model_says() {
    const EVENTS: [Event; 8] =
        [Wait(100), Wait(650), Ask, Fail, FailSlowly, Succeed, SucceedSlowly, Ignored];
    for settings in all_settings() {
        for start in STARTS {
            let mut pair = Pair::new(settings);
            for event in start {
                assert!(pair.step(*event), "{start:?} of {settings:?}\n{pair:#?}");
            }
            pair.walk(&EVENTS, 4, &mut start.to_vec());
        }
    }
}

#[test]
fn longer_sequences_too() {
    for settings in all_settings() {
        Pair::new(settings).walk(&[Wait(300), Ask, Fail, Succeed], 7, &mut Vec::new());
    }
}

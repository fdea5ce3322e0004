//! Lender and borrowers together, over a network that loses, repeats, delays and reorders, with
//! borrowers whose clocks step: no more passes than [`crate::over_admission`] says.

use std::collections::BTreeMap;

use postern_limits::{Algorithm, Anchor, Rate, Spec, State};
use postern_request::UnixMillis;
use proptest::prelude::*;

use crate::{
    Ask, Borrower, Bound, Grant, LeaseId, Ledger, Return, Spent, Start, Terms, Watch,
    over_admission,
};

const SIDES: u32 = 3;
/// How often the clocks are looked at; more often than they must be, so that several small steps
/// within one lease stay within the guard.
const LOOK_MS: u64 = 20;
const MAX_STEPS_BACK: u32 = 8;

#[derive(Debug, Clone, Copy)]
enum Step {
    Spend {
        side: usize,
        cost: u64,
    },
    /// Everything that is there, one by one.
    Drain {
        side: usize,
    },
    Poll {
        side: usize,
        asked: u64,
    },
    /// The whole way, and all that it brought, again and again.
    Rush {
        side: usize,
        times: u8,
    },
    Deliver {
        message: usize,
        keep_a_copy: bool,
    },
    Lose {
        message: usize,
    },
    Wait {
        ms: u64,
    },
    Clock {
        side: usize,
        back: bool,
        ms: u64,
    },
}

#[derive(Debug, Clone, Copy)]
enum Message {
    Ask { side: usize, ask: Ask },
    Answer { side: usize, id: LeaseId, grant: Grant },
    Back(Return),
}

struct Side {
    borrower: Borrower,
    watch: Watch,
    /// What its clock shows beyond the true time.
    ahead: u64,
    asking: Option<(Ask, UnixMillis)>,
    returns: Vec<Return>,
}

/// What became of the debit of a lease.
#[derive(Default)]
struct Account {
    granted: u64,
    credited: u64,
}

struct World {
    spec: Spec,
    terms: Terms,
    /// True time, which is the lender's.
    now: u64,
    state: State,
    ledger: Ledger,
    sides: Vec<Side>,
    wire: Vec<Message>,
    accounts: BTreeMap<LeaseId, Account>,
    passed: Vec<(u64, u64)>,
    leases: u128,
    steps_back: u32,
}

impl World {
    fn new(spec: Spec, terms: Terms, now: u64) -> Self {
        let side = |_| Side {
            borrower: Borrower::default(),
            watch: Watch::default(),
            ahead: 1_000_000_000,
            asking: None,
            returns: Vec::new(),
        };
        Self {
            spec,
            terms,
            now,
            state: spec.fresh(UnixMillis(now)),
            ledger: Ledger::default(),
            sides: (0..SIDES).map(side).collect(),
            wire: Vec::new(),
            accounts: BTreeMap::new(),
            passed: Vec::new(),
            leases: 0,
            steps_back: 0,
        }
    }

    /// A side that has just looked at its clock, and what that shows.
    fn look(&mut self, side: usize) -> (&mut Side, UnixMillis) {
        let side = &mut self.sides[side];
        let clock = UnixMillis(self.now + side.ahead);
        if side.watch.went_back(clock) {
            side.returns.extend(side.borrower.end());
            side.borrower.forget_answer();
            let given_up = side.asking.take();
            side.returns.extend(given_up.map(|(ask, _)| Return { id: ask.id, unused: u64::MAX }));
        }
        (side, clock)
    }

    fn spend(&mut self, side: usize, cost: u64) -> bool {
        let (spec, terms, now) = (self.spec, self.terms, self.now);
        let (side, clock) = self.look(side);
        // As a filter does: the state lives in bytes between requests.
        let mut borrower = Borrower::decode(&side.borrower.encode());
        let spent = borrower.spend(spec, &terms, cost, clock);
        side.borrower = borrower;
        let passes = matches!(spent, Spent::Passed { .. });
        if passes {
            self.passed.push((now, cost));
        }
        passes
    }

    fn poll(&mut self, at: usize, asked: u64) {
        self.leases += 1;
        let id = LeaseId(self.leases.to_le_bytes());
        let (side, clock) = self.look(at);
        side.returns.extend(side.borrower.unused_at_end(clock));
        if side.asking.is_none() && side.borrower.want(clock, 1000).is_some() {
            side.asking = Some((Ask { id, asked }, clock));
        }
        let asking = side.asking.map(|(ask, _)| Message::Ask { side: at, ask });
        // Nobody acknowledges: the last few are sent again and again.
        let old = side.returns.len().saturating_sub(4);
        side.returns.drain(..old);
        let sent: Vec<Message> = side.returns.iter().copied().map(Message::Back).collect();
        self.wire.extend(sent);
        self.wire.extend(asking);
    }

    fn deliver(&mut self, message: Message) {
        let now = UnixMillis(self.now);
        match message {
            Message::Ask { side, ask } => {
                let live = self.ledger.live(now);
                let grant = self.ledger.lend(&mut self.state, self.spec, &self.terms, ask, now);
                let account = self.accounts.entry(ask.id).or_default();
                if self.ledger.live(now) > live {
                    account.granted += grant.granted;
                }
                assert!(grant.granted <= account.granted, "granted what was not taken");
                self.wire.push(Message::Answer { side, id: ask.id, grant });
            }
            Message::Answer { side, id, grant } => {
                let (side, clock) = self.look(side);
                if let Some((ask, sent)) = side.asking
                    && ask.id == id
                {
                    side.asking = None;
                    side.returns.extend(side.borrower.granted(id, grant, sent, clock));
                }
            }
            Message::Back(Return { id, unused }) => {
                let credited = self.ledger.give_back(&mut self.state, self.spec, id, unused, now);
                let account = self.accounts.entry(id).or_default();
                account.credited += credited;
                assert!(account.credited <= account.granted, "credited beyond the debit");
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Spend { side, cost } => {
                self.spend(side, cost);
            }
            Step::Drain { side } => while self.spend(side, 1) {},
            Step::Poll { side, asked } => self.poll(side, asked),
            Step::Rush { side, times } => {
                for _ in 0..times {
                    self.poll(side, 200);
                    // The question came last, and then its answer.
                    for _ in 0..2 {
                        if let Some(message) = self.wire.pop() {
                            self.deliver(message);
                        }
                    }
                    while self.spend(side, 1) {}
                }
            }
            Step::Deliver { message, keep_a_copy } => {
                if !self.wire.is_empty() {
                    let at = message % self.wire.len();
                    let message =
                        if keep_a_copy { self.wire[at] } else { self.wire.swap_remove(at) };
                    self.deliver(message);
                }
            }
            Step::Lose { message } => {
                if !self.wire.is_empty() {
                    self.wire.swap_remove(message % self.wire.len());
                }
            }
            Step::Wait { ms } => {
                let until = self.now + ms;
                while self.now < until {
                    self.now = until.min(self.now + LOOK_MS);
                    for side in 0..self.sides.len() {
                        self.look(side);
                    }
                }
            }
            Step::Clock { side, back: true, ms } => {
                if self.steps_back < MAX_STEPS_BACK {
                    self.steps_back += 1;
                    self.sides[side].ahead = self.sides[side].ahead.saturating_sub(ms);
                }
            }
            Step::Clock { side, back: false, ms } => self.sides[side].ahead += ms,
        }
    }

    fn check(&self) {
        let bound: Bound = over_admission(self.spec, &self.terms);
        let most = self.most_in_a_period();
        assert!(most <= bound.most(), "{most} passed, {} may", bound.most());
        let taken: u64 = self.accounts.values().map(|a| a.granted - a.credited).sum();
        let owed: u64 = self.sides.iter().map(|side| side.borrower.debt()).sum();
        let passed: u64 = self.passed.iter().map(|(_, cost)| cost).sum();
        assert!(passed <= taken + owed, "{passed} passed, {taken} were taken, {owed} are owed");
    }

    /// The most that passed in a window of a fixed window, and in any period of the others.
    fn most_in_a_period(&self) -> u64 {
        let period = self.spec.rate().period_ms();
        if self.spec.algorithm() == Algorithm::FixedWindow {
            let mut windows = BTreeMap::<u64, u64>::new();
            for (at, cost) in &self.passed {
                *windows.entry(at / period).or_default() += cost;
            }
            return windows.into_values().max().unwrap_or_default();
        }
        let from = |at: usize| {
            let until = self.passed[at].0 + period;
            let within = self.passed[at..].iter().take_while(|(at, _)| *at < until);
            within.map(|(_, cost)| cost).sum::<u64>()
        };
        (0..self.passed.len()).map(from).max().unwrap_or_default()
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let sides = usize::try_from(SIDES).unwrap();
    prop_oneof![
        2 => (0..sides, 0_u64..8).prop_map(|(side, cost)| Step::Spend { side, cost }),
        4 => (0..sides).prop_map(|side| Step::Drain { side }),
        6 => (0..sides, 1_u64..200).prop_map(|(side, asked)| Step::Poll { side, asked }),
        8 => (0..sides, 1_u8..12).prop_map(|(side, times)| Step::Rush { side, times }),
        8 => (0..64_usize, prop::bool::weighted(0.2))
            .prop_map(|(message, keep_a_copy)| Step::Deliver { message, keep_a_copy }),
        1 => (0..64_usize).prop_map(|message| Step::Lose { message }),
        4 => prop_oneof![3 => 1_u64..200, 2 => 200_u64..1500, 1 => 1500_u64..6000]
            .prop_map(|ms| Step::Wait { ms }),
        1 => (0..sides, any::<bool>(), prop_oneof![1_u64..100, 100_u64..8000])
            .prop_map(|(side, back, ms)| Step::Clock { side, back, ms }),
    ]
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let algorithm = prop::sample::select(Algorithm::ALL.to_vec());
    (algorithm, 20_u64..200, 2000_u64..20_000, prop::option::of(10_u64..300)).prop_map(
        |(algorithm, requests, period, burst)| {
            let burst = burst.filter(|_| algorithm.has_burst());
            let rate = Rate::new(requests, period).unwrap();
            Spec::new(algorithm, rate, burst, Anchor::Clock).unwrap()
        },
    )
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let start = prop_oneof![
        2 => Just(Start::Strict),
        1 => (1_u32..8).prop_map(|allowance| Start::Optimistic { allowance }),
    ];
    (5_u32..=100, 1000_u64..8000, start).prop_map(|(outstanding, life_ms, start)| {
        Terms::new(SIDES, outstanding, life_ms, start).unwrap()
    })
}

proptest! {
    #[test]
    fn whatever_happens_no_more_passes_than_the_bound(
        spec in any_spec(),
        terms in any_terms(),
        begins in 0_u64..100_000,
        steps in prop::collection::vec(any_step(), 1..400),
    ) {
        let mut world = World::new(spec, terms, 1_700_000_000_000 + begins);
        for step in steps {
            world.step(step);
        }
        world.check();
    }
}

#[test]
fn with_a_sound_network_all_of_a_limit_is_used() {
    for algorithm in Algorithm::ALL {
        let rate = Rate::parse("1000/1m").unwrap();
        let spec = Spec::new(algorithm, rate, None, Anchor::Clock).unwrap();
        let mut world = World::new(spec, Terms::of(SIDES).unwrap(), 1_699_999_980_000);
        // Each side has twice its share of requests, and polls once a second.
        for turn in 0..590 {
            for side in 0..world.sides.len() {
                for _ in 0..4 {
                    world.spend(side, 1);
                }
                if turn % 10 == 0 {
                    let clock = UnixMillis(world.now + world.sides[side].ahead);
                    let asked = world.sides[side].borrower.want(clock, 1000).unwrap_or(1);
                    world.poll(side, asked);
                    while !world.wire.is_empty() {
                        let message = world.wire.remove(0);
                        world.deliver(message);
                    }
                }
            }
            world.step(Step::Wait { ms: 100 });
        }
        world.check();
        let passed: u64 = world.passed.iter().map(|(_, cost)| cost).sum();
        assert!(passed >= 900, "{algorithm:?}: {passed} of 1000");
    }
}

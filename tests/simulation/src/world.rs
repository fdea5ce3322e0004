//! The simulated world: requests, sidecars, the network between them and the lender.

use std::iter::repeat_with;

use postern_leases::{LOOK_MS, Terms};
use postern_limits::{Spec, State};
use postern_request::UnixMillis;

use crate::cli::Options;
use crate::events::{Micros, Queue};
use crate::lender::{Answer, Lender, Request};
use crate::meter::Meter;
use crate::random::{Random, Zipf};
use crate::sidecar::{POLL_MS, Sidecar};

/// True time when a simulation begins; in the middle of a window, as any other.
const BEGIN_MS: u64 = 1_700_000_000_000;
const SECOND: Micros = 1_000_000;
/// How long a message takes: so much, and up to so much more.
const LATENCY: (Micros, Micros) = (500, 4500);
/// How late the second copy of a message may come.
const LATE: Micros = 2 * SECOND;
/// Half of the requests come to an eighth of the sidecars, and these change after so long.
const HOT_FOR: Micros = 10 * SECOND;
/// Steps of a clock: what nobody sees, what the guard is for, what ends a slice, and summer time.
const STEPS_MS: [i64; 5] = [10, 80, 200, 2000, 3_600_000];
/// No clock is stepped more often.
const BETWEEN_STEPS: Micros = 10 * SECOND;
/// How often each is stepped beyond that, a second.
const STEP_RATE: f64 = 0.05;

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Requests that came.
    pub offered: u64,
    /// Those that passed.
    pub admitted: u64,
    /// Those that an exact limiter lets pass.
    pub exact: u64,
    /// The most that passed in a period, of all keys.
    pub most: u64,
    /// The most that an exact limiter lets pass in one.
    pub exact_most: u64,
    /// Requests that sidecars sent to the lender.
    pub messages: u64,
    /// Those of them that did not wait for their turn.
    pub at_once: u64,
}

#[derive(Debug, Clone)]
enum Event {
    Arrival,
    Turn(usize),
    Request(Request),
    Answer(Answer),
    Look,
    Step(usize),
}

/// One key, measured twice.
struct Key {
    exact: State,
    passed: Meter,
    passed_exactly: Meter,
}

struct World<'a> {
    options: &'a Options,
    spec: Spec,
    terms: Terms,
    queue: Queue<Event>,
    /// Streams of their own, so that the same requests come whatever becomes of them.
    arrivals: Random,
    network: Random,
    clocks: Random,
    popularity: Zipf,
    per_second: f64,
    keys: Vec<Key>,
    sidecars: Vec<Sidecar>,
    lender: Lender,
    figures: Figures,
}

/// Runs the world for as long as the options say.
pub fn simulate(options: &Options, spec: Spec, terms: Terms) -> Figures {
    let mut world = World::new(options, spec, terms);
    world.wake_up();
    let end = options.seconds.saturating_mul(SECOND);
    while let Some((now, event)) = world.queue.next_before(end) {
        world.happen(event, now);
    }
    world.figures()
}

fn truth(now: Micros) -> UnixMillis {
    UnixMillis(BEGIN_MS.saturating_add(now / 1000))
}

impl<'a> World<'a> {
    fn new(options: &'a Options, spec: Spec, terms: Terms) -> Self {
        let mut seeds = Random::new(options.seed);
        let keys = usize::try_from(options.keys).unwrap_or(usize::MAX);
        let sidecars = usize::try_from(terms.sidecars()).unwrap_or(usize::MAX);
        let popularity = Zipf::new(options.keys, options.zipf);
        let key = || Key {
            exact: spec.fresh(truth(0)),
            passed: Meter::new(spec),
            passed_exactly: Meter::new(spec),
        };
        let a_second = spec.rate().requests() as f64 / options.period as f64;
        Self {
            options,
            spec,
            terms,
            queue: Queue::new(),
            arrivals: Random::new(seeds.bits()),
            network: Random::new(seeds.bits()),
            clocks: Random::new(seeds.bits()),
            per_second: a_second * f64::from(options.load) / 100.0 / popularity.first(),
            popularity,
            keys: repeat_with(key).take(keys).collect(),
            sidecars: repeat_with(Sidecar::default).take(sidecars).collect(),
            lender: Lender::new(spec, terms, keys, truth(0)),
            figures: Figures::default(),
        }
    }

    /// What happens from the beginning on.
    fn wake_up(&mut self) {
        self.queue.put(0, Event::Arrival);
        for at in 0..self.sidecars.len() {
            self.queue.put(self.network.below(POLL_MS * 1000), Event::Turn(at));
            if self.options.clock_steps {
                self.queue.put(self.clocks.wait_us(STEP_RATE), Event::Step(at));
            }
        }
        if self.options.clock_steps {
            self.queue.put(0, Event::Look);
        }
    }

    fn happen(&mut self, event: Event, now: Micros) {
        match event {
            Event::Arrival => {
                self.arrive(now);
                let wait = self.arrivals.wait_us(self.per_second);
                self.queue.put(now.saturating_add(wait), Event::Arrival);
            }
            Event::Turn(sidecar) => {
                self.ask(sidecar, true, now);
                self.queue.put(now + POLL_MS * 1000, Event::Turn(sidecar));
            }
            Event::Request(request) => {
                let answer = self.lender.answer(&request, truth(now));
                self.send(Event::Answer(answer), now);
            }
            Event::Answer(answer) => {
                if let Some(sidecar) = self.sidecars.get_mut(answer.to) {
                    sidecar.hear(&answer, truth(now));
                    self.ask(answer.to, false, now);
                }
            }
            Event::Look => {
                for sidecar in &mut self.sidecars {
                    sidecar.look(truth(now));
                }
                self.queue.put(now + LOOK_MS * 1000, Event::Look);
            }
            Event::Step(sidecar) => self.step_clock(sidecar, now),
        }
    }

    /// A request comes, to a sidecar and beside it to an exact limiter.
    fn arrive(&mut self, now: Micros) {
        let (at, truth) = (self.popularity.pick(&mut self.arrivals), truth(now));
        let to = self.somewhere(now);
        let (Some(key), Some(sidecar)) = (self.keys.get_mut(at), self.sidecars.get_mut(to)) else {
            return;
        };
        self.figures.offered += 1;
        if self.spec.take(&mut key.exact, 1, truth).allowed {
            key.passed_exactly.count(truth.0);
        }
        if sidecar.pass(at, self.spec, &self.terms, truth) {
            key.passed.count(truth.0);
        }
        self.ask(to, false, now);
    }

    /// The sidecar that a request comes to.
    fn somewhere(&mut self, now: Micros) -> usize {
        let all = self.sidecars.len().max(1);
        if self.arrivals.chance(0.5) {
            return self.arrivals.place(all);
        }
        let hot = (all / 8).max(1);
        let turn = usize::try_from(now / HOT_FOR).unwrap_or(0);
        (turn.wrapping_mul(hot) + self.arrivals.place(hot)) % all
    }

    /// Lets a sidecar send what it has to say, when it may.
    fn ask(&mut self, at: usize, by_turn: bool, now: Micros) {
        let Some(sidecar) = self.sidecars.get_mut(at) else { return };
        if !sidecar.may_ask(by_turn, now) {
            return;
        }
        let request = sidecar.request(at, &self.terms, &mut self.network, truth(now), now);
        if let Some(request) = request {
            self.figures.messages += 1;
            self.figures.at_once += u64::from(!by_turn);
            self.send(Event::Request(request), now);
        }
    }

    /// The network: a message may be lost, and a copy of it may come late, also of a lost one.
    fn send(&mut self, message: Event, now: Micros) {
        let (least, more) = LATENCY;
        let at = now + least + self.network.below(more);
        let is_lost = self.network.chance(self.options.loss);
        if self.network.chance(self.options.duplicate) {
            self.queue.put(at + self.network.below(LATE), message.clone());
        }
        if !is_lost {
            self.queue.put(at, message);
        }
    }

    fn step_clock(&mut self, at: usize, now: Micros) {
        let size = STEPS_MS.get(self.clocks.place(STEPS_MS.len())).copied().unwrap_or(0);
        let by_ms = if self.clocks.chance(0.5) { size } else { -size };
        if let Some(sidecar) = self.sidecars.get_mut(at) {
            sidecar.step_clock(by_ms);
        }
        let next = now.saturating_add(BETWEEN_STEPS);
        self.queue.put(next.saturating_add(self.clocks.wait_us(STEP_RATE)), Event::Step(at));
    }

    fn figures(mut self) -> Figures {
        for key in &self.keys {
            self.figures.admitted += key.passed.total();
            self.figures.exact += key.passed_exactly.total();
            self.figures.most = self.figures.most.max(key.passed.most());
            self.figures.exact_most = self.figures.exact_most.max(key.passed_exactly.most());
        }
        self.figures
    }
}

//! Keys and arguments of the scripts. Nothing is formatted and little allocated: every decision
//! comes by here.

use std::io::Write as _;

use postern_leases::{LeaseId, late_ms};
use postern_limits::{Algorithm, Anchor, Period, Spec};
use postern_store::volatile::{
    CircuitAsk, GiveBack, LendAsk, LimitAsk, LimitKey, ReplayKey, Take, TakeBack,
};
use redis::cluster_routing::Slot;
use redis::{Cmd, RedisWrite as _};

use crate::script::Scripts;

/// Room for a key and for the arguments of one limit.
const BYTES: usize = 128;
/// What 7 bytes hold.
const LARGEST: u64 = (1 << 56) - 1;
/// The keys of a limit that is leased.
const LEASED: usize = 3;

/// What keys of limits begin with; each algorithm has its own type of value.
const PREFIXES: [&str; 5] = [
    "postern:rate:window:{",
    "postern:rate:bucket:{",
    "postern:rate:gcra:{",
    "postern:rate:log:{",
    "postern:rate:inflight:{",
];
/// Beside the key of a limit that is leased: its leases, and their order.
const LEASE_PREFIXES: [&str; 2] = ["postern:rate:lease:{", "postern:rate:lent:{"];

fn prefix(take: &Take) -> &'static str {
    let [window, bucket, gcra, log, in_flight] = PREFIXES;
    match take {
        Take::Rate { spec, .. } => match spec.algorithm() {
            Algorithm::SlidingWindow | Algorithm::FixedWindow => window,
            Algorithm::TokenBucket => bucket,
            Algorithm::Gcra => gcra,
            Algorithm::SlidingLog => log,
        },
        Take::InFlight { .. } => in_flight,
    }
}

/// The binding limits and then those that are only tried out: the order in which they are asked.
pub(crate) fn ordered(limits: &[LimitAsk]) -> impl Iterator<Item = &LimitAsk> {
    let binding = limits.iter().filter(|limit| !limit.shadow);
    binding.chain(limits.iter().filter(|limit| limit.shadow))
}

/// One request, for `decide.lua`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// Nothing is taken.
    pub(crate) looks: bool,
    pub(crate) limits: &'a [LimitAsk],
    pub(crate) circuit: Option<&'a CircuitAsk>,
}

impl Question<'_> {
    pub(crate) fn keys(&self) -> usize {
        self.limits.len() + usize::from(self.circuit.is_some())
    }

    fn push_keys(&self, call: &mut Cmd) {
        if let Some(circuit) = self.circuit {
            call.arg(circuit_key(&circuit.service));
        }
        for limit in ordered(self.limits) {
            push_key(call, prefix(&limit.take), limit.key);
        }
    }

    fn push_arguments(&self, call: &mut Cmd) {
        let flags = u8::from(!self.looks)
            | (u8::from(self.circuit.is_some()) << 1)
            | (u8::from(self.repeats_a_key()) << 2);
        let probes = self.circuit.map(|circuit| circuit.settings.probes);
        let interval_ms = probes.map_or(0, |probes| probes.interval_ms.max(1));
        let per_interval = probes.map_or(0, |probes| narrow(probes.per_interval));
        let binding = self.limits.iter().filter(|limit| !limit.shadow).count();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
        let header: [&[u8]; 5] = [
            &[flags],
            &interval(interval_ms),
            &per_interval.to_be_bytes(),
            &count(binding),
            &count(self.keys()),
        ];
        push_bytes(call, &header);
        for limit in ordered(self.limits) {
            push_limit(call, &limit.take);
        }
    }

    /// Then the script has to remember what it has read.
    fn repeats_a_key(&self) -> bool {
        let has_twin = |(at, limit): (usize, &LimitAsk)| {
            self.limits.iter().take(at).any(|before| before.key == limit.key)
        };
        self.limits.iter().enumerate().any(has_twin)
    }
}

/// A call of `decide.lua`, for requests that share it.
pub(crate) fn decide<'q>(
    scripts: &Scripts,
    questions: impl Iterator<Item = Question<'q>> + Clone,
) -> Cmd {
    let keys: usize = questions.clone().map(|question| question.keys()).sum();
    let count = questions.clone().count();
    let mut call = scripts.decide.call(keys, keys + count + keys, (keys + count) * BYTES);
    questions.clone().for_each(|question| question.push_keys(&mut call));
    questions.for_each(|question| question.push_arguments(&mut call));
    call
}

/// A call of `give_back.lua`.
pub(crate) fn give_back(scripts: &Scripts, taken: &[GiveBack]) -> Cmd {
    let mut call = scripts.give_back.call(taken.len(), 2 * taken.len(), taken.len() * BYTES);
    for taken in taken {
        push_key(&mut call, prefix(&taken.take), taken.key);
    }
    for taken in taken {
        push_limit(&mut call, &taken.take);
    }
    call
}

/// A call of `lend.lua`.
pub(crate) fn lend(scripts: &Scripts, lend: &LendAsk) -> Cmd {
    let LendAsk { key, spec, terms, ask } = lend;
    let mut call = scripts.lend.call(LEASED, 6 + LEASED, 4 * BYTES);
    let limit = push_leased(&mut call, *key, *spec);
    push_id(&mut call, ask.id);
    // Nobody gets more at once than there can be: the script's numbers stay small.
    call.arg(ask.asked.min(spec.capacity()));
    call.arg(terms.cap(*spec)).arg(terms.life_ms()).arg(late_ms(*spec));
    push_limit(&mut call, &limit);
    call
}

/// A call of `take_back.lua`.
pub(crate) fn take_back(scripts: &Scripts, back: &TakeBack) -> Cmd {
    let TakeBack { key, spec, id, unused } = back;
    let mut call = scripts.take_back.call(LEASED, 4 + LEASED, 4 * BYTES);
    let limit = push_leased(&mut call, *key, *spec);
    push_id(&mut call, *id);
    call.arg((*unused).min(spec.capacity())).arg(late_ms(*spec));
    push_limit(&mut call, &limit);
    call
}

/// The keys of a limit that is leased, and what is looked at to begin with.
fn push_leased(call: &mut Cmd, key: LimitKey, spec: Spec) -> Take {
    let limit = Take::Rate { spec, cost: 0 };
    push_key(call, prefix(&limit), key);
    for prefix in LEASE_PREFIXES {
        push_key(call, prefix, key);
    }
    limit
}

/// Forgets a key, whatever it counts.
pub(crate) fn forget(key: LimitKey) -> Cmd {
    let mut command = redis::cmd("DEL");
    for prefix in PREFIXES.into_iter().chain(LEASE_PREFIXES) {
        push_key(&mut command, prefix, key);
    }
    command
}

/// One command, so that of two at the same time one is the first.
pub(crate) fn remember(key: ReplayKey, keep_ms: u64) -> Cmd {
    let mut command = redis::cmd("SET");
    command.arg(format!("postern:dpop:jti:{{{}}}", key.to_hex()));
    command.arg(1).arg("NX").arg("PX").arg(keep_ms.max(1));
    command
}

/// Where a cluster keeps an owner's keys.
pub(crate) fn slot(key: LimitKey) -> Slot {
    let mut owner = [0; 16];
    hex(&key.owner.to_be_bytes(), &mut owner);
    Slot::for_key(owner)
}

/// The hash of a circuit.
pub(crate) fn circuit_key(service: &str) -> String {
    format!("postern:circuit:{{{service}}}")
}

fn push_key(command: &mut Cmd, prefix: &str, key: LimitKey) {
    let (mut owner, mut hash) = ([0; 16], [0; 32]);
    hex(&key.owner.to_be_bytes(), &mut owner);
    hex(&key.hash, &mut hash);
    push_bytes(command, &[prefix.as_bytes(), &owner, b"}:", &hash]);
}

/// One argument, of these parts.
pub(crate) fn push_bytes(command: &mut Cmd, parts: &[&[u8]]) {
    let mut argument = command.writer_for_next_arg();
    for part in parts {
        // A command's own memory takes whatever is written.
        let _ = argument.write_all(part);
    }
}

fn push_id(command: &mut Cmd, id: LeaseId) {
    let mut text = [0; 32];
    hex(&id.0, &mut text);
    push_bytes(command, &[&text]);
}

/// As `limits.lua` has it.
fn push_limit(command: &mut Cmd, take: &Take) {
    let (letter, numbers, id) = match *take {
        Take::Rate { spec, cost } => {
            // What never fits does not fit by one: the scripts' numbers stay small.
            let cost = cost.min(spec.capacity().saturating_add(1));
            let (letter, period) = letter_and_period(spec);
            (letter, [cost, spec.rate().requests(), period, spec.tick_ms(), spec.burst()], None)
        }
        Take::InFlight { spec, id } => {
            (b'i', [1, u64::from(spec.max()), spec.life_ms(), 0, 0], Some(id))
        }
    };
    let mut argument = command.writer_for_next_arg();
    let _ = argument.write_all(&[letter]);
    for one in numbers {
        let _ = argument.write_all(&number(one));
    }
    if let Some(id) = id {
        let _ = write!(argument, "{id}");
    }
}

/// How a script knows an algorithm, and its period as that one counts it.
fn letter_and_period(spec: Spec) -> (u8, u64) {
    let rate = spec.rate();
    match (spec.algorithm(), spec.anchor(), rate.period()) {
        (Algorithm::SlidingWindow, ..) => (b'w', spec.period_ticks()),
        (Algorithm::TokenBucket, ..) => (b'b', spec.period_ticks()),
        (Algorithm::Gcra, ..) => (b'g', spec.period_ticks()),
        (Algorithm::SlidingLog, ..) => (b'l', rate.period_ms()),
        (Algorithm::FixedWindow, Anchor::FirstHit, _) => (b'h', rate.period_ms()),
        (Algorithm::FixedWindow, Anchor::Clock, Period::Month) => (b'm', rate.period_ms()),
        (Algorithm::FixedWindow, Anchor::Clock, Period::Millis(_)) => (b'f', rate.period_ms()),
    }
}

/// As many probes as an interval may have.
fn narrow(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX).max(1)
}

/// 5 bytes, the highest first: 34 years.
fn interval(millis: u64) -> [u8; 5] {
    let [_, _, _, bytes @ ..] = millis.min((1 << 40) - 1).to_be_bytes();
    bytes
}

/// 7 bytes, the highest first; more than that holds is as good as what it holds.
fn number(number: u64) -> [u8; 7] {
    let [_, bytes @ ..] = number.min(LARGEST).to_be_bytes();
    bytes
}

/// Lower-case hexadecimal, of as many bytes as there is room for.
fn hex(bytes: &[u8], text: &mut [u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
    let (pairs, _) = text.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
}

#[cfg(test)]
mod tests;

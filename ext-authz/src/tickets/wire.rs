//! What a ticket says, as bytes.
//!
//! Each thing that was taken begins with a byte whose low half says when it is given back and
//! whose high half what it is, the owner (8 bytes) and the hash (16) of the limit's key. Then, 8
//! bytes a number:
//!
//! - of a rate: algorithm and anchor (a byte each), requests, period in milliseconds (0 is a
//!   month), burst, cost;
//! - of requests under way: how many, for how long, and the request's id.

use postern_limits::{Algorithm, Anchor, InFlight, Period, Rate, Spec};
use postern_request::UnixMillis;
use postern_store::volatile::{GiveBack, LimitKey, Take};

use super::{GiveBackWhen, Owed};

const VERSION: u8 = 1;
const RATE: u8 = 0x10;
const IN_FLIGHT: u8 = 0x20;
/// What the longest thing takes: a rate.
pub(super) const MAX_OWED_BYTES: usize = 1 + 8 + 16 + 2 + 4 * 8;

/// By their places in a ticket. New ones go to the end.
const WHENS: [GiveBackWhen; 3] =
    [GiveBackWhen::Ended, GiveBackWhen::Successful, GiveBackWhen::Failed];
const ALGORITHMS: [Algorithm; 5] = [
    Algorithm::SlidingWindow,
    Algorithm::SlidingLog,
    Algorithm::TokenBucket,
    Algorithm::Gcra,
    Algorithm::FixedWindow,
];
const ANCHORS: [Anchor; 2] = [Anchor::Clock, Anchor::FirstHit];

/// What was read.
pub(super) struct Read {
    pub(super) issued: UnixMillis,
    pub(super) owed: Vec<Owed>,
    pub(super) shared_by: Option<u64>,
}

pub(super) fn begin(now: UnixMillis, random: u64, shared_by: Option<u64>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160);
    bytes.push(VERSION);
    // A share of none is one of all.
    let shared_by = shared_by.map_or(0, |replicas| replicas.max(1));
    bytes.extend([now.0, random, shared_by].into_iter().flat_map(u64::to_be_bytes));
    bytes
}

pub(super) fn push(bytes: &mut Vec<u8>, owed: &Owed) {
    let GiveBack { key, take } = owed.taken;
    let kind = match take {
        Take::Rate { .. } => RATE,
        Take::InFlight { .. } => IN_FLIGHT,
    };
    bytes.push(kind | place(&WHENS, owed.when));
    bytes.extend(key.owner.to_be_bytes());
    bytes.extend(key.hash);
    let numbers = match take {
        Take::Rate { spec, cost } => {
            bytes.push(place(&ALGORITHMS, spec.algorithm()));
            bytes.push(place(&ANCHORS, spec.anchor()));
            let period_ms = match spec.rate().period() {
                Period::Millis(millis) => millis.get(),
                Period::Month => 0,
            };
            [Some(spec.rate().requests()), Some(period_ms), Some(spec.burst()), Some(cost)]
        }
        Take::InFlight { spec, id } => {
            [Some(u64::from(spec.max())), Some(spec.life_ms()), Some(id), None]
        }
    };
    bytes.extend(numbers.into_iter().flatten().flat_map(u64::to_be_bytes));
}

/// None where anything is not as it was written.
pub(super) fn read(bytes: &[u8]) -> Option<Read> {
    let mut rest = Rest(bytes);
    let [VERSION] = rest.take()? else { return None };
    let (issued, _random) = (UnixMillis(rest.number()?), rest.number()?);
    let shared_by = Some(rest.number()?).filter(|replicas| *replicas > 0);
    let mut owed = Vec::new();
    while !rest.0.is_empty() {
        owed.push(read_owed(&mut rest)?);
    }
    Some(Read { issued, owed, shared_by })
}

fn read_owed(rest: &mut Rest<'_>) -> Option<Owed> {
    let [tag] = rest.take()?;
    let when = *WHENS.get(usize::from(tag & 0xf))?;
    let key = LimitKey { owner: rest.number()?, hash: rest.take()? };
    let take = match tag & 0xf0 {
        RATE => {
            let [algorithm, anchor] = rest.take()?;
            let algorithm = *ALGORITHMS.get(usize::from(algorithm))?;
            let anchor = *ANCHORS.get(usize::from(anchor))?;
            let (requests, period_ms) = (rest.number()?, rest.number()?);
            let (burst, cost) = (rest.number()?, rest.number()?);
            let rate = match period_ms {
                0 => Rate::monthly(requests),
                _ => Rate::new(requests, period_ms),
            };
            let has_burst = matches!(algorithm, Algorithm::TokenBucket | Algorithm::Gcra);
            let burst = has_burst.then_some(burst);
            Take::Rate { spec: Spec::new(algorithm, rate.ok()?, burst, anchor).ok()?, cost }
        }
        IN_FLIGHT => {
            let max = u32::try_from(rest.number()?).ok()?;
            let spec = InFlight::new(max, rest.number()?).ok()?;
            Take::InFlight { spec, id: rest.number()? }
        }
        _ => return None,
    };
    Some(Owed { taken: GiveBack { key, take }, when })
}

/// Where something stands among its like.
fn place<T: PartialEq + Copy>(all: &[T], one: T) -> u8 {
    let place = all.iter().position(|known| *known == one);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(0xf)
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

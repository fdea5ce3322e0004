//! A breaker as bytes, for shared data.

use postern_request::UnixMillis;
use postern_request::little_endian::{Reader, Writer};

use super::Breaker;
use crate::window::SLOTS;
use crate::{Gate, State, Totals, Window};

/// How many bytes a [`Breaker`] takes.
pub const BREAKER_BYTES: usize = 121;

/// The first byte. Another one for every other layout.
const FORMAT: u8 = 1;

impl Breaker {
    /// The breaker as bytes, little-endian: format, state, failed recoveries (1 each), when a
    /// probe may go or the interval began (8), probes of the interval, those not heard of,
    /// successes (2 each), run (4), the window's newest slot (8) and how long a slot is (2), and
    /// calls, failures and slow ones of each slot (3 each).
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BREAKER_BYTES] {
        let Self { gate, run, window } = self;
        let mut bytes = [0; BREAKER_BYTES];
        let mut to = Writer::new(&mut bytes);
        to.put([FORMAT, state_as_byte(gate.state), gate.failed]);
        to.put(gate.at.0.to_le_bytes());
        for number in [gate.probes, gate.pending, gate.successes] {
            to.put(number.to_le_bytes());
        }
        to.put(run.to_le_bytes());
        to.put(window.newest.to_le_bytes());
        to.put(window.slot_ms.to_le_bytes());
        for Totals { calls, failures, slow } in window.slots {
            for number in [calls, failures, slow] {
                // A slot counts no further.
                let [b0, b1, b2, _] = number.to_le_bytes();
                to.put([b0, b1, b2]);
            }
        }
        bytes
    }

    /// Reads what [`Breaker::to_bytes`] wrote; anything else is a breaker that knows nothing.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        read(bytes).unwrap_or_default()
    }
}

fn read(bytes: &[u8]) -> Option<Breaker> {
    let mut from = Reader::new(bytes);
    let [format, state, failed] = from.get::<3>()?;
    if format != FORMAT {
        return None;
    }
    let gate = Gate {
        state: state_of_byte(state)?,
        failed,
        at: UnixMillis(u64::from_le_bytes(from.get()?)),
        probes: from.short()?,
        pending: from.short()?,
        successes: from.short()?,
    };
    let run = from.number()?;
    let newest = u64::from_le_bytes(from.get()?);
    let slot_ms = from.short()?;
    let mut slots = [Totals::default(); SLOTS];
    for slot in &mut slots {
        *slot = Totals {
            calls: third(&mut from)?,
            failures: third(&mut from)?,
            slow: third(&mut from)?,
        };
        if slot.failures > slot.calls || slot.slow > slot.calls {
            return None;
        }
    }
    from.is_empty().then_some(Breaker { gate, run, window: Window { slot_ms, newest, slots } })
}

fn third(from: &mut Reader<'_>) -> Option<u32> {
    let [b0, b1, b2] = from.get::<3>()?;
    Some(u32::from_le_bytes([b0, b1, b2, 0]))
}

const fn state_as_byte(state: State) -> u8 {
    match state {
        State::Closed => 0,
        State::Open => 1,
        State::HalfOpen => 2,
    }
}

fn state_of_byte(byte: u8) -> Option<State> {
    State::ALL.into_iter().find(|state| state_as_byte(*state) == byte)
}

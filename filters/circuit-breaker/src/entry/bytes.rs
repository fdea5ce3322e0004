//! An entry as bytes, for shared data.

use postern_circuit::{BREAKER_BYTES, Breaker, State};
use postern_filter_shared_data::cells::Cell;
use postern_request::UnixMillis;
use postern_request::little_endian::{Reader, Writer};

use super::{Entry, Said, Tally};

/// All that is not the breaker: the first byte, what was said (28), the tally (six times 4), when
/// calls were refused.
const OWN_BYTES: usize = 1 + 28 + 24 + 8;
const BYTES: usize = OWN_BYTES + BREAKER_BYTES;

/// The first byte of a service that is well: every call passes, and no failure has come since the
/// last success. Who finds it need not read on.
const WELL: u8 = 1;

/// Whether what lies in shared data says that a service is well.
pub(crate) fn is_well(bytes: &[u8]) -> bool {
    bytes.first().is_none_or(|first| *first == WELL)
}

impl Cell for Entry {
    const PREFIX: &'static str = "postern.circuit.2.";

    fn read(bytes: &[u8]) -> Self {
        read(bytes).unwrap_or_default()
    }

    fn write(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        let Self { breaker, said, tally, refused_at } = self;
        let mut bytes = vec![0; BYTES];
        let mut to = Writer::new(&mut bytes);
        let is_well = self.is_closed() && self.run() == 0;
        to.put([if is_well { WELL } else { 0 }]);
        to.put([u8::try_from(said.state.as_metric()).unwrap_or_default(), said.forced.into()]);
        to.put(said.told.0.to_le_bytes());
        to.put(said.retry_after_ms.to_le_bytes());
        to.put(said.probes.to_le_bytes());
        to.put(said.granted.0.to_le_bytes());
        to.put(said.life_ms.to_le_bytes());
        let Tally { calls, failures, slow, refused, through, failed } = *tally;
        for number in [calls, failures, slow, refused, through, failed] {
            to.put(number.to_le_bytes());
        }
        to.put(refused_at.0.to_le_bytes());
        to.put(breaker.to_bytes());
        bytes
    }
}

fn read(bytes: &[u8]) -> Option<Entry> {
    let (own, breaker) = bytes.split_at_checked(OWN_BYTES)?;
    if breaker.len() != BREAKER_BYTES {
        return None;
    }
    let mut from = Reader::new(own);
    let [_, state, forced] = from.get::<3>()?;
    let said = Said {
        state: *State::ALL.get(usize::from(state))?,
        forced: forced == 1,
        told: UnixMillis(u64::from_le_bytes(from.get()?)),
        retry_after_ms: from.number()?,
        probes: from.short()?,
        granted: UnixMillis(u64::from_le_bytes(from.get()?)),
        life_ms: from.number()?,
    };
    let tally = Tally {
        calls: from.number()?,
        failures: from.number()?,
        slow: from.number()?,
        refused: from.number()?,
        through: from.number()?,
        failed: from.number()?,
    };
    let refused_at = UnixMillis(u64::from_le_bytes(from.get()?));
    Some(Entry { breaker: Breaker::from_bytes(breaker), said, tally, refused_at })
}

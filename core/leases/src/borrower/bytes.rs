//! A borrower as bytes, little-endian, for stores that keep bytes.

use postern_request::UnixMillis;
use postern_request::little_endian::{Reader, Writer};

use super::{Borrower, MAX_BOOST};
use crate::demand::Demand;
use crate::lender::LeaseId;

/// How many bytes an encoded [`Borrower`] has.
pub const ENCODED_BYTES: usize = 64;

/// A moment is kept in 48 bits of milliseconds: until the year 10889.
pub(super) const MAX_MOMENT: u64 = (1 << 48) - 1;

const HOLDS: u8 = 1;
const REFUSED: u8 = 2;
const RAN_DRY: u8 = 4;

impl Borrower {
    /// The state as bytes: lease id (16), born, reset (6 each), life, seen, debt (2 each), granted,
    /// left, demand's rate, count and second, remaining, short (4 each), flags, boost (1 each).
    #[must_use]
    pub fn encode(&self) -> [u8; ENCODED_BYTES] {
        let mut bytes = [0; ENCODED_BYTES];
        let mut to = Writer::new(&mut bytes);
        to.put(self.id.0);
        for moment in [self.born, self.reset_at] {
            let [b0, b1, b2, b3, b4, b5, _, _] = moment.0.min(MAX_MOMENT).to_le_bytes();
            to.put([b0, b1, b2, b3, b4, b5]);
        }
        // No allowance is larger.
        let debt = u16::try_from(self.debt).unwrap_or(u16::MAX);
        for short in [self.life_ms, self.seen_ms, debt] {
            to.put(short.to_le_bytes());
        }
        for number in [
            self.granted,
            self.left,
            self.demand.rate,
            self.demand.counted,
            self.demand.since,
            self.remaining,
            self.short,
        ] {
            to.put(number.to_le_bytes());
        }
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags =
            flag(self.holds, HOLDS) | flag(self.refused, REFUSED) | flag(self.ran_dry, RAN_DRY);
        to.put([flags, self.boost]);
        bytes
    }

    /// Reads what [`Borrower::encode`] wrote; anything else is a borrower that knows nothing.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let id = LeaseId(from.get::<16>()?);
        let (born, reset_at) = (moment(&mut from)?, moment(&mut from)?);
        let (life_ms, seen_ms, debt) = (from.short()?, from.short()?, from.short()?);
        let (granted, left) = (from.number()?, from.number()?);
        let demand =
            Demand { rate: from.number()?, counted: from.number()?, since: from.number()? };
        let (remaining, short) = (from.number()?, from.number()?);
        let [flags, boost] = from.get::<2>()?;
        let known = flags & !(HOLDS | REFUSED | RAN_DRY) == 0 && boost <= MAX_BOOST;
        if !known || left > granted || !from.is_empty() {
            return None;
        }
        let is_set = |bit: u8| flags & bit != 0;
        Some(Self {
            id,
            holds: is_set(HOLDS),
            born,
            life_ms,
            seen_ms,
            granted,
            left,
            debt: u32::from(debt),
            demand,
            remaining,
            reset_at,
            refused: is_set(REFUSED),
            ran_dry: is_set(RAN_DRY),
            short,
            boost,
        })
    }
}

fn moment(from: &mut Reader<'_>) -> Option<UnixMillis> {
    let [b0, b1, b2, b3, b4, b5] = from.get::<6>()?;
    Some(UnixMillis(u64::from_le_bytes([b0, b1, b2, b3, b4, b5, 0, 0])))
}

//! What the slots of shared data hold here.

use postern_filter_shared_data::cells::Cell;
use postern_limits::slot::Slot;

use crate::seats::Seats;

/// The states of one slot.
#[derive(Default)]
pub(crate) struct Rates(pub(crate) Slot);

impl Cell for Rates {
    const PREFIX: &'static str = "postern.rate.";

    fn read(bytes: &[u8]) -> Self {
        Self(Slot::decode(bytes))
    }

    fn write(&self) -> Vec<u8> {
        self.0.encode()
    }
}

impl Cell for Seats {
    const PREFIX: &'static str = "postern.seats.";

    fn read(bytes: &[u8]) -> Self {
        Self::decode(bytes)
    }

    fn write(&self) -> Vec<u8> {
        self.encode()
    }
}

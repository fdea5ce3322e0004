//! What a request has taken and may get back.

use postern_document::Skip;
use postern_filter_shared_data::SharedData;
use postern_filter_shared_data::cells::Cells;
use postern_limits::Spec;
use postern_limits::slot::Place;
use postern_request::UnixMillis;

use crate::cells::Rates;
use crate::seats::{self, Seats};

/// What one limit gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// So much of a rate.
    Cost {
        place: Place,
        spec: Spec,
        cost: u64,
        /// Which answers get it back.
        skip: Option<Skip>,
    },
    /// A seat, until the request has ended.
    Seat {
        place: Place,
        /// The stretch of time that it is counted in.
        stretch: u64,
    },
}

impl Taken {
    /// Whether it depends on how the request goes on.
    pub(crate) const fn is_owed(&self) -> bool {
        matches!(self, Self::Cost { skip: Some(_), .. } | Self::Seat { .. })
    }

    pub(crate) fn put_back(&self, cells: &mut Cells<'_>, now: UnixMillis) {
        match *self {
            Self::Cost { place, spec, cost, .. } => {
                cells.change(place.slot, |rates: &mut Rates| {
                    rates.0.give_back(place.fingerprint, spec, cost, now);
                });
            }
            Self::Seat { place, stretch } => leave(cells, place, stretch),
        }
    }
}

fn leave(cells: &mut Cells<'_>, place: Place, stretch: u64) {
    cells.change(seats::slot(place), |seats: &mut Seats| seats.leave(place.fingerprint, stretch));
}

/// What may have to be given back when more is known of a request: by its answer what limits with
/// `skip` took, by its end what those by `in_flight` did. Empty for requests that no such limit
/// counted.
///
/// Keep it with the stream. A ticket that is lost costs no memory: seats have an end of life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ticket {
    taken: Vec<Taken>,
}

impl Ticket {
    pub(crate) const fn of(taken: Vec<Taken>) -> Self {
        Self { taken }
    }

    /// Whether nothing can become due any more.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// Takes over what another one holds.
    pub fn append(&mut self, other: Self) {
        self.taken.extend(other.taken);
    }

    /// The request was refused elsewhere after all, and counts nowhere.
    pub fn put_back(&mut self, shared: &dyn SharedData, now: UnixMillis) {
        let mut cells = Cells::new(shared);
        self.taken.drain(..).for_each(|taken| taken.put_back(&mut cells, now));
    }

    /// The request passes: what no answer and no end gives back is forgotten.
    pub fn confirm(&mut self) {
        self.taken.retain(Taken::is_owed);
    }

    /// The answer is there, and `successful` or not ([`Skip::is_successful`]): what limits took
    /// that do not count such answers is given back. Once; a second call finds nothing.
    pub fn settle(&mut self, shared: &dyn SharedData, successful: bool, now: UnixMillis) {
        let mut cells = Cells::new(shared);
        self.taken.retain(|taken| {
            let Taken::Cost { skip, .. } = taken else { return true };
            if skip.is_some_and(|skip| skip.gives_back(successful)) {
                taken.put_back(&mut cells, now);
            }
            false
        });
    }

    /// The request has ended, however it did: its seats are free.
    ///
    /// What no answer has settled stays counted. Whoever hangs up before the answer would get
    /// past every limit that skips failures otherwise.
    pub fn release(&mut self, shared: &dyn SharedData) {
        let mut cells = Cells::new(shared);
        for taken in self.taken.drain(..) {
            if let Taken::Seat { place, stretch } = taken {
                leave(&mut cells, place, stretch);
            }
        }
    }
}

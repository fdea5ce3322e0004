//! What a worker was configured with, as all of its work on leases needs it.

use core::cell::Cell;

use postern_filter_local_rate_limit::hash;
use postern_leases::LeaseId;
use postern_limits::slot::Place;
use postern_request::UnixMillis;

use crate::Settings;

/// Sets what is drawn apart from all else that is hashed with the seed: keys begin with a digit.
const DRAWN: &[u8; 8] = b"lease id";

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) settings: Settings,
    /// Of the document.
    pub(crate) digest: String,
    seed: u128,
    /// Numbers drawn so far.
    drawn: Cell<u64>,
}

impl Stage {
    pub(crate) const fn new(settings: Settings, digest: String, seed: u128) -> Self {
        Self { settings, digest, seed, drawn: Cell::new(0) }
    }

    /// Where a key is: here by [`crate::slots::slot`], and as it stands among what is counted
    /// locally.
    pub(crate) fn place(&self, key: &str) -> Place {
        Place::of(hash(self.seed, key.as_bytes()))
    }

    /// An id that nobody has drawn and nobody outside can guess: whoever knows one can return
    /// the lease. The seed is the process's own, and within it no two draws are by the same
    /// worker, of the same number and at the same time.
    pub(crate) fn draw(&self, now: UnixMillis) -> LeaseId {
        let drawn = self.drawn.get().wrapping_add(1);
        self.drawn.set(drawn);
        let numbers = [u64::from(self.settings.vm), drawn, now.0].map(u64::to_le_bytes);
        let text = [DRAWN.as_slice(), numbers.as_flattened()].concat();
        LeaseId(hash(self.seed, &text).to_le_bytes())
    }

    /// Whole ticks that cover so many milliseconds.
    pub(crate) fn ticks(&self, millis: u64) -> u64 {
        millis.div_ceil(self.settings.tick_ms.max(1))
    }
}

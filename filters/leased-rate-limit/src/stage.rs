//! What a worker was configured with, as all of its work on leases needs it.

use core::cell::Cell;
use std::sync::Arc;

use postern_document::{Document, Limit, LimitMode};
use postern_filter_local_rate_limit::hash;
use postern_leases::LeaseId;
use postern_limits::slot::Place;
use postern_request::{Principal, UnixMillis};

use crate::Settings;
use crate::entry::Source;

/// Sets what is drawn apart from all else that is hashed with the seed: keys begin with a digit.
const DRAWN: &[u8; 8] = b"lease id";

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) settings: Settings,
    /// Of the document.
    pub(crate) digest: String,
    /// Tells one document from another.
    document: u32,
    /// Those that the document leases, in its order.
    limits: Vec<Arc<Limit>>,
    seed: u128,
    /// Numbers drawn so far.
    drawn: Cell<u64>,
}

impl Stage {
    pub(crate) fn new(settings: Settings, document: &Document, seed: u128) -> Self {
        let is_leased = |limit: &&Arc<Limit>| matches!(limit.mode, LimitMode::Leased { .. });
        let digest = hash(seed, document.digest.as_bytes()) & u128::from(u32::MAX);
        Self {
            settings,
            digest: document.digest.clone(),
            document: u32::try_from(digest).unwrap_or_default(),
            limits: document.limits.iter().filter(is_leased).cloned().collect(),
            seed,
            drawn: Cell::new(0),
        }
    }

    /// Where a key is: here by [`crate::slots::slot`], and as it stands among what is counted
    /// locally.
    pub(crate) fn place(&self, key: &str) -> Place {
        Place::of(hash(self.seed, key.as_bytes()))
    }

    /// Whether these are the numbers of this worker's document.
    pub(crate) const fn knows(&self, source: Source) -> bool {
        source.document == self.document
    }

    /// What a caller's slices of a limit are cut from.
    pub(crate) fn source(&self, limit: &Limit, principal: Option<&Principal>) -> Source {
        let place = self.limits.iter().position(|known| known.name == limit.name);
        Source {
            document: self.document,
            // There is no such limit: then nobody asks for it.
            limit: place.and_then(|at| u16::try_from(at).ok()).unwrap_or(u16::MAX),
            allowance: limit.allowance_index_for(principal),
        }
    }

    pub(crate) fn limit(&self, source: Source) -> Option<&Limit> {
        let limit = self.limits.get(usize::from(source.limit));
        limit.filter(|_| self.knows(source)).map(|limit| &**limit)
    }

    /// How long leases of it live.
    pub(crate) fn life_ms(&self, source: Source) -> Option<u64> {
        match self.limit(source)?.mode {
            LimitMode::Leased { terms, .. } => Some(terms.life_ms()),
            LimitMode::Local | LimitMode::Exact { .. } => None,
        }
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

//! What a request has spent and may get back.

use postern_document::Skip;
use postern_filter_local_rate_limit as local;
use postern_filter_shared_data::SharedData;
use postern_filter_shared_data::cells::Cells;
use postern_leases::LeaseId;
use postern_request::UnixMillis;

use crate::slots::Entries;

/// What one limit gave.
#[derive(Debug)]
pub(crate) enum Given {
    /// Part of a slice, or credit.
    Spent(Spent),
    /// What was counted locally, because no leases could be had.
    Counted(local::Ticket),
    /// The document lets pass what cannot be counted.
    Nothing,
}

/// Part of a slice, or credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) slot: u32,
    pub(crate) fingerprint: u64,
    /// The slice; what is given back when that has ended is the lender's already.
    pub(crate) from: Option<LeaseId>,
    pub(crate) cost: u64,
    /// Which answers get it back.
    pub(crate) skip: Option<Skip>,
}

/// What has to be given back when the answer is one that does not count. Empty for requests that
/// no limit with `skip` counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ticket {
    spent: Vec<Spent>,
    counted: local::Ticket,
}

impl Ticket {
    pub(crate) fn add(&mut self, given: Given) {
        match given {
            Given::Spent(spent) => self.spent.push(spent),
            Given::Counted(counted) => self.counted.append(counted),
            Given::Nothing => {}
        }
    }

    /// Whether nothing can become due any more.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.spent.is_empty() && self.counted.is_empty()
    }

    /// The request was refused after all, and counts nowhere.
    pub fn put_back(&mut self, shared: &dyn SharedData, now: UnixMillis) {
        let mut cells = Cells::new(shared);
        self.spent.drain(..).for_each(|spent| spent.put_back(&mut cells));
        self.counted.put_back(shared, now);
    }

    /// The request passes: what no answer gives back is forgotten.
    pub fn confirm(&mut self) {
        self.spent.retain(|spent| spent.skip.is_some());
        self.counted.confirm();
    }

    /// The answer is there, and `successful` or not ([`Skip::is_successful`]): what limits took
    /// that do not count such answers is given back. Once; a second call finds nothing.
    ///
    /// What no answer settles stays counted: whoever hangs up before it gets nothing back.
    pub fn settle(&mut self, shared: &dyn SharedData, successful: bool, now: UnixMillis) {
        let mut cells = Cells::new(shared);
        for spent in self.spent.drain(..) {
            if spent.skip.is_some_and(|skip| skip.gives_back(successful)) {
                spent.put_back(&mut cells);
            }
        }
        self.counted.settle(shared, successful, now);
    }
}

impl Spent {
    fn put_back(&self, cells: &mut Cells<'_>) {
        cells.change(self.slot, |entries: &mut Entries| {
            if let Some(entry) = entries.get(self.fingerprint) {
                entry.borrower.give_back(self.from, self.cost);
            }
        });
    }
}

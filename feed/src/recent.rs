//! The last records in the order in which they came, for deltas.

use std::collections::VecDeque;

use postern_revocation::Record;

/// The last records. Expired ones stay until they are pushed out: a delta with one too many
/// does no harm, one with too few would.
pub(crate) struct Recent {
    ring: VecDeque<(u64, Record)>,
    most: usize,
    /// The sequence number of the last record.
    cursor: u64,
    /// Records up to here are gone from the ring.
    floor: u64,
}

impl Recent {
    pub(crate) const fn new(most: usize) -> Self {
        Self { ring: VecDeque::new(), most, cursor: 0, floor: 0 }
    }

    pub(crate) const fn cursor(&self) -> u64 {
        self.cursor
    }

    pub(crate) fn push(&mut self, seq: u64, record: Record) {
        while self.ring.len() >= self.most {
            let Some((gone, _)) = self.ring.pop_front() else { break };
            self.floor = gone;
        }
        self.ring.push_back((seq, record));
        self.cursor = seq;
    }

    /// Nothing to keep under this number.
    pub(crate) const fn skip(&mut self, seq: u64) {
        self.cursor = seq;
    }

    /// What came after `cursor`, up to `limit` records, and how far that goes. None when some of
    /// it is gone.
    pub(crate) fn since(&self, cursor: u64, limit: usize) -> Option<(Vec<Record>, u64)> {
        if cursor < self.floor {
            return None;
        }
        let start = self.ring.partition_point(|(seq, _)| *seq <= cursor);
        let some: Vec<&(u64, Record)> = self.ring.range(start..).take(limit).collect();
        let last = some.last().map_or(cursor, |(seq, _)| *seq);
        let all = start.saturating_add(some.len()) == self.ring.len();
        let until = if all { self.cursor } else { last };
        Some((some.into_iter().map(|(_, record)| *record).collect(), until))
    }
}

//! Values of shared data that several workers change.

use postern_filter_shared_data::SharedData;
use postern_limits::slot::Slot;

use crate::seats::Seats;

/// How often a write is tried again when another worker was faster. Each round lets one of
/// them through, so more rounds than workers are needed only by bad luck.
const ATTEMPTS: u32 = 32;

/// What one key of shared data holds.
pub(crate) trait Cell: Default {
    /// What its keys begin with; the slot's number follows. Shared data outlives a module, so
    /// whoever changes the form changes this too.
    const PREFIX: &'static str;

    /// Reads it; whatever it has not written is an empty one.
    fn read(bytes: &[u8]) -> Self;

    fn write(&self) -> Vec<u8>;
}

impl Cell for Slot {
    const PREFIX: &'static str = "postern.rate.";

    fn read(bytes: &[u8]) -> Self {
        Self::decode(bytes)
    }

    fn write(&self) -> Vec<u8> {
        self.encode()
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

/// Shared data, and what it took to write there.
pub(crate) struct Cells<'a> {
    shared: &'a dyn SharedData,
    /// Writes that were repeated.
    pub(crate) conflicts: u32,
}

impl<'a> Cells<'a> {
    pub(crate) fn new(shared: &'a dyn SharedData) -> Self {
        Self { shared, conflicts: 0 }
    }

    /// Reads a slot, changes it, writes it back; again when another worker was faster. When luck
    /// runs out, the last answer stands without having been written: one request is not counted.
    pub(crate) fn change<C: Cell, T>(
        &mut self,
        slot: u32,
        mut change: impl FnMut(&mut C) -> T,
    ) -> T {
        let key = key::<C>(slot);
        let mut attempt = 0;
        loop {
            let found = self.shared.get(&key);
            let mut cell = found.as_ref().map_or_else(C::default, |(bytes, _)| C::read(bytes));
            let answer = change(&mut cell);
            let written = self.shared.set(&key, &cell.write(), found.map(|(_, version)| version));
            if written || attempt == ATTEMPTS {
                return answer;
            }
            attempt += 1;
            self.conflicts += 1;
        }
    }
}

/// The name of a slot in shared data.
pub(crate) fn key<C: Cell>(slot: u32) -> String {
    let mut key = String::with_capacity(C::PREFIX.len() + 4);
    key.push_str(C::PREFIX);
    key.push_str(&slot.to_string());
    key
}

//! Values that several workers change: read, changed, written back, and again when another worker
//! was faster.

use crate::SharedData;

/// How often a write is tried again when another worker was faster. Each round lets one of
/// them through, so more rounds than workers are needed only by bad luck.
const ATTEMPTS: u32 = 32;

/// What one of a fixed number of places holds. The default is an empty one.
pub trait Cell: Default {
    /// What its keys begin with; the slot's number follows, or the name of what it is about.
    /// Shared data outlives a module, so whoever changes the form changes this too.
    const PREFIX: &'static str;

    /// Reads it; whatever it has not written is an empty one. An empty one is no bytes.
    fn read(bytes: &[u8]) -> Self;

    /// Its bytes.
    fn write(&self) -> Vec<u8>;
}

/// The key of a slot in shared data.
#[must_use]
pub fn key<C: Cell>(slot: u32) -> String {
    named::<C>(&slot.to_string())
}

/// The key of what is about something of this name: of a document, never of a request.
#[must_use]
pub fn named<C: Cell>(name: &str) -> String {
    [C::PREFIX, name].concat()
}

/// Shared data, and what it took to write there.
pub struct Cells<'a> {
    shared: &'a dyn SharedData,
    /// Writes that were repeated.
    pub conflicts: u32,
}

impl<'a> Cells<'a> {
    /// Slots in `shared`.
    #[must_use]
    pub fn new(shared: &'a dyn SharedData) -> Self {
        Self { shared, conflicts: 0 }
    }

    /// Reads a slot, changes it, writes it back; again when another worker was faster. When luck
    /// runs out, the last answer stands without having been written: one request is not counted.
    pub fn change<C: Cell, T>(&mut self, slot: u32, change: impl FnMut(&mut C) -> T) -> T {
        self.attempt(&key::<C>(slot), change).0
    }

    /// The same, for those who must not act on what was not written: none when luck runs out.
    pub fn try_change<C: Cell, T>(
        &mut self,
        slot: u32,
        change: impl FnMut(&mut C) -> T,
    ) -> Option<T> {
        self.try_change_at(&key::<C>(slot), change)
    }

    /// The same of what has this key.
    pub fn try_change_at<C: Cell, T>(
        &mut self,
        key: &str,
        change: impl FnMut(&mut C) -> T,
    ) -> Option<T> {
        let (answer, written) = self.attempt(key, change);
        written.then_some(answer)
    }

    /// What stays as it is needs no write: who only looks costs the others no retry.
    fn attempt<C: Cell, T>(&mut self, key: &str, mut change: impl FnMut(&mut C) -> T) -> (T, bool) {
        let mut attempt = 0;
        loop {
            let (found, version) = self.shared.get(key).unzip();
            let found = found.unwrap_or_default();
            let mut cell = C::read(&found);
            let answer = change(&mut cell);
            let changed = cell.write();
            let written = changed == found || self.shared.set(key, &changed, version);
            if written || attempt == ATTEMPTS {
                return (answer, written);
            }
            attempt += 1;
            self.conflicts += 1;
        }
    }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use super::*;
    use crate::Memory;

    #[derive(Default)]
    struct Count(Vec<u8>);

    impl Cell for Count {
        const PREFIX: &'static str = "count.";

        fn read(bytes: &[u8]) -> Self {
            Self(bytes.to_vec())
        }

        fn write(&self) -> Vec<u8> {
            self.0.clone()
        }
    }

    fn add(cells: &mut Cells<'_>) -> Option<usize> {
        cells.try_change(7, |count: &mut Count| {
            count.0.push(b'x');
            count.0.len()
        })
    }

    #[test]
    fn whoever_is_slower_tries_again() {
        let shared = Memory::default();
        let mut cells = Cells::new(&shared);
        assert_eq!(add(&mut cells), Some(1));
        shared.conflicts.set(3);
        assert_eq!((add(&mut cells), cells.conflicts), (Some(2), 3));
        assert_eq!(shared.get("count.7").unwrap().0, b"xx");
    }

    #[test]
    fn what_has_a_name_has_a_key_of_its_own() {
        let shared = Memory::default();
        let (mut cells, key) = (Cells::new(&shared), named::<Count>("orders"));
        let push = |count: &mut Count| count.0.push(b'x');
        assert_eq!(cells.try_change_at(&key, push), Some(()));
        assert_eq!(shared.get("count.orders").unwrap().0, b"x");
    }

    #[test]
    fn when_luck_runs_out_the_answer_is_told_apart() {
        let shared = Memory::default();
        let mut cells = Cells::new(&shared);
        shared.conflicts.set(ATTEMPTS + 1);
        assert_eq!(add(&mut cells), None);
        shared.conflicts.set(ATTEMPTS + 1);
        assert_eq!(cells.change(7, |_: &mut Count| 5), 5, "nothing to write");
        assert_eq!(shared.keys(), 0);
    }

    #[test]
    fn a_look_writes_nothing() {
        let shared = Memory::default();
        let mut cells = Cells::new(&shared);
        let length = |count: &mut Count| count.0.len();
        assert_eq!(cells.change(7, length), 0);
        assert_eq!((shared.keys(), shared.calls.get()), (0, 1));
        add(&mut cells);
        let before = shared.calls.get();
        assert_eq!(cells.change(7, length), 1);
        assert_eq!(shared.calls.get(), before + 1);
    }
}

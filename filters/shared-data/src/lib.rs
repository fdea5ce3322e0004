//! Shared data: values that all workers of one process see.
//!
//! Envoy keeps them in one map under one mutex, copies whole values in and out, and never
//! forgets a key. So whoever uses the port has a fixed set of keys, and values of a bounded size:
//! [`cells`] are such.

pub mod cells;

/// Values that all workers of one process see, with compare-and-swap.
pub trait SharedData {
    /// A value and its version.
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)>;

    /// Writes where the version is still `version`; with none, where there is no value yet.
    /// False when somebody else was faster.
    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool;

    /// Writes whatever is there.
    fn put(&self, key: &str, value: &[u8]);
}

#[cfg(feature = "memory")]
pub use memory::Memory;

#[cfg(feature = "memory")]
mod memory {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::SharedData;

    /// One process's shared data. Can let another worker be faster.
    #[derive(Debug, Default)]
    pub struct Memory {
        values: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
        /// So many of the next writes fail.
        pub conflicts: Cell<u32>,
        /// Calls so far, reads and writes.
        pub calls: Cell<u64>,
    }

    impl Memory {
        /// How many keys there are.
        #[must_use]
        pub fn keys(&self) -> usize {
            self.values.borrow().len()
        }

        /// Bytes of the longest value.
        #[must_use]
        pub fn longest(&self) -> usize {
            self.values.borrow().values().map(|(value, _)| value.len()).max().unwrap_or_default()
        }
    }

    impl SharedData for Memory {
        fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
            self.calls.set(self.calls.get() + 1);
            self.values.borrow().get(key).cloned()
        }

        fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
            self.calls.set(self.calls.get() + 1);
            if self.conflicts.get() > 0 {
                self.conflicts.set(self.conflicts.get() - 1);
                return false;
            }
            let mut values = self.values.borrow_mut();
            let current = values.get(key).map(|(_, version)| *version);
            if current != version {
                return false;
            }
            values.insert(key.to_owned(), (value.to_vec(), current.unwrap_or(0) + 1));
            true
        }

        fn put(&self, key: &str, value: &[u8]) {
            self.calls.set(self.calls.get() + 1);
            let mut values = self.values.borrow_mut();
            let version = values.get(key).map_or(1, |(_, version)| version + 1);
            values.insert(key.to_owned(), (value.to_vec(), version));
        }
    }
}

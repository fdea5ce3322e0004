//! Slots that want a slice: any worker says so by a bit in shared data, and the elected one looks
//! there.

use postern_filter_shared_data::SharedData;

use crate::slots::{SlotSet, WORDS};

const WANTED: &str = "postern.lease.wanted";
/// How often the bits are written again when another worker was faster. Whoever is not heard
/// says it again.
const ATTEMPTS: u32 = 3;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    pub(crate) slots: SlotSet,
    /// Somewhere a request found nothing.
    pub(crate) is_urgent: bool,
}

impl Wanted {
    /// What was said since this was last asked.
    pub(crate) fn collect(shared: &dyn SharedData) -> Self {
        for _ in 0..ATTEMPTS {
            let (found, version) = shared.get(WANTED).unzip();
            let wanted = found.as_deref().map(Self::decode).unwrap_or_default();
            if wanted == Self::default() || shared.set(WANTED, &[], version) {
                return wanted;
            }
        }
        Self::default()
    }

    pub(crate) fn add(&mut self, others: &Self) {
        self.slots.add(&others.slots);
        self.is_urgent |= others.is_urgent;
    }

    fn decode(bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut wanted = Self::default();
        if words.len() == WORDS && rest.len() == 1 {
            for (word, bytes) in wanted.slots.0.iter_mut().zip(words) {
                *word = u64::from_le_bytes(*bytes);
            }
            wanted.is_urgent = rest == [1];
        }
        wanted
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(WORDS * 8 + 1);
        self.slots.0.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        bytes.push(u8::from(self.is_urgent));
        bytes
    }
}

/// Says that a slot wants something.
pub(crate) fn want(shared: &dyn SharedData, slot: u32, is_urgent: bool) {
    for _ in 0..ATTEMPTS {
        let (found, version) = shared.get(WANTED).unzip();
        let said = found.as_deref().map(Wanted::decode).unwrap_or_default();
        let mut wanted = said;
        wanted.slots.insert(slot);
        wanted.is_urgent |= is_urgent;
        if wanted == said || shared.set(WANTED, &wanted.encode(), version) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_filter_shared_data::Memory;

    #[test]
    fn what_is_said_is_heard_once() {
        let shared = Memory::default();
        assert_eq!(Wanted::collect(&shared), Wanted::default());
        assert_eq!(shared.keys(), 0);
        want(&shared, 3, false);
        want(&shared, 1023, true);
        want(&shared, 3, false);
        let heard = Wanted::collect(&shared);
        assert_eq!(heard.slots.walk(0).collect::<Vec<_>>(), [3, 1023]);
        assert!(heard.is_urgent);
        assert_eq!(Wanted::collect(&shared), Wanted::default());
        want(&shared, 5, false);
        assert!(!Wanted::collect(&shared).is_urgent);
    }

    #[test]
    fn who_is_slower_says_it_again_and_then_gives_up() {
        let shared = Memory::default();
        shared.conflicts.set(2);
        want(&shared, 3, false);
        shared.conflicts.set(1);
        assert!(Wanted::collect(&shared).slots.contains(3));
        shared.conflicts.set(ATTEMPTS);
        want(&shared, 3, false);
        assert_eq!((Wanted::collect(&shared), shared.keys()), (Wanted::default(), 1));
    }

    #[test]
    fn what_was_not_written_here_says_nothing() {
        let shared = Memory::default();
        for bytes in [&[0xff; 128][..], &[0xff; 130], b"x"] {
            shared.put(WANTED, bytes);
            assert_eq!(Wanted::collect(&shared), Wanted::default());
        }
        want(&shared, 0, true);
        assert!(Wanted::collect(&shared).slots.contains(0));
    }
}

//! What changed last: a VM that has missed little adds that to its own copy of the filter, and
//! need not read it all.

use postern_filter_shared_data::SharedData;
use postern_revocation::Fingerprint;

use crate::tagged::{self, Overtaken};

/// Generations that are kept: a VM that has missed more reads the whole filter.
pub(crate) const LOG: u32 = 64;
/// Most fingerprints of one entry; a greater change is told as "read it all".
const MOST_LOGGED: usize = 4096;

/// Before an entry's fingerprints.
const LISTED: u8 = 1;
/// In place of them.
const READ_ALL: u8 = 0;

fn key(generation: u32) -> String {
    format!(name!("log.{}"), generation % LOG)
}

/// Says what a generation has added. Where another VM has said so before, and no head has named
/// the generation yet, both are told.
pub(crate) fn write(
    shared: &dyn SharedData,
    generation: u32,
    added: &[Fingerprint],
) -> Result<(), Overtaken> {
    tagged::update(shared, &key(generation), generation, |value| {
        let before = match &value {
            None => Vec::new(),
            // It says "read it all" already, or none.
            Some(value) => decode(value, generation)?,
        };
        let mut entry = generation.to_le_bytes().to_vec();
        if before.len().saturating_add(added.len()) <= MOST_LOGGED {
            entry.push(LISTED);
            let all = before.iter().chain(added);
            all.for_each(|one| entry.extend_from_slice(&one.0.to_le_bytes()));
        } else {
            entry.push(READ_ALL);
        }
        Some(entry)
    })
}

/// What a generation has added; none when the log does not say.
pub(crate) fn read(shared: &dyn SharedData, generation: u32) -> Option<Vec<Fingerprint>> {
    let (value, _) = shared.get(&key(generation))?;
    decode(&value, generation)
}

fn decode(value: &[u8], generation: u32) -> Option<Vec<Fingerprint>> {
    let (kind, rest) = tagged::of(value, generation)?.split_first()?;
    let (fingerprints, left_over) = rest.as_chunks();
    (*kind == LISTED && left_over.is_empty())
        .then(|| fingerprints.iter().map(|one| Fingerprint(u64::from_le_bytes(*one))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_filter_shared_data::Memory;

    fn some(numbers: core::ops::Range<u64>) -> Vec<Fingerprint> {
        numbers.map(Fingerprint).collect()
    }

    #[test]
    fn entries_are_kept_for_a_while() {
        let shared = Memory::default();
        for generation in 1..=100 {
            write(&shared, generation, &some(0..u64::from(generation))).unwrap();
        }
        assert_eq!(read(&shared, 100), Some(some(0..100)));
        assert_eq!(read(&shared, 37), Some(some(0..37)));
        assert_eq!(read(&shared, 36), None);
        assert_eq!(write(&shared, 36, &[]), Err(Overtaken), "nobody turns the log back");
    }

    #[test]
    fn two_who_write_one_generation_are_both_heard() {
        let shared = Memory::default();
        write(&shared, 1, &some(0..3)).unwrap();
        write(&shared, 1, &some(3..5)).unwrap();
        assert_eq!(read(&shared, 1), Some(some(0..5)));
        write(&shared, 1, &some(0..4_095)).unwrap();
        assert_eq!(read(&shared, 1), None, "too much to list");
        write(&shared, 1, &some(0..1)).unwrap();
        assert_eq!(read(&shared, 1), None, "and it stays so");
    }
}

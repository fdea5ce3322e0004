//! The filter over all records in shared data, in pieces of 16 KiB.
//!
//! A VM that has read all pieces need not look at a bucket for nearly every token. Pieces of one
//! filter only ever gain bits, and they gain those of a record before the head tells of it: what
//! is read now holds all that any head has told of until now.

use postern_filter_shared_data::SharedData;
use postern_revocation::{Bloom, Fingerprint, Layout};

use crate::tagged::{self, Overtaken, TAG_BYTES};

fn key(filter: u32, segment: usize) -> String {
    format!(name!("filter.{}.{}"), filter & 1, segment)
}

/// Writes a whole filter as the one after `after`; its number. Two megabytes, for a million
/// records: about a millisecond.
pub(crate) fn write(shared: &dyn SharedData, after: u32, bloom: &Bloom) -> Result<u32, Overtaken> {
    let mut segments = bloom.segments().enumerate();
    let (_, first) = segments.next().ok_or(Overtaken)?;
    let filter = tagged::claim(shared, after, |filter| key(filter, 0), first)?;
    for (number, bytes) in segments {
        let value = |_: Option<Vec<u8>>| Some(tagged::tagged(filter, bytes));
        tagged::update(shared, &key(filter, number), filter, value)?;
    }
    Ok(filter)
}

/// Adds fingerprints to the pieces that they belong to. It needs no filter of its own, so a VM
/// that has read only half of it can do it.
pub(crate) fn add(
    shared: &dyn SharedData,
    filter: u32,
    layout: Layout,
    fingerprints: &[Fingerprint],
) -> Result<(), Overtaken> {
    let of = |fingerprint: &Fingerprint| (layout.segment_of(*fingerprint), *fingerprint);
    let mut places: Vec<(usize, Fingerprint)> = fingerprints.iter().map(of).collect();
    places.sort_unstable();
    for group in places.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((segment, _)) = group.first() else { continue };
        tagged::update(shared, &key(filter, *segment), filter, |value| {
            // A piece that is not this filter's cannot be mended here: nobody can read the whole
            // of it any more, and a new one is made.
            let mut value = value?;
            let (_, bytes) = value.split_at_mut_checked(TAG_BYTES)?;
            group.iter().for_each(|(_, fingerprint)| layout.insert(bytes, *fingerprint));
            Some(value)
        })?;
    }
    Ok(())
}

/// Reads a piece into a VM's own copy; false where it is not there.
pub(crate) fn read(shared: &dyn SharedData, filter: u32, segment: usize, into: &mut Bloom) -> bool {
    shared.get(&key(filter, segment)).is_some_and(|(value, _)| {
        tagged::of(&value, filter).is_some_and(|bytes| into.set_segment(segment, bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_filter_shared_data::Memory;

    fn fingerprint(at: u64) -> Fingerprint {
        Fingerprint(at.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn read_all(shared: &Memory, filter: u32, layout: Layout) -> Option<Bloom> {
        let mut bloom = Bloom::with_layout(layout);
        (0..layout.segments()).all(|at| read(shared, filter, at, &mut bloom)).then_some(bloom)
    }

    #[test]
    fn what_is_written_and_added_is_read() {
        let shared = Memory::default();
        let mut bloom = Bloom::with_capacity(50_000);
        let layout = bloom.layout();
        (0..500).for_each(|at| bloom.insert(fingerprint(at)));
        let filter = write(&shared, 0, &bloom).unwrap();
        let later: Vec<Fingerprint> = (500..900).map(fingerprint).collect();
        add(&shared, filter, layout, &later).unwrap();
        let read = read_all(&shared, filter, layout).unwrap();
        assert!((0..900).all(|at| read.may_contain(fingerprint(at))));
        later.iter().for_each(|one| bloom.insert(*one));
        assert_eq!(read, bloom);
    }

    #[test]
    fn the_filter_in_use_stays_whole_while_the_next_one_is_written() {
        let shared = Memory::default();
        let (small, large) = (Bloom::with_capacity(1), Bloom::with_capacity(60_000));
        let first = write(&shared, 0, &large).unwrap();
        let second = write(&shared, first, &small).unwrap();
        assert!(read_all(&shared, first, large.layout()).is_some());
        assert!(read_all(&shared, second, small.layout()).is_some());
        let third = write(&shared, second, &large).unwrap();
        assert_eq!(read_all(&shared, first, large.layout()), None, "the third lies there");
        assert!(read_all(&shared, third, large.layout()).is_some());
        // Somebody who still thinks that the first one is in use.
        let added = add(&shared, first, large.layout(), &[fingerprint(1)]);
        assert_eq!(added, Err(Overtaken));
    }
}

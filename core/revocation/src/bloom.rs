//! A Bloom filter: "surely not revoked" for nearly every good token, in one cache line.

use core::fmt;

use crate::fingerprint::Fingerprint;

/// Bytes of a segment, the pieces in which a filter is handed around.
pub const SEGMENT_BYTES: usize = 16 * 1024;
/// More entries are not planned for: what is beyond costs accuracy, never a false "surely not".
/// The filter has 24 MB then.
pub const MAX_ENTRIES: u64 = 1 << 24;

/// One key lies within one block, a cache line.
const BLOCK_BYTES: usize = 64;
const BLOCKS_PER_SEGMENT: u64 = 256;
const BLOCKS_IN_SEGMENT: usize = SEGMENT_BYTES / BLOCK_BYTES;
const BITS_PER_SEGMENT: u64 = 131_072;
/// With 12 bits an entry, one absent key in some two hundred looks present.
const BITS_PER_ENTRY: u64 = 12;

/// How a filter lies in its bytes: the same for all filters of one capacity. With it a piece is
/// written to where the rest of the filter is not at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    blocks: u64,
}

impl Layout {
    /// That of filters for so many entries, in whole segments.
    #[must_use]
    pub fn for_entries(entries: u64) -> Self {
        let bits = entries.min(MAX_ENTRIES) * BITS_PER_ENTRY;
        let segments = bits.div_ceil(BITS_PER_SEGMENT).max(1);
        Self { blocks: segments * BLOCKS_PER_SEGMENT }
    }

    /// How many entries it is made for: past it strangers look like members more often.
    #[must_use]
    pub const fn capacity(self) -> u64 {
        self.blocks / BLOCKS_PER_SEGMENT * BITS_PER_SEGMENT / BITS_PER_ENTRY
    }

    /// How many pieces of [`SEGMENT_BYTES`] there are.
    #[must_use]
    pub fn segments(self) -> usize {
        usize::try_from(self.blocks / BLOCKS_PER_SEGMENT).unwrap_or(1)
    }

    /// The number of the piece that a fingerprint's bits are in.
    #[must_use]
    pub fn segment_of(self, fingerprint: Fingerprint) -> usize {
        self.block_of(fingerprint) / BLOCKS_IN_SEGMENT
    }

    /// Adds a fingerprint to its own piece, see [`Layout::segment_of`].
    pub fn insert(self, segment: &mut [u8], fingerprint: Fingerprint) {
        let within = self.block_of(fingerprint) % BLOCKS_IN_SEGMENT;
        let (blocks, _) = segment.as_chunks_mut::<BLOCK_BYTES>();
        if let Some(block) = blocks.get_mut(within) {
            set_bits(block, fingerprint);
        }
    }

    /// A multiply-shift of the lowest 32 bits: those that say the bucket are not among them, so
    /// that one bucket's entries spread over all blocks.
    fn block_of(self, fingerprint: Fingerprint) -> usize {
        let low = fingerprint.0 & u64::from(u32::MAX);
        usize::try_from((low * self.blocks) >> 32).unwrap_or(usize::MAX)
    }
}

/// A set of fingerprints that never denies a member and seldom takes a stranger for one.
///
/// It cannot forget: a smaller or larger set, or one without what has expired, is a new filter.
/// Two filters of one [`Layout`] have the same places, so segments of one fit into the other.
#[derive(Clone, PartialEq, Eq)]
pub struct Bloom {
    /// Whole segments.
    bytes: Vec<u8>,
    layout: Layout,
}

impl Bloom {
    /// An empty filter for so many entries, in whole segments.
    #[must_use]
    pub fn with_capacity(entries: u64) -> Self {
        Self::with_layout(Layout::for_entries(entries))
    }

    /// An empty filter.
    #[must_use]
    pub fn with_layout(layout: Layout) -> Self {
        Self { bytes: vec![0; layout.segments().saturating_mul(SEGMENT_BYTES)], layout }
    }

    /// How it lies in its bytes.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// How many entries it is made for.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.layout.capacity()
    }

    /// Adds a fingerprint.
    pub fn insert(&mut self, fingerprint: Fingerprint) {
        let (blocks, _) = self.bytes.as_chunks_mut::<BLOCK_BYTES>();
        if let Some(block) = blocks.get_mut(self.layout.block_of(fingerprint)) {
            set_bits(block, fingerprint);
        }
    }

    /// False only for what was never added.
    #[must_use]
    pub fn may_contain(&self, fingerprint: Fingerprint) -> bool {
        let (blocks, _) = self.bytes.as_chunks::<BLOCK_BYTES>();
        blocks.get(self.layout.block_of(fingerprint)).is_none_or(|block| {
            let (lanes, _) = block.as_chunks::<8>();
            lanes
                .iter()
                .zip(bits_of(fingerprint))
                .all(|(lane, bit)| u64::from_le_bytes(*lane) & bit != 0)
        })
    }

    /// The filter in pieces of [`SEGMENT_BYTES`].
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &[u8]> + '_ {
        self.bytes.chunks(SEGMENT_BYTES)
    }

    /// Puts a piece in place; whether it is one of this filter's size and number.
    #[must_use]
    pub fn set_segment(&mut self, index: usize, segment: &[u8]) -> bool {
        match self.bytes.chunks_mut(SEGMENT_BYTES).nth(index) {
            Some(place) if place.len() == segment.len() => {
                place.copy_from_slice(segment);
                true
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Bloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bloom({} segments)", self.segments().len())
    }
}

fn set_bits(block: &mut [u8; BLOCK_BYTES], fingerprint: Fingerprint) {
    let (lanes, _) = block.as_chunks_mut::<8>();
    for (lane, bit) in lanes.iter_mut().zip(bits_of(fingerprint)) {
        *lane = (u64::from_le_bytes(*lane) | bit).to_le_bytes();
    }
}

/// One bit in each of a block's eight lanes of 64.
fn bits_of(fingerprint: Fingerprint) -> [u64; 8] {
    let mixed = mix(fingerprint.0);
    core::array::from_fn(|lane| 1 << ((mixed >> (6 * lane)) & 63))
}

/// The finaliser of SplitMix64: within a block, the bits must not follow from the block.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Fingerprints as a keyed hash gives them: even, and without any order.
    fn fingerprint(at: u64) -> Fingerprint {
        Fingerprint(mix(at.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1)))
    }

    /// How many of so many strangers look like members, in a filter with so many entries.
    fn false_positives(bloom: &mut Bloom, entries: u64, strangers: u64) -> u64 {
        for at in 0..entries {
            bloom.insert(fingerprint(at));
        }
        let of = |at: &u64| bloom.may_contain(fingerprint(*at));
        assert!((0..entries).all(|at| of(&at)), "a member was denied");
        let found = (entries..entries + strangers).filter(of).count();
        u64::try_from(found).unwrap()
    }

    #[test]
    fn at_capacity_fewer_than_one_stranger_in_a_hundred_passes_for_a_member() {
        for entries in [1, 10_000, 200_000] {
            let mut bloom = Bloom::with_capacity(entries);
            assert!(bloom.capacity() >= entries);
            let full = bloom.capacity();
            let strangers = 200_000;
            let found = false_positives(&mut bloom, full, strangers);
            assert!(found * 100 < strangers, "{found} of {strangers} at {full} entries");
        }
    }

    #[test]
    fn beyond_capacity_it_gets_worse_and_denies_no_member() {
        let mut bloom = Bloom::with_capacity(1);
        let full = bloom.capacity();
        let found = false_positives(&mut bloom, full * 4, 10_000);
        assert!(found > 1_000, "{found}");
    }

    #[test]
    fn an_empty_filter_holds_nothing() {
        let bloom = Bloom::with_capacity(0);
        assert_eq!(bloom.segments().len(), 1);
        assert!(!(0..1_000).any(|at| bloom.may_contain(fingerprint(at))));
    }

    #[test]
    fn a_million_entries_take_a_megabyte_and_a_half() {
        let bloom = Bloom::with_capacity(1_000_000);
        assert_eq!(bloom.segments().len(), 92);
        assert_eq!(format!("{bloom:?}"), "Bloom(92 segments)");
    }

    #[test]
    fn a_fingerprint_changes_the_segment_that_is_its_own() {
        let mut bloom = Bloom::with_capacity(100_000);
        for at in 0..1_000 {
            let before: Vec<Vec<u8>> = bloom.segments().map(<[u8]>::to_vec).collect();
            bloom.insert(fingerprint(at));
            let changed = bloom.segments().zip(&before).position(|(after, before)| after != before);
            assert!(
                changed.is_none_or(|segment| segment == bloom.layout().segment_of(fingerprint(at)))
            );
        }
    }

    #[test]
    fn absurd_numbers_are_bounded() {
        let most = Bloom::with_capacity(u64::MAX);
        assert_eq!(most.segments().len(), 1_536);
        assert_eq!(most.capacity(), MAX_ENTRIES);
    }

    #[test]
    fn a_filter_is_rebuilt_from_its_segments() {
        let mut bloom = Bloom::with_capacity(30_000);
        for at in 0..30_000 {
            bloom.insert(fingerprint(at));
        }
        let mut copy = Bloom::with_capacity(bloom.capacity());
        for (index, segment) in bloom.segments().enumerate() {
            assert!(copy.set_segment(index, segment));
        }
        assert_eq!(copy, bloom);
        assert!(!copy.set_segment(bloom.segments().len(), &[0; SEGMENT_BYTES]));
        assert!(!copy.set_segment(0, &[0; SEGMENT_BYTES - 1]));
        assert!(!copy.set_segment(0, &[]));
        assert_eq!(copy, bloom, "what does not fit changes nothing");
    }

    #[test]
    fn a_piece_is_written_to_without_the_rest() {
        let mut whole = Bloom::with_capacity(50_000);
        let layout = whole.layout();
        let mut pieces = vec![vec![0; SEGMENT_BYTES]; layout.segments()];
        for at in 0..50_000 {
            whole.insert(fingerprint(at));
            layout.insert(&mut pieces[layout.segment_of(fingerprint(at))], fingerprint(at));
        }
        assert!(whole.segments().eq(pieces.iter().map(Vec::as_slice)));
        layout.insert(&mut [], fingerprint(1));
    }

    proptest! {
        #[test]
        fn whatever_was_added_is_found(
            added in prop::collection::vec(any::<u64>(), 0..200), capacity in 0_u64..50_000,
        ) {
            let mut bloom = Bloom::with_capacity(capacity);
            added.iter().for_each(|bits| bloom.insert(Fingerprint(*bits)));
            prop_assert!(added.iter().all(|bits| bloom.may_contain(Fingerprint(*bits))));
        }

        #[test]
        fn one_capacity_is_one_layout(entries in 0_u64..3_000_000) {
            let bloom = Bloom::with_capacity(entries);
            let again = Bloom::with_capacity(bloom.capacity());
            prop_assert_eq!(again.segments().len(), bloom.segments().len());
            prop_assert!(bloom.capacity() >= entries);
        }
    }
}

//! What the elected VM tells the others: one short value, written last.
//!
//! Buckets, filter, log and keys are written before the head that speaks of them, so a VM that
//! has read a head finds everything that it promises.

use postern_filter_shared_data::SharedData;

const HEAD: &str = name!("head");
/// As in the names: what is of another format counts as no head, and is written over.
const FORMAT: u8 = 3;

/// Where the elected VM has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// Grows with every change of what is revoked; names the log's entries.
    pub(crate) generation: u32,
    /// Grows with every answer of the server after which nothing is missing.
    pub(crate) beat: u32,
    /// The set of records that counts; 0 before there is one.
    pub(crate) set: u32,
    /// The filter over them; grows when one is made anew.
    pub(crate) filter: u32,
    /// Entries that the filter was made for.
    pub(crate) capacity: u32,
    /// Entries that have been put into it. It forgets none.
    pub(crate) filtered: u32,
    /// Records in all buckets.
    pub(crate) records: u32,
    /// How far behind its store the server was when it answered, in milliseconds.
    pub(crate) behind_ms: u32,
    /// Grows with every change of a key set.
    pub(crate) keys: u32,
    /// The number of the VM that wrote it.
    pub(crate) writer: u32,
    /// Whether a snapshot has been applied to its end.
    pub(crate) synced: bool,
    /// Of the durable store.
    pub(crate) epoch: u64,
    /// How far its records have been applied.
    pub(crate) cursor: u64,
    /// The wall clock at the last beat: tells a VM that has just started how old all this is.
    pub(crate) answered_ms: u64,
    /// See [`crate::clock`].
    pub(crate) steady_ms: u64,
    /// Of the fingerprints.
    pub(crate) key: [u8; 16],
}

/// Bytes of the numbers with 32 bits, and of those with 64.
const SMALL_BYTES: usize = 11 * 4;
const LARGE_BYTES: usize = 4 * 8;
const BYTES: usize = 1 + SMALL_BYTES + LARGE_BYTES + 16;

impl Head {
    /// The head; none before the first answer.
    pub(crate) fn read(shared: &dyn SharedData) -> Option<Self> {
        Self::load(shared).0
    }

    /// The head, and the version of what lies in its place, which may be no head.
    pub(crate) fn load(shared: &dyn SharedData) -> (Option<Self>, Option<u32>) {
        let (bytes, version) = shared.get(HEAD).unzip();
        (bytes.and_then(|bytes| Self::decode(&bytes)), version)
    }

    /// Writes the head where nobody else has since `version`.
    pub(crate) fn write(&self, shared: &dyn SharedData, version: Option<u32>) -> bool {
        shared.set(HEAD, &self.encode(), version)
    }

    /// Writes the head as it is, as `writer`, and says its new version; none when somebody else
    /// was faster. Whoever has loaded it before cannot write it any more: nothing that others
    /// have begun is ever finished, and what is begun now lies in nobody's way.
    pub(crate) fn fence(
        &mut self,
        shared: &dyn SharedData,
        version: Option<u32>,
        writer: u32,
    ) -> Option<u32> {
        self.writer = writer;
        if !self.write(shared, version) {
            return None;
        }
        let (found, version) = Self::load(shared);
        version.filter(|_| found == Some(*self))
    }

    /// Whether it tells of a whole set of this epoch.
    pub(crate) const fn is_of(&self, epoch: u64) -> bool {
        self.synced && self.epoch == epoch
    }

    fn encode(&self) -> Vec<u8> {
        let small = [
            self.generation,
            self.beat,
            self.set,
            self.filter,
            self.capacity,
            self.filtered,
            self.records,
            self.behind_ms,
            self.keys,
            self.writer,
            u32::from(self.synced),
        ];
        let large = [self.epoch, self.cursor, self.answered_ms, self.steady_ms];
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(FORMAT);
        small.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        large.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        bytes.extend_from_slice(&self.key);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first()?;
        let (small, rest) = rest.split_at_checked(SMALL_BYTES)?;
        let (large, key) = rest.split_at_checked(LARGE_BYTES)?;
        if *format != FORMAT {
            return None;
        }
        let mut small = small.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number));
        let mut large = large.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number));
        Some(Self {
            generation: small.next()?,
            beat: small.next()?,
            set: small.next()?,
            filter: small.next()?,
            capacity: small.next()?,
            filtered: small.next()?,
            records: small.next()?,
            behind_ms: small.next()?,
            keys: small.next()?,
            writer: small.next()?,
            synced: small.next()? == 1,
            epoch: large.next()?,
            cursor: large.next()?,
            answered_ms: large.next()?,
            steady_ms: large.next()?,
            key: key.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_filter_shared_data::Memory;

    fn head() -> Head {
        Head {
            generation: 1,
            beat: 2,
            set: 3,
            filter: 4,
            capacity: 5,
            filtered: 6,
            records: 7,
            behind_ms: 8,
            keys: 9,
            writer: 14,
            synced: true,
            epoch: u64::MAX,
            cursor: 10,
            answered_ms: 11,
            steady_ms: 12,
            key: [13; 16],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let shared = Memory::default();
        assert_eq!(Head::load(&shared), (None, None));
        assert!(head().write(&shared, None));
        let (read, version) = Head::load(&shared);
        assert_eq!(read, Some(head()));
        assert!(!head().write(&shared, None), "somebody was faster");
        assert!(head().write(&shared, version));
    }

    #[test]
    fn a_head_of_another_format_is_none_and_is_written_over() {
        let whole = head().encode();
        assert_eq!(whole.len(), BYTES);
        let mut other = whole.clone();
        other[0] = FORMAT + 1;
        // The first format: seven numbers, epoch, cursor and key, and nothing before them.
        let mut first = vec![0; 60];
        first[0] = FORMAT;
        let longer = [&whole[..], &[0]].concat();
        for value in [&other, &first, &longer, &whole[..BYTES - 1].to_vec(), &Vec::new()] {
            let shared = Memory::default();
            shared.put(HEAD, value);
            let (read, version) = Head::load(&shared);
            assert_eq!(read, None, "{value:?}");
            assert!(head().write(&shared, version));
            assert_eq!(Head::read(&shared), Some(head()));
        }
    }
}

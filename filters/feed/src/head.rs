//! What the elected VM tells the others: one short value, written last.
//!
//! Buckets, filter and log are written before the head that speaks of them, so a VM that has
//! read a head finds everything that it promises.

use postern_filter_shared_data::SharedData;

const HEAD: &str = "postern.feed.head";

/// Where the elected VM has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// Grows with every change of what is revoked; names the log's entries.
    pub(crate) generation: u32,
    /// Grows with every answer of the server, changes or none.
    pub(crate) beat: u32,
    /// Grows when the filter is written anew; even and odd ones lie in different places.
    pub(crate) filter: u32,
    /// Entries that the filter was made for.
    pub(crate) capacity: u32,
    /// Records in all buckets.
    pub(crate) records: u32,
    /// How far behind its store the server was when it answered, in milliseconds.
    pub(crate) behind_ms: u32,
    /// Whether a snapshot has been applied to its end.
    pub(crate) synced: bool,
    /// Of the durable store.
    pub(crate) epoch: u64,
    /// How far its records have been applied.
    pub(crate) cursor: u64,
    /// Of the fingerprints.
    pub(crate) key: [u8; 16],
}

impl Head {
    /// The head and its version; none before the first answer.
    pub(crate) fn read(shared: &dyn SharedData) -> Option<(Self, u32)> {
        let (bytes, version) = shared.get(HEAD)?;
        Some((Self::decode(&bytes)?, version))
    }

    /// Writes the head where nobody else has since `version`.
    pub(crate) fn write(&self, shared: &dyn SharedData, version: Option<u32>) -> bool {
        shared.set(HEAD, &self.encode(), version)
    }

    fn encode(&self) -> Vec<u8> {
        let numbers = [
            self.generation,
            self.beat,
            self.filter,
            self.capacity,
            self.records,
            self.behind_ms,
            u32::from(self.synced),
        ];
        let mut bytes = Vec::with_capacity(60);
        numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.cursor.to_le_bytes());
        bytes.extend_from_slice(&self.key);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut number = || {
            let (first, others) = rest.split_first_chunk()?;
            rest = others;
            Some(u32::from_le_bytes(*first))
        };
        let (generation, beat, filter) = (number()?, number()?, number()?);
        let (capacity, records, behind_ms, synced) = (number()?, number()?, number()?, number()?);
        let (epoch, rest) = rest.split_first_chunk()?;
        let (cursor, key) = rest.split_first_chunk()?;
        Some(Self {
            generation,
            beat,
            filter,
            capacity,
            records,
            behind_ms,
            synced: synced == 1,
            epoch: u64::from_le_bytes(*epoch),
            cursor: u64::from_le_bytes(*cursor),
            key: key.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_filter_shared_data::Memory;

    #[test]
    fn what_is_written_is_read() {
        let shared = Memory::default();
        assert_eq!(Head::read(&shared), None);
        let head = Head {
            generation: 1,
            beat: 2,
            filter: 3,
            capacity: 4,
            records: 5,
            behind_ms: 6,
            synced: true,
            epoch: u64::MAX,
            cursor: 7,
            key: [8; 16],
        };
        assert!(head.write(&shared, None));
        let (read, version) = Head::read(&shared).unwrap();
        assert_eq!(read, head);
        assert!(!head.write(&shared, None), "somebody was faster");
        assert!(head.write(&shared, Some(version)));
        shared.put(HEAD, b"broken");
        assert_eq!(Head::read(&shared), None);
    }
}

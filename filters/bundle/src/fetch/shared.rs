//! What the VMs of a process tell each other of an issuer's keys: who fetches them, and what
//! came of it.
//!
//! Two values for each issuer of the document, by its place. Shared data never forgets a key and
//! outlives a document, so both say by a tag which source they are of; what is of another one
//! does not count.

use postern_filter_shared_data::SharedData;
use postern_request::UnixMillis;

/// The keys of the two values.
#[derive(Debug)]
pub(crate) struct Places {
    keys: String,
    claim: String,
    tag: u64,
}

/// Who fetches, or why nobody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Claim {
    /// When the last fetch began.
    pub(crate) began: UnixMillis,
    /// Nobody else begins one before: until then an answer may come, or it is no use to ask
    /// again yet.
    pub(crate) until: UnixMillis,
    /// Fetches that failed since the last one that did not.
    pub(crate) failures: u32,
    /// Whether an answer may still come.
    pub(crate) in_flight: bool,
}

impl Places {
    /// Of an issuer's source; `tag` is different for each.
    pub(crate) fn new(issuer: usize, tag: u64) -> Self {
        let keys = format!("postern.keys.{issuer}");
        let claim = format!("{keys}.claim");
        Self { keys, claim, tag }
    }

    /// What was fetched last: when, and the JWK set as it came.
    pub(crate) fn keys(&self, shared: &dyn SharedData) -> Option<(UnixMillis, Vec<u8>)> {
        let (mut bytes, _) = shared.get(&self.keys)?;
        let (fetched_at, _) = self.strip_tag(&bytes)?.split_first_chunk()?;
        let fetched_at = UnixMillis(u64::from_le_bytes(*fetched_at));
        Some((fetched_at, bytes.split_off(16)))
    }

    /// Tells the others.
    pub(crate) fn publish(&self, shared: &dyn SharedData, fetched_at: UnixMillis, jwks: &[u8]) {
        let head = [self.tag.to_le_bytes(), fetched_at.0.to_le_bytes()].concat();
        shared.put(&self.keys, &[head.as_slice(), jwks].concat());
    }

    /// The claim, and the version to replace it by.
    pub(crate) fn claim(&self, shared: &dyn SharedData) -> (Option<Claim>, Option<u32>) {
        let Some((bytes, version)) = shared.get(&self.claim) else { return (None, None) };
        (self.strip_tag(&bytes).and_then(decode), Some(version))
    }

    /// Replaces the claim, where nobody was faster.
    pub(crate) fn set_claim(
        &self,
        shared: &dyn SharedData,
        claim: Claim,
        version: Option<u32>,
    ) -> bool {
        let numbers = [self.tag, claim.began.0, claim.until.0, claim.failures.into()];
        let mut bytes = numbers.map(u64::to_le_bytes).concat();
        bytes.push(u8::from(claim.in_flight));
        shared.set(&self.claim, &bytes, version)
    }

    fn strip_tag<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let (tag, rest) = bytes.split_first_chunk()?;
        (u64::from_le_bytes(*tag) == self.tag).then_some(rest)
    }
}

fn decode(bytes: &[u8]) -> Option<Claim> {
    let (numbers, in_flight) = bytes.split_first_chunk::<24>()?;
    let (numbers, _) = numbers.as_chunks::<8>();
    let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
    Some(Claim {
        began: UnixMillis(numbers.next()?),
        until: UnixMillis(numbers.next()?),
        failures: u32::try_from(numbers.next()?).ok()?,
        in_flight: in_flight == [1],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_filter_shared_data::Memory;

    #[test]
    fn what_is_said_is_heard_by_those_with_the_same_source() {
        let shared = Memory::default();
        let (mine, others) = (Places::new(3, 7), Places::new(3, 8));
        assert_eq!((mine.keys(&shared), mine.claim(&shared)), (None, (None, None)));
        mine.publish(&shared, UnixMillis(5), b"{}");
        assert_eq!(mine.keys(&shared), Some((UnixMillis(5), b"{}".to_vec())));
        assert_eq!(others.keys(&shared), None);
        let (began, until) = (UnixMillis(9), UnixMillis(11));
        let claim = Claim { began, until, failures: 2, in_flight: true };
        assert!(mine.set_claim(&shared, claim, None));
        assert!(!mine.set_claim(&shared, claim, None), "somebody was faster");
        let (found, version) = mine.claim(&shared);
        assert_eq!(found, Some(claim));
        assert_eq!(others.claim(&shared), (None, version), "another document's is in the way");
        assert!(others.set_claim(&shared, Claim::default(), version));
        assert_eq!(mine.claim(&shared).0, None);
    }

    #[test]
    fn what_is_broken_says_nothing() {
        let shared = Memory::default();
        let places = Places::new(0, 7);
        let tag = 7_u64.to_le_bytes();
        for bytes in [&b""[..], b"1234567", &tag, &[&tag[..], b"1234567"].concat()] {
            shared.put("postern.keys.0", bytes);
            shared.put("postern.keys.0.claim", bytes);
            assert_eq!((places.keys(&shared), places.claim(&shared).0), (None, None));
        }
    }
}

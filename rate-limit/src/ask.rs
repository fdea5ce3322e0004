//! What is asked, in our own terms, and what is too much to ask.

use postern_descriptors::{MAX_DEPTH, MAX_PATH_BYTES, Unit};

/// Descriptors that one request may have.
pub const MAX_DESCRIPTORS: usize = 100;
/// Entries that one descriptor may have; no rule is deeper.
pub const MAX_ENTRIES: usize = MAX_DEPTH;
/// Bytes of keys and values in one descriptor, and of a domain.
pub const MAX_TEXT_BYTES: usize = MAX_PATH_BYTES;
/// Hits that one request may count as.
pub const MAX_HITS: u64 = u32::MAX as u64;

/// One request: may it pass?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Whose rules.
    pub domain: String,
    /// What the request is, in as many ways as there are limits for it.
    pub descriptors: Vec<Descriptor>,
}

/// One way to describe a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Keys and values, the outermost first.
    pub entries: Vec<(String, String)>,
    /// A limit that Envoy brings along; it replaces whatever rule there is.
    pub instead: Option<Override>,
    /// How much the request counts.
    pub hits: Hits,
}

/// A limit that comes with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Override {
    /// Requests a unit; 0 refuses.
    pub requests: u32,
    /// Of what time; none where it does not say, which is no limit.
    pub unit: Option<Unit>,
}

/// How much a request counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hits {
    /// So many are taken; with 0 one only looks.
    Take(u64),
    /// So many are given back, of what was taken before.
    GiveBack(u64),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller's fault, like all but the last: the same request fails again.
    #[error("the domain is empty")]
    NoDomain,
    /// Nothing is asked.
    #[error("there is no descriptor")]
    NoDescriptor,
    /// More than [`MAX_DESCRIPTORS`].
    #[error("a request has at most {} descriptors", MAX_DESCRIPTORS)]
    TooManyDescriptors,
    /// More than [`MAX_ENTRIES`].
    #[error("a descriptor has at most {} entries", MAX_ENTRIES)]
    TooManyEntries,
    /// More than [`MAX_TEXT_BYTES`].
    #[error("a descriptor has at most {} bytes of keys and values", MAX_TEXT_BYTES)]
    TooLong,
    /// More than fits.
    #[error("hits_addend is at most {}", MAX_HITS)]
    Hits,
    /// The limit that the request brings along has no unit that we know.
    #[error("the limit of a descriptor has a unit: second, minute, hour, day, week, month or year")]
    Unit,
    /// Ours: the store is away, and what is asked is not decided without it. A retry may help.
    #[error("the store of limits is not available")]
    Unavailable,
}

impl Ask {
    /// Whether this can be asked at all. What follows costs time for every byte.
    ///
    /// # Errors
    /// When something is missing or too much.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.domain.is_empty() {
            return Err(Refusal::NoDomain);
        }
        if self.domain.len() > MAX_TEXT_BYTES {
            return Err(Refusal::TooLong);
        }
        if self.descriptors.is_empty() {
            return Err(Refusal::NoDescriptor);
        }
        if self.descriptors.len() > MAX_DESCRIPTORS {
            return Err(Refusal::TooManyDescriptors);
        }
        self.descriptors.iter().try_for_each(Descriptor::check)
    }
}

impl Descriptor {
    /// The entries as they are looked up.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.entries.len() > MAX_ENTRIES {
            return Err(Refusal::TooManyEntries);
        }
        let bytes: usize = self.entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > MAX_TEXT_BYTES {
            return Err(Refusal::TooLong);
        }
        let (Hits::Take(hits) | Hits::GiveBack(hits)) = self.hits;
        if hits > MAX_HITS {
            return Err(Refusal::Hits);
        }
        match self.instead {
            Some(Override { unit: None, .. }) => Err(Refusal::Unit),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(descriptors: usize, entries: usize, value: &str) -> Ask {
        let entries = vec![("k".to_owned(), value.to_owned()); entries];
        let descriptor = Descriptor { entries, instead: None, hits: Hits::Take(1) };
        Ask { domain: "d".to_owned(), descriptors: vec![descriptor; descriptors] }
    }

    #[test]
    fn what_is_too_much_is_refused_before_anything_is_done() {
        let fits = "v".repeat(MAX_TEXT_BYTES - 1);
        let too_long = "v".repeat(MAX_TEXT_BYTES);
        for (asked, expected) in [
            (ask(1, 1, ""), Ok(())),
            (ask(MAX_DESCRIPTORS, MAX_ENTRIES, "v"), Ok(())),
            (ask(1, 1, &fits), Ok(())),
            (ask(0, 1, "v"), Err(Refusal::NoDescriptor)),
            (ask(MAX_DESCRIPTORS + 1, 1, "v"), Err(Refusal::TooManyDescriptors)),
            (ask(2, MAX_ENTRIES + 1, "v"), Err(Refusal::TooManyEntries)),
            (ask(2, 1, &too_long), Err(Refusal::TooLong)),
            (Ask { domain: String::new(), ..ask(1, 1, "v") }, Err(Refusal::NoDomain)),
            (Ask { domain: too_long.clone() + "d", ..ask(1, 1, "v") }, Err(Refusal::TooLong)),
        ] {
            assert_eq!(asked.check(), expected);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let with = |hits, instead| {
            let mut ask = ask(1, 1, "v");
            ask.descriptors[0].hits = hits;
            ask.descriptors[0].instead = instead;
            ask.check()
        };
        assert_eq!(with(Hits::Take(MAX_HITS), None), Ok(()));
        assert_eq!(with(Hits::Take(MAX_HITS + 1), None), Err(Refusal::Hits));
        assert_eq!(with(Hits::GiveBack(u64::MAX), None), Err(Refusal::Hits));
        let limit = |unit| Some(Override { requests: 1, unit });
        assert_eq!(with(Hits::Take(1), limit(None)), Err(Refusal::Unit));
        assert_eq!(with(Hits::Take(1), limit(Some(Unit::Week))), Ok(()));
    }
}

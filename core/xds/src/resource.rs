//! One resource.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::kind::Kind;

/// What a resource says, as a number: the same text has the same version on every server, so that
/// a client that comes to another one is not sent again what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(u128);

impl Version {
    /// Of these parts. Whoever makes bodies of texts hashes the texts: bodies of one meaning can
    /// have several forms.
    #[must_use]
    pub fn of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Its length first, so that no two lists of parts look alike.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        Self(u128::from_be_bytes(digest.first_chunk().copied().unwrap_or_default()))
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_ours = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }

    pub(crate) const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A resource as it is sent. Snapshots and streams share it.
#[derive(Clone, PartialEq, Eq)]
pub struct Resource {
    /// What it is.
    pub kind: Kind,
    /// Its name, by which others name it.
    pub name: Arc<str>,
    /// What it says.
    pub version: Version,
    /// The message, encoded.
    pub body: Arc<[u8]>,
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kind.as_str(), self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_of_what_is_said() {
        let of = |parts: &[&str]| Version::of(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["a", "bc"]), of(&["a", "bc"]));
        for other in [&["ab", "c"][..], &["a", "bd"], &["abc"], &[]] {
            assert_ne!(of(other), of(&["a", "bc"]));
        }
    }

    #[test]
    fn versions_are_read_as_they_are_written() {
        let version = Version::of(["a".as_bytes()]);
        assert_eq!(version.to_string().len(), 32);
        assert_eq!(Version::parse(&version.to_string()), Some(version));
        for bad in ["", "1", "+0000000000000000000000000000000", &"g".repeat(32), &"0".repeat(33)] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }
}

//! Argon2id hashes as they are kept: in PHC form, `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`.

use postern_jose::base64url;
use postern_store::durable::PasswordHash;

use super::hashing::{MAX_ITERATIONS, MAX_MEMORY_KIB};
use crate::IdentityError;

/// Bytes of a salt that is made here (RFC 9106 §3.1).
pub(crate) const SALT_BYTES: usize = 16;
/// Bytes of a hash that is made here.
pub(crate) const HASH_BYTES: usize = 32;
/// Most lanes of a hash that somebody else made.
const MAX_LANES: u32 = 16;
/// What stands before the parameters: the algorithm and its version 1.3.
const HEAD: &str = "$argon2id$v=19$";

/// What hashing takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Parameters {
    /// Memory, in KiB.
    pub(crate) memory_kib: u32,
    /// Passes over it.
    pub(crate) iterations: u32,
}

impl Argon2Parameters {
    /// So much memory, so many passes, one lane.
    ///
    /// # Errors
    /// [`IdentityError::Invalid`] for less than 8 MiB or more than 256, and for no pass or more
    /// than 10.
    pub fn new(memory_kib: u32, iterations: u32) -> Result<Self, IdentityError> {
        let invalid = |what, reason: &'static str| Err(IdentityError::invalid(what, reason));
        if !(8 * 1024..=MAX_MEMORY_KIB).contains(&memory_kib) {
            return invalid("memory of password hashes", "it must be 8 to 256 MiB");
        }
        if !(1..=MAX_ITERATIONS).contains(&iterations) {
            return invalid("iterations of password hashes", "they must be 1 to 10");
        }
        Ok(Self { memory_kib, iterations })
    }
}

/// 19 MiB and two passes, as OWASP advises.
impl Default for Argon2Parameters {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, iterations: 2 }
    }
}

/// A hash taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Phc {
    pub(crate) parameters: Argon2Parameters,
    pub(crate) lanes: u32,
    pub(crate) salt: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}

impl Phc {
    /// Reads a hash; none where it is of another kind, or takes more than anybody may make this
    /// server spend.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(HEAD)?.split('$');
        let (costs, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        let mut costs = costs.split(',');
        let memory_kib = number(costs.next()?, "m=")?;
        let iterations = number(costs.next()?, "t=")?;
        let lanes = number(costs.next()?, "p=")?;
        if parts.next().is_some() || costs.next().is_some() {
            return None;
        }
        let (salt, hash) = (from_base64(salt)?, from_base64(hash)?);
        let is_bounded = (1..=MAX_LANES).contains(&lanes)
            && (8 * lanes..=MAX_MEMORY_KIB).contains(&memory_kib)
            && (1..=MAX_ITERATIONS).contains(&iterations)
            && (8..=64).contains(&salt.len())
            && (16..=64).contains(&hash.len());
        let parameters = Argon2Parameters { memory_kib, iterations };
        is_bounded.then_some(Self { parameters, lanes, salt, hash })
    }

    /// As it is kept.
    pub(crate) fn to_record(&self) -> PasswordHash {
        let Argon2Parameters { memory_kib, iterations } = self.parameters;
        PasswordHash(format!(
            "{HEAD}m={memory_kib},t={iterations},p={}${}${}",
            self.lanes,
            to_base64(&self.salt),
            to_base64(&self.hash)
        ))
    }

    /// Whether it is what would be made today.
    pub(crate) fn is_of(&self, parameters: Argon2Parameters) -> bool {
        self.parameters == parameters
            && self.lanes == 1
            && self.salt.len() >= SALT_BYTES
            && self.hash.len() == HASH_BYTES
    }
}

/// A decimal number in its one spelling, behind its name.
fn number(text: &str, name: &str) -> Option<u32> {
    let digits = text.strip_prefix(name)?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if is_plain { digits.parse().ok() } else { None }
}

/// PHC's base64 has the alphabet of RFC 4648 §4, and no padding.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    if text.contains(['-', '_']) {
        return None;
    }
    base64url::decode(&text.replace('+', "-").replace('/', "_"))
}

fn to_base64(bytes: &[u8]) -> String {
    base64url::encode(bytes).replace('-', "+").replace('_', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$\
                         nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    #[test]
    fn hashes_are_read_and_written_alike() {
        let phc = Phc::parse(KNOWN).unwrap();
        assert_eq!(phc.parameters, Argon2Parameters { memory_kib: 256, iterations: 2 });
        assert_eq!((phc.lanes, phc.salt.as_slice(), phc.hash.len()), (1, &b"somesalt"[..], 32));
        assert_eq!(phc.to_record().0, KNOWN);
    }

    #[test]
    fn what_is_no_hash_of_ours_or_costs_too_much_is_none() {
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("v=19", "v=16"),
            ("m=256", "m=7"),
            ("m=256", "m=262145"),
            ("m=256", "m=0256"),
            ("m=256", "m=+256"),
            ("m=256", "m="),
            ("t=2", "t=0"),
            ("t=2", "t=11"),
            ("p=1", "p=0"),
            ("p=1", "p=17"),
            ("p=1", "p=1,x=1"),
            ("c29tZXNhbHQ", "c29tZXM"),
            ("c29tZXNhbHQ", "c29tZXNhbHQ="),
            ("nf65EOgLrQMR/", "nf65EOgLrQMR_"),
            ("Gi/4", "Gi/4$"),
            ("$nf65", "nf65"),
        ] {
            let text = KNOWN.replacen(from, to, 1);
            assert_ne!(text, KNOWN);
            assert!(Phc::parse(&text).is_none(), "{text}");
        }
        assert!(Phc::parse("").is_none());
    }

    #[test]
    fn what_is_not_as_it_would_be_made_today_is_outdated() {
        let today = Argon2Parameters { memory_kib: 256, iterations: 2 };
        let phc = Phc::parse(KNOWN).unwrap();
        assert!(!phc.is_of(today), "its salt is short");
        let same = Phc { salt: vec![7; SALT_BYTES], ..phc.clone() };
        assert!(same.is_of(today));
        for other in [
            Phc { lanes: 2, ..same.clone() },
            Phc { hash: vec![7; 16], ..same.clone() },
            Phc { parameters: Argon2Parameters { iterations: 1, ..today }, ..same.clone() },
        ] {
            assert!(!other.is_of(today));
        }
        assert!(!same.is_of(Argon2Parameters::default()));
    }

    #[test]
    fn costs_have_bounds() {
        for (memory, iterations, expected) in [
            (19 * 1024, 2, true),
            (8 * 1024, 1, true),
            (256 * 1024, 10, true),
            (8 * 1024 - 1, 1, false),
            (256 * 1024 + 1, 1, false),
            (19 * 1024, 0, false),
            (19 * 1024, 11, false),
        ] {
            assert_eq!(Argon2Parameters::new(memory, iterations).is_ok(), expected);
        }
    }
}

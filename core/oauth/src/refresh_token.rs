//! Refresh tokens: what their text holds.
//!
//! `rt_` and base64url of family, lock, generation and secret. Family and lock stay the same from
//! the first token to the last; the secret is another one each time. The family is a name: who
//! knows it alone (from a log, or a list of sessions) can do nothing. The lock is in every token
//! of the family and nowhere else, so whoever has it has, or had, one of them. The generation
//! says which one: a token that is older than what the store knows was spent, one that is newer
//! is a sign that the store has lost a write.

use core::fmt;

use postern_jose::base64url;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use crate::Secret;

const PREFIX: &str = "rt_";
/// 16, 16, 4 and 32 bytes, in base64url.
const ENCODED_BYTES: usize = 91;

/// A refresh token in its parts. `Debug` shows the generation alone.
#[derive(Clone)]
pub struct RefreshToken {
    /// Which family it belongs to.
    pub family: [u8; 16],
    /// What all tokens of the family have in common, and nobody else knows.
    pub lock: [u8; 16],
    /// Its place in the row, from 1.
    pub generation: u32,
    /// What this one alone has.
    pub secret: [u8; 32],
}

impl RefreshToken {
    /// Reads a token; none for what cannot be one. Each has one spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        if encoded.len() != ENCODED_BYTES {
            return None;
        }
        let bytes = Zeroizing::new(base64url::decode(encoded)?);
        let (family, rest) = bytes.split_first_chunk::<16>()?;
        let (lock, rest) = rest.split_first_chunk::<16>()?;
        let (generation, rest) = rest.split_first_chunk::<4>()?;
        let generation = u32::from_be_bytes(*generation);
        let secret: [u8; 32] = rest.try_into().ok()?;
        (generation > 0).then_some(Self { family: *family, lock: *lock, generation, secret })
    }

    /// As a client gets it.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        // Full capacity from the start: a buffer that grows leaves copies of secrets behind.
        let mut bytes = Zeroizing::new(Vec::<u8>::with_capacity(68));
        bytes.extend_from_slice(&self.family);
        bytes.extend_from_slice(&self.lock);
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.secret);
        let encoded = Zeroizing::new(base64url::encode(&bytes));
        Secret::new([PREFIX, encoded.as_str()].concat())
    }

    /// What the store knows of the lock.
    #[must_use]
    pub fn lock_hash(&self) -> [u8; 32] {
        Sha256::digest(self.lock).into()
    }

    /// What the store knows of the secret.
    #[must_use]
    pub fn secret_hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// The next token of the family, with a secret of its own. After four thousand million of
    /// them there is none: such a family ends as if it had been used twice.
    #[must_use]
    pub fn next(&self, secret: [u8; 32]) -> Self {
        let generation = self.generation.saturating_add(1);
        Self { family: self.family, lock: self.lock, generation, secret }
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl PartialEq for RefreshToken {
    fn eq(&self, other: &Self) -> bool {
        let same = self.secret.as_slice().ct_eq(other.secret.as_slice())
            & self.lock.as_slice().ct_eq(other.lock.as_slice());
        self.family == other.family && self.generation == other.generation && bool::from(same)
    }
}

impl Eq for RefreshToken {}

impl Drop for RefreshToken {
    fn drop(&mut self) {
        self.lock.zeroize();
        self.secret.zeroize();
    }
}

impl ZeroizeOnDrop for RefreshToken {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token() -> RefreshToken {
        RefreshToken { family: [1; 16], lock: [2; 16], generation: 7, secret: [3; 32] }
    }

    #[test]
    fn a_token_shows_nothing_of_itself() {
        let shown = format!("{:?}", token());
        assert_eq!(shown, "RefreshToken { generation: 7, .. }");
    }

    #[test]
    fn the_next_token_has_family_and_lock_of_the_one_before() {
        let next = token().next([4; 32]);
        assert_eq!((next.family, next.lock, next.generation), ([1; 16], [2; 16], 8));
        assert_eq!(next.lock_hash(), token().lock_hash());
        assert_ne!(next.secret_hash(), token().secret_hash());
        assert_ne!(next.to_text(), token().to_text());
    }

    #[test]
    fn what_cannot_be_a_token_is_none() {
        let good = token().to_text().expose().to_owned();
        assert_eq!(good.len(), 94);
        let zeroth =
            RefreshToken { family: [1; 16], lock: [2; 16], generation: 0, secret: [3; 32] };
        for bad in [
            String::new(),
            "rt_".to_owned(),
            good.replacen("rt_", "", 1),
            good.replacen("rt_", "RT_", 1),
            good.replacen("rt_", "rt_rt_", 1),
            format!("{good}="),
            format!("{good}A"),
            format!(" {good}"),
            format!("{good}\n"),
            good.chars().take(93).collect(),
            good.replace('A', "+"),
            good.replace('A', "é"),
            zeroth.to_text().expose().to_owned(),
        ] {
            assert_eq!(RefreshToken::parse(&bad), None, "{bad}");
        }
    }

    proptest! {
        /// A token is read as it was written, and no other text is read as the same token.
        #[test]
        fn each_token_has_one_spelling(
            family in any::<[u8; 16]>(),
            lock in any::<[u8; 16]>(),
            generation in 1..=u32::MAX,
            secret in any::<[u8; 32]>(),
            at in 3..94_usize,
            other in prop::sample::select(b"ABCXYZabcxyz019-_".to_vec()),
        ) {
            let token = RefreshToken { family, lock, generation, secret };
            let text = token.to_text();
            let read = RefreshToken::parse(text.expose());
            prop_assert_eq!(read.as_ref(), Some(&token));
            let mut changed = text.expose().to_owned().into_bytes();
            changed[at] = other;
            let changed = String::from_utf8(changed).unwrap();
            if changed != text.expose() {
                prop_assert_ne!(RefreshToken::parse(&changed), Some(token));
            }
        }

        /// Whatever is presented is read or refused.
        #[test]
        fn hostile_tokens_are_read_or_refused(text in "(rt_)?[A-Za-z0-9_=-]{80,100}") {
            if let Some(token) = RefreshToken::parse(&text) {
                let again = token.to_text();
                prop_assert_eq!(again.expose(), text);
            }
        }
    }
}

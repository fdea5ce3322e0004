//! The answer that a refresh token got, kept for whoever asks again a moment later: a client whose
//! connection broke, or one that sent two requests at once.
//!
//! It is sealed by a key that is made of the spent token's own secret, which is kept nowhere. So
//! it opens for whoever shows that token, and the store alone yields nothing.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use postern_oauth::RefreshToken;
use postern_store::durable::Sealed;
use zeroize::Zeroizing;

use crate::IdentityError;
use crate::seal::{open_with, seal_with};

/// What the key is for: with another label, nothing opens.
const LABEL: &[u8] = b"postern:refresh-answer:1";

/// Seals the answer to a token.
///
/// # Errors
/// [`IdentityError::Crypto`].
pub(super) fn seal(spent: &RefreshToken, answer: &str) -> Result<Vec<u8>, IdentityError> {
    let key = key(spent).ok_or(IdentityError::Crypto)?;
    Ok(seal_with(key.as_slice(), &spent.family, answer.as_bytes())?.0)
}

/// Opens the answer to a token; none where it was not made for this one.
pub(super) fn open(spent: &RefreshToken, sealed: Vec<u8>) -> Option<Zeroizing<String>> {
    let clear = open_with(key(spent)?.as_slice(), &spent.family, &Sealed(sealed))?;
    std::str::from_utf8(&clear).ok().map(|text| Zeroizing::new(text.to_owned()))
}

fn key(spent: &RefreshToken) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let secret = Salt::none(HKDF_SHA256).extract(&spent.secret);
    secret.expand(&[LABEL], HKDF_SHA256).ok()?.fill(key.as_mut_slice()).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(family: u8, secret: u8) -> RefreshToken {
        RefreshToken { family: [family; 16], lock: [3; 16], generation: 4, secret: [secret; 32] }
    }

    #[test]
    fn an_answer_opens_for_the_token_that_it_was_made_for() {
        let sealed = seal(&token(1, 2), "an answer").unwrap();
        let opened = open(&token(1, 2), sealed.clone()).unwrap();
        assert_eq!(opened.as_str(), "an answer");
        for other in [token(1, 3), token(2, 2)] {
            assert!(open(&other, sealed.clone()).is_none(), "{other:?}");
        }
        assert!(!sealed.windows(6).any(|window| window == b"answer"));
        assert!(open(&token(1, 2), Vec::new()).is_none());
    }
}

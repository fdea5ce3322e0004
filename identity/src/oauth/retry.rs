//! The answer that a refresh token got, kept for whoever asks again a moment later: a client whose
//! connection broke, or one that sent two requests at once.
//!
//! It is sealed by a key that is made of the spent token's own secret, which is kept nowhere. So
//! it opens for whoever shows that token, and the store alone yields nothing.

use postern_oauth::RefreshToken;
use zeroize::Zeroizing;

use crate::IdentityError;
use crate::held::Held;

/// Seals the answer to a token.
///
/// # Errors
/// [`IdentityError::Crypto`].
pub(super) fn seal(spent: &RefreshToken, answer: &str) -> Result<Vec<u8>, IdentityError> {
    Held::RefreshAnswer.seal(&spent.secret, &spent.family, answer.as_bytes())
}

/// Opens the answer to a token; none where it was not made for this one.
pub(super) fn open(spent: &RefreshToken, sealed: &[u8]) -> Option<Zeroizing<String>> {
    let clear = Held::RefreshAnswer.open(&spent.secret, &spent.family, sealed)?;
    std::str::from_utf8(&clear).ok().map(|text| Zeroizing::new(text.to_owned()))
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
        let opened = open(&token(1, 2), &sealed).unwrap();
        assert_eq!(opened.as_str(), "an answer");
        for other in [token(1, 3), token(2, 2)] {
            assert!(open(&other, &sealed).is_none(), "{other:?}");
        }
        assert!(!sealed.windows(6).any(|window| window == b"answer"));
        assert!(open(&token(1, 2), &[]).is_none());
    }
}

//! What a store keeps for whoever shows a secret once more, and must not be able to read.
//!
//! The seal's key is made of that secret, of which the store knows a hash at most. So it opens for
//! the secret's holder alone, and takes no key-encryption key.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use postern_store::durable::Sealed;
use zeroize::Zeroizing;

use crate::IdentityError;
use crate::seal::{open_with, seal_with};

/// What is kept. No two share a key, even of one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// The answer to a refresh token, by the spent token's secret.
    RefreshAnswer,
    /// A log-in that is under way, by its cookie. Where it leads to may name what opens something:
    /// the code of a device, a pushed request.
    LogIn,
    /// An authorization request, by its `request_uri`. An ID token may be in it.
    Request,
}

impl Held {
    /// With another label, nothing opens again.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::RefreshAnswer => b"postern:refresh-answer:1",
            Self::LogIn => b"postern:login-flow:1",
            Self::Request => b"postern:kept-request:1",
        }
    }

    /// Seals bytes for whoever has the secret. They open only with the same `bound_to`.
    ///
    /// # Errors
    /// [`IdentityError::Crypto`].
    pub(crate) fn seal(
        self,
        secret: &[u8],
        bound_to: &[u8],
        clear: &[u8],
    ) -> Result<Vec<u8>, IdentityError> {
        let key = self.key(secret).ok_or(IdentityError::Crypto)?;
        Ok(seal_with(key.as_slice(), bound_to, clear)?.0)
    }

    /// Opens what [`Held::seal`] made; none for another secret, and for anything else.
    pub(crate) fn open(
        self,
        secret: &[u8],
        bound_to: &[u8],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        open_with(self.key(secret)?.as_slice(), bound_to, &Sealed(sealed.to_vec()))
    }

    fn key(self, secret: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let mut key = Zeroizing::new([0; 32]);
        let secret = Salt::none(HKDF_SHA256).extract(secret);
        secret.expand(&[self.label()], HKDF_SHA256).ok()?.fill(key.as_mut_slice()).ok()?;
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_opens_for_its_secret_and_its_place_alone() {
        let sealed = Held::LogIn.seal(b"secret", b"place", b"what is kept").unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"kept"));
        let opened = Held::LogIn.open(b"secret", b"place", &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"what is kept");
        for (what, secret, place) in [
            (Held::LogIn, &b"other"[..], &b"place"[..]),
            (Held::LogIn, b"secret", b"other"),
            (Held::Request, b"secret", b"place"),
            (Held::RefreshAnswer, b"secret", b"place"),
        ] {
            assert!(what.open(secret, place, &sealed).is_none(), "{what:?}");
        }
        for junk in [&b""[..], b"what is kept"] {
            assert!(Held::LogIn.open(b"secret", b"place", junk).is_none());
        }
    }
}

//! Names as 64 bits, under a key that clients cannot know.

use core::fmt;
use core::hash::Hasher as _;

use postern_jose::VerifiedToken;
use siphasher::sip::SipHasher24;

use crate::bucket::BUCKETS;
use crate::revocation::RevocationKind;

/// The secret that fingerprints are made with: one for a whole deployment, so that every server
/// and every filter makes the same ones, and nobody outside can find two names that meet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FingerprintKey([u8; 16]);

impl FingerprintKey {
    /// A key of 128 random bits.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The secret itself: for the durable store and the feed, never for a log.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        &self.0
    }

    /// The fingerprint of a name: SipHash-2-4 over the kind's tag, the issuer's length (32 bits,
    /// little-endian), the issuer and the value.
    #[must_use]
    pub fn of(&self, kind: RevocationKind, issuer: &str, value: &str) -> Fingerprint {
        // Nothing longer is ever revoked; the length only keeps the two texts apart.
        let length = u32::try_from(issuer.len()).unwrap_or(u32::MAX);
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&[tag(kind)]);
        hasher.write(&length.to_le_bytes());
        hasher.write(issuer.as_bytes());
        hasher.write(value.as_bytes());
        Fingerprint(hasher.finish())
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(…)")
    }
}

/// Part of what servers and filters of different versions must agree on.
const fn tag(kind: RevocationKind) -> u8 {
    match kind {
        RevocationKind::Token => 1,
        RevocationKind::Session => 2,
        RevocationKind::Subject => 3,
        RevocationKind::Client => 4,
        RevocationKind::Key => 5,
    }
}

/// A name under a [`FingerprintKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The bucket that it belongs to: its highest 14 bits, so that the order of fingerprints is
    /// the order of buckets, too.
    #[must_use]
    pub fn bucket(self) -> u32 {
        u32::try_from(self.0 >> (u64::BITS - BUCKETS.trailing_zeros())).unwrap_or_default()
    }
}

/// Everything about one token that can be revoked, by [`RevocationKind`]. Made once when a token
/// is verified, and asked about on every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks([Option<Fingerprint>; 5]);

impl Marks {
    /// The marks of a token, by its claims; `kid` is that of the key which signed it.
    #[must_use]
    pub fn of(
        key: &FingerprintKey,
        issuer: &str,
        jti: Option<&str>,
        session: Option<&str>,
        subject: Option<&str>,
        client: Option<&str>,
        kid: Option<&str>,
    ) -> Self {
        let mark = |kind, value: Option<&str>| value.map(|value| key.of(kind, issuer, value));
        Self([
            mark(RevocationKind::Token, jti),
            mark(RevocationKind::Session, session),
            mark(RevocationKind::Subject, subject),
            mark(RevocationKind::Client, client),
            mark(RevocationKind::Key, kid),
        ])
    }

    /// All that a token could be revoked by: filters and server judge by the same.
    #[must_use]
    pub fn of_token(key: &FingerprintKey, token: &VerifiedToken) -> Self {
        let (claims, principal) = (&token.claims, token.principal());
        Self::of(
            key,
            claims.issuer(),
            claims.token_id.as_deref(),
            principal.session.as_deref(),
            Some(&principal.subject),
            principal.client_id.as_deref(),
            token.key_id.as_deref(),
        )
    }

    /// Those that the token has.
    pub fn iter(&self) -> impl Iterator<Item = Fingerprint> + '_ {
        self.0.iter().copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> FingerprintKey {
        FingerprintKey::new(std::array::from_fn(|at| u8::try_from(at).unwrap()))
    }

    /// The reference implementation's own vectors, so that no other hash slips in.
    #[test]
    fn the_hash_is_siphash_2_4() {
        let hash = |bytes: &[u8]| SipHasher24::new_with_key(key().expose()).hash(bytes);
        assert_eq!(hash(&[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(hash(&[0]), 0x74f8_39c5_93dc_67fd);
    }

    #[test]
    fn nothing_shows_the_key() {
        let key = FingerprintKey::new([0xab; 16]);
        assert_eq!(format!("{key:?}"), "FingerprintKey(…)");
    }

    #[test]
    fn buckets_are_the_highest_bits() {
        for (fingerprint, bucket) in
            [(0, 0), ((1 << 50) - 1, 0), (1 << 50, 1), (u64::MAX, BUCKETS - 1)]
        {
            assert_eq!(Fingerprint(fingerprint).bucket(), bucket, "{fingerprint:x}");
        }
    }

    #[test]
    fn a_token_has_the_marks_of_its_claims() {
        let marks = Marks::of(&key(), "i", Some("x"), None, Some("x"), None, Some("x"));
        let expected: Vec<_> =
            [RevocationKind::Token, RevocationKind::Subject, RevocationKind::Key]
                .map(|kind| key().of(kind, "i", "x"))
                .into();
        assert_eq!(marks.iter().collect::<Vec<_>>(), expected);
        assert_eq!(Marks::default().iter().count(), 0);
    }

    proptest! {
        #[test]
        fn a_fingerprint_is_the_hash_of_what_the_page_says(
            issuer in ".{0,20}", value in ".{0,20}",
        ) {
            let length = u32::try_from(issuer.len()).unwrap().to_le_bytes();
            let bytes = [&[3_u8][..], &length[..], issuer.as_bytes(), value.as_bytes()].concat();
            let expected = SipHasher24::new_with_key(key().expose()).hash(&bytes);
            let found = key().of(RevocationKind::Subject, &issuer, &value);
            prop_assert_eq!(found, Fingerprint(expected));
        }

        #[test]
        fn different_names_have_different_fingerprints(
            a in ("[ab]{0,3}", "[ab]{0,3}", 0_usize..5),
            b in ("[ab]{0,3}", "[ab]{0,3}", 0_usize..5),
        ) {
            let of = |(issuer, value, kind): &(String, String, usize)| {
                key().of(RevocationKind::ALL[*kind], issuer, value)
            };
            prop_assert_eq!(of(&a) == of(&b), a == b);
        }
    }
}

//! What a filter knows of one revocation: 16 bytes.

use crate::fingerprint::{Fingerprint, FingerprintKey};
use crate::revocation::Revocation;

/// Bytes of a record.
pub const RECORD_BYTES: usize = 16;
/// Stands for "whenever it was issued".
pub const ALWAYS: u32 = u32::MAX;

/// A revocation under its fingerprint. Times are seconds in 32 bits, good until 2106; what lies
/// beyond stays at the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Record {
    /// What is revoked.
    pub fingerprint: Fingerprint,
    /// Tokens issued from then on are good; [`ALWAYS`]: whenever they were issued.
    pub issued_before: u32,
    /// From when on the record concerns no token any more.
    pub expires_at: u32,
}

impl Record {
    /// The record of a revocation.
    #[must_use]
    pub fn of(key: &FingerprintKey, revocation: &Revocation) -> Self {
        Self {
            fingerprint: key.of(revocation.kind(), revocation.issuer(), revocation.value()),
            issued_before: revocation
                .issued_before()
                .map_or(ALWAYS, |moment| seconds(moment).min(ALWAYS - 1)),
            expires_at: seconds(revocation.expires_at()),
        }
    }

    /// Whether no token that it could concern is alive at `now`.
    #[must_use]
    pub fn is_expired(&self, now: u64) -> bool {
        u64::from(self.expires_at) <= now
    }

    /// As wide as both: for two of one fingerprint.
    #[must_use]
    pub fn widened(self, other: Self) -> Self {
        Self {
            fingerprint: self.fingerprint,
            issued_before: self.issued_before.max(other.issued_before),
            expires_at: self.expires_at.max(other.expires_at),
        }
    }

    /// Fingerprint, `issued_before`, `expires_at`, each little-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let packed = u128::from(self.fingerprint.0)
            | (u128::from(self.issued_before) << 64)
            | (u128::from(self.expires_at) << 96);
        packed.to_le_bytes()
    }

    /// Reads what [`Record::to_bytes`] wrote; any 16 bytes are a record.
    #[must_use]
    pub const fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Self {
        let [f0, f1, f2, f3, f4, f5, f6, f7, i0, i1, i2, i3, e0, e1, e2, e3] = *bytes;
        Self {
            fingerprint: Fingerprint(u64::from_le_bytes([f0, f1, f2, f3, f4, f5, f6, f7])),
            issued_before: u32::from_le_bytes([i0, i1, i2, i3]),
            expires_at: u32::from_le_bytes([e0, e1, e2, e3]),
        }
    }

    /// Records one after the other, as a delta holds them.
    #[must_use]
    pub fn encode_all(records: &[Self]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(records.len().saturating_mul(RECORD_BYTES));
        for record in records {
            bytes.extend_from_slice(&record.to_bytes());
        }
        bytes
    }

    /// Reads what [`Record::encode_all`] wrote, in any order; none when bytes are left over.
    #[must_use]
    pub fn decode_all(bytes: &[u8]) -> Option<Vec<Self>> {
        let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
        rest.is_empty().then(|| records.iter().map(Self::from_bytes).collect())
    }
}

/// Whether a token with this `iat` is revoked by a record of one of its marks. A token that does
/// not say when it was issued is: nobody can tell that it is younger than the revocation.
#[must_use]
pub fn is_revoked(record: &Record, iat: Option<u64>, now: u64) -> bool {
    if record.is_expired(now) {
        return false;
    }
    record.issued_before == ALWAYS || iat.is_none_or(|iat| iat < u64::from(record.issued_before))
}

fn seconds(time: u64) -> u32 {
    u32::try_from(time).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::RevocationKind;
    use proptest::prelude::*;

    const KEY: FingerprintKey = FingerprintKey::new([7; 16]);

    fn subject(now: u64, expires_at: u64) -> Record {
        let kind = RevocationKind::Subject;
        Record::of(&KEY, &Revocation::at(now, kind, "i", "alice", expires_at).unwrap())
    }

    #[test]
    fn a_subject_is_revoked_up_to_and_including_the_second_of_the_revocation() {
        let record = subject(1_000, 5_000);
        for (iat, expected) in [
            (Some(0), true),
            (Some(999), true),
            (Some(1_000), true),
            (Some(1_001), false),
            (Some(u64::MAX), false),
            (None, true),
        ] {
            assert_eq!(is_revoked(&record, iat, 2_000), expected, "{iat:?}");
        }
    }

    #[test]
    fn a_token_is_revoked_whenever_it_was_issued() {
        let revocation = Revocation::at(1_000, RevocationKind::Token, "i", "t", 5_000).unwrap();
        let record = Record::of(&KEY, &revocation);
        for iat in [None, Some(0), Some(1_001), Some(u64::from(u32::MAX)), Some(u64::MAX)] {
            assert!(is_revoked(&record, iat, 2_000), "{iat:?}");
        }
    }

    #[test]
    fn what_has_expired_revokes_nothing() {
        let record = subject(1_000, 5_000);
        for (now, expected) in [(0, true), (4_999, true), (5_000, false), (u64::MAX, false)] {
            assert_eq!(is_revoked(&record, None, now), expected, "{now}");
        }
    }

    #[test]
    fn times_beyond_the_bound_stay_at_it() {
        let record = subject(u64::MAX, u64::MAX);
        assert_eq!((record.issued_before, record.expires_at), (ALWAYS - 1, u32::MAX));
        let edge = subject(u64::from(u32::MAX) - 1, u64::from(u32::MAX));
        assert_eq!(edge.issued_before, ALWAYS - 1, "no moment turns into `always`");
    }

    #[test]
    fn the_bytes_are_as_the_page_says() {
        let record = Record {
            fingerprint: Fingerprint(0x0102_0304_0506_0708),
            issued_before: 0x090a_0b0c,
            expires_at: 0x0d0e_0f10,
        };
        let bytes = [8, 7, 6, 5, 4, 3, 2, 1, 12, 11, 10, 9, 16, 15, 14, 13];
        assert_eq!(record.to_bytes(), bytes);
        assert_eq!(Record::from_bytes(&bytes), record);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            match Record::decode_all(&bytes) {
                Some(records) => prop_assert_eq!(Record::encode_all(&records), bytes),
                None => prop_assert!(!bytes.len().is_multiple_of(RECORD_BYTES)),
            }
        }

        #[test]
        fn the_wider_of_two_revokes_what_either_does(
            a in (any::<u32>(), any::<u32>()), b in (any::<u32>(), any::<u32>()),
            iat in prop::option::of(0..u64::from(u32::MAX)), now in 0..u64::from(u32::MAX),
        ) {
            let record = |(issued_before, expires_at)| {
                Record { fingerprint: Fingerprint(1), issued_before, expires_at }
            };
            let (a, b) = (record(a), record(b));
            let both = is_revoked(&a.widened(b), iat, now);
            prop_assert!(both || !(is_revoked(&a, iat, now) || is_revoked(&b, iat, now)));
            prop_assert_eq!(a.widened(b), b.widened(a));
        }
    }
}

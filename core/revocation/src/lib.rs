//! Revoked tokens, sessions, subjects, clients and keys.
//!
//! The durable store keeps each [`Revocation`] in clear; that is the truth, and for audits. What
//! goes to the filters is a [`Record`] of 16 bytes: a keyed fingerprint instead of names, until
//! when a token must have been issued to be revoked, and when the record may be forgotten.
//! Records lie in [`bucket`]s, sorted; a [`Bloom`] filter says for nearly every good token that
//! no bucket has to be read.
//!
//! All times are seconds since 1970, handed in. Deliberately absent: clocks, where buckets are
//! kept, how they travel, and where the claims of a token come from.

pub mod bloom;
pub mod bucket;
pub mod fingerprint;
pub mod record;
pub mod revocation;

pub use bloom::{Bloom, Layout};
pub use fingerprint::{Fingerprint, FingerprintKey, Marks};
pub use record::{Record, is_revoked};
pub use revocation::{API_KEYS_ISSUER, Revocation, RevocationError, RevocationKind, check_reason};

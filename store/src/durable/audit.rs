//! The audit log: who did what to whom, each entry chained to the one before it by a hash, so that
//! what was changed or taken out afterwards shows.

mod chain;
mod watch;

use postern_request::UnixMillis;
use sha2::{Digest as _, Sha256};

use crate::{BoxFuture, StoreError};

pub use chain::{AuditChain, Broken, Verdict, verify_audit};
pub use watch::{AuditWatch, Told};

/// Most records that one call of [`AuditStore::audit_since`] returns; a greater limit is taken for
/// this one.
pub const MAX_AUDIT_PAGE: u32 = 1_000;
/// What stands before the first entry.
pub const NO_AUDIT: [u8; 32] = [0; 32];
/// Begins what is hashed, so that another way of hashing can follow.
const FORMAT: &[u8] = b"postern-audit-1";

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: UnixMillis,
    /// Who did it: a user's id, `client:ID`, `cli:NAME`, `admin`, or `system`.
    pub actor: String,
    /// What it was, as `user.created`.
    pub action: String,
    /// To whom or what.
    pub target: String,
    /// A JSON object with more of it, and no secret.
    pub detail: String,
}

/// An entry that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place in the order of all of them, from 1, without gaps.
    pub seq: u64,
    /// What happened.
    pub entry: AuditEntry,
    /// The hash of the record before it; [`NO_AUDIT`] of the first.
    pub previous: [u8; 32],
    /// [`audit_hash`] of all of that.
    pub hash: [u8; 32],
}

/// Where the log ends: what nobody can take anything out before without its showing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// The number of the last record.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl AuditRecord {
    /// The record that follows one with this hash.
    #[must_use]
    pub fn after(previous: [u8; 32], seq: u64, entry: AuditEntry) -> Self {
        let hash = audit_hash(&previous, seq, &entry);
        Self { seq, entry, previous, hash }
    }

    /// Whether it is what was kept, and follows a record with this hash.
    #[must_use]
    pub fn follows(&self, previous: &[u8; 32]) -> bool {
        self.previous == *previous && self.hash == audit_hash(previous, self.seq, &self.entry)
    }
}

/// The hash of a record: SHA-256 of the format's name, the hash before it, its number and moment
/// in 8 bytes each, and the length in 4 bytes and the bytes of actor, action, target and detail.
/// Numbers have their greatest byte first.
#[must_use]
pub fn audit_hash(previous: &[u8; 32], seq: u64, entry: &AuditEntry) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(FORMAT);
    digest.update(previous);
    digest.update(seq.to_be_bytes());
    digest.update(entry.at.0.to_be_bytes());
    for text in [&entry.actor, &entry.action, &entry.target, &entry.detail] {
        // Nobody keeps an entry of 4 GiB.
        digest.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(text);
    }
    digest.finalize().into()
}

/// The audit log.
///
/// Other ports append to it in the very transaction of what they change.
///
/// # Errors
/// As with [`super::DurableStore`].
pub trait AuditStore: Send + Sync {
    /// Appends an entry, and returns its number once it is committed.
    fn append_audit<'a>(&'a self, entry: &'a AuditEntry) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Up to `limit` records by their numbers, beginning after `after`.
    fn audit_since(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<AuditRecord>, StoreError>>;

    /// Where the log ends; none while nothing was appended.
    fn audit_head(&self) -> BoxFuture<'_, Result<Option<AuditHead>, StoreError>>;

    /// Has somebody told of each entry that this store commits from now on, whichever port it
    /// came by. Who asks first is told; there is nobody else.
    fn watch_audit(&self, told: Told);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            at: UnixMillis(1_800_000_000_000),
            actor: "cli:root".to_owned(),
            action: "user.created".to_owned(),
            target: "u1".to_owned(),
            detail: "{}".to_owned(),
        }
    }

    fn hex(hash: [u8; 32]) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Made by another program, from the description above.
    #[test]
    fn the_hash_is_as_it_is_described() {
        let first = audit_hash(&NO_AUDIT, 1, &entry());
        assert_eq!(hex(first), "24d4ed49118edc1b4848bcd65297a1fdf44009b0baf131b7ca0ed54adfa56511");
        let second = audit_hash(&first, 2, &entry());
        assert_eq!(hex(second), "5824d75ba6f5e4e1cf20b943347aa32ee771a8c4411b1821e63662098a405875");
    }

    #[test]
    fn every_part_of_a_record_is_hashed() {
        let is = audit_hash(&NO_AUDIT, 1, &entry());
        let text = |change: fn(&mut AuditEntry)| {
            let mut changed = entry();
            change(&mut changed);
            audit_hash(&NO_AUDIT, 1, &changed)
        };
        for other in [
            audit_hash(&[1; 32], 1, &entry()),
            audit_hash(&NO_AUDIT, 2, &entry()),
            text(|entry| entry.at.0 += 1),
            text(|entry| entry.actor.push('x')),
            text(|entry| entry.action.push('x')),
            text(|entry| entry.target.push('x')),
            text(|entry| entry.detail.push('x')),
        ] {
            assert_ne!(is, other);
        }
    }

    #[test]
    fn nothing_moves_from_one_text_to_the_next() {
        let with = |actor: &str, action: &str| {
            let entry = AuditEntry { actor: actor.into(), action: action.into(), ..entry() };
            audit_hash(&NO_AUDIT, 1, &entry)
        };
        assert_ne!(with("ab", "c"), with("a", "bc"));
        assert_ne!(with("abc", ""), with("", "abc"));
    }

    #[test]
    fn a_chain_shows_what_was_changed_or_taken_out() {
        let first = AuditRecord::after(NO_AUDIT, 1, entry());
        let second = AuditRecord::after(first.hash, 2, entry());
        let third = AuditRecord::after(second.hash, 3, entry());
        assert!(first.follows(&NO_AUDIT) && second.follows(&first.hash));
        assert!(third.follows(&second.hash));
        assert!(!third.follows(&first.hash), "the second was taken out");
        let other = AuditEntry { target: "u2".to_owned(), ..entry() };
        let changed = AuditRecord { entry: other.clone(), ..second.clone() };
        assert!(!changed.follows(&first.hash), "the hash is the old one");
        let rewritten = AuditRecord::after(first.hash, 2, other);
        assert!(!third.follows(&rewritten.hash), "whoever rewrites one has to rewrite the rest");
        let moved = AuditRecord { seq: 4, ..third };
        assert!(!moved.follows(&second.hash));
    }
}

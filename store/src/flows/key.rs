//! Keys of what is kept for a while.

use sha2::{Digest as _, Sha256};

use crate::volatile::to_hex;

/// What a key is for. Stores keep each kind apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlowKind {
    /// An authorization code.
    Code,
    /// A family of refresh tokens, by its name.
    Family,
    /// A pushed authorization request (RFC 9126).
    Par,
    /// A device code (RFC 8628).
    Device,
    /// The code that somebody types in for a device.
    UserCode,
    /// A session, by its id.
    Session,
    /// The sessions of a user, by the user's id.
    SessionsOf,
    /// A log-in that is under way, by its cookie.
    Login,
    /// A ticket for a WebSocket.
    Ticket,
    /// A log-in that is under way at an outside provider, by its `state`.
    Outside,
}

impl FlowKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Code,
        Self::Family,
        Self::Par,
        Self::Device,
        Self::UserCode,
        Self::Session,
        Self::SessionsOf,
        Self::Login,
        Self::Ticket,
        Self::Outside,
    ];

    /// Its name. Hashes are made of it: with another one, whatever was kept is not found again.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Family => "family",
            Self::Par => "par",
            Self::Device => "device",
            Self::UserCode => "user_code",
            Self::Session => "session",
            Self::SessionsOf => "sessions_of",
            Self::Login => "login",
            Self::Ticket => "ticket",
            Self::Outside => "outside",
        }
    }
}

/// What something is kept under: a hash. What was presented never becomes part of a store's key,
/// and cannot be read out of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    kind: FlowKind,
    hash: [u8; 32],
}

impl FlowKey {
    /// The key of what was presented: SHA-256 of the kind's name, a zero byte and that.
    ///
    /// Whoever can read the store could try out what has few possibilities, such as user codes:
    /// of those, hand in a keyed hash.
    #[must_use]
    pub fn of(kind: FlowKind, presented: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update(kind.as_str());
        digest.update([0_u8]);
        digest.update(presented);
        Self { kind, hash: digest.finalize().into() }
    }

    /// The key whose hash was kept elsewhere, such as a family's beside its durable record.
    #[must_use]
    pub const fn of_hash(kind: FlowKind, hash: [u8; 32]) -> Self {
        Self { kind, hash }
    }

    /// What it is for.
    #[must_use]
    pub const fn kind(self) -> FlowKind {
        self.kind
    }

    /// The hash.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.hash
    }

    /// The hash in lower-case hexadecimal: 64 digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        to_hex(&self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_keep_one_text_apart() {
        for (at, kind) in FlowKind::ALL.iter().enumerate() {
            for other in FlowKind::ALL.iter().skip(at + 1) {
                assert_ne!(kind.as_str(), other.as_str());
                assert_ne!(
                    FlowKey::of(*kind, b"a").to_bytes(),
                    FlowKey::of(*other, b"a").to_bytes()
                );
            }
        }
        assert_ne!(FlowKey::of(FlowKind::Code, b""), FlowKey::of(FlowKind::Code, b"\0"));
    }

    #[test]
    fn a_key_is_a_hash_of_its_kind_and_what_was_presented() {
        let key = FlowKey::of(FlowKind::Code, b"abc");
        assert_eq!(
            key.to_hex(),
            "449512298e78d89bff1dffffb4eae2115ef25494c8652cfa643fac35c9a5e811"
        );
        assert_eq!(FlowKey::of_hash(FlowKind::Code, key.to_bytes()), key);
        assert_eq!(key.kind(), FlowKind::Code);
    }
}

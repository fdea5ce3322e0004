//! Tickets: what a request took of limits that want to know how it ends, told by `ext_authz` to
//! whoever hears of the end.
//!
//! The two may be different replicas, and between them the ticket lies in Envoy, so it says
//! everything in full, and a code over it (HMAC-SHA256, cut to 16 bytes) says that one of us
//! wrote it: to give something back that was never taken would open a limit. It names nobody:
//! keys are hashes.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version |
//! | 8 | when, in Unix milliseconds |
//! | 8 | random, so that no two tickets are one |
//! | 8 | how many replicas share what was taken without the store, 0 where it was there |
//! | up to 59 for each | when to give back and what was taken (see `wire`) |
//! | 16 | the code |
//!
//! in base64url, numbers in network order.

mod wire;

use aws_lc_rs::{hmac, rand};
use postern_jose::base64url;
use postern_request::UnixMillis;
use postern_store::volatile::GiveBack;
use subtle::ConstantTimeEq as _;

/// Longest ticket, in characters; it passes through Envoy with every request that has one.
pub const MAX_TICKET_CHARS: usize = 2048;
/// How long a ticket is worth something: as long as the longest place in a limit, one for
/// requests that are under way.
pub const TICKET_LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// What the key that tickets are made with is derived for.
const PURPOSE: &[u8] = b"postern:settlement:1";
const CODE_BYTES: usize = 16;
/// The longest ticket, before it is written in characters.
const MAX_BYTES: usize = MAX_TICKET_CHARS / 4 * 3;

/// Why there is no ticket, or none that is worth anything. Nothing of these is the client's
/// fault, and no retry helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TicketError {
    /// The system gives no random numbers.
    #[error("no random numbers")]
    Randomness,
    /// It is not what a ticket looks like, or of another version of this program.
    #[error("not a ticket")]
    Form,
    /// Nobody with our key wrote it: the replicas' keys differ, or it was made up or changed.
    #[error("not a ticket of ours")]
    Forged,
    /// The request took longer than a ticket lives.
    #[error("the ticket is too old")]
    TooOld,
}

/// How a request must end for something to be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GiveBackWhen {
    /// At all: it held a place.
    Ended,
    /// Well: only failed ones count.
    Successful,
    /// Badly: only successful ones count.
    Failed,
}

impl GiveBackWhen {
    /// Whether a request that has ended gets it back.
    #[must_use]
    pub fn applies(self, successful: Option<bool>) -> bool {
        match self {
            Self::Ended => true,
            Self::Successful => successful == Some(true),
            Self::Failed => successful == Some(false),
        }
    }
}

/// Something that was taken and may be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// From whom and what.
    pub taken: GiveBack,
    /// When it is given back.
    pub when: GiveBackWhen,
}

/// A ticket of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What tells it from all others.
    pub id: [u8; CODE_BYTES],
    /// What the request took, as far as it matters how it ends.
    pub owed: Vec<Owed>,
    /// Where it was taken without the store, by how many replicas the limits were shared.
    pub shared_by: Option<u64>,
}

/// Makes tickets and reads them. All replicas must have the same key, because Envoy may tell any
/// of them how a request ended.
#[derive(Clone)]
pub struct Tickets {
    key: hmac::Key,
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets(…)")
    }
}

impl Tickets {
    /// With a key of its own, derived from a secret that all replicas have: at least 32 bytes
    /// that nobody can guess.
    #[must_use]
    pub fn derived_from(secret: &[u8]) -> Self {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()) }
    }

    /// With a key that nobody else has: for one replica alone.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn random() -> Result<Self, TicketError> {
        let mut secret = [0; 32];
        rand::fill(&mut secret).map_err(|_| TicketError::Randomness)?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secret) })
    }

    /// A ticket for what was taken; `shared_by` says of how many replicas that was one's share,
    /// where it was taken without the store. Places of requests that are under way come first;
    /// what does not fit any more stays taken.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn issue(
        &self,
        owed: &[Owed],
        shared_by: Option<u64>,
        now: UnixMillis,
    ) -> Result<String, TicketError> {
        let mut bytes = wire::begin(now, random_u64()?, shared_by);
        let is_place = |owed: &&Owed| owed.when == GiveBackWhen::Ended;
        let (places, others): (Vec<&Owed>, Vec<&Owed>) = owed.iter().partition(is_place);
        for owed in places.into_iter().chain(others) {
            if bytes.len() + wire::MAX_OWED_BYTES + CODE_BYTES > MAX_BYTES {
                tracing::debug!("a request is held to more limits than a ticket has room for");
                break;
            }
            wire::push(&mut bytes, owed);
        }
        let code = self.code(&bytes);
        bytes.extend_from_slice(&code);
        Ok(base64url::encode(&bytes))
    }

    /// Reads a ticket. Whether it was settled before, the caller knows.
    ///
    /// # Errors
    /// When it is none of ours, or too old.
    pub fn open(&self, text: &str, now: UnixMillis) -> Result<Ticket, TicketError> {
        if text.len() > MAX_TICKET_CHARS {
            return Err(TicketError::Form);
        }
        let bytes = base64url::decode(text).ok_or(TicketError::Form)?;
        let (said, code) = bytes.split_last_chunk::<CODE_BYTES>().ok_or(TicketError::Form)?;
        if !bool::from(self.code(said).ct_eq(code)) {
            return Err(TicketError::Forged);
        }
        let read = wire::read(said).ok_or(TicketError::Form)?;
        // One from a replica whose clock is ahead is none too old.
        if now.millis_since(read.issued) > TICKET_LIFE_MS {
            return Err(TicketError::TooOld);
        }
        Ok(Ticket { id: *code, owed: read.owed, shared_by: read.shared_by })
    }

    fn code(&self, said: &[u8]) -> [u8; CODE_BYTES] {
        let whole = hmac::sign(&self.key, said);
        let mut code = [0; CODE_BYTES];
        for (to, from) in code.iter_mut().zip(whole.as_ref()) {
            *to = *from;
        }
        code
    }
}

/// A number that nobody has twice.
pub(crate) fn random_u64() -> Result<u64, TicketError> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| TicketError::Randomness)?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests;

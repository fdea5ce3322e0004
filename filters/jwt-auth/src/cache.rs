//! Verified tokens, by a keyed hash of their whole text.
//!
//! Set-associative: a hash names one set of [`WAYS`] entries, the one used longest ago makes
//! room. So memory is bounded whatever clients send, no lookup costs more than eight
//! comparisons, and without the seed nobody can aim at a set.

use std::hash::Hasher as _;
use std::rc::Rc;

use postern_request::UnixMillis;
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::Caller;

const WAYS: usize = 8;

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries, rounded up to a multiple of 8.
    pub entries: usize,
    /// Bytes of all entries together.
    pub bytes: usize,
}

impl Default for Limits {
    /// 4,096 entries and 8 MiB.
    fn default() -> Self {
        Self { entries: 4096, bytes: 8 << 20 }
    }
}

#[derive(Debug, Clone)]
struct Entry {
    hash: u128,
    caller: Rc<Caller>,
    /// Of the issuer's keys, when the token was verified.
    generation: u32,
    bytes: usize,
    used: u64,
}

/// The cache. One per VM.
#[derive(Debug)]
pub struct TokenCache {
    key: [u8; 16],
    sets: Vec<Vec<Entry>>,
    bytes_per_set: usize,
    clock: u64,
    entries: usize,
}

impl TokenCache {
    /// An empty cache; `seed` must be secret and random.
    #[must_use]
    pub fn new(seed: u128, limits: Limits) -> Self {
        let sets = limits.entries.div_ceil(WAYS).max(1);
        Self {
            key: seed.to_le_bytes(),
            sets: vec![Vec::new(); sets],
            bytes_per_set: limits.bytes / sets,
            clock: 0,
            entries: 0,
        }
    }

    /// How many tokens are remembered.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The name of a token in this cache. 128 bits under a secret key: two tokens with one
    /// name cannot be made, only met by chance (2⁻¹²⁸).
    #[must_use]
    pub fn hash(&self, token: &[u8]) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(token);
        hasher.finish128().as_u128()
    }

    fn set_of(&self, hash: u128) -> usize {
        // The low half spreads as well as any; the remainder is below the number of sets.
        let low = u64::try_from(hash & u128::from(u64::MAX)).unwrap_or_default();
        usize::try_from(low % self.sets.len() as u64).unwrap_or_default()
    }

    /// A remembered token and the generation of keys that it was verified with.
    pub(crate) fn get(&mut self, hash: u128) -> Option<(Rc<Caller>, u32)> {
        self.clock += 1;
        let set = self.set_of(hash);
        let entry = self.sets.get_mut(set)?.iter_mut().find(|entry| entry.hash == hash)?;
        entry.used = self.clock;
        Some((Rc::clone(&entry.caller), entry.generation))
    }

    /// Remembers a token. One that is too large for its set's share is not.
    pub(crate) fn insert(
        &mut self,
        hash: u128,
        caller: &Rc<Caller>,
        generation: u32,
        now: UnixMillis,
    ) {
        let bytes = weight(caller);
        let (used, budget) = (self.clock, self.bytes_per_set);
        let at = self.set_of(hash);
        let Some(set) = self.sets.get_mut(at) else { return };
        let before = set.len();
        // Tokens that are over by any leeway are of no use to anybody.
        set.retain(|entry| {
            let over = entry.caller.token.claims.expires_at.saturating_add(3600) < now.as_secs();
            entry.hash != hash && !over
        });
        if bytes <= budget {
            while set.len() >= WAYS || total(set) + bytes > budget {
                let oldest = set.iter().enumerate().min_by_key(|(_, entry)| entry.used);
                let Some((oldest, _)) = oldest else { break };
                set.swap_remove(oldest);
            }
            let caller = Rc::clone(caller);
            set.push(Entry { hash, caller, generation, bytes, used });
        }
        self.entries = self.entries + set.len() - before;
    }
}

fn total(set: &[Entry]) -> usize {
    set.iter().map(|entry| entry.bytes).sum()
}

/// What an entry holds on the heap, near enough for a budget: texts, and what each costs beside
/// its bytes.
fn weight(caller: &Caller) -> usize {
    const PER_TEXT: usize = 32;
    const PER_ENTRY: usize = 512;
    let text = |text: &str| text.len() + PER_TEXT;
    let principal = caller.principal();
    let claims = &caller.token.claims;
    let options = [
        &principal.client_id,
        &principal.tier,
        &principal.session,
        &principal.device,
        &principal.country,
        &principal.role,
        &claims.token_id,
        &caller.token.key_id,
    ];
    let pairs = principal.claim_headers.iter().chain(&caller.headers);
    PER_ENTRY
        + text(&claims.issuer)
        + text(&principal.subject)
        + options.into_iter().flatten().map(|value| text(value)).sum::<usize>()
        + principal.scopes.iter().chain(&claims.audiences).map(|value| text(value)).sum::<usize>()
        + pairs.map(|(name, value)| text(name) + text(value)).sum::<usize>()
}

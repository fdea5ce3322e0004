//! Verified tokens, by a keyed hash of their whole text.
//!
//! Set-associative with two choices: a hash names two sets of [`WAYS`] entries, a new token goes
//! to the emptier one, and where both are full the one used longest ago makes room. So memory
//! is bounded whatever clients send, no lookup costs more than sixteen comparisons, and without
//! the seed nobody can aim at a set. The second choice is what keeps tokens of a half-full
//! cache from meeting in full sets.

use std::hash::Hasher as _;
use std::rc::Rc;

use postern_request::UnixMillis;
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::Caller;

const WAYS: usize = 8;

/// No document allows clocks to differ by more.
const MOST_LEEWAY_SECS: u64 = 3600;

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
    /// When the token is over by any leeway, in seconds since the epoch.
    over_at: u64,
}

/// Entries, and a few bits of each one's hash side by side: the set is searched in one line of
/// the processor's cache, and only the entry that is meant is fetched.
#[derive(Debug, Clone, Default)]
struct Set {
    tags: [u32; WAYS],
    entries: Vec<Entry>,
}

impl Set {
    fn find(&mut self, hash: u128) -> Option<&mut Entry> {
        let tag = tag(hash);
        let tags = self.tags.iter().zip(0..self.entries.len());
        let mut places = tags.filter(|(known, _)| **known == tag).map(|(_, place)| place);
        let place =
            places.find(|place| self.entries.get(*place).is_some_and(|entry| entry.hash == hash));
        self.entries.get_mut(place?)
    }

    fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        self.tag();
    }

    fn remove_oldest(&mut self) -> Option<Entry> {
        let ages = self.entries.iter().enumerate();
        let (oldest, _) = ages.min_by_key(|(_, entry)| entry.used)?;
        let removed = self.entries.swap_remove(oldest);
        self.tag();
        Some(removed)
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        let before = self.entries.len();
        self.entries.retain(keep);
        if self.entries.len() != before {
            self.tag();
        }
    }

    fn tag(&mut self) {
        for (known, entry) in self.tags.iter_mut().zip(&self.entries) {
            *known = tag(entry.hash);
        }
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.bytes).sum()
    }
}

/// Bits that do not choose the set when there are fewer than 2³² of them.
fn tag(hash: u128) -> u32 {
    u32::try_from((hash >> 32) & u128::from(u32::MAX)).unwrap_or_default()
}

/// The cache. One per VM.
#[derive(Debug)]
pub struct TokenCache {
    key: [u8; 16],
    sets: Vec<Set>,
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
            sets: vec![Set::default(); sets],
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

    /// The two sets that a token may be in; each half of the hash spreads as well as any.
    fn sets_of(&self, hash: u128) -> [usize; 2] {
        // In 64 bits: 128 are divided by a routine of a hundred steps.
        let sets = self.sets.len() as u64;
        let halves = [hash & u128::from(u64::MAX), hash >> 64].map(u64::try_from);
        halves.map(|half| {
            usize::try_from(half.unwrap_or_default().checked_rem(sets).unwrap_or_default())
                .unwrap_or_default()
        })
    }

    /// A remembered token and the generation of keys that it was verified with.
    pub(crate) fn get(&mut self, hash: u128) -> Option<(Rc<Caller>, u32)> {
        self.clock += 1;
        for at in self.sets_of(hash) {
            let set = self.sets.get_mut(at)?;
            if let Some(entry) = set.find(hash) {
                entry.used = self.clock;
                return Some((Rc::clone(&entry.caller), entry.generation));
            }
        }
        None
    }

    /// Remembers a token. One that is too large for a set's share is not.
    pub(crate) fn insert(
        &mut self,
        hash: u128,
        caller: &Rc<Caller>,
        generation: u32,
        now: UnixMillis,
    ) {
        let bytes = weight(caller);
        let choices = self.sets_of(hash);
        for at in choices {
            let Some(set) = self.sets.get_mut(at) else { continue };
            let before = set.entries.len();
            // Tokens that are over are of no use to anybody.
            set.retain(|entry| entry.hash != hash && entry.over_at >= now.as_secs());
            self.entries -= before - set.entries.len();
        }
        let emptier = choices.into_iter().min_by_key(|at| self.room_key(*at));
        let (used, budget) = (self.clock, self.bytes_per_set);
        let Some(set) = emptier.and_then(|at| self.sets.get_mut(at)) else { return };
        if bytes > budget {
            return;
        }
        while set.entries.len() >= WAYS || set.bytes() + bytes > budget {
            if set.remove_oldest().is_none() {
                break;
            }
            self.entries -= 1;
        }
        let over_at = caller.token.claims.expires_at.saturating_add(MOST_LEEWAY_SECS);
        set.push(Entry { hash, caller: Rc::clone(caller), generation, bytes, used, over_at });
        self.entries += 1;
    }

    /// Orders sets by how little a new entry would push out: fewer entries first; among full
    /// ones the one whose oldest entry was used longest ago.
    fn room_key(&self, at: usize) -> (usize, u64) {
        let set = self.sets.get(at).map_or(&[][..], |set| set.entries.as_slice());
        let oldest = set.iter().map(|entry| entry.used).min().unwrap_or_default();
        (set.len(), oldest)
    }
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
    let pairs = principal.claim_headers.iter();
    PER_ENTRY
        + caller.headers.weight()
        + caller.states.weight()
        + text(&principal.issuer)
        + claims.kept_bytes()
        + text(&principal.subject)
        + options.into_iter().flatten().map(|value| text(value)).sum::<usize>()
        + principal.scopes.iter().chain(&claims.audiences).map(|value| text(value)).sum::<usize>()
        + pairs.map(|(name, value)| text(name) + text(value)).sum::<usize>()
}

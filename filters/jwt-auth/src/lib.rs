//! The token stage: who is calling, from a signed token.
//!
//! A token is verified once and remembered by a keyed hash of its whole text; what depends on
//! time, route or request (`exp`, `nbf`, scopes, what its holder has shown) is judged again on
//! every request. Keys may change at any time: a remembered token counts only as long as the
//! keys that verified it are in use.
//!
//! Deliberately absent: the host. Time comes as an argument, signatures are checked by a
//! [`SignatureVerifier`], headers are handed in. And what a token is bound to: whoever takes
//! bound tokens asks [`VerifiedToken::confirm`] of each request.

mod cache;
mod packed;
mod states;

use std::cell::Cell;
use std::rc::Rc;

use postern_jose::{Freshness, Issuer, KeySet, SignatureVerifier, TokenError, VerifiedToken};
use postern_request::principal::{IdentityHeader, Principal};
use postern_request::{Denial, UnixMillis};
use postern_revocation::{FingerprintKey, Marks};

pub use cache::{Limits, TokenCache};
use packed::Packed;

/// A verified token, and what it means for upstreams, worked out once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    token: VerifiedToken,
    /// Identity headers as the document wants them.
    headers: Packed,
    /// Claims for the filter state.
    states: Packed,
    checked: Cell<Checked>,
}

/// What is known of a token's revocation: never a verdict, only up to when it was found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// Of the store whose key the marks are made with; 0 for none.
    pub epoch: u64,
    /// The generation of the revoked set in which nothing of the token was revoked.
    pub good_at: Option<u32>,
    /// What it would be revoked by.
    pub marks: Marks,
}

impl Caller {
    /// Who it is.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        self.token.principal()
    }

    /// What was verified.
    #[must_use]
    pub const fn token(&self) -> &VerifiedToken {
        &self.token
    }

    /// What is known of its revocation.
    #[must_use]
    pub const fn checked(&self) -> Checked {
        self.checked.get()
    }

    /// Keeps what was found out about its revocation.
    pub fn set_checked(&self, checked: Checked) {
        self.checked.set(checked);
    }

    /// All that it could be revoked by, under a key.
    #[must_use]
    pub fn marks(&self, key: &FingerprintKey) -> Marks {
        Marks::of_token(key, &self.token)
    }

    /// When the token was issued, in seconds since the epoch.
    #[must_use]
    pub const fn issued_at(&self) -> Option<u64> {
        self.token.claims.issued_at
    }

    /// Identity headers as the document wants them, no name twice.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter()
    }

    /// Claims for the filter state: keys, without Envoy's `wasm.`, and texts.
    pub fn states(&self) -> impl Iterator<Item = (&str, &str)> {
        self.states.iter()
    }
}

/// Somebody whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// What its tokens must say.
    pub issuer: Issuer,
    /// Claims for the filter state: the name there, and the claim's place among those that the
    /// issuer's rules keep.
    pub claim_state: Vec<(String, usize)>,
}

impl AsRef<Issuer> for TrustedIssuer {
    fn as_ref(&self) -> &Issuer {
        &self.issuer
    }
}

/// A token that was turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What the client is told; which check failed is in its `reason` only.
    pub denial: Denial,
    /// The issuer none of whose keys fits: it may have one that is newer than those. Costs a
    /// client nothing to bring about, so it must not cost much to follow.
    pub lacks_key_of: Option<usize>,
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self { denial, lacks_key_of: None }
    }
}

/// One issuer's keys and how often they changed.
#[derive(Debug, Default)]
struct Keys {
    set: Option<KeySet>,
    generation: u32,
}

/// The stage. One per VM.
#[derive(Debug)]
pub struct JwtAuth {
    issuers: Vec<TrustedIssuer>,
    keys: Vec<Keys>,
    identity_headers: Vec<IdentityHeader>,
    accepts_bound: bool,
    cache: TokenCache,
}

/// Where a verified token came from; for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It was remembered.
    Cache,
    /// Its signature was checked just now.
    Signature,
}

impl JwtAuth {
    /// A stage that knows no keys yet; see [`JwtAuth::set_keys`]. With `accepts_bound` tokens
    /// that are bound to a key or certificate are verified like others, and whoever asks has to
    /// have them confirmed; without it they are refused. `seed` must be secret and random,
    /// because clients choose what is hashed.
    #[must_use]
    pub fn new(
        issuers: Vec<TrustedIssuer>,
        identity_headers: Vec<IdentityHeader>,
        accepts_bound: bool,
        seed: u128,
    ) -> Self {
        let keys = issuers.iter().map(|_| Keys::default()).collect();
        let cache = TokenCache::new(seed, Limits::default());
        Self { issuers, keys, identity_headers, accepts_bound, cache }
    }

    /// Takes over an issuer's keys. Tokens verified with keys that are gone are verified anew.
    pub fn set_keys(&mut self, issuer: usize, set: KeySet) {
        if let Some(keys) = self.keys.get_mut(issuer)
            && keys.set.as_ref() != Some(&set)
        {
            keys.generation = keys.generation.wrapping_add(1);
            keys.set = Some(set);
        }
    }

    /// Whether an issuer's keys are known.
    #[must_use]
    pub fn has_keys(&self, issuer: usize) -> bool {
        self.keys.get(issuer).is_some_and(|keys| keys.set.is_some())
    }

    /// Entries and bytes of the cache; for metrics.
    #[must_use]
    pub const fn cache(&self) -> &TokenCache {
        &self.cache
    }

    /// Verifies a token, or remembers that it was. Whether who shows it may is not judged here,
    /// and never remembered.
    ///
    /// # Errors
    /// When it does not count, or cannot be judged now.
    pub fn authenticate(
        &mut self,
        token: &[u8],
        verifier: &mut dyn SignatureVerifier,
        now: UnixMillis,
    ) -> Result<(Rc<Caller>, Source), Refused> {
        let hash = self.cache.hash(token);
        let generation_of = |issuer: usize| self.keys.get(issuer).map(|keys| keys.generation);
        if let Some((caller, generation)) = self.cache.get(hash)
            && generation_of(caller.token.issuer_index) == Some(generation)
        {
            self.judge_time(&caller, now)?;
            return Ok((caller, Source::Cache));
        }
        let token = self.verify(token, verifier, now)?;
        let generation = generation_of(token.issuer_index).unwrap_or_default();
        let headers = Packed::new(&token.principal().headers(&self.identity_headers));
        let issuer = self.issuers.get(token.issuer_index);
        let wanted = issuer.map_or(&[][..], |issuer| issuer.claim_state.as_slice());
        let states = Packed::new(&states::of(&token, wanted));
        let caller = Rc::new(Caller { token, headers, states, checked: Cell::default() });
        self.cache.insert(hash, &caller, generation, now);
        Ok((caller, Source::Signature))
    }

    fn verify(
        &self,
        token: &[u8],
        verifier: &mut dyn SignatureVerifier,
        now: UnixMillis,
    ) -> Result<VerifiedToken, Refused> {
        // A token that is no text was never remembered.
        let token = core::str::from_utf8(token).map_err(|_| TokenError::Form.to_denial())?;
        // Keys are asked for once, by the issuer that the token names.
        let asked = Cell::new(None);
        let keys_of = |issuer: usize| {
            asked.set(Some(issuer));
            self.keys.get(issuer).and_then(|keys| keys.set.as_ref())
        };
        let verified = if self.accepts_bound {
            postern_jose::verify_bound(token, &self.issuers, keys_of, verifier, now)
        } else {
            postern_jose::verify(token, &self.issuers, keys_of, verifier, now)
        };
        verified.map_err(|error| Refused {
            denial: error.to_denial(),
            lacks_key_of: if error == TokenError::Key { asked.get() } else { None },
        })
    }

    fn judge_time(&self, caller: &Caller, now: UnixMillis) -> Result<(), Denial> {
        let issuer = self.issuers.get(caller.token.issuer_index);
        let leeway = issuer.map_or(0, |issuer| issuer.issuer.leeway_secs);
        match caller.token.freshness(leeway, now) {
            Freshness::Current => Ok(()),
            Freshness::Expired => Err(Denial::invalid_token(TokenError::Expired.reason())),
            Freshness::NotYet => Err(Denial::invalid_token(TokenError::NotYet.reason())),
        }
    }
}

#[cfg(test)]
mod tests;

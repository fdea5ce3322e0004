//! Verifying a token, and judging a verified one again on every request.

use postern_request::{Principal, UnixMillis};

use crate::claims::{self, ClaimValue, Claims, ClaimsRules};
use crate::confirmation::Possession;
use crate::jws::CompactJws;
use crate::key_set::KeySet;
use crate::{SignatureVerifier, TokenError};

/// Somebody whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// `iss`, compared as it is (RFC 8414 §2).
    pub issuer: String,
    /// A token must name one of these in `aud`; with none configured, `aud` is not looked at.
    pub audiences: Vec<String>,
    /// How far clocks may differ, in seconds.
    pub leeway_secs: u64,
    /// Only tokens whose `typ` says that they are access tokens (RFC 9068 §4): for an issuer that
    /// signs ID tokens with the same keys, as the suite does.
    pub access_token_type_only: bool,
    /// Claims that must be there, become headers or are kept for routes.
    pub rules: ClaimsRules,
}

impl AsRef<Self> for Issuer {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// A token whose signature holds. Nothing in it depends on a route or on the time, so it can
/// be kept; [`VerifiedToken::freshness`] is asked on every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Which of the issuers it came from.
    pub issuer_index: usize,
    /// The key that it was verified with.
    pub key_id: Option<String>,
    /// What it says.
    pub claims: Claims,
}

/// Whether a token counts now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It does.
    Current,
    /// `exp` is over.
    Expired,
    /// `nbf` is not reached.
    NotYet,
}

impl VerifiedToken {
    /// Judges `exp` and `nbf` (RFC 7519 §4.1.4, §4.1.5) with the issuer's leeway.
    #[must_use]
    pub fn freshness(&self, leeway_secs: u64, now: UnixMillis) -> Freshness {
        let now = now.as_secs();
        if now >= self.claims.expires_at.saturating_add(leeway_secs) {
            return Freshness::Expired;
        }
        if self.claims.not_before.is_some_and(|start| now.saturating_add(leeway_secs) < start) {
            return Freshness::NotYet;
        }
        Freshness::Current
    }

    /// Judges whether who shows the token may: a bearer token may be shown by anybody, a bound
    /// one (RFC 8705, RFC 9449) by who has proven to possess what it is bound to.
    ///
    /// # Errors
    /// [`TokenError::Confirmation`] when that is not so.
    pub fn confirm(&self, shown: &Possession) -> Result<(), TokenError> {
        self.claims.confirmation.check(shown)
    }

    /// A claim that routes ask about, by its place in the rules of the token's issuer; see
    /// [`ClaimsRules::kept_index`].
    #[must_use]
    pub fn kept(&self, index: usize) -> Option<&ClaimValue> {
        self.claims.kept.get(index).and_then(Option::as_ref)
    }

    /// Who the token speaks for.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.claims.principal
    }
}

/// Verifies a compact token against the issuers, each with its keys. For bearer tokens only:
/// one that is bound to a key or certificate is refused, because without its proof it is a
/// stolen one until shown otherwise (RFC 9449 §7.2).
///
/// Cheap checks come first, so that a forged token costs a signature check only when it is
/// well-formed, of a known issuer and key, and in its time.
///
/// # Errors
/// The first check that failed; for logs, never for clients.
pub fn verify<'k, I: AsRef<Issuer>>(
    token: &str,
    issuers: &[I],
    keys_of: impl Fn(usize) -> Option<&'k KeySet>,
    verifier: &mut dyn SignatureVerifier,
    now: UnixMillis,
) -> Result<VerifiedToken, TokenError> {
    check(token, issuers, keys_of, verifier, now, Binding::Refused)
}

/// As [`verify`], and lets bound tokens through. Whoever calls this asks
/// [`VerifiedToken::confirm`] on every request that brings the token.
///
/// # Errors
/// As [`verify`]; bound in a way that is not known here is still an error.
pub fn verify_bound<'k, I: AsRef<Issuer>>(
    token: &str,
    issuers: &[I],
    keys_of: impl Fn(usize) -> Option<&'k KeySet>,
    verifier: &mut dyn SignatureVerifier,
    now: UnixMillis,
) -> Result<VerifiedToken, TokenError> {
    check(token, issuers, keys_of, verifier, now, Binding::Confirmed)
}

/// What becomes of tokens that are bound to something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Binding {
    Refused,
    Confirmed,
}

fn check<'k, I: AsRef<Issuer>>(
    token: &str,
    issuers: &[I],
    keys_of: impl Fn(usize) -> Option<&'k KeySet>,
    verifier: &mut dyn SignatureVerifier,
    now: UnixMillis,
    binding: Binding,
) -> Result<VerifiedToken, TokenError> {
    let jws = CompactJws::parse(token)?;
    let members = claims::parse_object(&jws.payload)?;
    let named = claims::issuer(&members)?;
    let (issuer_index, issuer) = issuers
        .iter()
        .map(AsRef::as_ref)
        .enumerate()
        .find(|(_, issuer)| issuer.issuer == named)
        .ok_or(TokenError::Issuer)?;
    if issuer.access_token_type_only && !jws.is_access_token {
        return Err(TokenError::Type);
    }
    let claims = Claims::read(members, &issuer.rules)?;
    if binding == Binding::Refused && claims.confirmation.is_bound() {
        return Err(TokenError::Confirmation);
    }
    let in_audience = |aud: &String| claims.audiences.contains(aud);
    if !issuer.audiences.is_empty() && !issuer.audiences.iter().any(in_audience) {
        return Err(TokenError::Audience);
    }
    let mut verified = VerifiedToken { issuer_index, key_id: None, claims };
    match verified.freshness(issuer.leeway_secs, now) {
        Freshness::Current => {}
        Freshness::Expired => return Err(TokenError::Expired),
        Freshness::NotYet => return Err(TokenError::NotYet),
    }
    let keys = keys_of(issuer_index).ok_or(TokenError::KeysMissing)?;
    let key = jws.verified_by(keys, verifier)?;
    verified.key_id = jws.key_id.or_else(|| key.id.clone());
    Ok(verified)
}

#[cfg(test)]
mod tests;

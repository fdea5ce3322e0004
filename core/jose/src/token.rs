//! Verifying a token, and judging a verified one again on every request.

use postern_request::{Principal, UnixMillis};

use crate::claims::{self, Claims, ClaimsRules};
use crate::jwk::KeySet;
use crate::jws::CompactJws;
use crate::{SignatureVerifier, TokenError};

/// Most keys that are tried for a token that names none: each try costs a signature check.
const MAX_TRIES: usize = 4;

/// Somebody whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// `iss`, compared as it is (RFC 8414 §2).
    pub issuer: String,
    /// A token must name one of these in `aud`; with none configured, `aud` is not looked at.
    pub audiences: Vec<String>,
    /// How far clocks may differ, in seconds.
    pub leeway_secs: u64,
    /// Claims that become headers.
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

    /// Who the token speaks for.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.claims.principal
    }
}

/// Verifies a compact token against the issuers, each with its keys.
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
    let jws = CompactJws::parse(token)?;
    let payload = claims::parse_object(&jws.payload)?;
    let named = claims::issuer(&payload)?;
    let (issuer_index, issuer) = issuers
        .iter()
        .map(AsRef::as_ref)
        .enumerate()
        .find(|(_, issuer)| issuer.issuer == named)
        .ok_or(TokenError::Issuer)?;
    let claims = Claims::read(&payload, &issuer.rules)?;
    if claims.is_bound {
        // A bound token without its proof is a stolen one until shown otherwise (RFC 9449 §7.2).
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
    verified.key_id = check_signature(&jws, keys, verifier)?;
    Ok(verified)
}

/// The id of the key that made the signature.
fn check_signature(
    jws: &CompactJws<'_>,
    keys: &KeySet,
    verifier: &mut dyn SignatureVerifier,
) -> Result<Option<String>, TokenError> {
    let mut known = false;
    for key in keys.candidates(jws.algorithm, jws.key_id.as_deref()).take(MAX_TRIES) {
        known = true;
        let holds = verifier
            .verify(key, jws.signing_input.as_bytes(), &jws.signature)
            .map_err(TokenError::Unverified)?;
        if holds {
            return Ok(key.id.clone());
        }
    }
    Err(if known { TokenError::Signature } else { TokenError::Key })
}

//! DPoP proofs (RFC 9449 §4), as pure checks.
//!
//! A proof says: who makes this request, to this URL, with this access token, holds the private
//! half of the key in the proof's header. Bound tokens name that key by its thumbprint; see
//! [`Confirmation`](crate::Confirmation).
//!
//! Whoever calls [`verify`] has the rest to do: refuse a request with more than one `DPoP`
//! header (§4.3, 1), hand out nonces, and remember [`Proof::jti_hash`] until the proof is too
//! old to pass (§11.1). The first is done by [`ProvenRequest::proof`], for requests with a token
//! that is bound to a key. The signature check costs most and its key is the client's choice: a
//! verifier that keeps parsed keys should not keep these.

mod request;
mod target;

use postern_request::UnixMillis;
use postern_request::json::{Item, parse_members};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::claims::seconds;
use crate::jwk::Key;
use crate::jws::{Header, Parts, check_signature, decode};
use crate::{SignatureVerifier, TokenError, VerifyError, base64url};

pub use request::{LEEWAY_SECS, ProvenRequest};

/// Longest proof that is looked at, in bytes.
pub const MAX_PROOF_BYTES: usize = 8192;
/// Longest `jti`, in bytes.
pub const MAX_JTI_BYTES: usize = 256;

/// The request that a proof came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DpopRequest<'a> {
    /// Method.
    pub method: &'a str,
    /// The URL as the client knows it; query and fragment do not count.
    pub url: &'a str,
    /// [`access_token_hash`] of the access token in the request; none at the token endpoint.
    pub access_token_hash: Option<[u8; 32]>,
    /// The nonces of which the proof must hold one (§8, §9); with none, it need not.
    pub nonces: &'a [&'a str],
    /// The time.
    pub now: UnixMillis,
    /// How old a proof may be, in seconds.
    pub max_age_secs: u64,
    /// How far the client's clock may differ, in seconds.
    pub leeway_secs: u64,
}

/// A proof that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The key whose possession it proves (RFC 7638), as in `jkt`.
    pub thumbprint: [u8; 32],
    /// SHA-256 of the thumbprint and `jti`: what to remember, so that the proof passes once. The
    /// key is part of it, so that nobody can use up another client's.
    pub jti_hash: [u8; 32],
    /// `iat`, in seconds since the epoch.
    pub issued_at: u64,
}

/// Why a proof was refused; each variant by the number of its check in RFC 9449 §4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// 2: not a compact JWS of at most [`MAX_PROOF_BYTES`], or its header is malformed.
    #[error("not a well-formed JWS")]
    Form,
    /// 3: a claim is missing or has another type.
    #[error("a claim is missing or malformed")]
    Claims,
    /// 4: `typ` is not `dpop+jwt`.
    #[error("wrong type")]
    Type,
    /// 5: the algorithm is none with a public key that is known here.
    #[error("unknown algorithm")]
    Algorithm,
    /// 6, 7: there is no public key in the header that fits its algorithm, or a private one.
    #[error("no usable public key")]
    Key,
    /// 6: the signature does not hold.
    #[error("bad signature")]
    Signature,
    /// 8: made for another method.
    #[error("wrong method")]
    Method,
    /// 9: made for another URL.
    #[error("wrong URL")]
    Url,
    /// 10: it has no nonce, or one that was not given out lately. The answer is
    /// `use_dpop_nonce` with a new one.
    #[error("wrong nonce")]
    Nonce,
    /// 11: made too long ago, or in the future.
    #[error("not made just now")]
    Time,
    /// 12: made for another access token.
    #[error("wrong access token")]
    AccessToken,
    /// The signature could not be checked: not the proof's fault.
    #[error("signature not checked: {0}")]
    Unverified(VerifyError),
}

impl DpopError {
    /// A stable word for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Form => "dpop_form",
            Self::Claims => "dpop_claims",
            Self::Type => "dpop_type",
            Self::Algorithm => "dpop_algorithm",
            Self::Key => "dpop_key",
            Self::Signature => "dpop_signature",
            Self::Method => "dpop_method",
            Self::Url => "dpop_url",
            Self::Nonce => "dpop_nonce",
            Self::Time => "dpop_time",
            Self::AccessToken => "dpop_access_token",
            Self::Unverified(_) => "dpop_unverified",
        }
    }

    /// What of it the reading of a JWS can say.
    const fn from_token(error: TokenError) -> Self {
        match error {
            TokenError::Algorithm => Self::Algorithm,
            TokenError::Unverified(error) => Self::Unverified(error),
            _ => Self::Form,
        }
    }
}

/// SHA-256 of an access token as it was sent, for `ath` (§4.2).
#[must_use]
pub fn access_token_hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Checks a proof against the request that it came with (§4.3, 2 to 12).
///
/// # Errors
/// The first check that failed; clients are told `invalid_dpop_proof`, or `use_dpop_nonce` for
/// [`DpopError::Nonce`].
pub fn verify(
    proof: &str,
    request: &DpopRequest<'_>,
    verifier: &mut dyn SignatureVerifier,
) -> Result<Proof, DpopError> {
    let parts = Parts::of(proof, MAX_PROOF_BYTES).map_err(DpopError::from_token)?;
    let header = decode(parts.header).map_err(DpopError::from_token)?;
    let header = Header::read(&header).map_err(DpopError::from_token)?;
    if !header.media_type.is_some_and(|typ| typ.eq_ignore_ascii_case("dpop+jwt")) {
        return Err(DpopError::Type);
    }
    let jwk = header.key.as_ref().ok_or(DpopError::Key)?;
    let key = Key::read(jwk, Some(header.algorithm)).map_err(|_| DpopError::Key)?;
    let payload = decode(parts.payload).map_err(DpopError::from_token)?;
    let claims = ProofClaims::read(&payload)?;
    claims.judge(request)?;
    let signature = decode(parts.signature).map_err(DpopError::from_token)?;
    let holds = check_signature(&key, parts.signing_input, &signature, verifier);
    if !holds.map_err(DpopError::from_token)? {
        return Err(DpopError::Signature);
    }
    let thumbprint = key.thumbprint();
    let jti_hash = Sha256::new().chain_update(thumbprint).chain_update(&claims.token_id);
    Ok(Proof { thumbprint, jti_hash: jti_hash.finalize().into(), issued_at: claims.issued_at })
}

/// The claims of a proof (§4.2).
struct ProofClaims {
    token_id: String,
    method: String,
    url: String,
    issued_at: u64,
    access_token_hash: Option<String>,
    nonce: Option<String>,
}

impl ProofClaims {
    fn read(payload: &[u8]) -> Result<Self, DpopError> {
        let text = |item: Item<'_>| match item {
            Item::String(text) => Ok(Some(text.into_owned())),
            Item::Other(_) => Err(DpopError::Claims),
        };
        let (mut token_id, mut method, mut url, mut issued_at) = (None, None, None, None);
        let (mut access_token_hash, mut nonce) = (None, None);
        for (name, item) in parse_members(payload).map_err(|_| DpopError::Claims)? {
            match &*name {
                "jti" => token_id = text(item)?,
                "htm" => method = text(item)?,
                "htu" => url = text(item)?,
                "iat" => issued_at = Some(seconds(&item).map_err(|_| DpopError::Claims)?),
                "ath" => access_token_hash = text(item)?,
                "nonce" => nonce = text(item)?,
                _ => {}
            }
        }
        let fits = |jti: &String| !jti.is_empty() && jti.len() <= MAX_JTI_BYTES;
        Ok(Self {
            token_id: token_id.filter(fits).ok_or(DpopError::Claims)?,
            method: method.ok_or(DpopError::Claims)?,
            url: url.ok_or(DpopError::Claims)?,
            issued_at: issued_at.ok_or(DpopError::Claims)?,
            access_token_hash,
            nonce,
        })
    }

    fn judge(&self, request: &DpopRequest<'_>) -> Result<(), DpopError> {
        if self.method != request.method {
            return Err(DpopError::Method);
        }
        if !target::is_same(&self.url, request.url) {
            return Err(DpopError::Url);
        }
        let now = request.now.as_secs();
        let oldest = now.saturating_sub(request.max_age_secs.saturating_add(request.leeway_secs));
        if !(oldest..=now.saturating_add(request.leeway_secs)).contains(&self.issued_at) {
            return Err(DpopError::Time);
        }
        if let Some(expected) = request.access_token_hash {
            let named = self.access_token_hash.as_deref().and_then(base64url::decode);
            let same = |named: Vec<u8>| bool::from(named.as_slice().ct_eq(expected.as_slice()));
            if !named.is_some_and(same) {
                return Err(DpopError::AccessToken);
            }
        }
        let given = |nonce: &String| request.nonces.contains(&nonce.as_str());
        if !request.nonces.is_empty() && !self.nonce.as_ref().is_some_and(given) {
            return Err(DpopError::Nonce);
        }
        Ok(())
    }
}

//! Access tokens (RFC 9068): made here, and checked the way everybody else checks them.

use std::sync::Arc;

use jsonwebtoken::Header;
use postern_jose::{ClaimsRules, Issuer, TokenError, VerifiedToken, verify};
use postern_oauth::{ScopeSet, Secret};
use postern_request::UnixMillis;
use postern_request::headers::is_identity_value;
use serde::Serialize;

use crate::{AwsLcVerifier, IdentityError, KeyRing, random};

/// How long a client's access tokens live when nobody says otherwise, in seconds.
pub const DEFAULT_LIFETIME_SECS: u64 = 3600;
/// The longest that any access token lives, in seconds. A key that was superseded stays
/// published for so long, so that no token outlives the key that proves it.
pub const MAX_LIFETIME_SECS: u64 = 86_400;
/// Longest claim, in bytes; readers have the same bound.
const MAX_CLAIM_BYTES: usize = 1024;

/// What a token should say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessTokenRequest {
    /// `sub`
    pub subject: String,
    /// `client_id`
    pub client_id: String,
    /// `scope`
    pub scopes: ScopeSet,
    /// `aud`; none means the issuer itself.
    pub audiences: Vec<String>,
    /// How long it lives, in seconds, up to [`MAX_LIFETIME_SECS`].
    pub lifetime_secs: u64,
    /// `role`
    pub role: Option<String>,
    /// `tier`
    pub tier: Option<String>,
    /// `sessionId`
    pub session: Option<String>,
    /// `deviceId`
    pub device: Option<String>,
}

/// A token that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token.
    pub token: Secret,
    /// `jti`
    pub token_id: String,
    /// `exp`
    pub expires_at: UnixMillis,
}

/// Makes tokens in the name of one issuer.
pub struct TokenIssuer {
    issuer: String,
    ring: Arc<KeyRing>,
    verifier: AwsLcVerifier,
}

/// The claims, in the order of the contract.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: Audience<'a>,
    iat: u64,
    exp: u64,
    jti: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    client_id: &'a str,
    #[serde(rename = "sessionId", skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(rename = "deviceId", skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'a str>,
}

/// RFC 7519 §4.1.3: one audience may stand alone.
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Several(&'a [String]),
}

impl TokenIssuer {
    /// An issuer by its URL, as `iss` says it.
    #[must_use]
    pub fn new(issuer: String, ring: Arc<KeyRing>) -> Self {
        Self { issuer, ring, verifier: AwsLcVerifier::new() }
    }

    /// The issuer's URL.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The keys it signs with.
    #[must_use]
    pub const fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// Makes a token. An RSA signature takes about a millisecond, so callers on an async
    /// runtime hand this to a blocking thread.
    ///
    /// # Errors
    /// [`IdentityError::Invalid`] when a reader would refuse what it should say, and the
    /// errors of the keys.
    pub fn issue(
        &self,
        request: &AccessTokenRequest,
        now: UnixMillis,
    ) -> Result<IssuedToken, IdentityError> {
        check(request)?;
        let signer = self.ring.signer(now)?;
        let token_id = random::uuid()?;
        let issued_at = now.as_secs();
        let expires_at = issued_at.saturating_add(request.lifetime_secs);
        let claims = Claims {
            iss: &self.issuer,
            sub: &request.subject,
            aud: match request.audiences.as_slice() {
                [] => Audience::One(&self.issuer),
                [one] => Audience::One(one),
                several => Audience::Several(several),
            },
            iat: issued_at,
            exp: expires_at,
            jti: &token_id,
            scope: request.scopes.to_string(),
            client_id: &request.client_id,
            session: request.session.as_deref(),
            device: request.device.as_deref(),
            role: request.role.as_deref(),
            tier: request.tier.as_deref(),
        };
        let algorithm = signer.algorithm.as_str().parse().map_err(|_| IdentityError::Crypto)?;
        let mut header = Header::new(algorithm);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(signer.kid);
        let token = jsonwebtoken::encode(&header, &claims, &signer.key)
            .map_err(|_| IdentityError::Crypto)?;
        Ok(IssuedToken {
            token: Secret::new(token),
            token_id,
            expires_at: UnixMillis(expires_at.saturating_mul(1000)),
        })
    }

    /// Checks a token of this issuer: signature, time and form. Audience and scopes are for
    /// whoever the token is shown to.
    ///
    /// # Errors
    /// The first check that failed; for operators and logs.
    pub fn inspect(&self, token: &str, now: UnixMillis) -> Result<VerifiedToken, TokenError> {
        let issuer = Issuer {
            issuer: self.issuer.clone(),
            audiences: Vec::new(),
            leeway_secs: 0,
            rules: ClaimsRules::default(),
        };
        let keys = self.ring.key_set(now);
        let mut verifier = self.verifier.clone();
        verify(token, &[issuer], |_| Some(&keys), &mut verifier, now)
    }
}

/// What readers refuse is not signed in the first place.
fn check(request: &AccessTokenRequest) -> Result<(), IdentityError> {
    let optional = [
        ("role", &request.role),
        ("tier", &request.tier),
        ("session", &request.session),
        ("device", &request.device),
    ];
    let texts = [("subject", Some(&request.subject)), ("client id", Some(&request.client_id))]
        .into_iter()
        .chain(optional.map(|(what, text)| (what, text.as_ref())))
        .chain(request.audiences.iter().map(|audience| ("audience", Some(audience))));
    for (what, text) in texts {
        let is_fine = |text: &String| {
            !text.is_empty() && text.len() <= MAX_CLAIM_BYTES && is_identity_value(text)
        };
        if !text.is_none_or(is_fine) {
            let reason = "it must be 1 to 1024 bytes without control characters";
            return Err(IdentityError::Invalid { what, reason });
        }
    }
    if request.lifetime_secs == 0 || request.lifetime_secs > MAX_LIFETIME_SECS {
        let reason = "it must be 1 to 86400 seconds";
        return Err(IdentityError::Invalid { what: "lifetime", reason });
    }
    Ok(())
}

#[cfg(test)]
mod tests;

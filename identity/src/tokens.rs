//! Access tokens (RFC 9068): made here, and checked the way everybody else checks them.

use std::sync::Arc;

use postern_jose::{
    Algorithm, ClaimsRules, Confirmation, Issuer, TokenError, VerifiedToken, base64url, verify,
    verify_bound,
};
use postern_oauth::{Acr, Actor, Hint, ScopeSet, Secret};
use postern_request::UnixMillis;
use postern_request::headers::is_identity_value;
use postern_request::json::{self, Value};

use crate::claims::Claims;
use crate::sign::TokenKind;
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
    /// `clientFingerprint`
    pub fingerprint: Option<String>,
    /// `cnf`: what its holder must prove to possess.
    pub confirmation: Confirmation,
    /// `auth_time`, in seconds: when its subject has authenticated (RFC 9068 §2.2.1).
    pub auth_time: Option<u64>,
    /// `acr`: how well.
    pub acr: Option<Acr>,
    /// `amr`: how (RFC 8176).
    pub amr: Vec<String>,
    /// `act`: who acts for its subject (RFC 8693 §4.1).
    pub act: Option<Actor>,
    /// What it is signed with, where a key of ours signs with that; without one, by the key that
    /// may sign since last.
    pub algorithm: Option<Algorithm>,
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

    /// Makes a token. An RSA signature takes a third of a millisecond: less than a thread of its
    /// own would cost, and long enough that callers make one a request and no more.
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
        let signer = self.ring.signer_by_preference(request.algorithm, now)?;
        let token_id = random::uuid()?;
        let issued_at = now.as_secs();
        let expires_at = issued_at.saturating_add(request.lifetime_secs);
        let claims = self.claims(request, &token_id, issued_at, expires_at);
        let token = signer.sign(TokenKind::Access, claims.as_bytes())?;
        Ok(IssuedToken { token, token_id, expires_at: UnixMillis(expires_at.saturating_mul(1000)) })
    }

    /// The claims, in the order of the contract.
    fn claims(
        &self,
        request: &AccessTokenRequest,
        token_id: &str,
        issued_at: u64,
        expires_at: u64,
    ) -> String {
        let mut claims = Claims::new();
        claims.text("iss", &self.issuer).text("sub", &request.subject);
        // RFC 7519 §4.1.3: one audience may stand alone.
        match request.audiences.as_slice() {
            [] => claims.text("aud", &self.issuer),
            [one] => claims.text("aud", one),
            several => claims.texts("aud", several),
        };
        claims.number("iat", issued_at).number("exp", expires_at).text("jti", token_id);
        if !request.scopes.is_empty() {
            claims.text("scope", &request.scopes.to_string());
        }
        claims
            .text("client_id", &request.client_id)
            .text_if("sessionId", request.session.as_deref())
            .text_if("deviceId", request.device.as_deref())
            .text_if("clientFingerprint", request.fingerprint.as_deref())
            .text_if("role", request.role.as_deref())
            .text_if("tier", request.tier.as_deref());
        if let Some(confirmation) = confirmation(&request.confirmation) {
            claims.json("cnf", &confirmation);
        }
        claims
            .number_if("auth_time", request.auth_time)
            .text_if("acr", request.acr.map(Acr::as_str))
            .texts_if("amr", &request.amr);
        if let Some(act) = &request.act {
            claims.json("act", &actor(act));
        }
        claims.finish()
    }

    /// Checks a bearer token of this issuer: signature, time and form. Audience and scopes are
    /// for whoever the token is shown to.
    ///
    /// # Errors
    /// The first check that failed; for operators and logs.
    pub fn inspect(&self, token: &str, now: UnixMillis) -> Result<VerifiedToken, TokenError> {
        let keys = self.ring.key_set(now);
        let mut verifier = self.verifier.clone();
        verify(token, &[self.ours()], |_| Some(&keys), &mut verifier, now)
    }

    /// As [`TokenIssuer::inspect`], and lets tokens through that are bound to something: whoever
    /// calls this asks [`VerifiedToken::confirm`], or only says what the token is.
    ///
    /// # Errors
    /// As there.
    pub fn inspect_bound(&self, token: &str, now: UnixMillis) -> Result<VerifiedToken, TokenError> {
        let keys = self.ring.key_set(now);
        let mut verifier = self.verifier.clone();
        verify_bound(token, &[self.ours()], |_| Some(&keys), &mut verifier, now)
    }

    /// Whom an ID token of ours was made for, however long ago: a hint, which opens nothing
    /// (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2). None for every other text.
    pub(crate) fn inspect_hint(&self, token: &str, now: UnixMillis) -> Option<Hint> {
        if !token_type(token)?.eq_ignore_ascii_case(ID_TOKEN_TYPE) {
            return None;
        }
        let keys = self.ring.key_set(now);
        let mut verifier = self.verifier.clone();
        // However old, and no access token.
        let ours = Issuer { leeway_secs: u64::MAX, access_token_type_only: false, ..self.ours() };
        let held = verify(token, &[ours], |_| Some(&keys), &mut verifier, now).ok()?;
        let client_id = held.claims.audiences.into_iter().next()?;
        Some(Hint { subject: held.claims.principal.subject, client_id })
    }

    /// RFC 9068 §4: what we sign as an ID token must not pass for an access token, though both hold.
    fn ours(&self) -> Issuer {
        Issuer {
            issuer: self.issuer.clone(),
            audiences: Vec::new(),
            leeway_secs: 0,
            access_token_type_only: true,
            rules: ClaimsRules::default(),
        }
    }
}

const ID_TOKEN_TYPE: &str = "JWT";

/// `typ` of a token's header; none where it cannot be read, which [`verify`] finds out too.
fn token_type(token: &str) -> Option<String> {
    let (header, _) = token.split_once('.')?;
    let header = json::parse(&base64url::decode(header)?).ok()?;
    header.get("typ").and_then(Value::as_str).map(str::to_owned)
}

/// `cnf` (RFC 7800); none for a bearer token.
fn confirmation(bound: &Confirmation) -> Option<String> {
    if !bound.is_bound() {
        return None;
    }
    let hash = |hash: [u8; 32]| base64url::encode(&hash);
    let mut claims = Claims::new();
    claims.text_if("x5t#S256", bound.certificate.map(hash).as_deref());
    claims.text_if("jkt", bound.key.map(hash).as_deref());
    Some(claims.finish())
}

/// `act` (RFC 8693 §4.1), with who acted before.
fn actor(act: &Actor) -> String {
    let mut claims = Claims::new();
    claims.text("sub", &act.subject).text_if("client_id", act.client_id.as_deref());
    if let Some(former) = &act.former {
        claims.json("act", &actor(former));
    }
    claims.finish()
}

/// What readers refuse is not signed in the first place.
fn check(request: &AccessTokenRequest) -> Result<(), IdentityError> {
    let optional = [
        ("role", &request.role),
        ("tier", &request.tier),
        ("session", &request.session),
        ("device", &request.device),
        ("fingerprint", &request.fingerprint),
    ];
    let texts = [("subject", Some(&request.subject)), ("client id", Some(&request.client_id))]
        .into_iter()
        .chain(optional.map(|(what, text)| (what, text.as_ref())))
        .chain(request.audiences.iter().map(|audience| ("audience", Some(audience))))
        .chain(request.amr.iter().map(|method| ("authentication method", Some(method))));
    for (what, text) in texts {
        let is_fine = |text: &String| {
            !text.is_empty() && text.len() <= MAX_CLAIM_BYTES && is_identity_value(text)
        };
        if !text.is_none_or(is_fine) {
            let reason = "it must be 1 to 1024 bytes without control characters";
            return Err(IdentityError::invalid(what, reason));
        }
    }
    if request.lifetime_secs == 0 || request.lifetime_secs > MAX_LIFETIME_SECS {
        let reason = "it must be 1 to 86400 seconds";
        return Err(IdentityError::invalid("lifetime", reason));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;

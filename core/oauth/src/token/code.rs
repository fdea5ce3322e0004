//! An authorization code is exchanged for tokens (RFC 6749 §4.1.3).
//!
//! The code was taken out of the store before: it is used up, whatever is decided here. Whoever
//! tries a code that is not theirs burns it, and its owner begins anew (RFC 9700 §4.5).

use postern_request::UnixMillis;
use subtle::ConstantTimeEq as _;

use super::issue::{IdTokenPlan, Issue, IssueAccessToken, RefreshPlan, check_grant, confirmation};
use crate::pkce::check_verifier;
use crate::{
    Client, ClientKind, CodeGrant, FamilyGrant, Form, GrantType, OAuthError, Secret, ServerRules,
    resource,
};

/// A request of RFC 6749 §4.1.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeExchange {
    /// `code`
    pub code: Secret,
    /// `redirect_uri`, which is there exactly where it was in the authorization request.
    pub redirect_uri: Option<String>,
    /// `code_verifier` (RFC 7636 §4.5).
    pub verifier: Option<Secret>,
    /// Where the first access token shall be usable (RFC 8707 §2.2).
    pub resources: Vec<String>,
}

impl CodeExchange {
    pub(super) fn parse(form: &Form) -> Result<Self, OAuthError> {
        let code = form.get("code");
        let code = code.ok_or(OAuthError::invalid_request("The parameter code is missing"))?;
        let verifier = form.get("code_verifier");
        verifier.map(check_verifier).transpose()?;
        Ok(Self {
            code: Secret::new(code.to_owned()),
            redirect_uri: form.get("redirect_uri").map(str::to_owned),
            verifier: verifier.map(|text| Secret::new(text.to_owned())),
            resources: resource::parse(form.all("resource"))?,
        })
    }

    /// Decides, for a client that has proven who it is, and the grant that the code stood for.
    /// `dpop` is the key of the request's proof, `certificate` the hash of the connection's.
    ///
    /// # Errors
    /// Why nothing is issued. What is wrong with the code is always `invalid_grant`.
    pub fn decide(
        &self,
        client: &Client,
        grant: &CodeGrant,
        dpop: Option<[u8; 32]>,
        certificate: Option<[u8; 32]>,
        server: &ServerRules,
        now: UnixMillis,
    ) -> Result<Issue, OAuthError> {
        check_grant(client, server, GrantType::AuthorizationCode)?;
        self.check(client, grant, dpop, server, now)?;
        tokens(grant, &self.resources, client, (dpop, certificate), server)
    }

    /// Whether the code was this client's to exchange. What is wrong is told the log alone.
    fn check(
        &self,
        client: &Client,
        grant: &CodeGrant,
        dpop: Option<[u8; 32]>,
        server: &ServerRules,
        now: UnixMillis,
    ) -> Result<(), OAuthError> {
        if client.client_id != grant.client_id {
            return Err(OAuthError::bad_grant("other_client"));
        }
        if now.millis_since(grant.issued_at) >= server.code_secs.saturating_mul(1000) {
            return Err(OAuthError::bad_grant("expired"));
        }
        if self.redirect_uri != grant.redirect_uri {
            return Err(OAuthError::bad_grant("redirect_uri"));
        }
        if !is_same_key(grant.dpop_jkt, dpop) {
            return Err(OAuthError::bad_grant("other_key"));
        }
        match (grant.challenge, &self.verifier) {
            // A public client has nothing else that ties the code to it (RFC 9700 §2.1.1).
            (None, None) if client.kind == ClientKind::Public => {
                Err(OAuthError::bad_grant("pkce_unused"))
            }
            (None, None) => Ok(()),
            (Some(challenge), Some(verifier)) if challenge.is_met_by(verifier.expose()) => Ok(()),
            (Some(_), Some(_)) => Err(OAuthError::bad_grant("pkce_mismatch")),
            (Some(_), None) => Err(OAuthError::bad_grant("pkce_missing")),
            // Somebody has taken the challenge out (RFC 9700 §4.8).
            (None, Some(_)) => Err(OAuthError::bad_grant("pkce_unasked")),
        }
    }
}

/// The tokens of a grant that was judged: by a code, or on another device. `shown` is the key of the
/// request's proof and the hash of the connection's certificate.
pub(super) fn tokens(
    grant: &CodeGrant,
    resources: &[String],
    client: &Client,
    shown: (Option<[u8; 32]>, Option<[u8; 32]>),
    server: &ServerRules,
) -> Result<Issue, OAuthError> {
    let bound = confirmation(client, server, shown.0, shown.1)?;
    let family = family(grant, client, bound.key, bound.certificate);
    let access = IssueAccessToken::of_grant(&family, &family.scopes, resources, client, server)?;
    let id_token = IdTokenPlan::of(&family, client, grant.nonce.as_deref());
    let may_refresh = check_grant(client, server, GrantType::RefreshToken).is_ok();
    let refresh = may_refresh.then(|| RefreshPlan::of(family, client, server));
    let access = IssueAccessToken { confirmation: bound, ..access };
    Ok(Issue { access, refresh, id_token, issued_token_type: None })
}

/// What was agreed to, as the family's tokens will stand for it. A public client proves who it
/// is by nothing but what its tokens are bound to.
fn family(
    grant: &CodeGrant,
    client: &Client,
    key: Option<[u8; 32]>,
    certificate: Option<[u8; 32]>,
) -> FamilyGrant {
    let is_public = client.kind == ClientKind::Public;
    FamilyGrant {
        client_id: grant.client_id.clone(),
        subject: grant.subject.clone(),
        session_id: grant.session_id.clone(),
        scopes: grant.scopes.filtered(|name| client.scopes.contains(name)),
        resources: grant.resources.clone(),
        auth_time: grant.auth_time,
        acr: grant.acr,
        amr: grant.amr.clone(),
        dpop_jkt: key.filter(|_| is_public),
        certificate: certificate.filter(|_| is_public),
        remember: grant.remember,
    }
}

/// Whether a request has shown what something is bound to; anything will do where it is not.
pub(crate) fn is_same_key(bound: Option<[u8; 32]>, shown: Option<[u8; 32]>) -> bool {
    match (bound, shown) {
        (None, _) => true,
        (Some(bound), Some(shown)) => bool::from(bound.as_slice().ct_eq(shown.as_slice())),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests;

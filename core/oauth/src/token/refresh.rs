//! A refresh token is exchanged for the next one, and an access token (RFC 6749 §6).
//!
//! The store has said before that the token is the family's current one, or was a moment ago.

use super::code::is_same_key;
use super::issue::{IdTokenPlan, Issue, IssueAccessToken, RefreshPlan, check_grant, confirmation};
use crate::{
    Client, FamilyGrant, Form, GrantType, OAuthError, RefreshToken, ScopeSet, ServerRules, resource,
};

/// A request of RFC 6749 §6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshExchange {
    token: RefreshToken,
    /// `scope`; none asks for all that was granted.
    pub scope: Option<ScopeSet>,
    /// Where the access token shall be usable (RFC 8707 §2.2).
    pub resources: Vec<String>,
}

impl RefreshExchange {
    pub(super) fn parse(form: &Form) -> Result<Self, OAuthError> {
        let text = form.get("refresh_token");
        let text =
            text.ok_or(OAuthError::invalid_request("The parameter refresh_token is missing"))?;
        let scope = form.get("scope").map(ScopeSet::parse).transpose();
        Ok(Self {
            token: RefreshToken::parse(text).ok_or(OAuthError::bad_grant("malformed"))?,
            scope: scope.map_err(|_| OAuthError::invalid_scope("A scope is malformed"))?,
            resources: resource::parse(form.all("resource"))?,
        })
    }

    /// An exchange of a token that came another way, for all that was granted.
    #[must_use]
    pub const fn of(token: RefreshToken) -> Self {
        Self { token, scope: None, resources: Vec::new() }
    }

    /// The token.
    #[must_use]
    pub const fn token(&self) -> &RefreshToken {
        &self.token
    }

    /// Decides, for a client that has proven who it is, and what its family stands for. Asked
    /// before an earlier answer is given again, too.
    ///
    /// # Errors
    /// Why nothing is issued. What is wrong with the token is always `invalid_grant`.
    pub fn decide(
        &self,
        client: &Client,
        family: &FamilyGrant,
        dpop: Option<[u8; 32]>,
        certificate: Option<[u8; 32]>,
        server: &ServerRules,
    ) -> Result<Issue, OAuthError> {
        check_grant(client, server, GrantType::RefreshToken)?;
        if client.client_id != family.client_id {
            return Err(OAuthError::bad_grant("other_client"));
        }
        if !is_same_key(family.dpop_jkt, dpop) {
            return Err(OAuthError::bad_grant("other_key"));
        }
        if !is_same_key(family.certificate, certificate) {
            return Err(OAuthError::bad_grant("other_certificate"));
        }
        if self.scope.as_ref().is_some_and(|asked| !asked.is_within(&family.scopes)) {
            return Err(OAuthError::invalid_scope("A scope was not granted"));
        }
        // What the client may not have any more is gone from what was granted, too.
        let scopes = self.scope.as_ref().unwrap_or(&family.scopes);
        let scopes = scopes.filtered(|name| client.scopes.contains(name));
        let bound = confirmation(client, server, dpop, certificate)?;
        let access = IssueAccessToken::of_grant(family, &scopes, &self.resources, client, server)?;
        let narrowed = FamilyGrant { scopes, ..family.clone() };
        Ok(Issue {
            access: IssueAccessToken { confirmation: bound, ..access },
            // OpenID Connect Core §12.2: no nonce, which was the first one's.
            id_token: IdTokenPlan::of(&narrowed, client, None),
            refresh: Some(RefreshPlan::of(family.clone(), client, server)),
            issued_token_type: None,
        })
    }
}

#[cfg(test)]
mod tests;

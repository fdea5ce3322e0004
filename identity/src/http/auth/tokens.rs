//! The authorization server, as these endpoints need it.

use std::sync::Arc;

use postern_oauth::{OAuthError, RefreshToken, Secret};
use postern_request::UnixMillis;
use postern_store::BoxFuture;
use postern_store::flows::SessionRecord;

use super::{Bearer, Tokens};
use crate::ports::RevokedTokens;
use crate::{OAuthService, Refresher, TokenAnswer};

/// Tokens of the authorization server's own.
pub struct OwnTokens {
    /// Makes them.
    pub oauth: Arc<OAuthService>,
    /// Knows which were revoked.
    pub revoked: Arc<dyn RevokedTokens>,
}

impl Tokens for OwnTokens {
    fn tokens_for<'a>(
        &'a self,
        session: &'a SessionRecord,
        remember: bool,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<TokenAnswer, OAuthError>> {
        Box::pin(self.oauth.tokens_for(session, remember, now))
    }

    fn refresh<'a>(
        &'a self,
        refresh_token: &'a Secret,
        by: Refresher<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<TokenAnswer, OAuthError>> {
        Box::pin(async move {
            let token = RefreshToken::parse(refresh_token.expose());
            let token = token.ok_or(OAuthError::bad_grant("malformed"))?;
            let client = self.oauth.login_client();
            self.oauth.refresh_on(&token, &client, None, by, now).await
        })
    }

    /// A token that is bound to a key or a certificate is none here: nothing of that is looked at.
    fn verify(&self, access_token: &str, now: UnixMillis) -> Option<Bearer> {
        let issuer = self.oauth.issuer();
        let verified = issuer.inspect(access_token, now).ok()?;
        // One for another resource was not meant for this server.
        let is_ours = verified.claims.audiences.iter().any(|name| name == issuer.issuer());
        if !is_ours || self.revoked.is_revoked(&verified, now) {
            return None;
        }
        let principal = verified.principal();
        Some(Bearer {
            subject: principal.subject.clone(),
            client_id: principal.client_id.clone(),
            session: principal.session.clone(),
            token_id: verified.claims.token_id.clone(),
            expires_at: verified.claims.expires_at,
        })
    }
}

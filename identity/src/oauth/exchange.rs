//! Another token for one that is there (RFC 8693).

use postern_oauth::{Held, OAuthError, Secret, TokenExchange, TokenFacts};
use postern_request::UnixMillis;
use postern_store::flows::SessionRecord;

use super::service::store_failed;
use super::{OAuthService, Shown, TokenAnswer};
use crate::clients::KnownClient;

impl OAuthService {
    /// Exchanges a token. What is issued lives in the same session, so it ends with that.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn exchange_token(
        &self,
        exchange: &TokenExchange,
        known: &KnownClient,
        shown: Shown,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        let subject = self.facts(&exchange.subject, now)?;
        let actor = exchange.actor.as_ref().map(|token| self.facts(token, now)).transpose()?;
        let held = Held { key: shown.key, certificate: shown.certificate };
        let (rules, client) = (self.rules(), &known.client);
        let issue = exchange.decide(client, &subject, actor.as_ref(), held, &rules.server, now)?;
        let session = match subject.session.as_deref() {
            Some(id) => Some(self.session_behind_subject(id, &subject, now).await?),
            None => None,
        };
        tracing::info!(
            client = client.client_id,
            of = subject.client_id,
            delegated = actor.is_some(),
            "a token was exchanged"
        );
        self.sign(&issue, None, session.as_ref(), &rules, now)
    }

    /// What a token of ours says that is good now.
    fn facts(&self, token: &Secret, now: UnixMillis) -> Result<TokenFacts, OAuthError> {
        let verified = self.issuer.inspect_bound(token.expose(), now).map_err(|error| {
            tracing::debug!(%error, "a token that was to be exchanged does not hold");
            TokenExchange::bad_token()
        })?;
        if self.revoked.is_revoked(&verified, now) {
            return Err(TokenExchange::bad_token());
        }
        TokenFacts::read(token.expose(), &verified).ok_or(TokenExchange::bad_token())
    }

    async fn session_behind_subject(
        &self,
        id: &str,
        subject: &TokenFacts,
        now: UnixMillis,
    ) -> Result<SessionRecord, OAuthError> {
        let found = self.flows.find_session(id, now).await;
        found
            .map_err(|error| store_failed(&error))?
            .filter(|session| session.user_id == subject.subject)
            .filter(|session| !self.is_revoked(session, now))
            .ok_or(TokenExchange::bad_token())
    }
}

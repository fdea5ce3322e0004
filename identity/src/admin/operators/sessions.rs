//! Sessions and consents: looked at, ended.

use postern_request::UnixMillis;
use postern_store::durable::ConsentRecord;
use postern_store::flows::SessionRecord;

use super::Operators;
use crate::IdentityError;
use crate::admin::Actor;

/// What the audit log says of an end that an operator has brought about.
const WHY: &str = "by_operator";

impl Operators {
    /// The sessions of a user that live, newest first: of browsers, and of what was granted.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the stores.
    pub async fn sessions_of(
        &self,
        user_id: &str,
        now: UnixMillis,
    ) -> Result<Vec<SessionRecord>, IdentityError> {
        self.user(user_id).await?;
        Ok(self.flows()?.sessions_of(user_id, now).await?)
    }

    /// Logs a user out everywhere; how many sessions there were, as far as the volatile store
    /// knows.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the stores. What was ended by then stays ended.
    pub async fn end_sessions(
        &self,
        user_id: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<u64, IdentityError> {
        self.user(user_id).await?;
        Ok(self.ending()?.user(user_id, WHY, by.as_str(), now).await?)
    }

    /// One session.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the store.
    pub async fn session(&self, id: &str, now: UnixMillis) -> Result<SessionRecord, IdentityError> {
        let found = self.flows()?.find_session(id, now).await?;
        found.ok_or(IdentityError::NotFound("session"))
    }

    /// Ends one session. Its tokens are revoked even where the volatile store knows nothing of it
    /// any more; whether there was anything to end.
    ///
    /// # Errors
    /// Those of the stores. What was ended by then stays ended.
    pub async fn end_session(
        &self,
        id: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<bool, IdentityError> {
        Ok(self.ending()?.session(id, WHY, by.as_str(), now).await?)
    }

    /// What a user lets clients do, by the clients' ids.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the store.
    pub async fn consents_of(&self, user_id: &str) -> Result<Vec<ConsentRecord>, IdentityError> {
        self.user(user_id).await?;
        Ok(self.store.list_consents(user_id).await?)
    }

    /// Takes back what a user lets a client do, and ends what the client has by it.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] where there is no such consent, and those of the stores.
    pub async fn revoke_consent(
        &self,
        user_id: &str,
        client_id: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        self.user(user_id).await?;
        let found = self.store.find_consent(user_id, client_id).await?;
        let ending = self.ending()?;
        // Clients that nobody is asked about have grants without a consent: those end, too.
        ending.consent(user_id, client_id, by.as_str(), now).await?;
        found.map(drop).ok_or(IdentityError::NotFound("consent"))
    }
}

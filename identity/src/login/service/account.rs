//! What users do to their own accounts.

use postern_limits::Rate;
use postern_oauth::Secret;
use postern_request::{UnixMillis, json};
use postern_store::durable::{ConsentRecord, UserChange, UserRecord};
use postern_store::{FlowKey, FlowKind};

use super::LoginService;
use crate::login::hashing::Verdict;
use crate::login::{Caller, LoginError, Person, passwords, sessions};
use crate::{audit, random};

/// Most tickets of one user.
const TICKETS_A_MINUTE: u64 = 60;

/// What a user lets a client do, and what people call that client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consented {
    /// What was said.
    pub consent: ConsentRecord,
    /// The client's name; its id where it is not there any more.
    pub client_name: String,
}

impl LoginService {
    /// A user who may log in; none where there is no such user any more, or only a provider
    /// elsewhere knows who it is.
    ///
    /// # Errors
    /// [`LoginError::Blocked`], and those of the store.
    pub async fn user(&self, user_id: &str) -> Result<Option<UserRecord>, LoginError> {
        match self.parts.store.find_user(user_id).await? {
            Some(user) if !user.is_active => Err(LoginError::Blocked),
            found => Ok(found),
        }
    }

    /// Another password for somebody who is logged in, and says the present one where there is
    /// one. All other sessions end.
    ///
    /// # Errors
    /// [`LoginError::Credentials`] where the present one is wrong, [`LoginError::Limited`] after
    /// too many tries, and as [`LoginService::replace_password`].
    pub async fn change_own_password(
        &self,
        user: &UserRecord,
        current: Secret,
        new: Secret,
        keep_session: &str,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<(), LoginError> {
        if user.password.is_some() {
            let rules = self.rules();
            let tried = self.try_password(&rules, &user.email, current, caller, now).await?;
            let (_, taken) =
                tried.filter(|(found, _)| found.id == user.id).ok_or(LoginError::Credentials)?;
            self.parts.limits.give_back(taken, now).await;
        }
        self.replace_password(user, new, Some(keep_session), now).await
    }

    /// Ends the session that a user calls so; its id, and none where they have no such session.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn end_named(
        &self,
        user_id: &str,
        reference: &str,
        now: UnixMillis,
    ) -> Result<Option<String>, LoginError> {
        let all = self.sessions_of(user_id, now).await?;
        let named = all.into_iter().find(|one| sessions::reference_of(one) == reference);
        let Some(session) = named else { return Ok(None) };
        self.end_session(&session.id, user_id, now).await?;
        Ok(Some(session.id))
    }

    /// What a user lets clients do.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn consents_of(&self, user_id: &str) -> Result<Vec<Consented>, LoginError> {
        let store = &self.parts.store;
        let mut all = Vec::new();
        for consent in store.list_consents(user_id).await? {
            let client = store.find_client(&consent.client_id).await?;
            let client_name =
                client.map_or_else(|| consent.client_id.clone(), |client| client.name);
            all.push(Consented { consent, client_name });
        }
        Ok(all)
    }

    /// Takes a consent back, and ends what the client has by it; whether there was one.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn revoke_consent(
        &self,
        user_id: &str,
        client_id: &str,
        now: UnixMillis,
    ) -> Result<bool, LoginError> {
        if self.parts.store.find_consent(user_id, client_id).await?.is_none() {
            return Ok(false);
        }
        self.parts.ending.consent(user_id, client_id, user_id, now).await?;
        Ok(true)
    }

    /// Puts another password in the place of a user's, and ends all other sessions: whoever
    /// changes a password may do so because somebody else knows it.
    ///
    /// # Errors
    /// [`LoginError::PasswordPolicy`] where it is not good enough, or the same; those of the
    /// stores.
    pub async fn replace_password(
        &self,
        user: &UserRecord,
        new: Secret,
        keep_session: Option<&str>,
        now: UnixMillis,
    ) -> Result<(), LoginError> {
        let rules = self.rules();
        let (parts, tools) = (&self.parts, self.parts.tools.load());
        let password_rules = &rules.login.passwords;
        passwords::judge(&new, &user.email, password_rules, tools.breached.as_ref()).await?;
        let same = tools.hasher.verify(new.clone(), user.password.clone()).await?;
        if matches!(same, Verdict::Right { .. }) {
            return Err(LoginError::PasswordPolicy("same"));
        }
        let hash = tools.hasher.make(new).await?;
        let change = UserChange { password: Some((hash, false)), at: now, ..UserChange::default() };
        let entry = audit::entry(now, &user.id, "password.changed", &user.id, &[]);
        if !parts.store.change_user(&user.id, change, &entry).await? {
            return Err(LoginError::Expired);
        }
        parts.ending.others(&user.id, keep_session, "password_changed", &user.id, now).await?;
        Ok(())
    }

    /// Who somebody is, and whether they may log in: by their record, and where there is none,
    /// because an outside provider vouches for them, by their session.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn whoever(
        &self,
        user_id: &str,
        session_id: Option<&str>,
        now: UnixMillis,
    ) -> Result<Option<(Person, bool)>, LoginError> {
        if let Some(user) = self.parts.store.find_user(user_id).await? {
            return Ok(Some((Person::of(&user), user.is_active)));
        }
        let Some(session_id) = session_id else { return Ok(None) };
        let session = self.parts.flows.find_session(session_id, now).await?;
        let own = session.filter(|session| session.user_id == user_id);
        Ok(own.and_then(|session| Person::decode(&session.person)).map(|person| (person, true)))
    }

    /// A ticket that opens one WebSocket in place of an access token, which would stand in a URL.
    /// It is good once and for so many seconds, and no longer than the token.
    ///
    /// # Errors
    /// [`LoginError::Limited`], and those of the store.
    pub async fn ticket(
        &self,
        user_id: &str,
        session_id: Option<&str>,
        token_expires_at: u64,
        lasts_secs: u64,
        now: UnixMillis,
    ) -> Result<Secret, LoginError> {
        let rate = Rate::new(TICKETS_A_MINUTE, 60_000).map_err(|_| LoginError::Internal)?;
        self.parts.limits.take_ticket(rate, self.rules().replicas, user_id, now).await?;
        let ticket = random::secret()?;
        let key = FlowKey::of(FlowKind::Ticket, ticket.expose().as_bytes());
        let mut value = String::from("{\"sub\":");
        json::write_string(&mut value, user_id);
        if let Some(session_id) = session_id {
            value.push_str(",\"sessionId\":");
            json::write_string(&mut value, session_id);
        }
        value.push_str(",\"exp\":");
        value.push_str(&token_expires_at.to_string());
        value.push('}');
        let left_secs = token_expires_at.saturating_sub(now.as_secs()).clamp(1, lasts_secs);
        let flows = &self.parts.flows;
        let kept = flows.put(key, value.as_bytes(), left_secs * 1000, now).await?;
        if kept { Ok(ticket) } else { Err(LoginError::Internal) }
    }

    /// Ends one access token.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end_token(
        &self,
        token_id: &str,
        expires_at: u64,
        by: &str,
        now: UnixMillis,
    ) -> Result<(), LoginError> {
        Ok(self.parts.ending.token(token_id, expires_at, by, now).await?)
    }
}

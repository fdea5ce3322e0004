//! Users: listed, made, changed, and their second factors.

use postern_oauth::Secret;
use postern_request::UnixMillis;
use postern_store::durable::{FactorKind, PageAsk, Paged, UserRecord};

use super::Operators;
use crate::admin::Actor;
use crate::admin::users::{self, CreatedUser, NewUser, UserEdit, UserWork};
use crate::{IdentityError, audit};

/// A user after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedUser {
    /// What is stored now.
    pub record: UserRecord,
    /// The password that was made, of which only a hash is stored.
    pub password: Option<Secret>,
}

/// A second factor of a user, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFactor {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: FactorKind,
    /// What its owner calls it.
    pub name: String,
    /// Whether its owner has shown that it works.
    pub is_confirmed: bool,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was used last.
    pub last_used_at: Option<UnixMillis>,
}

impl Operators {
    /// A part of the list of users.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn users(&self, ask: PageAsk) -> Result<Paged<UserRecord>, IdentityError> {
        Ok(self.store.page_users(ask).await?)
    }

    /// The user with this id.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the store.
    pub async fn user(&self, id: &str) -> Result<UserRecord, IdentityError> {
        self.store.find_user(id).await?.ok_or(IdentityError::NotFound("user"))
    }

    /// The user with this e-mail, whatever the case of its letters.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserRecord>, IdentityError> {
        Ok(self.store.find_user_by_email(email).await?)
    }

    /// Makes a user.
    ///
    /// # Errors
    /// [`IdentityError::Invalid`], also where the e-mail is taken; those of the store.
    pub async fn create_user(
        &self,
        new: NewUser,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<CreatedUser, IdentityError> {
        let (rules, tools) = (self.rules()?, self.tools()?);
        users::judge_chosen(&new.password, &new.email, &rules, tools.breached.as_ref()).await?;
        users::create_user(&*self.store, &tools.hasher, &rules, new, by.as_str(), now).await
    }

    /// Changes a user. Whoever is switched off, or gets another password or role, is logged out
    /// everywhere.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Invalid`], also where nobody would be left
    /// who may administer the gateway; those of the stores.
    pub async fn change_user(
        &self,
        id: &str,
        edit: UserEdit,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<ChangedUser, IdentityError> {
        let user = self.user(id).await?;
        let (rules, tools) = (self.rules()?, self.tools()?);
        if let Some((password, _)) = &edit.password {
            let email = edit.email.as_ref().unwrap_or(&user.email);
            users::judge_chosen(password, email, &rules, tools.breached.as_ref()).await?;
        }
        let with = UserWork {
            store: &*self.store,
            hasher: &tools.hasher,
            rules: &rules,
            ending: self.ending()?,
        };
        let password = users::change_user(&with, id, edit, by.as_str(), now).await?;
        Ok(ChangedUser { record: self.user(id).await?, password })
    }

    /// The second factors of a user, oldest first.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the store.
    pub async fn factors_of(&self, user_id: &str) -> Result<Vec<UserFactor>, IdentityError> {
        self.user(user_id).await?;
        let factors = self.store.factors_of(user_id).await?.into_iter();
        let factors = factors.map(|factor| UserFactor {
            id: factor.id,
            kind: factor.kind,
            name: factor.name,
            is_confirmed: factor.confirmed_at.is_some(),
            created_at: factor.created_at,
            last_used_at: factor.last_used_at,
        });
        Ok(factors.collect())
    }

    /// Takes one second factor away, and ends all sessions of its user: whoever asked for this may
    /// not be the user.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the stores.
    pub async fn remove_factor(
        &self,
        user_id: &str,
        id: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        let ending = self.ending()?;
        let factors = self.factors_of(user_id).await?;
        let factor = factors.into_iter().find(|factor| factor.id == id);
        let factor = factor.ok_or(IdentityError::NotFound("second factor"))?;
        // First: where this fails, the factor is still there to be asked for again.
        ending.user(user_id, "mfa_reset", by.as_str(), now).await?;
        let detail = [("user", user_id), ("kind", factor.kind.as_str())];
        let entry = audit::entry(now, by.as_str(), "mfa.removed", id, &detail);
        if !self.store.delete_factor(user_id, id, &entry).await? {
            return Err(IdentityError::NotFound("second factor"));
        }
        Ok(())
    }

    /// Takes all second factors of a user away; how many there were.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the stores.
    pub async fn reset_factors(
        &self,
        user_id: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<u64, IdentityError> {
        self.user(user_id).await?;
        let ending = self.ending()?;
        users::reset_factors(&*self.store, ending, user_id, by.as_str(), now).await
    }
}

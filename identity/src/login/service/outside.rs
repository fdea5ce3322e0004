//! Logging in by an outside provider's word.

use postern_document::{OutsideProvider, OutsideUsers};
use postern_request::{UnixMillis, correlation};
use postern_store::StoreError;
use postern_store::durable::{Profile, UserRecord};

use super::tries::told;
use super::{LoginService, Open};
use crate::login::flow::{Factor, Input, Known, Step, advance};
use crate::login::person::Person;
use crate::login::rules::LoginRules;
use crate::login::{Caller, LoginError, Outcome, OutsidePerson};
use crate::metrics::Means;
use crate::{OutsideError, audit, random};

impl LoginService {
    /// The first factor is an outside provider's word. Whether it may give it, and for whom, was
    /// looked at by whoever calls this.
    ///
    /// Somebody who was linked to a user once is that user. Somebody new becomes what the document
    /// says: nobody, with a session all the same; a user of their own; or the user who has their
    /// e-mail. Only the last of them ever touches an account that was there before.
    ///
    /// # Errors
    /// [`OutsideError`].
    pub async fn outside(
        &self,
        cookie: &[u8],
        person: OutsidePerson,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Outcome, OutsideError> {
        let rules = self.rules();
        let named = |provider: &&OutsideProvider| provider.name == person.provider;
        let Some(provider) = rules.login.outside.iter().find(named) else {
            return Err(OutsideError::Unknown);
        };
        let mut open = self.open(cookie, &rules, now).await?;
        let user = match (self.linked(&person).await?, provider.users) {
            (Some(user), _) => user,
            (None, OutsideUsers::None) => {
                return self.let_in(&rules, open, &person, caller, now).await;
            }
            (None, OutsideUsers::Link) => self.link(&person, now).await?,
            (None, OutsideUsers::Create) => self.create(&rules, &person, now).await?,
        };
        let role = rules.role_label(&user.role);
        let tier = rules.role(&user.role).and_then(|role| role.tier.as_deref());
        self.parts.metrics.authentication(Means::Outside, user.is_active, tier);
        if !user.is_active {
            self.parts.metrics.login(role, false);
            let detail = [("provider", person.provider.as_str())];
            self.write_down(&told(now, "login.blocked", &user.id, caller, &detail)).await?;
            return Err(LoginError::Blocked.into());
        }
        let known = self.known(&user, &rules).await?;
        open.flow.as_of = Some(user.updated_at);
        let step = advance(&mut open.flow, Input::First(Factor::Outside, &user.id), known, now);
        let vouched = person.verified_email.as_deref().is_some_and(|email| is_of(&user, email));
        open.flow.vouched_by = vouched.then(|| person.provider.clone());
        open.flow.vouched_at = person.authenticated_at;
        Ok(self.go_on(&rules, open, step, &user, caller, now).await?)
    }

    /// The user that somebody was linked to.
    async fn linked(&self, person: &OutsidePerson) -> Result<Option<UserRecord>, OutsideError> {
        let store = &self.parts.store;
        let Some(id) = store.find_identity(&person.provider, &person.subject).await? else {
            return Ok(None);
        };
        // Users are switched off and never deleted: who is not there was not read.
        Ok(Some(store.find_user(&id).await?.ok_or(LoginError::Internal)?))
    }

    /// Somebody without a user: the session is all there is of them.
    async fn let_in(
        &self,
        rules: &LoginRules,
        mut open: Open,
        person: &OutsidePerson,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<Outcome, OutsideError> {
        let role = person.role.clone().unwrap_or_else(|| rules.login.default_role.clone());
        let of_role = rules.role(&role);
        let known = Known { role_asks: of_role.is_some_and(|role| role.mfa), ..Known::default() };
        let tier = of_role.and_then(|role| role.tier.as_deref());
        // A provider's name has no colon, and a user's id has none either: no two are the same.
        let id = [person.provider.as_str(), ":", &person.subject].concat();
        // Of somebody else, who has shown a factor in the same log-in before.
        open.flow.as_of = None;
        let authenticated =
            match advance(&mut open.flow, Input::First(Factor::Outside, &id), known, now) {
                Step::Done(authenticated) => authenticated,
                Step::Ask(_) => return Err(OutsideError::SecondFactor),
                Step::Refused(error) => return Err(error.into()),
            };
        open.flow.vouched_at = person.authenticated_at;
        self.parts.metrics.authentication(Means::Outside, true, tier);
        let kept = Person {
            email: person.verified_email.clone(),
            role,
            tier: None,
            provider: Some(person.provider.clone()),
            profile: profile(person),
            ..Person::default()
        };
        let done = self.finish(rules, open, &authenticated, &kept, caller, now).await?;
        Ok(Outcome::Done(Box::new(done)))
    }

    /// The user who has the e-mail that the provider vouches for.
    async fn link(
        &self,
        person: &OutsidePerson,
        now: UnixMillis,
    ) -> Result<UserRecord, OutsideError> {
        let email = person.verified_email.as_deref().ok_or(OutsideError::Email)?;
        let found = self.parts.store.find_user_by_email(email).await?;
        let user = found.filter(|user| is_of(user, email)).ok_or(OutsideError::Nobody)?;
        // Who is switched off stays so, and nothing is linked to them meanwhile.
        if user.is_active {
            self.remember(person, &user.id, now).await?;
        }
        Ok(user)
    }

    /// A user of their own; never one who was there before.
    async fn create(
        &self,
        rules: &LoginRules,
        person: &OutsidePerson,
        now: UnixMillis,
    ) -> Result<UserRecord, OutsideError> {
        let email = person.verified_email.clone().ok_or(OutsideError::Email)?;
        let role = person.role.clone().unwrap_or_else(|| rules.login.default_role.clone());
        let user = UserRecord {
            id: id_of(person),
            email,
            role,
            is_active: true,
            profile: profile(person),
            password: None,
            must_change_password: false,
            tier: None,
            created_at: now,
            updated_at: now,
        };
        let by = actor(person);
        let detail = [("role", user.role.as_str()), ("provider", person.provider.as_str())];
        let entry = audit::entry(now, &by, "user.created", &user.id, &detail);
        let user = match self.parts.store.insert_user(user.clone(), &entry).await {
            Ok(()) => {
                self.parts.metrics.registered(rules, &user.role);
                user
            }
            // Somebody has the e-mail, or the id: that is this very person, whom another log-in
            // has just made, or one that was cut off.
            Err(StoreError::Conflict) => {
                let own = self.parts.store.find_user(&user.id).await?;
                own.ok_or(OutsideError::Taken)?
            }
            Err(error) => return Err(error.into()),
        };
        self.remember(person, &user.id, now).await?;
        Ok(user)
    }

    async fn remember(
        &self,
        person: &OutsidePerson,
        user_id: &str,
        now: UnixMillis,
    ) -> Result<(), OutsideError> {
        let (provider, subject) = (person.provider.as_str(), person.subject.as_str());
        let by = actor(person);
        let entry = audit::entry(now, &by, "identity.linked", user_id, &[("provider", provider)]);
        let store = &self.parts.store;
        match store.link_identity(provider, subject, user_id, &entry).await {
            Ok(()) => Ok(()),
            // Another log-in of theirs was faster.
            Err(StoreError::Conflict) => {
                let linked = store.find_identity(provider, subject).await?;
                let is_same = linked.as_deref() == Some(user_id);
                if is_same { Ok(()) } else { Err(OutsideError::Taken) }
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether an address that a provider vouches for is the user's own. Users are found whatever the
/// case of all letters, and some that look alike become one then, such as `K` and the sign of the
/// kelvin; only of ASCII two cases are one mailbox.
fn is_of(user: &UserRecord, email: &str) -> bool {
    user.email.eq_ignore_ascii_case(email)
}

/// Who acts, for the audit log.
fn actor(person: &OutsidePerson) -> String {
    ["outside:", &person.provider].concat()
}

/// The same for the same person at the same provider: who was made and not yet linked is found
/// again. Nobody chooses it, because nobody finds a subject whose hash is somebody's id.
fn id_of(person: &OutsidePerson) -> String {
    let text = ["postern:outside-user:1:", &person.provider, ":", &person.subject].concat();
    let hash = random::sha256(text.as_bytes()).0;
    let half = hash.first_chunk::<16>().copied().unwrap_or_default();
    correlation::uuid_from(u128::from_be_bytes(half))
}

fn profile(person: &OutsidePerson) -> Profile {
    Profile {
        first_name: person.first_name.clone().unwrap_or_default(),
        last_name: person.last_name.clone().unwrap_or_default(),
        ..Profile::default()
    }
}

//! Users: made, changed, switched off.

use std::borrow::Cow;
use std::sync::Arc;

use postern_document::PasswordRules;
use postern_oauth::Secret;
use postern_request::UnixMillis;
use postern_request::headers::is_identity_value;
use postern_store::IdentityStore;
use postern_store::durable::{Profile, UserChange, UserRecord};

use super::check_text;
use crate::ending::Ending;
use crate::login::{Hasher, LoginRules, MAX_PASSWORD_CHARS, judge_password};
use crate::ports::BreachedPasswords;
use crate::{IdentityError, LoginError, audit, random};

/// Longest e-mail, in bytes.
const MAX_EMAIL_BYTES: usize = 255;

/// A user to be made; the id is made here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewUser {
    /// What the user logs in with.
    pub email: String,
    /// A role of the document; its default one where it is none.
    pub role: Option<String>,
    /// Name and picture.
    pub profile: Profile,
    /// For limits, instead of the role's.
    pub tier: Option<String>,
    /// The password.
    pub password: NewPassword,
    /// Whether the first log-in asks for another one.
    pub must_change_password: bool,
}

/// Where a password comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NewPassword {
    /// From nowhere: the user logs in by other means.
    #[default]
    None,
    /// Whoever makes the user has chosen it.
    Given(Secret),
    /// It is made here, and shown once.
    Generated,
}

/// A user who was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedUser {
    /// What is stored.
    pub record: UserRecord,
    /// The password that was made, of which only a hash is stored.
    pub password: Option<Secret>,
}

/// What of a user is to change; what is none stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserEdit {
    /// Another e-mail.
    pub email: Option<String>,
    /// Another role.
    pub role: Option<String>,
    /// Switched on or off.
    pub is_active: Option<bool>,
    /// Another profile, whole.
    pub profile: Option<Profile>,
    /// Another tier, or none any more.
    pub tier: Option<Option<String>>,
    /// Another password, and whether the next log-in asks for one more.
    pub password: Option<(NewPassword, bool)>,
}

/// Makes a user. `by` is who does it, for the audit log.
///
/// # Errors
/// [`IdentityError::Invalid`], also where the e-mail is taken; those of the store.
pub async fn create_user(
    store: &dyn IdentityStore,
    hasher: &Hasher,
    rules: &LoginRules,
    new: NewUser,
    by: &str,
    now: UnixMillis,
) -> Result<CreatedUser, IdentityError> {
    check_email(&new.email)?;
    check_profile(&new.profile)?;
    check_tier(new.tier.as_deref())?;
    let role = new.role.unwrap_or_else(|| rules.login.default_role.clone());
    check_role(rules, &role)?;
    let (hash, shown) = match hashed(hasher, rules, &new.email, new.password).await? {
        Some((hash, shown)) => (Some(hash), shown),
        None => (None, None),
    };
    let record = UserRecord {
        id: random::uuid()?,
        email: new.email,
        role,
        is_active: true,
        profile: new.profile,
        must_change_password: hash.is_some() && new.must_change_password,
        password: hash,
        tier: new.tier,
        created_at: now,
        updated_at: now,
    };
    let detail = [("role", record.role.as_str())];
    let entry = audit::entry(now, by, "user.created", &record.id, &detail);
    store.insert_user(record.clone(), &entry).await.map_err(taken)?;
    Ok(CreatedUser { record, password: shown })
}

/// Changes a user, and returns the password where one was made. Whoever is switched off, or gets
/// another password or role, is logged out everywhere: sessions and tokens say what they may do.
///
/// # Errors
/// [`IdentityError::Invalid`], where there is no such user, too, and where nobody would be left
/// who may administer the gateway; those of the stores.
pub async fn change_user(
    with: &UserWork<'_>,
    id: &str,
    edit: UserEdit,
    by: &str,
    now: UnixMillis,
) -> Result<Option<Secret>, IdentityError> {
    let UserWork { store, hasher, rules, ending } = *with;
    let unknown = || invalid("user", "there is none with this id");
    let user = store.find_user(id).await?.ok_or_else(unknown)?;
    edit.email.as_deref().map_or(Ok(()), check_email)?;
    edit.profile.as_ref().map_or(Ok(()), check_profile)?;
    check_tier(edit.tier.as_ref().and_then(Option::as_deref))?;
    edit.role.as_deref().map_or(Ok(()), |role| check_role(rules, role))?;
    let admins = takes_admin_away(rules, &edit);
    let email = edit.email.clone().unwrap_or_else(|| user.email.clone());
    let (password, shown) = match edit.password {
        None => (None, None),
        Some((new, must_change)) => match hashed(hasher, rules, &email, new).await? {
            Some((hash, shown)) => (Some((hash, must_change)), shown),
            None => return Err(invalid("password", "it cannot be taken away, only replaced")),
        },
    };
    let is_another_role = edit.role.as_ref().is_some_and(|role| *role != user.role);
    let ends = edit.is_active == Some(false) || password.is_some() || is_another_role;
    let names = [
        ("email", edit.email.is_some()),
        ("role", edit.role.is_some()),
        ("isActive", edit.is_active.is_some()),
        ("profile", edit.profile.is_some()),
        ("tier", edit.tier.is_some()),
        ("password", password.is_some()),
    ];
    let changed: Vec<&str> =
        names.into_iter().filter(|(_, is_changed)| *is_changed).map(|(name, _)| name).collect();
    let entry = audit::entry(now, by, "user.changed", id, &[("changed", &changed.join(" "))]);
    let change = UserChange {
        email: edit.email,
        role: edit.role,
        is_active: edit.is_active,
        profile: edit.profile,
        tier: edit.tier,
        password,
        at: now,
    };
    let changed = match &admins {
        None => store.change_user(id, change, &entry),
        // Asked for in the same transaction: two who switch each other off at once do not both.
        Some(admins) => store.change_user_but_the_last(id, change, admins, &entry),
    };
    if !changed.await.map_err(taken)? {
        return Err(if admins.is_some() { nobody_left() } else { unknown() });
    }
    if ends {
        ending.user(id, "user_changed", by, now).await?;
    }
    Ok(shown)
}

/// Judges a password that an operator chooses, by what is known of breaches, too: before
/// [`create_user`] and [`change_user`], which ask nobody elsewhere. One that is made here is in no
/// breach.
///
/// # Errors
/// [`IdentityError::Invalid`], also where nobody can say and the document wants that to be known.
pub async fn judge_chosen(
    password: &NewPassword,
    email: &str,
    rules: &LoginRules,
    breached: Option<&Arc<dyn BreachedPasswords>>,
) -> Result<(), IdentityError> {
    let NewPassword::Given(password) = password else { return Ok(()) };
    match judge_password(password, email, &rules.login.passwords, breached).await {
        Err(LoginError::Busy) => {
            Err(invalid("password", "nobody can say now whether it is known from a breach"))
        }
        judged => judged.map_err(|error| as_operators_see(error, &rules.login.passwords)),
    }
}

/// What changing a user works with.
#[derive(Clone, Copy)]
pub struct UserWork<'a> {
    /// Users.
    pub store: &'a dyn IdentityStore,
    /// Hashes passwords.
    pub hasher: &'a Hasher,
    /// Roles.
    pub rules: &'a LoginRules,
    /// Logs people out.
    pub ending: &'a Ending,
}

/// Takes all second factors of a user away, for somebody who has lost them; how many there were.
/// All sessions end, because whoever asked for this may not be the user.
///
/// # Errors
/// Those of the stores.
pub async fn reset_factors(
    store: &dyn IdentityStore,
    ending: &Ending,
    id: &str,
    by: &str,
    now: UnixMillis,
) -> Result<u64, IdentityError> {
    let factors = store.factors_of(id).await?;
    if factors.is_empty() {
        return Ok(0);
    }
    // First: where this fails nothing is taken away, and whoever asks again gets all of it.
    ending.user(id, "mfa_reset", by, now).await?;
    let mut count = 0;
    for factor in factors {
        let detail = [("user", id), ("kind", factor.kind.as_str())];
        let entry = audit::entry(now, by, "mfa.removed", &factor.id, &detail);
        count += u64::from(store.delete_factor(id, &factor.id, &entry).await?);
    }
    Ok(count)
}

/// The roles that may administer the gateway, where this leaves a user without all of them or
/// without a log-in: somebody else has to have one.
fn takes_admin_away(rules: &LoginRules, edit: &UserEdit) -> Option<Vec<String>> {
    let admins = rules.admin_roles();
    let is_admin = |role: &String| admins.contains(role);
    let stays = edit.is_active != Some(false) && edit.role.as_ref().is_none_or(is_admin);
    (!stays).then_some(admins)
}

/// Users stay, so one who was found and is not changed is the last.
fn nobody_left() -> IdentityError {
    invalid("user", "nobody else may administer the gateway")
}

/// The hash, and the password itself where it was made here.
async fn hashed(
    hasher: &Hasher,
    rules: &LoginRules,
    email: &str,
    new: NewPassword,
) -> Result<Option<(postern_store::durable::PasswordHash, Option<Secret>)>, IdentityError> {
    let (password, shown) = match new {
        NewPassword::None => return Ok(None),
        NewPassword::Given(password) => (password, None),
        NewPassword::Generated => {
            let password = random::secret()?;
            (password.clone(), Some(password))
        }
    };
    let passwords = &rules.login.passwords;
    let as_seen = |error| as_operators_see(error, passwords);
    judge_password(&password, email, passwords, None).await.map_err(as_seen)?;
    let hash = hasher.make(password).await.map_err(as_seen)?;
    Ok(Some((hash, shown)))
}

fn as_operators_see(error: LoginError, rules: &PasswordRules) -> IdentityError {
    match error {
        LoginError::PasswordPolicy("short") => {
            let least = rules.min_length;
            invalid("password", format!("it is too short: at least {least} characters"))
        }
        LoginError::PasswordPolicy("long") => {
            invalid("password", format!("it is too long: at most {MAX_PASSWORD_CHARS} characters"))
        }
        LoginError::PasswordPolicy("email") => invalid("password", "it is the e-mail address"),
        LoginError::PasswordPolicy("breached") => invalid("password", "it is known from a breach"),
        LoginError::PasswordPolicy(_) => invalid("password", "it is not accepted"),
        LoginError::Store(error) => IdentityError::Store(error),
        _ => IdentityError::Crypto,
    }
}

fn taken(error: postern_store::StoreError) -> IdentityError {
    match error {
        postern_store::StoreError::Conflict => invalid("e-mail", "another user has it"),
        other => IdentityError::Store(other),
    }
}

fn invalid(what: &'static str, reason: impl Into<Cow<'static, str>>) -> IdentityError {
    IdentityError::invalid(what, reason)
}

pub(crate) fn check_email(email: &str) -> Result<(), IdentityError> {
    let is_bounded = email.len() <= MAX_EMAIL_BYTES && is_identity_value(email);
    let has_space = email.chars().any(char::is_whitespace);
    let host_char = |char: char| char.is_alphanumeric() || matches!(char, '.' | '-');
    let is_address = email.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && host.split('.').all(|label| !label.is_empty())
            && host.chars().all(host_char)
    });
    if is_bounded && !has_space && is_address {
        return Ok(());
    }
    Err(invalid("e-mail", "it must be an address of at most 255 bytes"))
}

fn check_profile(profile: &Profile) -> Result<(), IdentityError> {
    check_text("first name", &profile.first_name)?;
    check_text("last name", &profile.last_name)?;
    let optional = [("photo", &profile.photo), ("department", &profile.department)];
    for (what, text) in optional {
        text.as_deref().map_or(Ok(()), |text| check_text(what, text))?;
    }
    Ok(())
}

fn check_tier(tier: Option<&str>) -> Result<(), IdentityError> {
    tier.map_or(Ok(()), |tier| check_text("tier", tier))
}

fn check_role(rules: &LoginRules, role: &str) -> Result<(), IdentityError> {
    if rules.role(role).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = rules.login.roles.iter().map(|role| role.name.as_str()).collect();
    let known = known.join(", ");
    Err(invalid("role", format!("the document knows no such role; it has {known}")))
}

#[cfg(test)]
mod tests;

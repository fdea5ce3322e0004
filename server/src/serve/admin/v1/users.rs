//! `/admin/v1/users`

use std::sync::Arc;

use postern_identity::admin::{NewPassword, NewUser, UserEdit};
use postern_oauth::Secret;
use postern_store::durable::{Profile, UserRecord};

use super::Api;
use super::call::{Call, Reply};
use super::dto;
use super::refusal::Refusal;

/// What an id that is none names.
const WHAT: &str = "user";

pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let listing = call.listing()?;
    if let Some(email) = call.query.get("email") {
        let found: Vec<UserRecord> =
            api.operators.user_by_email(email).await?.into_iter().collect();
        let page = listing.ask().of(found, |user| (user.created_at, user.id.clone()));
        let users: Vec<dto::User> = page.records.into_iter().map(dto::User::from).collect();
        return Ok(Reply::page(listing, &users, page.total));
    }
    let page = api.operators.users(listing.ask()).await?;
    let users: Vec<dto::User> = page.records.into_iter().map(dto::User::from).collect();
    Ok(Reply::page(listing, &users, page.total))
}

pub(super) async fn create(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let body: dto::NewUser = call.body()?;
    let password = password(body.password, body.generate_password)?;
    must_change(body.must_change_password, password.as_ref())?;
    let new = NewUser {
        email: body.email,
        role: body.role,
        profile: Profile {
            first_name: body.first_name,
            last_name: body.last_name,
            photo: body.photo,
            department: body.department,
        },
        tier: body.tier,
        password: password.unwrap_or_default(),
        must_change_password: body.must_change_password,
    };
    let created = api.operators.create_user(new, &call.by, call.now).await?;
    Ok(Reply::one(&dto::UserCreated {
        user: created.record.into(),
        password: created.password.as_ref().map(shown),
    }))
}

pub(super) async fn show(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let user = api.operators.user(call.uuid(0, WHAT)?).await?;
    Ok(Reply::one(&dto::User::from(user)))
}

pub(super) async fn change(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let id = call.uuid(0, WHAT)?;
    let mut body: dto::UserChange = call.body()?;
    let password = password(body.password.take(), body.generate_password)?;
    must_change(body.must_change_password, password.as_ref())?;
    let profile = profile(&api.operators.user(id).await?, &mut body);
    let edit = UserEdit {
        email: body.email,
        role: body.role,
        is_active: body.is_active,
        profile,
        tier: body.tier,
        password: password.map(|password| (password, body.must_change_password)),
    };
    let changed = api.operators.change_user(id, edit, &call.by, call.now).await?;
    Ok(Reply::one(&dto::UserChanged {
        user: changed.record.into(),
        password: changed.password.as_ref().map(shown),
    }))
}

/// The profile as it will be, where something of it is said.
fn profile(user: &UserRecord, body: &mut dto::UserChange) -> Option<Profile> {
    let (first, last) = (body.first_name.take(), body.last_name.take());
    let (photo, department) = (body.photo.take(), body.department.take());
    if first.is_none() && last.is_none() && photo.is_none() && department.is_none() {
        return None;
    }
    let is = user.profile.clone();
    Some(Profile {
        first_name: first.unwrap_or(is.first_name),
        last_name: last.unwrap_or(is.last_name),
        photo: photo.unwrap_or(is.photo),
        department: department.unwrap_or(is.department),
    })
}

/// Where a password comes from, if from anywhere.
fn password(given: Option<String>, generate: bool) -> Result<Option<NewPassword>, Refusal> {
    match (given, generate) {
        (Some(_), true) => {
            Err(Refusal::invalid("password", "say either a password or that one is made"))
        }
        (Some(password), false) => Ok(Some(NewPassword::Given(Secret::new(password)))),
        (None, true) => Ok(Some(NewPassword::Generated)),
        (None, false) => Ok(None),
    }
}

/// What nobody would do, nobody is told that it was done.
fn must_change(asked: bool, password: Option<&NewPassword>) -> Result<(), Refusal> {
    if asked && password.is_none() {
        let message = "it goes with a password, given or made";
        return Err(Refusal::invalid("mustChangePassword", message));
    }
    Ok(())
}

fn shown(secret: &Secret) -> String {
    secret.expose().to_owned()
}

/// Users stay; one who is gone is switched off.
pub(super) async fn deactivate(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let id = call.uuid(0, WHAT)?;
    let edit = UserEdit { is_active: Some(false), ..UserEdit::default() };
    let changed = api.operators.change_user(id, edit, &call.by, call.now).await?;
    Ok(Reply::one(&dto::User::from(changed.record)))
}

pub(super) async fn factors(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let listing = call.listing()?;
    let factors = api.operators.factors_of(call.uuid(0, WHAT)?).await?;
    let page = listing.ask().of(factors, |factor| (factor.created_at, factor.id.clone()));
    let factors: Vec<dto::Factor> = page.records.into_iter().map(dto::Factor::from).collect();
    Ok(Reply::page(listing, &factors, page.total))
}

pub(super) async fn reset_factors(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let id = call.uuid(0, WHAT)?;
    let ended = api.operators.reset_factors(id, &call.by, call.now).await?;
    Ok(Reply::one(&dto::Ended { ended }))
}

pub(super) async fn remove_factor(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let (user, id) = (call.uuid(0, WHAT)?, call.id(1, "second factor")?);
    api.operators.remove_factor(user, id, &call.by, call.now).await?;
    Ok(Reply::one(&dto::Ended { ended: 1 }))
}

pub(super) async fn consents(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let listing = call.listing()?;
    let consents = api.operators.consents_of(call.uuid(0, WHAT)?).await?;
    let page = listing.ask().of(consents, |one| (one.granted_at, one.client_id.clone()));
    let consents: Vec<dto::Consent> = page.records.into_iter().map(dto::Consent::from).collect();
    Ok(Reply::page(listing, &consents, page.total))
}

pub(super) async fn revoke_consent(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let (user, client) = (call.uuid(0, WHAT)?, call.id(1, "consent")?);
    api.operators.revoke_consent(user, client, &call.by, call.now).await?;
    Ok(Reply::one(&dto::Ended { ended: 1 }))
}

pub(super) async fn sessions(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let listing = call.listing()?;
    let sessions = api.operators.sessions_of(call.uuid(0, WHAT)?, call.now).await?;
    let page = listing.ask().of(sessions, |one| (one.created_at, one.id.clone()));
    let sessions: Vec<dto::Session> = page.records.into_iter().map(dto::Session::from).collect();
    Ok(Reply::page(listing, &sessions, page.total))
}

pub(super) async fn end_sessions(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let id = call.uuid(0, WHAT)?;
    let ended = api.operators.end_sessions(id, &call.by, call.now).await?;
    Ok(Reply::one(&dto::Ended { ended }))
}

//! `/admin/v1/api-keys`

use std::sync::Arc;

use postern_identity::admin::{ApiKeyEdit, CreatedApiKey, NewApiKey};
use postern_oauth::ScopeSet;
use postern_request::UnixMillis;

use super::Api;
use super::call::{Call, Reply};
use super::clients::scopes;
use super::dto;
use super::refusal::Refusal;

const WHAT: &str = "API key";
/// How long a key goes on beside the one that takes its place, where nobody says.
const DEFAULT_OVERLAP_SECS: u64 = 86_400;
/// The longest that a key may be made for: ten years.
const MAX_LIFE_SECS: u64 = 315_360_000;

pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let listing = call.listing()?;
    let page = api.operators.api_keys(listing.ask()).await?;
    let keys: Vec<dto::ApiKey> = page.records.into_iter().map(dto::ApiKey::from).collect();
    Ok(Reply::page(listing, &keys, page.total))
}

pub(super) async fn create(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let body: dto::NewApiKey = call.body()?;
    let new = NewApiKey {
        subject: body.subject,
        name: body.name,
        client_id: body.client_id,
        scopes: set(&body.scopes)?,
        tier: body.tier,
        limits: body.limits,
        expires_at: body.expires_in.map(|secs| end(secs, call.now)).transpose()?,
    };
    let created = api.operators.create_api_key(new, &call.by, call.now).await?;
    Ok(made(created))
}

pub(super) async fn show(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let key = api.operators.api_key(call.id(0, WHAT)?).await?;
    Ok(Reply::one(&dto::ApiKey::from(key)))
}

pub(super) async fn change(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let id = call.id(0, WHAT)?;
    let body: dto::ApiKeyChange = call.body()?;
    let expires_at = match body.expires_in {
        None => None,
        Some(None) => Some(None),
        Some(Some(secs)) => Some(Some(end(secs, call.now)?)),
    };
    let edit = ApiKeyEdit {
        name: body.name,
        scopes: body.scopes.as_deref().map(set).transpose()?,
        tier: body.tier,
        limits: body.limits,
        expires_at,
    };
    let key = api.operators.change_api_key(id, edit, &call.by, call.now).await?;
    Ok(Reply::one(&dto::ApiKey::from(key)))
}

pub(super) async fn rotate(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let id = call.id(0, WHAT)?;
    let body: dto::ApiKeyRotation = call.body()?;
    let overlap_ms = body.overlap.unwrap_or(DEFAULT_OVERLAP_SECS).saturating_mul(1000);
    let created = api.operators.rotate_api_key(id, overlap_ms, &call.by, call.now).await?;
    Ok(made(created))
}

pub(super) async fn revoke(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let key = api.operators.revoke_api_key(call.id(0, WHAT)?, &call.by, call.now).await?;
    Ok(Reply::one(&dto::ApiKey::from(key)))
}

fn made(created: CreatedApiKey) -> Reply {
    Reply::one(&dto::ApiKeyCreated {
        key: created.key.expose().to_owned(),
        api_key: created.record.into(),
    })
}

fn set(names: &[String]) -> Result<ScopeSet, Refusal> {
    ScopeSet::from_names(names.iter().map(String::as_str)).map_err(scopes)
}

fn end(secs: u64, now: UnixMillis) -> Result<UnixMillis, Refusal> {
    if !(1..=MAX_LIFE_SECS).contains(&secs) {
        let message = "it must be 1 to 315360000 seconds";
        return Err(Refusal::invalid("expiresIn", message));
    }
    Ok(UnixMillis(now.0.saturating_add(secs.saturating_mul(1000))))
}

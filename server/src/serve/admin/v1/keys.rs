//! `/admin/v1/keys`: signing keys.

use std::sync::Arc;

use postern_identity::admin::Rotation;

use super::Api;
use super::call::{Call, Reply};
use super::dto;
use super::refusal::Refusal;

pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let listing = call.listing()?;
    let keys = api.operators.signing_keys(call.now).await?;
    let page = listing.ask().of(keys, |key| (key.created_at, key.kid.clone()));
    let keys: Vec<dto::SigningKey> = page.records.into_iter().map(dto::SigningKey::from).collect();
    Ok(Reply::page(listing, &keys, page.total))
}

pub(super) async fn rotate(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let body: dto::NewSigningKey = call.body_or_empty()?;
    let rotation = Rotation { algorithm: body.algorithm.into(), ..Rotation::default() };
    let made = api.operators.rotate_signing_key(rotation, &call.by, call.now).await?;
    Ok(Reply::one(&dto::SigningKey::from(made)))
}

pub(super) async fn retire(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let kid = call.id(0, "signing key")?;
    let even_the_last = call.query.is_set("yes")?;
    let retired = api.operators.retire_signing_key(kid, even_the_last, &call.by, call.now);
    let another_signs = retired.await?;
    Ok(Reply::one(&dto::RetiredKey { kid: kid.to_owned(), another_signs }))
}

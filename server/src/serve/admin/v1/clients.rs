//! `/admin/v1/clients`

use std::sync::Arc;

use postern_identity::admin::ClientEdit;
use postern_oauth::ScopeError;

use super::Api;
use super::call::{Call, Reply};
use super::dto;
use super::refusal::Refusal;

const WHAT: &str = "client";

pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let listing = call.listing()?;
    let page = api.operators.clients(listing.ask()).await?;
    let clients: Vec<dto::Client> = page.records.into_iter().map(dto::Client::from).collect();
    Ok(Reply::page(listing, &clients, page.total))
}

pub(super) async fn create(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let mut body: dto::NewClient = call.body()?;
    let (kind, name) = (body.kind, std::mem::take(&mut body.name));
    let edit = ClientEdit { name: Some(name), ..body.edit().map_err(scopes)? };
    let created = api.operators.create_client(kind.into(), edit, &call.by, call.now).await?;
    Ok(Reply::one(&dto::ClientCreated {
        client: created.record.into(),
        client_secret: created.secret.map(|secret| secret.expose().to_owned()),
    }))
}

pub(super) async fn show(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let client = api.operators.client(call.id(0, WHAT)?).await?;
    Ok(Reply::one(&dto::Client::from(client)))
}

pub(super) async fn change(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let id = call.id(0, WHAT)?;
    let mut body: dto::ClientChange = call.body()?;
    let (name, is_active) = (body.name.take(), body.is_active);
    let edit = ClientEdit { name, is_active, ..body.edit().map_err(scopes)? };
    let changed = api.operators.change_client(id, edit, &call.by, call.now).await?;
    Ok(Reply::one(&dto::ClientChanged {
        client: changed.record.into(),
        client_secret: changed.secret.map(|secret| secret.expose().to_owned()),
    }))
}

pub(super) async fn delete(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    api.operators.delete_client(call.id(0, WHAT)?, &call.by, call.now).await?;
    Ok(Reply::one(&dto::Ended { ended: 1 }))
}

pub(super) async fn rotate_secret(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let id = call.id(0, WHAT)?;
    let secret = api.operators.rotate_client_secret(id, &call.by, call.now).await?;
    Ok(Reply::one(&dto::ClientSecret {
        client_id: id.to_owned(),
        client_secret: secret.expose().to_owned(),
    }))
}

/// Scopes that are none; the error repeats nothing.
pub(super) fn scopes(error: ScopeError) -> Refusal {
    Refusal::invalid("scopes", error.to_string())
}

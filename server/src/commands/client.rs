//! `postern client`.

use std::process::ExitCode;

use anyhow::Result;
use postern_identity::admin::{self, NewClient, NewPublicClient};
use postern_oauth::GrantType;
use postern_store::durable::{ClientRecord, DurableStore, MAX_PAGE};
use serde_json::{Value, json};

use super::now;
use crate::cli::{Client, ClientAction};
use crate::{output, settings};

/// Creates or lists clients.
///
/// # Errors
/// When the store cannot be used or a value is none.
pub async fn run(arguments: &Client) -> Result<ExitCode> {
    match &arguments.action {
        ClientAction::Create {
            durable,
            name,
            scopes,
            lifetime,
            public: true,
            redirect_uris,
            no_consent,
            json: as_json,
        } => {
            let store = settings::durable(&durable.durable).await?;
            let client = NewPublicClient {
                name: settings::trimmed("--name", name)?,
                scopes: settings::scopes("--scopes", scopes)?,
                redirect_uris: redirect_uris.clone(),
                require_consent: !no_consent,
                access_token_lifetime_secs: settings::seconds(lifetime)?,
            };
            let record = admin::create_public_client(store.as_ref(), client, now()).await?;
            if *as_json {
                output::line(json!({"client_id": record.client_id}).to_string())?;
            } else {
                output::line(format!("client_id      {}", record.client_id))?;
            }
        }
        ClientAction::Create { durable, name, scopes, lifetime, json: as_json, .. } => {
            let store = settings::durable(&durable.durable).await?;
            let client = NewClient {
                name: settings::trimmed("--name", name)?,
                scopes: settings::scopes("--scopes", scopes)?,
                grant_types: vec![GrantType::ClientCredentials],
                access_token_lifetime_secs: settings::seconds(lifetime)?,
            };
            let created = admin::create_client(store.as_ref(), client, now()).await?;
            let (id, secret) = (&created.record.client_id, created.secret.expose());
            if *as_json {
                output::line(json!({"client_id": id, "client_secret": secret}).to_string())?;
            } else {
                output::line(format!("client_id      {id}"))?;
                output::line(format!("client_secret  {secret}"))?;
                output::remark("the secret is not kept and cannot be shown again");
            }
        }
        ClientAction::List { durable, json: as_json } => {
            let store = settings::durable(&durable.durable).await?;
            let clients = all(store.as_ref()).await?;
            if *as_json {
                output::line(Value::Array(clients.iter().map(to_json).collect()).to_string())?;
            } else {
                let rows: Vec<Vec<String>> = clients
                    .iter()
                    .map(|client| {
                        let active = if client.is_active { "active" } else { "inactive" };
                        vec![
                            client.client_id.clone(),
                            client.name.clone(),
                            active.to_owned(),
                            client.scopes.join(" "),
                        ]
                    })
                    .collect();
                output::table(&["CLIENT", "NAME", "STATE", "SCOPES"], &rows)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn all(store: &dyn DurableStore) -> Result<Vec<ClientRecord>> {
    let mut clients: Vec<ClientRecord> = Vec::new();
    loop {
        let after = clients.last().map(|client| client.client_id.clone());
        let page = store.list_clients(after.as_deref(), MAX_PAGE).await?;
        if page.is_empty() {
            return Ok(clients);
        }
        clients.extend(page);
    }
}

fn to_json(client: &ClientRecord) -> Value {
    json!({
        "client_id": client.client_id,
        "name": client.name,
        "grant_types": client.grant_types,
        "scopes": client.scopes,
        "is_active": client.is_active,
    })
}

//! `postern apikey`.

use std::process::ExitCode;

use anyhow::Result;
use postern_identity::admin::{self, NewApiKey};
use postern_request::UnixMillis;
use postern_store::durable::{ApiKeyRecord, DurableStore, MAX_PAGE};
use serde_json::{Value, json};

use super::{now, warn_of_unknown_client};
use crate::cli::{Apikey, ApikeyAction};
use crate::{output, settings};

/// Creates or lists API keys.
///
/// # Errors
/// When the store cannot be used or a value is none.
pub async fn run(arguments: &Apikey) -> Result<ExitCode> {
    match &arguments.action {
        ApikeyAction::Create {
            durable,
            subject,
            client_id,
            scopes,
            tier,
            expires_in,
            json: as_json,
        } => {
            let store = settings::durable(&durable.durable).await?;
            let expires_at = match expires_in {
                Some(text) => Some(UnixMillis(now().0 + settings::seconds(text)? * 1000)),
                None => None,
            };
            let key = NewApiKey {
                subject: settings::trimmed("--subject", subject)?,
                client_id: settings::trimmed_option("--client-id", client_id.as_deref())?,
                scopes: settings::scopes("--scopes", scopes)?,
                tier: settings::trimmed_option("--tier", tier.as_deref())?,
                expires_at,
            };
            let created = admin::create_api_key(store.as_ref(), key, now()).await?;
            if *as_json {
                output::line(
                    json!({"id": created.record.id, "key": created.key.expose()}).to_string(),
                )?;
            } else {
                output::line(created.key.expose())?;
                output::remark("the key is not kept and cannot be shown again");
            }
            // Not before the key is out: it is shown this once.
            if let Some(client_id) = client_id {
                warn_of_unknown_client(store.as_ref(), client_id).await?;
            }
        }
        ApikeyAction::List { durable, json: as_json } => {
            let store = settings::durable(&durable.durable).await?;
            let keys = all(store.as_ref()).await?;
            if *as_json {
                output::line(Value::Array(keys.iter().map(to_json).collect()).to_string())?;
            } else {
                let rows: Vec<Vec<String>> = keys
                    .iter()
                    .map(|key| {
                        let state = if key.revoked_at.is_some() { "revoked" } else { "active" };
                        let expires =
                            key.expires_at.map_or("never".to_owned(), UnixMillis::to_rfc3339);
                        vec![key.id.clone(), key.subject.clone(), state.to_owned(), expires]
                    })
                    .collect();
                output::table(&["KEY", "SUBJECT", "STATE", "EXPIRES"], &rows)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn all(store: &dyn DurableStore) -> Result<Vec<ApiKeyRecord>> {
    let mut keys: Vec<ApiKeyRecord> = Vec::new();
    loop {
        let after = keys.last().map(|key| key.id.clone());
        let page = store.list_api_keys(after.as_deref(), MAX_PAGE).await?;
        if page.is_empty() {
            return Ok(keys);
        }
        keys.extend(page);
    }
}

fn to_json(key: &ApiKeyRecord) -> Value {
    json!({
        "id": key.id,
        "subject": key.subject,
        "client_id": key.client_id,
        "scopes": key.scopes,
        "tier": key.tier,
        "revoked": key.revoked_at.is_some(),
    })
}

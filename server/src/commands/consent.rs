//! `postern consent`.

use std::process::ExitCode;

use anyhow::Result;
use postern_store::durable::ConsentRecord;
use serde_json::{Value, json};

use super::{now, operators};
use crate::cli::{Consent, ConsentAction};
use crate::output;

/// Lists consents, or takes one back.
///
/// # Errors
/// When a store cannot be used, or there is no such user or consent.
pub async fn run(arguments: &Consent) -> Result<ExitCode> {
    match &arguments.action {
        ConsentAction::List { durable, user, json: as_json } => {
            let operators = operators::plain(durable).await?;
            let user = operators::user(&operators, user).await?;
            list(&operators.consents_of(&user.id).await?, *as_json)
        }
        ConsentAction::Revoke { durable, ends, user, client, json: as_json } => {
            let (operators, afterwards) = operators::ending(durable, ends).await?;
            let user = operators::user(&operators, user).await?;
            operators.revoke_consent(&user.id, client, &operators::actor(), now()).await?;
            afterwards.tell();
            if *as_json {
                output::line(json!({"revoked": true}).to_string())?;
            } else {
                output::line(format!("{client} may do nothing for {} any more", user.email))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn list(consents: &[ConsentRecord], as_json: bool) -> Result<ExitCode> {
    if as_json {
        let list: Vec<Value> = consents
            .iter()
            .map(|consent| {
                json!({
                    "client_id": consent.client_id,
                    "scopes": consent.scopes,
                    "resources": consent.resources,
                    "granted_at": consent.granted_at.to_rfc3339(),
                })
            })
            .collect();
        output::line(Value::Array(list).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = consents
        .iter()
        .map(|consent| {
            let granted_at = consent.granted_at.to_rfc3339();
            vec![consent.client_id.clone(), consent.scopes.join(" "), granted_at]
        })
        .collect();
    output::table(&["CLIENT", "SCOPES", "GRANTED"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

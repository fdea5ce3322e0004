//! `postern session`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use postern_request::correlation;
use postern_store::flows::SessionRecord;
use serde_json::{Value, json};

use super::{now, operators};
use crate::cli::{Session, SessionAction};
use crate::output;

/// Lists or ends sessions.
///
/// # Errors
/// When a store cannot be used, there is no such user, or an id is no session's.
pub async fn run(arguments: &Session) -> Result<ExitCode> {
    match &arguments.action {
        SessionAction::List { durable, volatile, document, user, json: as_json } => {
            let operators =
                operators::looking(durable, volatile.as_deref(), document.as_deref()).await?;
            let user = operators::user(&operators, user).await?;
            let sessions = operators.sessions_of(&user.id, now()).await?;
            list(&sessions, *as_json)
        }
        SessionAction::End { durable, ends, id, json: as_json } => {
            if !correlation::is_uuid(id.as_bytes()) {
                bail!(
                    "`{}` is no session's id, which is a UUID: see `postern session list`",
                    output::visible(id)
                );
            }
            let (operators, afterwards) = operators::ending(durable, ends).await?;
            let ended = operators.end_session(id, &operators::actor(), now()).await?;
            afterwards.tell();
            if *as_json {
                output::line(json!({"ended": ended, "tokens_revoked": true}).to_string())?;
            } else if ended {
                output::line(format!("{id} has ended, and its tokens are revoked"))?;
            } else {
                output::line(format!("tokens of {id} are revoked; no such session was found"))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn list(sessions: &[SessionRecord], as_json: bool) -> Result<ExitCode> {
    if as_json {
        let list: Vec<Value> = sessions.iter().map(to_json).collect();
        output::line(Value::Array(list).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = sessions
        .iter()
        .map(|session| {
            vec![
                session.id.clone(),
                session.client_id.clone().unwrap_or_else(|| "browser".to_owned()),
                session.methods.join(" "),
                session.last_used.to_rfc3339(),
                session.ends_at.to_rfc3339(),
            ]
        })
        .collect();
    output::table(&["SESSION", "OF", "BY", "LAST USED", "ENDS"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn to_json(session: &SessionRecord) -> Value {
    json!({
        "id": session.id,
        "user_id": session.user_id,
        "client_id": session.client_id,
        "scopes": session.scopes,
        "methods": session.methods,
        "created_at": session.created_at.to_rfc3339(),
        "last_used": session.last_used.to_rfc3339(),
        "ends_at": session.ends_at.to_rfc3339(),
    })
}

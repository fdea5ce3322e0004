//! `postern apikey`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use postern_identity::admin::{ApiKeyEdit, CreatedApiKey, NewApiKey, Operators};
use postern_request::UnixMillis;
use postern_store::durable::{ApiKeyRecord, PageAsk};
use serde_json::{Value, json};

use super::{PAGE, note_unchecked_scopes, nothing_to_change, now, operators};
use crate::cli::{Apikey, ApikeyAction, ApikeyCreate, ApikeyUpdate};
use crate::settings::Bounds;
use crate::{output, settings};

/// How long two keys may stand beside each other.
const OVERLAP: Bounds = Bounds { secs: 60..=7_776_000, written: "1m to 90d" };
/// How long a key that ends may be good.
const LIFE: Bounds = Bounds { secs: 1..=315_360_000, written: "1s to 3650d" };

/// Makes, shows, changes and ends API keys.
///
/// # Errors
/// When the store cannot be used, a value is none, or there is no such key.
pub async fn run(arguments: &Apikey) -> Result<ExitCode> {
    let by = operators::actor();
    match &arguments.action {
        ApikeyAction::Create(arguments) => return create(arguments).await,
        ApikeyAction::Update(arguments) => return update(arguments).await,
        ApikeyAction::List { durable, json: as_json } => {
            let operators = operators::plain(durable).await?;
            list(&all(&operators).await?, *as_json)?;
        }
        ApikeyAction::Show { durable, id, json: as_json } => {
            let operators = operators::plain(durable).await?;
            show(&operators.api_key(id).await?, *as_json)?;
        }
        ApikeyAction::Rotate { durable, id, overlap, json: as_json } => {
            let overlap = settings::seconds_within("--overlap", overlap, &OVERLAP)?;
            let overlap_ms = overlap.saturating_mul(1000);
            let operators = operators::plain(durable).await?;
            let created = operators.rotate_api_key(id, overlap_ms, &by, now()).await?;
            shown_once(&created, *as_json)?;
        }
        ApikeyAction::Revoke { durable, id, volatile, json: as_json } => {
            let operators = operators::told(durable, volatile.as_deref()).await?;
            let record = operators.revoke_api_key(id, &by, now()).await?;
            if *as_json {
                output::line(to_json(&record).to_string())?;
            } else {
                output::line(format!("{id} is revoked"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(arguments: &ApikeyCreate) -> Result<ExitCode> {
    let now = now();
    let scopes = settings::scopes("--scopes", &arguments.scopes)?;
    let key = NewApiKey {
        subject: settings::trimmed("--subject", &arguments.subject)?,
        name: settings::trimmed_option("--name", arguments.name.as_deref())?,
        client_id: settings::trimmed_option("--client-id", arguments.client_id.as_deref())?,
        scopes: scopes.clone(),
        tier: settings::trimmed_option("--tier", arguments.tier.as_deref())?,
        limits: arguments.limits.clone(),
        expires_at: arguments.expires_in.as_deref().map(|text| end(text, now)).transpose()?,
    };
    let document = arguments.document.as_deref();
    let operators = operators::limiting(&arguments.durable, document).await?;
    let created = operators.create_api_key(key, &operators::actor(), now).await?;
    shown_once(&created, arguments.json)?;
    note_unchecked_limits(&arguments.limits, document);
    note_unchecked_scopes(Some(&scopes), document);
    // Not before the key is out: it is shown this once.
    if let Some(client_id) = &arguments.client_id
        && !operators.knows_client(client_id).await?
    {
        output::warn(format!("no client `{client_id}` is registered in this store"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn update(arguments: &ApikeyUpdate) -> Result<ExitCode> {
    let now = now();
    let name = settings::trimmed_option("--name", arguments.name.as_deref())?;
    let tier = settings::trimmed_option("--tier", arguments.tier.as_deref())?;
    let scopes = arguments.scopes.as_deref();
    let scopes = scopes.map(|text| settings::scopes("--scopes", text)).transpose()?;
    let expires_at = match (&arguments.expires_in, arguments.no_expiry) {
        (Some(text), _) => Some(Some(end(text, now)?)),
        (None, true) => Some(None),
        (None, false) => None,
    };
    let edit = ApiKeyEdit {
        name: name.map(Some),
        scopes: scopes.clone(),
        tier: if arguments.no_tier { Some(None) } else { tier.map(Some) },
        limits: match (arguments.limits.is_empty(), arguments.no_limits) {
            (_, true) => Some(Vec::new()),
            (false, false) => Some(arguments.limits.clone()),
            (true, false) => None,
        },
        expires_at,
    };
    if edit == ApiKeyEdit::default() {
        return Err(nothing_to_change(["apikey", "update"]));
    }
    let document = arguments.document.as_deref();
    let operators = operators::limiting(&arguments.durable, document).await?;
    let by = operators::actor();
    let record = operators.change_api_key(&arguments.id, edit, &by, now).await?;
    show(&record, arguments.json)?;
    note_unchecked_limits(&arguments.limits, document);
    note_unchecked_scopes(scopes.as_ref(), document);
    Ok(ExitCode::SUCCESS)
}

/// A typing error would go unnoticed until somebody uses the key.
fn note_unchecked_limits(limits: &[String], document: Option<&Path>) {
    if !limits.is_empty() && document.is_none() {
        output::note(
            "nobody has looked whether there is such a limit: with --document that is checked. A \
             key with a limit that the document does not have opens nothing",
        );
    }
}

fn end(text: &str, now: UnixMillis) -> Result<UnixMillis> {
    let secs = settings::seconds_within("--expires-in", text, &LIFE)?;
    Ok(UnixMillis(now.0.saturating_add(secs.saturating_mul(1000))))
}

fn shown_once(created: &CreatedApiKey, as_json: bool) -> Result<()> {
    let key = created.key.expose();
    if as_json {
        return output::line(json!({"id": created.record.id, "key": key}).to_string());
    }
    output::line(key)?;
    output::remark("the key is not kept and cannot be shown again");
    Ok(())
}

async fn all(operators: &Operators) -> Result<Vec<ApiKeyRecord>> {
    let mut keys: Vec<ApiKeyRecord> = Vec::new();
    loop {
        let offset = u64::try_from(keys.len())?;
        let page = operators.api_keys(PageAsk { offset, ..PAGE }).await?;
        if page.records.is_empty() {
            return Ok(keys);
        }
        keys.extend(page.records);
    }
}

fn list(keys: &[ApiKeyRecord], as_json: bool) -> Result<()> {
    if as_json {
        return output::line(Value::Array(keys.iter().map(to_json).collect()).to_string());
    }
    let row = |key: &ApiKeyRecord| {
        let expires = key.expires_at.map_or("never".to_owned(), UnixMillis::to_rfc3339);
        let name = key.name.clone().unwrap_or_default();
        vec![key.id.clone(), key.subject.clone(), state(key).to_owned(), expires, name]
    };
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    output::table(&["KEY", "SUBJECT", "STATE", "EXPIRES", "NAME"], &rows)
}

fn state(key: &ApiKeyRecord) -> &'static str {
    match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if end <= now() => "expired",
        _ => "active",
    }
}

fn show(key: &ApiKeyRecord, as_json: bool) -> Result<()> {
    if as_json {
        return output::line(to_json(key).to_string());
    }
    let time =
        |at: Option<UnixMillis>, none: &str| at.map_or(none.to_owned(), UnixMillis::to_rfc3339);
    output::fields(&[
        ("id", key.id.clone()),
        ("name", key.name.clone().unwrap_or_default()),
        ("subject", key.subject.clone()),
        ("client", key.client_id.clone().unwrap_or_default()),
        ("scopes", key.scopes.join(" ")),
        ("tier", key.tier.clone().unwrap_or_default()),
        ("limits", key.limits.join(" ")),
        ("state", state(key).to_owned()),
        ("created", key.created_at.to_rfc3339()),
        ("expires", time(key.expires_at, "never")),
        ("revoked", time(key.revoked_at, "")),
        ("successor", key.successor.clone().unwrap_or_default()),
        ("last used", time(key.last_used_at, "never")),
        ("requests", key.request_count.to_string()),
    ])
}

fn to_json(key: &ApiKeyRecord) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "subject": key.subject,
        "client_id": key.client_id,
        "scopes": key.scopes,
        "tier": key.tier,
        "limits": key.limits,
        "state": state(key),
        "revoked": key.revoked_at.is_some(),
        "created_at": key.created_at.to_rfc3339(),
        "expires_at": key.expires_at.map(UnixMillis::to_rfc3339),
        "successor": key.successor,
        "last_used_at": key.last_used_at.map(UnixMillis::to_rfc3339),
        "request_count": key.request_count,
    })
}

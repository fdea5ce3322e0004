//! `postern client`.

mod details;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use postern_identity::admin::{ClientEdit, Operators, grants_left_out, scopes_never_granted};
use postern_oauth::{GrantType, Secret};
use postern_store::durable::{ClientKind, ClientRecord, PageAsk};
use serde_json::{Value, json};

use super::{PAGE, note_unchecked_scopes, nothing_to_change, now, operators};
use crate::cli::{Client, ClientAction, ClientCreate, ClientUpdate, Ends};
use crate::{documents, output, settings};

/// Registers, shows, changes and deletes clients.
///
/// # Errors
/// When the store cannot be used, a value is none, or there is no such client.
pub async fn run(arguments: &Client) -> Result<ExitCode> {
    let by = operators::actor();
    match &arguments.action {
        ClientAction::Create(arguments) => create(arguments).await?,
        ClientAction::Update(arguments) => update(arguments).await?,
        ClientAction::List { durable, json: as_json } => {
            let operators = operators::plain(durable).await?;
            list(&all(&operators).await?, *as_json)?;
        }
        ClientAction::Show { durable, id, json: as_json } => {
            let operators = operators::plain(durable).await?;
            show(&operators.client(id).await?, *as_json)?;
        }
        ClientAction::RotateSecret { durable, id, json: as_json } => {
            let operators = operators::plain(durable).await?;
            let secret = operators.rotate_client_secret(id, &by, now()).await?;
            shown_once(id, Some(&secret), *as_json)?;
        }
        ClientAction::Delete { durable, ends, id, json: as_json } => {
            let (operators, afterwards) = operators::ending(durable, ends).await?;
            operators.delete_client(id, &by, now()).await?;
            afterwards.tell();
            if *as_json {
                output::line(json!({"deleted": id}).to_string())?;
            } else {
                output::line(format!("{id} is deleted"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(arguments: &ClientCreate) -> Result<()> {
    let kind = if arguments.public { ClientKind::Public } else { ClientKind::Confidential };
    let redirect_uris = &arguments.redirect_uris;
    let mut details = details::read(&arguments.details)?;
    let has_places = !redirect_uris.is_empty();
    details.grant_types = grants(kind, has_places, details.grant_types)?;
    let edit = ClientEdit {
        name: Some(settings::trimmed("--name", &arguments.name)?),
        scopes: Some(settings::scopes("--scopes", &arguments.scopes)?),
        access_token_lifetime_secs: Some(lifetime(&arguments.lifetime)?),
        redirect_uris: has_places.then(|| redirect_uris.clone()),
        require_consent: arguments.no_consent.then_some(false),
        ..details
    };
    let document = arguments.document.as_deref();
    let (never, scopes) = (never_granted(document, &edit)?, edit.scopes.clone());
    let operators = operators::plain(&arguments.durable).await?;
    let created = operators.create_client(kind, edit, &operators::actor(), now()).await?;
    shown_once(&created.record.client_id, created.secret.as_ref(), arguments.json)?;
    never.iter().for_each(output::warn);
    note_unchecked_scopes(scopes.as_ref(), document);
    Ok(())
}

fn lifetime(text: &str) -> Result<u64> {
    settings::seconds_within("--lifetime", text, &settings::TOKEN_LIFETIME)
}

/// How a client may ask that is told nothing of it: one with a place to send codes to gets codes.
fn grants(
    kind: ClientKind,
    has_places: bool,
    said: Option<Vec<GrantType>>,
) -> Result<Option<Vec<GrantType>>> {
    let by_code = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
    match said {
        None if kind == ClientKind::Public && !has_places => {
            bail!("--public: say where codes are sent (--redirect-uri), or --grant device_code")
        }
        None => Ok(has_places.then_some(by_code)),
        said => Ok(said),
    }
}

/// What of a client the document never grants, where one is named.
fn never_granted(document: Option<&Path>, edit: &ClientEdit) -> Result<Vec<String>> {
    let Some(document) = document else { return Ok(Vec::new()) };
    let document = documents::load_checked(document)?;
    let scopes = edit.scopes.as_ref().map(|scopes| scopes_never_granted(&document, scopes));
    let of_scope = |scope: String| {
        format!("`oauth.scopes` of the document says nothing of `{scope}`: it is never granted")
    };
    let of_grant = |grant: &str| {
        format!("the document lets nobody have tokens by `{grant}`: `oauth.grants` leaves it out")
    };
    let grants = grants_left_out(&document, edit.grant_types.as_deref().unwrap_or_default());
    let of_scopes = scopes.unwrap_or_default().into_iter().map(of_scope);
    Ok(of_scopes.chain(grants.into_iter().map(of_grant)).collect())
}

async fn update(arguments: &ClientUpdate) -> Result<()> {
    let redirect_uris = &arguments.redirect_uris;
    let scopes = arguments.scopes.as_deref();
    let mut details = details::read(&arguments.details)?;
    if arguments.no_may_act_for {
        details.may_act_for = Some(Vec::new());
    }
    if arguments.no_may_introspect {
        details.may_introspect = Some(Vec::new());
    }
    let edit = ClientEdit {
        name: settings::trimmed_option("--name", arguments.name.as_deref())?,
        scopes: scopes.map(|text| settings::scopes("--scopes", text)).transpose()?,
        access_token_lifetime_secs: arguments.lifetime.as_deref().map(lifetime).transpose()?,
        redirect_uris: (!redirect_uris.is_empty()).then(|| redirect_uris.clone()),
        require_consent: match (arguments.consent, arguments.no_consent) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        is_active: match (arguments.active, arguments.inactive) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        ..details
    };
    if edit == ClientEdit::default() {
        return Err(nothing_to_change(["client", "update"]));
    }
    let (operators, afterwards) = match &arguments.document {
        Some(document) => {
            let ends = Ends { document: document.clone(), volatile: arguments.volatile.clone() };
            let (operators, afterwards) = operators::ending(&arguments.durable, &ends).await?;
            (operators, Some(afterwards))
        }
        None => (operators::plain(&arguments.durable).await?, None),
    };
    let document = arguments.document.as_deref();
    let (never, scopes) = (never_granted(document, &edit)?, edit.scopes.clone());
    let by = operators::actor();
    let changed = operators.change_client(&arguments.id, edit, &by, now()).await?;
    if let Some(afterwards) = afterwards {
        afterwards.tell();
    }
    never.iter().for_each(output::warn);
    note_unchecked_scopes(scopes.as_ref(), document);
    if changed.secret.is_some() {
        return shown_once(&arguments.id, changed.secret.as_ref(), arguments.json);
    }
    show(&changed.record, arguments.json)
}

/// The id, and the secret where there is one: nowhere else, and never again.
fn shown_once(id: &str, secret: Option<&Secret>, as_json: bool) -> Result<()> {
    let Some(secret) = secret else {
        return match as_json {
            true => output::line(json!({"client_id": id}).to_string()),
            false => output::line(format!("client_id      {id}")),
        };
    };
    let secret = secret.expose();
    if as_json {
        return output::line(json!({"client_id": id, "client_secret": secret}).to_string());
    }
    output::line(format!("client_id      {id}"))?;
    output::line(format!("client_secret  {secret}"))?;
    output::remark("the secret is not kept and cannot be shown again");
    Ok(())
}

async fn all(operators: &Operators) -> Result<Vec<ClientRecord>> {
    let mut clients: Vec<ClientRecord> = Vec::new();
    loop {
        let offset = u64::try_from(clients.len())?;
        let page = operators.clients(PageAsk { offset, ..PAGE }).await?;
        if page.records.is_empty() {
            return Ok(clients);
        }
        clients.extend(page.records);
    }
}

fn list(clients: &[ClientRecord], as_json: bool) -> Result<()> {
    if as_json {
        return output::line(Value::Array(clients.iter().map(to_json).collect()).to_string());
    }
    let row = |client: &ClientRecord| {
        let state = state(client).to_owned();
        vec![client.client_id.clone(), client.name.clone(), state, client.scopes.join(" ")]
    };
    let rows: Vec<Vec<String>> = clients.iter().map(row).collect();
    output::table(&["CLIENT", "NAME", "STATE", "SCOPES"], &rows)
}

const fn state(client: &ClientRecord) -> &'static str {
    if client.is_active { "active" } else { "inactive" }
}

fn show(client: &ClientRecord, as_json: bool) -> Result<()> {
    if as_json {
        return output::line(to_json(client).to_string());
    }
    let keys = match (&client.jwks, &client.jwks_uri) {
        (Some(_), _) => "its own".to_owned(),
        (None, Some(uri)) => uri.clone(),
        (None, None) => String::new(),
    };
    output::fields(&[
        ("client", client.client_id.clone()),
        ("name", client.name.clone()),
        ("type", client.kind.as_str().to_owned()),
        ("state", state(client).to_owned()),
        ("origin", client.origin.as_str().to_owned()),
        ("grants", client.grant_types.join(" ")),
        ("scopes", client.scopes.join(" ")),
        ("redirects", client.redirect_uris.join(" ")),
        ("after logout", client.post_logout_redirect_uris.join(" ")),
        ("proves by", client.auth_method.clone()),
        ("keys", keys),
        ("certificate", client.tls_subject.clone().unwrap_or_default()),
        ("resources", client.resources.join(" ")),
        ("acts for", client.may_act_for.join(" ")),
        ("introspects", client.may_introspect.join(" ")),
        ("consent", if client.require_consent { "asked" } else { "not asked" }.to_owned()),
        ("access", format!("{} s", client.access_token_lifetime_secs)),
        ("refresh", format!("{} s", client.refresh_token_lifetime_secs)),
        ("created", client.created_at.to_rfc3339()),
        ("changed", client.updated_at.to_rfc3339()),
    ])
}

fn to_json(client: &ClientRecord) -> Value {
    json!({
        "client_id": client.client_id,
        "name": client.name,
        "type": client.kind.as_str(),
        "origin": client.origin.as_str(),
        "grant_types": client.grant_types,
        "scopes": client.scopes,
        "redirect_uris": client.redirect_uris,
        "post_logout_redirect_uris": client.post_logout_redirect_uris,
        "auth_method": client.auth_method,
        "has_secret": client.secret_sha256.is_some(),
        "resources": client.resources,
        "may_act_for": client.may_act_for,
        "may_introspect": client.may_introspect,
        "require_consent": client.require_consent,
        "access_token_lifetime": client.access_token_lifetime_secs,
        "refresh_token_lifetime": client.refresh_token_lifetime_secs,
        "is_active": client.is_active,
        "created_at": client.created_at.to_rfc3339(),
        "updated_at": client.updated_at.to_rfc3339(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_sent_codes_may_ask_by_codes() {
        let codes = Some(vec![GrantType::AuthorizationCode, GrantType::RefreshToken]);
        let device = Some(vec![GrantType::DeviceCode]);
        for (kind, has_places, said, expected) in [
            (ClientKind::Confidential, true, None, codes.clone()),
            (ClientKind::Confidential, false, None, None),
            (ClientKind::Public, true, None, codes),
            (ClientKind::Public, false, device.clone(), device.clone()),
            (ClientKind::Confidential, true, device.clone(), device),
        ] {
            assert_eq!(grants(kind, has_places, said).unwrap(), expected, "{kind:?} {has_places}");
        }
        let told = grants(ClientKind::Public, false, None).unwrap_err().to_string();
        assert!(told.contains("--redirect-uri") && told.contains("device_code"), "{told}");
    }
}

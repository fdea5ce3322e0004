//! `postern token`.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use postern_identity::{AccessTokenRequest, KeyRing, TokenIssuer};
use postern_oauth::ScopeSet;
use serde_json::json;

use super::now;
use crate::cli::{Durable, KeyFile, Token, TokenAction, TokenIssue};
use crate::{documents, output, settings};

/// Longest token that is read from standard input.
const MAX_INPUT: u64 = 65_536;

/// Issues or inspects access tokens.
///
/// # Errors
/// When the document, the store or the encryption key cannot be used.
pub async fn run(arguments: &Token) -> Result<ExitCode> {
    match &arguments.action {
        TokenAction::Issue(issue) => run_issue(issue).await,
        TokenAction::Inspect { document, durable, key_file, token, json } => {
            inspect(document, durable, key_file, token, *json).await
        }
    }
}

async fn issuer(document: &Path, durable: &Durable, key_file: &KeyFile) -> Result<TokenIssuer> {
    let document = documents::load_checked(document)?;
    let issuer = document.issuer.context("the document names no `issuer`")?;
    let store = settings::durable(&durable.durable).await?;
    let kek = settings::optional_key(key_file)?;
    let ring = KeyRing::load(store, kek, now()).await?;
    Ok(TokenIssuer::new(issuer, Arc::new(ring)))
}

async fn run_issue(arguments: &TokenIssue) -> Result<ExitCode> {
    settings::require_key(&arguments.key_file)?;
    let issuer = issuer(&arguments.document, &arguments.durable, &arguments.key_file).await?;
    let request = AccessTokenRequest {
        subject: arguments.subject.clone(),
        client_id: arguments.client_id.clone(),
        scopes: ScopeSet::parse(&arguments.scope).context("--scope")?,
        audiences: arguments.audience.iter().cloned().collect(),
        lifetime_secs: settings::seconds(&arguments.ttl)?,
        role: arguments.role.clone(),
        tier: arguments.tier.clone(),
        ..AccessTokenRequest::default()
    };
    let issued = issuer.issue(&request, now())?;
    output::line(issued.token.expose());
    Ok(ExitCode::SUCCESS)
}

async fn inspect(
    document: &Path,
    durable: &Durable,
    key_file: &KeyFile,
    token: &str,
    as_json: bool,
) -> Result<ExitCode> {
    let issuer = issuer(document, durable, key_file).await?;
    let mut text = token.to_owned();
    if token == "-" {
        text.clear();
        std::io::stdin().take(MAX_INPUT).read_to_string(&mut text)?;
    }
    match issuer.inspect(text.trim(), now()) {
        Ok(verified) => {
            let (claims, principal) = (&verified.claims, verified.principal());
            let answer = json!({
                "active": true,
                "iss": claims.issuer,
                "sub": principal.subject,
                "aud": claims.audiences,
                "client_id": principal.client_id,
                "scope": principal.scopes.join(" "),
                "exp": claims.expires_at,
                "jti": claims.token_id,
                "kid": verified.key_id,
                "role": principal.role,
                "tier": principal.tier,
            });
            if as_json {
                output::line(answer.to_string());
            } else {
                output::line(serde_json::to_string_pretty(&answer)?);
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if as_json => {
            output::line(json!({"active": false, "reason": error.to_string()}).to_string());
            Ok(ExitCode::FAILURE)
        }
        Err(error) => bail!("the token does not hold: {error}"),
    }
}

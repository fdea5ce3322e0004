//! `postern token`.

mod gateway;
mod revoke;

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use postern_document::Document;
use postern_explain::Revocations as _;
use postern_identity::admin::scopes_nobody_knows;
use postern_identity::{AccessTokenRequest, KeyRing, TokenIssuer};
use postern_jose::VerifiedToken;
use postern_store::durable::DurableStore;
use serde_json::{Value, json};

use super::{now, warn_of_unknown_client};
use crate::cli::{DEFAULT_CLIENT, Durable, KeyFile, Token, TokenAction, TokenIssue};
use crate::revoking::Listed;
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
        TokenAction::Revoke(revoke) => revoke::run(revoke).await,
        TokenAction::Inspect { document, durable, key_file, token, json } => {
            inspect(&Parts::open(document, durable, key_file).await?, token, *json).await
        }
    }
}

/// What both commands work with.
struct Parts {
    document: Document,
    store: Arc<dyn DurableStore>,
    issuer: TokenIssuer,
}

impl Parts {
    async fn open(document: &Path, durable: &Durable, key_file: &KeyFile) -> Result<Self> {
        let document = documents::load_checked(document)?;
        let issuer = document.issuer.clone().context("the document names no `issuer`")?;
        let store = settings::durable(&durable.durable).await?;
        let kek = settings::optional_key(key_file)?;
        let ring = KeyRing::load(Arc::clone(&store), kek, now()).await;
        let ring = settings::opened(ring, key_file)?;
        Ok(Self { document, store, issuer: TokenIssuer::new(issuer, Arc::new(ring)) })
    }
}

async fn run_issue(arguments: &TokenIssue) -> Result<ExitCode> {
    settings::require_key(&arguments.key_file)?;
    let parts = Parts::open(&arguments.document, &arguments.durable, &arguments.key_file).await?;
    let request = AccessTokenRequest {
        subject: settings::trimmed("--subject", &arguments.subject)?,
        client_id: settings::trimmed("--client-id", &arguments.client_id)?,
        scopes: settings::scopes("--scope", &arguments.scope)?,
        audiences: arguments.audience.iter().cloned().collect(),
        lifetime_secs: settings::seconds_within(
            "--ttl",
            &arguments.ttl,
            &settings::TOKEN_LIFETIME,
        )?,
        role: settings::trimmed_option("--role", arguments.role.as_deref())?,
        tier: settings::trimmed_option("--tier", arguments.tier.as_deref())?,
        ..AccessTokenRequest::default()
    };
    let issued = parts.issuer.issue(&request, now())?;
    output::line(issued.token.expose())?;
    for scope in scopes_nobody_knows(&parts.document, &request.scopes) {
        output::warn(format!(
            "the document knows no scope `{scope}`: `oauth.scopes` says nothing of it, and no \
             route asks for it"
        ));
    }
    if arguments.client_id != DEFAULT_CLIENT {
        warn_of_unknown_client(parts.store.as_ref(), &arguments.client_id).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn inspect(parts: &Parts, token: &str, as_json: bool) -> Result<ExitCode> {
    let text = read_token(token)?;
    let (token, now) = (text.as_str(), now());
    let revoked = Listed::read(parts.store.as_ref(), now).await?;
    let judgement = gateway::judge(&parts.document, parts.issuer.ring(), &revoked, token, now);
    let inspected = match parts.issuer.inspect(token, now) {
        Ok(verified) if revoked.has_token(&verified) => Err("it was revoked".to_owned()),
        other => other.map_err(|error| error.to_string()),
    };
    match inspected {
        Ok(verified) => {
            let answer = describe(&verified, &judgement.to_json());
            if as_json {
                output::line(answer.to_string())?;
            } else {
                output::line(serde_json::to_string_pretty(&answer)?)?;
                output::remark(judgement.to_line());
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(reason) if as_json => {
            let gateway = judgement.to_json();
            let answer = json!({"active": false, "reason": reason, "gateway": gateway});
            output::line(answer.to_string())?;
            Ok(ExitCode::FAILURE)
        }
        Err(reason) => {
            output::remark(judgement.to_line());
            bail!("the token does not hold: {reason}")
        }
    }
}

/// A token from the command line, or with `-` from standard input.
fn read_token(token: &str) -> Result<String> {
    let mut text = token.to_owned();
    if token == "-" {
        text.clear();
        std::io::stdin().take(MAX_INPUT).read_to_string(&mut text)?;
    }
    Ok(text.trim().to_owned())
}

fn describe(verified: &VerifiedToken, gateway: &Value) -> Value {
    let (claims, principal) = (&verified.claims, verified.principal());
    json!({
        "active": true,
        "gateway": gateway,
        "iss": claims.issuer(),
        "sub": principal.subject,
        "aud": claims.audiences,
        "client_id": principal.client_id,
        "scope": principal.scopes.join(" "),
        "exp": claims.expires_at,
        "jti": claims.token_id,
        "kid": verified.key_id,
        "role": principal.role,
        "tier": principal.tier,
    })
}

//! `postern token revoke`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind, check_reason};
use postern_store::bus::RevocationBus as _;
use postern_store_redis::RedisStore;
use serde_json::json;

use super::read_token;
use crate::cli::TokenRevoke;
use crate::commands::now;
use crate::settings::Bounds;
use crate::{documents, output, recording, revoking, settings};

/// How long Redis is waited for: what was revoked is committed by then, and found without it.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);
const REDIS_RETRY: Duration = Duration::from_millis(50);

/// Revokes.
///
/// # Errors
/// When it is not clear what is meant, or the store cannot be written. Then nothing is revoked.
pub async fn run(arguments: &TokenRevoke) -> Result<ExitCode> {
    let now = now();
    let mut revocation = meant(arguments, now)?;
    if let Some(reason) = &arguments.reason {
        check_reason(reason).context("--reason")?;
    }
    let store = settings::identity_store(&arguments.durable.durable).await?;
    let email = email_of(arguments);
    if let Some(email) = email {
        let user = store.find_user_by_email(email).await?.with_context(|| {
            format!(
                "--subject: no user of this store has the e-mail `{email}`, and tokens name users \
                 by their ids (`postern user list`). A subject that is called so is revoked with \
                 --issuer"
            )
        })?;
        let remember_secs = remember(arguments)?;
        let (kind, issuer) = (RevocationKind::Subject, revocation.issuer().to_owned());
        revocation = revoking::named(kind, &issuer, &user.id, remember_secs, now)?;
    }
    let committed = revoking::commit(store.as_ref(), &revocation, arguments.reason.clone(), now);
    let seq = committed.await.context("nothing was revoked")?;
    let told = tell(arguments, seq, &revocation, now).await;
    let detail = recording::revoked(&revocation);
    let value = revocation.value();
    recording::record(store.as_ref(), "token.revoked", value, &detail, now).await?;
    let (kind, until) = (revocation.kind().as_str(), revocation.expires_at());
    if arguments.json {
        let answer = json!({
            "revoked": kind,
            "value": revocation.value(),
            "issuer": revocation.issuer(),
            "issued_before": revocation.issued_before(),
            "remembered_until": until,
            "sequence": seq,
        });
        output::line(answer.to_string())?;
    } else {
        output::line(format!(
            "revoked {kind} `{}` of {}",
            revocation.value(),
            revocation.issuer()
        ))?;
    }
    if let Some(email) = email {
        output::remark(format!("`{}` is the user with the e-mail {email}", revocation.value()));
    }
    if let Err(error) = told {
        output::warn(format!(
            "it is revoked, but Redis could not be told ({error:#}): other servers find it by \
             themselves, within half a minute"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The e-mail by which a user of ours is named. A subject of an issuer that is named may be called
/// so itself.
fn email_of(arguments: &TokenRevoke) -> Option<&str> {
    let subject = arguments.subject.as_deref().filter(|subject| subject.contains('@'))?;
    (arguments.issuer.is_none() && arguments.token.is_none()).then_some(subject)
}

fn remember(arguments: &TokenRevoke) -> Result<u64> {
    const BOUNDS: Bounds = Bounds { secs: 1..=u64::MAX, written: "a second or more" };
    settings::seconds_within("--remember", &arguments.remember, &BOUNDS)
}

/// What is to be revoked.
fn meant(arguments: &TokenRevoke, now: UnixMillis) -> Result<Revocation> {
    let remember_secs = remember(arguments)?;
    if let Some(token) = &arguments.token {
        return Ok(revoking::of_token(&read_token(token)?, now)?);
    }
    let named = [
        (RevocationKind::Token, "--jti", &arguments.jti),
        (RevocationKind::Session, "--session", &arguments.session),
        (RevocationKind::Subject, "--subject", &arguments.subject),
        (RevocationKind::Client, "--client", &arguments.client),
        (RevocationKind::Key, "--key", &arguments.key),
    ];
    let named =
        named.into_iter().find_map(|(kind, option, value)| Some((kind, option, value.as_deref()?)));
    let Some((kind, option, value)) = named else {
        bail!(
            "say what to revoke: a token, or one of --jti, --session, --subject, --client and --key"
        );
    };
    revoking::named(kind, &issuer(arguments)?, value, remember_secs, now).context(option)
}

fn issuer(arguments: &TokenRevoke) -> Result<String> {
    if let Some(issuer) = &arguments.issuer {
        return Ok(issuer.clone());
    }
    let Some(document) = &arguments.document else {
        bail!("say whose tokens are meant: --issuer ISSUER, or --document FILE for its own issuer");
    };
    documents::load_checked(document)?.issuer.context("the document names no `issuer`")
}

/// Rings the bell of all servers, where there is one.
async fn tell(
    arguments: &TokenRevoke,
    seq: u64,
    revocation: &Revocation,
    now: UnixMillis,
) -> Result<()> {
    let Some(address) = &arguments.volatile else { return Ok(()) };
    let address = settings::resolve("--volatile", address)?;
    if address == "memory" {
        return Ok(());
    }
    let redis = Arc::new(RedisStore::new(&address).context("--volatile")?);
    let connecting = Arc::clone(&redis);
    let connection = tokio::spawn(async move { connecting.keep_connected().await });
    let started = Instant::now();
    let revoked = [revocation.clone()];
    let outcome = loop {
        match redis.publish(seq, &revoked, now).await {
            Err(_) if started.elapsed() < REDIS_PATIENCE => tokio::time::sleep(REDIS_RETRY).await,
            outcome => break outcome,
        }
    };
    connection.abort();
    outcome.context("Redis")
}

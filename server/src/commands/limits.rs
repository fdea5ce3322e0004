//! `postern limits`.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use postern_rate_limit::Configuration;
use postern_store::StoreError;
use postern_store_redis::RedisStore;
use serde_json::json;

use super::now;
use crate::cli::{Descriptor, DescriptorAction, DescriptorCount, LimitCount, Limits, LimitsAction};
use crate::counts::{self, Count, Meant};
use crate::{documents, output, settings};

/// How long the store is waited for: connections are made in the background.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(50);

/// Which count is meant, and where it is kept.
struct Wanted {
    count: Count,
    store: Arc<RedisStore>,
    json: bool,
}

/// Looks at what limits have counted, or forgets it.
///
/// # Errors
/// When it is not clear which count is meant, or the store does not answer.
pub async fn run(arguments: &Limits) -> Result<ExitCode> {
    match &arguments.action {
        LimitsAction::Inspect(of) => inspect(&of_limit(of)?).await,
        LimitsAction::Reset(of) => reset(&of_limit(of)?).await,
        LimitsAction::Descriptor(Descriptor { action: DescriptorAction::Inspect(of) }) => {
            inspect(&of_descriptor(of)?).await
        }
        LimitsAction::Descriptor(Descriptor { action: DescriptorAction::Reset(of) }) => {
            reset(&of_descriptor(of)?).await
        }
    }
}

fn of_limit(of: &LimitCount) -> Result<Wanted> {
    let document = documents::load_checked(&of.document)?;
    let meant = Meant {
        limit: of.limit.clone(),
        parts: of.parts.clone(),
        without: of.without.clone(),
        route: of.route.clone(),
        tier: of.tier.clone(),
        client: of.client.clone(),
        issuer: of.issuer.clone(),
        credential: of.credential.map(Into::into),
    };
    let count = counts::of_limit(&document, &meant)?;
    let written = document.stores.volatile.as_deref();
    let address = settings::store("volatile", of.volatile.as_deref(), written)?;
    Ok(Wanted { count, store: open(address)?, json: of.json })
}

fn of_descriptor(of: &DescriptorCount) -> Result<Wanted> {
    let configuration = match Configuration::load(&of.config, of.merge_domains) {
        Ok(configuration) => configuration,
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let count = output::count(problems.len(), "problem");
            bail!("the configuration has {count}:\n{}", lines.join("\n"));
        }
    };
    let count = counts::of_descriptor(&configuration.current(), &of.domain, &of.entries)?;
    let address = settings::store("volatile", Some(&of.volatile), None)?;
    Ok(Wanted { count, store: open(address)?, json: of.json })
}

/// Opens the store that the servers share. Whoever asks it waits until it is connected.
fn open(address: Option<String>) -> Result<Arc<RedisStore>> {
    let address = address.unwrap_or_else(|| "memory".to_owned());
    if address == "memory" {
        bail!(
            "what a server counts in memory only that server knows: ask its admin API \
             (/admin/limits), or name the store that the servers share with --volatile"
        );
    }
    let store = Arc::new(RedisStore::new(&address).context("--volatile")?);
    let connecting = Arc::clone(&store);
    tokio::spawn(async move { connecting.keep_connected().await });
    Ok(store)
}

async fn inspect(wanted: &Wanted) -> Result<ExitCode> {
    let (count, store): (&Count, &RedisStore) = (&wanted.count, &wanted.store);
    let standing = patiently(move || count.standing(store, now())).await?;
    if wanted.json {
        output::line(standing.to_json().to_string())?;
    } else {
        for (what, value) in standing.lines() {
            output::line(format!("{what:<11}{value}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn reset(wanted: &Wanted) -> Result<ExitCode> {
    let (count, store): (&Count, &RedisStore) = (&wanted.count, &wanted.store);
    let forgotten = patiently(move || count.forget(store)).await?;
    if wanted.json {
        output::line(json!({"limit": count.name, "forgotten": forgotten}).to_string())?;
    } else {
        let done = if forgotten { "forgotten" } else { counts::NOTHING };
        output::line(format!("{}: {done}", count.name))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks until there is an answer. A second time does no harm.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let started = Instant::now();
    loop {
        match ask().await {
            Err(StoreError::Unavailable(_)) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(RETRY).await;
            }
            outcome => return outcome.context("the volatile store"),
        }
    }
}

//! Bringing issuers' keys to the decision: from our own store, or from elsewhere over HTTP.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use postern_document::{Document, JwksSource};
use postern_ext_authz::IssuerKeys;
use postern_identity::KeyRing;
use postern_jose::KeySet;
use postern_store::durable::DurableStore;
use reqwest::Client;

use super::parts::REFRESH;
use crate::commands::now;

const TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// The same bound as the parser's.
const MAX_BYTES: usize = 262_144;

/// Starts a task for each issuer whose keys are not in the document.
///
/// # Errors
/// When the HTTP client cannot be made.
pub fn keep_fetching(
    document: &Document,
    durable: Option<&Arc<dyn DurableStore>>,
    keys: &Arc<IssuerKeys>,
) -> Result<()> {
    let client = Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("cannot make an HTTP client")?;
    for (issuer, source) in document.issuers.iter().enumerate() {
        let (url, refresh_ms) = match &source.jwks {
            JwksSource::Inline(_) => continue,
            JwksSource::Uri { uri, refresh_ms, .. } => (uri.clone(), *refresh_ms),
            JwksSource::Service { service, path, refresh_ms } => {
                let upstream = document.services.iter().find(|known| known.name == *service);
                match upstream {
                    Some(upstream) => {
                        let scheme = if upstream.tls { "https" } else { "http" };
                        let place = format!("{}:{}", upstream.host, upstream.port);
                        (format!("{scheme}://{place}{path}"), *refresh_ms)
                    }
                    None => {
                        own_keys(issuer, durable, keys);
                        continue;
                    }
                }
            }
        };
        tokio::spawn(fetch_every(client.clone(), url, refresh_ms, issuer, Arc::clone(keys)));
    }
    Ok(())
}

/// Our own keys come from the durable store, whichever replica made them.
fn own_keys(issuer: usize, durable: Option<&Arc<dyn DurableStore>>, keys: &Arc<IssuerKeys>) {
    let Some(durable) = durable else {
        tracing::warn!(
            "the document takes our own tokens, but there is no durable store with keys"
        );
        return;
    };
    let (keys, durable) = (Arc::clone(keys), Arc::clone(durable));
    tokio::spawn(async move {
        loop {
            match KeyRing::load(Arc::clone(&durable), None, now()).await {
                Ok(ring) => keys.set(issuer, ring.key_set(now())),
                Err(error) => tracing::warn!(%error, "our own keys cannot be read"),
            }
            tokio::time::sleep(REFRESH).await;
        }
    });
}

/// The last good keys stay; failures are retried with growing pauses.
async fn fetch_every(
    client: Client,
    url: String,
    refresh_ms: u64,
    issuer: usize,
    keys: Arc<IssuerKeys>,
) {
    let mut pause = FIRST_RETRY;
    loop {
        match fetch(&client, &url).await {
            Ok(set) => {
                keys.set(issuer, set);
                pause = FIRST_RETRY;
                tokio::time::sleep(Duration::from_millis(refresh_ms)).await;
            }
            Err(error) => {
                tracing::warn!(url, error = format!("{error:#}"), "keys cannot be fetched");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_RETRY);
            }
        }
    }
}

async fn fetch(client: &Client, url: &str) -> Result<KeySet> {
    let mut response = client.get(url).send().await.context("no answer")?;
    if !response.status().is_success() {
        bail!("status {}", response.status().as_u16());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the answer broke off")? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            bail!("longer than {MAX_BYTES} bytes");
        }
    }
    Ok(KeySet::parse(&body)?)
}

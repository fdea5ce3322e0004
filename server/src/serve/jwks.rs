//! Bringing issuers' keys to the decision: from our own store, or from elsewhere over HTTP.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use postern_document::{Document, JwksSource};
use postern_ext_authz::IssuerKeys;
use postern_identity::KeyRing;
use postern_jose::KeySet;
use postern_store::durable::DurableStore;
use reqwest::{Client, Error};

use super::parts::REFRESH;
use crate::commands::now;
use crate::output;

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
    let scheme = |tls: bool| if tls { "https" } else { "http" };
    for (issuer, source) in document.issuers.iter().enumerate() {
        let (url, place, refresh_ms) = match &source.jwks {
            JwksSource::Inline(_) => continue,
            JwksSource::Uri { uri, tls, authority, refresh_ms, .. } => {
                (uri.clone(), format!("{}://{authority}", scheme(*tls)), *refresh_ms)
            }
            JwksSource::Service { service, path, refresh_ms } => {
                let upstream = document.services.iter().find(|known| known.name == *service);
                let Some(upstream) = upstream else {
                    own_keys(issuer, durable, keys);
                    continue;
                };
                let place = format!("{}:{}", upstream.host, upstream.port);
                let place = format!("{}://{place}", scheme(upstream.tls));
                (format!("{place}{path}"), place, *refresh_ms)
            }
        };
        let source = Source { issuer, url, place, refresh_ms };
        tokio::spawn(fetch_every(client.clone(), source, Arc::clone(keys)));
    }
    Ok(())
}

/// Where an issuer's keys are fetched from.
struct Source {
    issuer: usize,
    /// May hold a secret in its query.
    url: String,
    /// Scheme, host and port: what the log is told.
    place: String,
    refresh_ms: u64,
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
async fn fetch_every(client: Client, source: Source, keys: Arc<IssuerKeys>) {
    let mut pause = FIRST_RETRY;
    loop {
        match fetch(&client, &source.url).await {
            Ok(set) => {
                keys.set(source.issuer, set);
                pause = FIRST_RETRY;
                tokio::time::sleep(Duration::from_millis(source.refresh_ms)).await;
            }
            Err(error) => {
                let (from, error) = (&source.place, output::chain(&error));
                tracing::warn!(from, error, "keys cannot be fetched");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_RETRY);
            }
        }
    }
}

async fn fetch(client: &Client, url: &str) -> Result<KeySet> {
    let answer = client.get(url).send().await.map_err(Error::without_url);
    let mut response = answer.context("no answer")?;
    if !response.status().is_success() {
        bail!("status {}", response.status().as_u16());
    }
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(Error::without_url);
        let Some(chunk) = chunk.context("the answer broke off")? else { break };
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            bail!("longer than {MAX_BYTES} bytes");
        }
    }
    Ok(KeySet::parse(&body)?)
}

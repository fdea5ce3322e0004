//! What is known of a provider: asked once in a while, and not by everybody at once.

use std::collections::HashMap;
use std::sync::Arc;

use postern_document::OutsideProvider;
use postern_jose::KeySet;
use postern_oauth::Secret;
use postern_request::UnixMillis;
use tokio::sync::Mutex;

use super::OutsideError;
use super::metadata::{Metadata, address};
use crate::ports::{Outbound, OutboundError};

/// How long metadata and keys are good.
const LIFE_MS: u64 = 5 * 60 * 1000;
/// How long nobody asks again after a key was not there.
const KEYS_PAUSE_MS: u64 = 10_000;
/// How long nobody asks again who did not answer: whoever waits behind the first would wait as
/// long once more.
const AWAY_MS: u64 = 5_000;

/// The providers of a document, with what is known of each: one value, so that nobody's secret is
/// taken to where another document says that they are.
pub struct Providers(HashMap<String, (OutsideProvider, Provider)>);

impl Providers {
    /// Each with the suite's secret there. Nothing is known of them yet.
    #[must_use]
    pub fn new(providers: Vec<(OutsideProvider, Secret)>) -> Self {
        let known = providers
            .into_iter()
            .map(|(provider, secret)| (provider.name.clone(), (provider, Provider::new(secret))));
        Self(known.collect())
    }

    pub(super) fn find(&self, name: &str) -> Option<&(OutsideProvider, Provider)> {
        self.0.get(name)
    }
}

/// A provider of the document.
pub(super) struct Provider {
    /// The suite's secret there.
    pub(super) secret: Secret,
    /// One asks at a time, the others wait for what it learns.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, UnixMillis)>,
    keys: Option<(Arc<KeySet>, UnixMillis)>,
    away: Option<(OutboundError, UnixMillis)>,
}

impl Provider {
    /// One of which nothing is known yet.
    pub(super) fn new(secret: Secret) -> Self {
        Self { secret, known: Mutex::default() }
    }

    /// What it says of itself.
    pub(super) async fn metadata(
        &self,
        issuer: &str,
        outbound: &dyn Outbound,
        now: UnixMillis,
    ) -> Result<Arc<Metadata>, OutsideError> {
        let mut known = self.known.lock().await;
        if let Some((metadata, at)) = &known.metadata
            && metadata.issuer == issuer
            && now.millis_since(*at) < LIFE_MS
        {
            return Ok(Arc::clone(metadata));
        }
        let text = known.ask(outbound, &address(issuer), now).await?;
        let metadata = Arc::new(Metadata::read(&text, issuer)?);
        known.metadata = Some((Arc::clone(&metadata), now));
        Ok(metadata)
    }

    /// Its keys.
    pub(super) async fn keys(
        &self,
        metadata: &Metadata,
        outbound: &dyn Outbound,
        now: UnixMillis,
    ) -> Result<Arc<KeySet>, OutsideError> {
        let mut known = self.known.lock().await;
        if let Some((keys, at)) = &known.keys
            && now.millis_since(*at) < LIFE_MS
        {
            return Ok(Arc::clone(keys));
        }
        known.ask_keys(metadata, outbound, now).await
    }

    /// Keys that are newer than these, by which a token does not hold; none where nobody has asked
    /// a moment ago only.
    pub(super) async fn newer_keys(
        &self,
        than: &Arc<KeySet>,
        metadata: &Metadata,
        outbound: &dyn Outbound,
        now: UnixMillis,
    ) -> Result<Option<Arc<KeySet>>, OutsideError> {
        let mut known = self.known.lock().await;
        if let Some((keys, at)) = &known.keys {
            if !Arc::ptr_eq(keys, than) {
                return Ok(Some(Arc::clone(keys)));
            }
            if now.millis_since(*at) < KEYS_PAUSE_MS {
                return Ok(None);
            }
        }
        known.ask_keys(metadata, outbound, now).await.map(Some)
    }
}

impl Known {
    async fn ask_keys(
        &mut self,
        metadata: &Metadata,
        outbound: &dyn Outbound,
        now: UnixMillis,
    ) -> Result<Arc<KeySet>, OutsideError> {
        let text = self.ask(outbound, &metadata.jwks, now).await?;
        let keys = KeySet::parse(&text).map_err(|error| {
            tracing::warn!(issuer = metadata.issuer, %error, "a provider's keys cannot be used");
            OutsideError::Answer("the keys cannot be used")
        })?;
        let keys = Arc::new(keys);
        self.keys = Some((Arc::clone(&keys), now));
        Ok(keys)
    }

    async fn ask(
        &mut self,
        outbound: &dyn Outbound,
        url: &str,
        now: UnixMillis,
    ) -> Result<Vec<u8>, OutsideError> {
        if let Some((error, at)) = &self.away
            && now.millis_since(*at) < AWAY_MS
        {
            return Err(OutsideError::Away(error.clone()));
        }
        match outbound.get(url).await {
            Ok(text) => {
                self.away = None;
                Ok(text)
            }
            Err(error) => {
                self.away = Some((error.clone(), now));
                Err(OutsideError::Away(error))
            }
        }
    }
}

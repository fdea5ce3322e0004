//! Where an issuer's keys come from.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use postern_document::{Document, JwksSource, JwtIssuer};
use postern_identity::KeyRing;
use postern_jose::{KeySet, MAX_SET_BYTES};
use postern_store::durable::DurableStore;

use super::discovery::Discovery;
use super::fetch::Http;
use super::metrics::Outcome;
use crate::commands::now;
use crate::serve::parts::REFRESH;

/// An issuer's keys.
pub struct Fetched {
    /// To check with.
    pub set: KeySet,
    /// The same as it was fetched, RFC 7517 §5.
    pub text: String,
    /// How they were come by.
    pub outcome: Outcome,
}

impl Fetched {
    /// # Errors
    /// When it is no set of keys.
    fn read(body: Vec<u8>, outcome: Outcome) -> Result<Self> {
        let set = KeySet::parse(&body)?;
        Ok(Self { set, text: String::from_utf8(body)?, outcome })
    }
}

/// Brings an issuer's keys.
pub trait Fetch: Send + Sync + 'static {
    /// Fetches them.
    fn fetch(&mut self) -> impl Future<Output = Result<Fetched>> + Send;

    /// From where, for the log: nothing of it is secret.
    fn place(&self) -> &str;
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// May hold a secret in its query.
    pub url: String,
    /// Scheme, host and port: what the log is told.
    pub shown: String,
}

/// Where an issuer's keys come from.
pub struct Source {
    refresh: Duration,
    way: Way,
}

enum Way {
    /// Our own: from the durable store, whichever replica made them.
    Own(Arc<dyn DurableStore>),
    /// An address.
    Place(Http, Place),
    /// An address that the issuer's metadata tells.
    Discovered(Http, Box<Discovery>),
}

impl Source {
    /// Where this issuer's keys come from; none where they stand in the document, or are our own
    /// and there is no store to keep them in.
    ///
    /// # Errors
    /// When they cannot be found from the issuer's address.
    pub fn of(
        issuer: &JwtIssuer,
        document: &Document,
        durable: Option<&Arc<dyn DurableStore>>,
        http: &Http,
    ) -> Result<Option<Self>> {
        let (refresh_ms, way) = match &issuer.jwks {
            JwksSource::Inline(_) => return Ok(None),
            JwksSource::Uri { uri, tls, authority, refresh_ms, .. } => {
                let place =
                    Place { url: uri.clone(), shown: format!("{}://{authority}", scheme(*tls)) };
                (*refresh_ms, Way::Place(http.clone(), place))
            }
            JwksSource::Service { service, path, refresh_ms } => {
                match service_place(document, service, path) {
                    Some(place) => (*refresh_ms, Way::Place(http.clone(), place)),
                    None => return Ok(own(durable)),
                }
            }
            JwksSource::Discovery { refresh_ms } => {
                let name = &issuer.issuer.issuer;
                let discovery = Discovery::new(name)
                    .with_context(|| format!("the keys of `{name}` cannot be found from it"))?;
                (*refresh_ms, Way::Discovered(http.clone(), Box::new(discovery)))
            }
        };
        Ok(Some(Self { refresh: Duration::from_millis(refresh_ms), way }))
    }

    /// How often they are fetched.
    pub const fn refresh(&self) -> Duration {
        self.refresh
    }
}

impl Fetch for Source {
    async fn fetch(&mut self) -> Result<Fetched> {
        match &mut self.way {
            Way::Own(durable) => own_keys(durable).await,
            Way::Place(http, place) => {
                Fetched::read(http.get(&place.url, MAX_SET_BYTES).await?, Outcome::Good)
            }
            Way::Discovered(http, discovery) => {
                let (place, outcome) = discovery.find(http).await?;
                let body = http.get(&place.url, MAX_SET_BYTES).await;
                let body = body.with_context(|| place.shown.clone())?;
                let fetched = Fetched::read(body, outcome)?;
                discovery.keep(place);
                Ok(fetched)
            }
        }
    }

    fn place(&self) -> &str {
        match &self.way {
            Way::Own(_) => "the durable store",
            Way::Place(_, place) => &place.shown,
            Way::Discovered(_, discovery) => discovery.issuer(),
        }
    }
}

/// Where a service of the document answers; none for the suite itself.
fn service_place(document: &Document, service: &str, path: &str) -> Option<Place> {
    let upstream = document.services.iter().find(|known| known.name == service)?;
    // The document has IPv6 addresses without the brackets that a URL wants.
    let brackets = if upstream.host.contains(':') { ("[", "]") } else { ("", "") };
    let host = format!("{}{}{}", brackets.0, upstream.host, brackets.1);
    let shown = format!("{}://{host}:{}", scheme(upstream.tls), upstream.port);
    Some(Place { url: format!("{shown}{path}"), shown })
}

const fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

fn own(durable: Option<&Arc<dyn DurableStore>>) -> Option<Source> {
    let Some(durable) = durable else {
        tracing::warn!(
            "the document takes our own tokens, but there is no durable store with keys"
        );
        return None;
    };
    Some(Source { refresh: REFRESH, way: Way::Own(Arc::clone(durable)) })
}

/// The text is what `/oauth2/jwks` serves.
async fn own_keys(durable: &Arc<dyn DurableStore>) -> Result<Fetched> {
    let ring = KeyRing::load(Arc::clone(durable), None, now()).await;
    let (ring, now) = (ring.context("our own keys cannot be read")?, now());
    Ok(Fetched { set: ring.key_set(now), text: ring.jwks(now), outcome: Outcome::Good })
}

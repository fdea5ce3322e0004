//! Consul's catalog as the registry of services, by its HTTP API.
//!
//! | what | how |
//! |---|---|
//! | the instances of a service | `GET /v1/health/service/NAME` |
//! | waiting for another state of it | the same with `index` and `wait`: a blocking query |
//! | the services | `GET /v1/catalog/services` |
//!
//! Instances are registered with Consul, and it checks them: everything that writes is refused
//! here. What it answers is read strictly and within bounds, and an instance that makes no sense is
//! left out and counted. An answer that Consul has cut because the token may not see all of it is
//! no answer: it would say that nobody runs a service.
//!
//! Deliberately absent: Consul's own mesh, prepared queries, namespaces, other datacenters.

mod answer;

use std::time::Duration;

use postern_registry::{Instance, Listing, Version};
use postern_request::UnixMillis;
use postern_store::registry::{Checker, Registry, RegistryError, Report};
use postern_store::{BoxFuture, StoreError};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

/// Who is told of instances.
const KEEPER: &str = "Consul";
/// Longest answer, in bytes.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// How long an answer may take that nobody waits for.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a name of a service may take.
const MAX_NAME_BYTES: usize = 256;
const TOKEN: &str = "x-consul-token";
const INDEX: &str = "x-consul-index";
const FILTERED: &str = "x-consul-results-filtered-by-acls";

/// Consul's catalog.
#[derive(Debug, Clone)]
pub struct ConsulRegistry {
    client: Client,
    address: Url,
}

/// Why there is no client of Consul. None shows the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConsulError {
    /// The operator's.
    #[error("the address of Consul is no http or https URL")]
    Address,
    /// The operator's.
    #[error("the token for Consul cannot stand in a header")]
    Token,
    /// The machine's: its trust store cannot be read, for example.
    #[error("cannot make an HTTP client for Consul")]
    Client,
}

impl ConsulRegistry {
    /// The catalog at an address such as `http://127.0.0.1:8500`, by an ACL token where it takes
    /// one. Nothing is asked yet.
    ///
    /// # Errors
    /// When that cannot be an address, or a token.
    pub fn new(address: &str, token: Option<&str>) -> Result<Self, ConsulError> {
        let address = Url::parse(address).map_err(|_| ConsulError::Address)?;
        if !matches!(address.scheme(), "http" | "https") || !address.has_host() {
            return Err(ConsulError::Address);
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token).map_err(|_| ConsulError::Token)?;
            value.set_sensitive(true);
            headers.insert(TOKEN, value);
        }
        // No proxy sees the token, and no redirect takes it elsewhere.
        let builder = Client::builder().default_headers(headers);
        let builder = builder.no_proxy().redirect(Policy::none());
        let client = builder.build().map_err(|_| ConsulError::Client)?;
        Ok(Self { client, address })
    }

    fn url(&self, path: &[&str]) -> Result<Url, StoreError> {
        let mut url = self.address.clone();
        url.set_query(None);
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(path);
            }
            Err(()) => return Err(unexpected("address")),
        }
        Ok(url)
    }

    async fn ask(&self, url: Url, patience: Duration) -> Result<Response, StoreError> {
        let answer = self.client.get(url).timeout(patience).send().await.map_err(away)?;
        match answer.status() {
            StatusCode::OK if is_filtered(answer.headers()) => {
                Err(StoreError::Unavailable("the token may not read all of it".to_owned()))
            }
            StatusCode::OK => Ok(answer),
            other => Err(StoreError::Unavailable(format!("status {}", other.as_u16()))),
        }
    }

    async fn listing(
        &self,
        service: &str,
        waits: Option<(u64, Duration)>,
        now: UnixMillis,
    ) -> Result<Listing, StoreError> {
        if service.is_empty() || service.len() > MAX_NAME_BYTES {
            return Err(unexpected("name of a service"));
        }
        let mut url = self.url(&["v1", "health", "service", service])?;
        let mut patience = PATIENCE;
        if let Some((index, wait)) = waits {
            // Consul adds up to a sixteenth of it, so that not all come back as one.
            patience = patience.saturating_add(wait).saturating_add(wait / 16);
            url.query_pairs_mut()
                .append_pair("index", &index.to_string())
                .append_pair("wait", &format!("{}ms", wait.as_millis()));
        }
        let answer = self.ask(url, patience).await?;
        let number = index(answer.headers()).ok_or_else(|| unexpected(INDEX))?;
        let body = body(answer).await?;
        let (entries, left_out) =
            answer::listed(service, &body).ok_or_else(|| unexpected("list of instances"))?;
        Ok(Listing { version: Version { epoch: 0, number }, at: now, entries, left_out })
    }

    async fn names(&self) -> Result<Vec<String>, StoreError> {
        let answer = self.ask(self.url(&["v1", "catalog", "services"])?, PATIENCE).await?;
        let body = body(answer).await?;
        answer::services(&body).ok_or_else(|| unexpected("list of services"))
    }
}

impl Registry for ConsulRegistry {
    fn keeper(&self) -> Option<&'static str> {
        Some(KEEPER)
    }

    fn register<'a>(
        &'a self,
        _: &'a Instance,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        refused()
    }

    fn heartbeat<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        refused()
    }

    fn deregister<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        refused()
    }

    fn list<'a>(
        &'a self,
        service: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        Box::pin(async move { Ok(self.listing(service, None, now).await?) })
    }

    fn watch<'a>(
        &'a self,
        service: &'a str,
        seen: Option<Version>,
        wait: Duration,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        let waits = seen.map(|seen| (seen.number, wait));
        Box::pin(async move { Ok(self.listing(service, waits, now).await?) })
    }

    fn services(&self, _: UnixMillis) -> BoxFuture<'_, Result<Vec<String>, RegistryError>> {
        Box::pin(async move { Ok(self.names().await?) })
    }

    fn claim<'a>(
        &'a self,
        _: &'a str,
        _: Checker,
        _: u64,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        refused()
    }

    fn report<'a>(
        &'a self,
        _: Report<'a>,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        refused()
    }
}

fn refused<T: Send + 'static>() -> BoxFuture<'static, Result<T, RegistryError>> {
    Box::pin(async { Err(RegistryError::ReadOnly(KEEPER)) })
}

/// Which state an answer is of. None is never 0: asked with that, Consul would not wait.
fn index(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(INDEX)?.to_str().ok()?;
    text.parse().ok().map(|index: u64| index.max(1))
}

fn is_filtered(headers: &HeaderMap) -> bool {
    headers.get(FILTERED).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// The answer, up to its bound.
async fn body(mut answer: Response) -> Result<Vec<u8>, StoreError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(away)? {
        if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
            return Err(unexpected("length"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// No text names the address.
fn away(error: reqwest::Error) -> StoreError {
    let why = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "it did not answer in time",
        (_, true) => "nothing can be reached there",
        _ => "the answer broke off",
    };
    drop(error);
    StoreError::Unavailable(why.to_owned())
}

fn unexpected(what: &str) -> StoreError {
    StoreError::Corrupt(format!("Consul's {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(address: &str) -> Result<ConsulRegistry, ConsulError> {
        ConsulRegistry::new(address, Some("hush"))
    }

    #[test]
    fn an_address_is_that_of_an_http_server() {
        for good in ["http://127.0.0.1:8500", "https://consul.example.test/"] {
            assert!(registry(good).is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:8500", "unix:///consul.sock", "http://"] {
            assert_eq!(registry(bad).err(), Some(ConsulError::Address), "{bad}");
        }
        let token = ConsulRegistry::new("http://127.0.0.1:8500", Some("a\nb"));
        assert_eq!(token.err(), Some(ConsulError::Token));
    }

    #[test]
    fn names_are_quoted_and_nothing_shows_the_token() {
        let url = |address: &str, name: &str| {
            let url = registry(address).unwrap().url(&["v1", "health", "service", name]).unwrap();
            url.to_string()
        };
        let here = "http://127.0.0.1:8500/v1/health/service";
        assert_eq!(url("http://127.0.0.1:8500", "shop"), format!("{here}/shop"));
        assert_eq!(url("http://127.0.0.1:8500/?a=b", "a/b?c"), format!("{here}/a%2Fb%3Fc"));
        assert_eq!(
            url("https://a.test/consul/", "shop"),
            "https://a.test/consul/v1/health/service/shop"
        );
        let shown = format!("{:?}", registry("http://127.0.0.1:8500").unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn an_index_is_a_number_above_zero() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(INDEX, HeaderValue::from_str(text).unwrap());
            index(&headers)
        };
        assert_eq!((of("7"), of("0"), of("-1"), of("")), (Some(7), Some(1), None, None));
        assert_eq!(index(&HeaderMap::new()), None);
        let mut headers = HeaderMap::new();
        assert!(!is_filtered(&headers));
        headers.insert(FILTERED, HeaderValue::from_static("true"));
        assert!(is_filtered(&headers));
    }
}

//! One GET with one header more: what an access token opens, and lists that have to be asked for
//! in a certain way. For addresses that an operator has named, or that somebody has whom an
//! operator has named.

use std::time::Duration;

use anyhow::{Context as _, Result};
use postern_identity::ports::{OutboundError, OutboundWith};
use postern_oauth::Secret;
use postern_store::BoxFuture;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};

use super::jwks::address::is_loopback;

/// How long one answer may take, from the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const MAX_ANSWER_BYTES: usize = 262_144;
/// Who asks; some services answer nobody who does not say.
const AGENT: &str = "postern";

/// Asks so. Follows no redirect: the header would go along.
#[derive(Clone)]
pub struct HttpWithHeader {
    anywhere: Client,
    /// Without proxies: what is on this machine is asked here.
    here: Client,
}

impl HttpWithHeader {
    /// Makes the clients.
    ///
    /// # Errors
    /// When the system's trust store cannot be read.
    pub fn new() -> Result<Self> {
        Ok(Self {
            anywhere: client(Client::builder())?,
            here: client(Client::builder().no_proxy())?,
        })
    }

    async fn ask(
        &self,
        url: &str,
        name: &'static str,
        value: &Secret,
    ) -> Result<Vec<u8>, OutboundError> {
        let refused = |why: &str| OutboundError::Unreachable(why.to_owned());
        let url = Url::parse(url).map_err(|_| refused("it is no URL"))?;
        let is_here = is_loopback(&url);
        if !matches!((url.scheme(), is_here), ("https", _) | ("http", true)) {
            return Err(refused("it is neither https nor on this machine"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("it holds a name or password"));
        }
        let value = HeaderValue::try_from(value.expose());
        let mut value = value.map_err(|_| refused("what it is asked with is no header"))?;
        value.set_sensitive(true);
        let client = if is_here { &self.here } else { &self.anywhere };
        let sent = client.get(url).header(ACCEPT, "*/*").header(name, value).send().await;
        let answer = sent.map_err(away)?;
        match answer.status() {
            StatusCode::OK => body(answer).await,
            other => Err(OutboundError::Refused(other.as_u16())),
        }
    }
}

impl OutboundWith for HttpWithHeader {
    fn get_with<'a>(
        &'a self,
        url: &'a str,
        name: &'static str,
        value: &'a Secret,
    ) -> BoxFuture<'a, Result<Vec<u8>, OutboundError>> {
        Box::pin(self.ask(url, name, value))
    }
}

fn client(builder: ClientBuilder) -> Result<Client> {
    let builder = builder.timeout(TIMEOUT).redirect(Policy::none()).user_agent(AGENT);
    builder.build().context("cannot make an HTTP client")
}

/// The answer, up to its bound.
async fn body(mut answer: Response) -> Result<Vec<u8>, OutboundError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(away)? {
        if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
            return Err(OutboundError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An address may hold a secret, and digits of a password's hash do: no text names one.
fn away(error: reqwest::Error) -> OutboundError {
    let error = error.without_url();
    let why = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "it did not answer in time",
        (_, true) => "nothing can be reached there",
        _ => "the answer broke off",
    };
    tracing::debug!(%error, why, "another server was asked in vain");
    OutboundError::Unreachable(why.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::response::Redirect;
    use axum::routing::get;

    use super::*;

    async fn others() -> String {
        let router = Router::new()
            .route(
                "/shown",
                get(|headers: HeaderMap| async move {
                    let shown = headers.get("authorization").map(|value| value.to_str().unwrap());
                    shown.unwrap_or("nothing").to_owned()
                }),
            )
            .route("/large", get(|| async { "x".repeat(MAX_ANSWER_BYTES + 1) }))
            .route("/moved", get(|| async { Redirect::temporary("/shown") }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn the_header_goes_where_it_is_sent_and_no_further() {
        let base = others().await;
        let http = HttpWithHeader::new().unwrap();
        let token = Secret::new("Bearer t".to_owned());
        let ask = async |url: String| http.get_with(&url, "authorization", &token).await;
        assert_eq!(ask(format!("{base}/shown")).await.unwrap(), b"Bearer t");
        assert_eq!(ask(format!("{base}/moved")).await, Err(OutboundError::Refused(307)));
        assert_eq!(ask(format!("{base}/large")).await, Err(OutboundError::TooLarge));
        assert_eq!(ask(format!("{base}/none")).await, Err(OutboundError::Refused(404)));
        for url in ["http://op.test/me", "ftp://127.0.0.1/", "https://u@op.test/", "op.test", ""] {
            let refused = ask(url.to_owned()).await;
            assert!(matches!(refused, Err(OutboundError::Unreachable(_))), "{url}");
        }
        let url = format!("{base}/shown");
        let broken = Secret::new("a\r\nb: c".to_owned());
        let refused = http.get_with(&url, "authorization", &broken).await;
        assert!(matches!(refused, Err(OutboundError::Unreachable(_))));
    }
}

//! One GET, bounded in every way.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::{Client, ClientBuilder, Error, Url};

use super::address::is_loopback;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Fetches small things. Follows no redirect: whoever could answer with one could send the
/// server anywhere.
#[derive(Clone)]
pub struct Http {
    anywhere: Client,
    /// Without the proxies that the environment may name: what is on this machine is asked here,
    /// in clear text as it may be, and not through whoever would see it on the way.
    here: Client,
}

impl Http {
    /// Makes the client.
    ///
    /// # Errors
    /// When the system's trust store cannot be read.
    pub fn new() -> Result<Self> {
        Self::of(Client::builder)
    }

    fn of(builder: impl Fn() -> ClientBuilder) -> Result<Self> {
        let client = |builder: ClientBuilder| {
            let builder = builder.timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
            builder.build().context("cannot make an HTTP client")
        };
        Ok(Self { anywhere: client(builder())?, here: client(builder().no_proxy())? })
    }

    /// The body of an answer with a good status, up to `most` bytes.
    ///
    /// # Errors
    /// When there is none, in time and within bounds. No text names the address, which may hold
    /// a secret.
    pub async fn get(&self, url: &str, most: usize) -> Result<Vec<u8>> {
        let url = Url::parse(url).context("it is no URL")?;
        let client = if is_loopback(&url) { &self.here } else { &self.anywhere };
        let answer = client.get(url).send().await.map_err(Error::without_url);
        let mut response = answer.context("no answer")?;
        if !response.status().is_success() {
            bail!("status {}", response.status().as_u16());
        }
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(Error::without_url);
            let Some(chunk) = chunk.context("the answer broke off")? else { break };
            if body.len().saturating_add(chunk.len()) > most {
                bail!("longer than {most} bytes");
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use reqwest::Proxy;

    use super::*;

    /// The address of something that answers so, whatever it is asked.
    async fn answering(text: &'static str) -> String {
        let router = Router::new().fallback(move || async move { text });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn no_proxy_comes_between_the_server_and_its_own_machine() {
        let (proxy, here) = (answering("proxy").await, answering("here").await);
        let http =
            Http::of(|| Client::builder().proxy(Proxy::all(proxy.as_str()).unwrap())).unwrap();
        let by_name = here.replace("127.0.0.1", "localhost");
        for (url, expected) in [
            (format!("{here}/j"), "here"),
            (format!("{by_name}/j"), "here"),
            ("http://i.test/j".to_owned(), "proxy"),
        ] {
            let body = http.get(&url, 100).await.unwrap();
            assert_eq!(String::from_utf8(body).unwrap(), expected, "{url}");
        }
    }
}

//! One GET, bounded in every way.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::{Client, Error};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Fetches small things. Follows no redirect: whoever could answer with one could send the
/// server anywhere.
#[derive(Clone)]
pub struct Http(Client);

impl Http {
    /// Makes the client.
    ///
    /// # Errors
    /// When the system's trust store cannot be read.
    pub fn new() -> Result<Self> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self(client))
    }

    /// The body of an answer with a good status, up to `most` bytes.
    ///
    /// # Errors
    /// When there is none, in time and within bounds. No text names the address, which may hold
    /// a secret.
    pub async fn get(&self, url: &str, most: usize) -> Result<Vec<u8>> {
        let answer = self.0.get(url).send().await.map_err(Error::without_url);
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

//! HTTP to one address, under a name of our choice, in plain text or over TLS.

use std::net::SocketAddr;
use std::time::Duration;

use postern_e2e::client::Answer;
use postern_e2e::wait;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Method, RequestBuilder};

use crate::certificates::Pair;

/// The longest that a call may take.
const LONGEST: Duration = Duration::from_secs(40);
/// The longest until a part that is up gives the answer that a test waits for.
const SETTLE: Duration = Duration::from_secs(20);

/// Speaks HTTP to one address. Every call has a connection of its own.
#[derive(Debug, Clone)]
pub struct Caller {
    client: Client,
    base: String,
}

impl Caller {
    /// In plain text.
    #[must_use]
    pub fn plain(host: &str, address: SocketAddr) -> Self {
        Self::new("http", host, address, builder())
    }

    /// Over TLS, to a server whose certificate is of this authority and for this host.
    ///
    /// # Panics
    /// When that is no certificate.
    #[must_use]
    pub fn over_tls(host: &str, address: SocketAddr, root: &str) -> Self {
        let root = Certificate::from_pem(root.as_bytes()).expect("an authority's certificate");
        Self::new("https", host, address, builder().tls_certs_only([root]))
    }

    /// Over mutual TLS as a workload would, whoever the server is: its certificate names no host.
    ///
    /// # Panics
    /// When that is no certificate.
    #[must_use]
    pub fn as_workload(host: &str, address: SocketAddr, own: &Pair) -> Self {
        let pem = format!("{}{}", own.key, own.certificate);
        let identity = Identity::from_pem(pem.as_bytes()).expect("a certificate and its key");
        let builder = builder().identity(identity).tls_danger_accept_invalid_certs(true);
        Self::new("https", host, address, builder)
    }

    /// Over TLS, whoever the server is: one that made its certificate itself a moment ago.
    #[must_use]
    pub fn unverified(host: &str, address: SocketAddr) -> Self {
        Self::new("https", host, address, builder().tls_danger_accept_invalid_certs(true))
    }

    fn new(scheme: &str, host: &str, address: SocketAddr, builder: ClientBuilder) -> Self {
        let client = builder.resolve(host, address).build().expect("an HTTP client");
        Self { client, base: format!("{scheme}://{host}:{}", address.port()) }
    }

    /// `GET`
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// `POST`
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        // No authority of this machine counts, and no proxy that its environment names.
        .tls_certs_only([])
        .no_proxy()
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LONGEST)
}

/// Sends a call.
///
/// # Panics
/// When no whole answer comes.
pub async fn send(request: RequestBuilder) -> Answer {
    try_send(request).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Sends a call until its answer has this status: what a part needs a moment for.
///
/// # Panics
/// When it does not within some seconds.
pub async fn until_status(status: u16, make: impl Fn() -> RequestBuilder) -> Answer {
    wait::until(&format!("answer with {status}"), SETTLE, || {
        let request = make();
        async move {
            let answer = try_send(request).await?;
            if answer.status == status { Ok(answer) } else { Err(answer.to_string()) }
        }
    })
    .await
}

/// Sends a call.
///
/// # Errors
/// When no whole answer comes.
pub async fn try_send(request: RequestBuilder) -> Result<Answer, String> {
    let told = |error: reqwest::Error| format!("{error:?}");
    let response = Box::pin(request.send()).await.map_err(told)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.map_err(told)?;
    Ok(Answer { status, headers, body })
}

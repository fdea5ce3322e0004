//! HTTP to others, for the authorization server: keys of clients, and what outside providers say.
//!
//! Two kinds of addresses are asked. Those that an operator has named, in the document or for a
//! client, lead wherever that operator's network leads. Those that anybody could have written, by
//! registering a client, lead to the public network alone: whoever could choose what this server
//! asks would else ask what only this server can reach. So names are resolved here, and what a
//! name has led to is what is looked at, at the moment at which it is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use postern_identity::ports::{FormAnswer, Outbound, OutboundError};
use postern_store::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};

use super::jwks::address::{is_internal, is_internal_address, is_loopback};

/// How long one answer may take, from the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const MAX_ANSWER_BYTES: usize = 262_144;

/// Asks others. Follows no redirect: what a URL was checked for holds for no other one.
#[derive(Clone)]
pub struct HttpOutbound {
    anywhere: Client,
    /// Without proxies: what is on this machine is asked here.
    here: Client,
    reach: Reach,
}

/// Which addresses are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// All of them.
    All,
    /// Public ones; this machine, too, where the issuer itself is there and nobody else is.
    Public { and_here: bool },
}

impl HttpOutbound {
    /// For addresses that operators have named. `https`, and `http` on this machine.
    ///
    /// # Errors
    /// When the system's trust store cannot be read.
    pub fn for_operators() -> Result<Self> {
        Ok(Self {
            anywhere: client(Client::builder())?,
            here: client(Client::builder().no_proxy())?,
            reach: Reach::All,
        })
    }

    /// For addresses that anybody may have written. A proxy of the environment would resolve
    /// names by itself, behind our back, so there is none.
    ///
    /// # Errors
    /// When the system's trust store cannot be read.
    pub fn for_anybody(issuer: &str) -> Result<Self> {
        let is_here = |url: Url| url.scheme() == "http" && is_loopback(&url);
        Ok(Self {
            anywhere: client(Client::builder().no_proxy().dns_resolver(PublicOnly))?,
            here: client(Client::builder().no_proxy())?,
            reach: Reach::Public { and_here: Url::parse(issuer).is_ok_and(is_here) },
        })
    }

    /// Who asks this URL; nobody where it may not be asked.
    fn client_for(&self, url: &str) -> Result<(&Client, Url), OutboundError> {
        let refused = |why: &str| Err(OutboundError::Unreachable(why.to_owned()));
        let Ok(url) = Url::parse(url) else { return refused("it is no URL") };
        let is_here = is_loopback(&url);
        if !matches!((url.scheme(), is_here), ("https", _) | ("http", true)) {
            return refused("it is neither https nor on this machine");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("it holds a name or password");
        }
        let may = match self.reach {
            Reach::All => true,
            Reach::Public { and_here } => (is_here && and_here) || is_public_host(&url),
        };
        if !may {
            return refused("its address is not public");
        }
        Ok((if is_here { &self.here } else { &self.anywhere }, url))
    }
}

impl Outbound for HttpOutbound {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, OutboundError>> {
        Box::pin(async move {
            let (client, url) = self.client_for(url)?;
            let sent = client.get(url).header(ACCEPT, "application/json").send().await;
            let answer = sent.map_err(away)?;
            match answer.status() {
                StatusCode::OK => body(answer).await,
                other => Err(OutboundError::Refused(other.as_u16())),
            }
        })
    }

    fn post_form<'a>(
        &'a self,
        url: &'a str,
        basic: Option<(&'a str, &'a str)>,
        form: String,
    ) -> BoxFuture<'a, Result<FormAnswer, OutboundError>> {
        Box::pin(async move {
            let (client, url) = self.client_for(url)?;
            let mut request = client.post(url).header(ACCEPT, "application/json");
            if let Some((name, password)) = basic {
                request = request.basic_auth(name, Some(password));
            }
            let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            let answer = request.body(form).send().await.map_err(away)?;
            let status = answer.status();
            if status.is_success() || status.is_client_error() {
                Ok(FormAnswer { status: status.as_u16(), body: body(answer).await? })
            } else {
                Err(OutboundError::Refused(status.as_u16()))
            }
        })
    }
}

fn client(builder: ClientBuilder) -> Result<Client> {
    let builder = builder.timeout(TIMEOUT).redirect(Policy::none());
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

/// An address may hold a secret, so no text names one.
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

/// Resolves names as the system does, and passes on what is public alone.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(public_addresses(name))
    }
}

async fn public_addresses(
    name: Name,
) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync + 'static>> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
    if public.is_empty() {
        return Err("none of its addresses is public".into());
    }
    Ok(Box::new(public.into_iter()))
}

/// Whether a URL's host may lead to something public: a name is resolved later on.
fn is_public_host(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    !is_internal(url) && !host.parse().is_ok_and(|address: IpAddr| !is_public(address))
}

/// Whether an address means the same to everybody: neither one of an own network, nor one for
/// many, for tests or for later, nor one that wraps another.
fn is_public(address: IpAddr) -> bool {
    let is_special = match address {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => is_special_v6(address),
    };
    !is_special && !is_internal_address(address)
}

/// RFC 6890: for many, for protocols, for tests, for later.
const fn is_special_v4(address: Ipv4Addr) -> bool {
    address.is_multicast()
        || matches!(address.octets(), [192, 0, 0, _] | [198, 18 | 19, _, _] | [240..=255, ..])
}

/// All but global unicast (RFC 4291 §2.4), and what stands for an IPv4 address: Teredo, 6to4. What
/// NAT64's well-known prefix stands for is looked at as such.
const fn is_special_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0, ..] | [0x2002, ..] => true,
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => false,
        [first, ..] => first & 0xe000 != 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::response::Redirect;
    use axum::routing::{get, post};
    use tonic::transport::server::TcpIncoming;
    use tonic::transport::{Identity, Server, ServerTlsConfig};

    use super::*;

    /// A certificate of an authority that no machine knows, and its key.
    const CA: &str = include_str!("../../../tests/fixtures/tls/ca.pem");
    const CERTIFICATE: &str = include_str!("../../../tests/fixtures/tls/server.pem");
    const KEY: &str = include_str!("../../../tests/fixtures/tls/server-key.pem");

    /// The address of something that answers a bit of everything.
    async fn others() -> String {
        let router = Router::new()
            .route("/small", get(|| async { "{}" }))
            .route("/most", get(|| async { "x".repeat(MAX_ANSWER_BYTES) }))
            .route("/large", get(|| async { "x".repeat(MAX_ANSWER_BYTES + 1) }))
            .route("/moved", get(|| async { Redirect::temporary("/small") }))
            .route(
                "/form",
                post(|headers: HeaderMap, body: String| async move {
                    let who = headers.get("authorization").map(|value| value.to_str().unwrap());
                    (axum::http::StatusCode::BAD_REQUEST, format!("{} {body}", who.unwrap_or("")))
                }),
            )
            .route("/broken", post(|| async { axum::http::StatusCode::BAD_GATEWAY }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn answers_have_a_bound_and_redirects_are_none() {
        let base = others().await;
        let outbound = HttpOutbound::for_operators().unwrap();
        let get = async |path: &str| outbound.get(&format!("{base}{path}")).await;
        assert_eq!(get("/small").await.unwrap(), b"{}");
        assert_eq!(get("/most").await.unwrap().len(), MAX_ANSWER_BYTES);
        assert_eq!(get("/large").await, Err(OutboundError::TooLarge));
        assert_eq!(get("/moved").await, Err(OutboundError::Refused(307)));
        assert_eq!(get("/nothing").await, Err(OutboundError::Refused(404)));
    }

    #[tokio::test]
    async fn a_form_that_is_refused_is_answered_too() {
        let base = others().await;
        let outbound = HttpOutbound::for_operators().unwrap();
        let url = format!("{base}/form");
        let answer = outbound.post_form(&url, Some(("a", "b")), "c=d".to_owned()).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (400, &b"Basic YTpi c=d"[..]));
        let refused = outbound.post_form(&format!("{base}/broken"), None, String::new()).await;
        assert_eq!(refused, Err(OutboundError::Refused(502)));
    }

    #[tokio::test]
    async fn nothing_goes_in_clear_text_beyond_this_machine() {
        let outbound = HttpOutbound::for_operators().unwrap();
        for url in [
            "http://keys.test/j",
            "http://10.0.0.1/j",
            "ftp://127.0.0.1/j",
            "file:///etc/passwd",
            "https://user@keys.test/j",
            "keys.test",
            "",
        ] {
            let refused = outbound.get(url).await;
            assert!(matches!(refused, Err(OutboundError::Unreachable(_))), "{url}");
        }
        assert!(outbound.client_for("https://10.0.0.1/j").is_ok(), "an operator has said so");
    }

    #[tokio::test]
    async fn who_has_a_certificate_of_an_unknown_authority_is_nobody() {
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(CERTIFICATE, KEY));
        let (_reporter, health) = tonic_health::server::health_reporter();
        let serving = Server::builder().tls_config(tls).unwrap().add_service(health);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/j", listener.local_addr().unwrap());
        tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));

        let ca = reqwest::Certificate::from_pem(CA.as_bytes()).unwrap();
        let trusting = client(Client::builder().no_proxy().tls_certs_only([ca])).unwrap();
        let answered = trusting.get(&url).send().await;
        assert!(answered.is_ok(), "whoever knows the authority is answered: {answered:?}");
        let refused = HttpOutbound::for_operators().unwrap().get(&url).await;
        assert!(matches!(refused, Err(OutboundError::Unreachable(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn what_anybody_may_have_written_leads_into_nobodys_network() {
        let base = others().await;
        let outbound = HttpOutbound::for_anybody("https://gate.example").unwrap();
        for url in [
            base.as_str(),
            "https://127.0.0.1/j",
            "https://10.0.0.1/j",
            "https://0x7f.1/j",
            "https://169.254.169.254/latest",
            "https://[::1]/j",
            "https://[::ffff:10.0.0.1]/j",
            "https://[fe80::1]/j",
            "https://[2002:a00:1::]/j",
            "https://224.0.0.1/j",
            "https://255.255.255.255/j",
            "https://localhost/j",
            "https://a.localhost/j",
        ] {
            let is_refused = outbound.client_for(url).is_err();
            assert!(is_refused, "{url}");
        }
        assert!(outbound.client_for("https://keys.example/j").is_ok());
        // A name leads somewhere at the moment at which it is asked, and that is looked at then.
        let refused = public_addresses("localhost".parse().unwrap()).await;
        assert!(refused.is_err());

        let on_this_machine = HttpOutbound::for_anybody("http://127.0.0.1:8080").unwrap();
        assert_eq!(on_this_machine.get(&format!("{base}/small")).await.unwrap(), b"{}");
        assert!(on_this_machine.client_for("https://10.0.0.1/j").is_err());
    }

    #[test]
    fn a_public_address_means_the_same_to_everybody() {
        for (address, expected) in [
            ("8.8.8.8", true),
            ("192.0.0.8", false),
            ("192.0.1.1", true),
            ("198.19.255.255", false),
            ("198.20.0.1", true),
            ("224.0.0.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("100.64.0.1", false),
            ("2606:4700::1111", true),
            ("2001:0:1::1", false),
            ("2002:808:808::1", false),
            ("64:ff9b::808:808", true),
            ("64:ff9b::a00:1", false),
            ("64:ff9b:1::808:808", false),
            ("ff02::1", false),
            ("fec0::1", false),
            ("fd00::1", false),
            ("::ffff:8.8.8.8", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }
}

//! What policies are asked about.

use std::net::IpAddr;

use postern_request::json::Value;

/// A request over HTTP, or a connection.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// Who calls.
    pub peer: Peer,
    /// The workload's address that was called; none is not known, which is not "no address": what
    /// depends on it is [`crate::Decision::Unknown`].
    pub destination_ip: Option<IpAddr>,
    /// The workload's port that was called.
    pub port: u16,
    /// The name that the caller asked for in its TLS handshake.
    pub sni: Option<String>,
    /// What is asked for; none where the port speaks something else than HTTP.
    pub http: Option<Http>,
    /// What Envoy filters know of it, for `experimental.envoy.filters…`.
    pub metadata: Vec<Metadata>,
}

/// A request, or connection, whose parts belong to somebody else: for who asks about many that
/// have them in common. Each part is as in [`Request`].
#[derive(Debug, Clone, Copy)]
pub struct Parts<'q> {
    /// Who calls.
    pub peer: &'q Peer,
    /// The workload's address that was called.
    pub destination_ip: Option<IpAddr>,
    /// The workload's port that was called.
    pub port: u16,
    /// The name that the caller asked for in its TLS handshake.
    pub sni: Option<&'q str>,
    /// What is asked for.
    pub http: Option<&'q Http>,
    /// What Envoy filters know of it.
    pub metadata: &'q [Metadata],
}

impl<'q> From<&'q Request> for Parts<'q> {
    fn from(request: &'q Request) -> Self {
        Self {
            peer: &request.peer,
            destination_ip: request.destination_ip,
            port: request.port,
            sni: request.sni.as_deref(),
            http: request.http.as_ref(),
            metadata: &request.metadata,
        }
    }
}

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peer {
    /// Its name by the certificate that it showed, without `spiffe://`; none is plain text, or
    /// TLS without a certificate.
    pub principal: Option<String>,
    /// The address that the connection comes from; none is not known, as with `destination_ip`.
    pub ip: Option<IpAddr>,
    /// The client's address as trusted proxies tell of it; none is the same as `ip`.
    pub remote_ip: Option<IpAddr>,
}

impl Peer {
    /// A workload of the mesh.
    #[must_use]
    pub fn workload(trust_domain: &str, namespace: &str, service_account: &str) -> Self {
        let principal = format!("{trust_domain}/ns/{namespace}/sa/{service_account}");
        Self { principal: Some(principal), ip: None, remote_ip: None }
    }
}

/// A request as it arrives at the workload's proxy, its path normalised.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Http {
    /// The method.
    pub method: String,
    /// The path, with or without query.
    pub path: String,
    /// The authority, with the port if the client sends one.
    pub host: String,
    /// Headers, without pseudo headers and `host`.
    pub headers: Vec<(String, String)>,
    /// The headers as they are after CUSTOM's provider and after WASM filters of phase AUTHN, which
    /// come before RequestAuthentication; none where nothing of that changes any.
    pub rewritten: Option<Vec<(String, String)>>,
    /// Tokens in it, wherever they stand.
    pub tokens: Vec<Token>,
}

/// A token, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Where it stands.
    pub place: TokenPlace,
    /// What it says; none where it is no JWT.
    pub claims: Option<Value>,
    /// Whether it holds.
    pub proof: Proof,
}

/// Whether a token holds, if it is asked by a rule of its issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// One of the issuer's keys has signed it, and its time is now.
    Holds,
    /// It is too old, or not old enough.
    OutOfTime,
    /// None of the issuer's keys has signed it.
    NotSigned,
}

/// Where a token stands in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// In a header, behind a prefix that may be empty.
    Header {
        /// The header's name.
        name: String,
        /// What stands in front of the token.
        prefix: String,
    },
    /// In a query parameter.
    Param(String),
    /// In a cookie.
    Cookie(String),
}

impl Token {
    /// A token in `Authorization: Bearer`.
    #[must_use]
    pub fn bearer(claims: Value, proof: Proof) -> Self {
        let place =
            TokenPlace::Header { name: "authorization".to_owned(), prefix: "Bearer ".to_owned() };
        Self { place, claims: Some(claims), proof }
    }
}

/// Dynamic metadata of one Envoy filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// The filter, such as `envoy.filters.network.mysql_proxy`.
    pub filter: String,
    /// Its members, an object.
    pub members: Value,
}

//! The request that is explained.

use std::net::IpAddr;

use postern_jose::base64url;
use postern_request::Principal;

/// A request as a client sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// `http` or `https`: that of the connection.
    pub scheme: String,
    /// Host, with the port where there is one.
    pub authority: String,
    /// Path and query, before anybody has normalised them.
    pub target: String,
    /// Names in lower case, repeated ones apart, without pseudo-headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The address at the other end of the connection; none for a Unix socket.
    pub address: Option<IpAddr>,
    /// SHA-256 of the certificate that was shown on the connection.
    pub certificate: Option<[u8; 32]>,
    /// The SPIFFE id of the workload at the other end, in a mesh.
    pub peer: Option<String>,
    /// What is shown beside the headers.
    pub shown: Shown,
}

/// What a request shows of its caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Shown {
    /// Whatever the headers hold, judged in full.
    #[default]
    Headers,
    /// A token that holds these claims; its signature counts as one that holds.
    Claims(Box<GivenClaims>),
    /// An API key that stands for this caller; it counts as one that is known.
    Key(Box<Principal>),
    /// The cookie of a session; it counts as one that is known.
    Session(Box<GivenSession>),
}

/// A session that counts as known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenSession {
    /// Whose it is; its issuer is the document's.
    pub principal: Principal,
    /// How long ago its holder has authenticated by several factors, in seconds; none where that
    /// has never been.
    pub mfa_age_secs: Option<u64>,
}

/// Claims that count as signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenClaims {
    /// The token's payload: a JSON object with `iss`, `sub`, `exp` and whatever else.
    pub claims: String,
    /// Whether the token comes with a DPoP proof that holds, by the key that it is bound to.
    pub with_proof: bool,
}

impl GivenClaims {
    /// A token that holds the claims. Nobody has signed it: its signature is 64 zeros, and whoever
    /// judges it has to know that it counts as good.
    pub(crate) fn to_token(&self) -> String {
        let header = base64url::encode(br#"{"alg":"EdDSA","typ":"at+jwt"}"#);
        let payload = base64url::encode(self.claims.as_bytes());
        [&header, ".", &payload, ".", &base64url::encode(&[0; 64])].concat()
    }
}

impl Request {
    /// A `GET` by HTTPS, from an address of documentation (RFC 5737), with nothing else.
    #[must_use]
    pub fn get(authority: &str, target: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            scheme: "https".to_owned(),
            authority: authority.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            address: Some(IpAddr::from([203, 0, 113, 7])),
            certificate: None,
            peer: None,
            shown: Shown::Headers,
        }
    }

    /// The same with one more header; the name in lower case.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// The same with claims that count as signed.
    #[must_use]
    pub fn claiming(mut self, claims: &str) -> Self {
        let given = GivenClaims { claims: claims.to_owned(), with_proof: false };
        self.shown = Shown::Claims(Box::new(given));
        self
    }
}

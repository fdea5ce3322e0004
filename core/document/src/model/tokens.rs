//! Where tokens stand, what they may be bound to, and whose they are.

use postern_jose::{Issuer, KeySet};
pub use postern_request::TokenPlace;
use postern_request::headers;

pub use crate::raw::RawCertificateSource as CertificateSource;

/// Which tokens that are bound to something are taken; by default none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BoundTokens {
    /// Those bound to a certificate (RFC 8705), and where that is seen.
    pub certificate: Option<CertificateSource>,
    /// Those bound to a key (RFC 9449).
    pub dpop: Option<Dpop>,
}

impl BoundTokens {
    /// Whether any are taken.
    #[must_use]
    pub const fn are_taken(&self) -> bool {
        self.certificate.is_some() || self.dpop.is_some()
    }
}

/// How DPoP proofs are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dpop {
    /// How old a proof may be, in seconds.
    pub max_age_secs: u64,
}

/// Whether a caller's credentials stand in a header. `x-forwarded-client-cert` is not the caller's
/// own: in a mesh every request has it.
pub(crate) fn is_credential_header(name: &str, places: &[TokenPlace]) -> bool {
    const ALWAYS: [&str; 6] = [
        headers::AUTHORIZATION,
        headers::API_KEY,
        headers::COOKIE,
        headers::DPOP,
        headers::WEBSOCKET_PROTOCOL,
        "proxy-authorization",
    ];
    let holds_tokens =
        |place: &TokenPlace| matches!(place, TokenPlace::Header(header) if header == name);
    ALWAYS.contains(&name) || places.iter().any(holds_tokens)
}

/// The cookie of browsers' sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCookie {
    /// Its name.
    pub name: String,
}

/// An issuer and where its keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtIssuer {
    /// What its tokens must say.
    pub issuer: Issuer,
    /// Its keys.
    pub jwks: JwksSource,
    /// Who brings its keys to the filters.
    pub keys_by: KeysBy,
    /// Claims for the filter state: the name there, and the claim's place in `rules.kept`.
    pub claim_state: Vec<(String, usize)>,
}

impl AsRef<Issuer> for JwtIssuer {
    fn as_ref(&self) -> &Issuer {
        &self.issuer
    }
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// They stand in the document.
    Inline(KeySet),
    /// Fetched from an http or https URL.
    Uri {
        /// The URL.
        uri: String,
        /// `http` or `https`.
        tls: bool,
        /// HOST:PORT.
        authority: String,
        /// Path and query.
        path: String,
        /// How often.
        refresh_ms: u64,
    },
    /// Asked of a service of the document, or of the suite itself.
    Service {
        /// The service's name; [`OWN_SERVICE`](super::OWN_SERVICE) for the suite.
        service: String,
        /// The path at the service.
        path: String,
        /// How often.
        refresh_ms: u64,
    },
    /// Found from the issuer alone (RFC 8414, OpenID Connect Discovery), by the server.
    Discovery {
        /// How often.
        refresh_ms: u64,
    },
}

/// Who brings an issuer's keys to the filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysBy {
    /// Each Envoy has them from the document, or fetches them.
    Envoy,
    /// The server fetches them, and Envoys get them by the feed.
    Feed,
}

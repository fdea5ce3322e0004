//! How callers prove who they are, as it is written.

use crate::decode::{Duration, Entries, Text, choice, record};

record! {
    /// How callers prove who they are.
    pub struct RawCredentials {
        /// Signed tokens.
        jwt = "jwt": Option<RawJwt>,
        /// API keys.
        api_key = "api_key": Option<RawApiKeys>,
        /// Sessions of browsers, by a cookie.
        session = "session": Option<RawSession>,
    }

    /// Sessions of browsers.
    pub struct RawSession {
        /// The cookie's name; __Host-postern by default, __Secure-postern with a cookie_domain, postern where the issuer is http.
        cookie = "cookie": Option<Text>,
    }

    /// Signed tokens.
    pub struct RawJwt {
        /// Where a token may stand, in this order; the first place that holds one decides. Only the Authorization header by default.
        from = "from": Option<Vec<RawTokenPlace>>,
        /// Tokens that are bound to a key or certificate; without this they are refused.
        bound = "bound": Option<RawBound>,
        /// Whose tokens are accepted.
        issuers = "issuers": Vec<RawIssuer>,
        /// Name the authorization server in refusals (RFC 9728); false by default.
        advertise = "advertise": Option<bool>,
    }

    /// Where a token may stand: exactly one of these.
    pub struct RawTokenPlace {
        /// A header: authorization with the scheme Bearer or DPoP, any other with the token itself.
        header = "header": Option<Text>,
        /// The cookie of this name.
        cookie = "cookie": Option<Text>,
        /// The query parameter of this name. Addresses end up in the logs of others.
        query = "query": Option<Text>,
        /// Behind this marker in Sec-WebSocket-Protocol: `marker, TOKEN`.
        websocket_protocol = "websocket_protocol": Option<Text>,
    }

    /// Tokens that only count for who holds a key or certificate too.
    pub struct RawBound {
        /// Bound to the client's certificate (RFC 8705): where that is seen.
        certificate = "certificate": Option<RawCertificateSource>,
        /// Bound to a key, proven with each request (DPoP, RFC 9449).
        dpop = "dpop": Option<RawDpop>,
    }

    /// DPoP proofs.
    pub struct RawDpop {
        /// How old a proof may be: 5s to 10m, 60s by default.
        max_age = "max_age": Option<Duration>,
    }

    /// An issuer of tokens.
    pub struct RawIssuer {
        /// The `iss` of its tokens, compared as it is.
        issuer = "issuer": Text,
        /// A token must be for one of these (`aud`).
        audiences = "audiences": Vec<Text>,
        /// How far clocks may differ; 60s by default, at most 5m.
        leeway = "leeway": Option<Duration>,
        /// Claims that a token must have, whatever they say: names, or paths such as org.id.
        required_claims = "required_claims": Vec<Text>,
        /// Its public keys. Where this is left out, they are the suite's own for its own authorization server, and found from the issuer alone for others.
        jwks = "jwks": Option<RawJwks>,
        /// Claims that become headers for the upstream: header name to claim name.
        claim_headers = "claim_headers": Option<Entries<Text>>,
        /// Claims for access logs and policies: name in the filter state to claim name.
        claim_state = "claim_state": Option<Entries<Text>>,
    }

    /// Public keys: exactly one of the ways to get them.
    pub struct RawJwks {
        /// The JWK set itself, as JSON text.
        inline = "inline": Option<Text>,
        /// A file with the JWK set, read when the document is loaded.
        file = "file": Option<Text>,
        /// An http or https URL, fetched and refreshed.
        uri = "uri": Option<Text>,
        /// A service of this document, asked at `path`.
        service = "service": Option<Text>,
        /// The path at the service; /oauth2/jwks by default.
        path = "path": Option<Text>,
        /// How often it is fetched again; 5m by default.
        refresh = "refresh": Option<Duration>,
        /// Who fetches them: each Envoy (envoy, by default), or the server, from which Envoys get them by the feed.
        fetched_by = "fetched_by": Option<RawFetchedBy>,
    }

    /// API keys.
    pub struct RawApiKeys {
        /// Keys that the document itself names; others live in the durable store.
        keys = "keys": Vec<RawApiKey>,
    }

    /// An API key: `pk_<id>_<secret>`.
    pub struct RawApiKey {
        /// The id within the key.
        id = "id": Text,
        /// SHA-256 of the whole key, in hexadecimal.
        sha256 = "sha256": Text,
        /// Who it stands for.
        subject = "subject": Text,
        /// The OAuth client it belongs to.
        client_id = "client_id": Option<Text>,
        /// Granted scopes.
        scopes = "scopes": Vec<Text>,
        /// Tier.
        tier = "tier": Option<Text>,
    }
}

choice! {
    /// Where the client's certificate is seen.
    pub enum RawCertificateSource {
        /// On the connection to this Envoy.
        Connection = "connection",
        /// In x-forwarded-client-cert, written by a trusted proxy in front.
        Forwarded = "forwarded",
    }

    /// Who fetches keys.
    pub enum RawFetchedBy {
        /// Every Envoy for itself.
        Envoy = "envoy",
        /// The server for all.
        Server = "server",
    }
}

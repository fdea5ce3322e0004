//! The authorization server, as it is written. Filters read none of it.

use postern_limits::rate::parse_duration_ms;
use postern_request::json::Value;

use super::RawCertificateSource;
use crate::decode::{Decode, Duration, Entries, Text, choice, record};
use crate::node::Node;
use crate::problem::{Position, Problems};
use crate::schema;

record! {
    /// The authorization server; nothing of it is served without this.
    pub struct RawOAuth {
        /// What clients may ask for, and what people are told about it: text by the scope's name. openid, profile, email, offline_access, postern.admin and client.register are known.
        scopes = "scopes": Option<Entries<Text>>,
        /// Ways to get tokens; all but token_exchange by default.
        grants = "grants": Option<Vec<RawOAuthGrant>>,
        /// Access tokens.
        access_token = "access_token": Option<RawAccessToken>,
        /// Refresh tokens.
        refresh_token = "refresh_token": Option<RawRefreshToken>,
        /// Authorization codes.
        code = "code": Option<RawCode>,
        /// Take authorization requests only where they were pushed (RFC 9126); false by default.
        require_pushed_requests = "require_pushed_requests": Option<bool>,
        /// What tokens may be asked for besides the issuer itself (RFC 8707).
        resources = "resources": Vec<RawResource>,
        /// Clients that register themselves (RFC 7591).
        registration = "registration": Option<RawRegistration>,
        /// Signing keys.
        keys = "keys": Option<RawKeySchedule>,
        /// Log-in on another device (RFC 8628).
        device = "device": Option<RawDevice>,
        /// Clients may authenticate by their certificate (RFC 8705): where that is seen; nobody may by default.
        mutual_tls = "mutual_tls": Option<RawCertificateSource>,
        /// Origins whose scripts may read answers, for example https://app.example.test.
        cors_origins = "cors_origins": Vec<Text>,
    }

    /// Access tokens.
    pub struct RawAccessToken {
        /// How long one lives at most: 1m to 24h; 1h by default.
        lifetime = "lifetime": Option<Duration>,
        /// What they are signed with; RS256 by default.
        algorithm = "algorithm": Option<RawSigningAlgorithm>,
    }

    /// Refresh tokens.
    pub struct RawRefreshToken {
        /// How long one lives that is not used: 5m to 365d; 7d by default.
        lifetime = "lifetime": Option<Duration>,
        /// The same where the user asked to be remembered; 30d by default.
        remembered = "remembered": Option<Duration>,
        /// How long a spent one gets its answer again: 0s, for not at all, to 60s; 10s by default.
        grace = "grace": Option<Grace>,
    }

    /// Authorization codes.
    pub struct RawCode {
        /// How long one lives: 10s to 10m, which is the default.
        lifetime = "lifetime": Option<Duration>,
    }

    /// What tokens may be asked for.
    pub struct RawResource {
        /// Its URL, without fragment.
        resource = "resource": Text,
        /// The scopes that make sense there; all by default.
        scopes = "scopes": Option<Vec<Text>>,
    }

    /// Clients that register themselves.
    pub struct RawRegistration {
        /// Who may; off by default, for nobody.
        mode = "mode": Option<RawRegistrationMode>,
        /// What such a client may ask for at most.
        scopes = "scopes": Option<Vec<Text>>,
        /// After how long without use it is deleted: 1d to 365d; 90d by default.
        unused_for = "unused_for": Option<Duration>,
    }

    /// Signing keys.
    pub struct RawKeySchedule {
        /// How old one becomes before another is made: 1d to 365d; operators make them by default.
        rotate_every = "rotate_every": Option<Duration>,
    }

    /// Log-in on another device.
    pub struct RawDevice {
        /// How long its codes live: 1m to 30m; 15m by default.
        lifetime = "lifetime": Option<Duration>,
        /// How often a device may ask: every 5s to 60s; 5s by default.
        interval = "interval": Option<Duration>,
    }
}

choice! {
    /// A way to get tokens.
    pub enum RawOAuthGrant {
        /// A user agrees in a browser.
        AuthorizationCode = "authorization_code",
        /// Going on with what was granted before.
        RefreshToken = "refresh_token",
        /// A client speaks for itself.
        ClientCredentials = "client_credentials",
        /// A user agrees on another device.
        DeviceCode = "device_code",
        /// Another token for one that is there.
        TokenExchange = "token_exchange",
    }

    /// What tokens are signed with.
    pub enum RawSigningAlgorithm {
        /// RSA, which every client knows.
        Rs256 = "RS256",
        /// ECDSA on P-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
    }

    /// Who may register a client.
    pub enum RawRegistrationMode {
        /// Operators.
        Off = "off",
        /// Everybody.
        Open = "open",
        /// Those with a token that allows it.
        Token = "token",
    }
}

/// A duration that may be nothing: `0s` turns off what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grace {
    /// Milliseconds.
    pub millis: u64,
    /// Its place.
    pub at: Position,
}

impl Decode for Grace {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = Text::decode(node, problems)?;
        // What a duration refuses everywhere else.
        if parse_duration_ms(&text.value) == Some(0) {
            return Some(Self { millis: 0, at: node.at });
        }
        Duration::decode(node, problems).map(|Duration { millis, at }| Self { millis, at })
    }

    fn encode(&self) -> Option<Value> {
        Some(Value::String(format!("{}ms", self.millis)))
    }

    fn place(&self, _: &[&str]) -> Option<Position> {
        Some(self.at)
    }

    fn schema() -> Value {
        schema::text_like("^[0-9]+(ms|s|m|h|d)$")
    }
}

//! Saying no, in one form: the same status, headers and JSON whoever denies.

use std::borrow::Cow;

use crate::headers;
use crate::json;
use crate::time::UnixMillis;

mod code;

pub use code::ErrorCode;

/// The `WWW-Authenticate` challenge of RFC 6750 §3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// No credential was presented, so no error is named.
    Missing,
    /// `error="invalid_token"`; never which check failed.
    InvalidToken,
    /// `error="insufficient_scope"` with the scopes that the route asks for.
    InsufficientScope(Vec<String>),
    /// RFC 9449 §7.1: `error="invalid_dpop_proof"`, and what proofs may be signed with.
    InvalidProof,
    /// RFC 9470 §3: another authentication, by several factors.
    #[cfg(feature = "server")]
    StepUp {
        /// How long ago it may be, in seconds.
        max_age_secs: Option<u64>,
        /// For a token that was shown with the scheme `DPoP`.
        with_proof: bool,
    },
}

impl Challenge {
    /// The header's value.
    #[must_use]
    pub fn to_header(&self) -> String {
        match self {
            Self::Missing => "Bearer realm=\"postern\"".to_owned(),
            Self::InvalidToken => "Bearer realm=\"postern\", error=\"invalid_token\"".to_owned(),
            Self::InsufficientScope(scopes) => format!(
                "Bearer realm=\"postern\", error=\"insufficient_scope\", scope=\"{}\"",
                scopes.join(" ")
            ),
            Self::InvalidProof => {
                "DPoP realm=\"postern\", error=\"invalid_dpop_proof\", algs=\"ES256 ES384 ES512 \
                 EdDSA RS256 RS384 RS512 PS256 PS384 PS512\""
                    .to_owned()
            }
            #[cfg(feature = "server")]
            Self::StepUp { max_age_secs, with_proof } => {
                let scheme = if *with_proof { "DPoP" } else { "Bearer" };
                let mut header = format!(
                    "{scheme} realm=\"postern\", error=\"insufficient_user_authentication\", \
                     error_description=\"{}\", acr_values=\"{}\"",
                    ErrorCode::InsufficientUserAuthentication.description(),
                    crate::login::SEVERAL_FACTORS
                );
                if let Some(seconds) = max_age_secs {
                    header.push_str(&format!(", max_age=\"{seconds}\""));
                }
                header
            }
        }
    }
}

/// How the limit headers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum LimitHeaders {
    /// `ratelimit-limit`, `-remaining`, `-reset` and `-policy`, as whole numbers.
    #[default]
    Integers,
    /// `ratelimit` and `ratelimit-policy` as structured fields
    /// (draft-ietf-httpapi-ratelimit-headers), of a policy named "default".
    Structured,
}

/// Where a caller stands with a limit, for the limit headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// Requests a window.
    pub limit: u64,
    /// Requests that are left.
    pub remaining: u64,
    /// Seconds from now until there is room again (or the window is over).
    pub reset_secs: u64,
    /// The window, in seconds.
    pub window_secs: u64,
}

impl RateLimitStatus {
    /// The tighter of two: the one whose room is smaller comes first in the headers.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        if other.remaining < self.remaining { other } else { self }
    }

    /// The names of the limit headers, of whichever form.
    pub const HEADERS: [&'static str; 8] = [
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "ratelimit-policy",
        "ratelimit",
    ];

    /// Calls `write` with each limit header of the contract. `x-ratelimit-*` are the same in every
    /// form.
    pub fn for_each_header(&self, form: LimitHeaders, mut write: impl FnMut(&'static str, &str)) {
        let limit = self.limit.to_string();
        let remaining = self.remaining.to_string();
        let reset = self.reset_secs.to_string();
        write("x-ratelimit-limit", &limit);
        write("x-ratelimit-remaining", &remaining);
        write("x-ratelimit-reset", &reset);
        match form {
            LimitHeaders::Integers => {
                write("ratelimit-limit", &limit);
                write("ratelimit-remaining", &remaining);
                write("ratelimit-reset", &reset);
                write("ratelimit-policy", &[&limit, ";w=", &self.window_secs.to_string()].concat());
            }
            LimitHeaders::Structured => {
                let window = self.window_secs.to_string();
                let policy = ["\"default\";q=", &limit, ";w=", &window].concat();
                write("ratelimit-policy", &policy);
                write("ratelimit", &["\"default\";r=", &remaining, ";t=", &reset].concat());
            }
        }
    }
}

/// A request is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What the client is told.
    pub code: ErrorCode,
    /// A text for people, when the code's own does not do. Never holds request data.
    pub description: Option<Cow<'static, str>>,
    /// For 401 and 403.
    pub challenge: Option<Challenge>,
    /// For 429 and 503: seconds, at least 1 when written.
    pub retry_after_secs: Option<u64>,
    /// For 429.
    pub limit: Option<RateLimitStatus>,
    /// How that is written.
    pub limit_headers: LimitHeaders,
    /// For logs and metrics: the check that failed. A client never sees it.
    pub reason: &'static str,
}

/// A denial in HTTP's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedDenial {
    /// The HTTP status; Envoy turns it into 200 with a gRPC status for gRPC callers.
    pub status: u16,
    /// Lower-case names and values.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

impl Denial {
    /// A denial with the code's own text and nothing else.
    #[must_use]
    pub const fn new(code: ErrorCode, reason: &'static str) -> Self {
        Self {
            code,
            description: None,
            challenge: None,
            retry_after_secs: None,
            limit: None,
            limit_headers: LimitHeaders::Integers,
            reason,
        }
    }

    /// No credential where one is needed.
    #[must_use]
    pub fn missing_credential() -> Self {
        let mut denial = Self::new(ErrorCode::Unauthorized, "credential_missing");
        denial.challenge = Some(Challenge::Missing);
        denial
    }

    /// A credential that does not hold; `reason` is for the log alone.
    #[must_use]
    pub fn invalid_token(reason: &'static str) -> Self {
        let mut denial = Self::new(ErrorCode::InvalidToken, reason);
        denial.challenge = Some(Challenge::InvalidToken);
        denial
    }

    /// As [`Denial::invalid_token`], of an API key: who sent no token is told of none.
    #[must_use]
    pub fn invalid_api_key(reason: &'static str) -> Self {
        let description = Some(Cow::Borrowed("The API key is invalid"));
        Self { description, ..Self::invalid_token(reason) }
    }

    /// As [`Denial::invalid_token`], of a session's cookie.
    #[must_use]
    pub fn invalid_session(reason: &'static str) -> Self {
        let description = Some(Cow::Borrowed("The session is invalid or over"));
        Self { description, ..Self::invalid_token(reason) }
    }

    /// The token may hold, but not who shows it: its proof of possession does not.
    #[must_use]
    pub fn invalid_proof(reason: &'static str) -> Self {
        let mut denial = Self::new(ErrorCode::InvalidToken, reason);
        denial.challenge = Some(Challenge::InvalidProof);
        denial
    }

    /// The credential holds but does not reach far enough.
    #[must_use]
    pub fn insufficient_scope(required: &[String]) -> Self {
        let mut denial = Self::new(ErrorCode::InsufficientScope, "scope_missing");
        denial.challenge = Some(Challenge::InsufficientScope(required.to_vec()));
        denial
    }

    /// The credential holds, and its holder has to authenticate again (RFC 9470).
    #[cfg(feature = "server")]
    #[must_use]
    pub fn step_up(reason: &'static str, max_age_secs: Option<u64>, with_proof: bool) -> Self {
        let mut denial = Self::new(ErrorCode::InsufficientUserAuthentication, reason);
        denial.challenge = Some(Challenge::StepUp { max_age_secs, with_proof });
        denial
    }

    /// A limit is used up.
    #[must_use]
    pub fn rate_limited(status: RateLimitStatus) -> Self {
        let mut denial = Self::new(ErrorCode::RateLimitExceeded, "limit_exceeded");
        denial.retry_after_secs = Some(status.reset_secs);
        denial.limit = Some(status);
        denial
    }

    /// The service's circuit is open.
    #[must_use]
    pub fn circuit_open(retry_after_ms: u64) -> Self {
        let mut denial = Self::new(ErrorCode::CircuitOpen, "circuit_open");
        denial.retry_after_secs = Some(retry_after_ms.div_ceil(1000));
        denial
    }

    /// Something of ours is missing that the decision needs.
    #[must_use]
    pub fn unavailable(reason: &'static str, retry_after_secs: u64) -> Self {
        let mut denial = Self::new(ErrorCode::Unavailable, reason);
        denial.retry_after_secs = Some(retry_after_secs);
        denial
    }

    /// The one rendering of a denial.
    #[must_use]
    pub fn render(&self, correlation_id: &str, now: UnixMillis, is_grpc: bool) -> RenderedDenial {
        let mut out = vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", "no-store".to_owned()),
            (headers::CORRELATION_ID, correlation_id.to_owned()),
        ];
        if let Some(challenge) = &self.challenge {
            out.push(("www-authenticate", challenge.to_header()));
        }
        if let Some(seconds) = self.retry_after_secs {
            out.push(("retry-after", seconds.max(1).to_string()));
        }
        if let Some(limit) = &self.limit {
            limit.for_each_header(self.limit_headers, |name, value| {
                out.push((name, value.to_owned()));
            });
        }
        if is_grpc {
            // Envoy derives a status from the HTTP one unless a status is there already, and
            // its choice for 404 and 429 is not the one that clients expect.
            out.push(("grpc-status", self.code.grpc_status().to_string()));
        }
        RenderedDenial {
            status: self.code.status(),
            headers: out,
            body: self.body(correlation_id, now),
        }
    }

    fn body(&self, correlation_id: &str, now: UnixMillis) -> String {
        let description = self.description.as_deref().unwrap_or(self.code.description());
        let mut body = String::with_capacity(192);
        body.push_str("{\"error\":\"");
        body.push_str(self.code.as_str());
        body.push_str("\",\"error_description\":");
        json::write_string(&mut body, description);
        body.push_str(",\"correlation_id\":");
        json::write_string(&mut body, correlation_id);
        body.push_str(",\"timestamp\":\"");
        body.push_str(&now.to_rfc3339());
        body.push_str("\"}");
        body
    }
}

impl RenderedDenial {
    /// A browser is sent elsewhere instead of being refused.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn redirect(location: String, correlation_id: &str) -> Self {
        let headers = vec![
            ("location", location),
            ("cache-control", "no-store".to_owned()),
            (headers::CORRELATION_ID, correlation_id.to_owned()),
        ];
        Self { status: 302, headers, body: String::new() }
    }

    /// Names the metadata of the authorization server in what asks for another credential
    /// (RFC 9728 §5.1).
    pub fn advertise(&mut self, issuer: &str) {
        for (name, value) in &mut self.headers {
            if *name == "www-authenticate" {
                name_metadata(value, issuer);
            }
        }
    }
}

/// What [`RenderedDenial::advertise`] adds to a challenge.
pub fn name_metadata(challenge: &mut String, issuer: &str) {
    challenge.push_str(", resource_metadata=\"");
    challenge.push_str(issuer);
    challenge.push_str("/.well-known/oauth-protected-resource\"");
}

/// Whether a request is gRPC, by its content type.
#[must_use]
pub fn is_grpc(content_type: Option<&[u8]>) -> bool {
    content_type.is_some_and(|value| {
        value
            .strip_prefix(b"application/grpc")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+") || rest.starts_with(b";"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_json_with_the_contracts_members() {
        let limit = RateLimitStatus { limit: 10, remaining: 0, reset_secs: 0, window_secs: 60 };
        let rendered = Denial::rate_limited(limit).render("id", UnixMillis(0), false);
        assert_eq!(rendered.status, 429);
        let body = json::parse(rendered.body.as_bytes()).unwrap();
        assert_eq!(body.get("error").unwrap().as_str(), Some("RATE_LIMIT_EXCEEDED"));
        assert_eq!(body.get("timestamp").unwrap().as_str(), Some("1970-01-01T00:00:00.000Z"));
        let header = |name| {
            rendered.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
        };
        assert_eq!(header("retry-after"), Some("1"), "never below one second");
        assert_eq!(header("ratelimit-policy"), Some("10;w=60"));
        assert_eq!(header("x-ratelimit-remaining"), Some("0"));
    }

    #[test]
    fn limits_are_told_as_structured_fields_where_the_document_says_so() {
        let limit = RateLimitStatus { limit: 10, remaining: 3, reset_secs: 7, window_secs: 60 };
        for (form, expected) in [
            (
                LimitHeaders::Integers,
                "x-ratelimit-limit: 10, x-ratelimit-remaining: 3, x-ratelimit-reset: 7, \
                 ratelimit-limit: 10, ratelimit-remaining: 3, ratelimit-reset: 7, \
                 ratelimit-policy: 10;w=60",
            ),
            (
                LimitHeaders::Structured,
                "x-ratelimit-limit: 10, x-ratelimit-remaining: 3, x-ratelimit-reset: 7, \
                 ratelimit-policy: \"default\";q=10;w=60, ratelimit: \"default\";r=3;t=7",
            ),
        ] {
            let mut told = Vec::new();
            limit.for_each_header(form, |name, value| {
                assert!(RateLimitStatus::HEADERS.contains(&name), "{name}");
                told.push(format!("{name}: {value}"));
            });
            assert_eq!(told.join(", "), expected);
        }
    }

    #[test]
    fn an_open_circuit_says_when_a_try_makes_sense() {
        for (retry_after_ms, expected) in [(0, "1"), (1, "1"), (1_000, "1"), (9_001, "10")] {
            let rendered = Denial::circuit_open(retry_after_ms).render("id", UnixMillis(0), false);
            let header = rendered.headers.iter().find(|(name, _)| *name == "retry-after");
            let header = header.map(|(_, value)| value.as_str());
            assert_eq!((rendered.status, header), (503, Some(expected)), "{retry_after_ms}");
            assert!(rendered.body.contains("CIRCUIT_OPEN"), "{}", rendered.body);
        }
    }

    #[test]
    fn the_challenge_never_says_which_check_failed() {
        for reason in ["expired", "bad_signature", "unknown_issuer"] {
            let rendered = Denial::invalid_token(reason).render("id", UnixMillis(0), false);
            assert!(rendered.headers.contains(&(
                "www-authenticate",
                "Bearer realm=\"postern\", error=\"invalid_token\"".to_owned()
            )));
            assert!(!rendered.body.contains(reason));
        }
    }

    #[test]
    fn each_credential_is_refused_by_its_name() {
        for (denial, expected) in [
            (Denial::invalid_token("x"), "The access token is invalid"),
            (Denial::invalid_api_key("x"), "The API key is invalid"),
            (Denial::invalid_session("x"), "The session is invalid or over"),
        ] {
            let rendered = denial.render("id", UnixMillis(0), false);
            let body = json::parse(rendered.body.as_bytes()).unwrap();
            assert_eq!(body.get("error").unwrap().as_str(), Some("INVALID_TOKEN"));
            assert_eq!(body.get("error_description").unwrap().as_str(), Some(expected));
        }
    }

    #[test]
    fn a_step_up_says_what_would_do() {
        for (max_age_secs, with_proof, expected) in [
            (None, false, r#"acr_values="urn:postern:acr:2""#),
            (Some(900), true, r#"acr_values="urn:postern:acr:2", max_age="900""#),
        ] {
            let header = Challenge::StepUp { max_age_secs, with_proof }.to_header();
            let scheme = if with_proof { "DPoP " } else { "Bearer " };
            assert!(header.starts_with(scheme) && header.ends_with(expected), "{header}");
            assert!(header.contains(r#"error="insufficient_user_authentication""#), "{header}");
        }
    }

    #[test]
    fn the_authorization_server_is_named_where_another_credential_is_asked_for() {
        let advertised = |denial: &Denial| {
            let mut rendered = denial.render("id", UnixMillis(0), false);
            rendered.advertise("https://gate.test");
            let found = rendered.headers.into_iter().find(|(name, _)| *name == "www-authenticate");
            found.map(|(_, value)| value)
        };
        let expected = "Bearer realm=\"postern\", \
                        resource_metadata=\"https://gate.test/.well-known/oauth-protected-resource\"";
        assert_eq!(advertised(&Denial::missing_credential()).as_deref(), Some(expected));
        assert_eq!(advertised(&Denial::unavailable("away", 1)), None);
    }

    #[test]
    fn grpc_is_known_by_its_content_type() {
        assert!(is_grpc(Some(b"application/grpc")));
        assert!(is_grpc(Some(b"application/grpc+proto")));
        assert!(!is_grpc(Some(b"application/grpcx")));
        assert!(!is_grpc(None));
    }
}

//! Header names, and a view of a request's headers that hides where they came from.

/// Kept when it is a UUID, made otherwise; on requests, responses and denials alike.
pub const CORRELATION_ID: &str = "x-correlation-id";
/// Envoy's own request id.
pub const REQUEST_ID: &str = "x-request-id";
/// Whole milliseconds from the request's headers to the response's.
pub const RESPONSE_TIME: &str = "x-response-time";
/// W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// RFC 6750 §2.1.
pub const AUTHORIZATION: &str = "authorization";
/// Where an API key is presented.
pub const API_KEY: &str = "x-api-key";
/// RFC 6265 §5.4.
pub const COOKIE: &str = "cookie";
/// The proof beside a token that is bound to a key (RFC 9449 §4.1).
pub const DPOP: &str = "dpop";
/// The subprotocols that a WebSocket client offers (RFC 6455 §11.3.4).
pub const WEBSOCKET_PROTOCOL: &str = "sec-websocket-protocol";

/// Every header that tells an upstream who is calling starts so. Only the bundle writes them,
/// and whatever arrives from outside under this prefix is removed.
pub const IDENTITY_PREFIX: &str = "x-postern-";
/// The subject (`sub`) of the caller.
pub const SUBJECT: &str = "x-postern-subject";
/// The OAuth client (`client_id`) of the caller.
pub const CLIENT: &str = "x-postern-client";
/// The granted scopes, separated by spaces.
pub const SCOPES: &str = "x-postern-scopes";
/// One header a scope, for policies that cannot look inside a list.
pub const SCOPE_PREFIX: &str = "x-postern-scope-";
/// The caller's tier.
pub const TIER: &str = "x-postern-tier";
/// The session of the caller's token.
pub const SESSION: &str = "x-postern-session";
/// The device of the caller's token.
pub const DEVICE: &str = "x-postern-device";
/// The caller's country.
pub const COUNTRY: &str = "x-postern-country";

/// In the metadata of Envoy's calls of gRPC, by its configuration: who keeps the circuits of what
/// goes through that Envoy. Without it, the server does.
pub const CIRCUITS_METADATA: &str = "x-postern-circuits";
/// [`CIRCUITS_METADATA`] of an Envoy whose bundle asks circuits and reports what becomes of calls:
/// then the server neither asks them for its requests nor counts their outcomes.
pub const CIRCUITS_BY_BUNDLE: &str = "bundle";

/// Sends a request to the service that answers for its own while that one's circuit is open. Only
/// the bundle writes it, and it reaches no service.
pub const FALLBACK: &str = "x-postern-fallback";
/// What stands there.
pub const TO_FALLBACK: &str = "1";

/// The longest header value that Postern writes, in bytes.
pub const MAX_VALUE_BYTES: usize = 8192;

/// A request's or response's headers, whoever holds them.
///
/// Names are lower case, as Envoy keeps them. Values are bytes: nothing guarantees UTF-8.
pub trait HeaderView {
    /// Calls `visit` with each header in order, repeated ones included.
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8]));

    /// The value of a header that must not be repeated.
    fn single(&self, name: &str) -> Single<'_> {
        let mut found = Single::Absent;
        self.for_each(&mut |candidate, value| {
            if candidate == name {
                found = match found {
                    Single::Absent => Single::One(value),
                    Single::One(_) | Single::Repeated => Single::Repeated,
                };
            }
        });
        found
    }
}

/// What [`HeaderView::single`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Single<'a> {
    /// No such header.
    Absent,
    /// Exactly one.
    One(&'a [u8]),
    /// More than one: whoever decides must not pick one of them, because the upstream may
    /// pick another.
    Repeated,
}

impl<'a> Single<'a> {
    /// The value when there is exactly one.
    #[must_use]
    pub const fn one(self) -> Option<&'a [u8]> {
        match self {
            Self::One(value) => Some(value),
            Self::Absent | Self::Repeated => None,
        }
    }
}

impl HeaderView for [(String, Vec<u8>)] {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for (name, value) in self {
            visit(name, value);
        }
    }
}

impl HeaderView for Vec<(String, Vec<u8>)> {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        self.as_slice().for_each(visit);
    }
}

/// Whether a text can stand in a header value: no control characters (RFC 9110 §5.5), and no
/// more than [`MAX_VALUE_BYTES`].
#[must_use]
pub fn is_safe_value(value: &str) -> bool {
    value.len() <= MAX_VALUE_BYTES && value.chars().all(|c| !c.is_control())
}

/// Whether a text can name somebody in a header: [`is_safe_value`], not empty, and without
/// space at its ends, which every HTTP hop takes away.
#[must_use]
pub fn is_identity_value(value: &str) -> bool {
    !value.is_empty() && value.trim() == value && is_safe_value(value)
}

/// Whether a text is a header name as HTTP/2 wants it: an RFC 9110 token without capitals.
#[must_use]
pub fn is_lowercase_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 256
        && name.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b)
        })
}

/// Whether a header is one that the bundle alone writes: an identity header, or one of those that
/// a document makes of claims. Some servers read `_` as `-`, so both count.
#[must_use]
pub fn is_identity_header(name: &str, claim_headers: &[String]) -> bool {
    let same = |a: u8, b: u8| a == b || (a == b'_' && b == b'-');
    let equals = |own: &str| {
        name.len() == own.len() && name.bytes().zip(own.bytes()).all(|(a, b)| same(a, b))
    };
    let prefix = IDENTITY_PREFIX;
    let starts =
        name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(|(a, b)| same(a, b));
    starts || claim_headers.iter().any(|own| equals(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_headers_are_known_in_every_spelling() {
        let claims = ["x-tenant".to_owned()];
        for ours in [
            "x-postern-",
            "x-postern-subject",
            "x_postern_scopes",
            "x-postern_tier",
            "x-tenant",
            "x_tenant",
        ] {
            assert!(is_identity_header(ours, &claims), "{ours}");
        }
        for other in ["", "x-posternal", "x-poster", "x-postern", "x-tenants", "x-tenan", "tenant"]
        {
            assert!(!is_identity_header(other, &claims), "{other}");
        }
        assert!(!is_identity_header("x-tenant", &[]));
    }

    #[test]
    fn a_repeated_header_has_no_single_value() {
        let headers = vec![
            ("authorization".to_owned(), b"a".to_vec()),
            ("other".to_owned(), b"b".to_vec()),
            ("authorization".to_owned(), b"c".to_vec()),
        ];
        assert_eq!(headers.single("authorization"), Single::Repeated);
        assert_eq!(headers.single("other"), Single::One(b"b"));
        assert_eq!(headers.single("none"), Single::Absent);
    }

    #[test]
    fn line_breaks_never_reach_a_header_value() {
        assert!(is_safe_value("plain, ünicode"));
        assert!(!is_safe_value("a\r\nx-admin: true"));
        assert!(!is_safe_value("a\0b"));
        assert!(!is_safe_value(&"a".repeat(MAX_VALUE_BYTES + 1)));
    }
}

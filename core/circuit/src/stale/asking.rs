//! A request whose answer may be kept, and what becomes of that answer.

use postern_request::little_endian::put_part;

use super::cache_control::{CacheControl, elements, seconds};

/// The longest key, in bytes. Answers to longer requests are neither kept nor looked for.
const MAX_KEY_BYTES: usize = 8_192;

/// Headers that no answer is kept with: they are about one message, one connection or one caller,
/// or are written anew whenever an answer is given out.
const GONE: [&str; 23] = [
    "age",
    "authentication-info",
    "cache-status",
    "connection",
    "content-length",
    "dpop-nonce",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "retry-after",
    "server",
    "server-timing",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "warning",
    "www-authenticate",
    "x-correlation-id",
    "x-request-id",
    "x-response-time",
];
/// And what the names of others begin with.
const GONE_PREFIXES: [&str; 5] = [":", "ratelimit", "x-envoy-", "x-postern-", "x-ratelimit-"];

/// Headers that choose an answer. Beside those by which callers choose one, they are such as make
/// some services answer for another address: what one caller brings about so, no other one gets.
const CHOOSING: [&str; 9] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "forwarded",
    "origin",
    "x-forwarded",
    "x-host",
    "x-scheme",
    "x-url-scheme",
];
/// And what the names of others begin with.
const CHOOSING_PREFIXES: [&str; 5] =
    ["x-forwarded-", "x-http-", "x-method-", "x-original-", "x-rewrite-"];
/// This says on which way.
const NOT_CHOOSING: &str = "x-forwarded-for";

/// A request, as far as its answer hangs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    key: Vec<u8>,
    may_keep: bool,
    has_credentials: bool,
}

/// Whom an answer is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Whoever may call the route.
    Everybody,
    /// The caller who got it.
    Caller,
}

/// An answer that may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// For whom.
    pub whose: Whose,
    /// Its headers, no name twice.
    pub headers: Vec<(String, String)>,
    /// Whether the message itself says where its body ends, as HTTP/1.1 sees it.
    pub is_framed: bool,
    /// The length of its body, where it is told.
    pub length: Option<u64>,
    /// How old it was on arrival, in seconds.
    pub age_s: u32,
    /// Up to which age it is fresh; none where it does not say.
    pub fresh_s: Option<u32>,
    /// Up to which age it may be given out; none where it does not say.
    pub good_s: Option<u32>,
}

impl Asking {
    /// Reads a request. `place` is what its answer hangs on beside its headers, always as many
    /// parts; `guarded` says that callers have to show who they are, or that this one has. None
    /// where there is no answer to keep or to give out.
    #[must_use]
    pub fn read(
        method: &str,
        place: &[&[u8]],
        headers: &[(String, Vec<u8>)],
        guarded: bool,
    ) -> Option<Self> {
        if !matches!(method, "GET" | "HEAD") {
            return None;
        }
        // An answer to HEAD lacks the body; one to GET answers both.
        let (mut may_keep, mut has_credentials) = (method == "GET", guarded);
        let mut key = Vec::with_capacity(256);
        place.iter().for_each(|part| put_part(&mut key, part));
        for (name, value) in headers {
            match name.as_str() {
                "authorization" | "cookie" => has_credentials = true,
                // RFC 9111 §5.2.1.5.
                "cache-control" => {
                    let mut said = CacheControl::default();
                    said.add(&String::from_utf8_lossy(value));
                    may_keep &= !said.no_store;
                }
                // A body may choose an answer, and is in no key.
                "content-length" => may_keep &= value == b"0",
                "transfer-encoding" => may_keep = false,
                name if is_choosing(name) => {
                    put_part(&mut key, name.as_bytes());
                    put_part(&mut key, value);
                }
                _ => {}
            }
        }
        (key.len() <= MAX_KEY_BYTES).then_some(Self { key, may_keep, has_credentials })
    }

    /// Whether its answer may be kept, as far as the request says.
    #[must_use]
    pub const fn may_keep(&self) -> bool {
        self.may_keep
    }

    /// Whether somebody shows who they are, or has to.
    #[must_use]
    pub const fn has_credentials(&self) -> bool {
        self.has_credentials
    }

    /// What an answer for everybody is kept under.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// What an answer for one caller is kept under. It has one part more than names and values
    /// come to, so no request without a caller has it.
    #[must_use]
    pub fn key_of(&self, caller: &[u8]) -> Vec<u8> {
        let mut key = self.key.clone();
        put_part(&mut key, caller);
        key
    }

    /// Whether an answer with these headers may be kept; `keeps_private` allows those that are for
    /// one caller alone.
    #[must_use]
    pub fn judge(&self, keeps_private: bool, headers: &[(String, Vec<u8>)]) -> Option<Judged> {
        let (mut said, mut status, mut length, mut age_s) = (CacheControl::default(), "", None, 0);
        let (mut is_framed, mut of_connection) = (false, Vec::new());
        let mut kept: Vec<(String, String)> = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            let value = core::str::from_utf8(value).ok()?;
            match name.as_str() {
                ":status" => status = value,
                "cache-control" => said.add(value),
                "age" => age_s = seconds(value).unwrap_or(0),
                "content-length" => {
                    (length, is_framed) = (Some(value.parse().ok()?), true);
                }
                "transfer-encoding" => is_framed = true,
                "connection" => of_connection.extend(elements(value)),
                // What it hangs on must be in the key; `*` never is (RFC 9111 §4.1).
                "vary" if !elements(value).all(|name| is_choosing(&name.to_ascii_lowercase())) => {
                    return None;
                }
                "content-type" if is_endless(value) => return None,
                // For one caller, a part of it, or not all there before its trailers are.
                "set-cookie" | "content-range" | "trailer" => return None,
                _ => {}
            }
            if stays(name) {
                // RFC 9110 §5.3.
                match kept.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) => {
                        known.push_str(", ");
                        known.push_str(value);
                    }
                    None => kept.push((name.clone(), value.to_owned())),
                }
            }
        }
        // RFC 9111 §3.1.
        kept.retain(|(name, _)| !of_connection.iter().any(|gone| gone.eq_ignore_ascii_case(name)));
        if !self.may_keep || status != "200" || said.no_store || said.must_ask {
            return None;
        }
        let whose = self.whose(said, keeps_private)?;
        let (fresh_s, good_s) = lifetime(said, whose);
        Some(Judged { whose, headers: kept, is_framed, length, age_s, fresh_s, good_s })
    }

    /// RFC 9111 §3.5: the answer to somebody with a credential is everybody's only where it says
    /// so.
    fn whose(&self, said: CacheControl, keeps_private: bool) -> Option<Whose> {
        let is_shared = said.public || said.s_maxage.is_some() || !self.has_credentials;
        if is_shared && !said.private {
            Some(Whose::Everybody)
        } else {
            keeps_private.then_some(Whose::Caller)
        }
    }
}

/// Up to which age an answer is fresh, and up to which it may be given out. `s-maxage` forbids
/// those who share it to give it out stale (RFC 9111 §5.2.2.10); `stale-if-error` counts from when
/// it is.
fn lifetime(said: CacheControl, whose: Whose) -> (Option<u32>, Option<u32>) {
    let shared = said.s_maxage.filter(|_| whose == Whose::Everybody);
    let fresh = shared.or(said.max_age);
    let beyond = said.stale_if_error.map(|more| fresh.unwrap_or(0).saturating_add(more));
    (fresh, shared.or(beyond))
}

fn is_choosing(name: &str) -> bool {
    let begins = |prefix: &&str| name.starts_with(prefix);
    CHOOSING.contains(&name) || (CHOOSING_PREFIXES.iter().any(begins) && name != NOT_CHOOSING)
}

fn stays(name: &str) -> bool {
    !GONE.contains(&name) && !GONE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether it is told in pieces that may never end.
fn is_endless(content_type: &str) -> bool {
    const ENDLESS: [&str; 2] = ["application/grpc", "text/event-stream"];
    ENDLESS.iter().any(|kind| {
        content_type.get(..kind.len()).is_some_and(|head| head.eq_ignore_ascii_case(kind))
    })
}

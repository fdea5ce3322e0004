//! Gateway documents for the tests, with places for what is known only when a stack starts.

use std::fs;
use std::net::SocketAddr;

use crate::{env, keys};

/// Routes of every kind; see the comments in the file.
pub const GATEWAY: &str = include_str!("../fixtures/gateway.yaml");
/// Exact limits with each of the answers to a store that is away.
pub const FAILURES: &str = include_str!("../fixtures/failures.yaml");
/// Routes that need `ext_proc`; `$EXT_PROC` says what happens while it is away.
pub const AWAY: &str = include_str!("../fixtures/away.yaml");
/// An authorization server that logs people in, and routes for what it issues.
pub const IDENTITY: &str = include_str!("../fixtures/identity.yaml");
/// One route, for the tokens of one issuer; see [`keyed`].
const KEYED: &str = include_str!("../fixtures/keyed.yaml");
/// Limits of every kind; `$MODE` says who counts.
const LIMITS: &str = include_str!("../fixtures/limits.yaml");
/// Routes that need each part and no other; see [`chaos`].
const CHAOS: &str = include_str!("../fixtures/chaos.yaml");
/// Limits by address behind one trusted proxy.
pub const PROXIED: &str = include_str!("../fixtures/proxied.yaml");
/// Every way to get tokens, and a route for each thing that clients do with them.
pub const CLIENTS: &str = include_str!("../fixtures/clients.yaml");
/// Services with a circuit, with `$NOBODY` where one is not there and `$SPARE` where another one is;
/// and what callers get while it is open.
pub const CIRCUITS: &str = include_str!("../fixtures/circuits.yaml");
/// Upstreams that misbehave, at `$NOBODY`, `$BREAKING` and `$CLOSING`.
pub const UPSTREAMS: &str = include_str!("../fixtures/upstreams.yaml");
/// Wrong in many ways; [`BROKEN_AT`] says where.
pub const BROKEN: &str = include_str!("../fixtures/broken.yaml");
/// Lines of [`BROKEN`] that must be reported, and a word that the report must hold.
pub const BROKEN_AT: [(usize, &str); 4] =
    [(2, "sevices"), (5, "HOST:PORT"), (10, "zero"), (15, "contents")];

/// The document that ships, with its fixed addresses turned into the kit's places.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn sample() -> String {
    let path = env::repository().join("envoy").join("sample.yaml");
    let text = fs::read_to_string(&path);
    text.unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
        .replace("127.0.0.1:9195", "$UPSTREAM")
        .replace("http://127.0.0.1:8080", "$ISSUER")
}

/// The API key that the shipped document accepts.
///
/// # Panics
/// When its comment does not name one.
#[must_use]
pub fn sample_api_key() -> String {
    let text = sample();
    let after = text.split("# sample key:").nth(1).expect("a comment `# sample key: …`");
    after.split_whitespace().next().expect("a key in it").to_owned()
}

/// A document that takes the tokens of one issuer, whose keys are found by `jwks`, on
/// `/content/` with the scope `content.read`.
#[must_use]
pub fn keyed(issuer: &str, audience: &str, jwks: &str) -> String {
    KEYED.replace("$TOKENS_OF", issuer).replace("$AUDIENCE", audience).replace("$KEYS", jwks)
}

/// Routes that need each part of the suite and no other, of so many servers; what is known of
/// revocations may be as old as this says, for example `30s`.
#[must_use]
pub fn chaos(replicas: usize, staleness: &str) -> String {
    CHAOS.replace("$REPLICAS", &replicas.to_string()).replace("$STALENESS", staleness)
}

/// Limits of every kind, counted `exact` or `local`.
#[must_use]
pub fn limits(mode: &str) -> String {
    LIMITS.replace("$MODE", mode)
}

/// Fills in the places of a document.
#[must_use]
pub fn fill_in(document: &str, upstream: SocketAddr, issuer: &str) -> String {
    document
        .replace("$UPSTREAM", &upstream.to_string())
        .replace("$ISSUER", issuer)
        .replace("$JWKS", keys::JWKS.trim())
        .replace("$API_KEY_SHA256", keys::API_KEY_SHA256)
}

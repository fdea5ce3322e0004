#![cfg_attr(
    not(all(feature = "tokens", feature = "limits", feature = "circuits")),
    allow(dead_code, unused_imports, reason = "most tests need all stages")
)]

use std::cell::Cell;

use super::*;
use jsonwebtoken::{EncodingKey, Header};
use postern_filter_host::{ForeignFunctions, Outcome, Plugin as _};
use postern_filter_shared_data::{Memory, SharedData};
use postern_request::evidence::Evidence;
use postern_request::headers;
use serde_json::{Value, json};

#[cfg(all(feature = "tokens", feature = "limits"))]
mod bound;
#[cfg(all(feature = "tokens", feature = "limits", feature = "circuits"))]
mod circuits;
#[cfg(all(feature = "tokens", feature = "limits"))]
mod keys;
#[cfg(all(feature = "tokens", feature = "limits"))]
mod leased;
#[cfg(all(feature = "tokens", feature = "limits"))]
mod peers;
#[cfg(all(feature = "tokens", feature = "limits"))]
mod places;
#[cfg(all(feature = "tokens", feature = "limits"))]
mod requests;
#[cfg(all(feature = "tokens", feature = "limits"))]
mod revoked;
#[cfg(all(feature = "tokens", feature = "limits"))]
mod rules;
#[cfg(all(feature = "tokens", feature = "limits"))]
mod sessions;
#[cfg(not(all(feature = "tokens", feature = "limits")))]
mod single;
#[cfg(all(feature = "tokens", feature = "limits", feature = "circuits"))]
mod stale;

const PRIVATE_KEY: &str = include_str!("../../../../core/jose/tests/keys/ec-private.pem");
const JWKS: &str = include_str!("../../../../core/jose/tests/keys/jwks.json");
const START: u64 = 1_000_000;

/// An Envoy that can do nothing but keep values.
#[derive(Default)]
struct Fake {
    values: Memory,
    evidence: Option<Evidence>,
    /// `when_stale` of the feed, where there is one.
    feed: Option<&'static str>,
    /// SHA-256 of the client's certificate, as Envoy tells it.
    certificate: Option<String>,
    /// The URI in the certificate of the connection, as Envoy tells it.
    peer: Option<&'static str>,
    /// Bytes of the request's body, as Envoy tells it.
    size: Cell<u64>,
    /// Who made an answer, as Envoy tells it.
    details: Cell<Option<&'static str>>,
    /// Milliseconds since [`START`].
    later: Cell<u64>,
    /// Properties that were asked for.
    asked: Cell<u32>,
}

impl ForeignFunctions for Fake {
    fn call(&self, _: &str, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

impl RequestHost for &Fake {
    fn now(&self) -> UnixMillis {
        UnixMillis(START + self.later.get())
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.asked.set(self.asked.get() + 1);
        match path {
            ["source", "address"] => Some(b"192.0.2.1:99".to_vec()),
            ["metadata", "filter_metadata", "envoy.filters.http.ext_authz", "postern"] => {
                self.evidence.as_ref().map(|evidence| evidence.encode().into_bytes())
            }
            ["connection", "sha256_peer_certificate_digest"] => {
                self.certificate.as_ref().map(|digest| digest.clone().into_bytes())
            }
            ["connection", "uri_san_peer_certificate"] => {
                self.peer.map(|peer| peer.as_bytes().to_vec())
            }
            ["response", "code_details"] => {
                self.details.get().map(|details| details.as_bytes().to_vec())
            }
            ["request", "size"] => Some(self.size.get().to_le_bytes().to_vec()),
            ["node", "id"] => Some(b"edge-1".to_vec()),
            _ => None,
        }
    }

    fn seed(&self) -> (u128, bool) {
        (7, true)
    }
}

impl SharedData for &Fake {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.values.get(key)
    }

    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        self.values.set(key, value, version)
    }

    fn put(&self, key: &str, value: &[u8]) {
        self.values.put(key, value);
    }
}

impl ForeignFunctions for &Fake {
    fn call(&self, name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
        (**self).call(name, arguments)
    }
}

#[derive(Debug, Default)]
struct Recorded {
    /// What the message has.
    has: Vec<(&'static str, &'static str)>,
    set: Vec<(String, String)>,
    rewritten: Vec<(String, Vec<u8>)>,
    removed: Vec<String>,
    state: Vec<(String, Vec<u8>)>,
}

impl Effects for Recorded {
    fn set_header(&mut self, name: &str, value: &str) {
        self.set.push((name.to_owned(), value.to_owned()));
    }
    fn add_header(&mut self, name: &str, value: &str) {
        assert!(self.set.iter().all(|(known, _)| known != name), "{name} would be there twice");
        self.set.push((name.to_owned(), value.to_owned()));
    }
    fn rewrite_header(&mut self, name: &str, value: &[u8]) {
        self.rewritten.push((name.to_owned(), value.to_vec()));
    }
    fn remove_header(&mut self, name: &str) {
        self.removed.push(name.to_owned());
    }
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        let (_, value) = self.has.iter().find(|(known, _)| *known == name)?;
        Some(value.as_bytes().to_vec())
    }
    fn headers(&self) -> HeaderList {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        self.has.iter().map(owned).collect()
    }
    fn set_filter_state(&mut self, key: &str, value: &[u8]) {
        self.state.push((key.to_owned(), value.to_vec()));
    }
    fn log(&mut self, _: &str) {}
}

impl Recorded {
    /// Why the request was refused, as access logs see it.
    fn reason(&self) -> String {
        let state = self.state.iter().find(|(key, _)| key == "postern.denied");
        state.map(|(_, value)| String::from_utf8(value.clone()).unwrap()).unwrap_or_default()
    }
}

fn configuration(fake: &Fake) -> Value {
    let mut document = json!({
        "version": 1,
        "services": {"s": {"upstream": "h:1"}},
        "credentials": {
            "jwt": {"issuers": [{"issuer": "https://i.test", "audiences": ["g"],
                                 "jwks": {"inline": JWKS},
                                 "claim_headers": {"x-tenant": "tenant"}}]},
            "api_key": {},
        },
        "limits": {"few": {"key": ["claim.sub"], "rate": "2/1m", "mode": "local"}},
        "routes": [
            {"name": "open", "match": {"path": "/open"}, "service": "s", "auth": "none"},
            {"name": "read", "match": {"path": "/read/{id}"}, "service": "s",
             "auth": {"any": ["jwt"], "scopes": ["read"]}},
            {"name": "limited", "match": {"path": "/limited"}, "service": "s",
             "auth": {"any": ["jwt"]}, "limits": ["few"]},
            {"name": "keyed", "match": {"path": "/keyed"}, "service": "s",
             "auth": {"any": ["jwt", "api_key"]}},
            {"name": "shadow", "match": {"path": "/shadow"}, "service": "s",
             "auth": {"any": ["jwt"]}, "enforce": "shadow"},
            {"name": "maybe", "match": {"path": "/maybe"}, "service": "s",
             "auth": {"any": ["jwt"], "optional": true}},
            {"name": "plain", "match": {"path": "/plain"}, "service": "s",
             "auth": {"any": ["jwt"]}},
        ],
    });
    if let Some(when_stale) = fake.feed {
        document["revocation"] = json!({"max_staleness": "2s", "when_stale": when_stale});
    }
    let mut configuration = json!({"digest": "d1", "document": document});
    if fake.feed.is_some() {
        configuration["feed"] = feed_source();
    }
    configuration
}

fn feed_source() -> Value {
    json!({"cluster": "c", "authority": "a", "workload": "w", "wait_ms": 0, "poll_ms": 0})
}

fn configured(fake: &Fake, configuration: &Value) -> Gatekeeper {
    Gatekeeper::configure(fake, configuration.to_string().as_bytes()).unwrap()
}

fn gatekeeper(fake: &Fake) -> Gatekeeper {
    configured(fake, &configuration(fake))
}

/// A good token with a scope.
fn token(scope: &str) -> String {
    signed("ec", json!({"scope": scope}))
}

/// A good token by a key of this id, with some claims that are others.
fn signed(kid: &str, others: Value) -> String {
    let mut header = Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some(kid.to_owned());
    let mut claims = json!({"iss": "https://i.test", "aud": "g", "sub": "alice", "exp": 9000,
                            "tenant": "t1"});
    let (Value::Object(all), Value::Object(others)) = (&mut claims, others) else { panic!() };
    all.extend(others);
    let key = EncodingKey::from_ec_pem(PRIVATE_KEY.as_bytes()).unwrap();
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

fn ask(
    gatekeeper: &mut Gatekeeper,
    fake: &Fake,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, Recorded) {
    let mut list: HeaderList = [(":method", "GET"), (":path", path), (":authority", "h")]
        .iter()
        .chain(headers)
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    list.push(("x-odd".to_owned(), b"\xff\xfe".to_vec()));
    let mut recorded = Recorded::default();
    let status = match gatekeeper.on_request_headers(fake, &list, &mut recorded) {
        Outcome::Continue(_) => 200,
        Outcome::Deny(denial, _) => denial.status,
        Outcome::Answer(answer, _) => answer.status,
    };
    (status, recorded)
}

/// Asks with an `authorization`: status and, where it is refused, the reason.
fn ask_as(
    gatekeeper: &mut Gatekeeper,
    fake: &Fake,
    path: &str,
    authorization: &str,
) -> (u16, String) {
    let (status, recorded) = ask(gatekeeper, fake, path, &[("authorization", authorization)]);
    (status, recorded.reason())
}

//! What a limit counts a request under.

use std::net::IpAddr;

use postern_limits::key::{KeyBuilder, KeyPart};
use postern_request::{HeaderView, Principal, address, path};

use crate::model::{Limit, Route};

/// What a request may be counted by.
pub struct Counted<'a> {
    /// The client's address; none where there is none (a Unix socket).
    pub address: Option<IpAddr>,
    /// The caller, where one is known.
    pub principal: Option<&'a Principal>,
    /// The request's headers.
    pub headers: &'a dyn HeaderView,
    /// The path, without query.
    pub path: &'a str,
}

impl Limit {
    /// The key that this limit counts a request of `route` under. It holds what the client
    /// sent: hash it before it becomes a name anywhere.
    #[must_use]
    pub fn key_of(&self, route: &Route, counted: &Counted<'_>) -> String {
        let mut key = KeyBuilder::new(&self.counted_as);
        for part in &self.key {
            let principal = counted.principal;
            match part {
                KeyPart::Ip => {
                    let address = counted.address.map(|a| address::limit_key(a, self.ipv6_prefix));
                    key.push(address.map(|a| a.to_string()).as_deref());
                }
                // A subject is unique within its issuer only (RFC 7519 §4.1.2).
                KeyPart::Subject => {
                    key.push(principal.map(|p| p.credential.as_str()));
                    key.push(principal.map(|p| p.issuer.as_str()));
                    key.push(principal.map(|p| p.subject.as_str()));
                }
                KeyPart::Client => key.push(principal.and_then(|p| p.client_id.as_deref())),
                KeyPart::Tier => key.push(principal.and_then(|p| p.tier.as_deref())),
                KeyPart::Header(name) => {
                    let value = counted.headers.single(name).one();
                    key.push(value.map(String::from_utf8_lossy).as_deref());
                }
                // One key for all spellings of one value.
                KeyPart::PathParam(name) => {
                    let value = route.path.param(counted.path, name).map(path::canonical_segment);
                    key.push(value.as_deref().map(String::from_utf8_lossy).as_deref());
                }
                KeyPart::Route => key.push(Some(&route.name)),
            }
        }
        key.finish()
    }
}

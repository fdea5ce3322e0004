//! What a limit counts a request under.

use std::borrow::Cow;
use std::net::IpAddr;

use postern_limits::key::{KeyBuilder, KeyPart};
use postern_request::principal::Credential;
use postern_request::{HeaderView, Principal, address, path};

use crate::host::host_of;
use crate::model::{Allowance, Limit, Route};

/// What a request may be counted by.
#[derive(Clone, Copy)]
pub struct Counted<'a> {
    /// The client's address; none where there is none (a Unix socket).
    pub address: Option<IpAddr>,
    /// The caller, where one is known.
    pub principal: Option<&'a Principal>,
    /// The request's headers.
    pub headers: &'a dyn HeaderView,
    /// The method.
    pub method: &'a str,
    /// Host, port included.
    pub authority: &'a str,
    /// The path, without query.
    pub path: &'a str,
}

impl Limit {
    /// The key that this limit counts a request of `route` under, by what it allows the caller
    /// ([`Limit::allowance_for`]). It holds what the client sent: hash it before it becomes a
    /// name anywhere.
    #[must_use]
    pub fn key_of(&self, route: &Route, counted: &Counted<'_>, allowance: Allowance) -> String {
        let known = self.counted_as.iter().find(|(of, _)| *of == allowance);
        let mut key = match known {
            Some((_, name)) => KeyBuilder::new(name),
            None => KeyBuilder::new(&allowance.counted_as(&self.name)),
        };
        for part in &self.key {
            self.push(&mut key, part, route, counted);
        }
        key.finish()
    }

    fn push(&self, key: &mut KeyBuilder, part: &KeyPart, route: &Route, counted: &Counted<'_>) {
        let principal = counted.principal;
        match part {
            KeyPart::Ip => key.push(self.address(counted).as_deref()),
            KeyPart::Subject => push_principal(key, principal),
            KeyPart::Client => key.push(principal.and_then(|p| p.client_id.as_deref())),
            KeyPart::Tier => key.push(principal.and_then(|p| p.tier.as_deref())),
            KeyPart::ApiKey => key.push(by_api_key(principal).map(|p| p.subject.as_str())),
            // What a claim says is its issuer's word alone, like a subject.
            KeyPart::Claim(name) => {
                let claim = principal.and_then(|principal| self.claim(name, principal));
                key.push(claim.map(|(issuer, _)| issuer));
                key.push(claim.map(|(_, value)| value));
            }
            KeyPart::Header(name) => {
                let value = counted.headers.single(name).one();
                key.push(value.map(String::from_utf8_lossy).as_deref());
            }
            // One key for all spellings of one value.
            KeyPart::PathParam(name) => {
                let value = route.path.param(counted.path, name).map(path::canonical_segment);
                key.push(value.as_deref().map(String::from_utf8_lossy).as_deref());
            }
            KeyPart::Method => key.push(Some(counted.method)),
            KeyPart::Host => key.push(Some(&host_of(counted.authority))),
            KeyPart::Service => key.push(Some(route.service_name())),
            KeyPart::Route => key.push(Some(&route.name)),
        }
    }

    /// Whose a key is: what the keys of one caller have in common, so that a store in several
    /// parts can keep them in one. `key` is what [`Limit::key_of`] made of the same request.
    ///
    /// It follows from the key's own parts alone: two requests that share a key would else be
    /// counted in two places.
    #[must_use]
    pub fn owner_of<'k>(&self, counted: &Counted<'_>, key: &'k str) -> Cow<'k, str> {
        let counts_by = |part: &KeyPart| self.key.contains(part);
        let principal = if counts_by(&KeyPart::Subject) {
            counted.principal
        } else if counts_by(&KeyPart::ApiKey) {
            by_api_key(counted.principal)
        } else {
            None
        };
        if principal.is_some() {
            let mut owner = KeyBuilder::new("principal");
            push_principal(&mut owner, principal);
            return Cow::Owned(owner.finish());
        }
        let client = counted.principal.and_then(|principal| principal.client_id.as_deref());
        let owner = if let (Some(client), true) = (client, counts_by(&KeyPart::Client)) {
            Some(("client", Cow::Borrowed(client)))
        } else if counts_by(&KeyPart::Ip) {
            self.address(counted).map(|address| ("ip", Cow::Owned(address)))
        } else {
            None
        };
        let Some((kind, name)) = owner else { return Cow::Borrowed(key) };
        let mut owner = KeyBuilder::new(kind);
        owner.push(Some(&name));
        Cow::Owned(owner.finish())
    }

    fn address(&self, counted: &Counted<'_>) -> Option<String> {
        let address = address::limit_key(counted.address?, self.ipv6_prefix);
        Some(address.to_string())
    }
}

/// A subject is unique within its issuer only (RFC 7519 §4.1.2). A person's session and tokens are
/// of one issuer, and count as one.
fn push_principal(key: &mut KeyBuilder, principal: Option<&Principal>) {
    key.push(principal.map(|p| match p.credential {
        Credential::Session => Credential::Jwt.as_str(),
        other => other.as_str(),
    }));
    key.push(principal.map(|p| p.issuer.as_str()));
    key.push(principal.map(|p| p.subject.as_str()));
}

/// The caller, where an API key has said who it is.
fn by_api_key(principal: Option<&Principal>) -> Option<&Principal> {
    principal.filter(|principal| principal.credential == Credential::ApiKey)
}

#[cfg(test)]
mod tests;

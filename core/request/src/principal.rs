//! Who is calling, once a credential was checked, and how upstreams are told.

use crate::headers;

/// The caller of a request, from a verified credential.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Principal {
    /// `sub`, or the subject that an API key or a session stands for.
    pub subject: String,
    /// `iss`, for a session that of the suite's own tokens; empty for API keys.
    pub issuer: String,
    /// `client_id`.
    pub client_id: Option<String>,
    /// Granted scopes, in the order of the credential.
    pub scopes: Vec<String>,
    /// `tier`.
    pub tier: Option<String>,
    /// `sessionId`, or the session's own id.
    pub session: Option<String>,
    /// `deviceId`.
    pub device: Option<String>,
    /// `country`.
    pub country: Option<String>,
    /// `role`; for metrics and policies, not sent upstream.
    pub role: Option<String>,
    /// Which kind of credential proved it.
    pub credential: Credential,
    /// Further headers that the document derives from claims: name and value.
    pub claim_headers: Vec<(String, String)>,
}

/// The kinds of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub enum Credential {
    /// A signed JWT.
    #[default]
    Jwt,
    /// An API key.
    ApiKey,
    /// A browser's session, by its cookie.
    Session,
}

impl Credential {
    /// As the gateway document spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::ApiKey => "api_key",
            Self::Session => "session",
        }
    }
}

/// The identity headers that a document may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityHeader {
    /// `x-postern-subject`
    Subject,
    /// `x-postern-client`
    Client,
    /// `x-postern-scopes`
    Scopes,
    /// `x-postern-scope-<name>: true`, one for each scope whose name can be part of a header's.
    ScopeNames,
    /// `x-postern-tier`
    Tier,
    /// `x-postern-session`
    Session,
    /// `x-postern-device`
    Device,
    /// `x-postern-country`
    Country,
}

impl IdentityHeader {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Subject,
        Self::Client,
        Self::Scopes,
        Self::ScopeNames,
        Self::Tier,
        Self::Session,
        Self::Device,
        Self::Country,
    ];

    /// As the gateway document spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Client => "client",
            Self::Scopes => "scopes",
            Self::ScopeNames => "scope_names",
            Self::Tier => "tier",
            Self::Session => "session",
            Self::Device => "device",
            Self::Country => "country",
        }
    }
}

impl Principal {
    /// The headers that tell an upstream who is calling, as far as `wanted` asks for them.
    /// No name is there twice. Values that cannot stand in a header are refused when a credential
    /// is read, so that nothing is dropped here.
    #[must_use]
    pub fn headers(&self, wanted: &[IdentityHeader]) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> =
            Vec::with_capacity(wanted.len() + self.claim_headers.len());
        let mut write = |name: &str, value: &str| {
            if out.iter().all(|(known, _)| known != name) {
                out.push((name.to_owned(), value.to_owned()));
            }
        };
        let optional = [
            (IdentityHeader::Client, headers::CLIENT, &self.client_id),
            (IdentityHeader::Tier, headers::TIER, &self.tier),
            (IdentityHeader::Session, headers::SESSION, &self.session),
            (IdentityHeader::Device, headers::DEVICE, &self.device),
            (IdentityHeader::Country, headers::COUNTRY, &self.country),
        ];
        if wanted.contains(&IdentityHeader::Subject) {
            write(headers::SUBJECT, &self.subject);
        }
        for (header, name, value) in optional {
            if let (true, Some(value)) = (wanted.contains(&header), value) {
                write(name, value);
            }
        }
        if wanted.contains(&IdentityHeader::Scopes) && !self.scopes.is_empty() {
            write(headers::SCOPES, &self.scopes.join(" "));
        }
        if wanted.contains(&IdentityHeader::ScopeNames) {
            for scope in self.scopes.iter().filter(|scope| fits_a_header_name(scope)) {
                write(&format!("{}{scope}", headers::SCOPE_PREFIX), "true");
            }
        }
        for (name, value) in &self.claim_headers {
            write(name, value);
        }
        out
    }

    /// Whether every one of `required` was granted.
    #[must_use]
    pub fn has_scopes(&self, required: &[String]) -> bool {
        required.iter().all(|scope| self.scopes.contains(scope))
    }
}

/// Scopes may hold characters that a header name may not, capitals, which a header name does
/// not keep apart, and `_`, which some servers read as `-`. Two scopes must never share one header, so those get none.
fn fits_a_header_name(scope: &str) -> bool {
    scope.len() <= 128
        && !scope.is_empty()
        && scope
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal() -> Principal {
        Principal {
            subject: "alice".to_owned(),
            client_id: Some("web".to_owned()),
            scopes: ["payments.read", "orders:write", "Admin"].map(str::to_owned).to_vec(),
            tier: Some("premium".to_owned()),
            claim_headers: vec![("x-tenant".to_owned(), "t1".to_owned())],
            ..Principal::default()
        }
    }

    #[test]
    fn only_wanted_headers_are_written() {
        let headers = principal().headers(&[IdentityHeader::Subject, IdentityHeader::Scopes]);
        let expected = [
            ("x-postern-subject", "alice"),
            ("x-postern-scopes", "payments.read orders:write Admin"),
            ("x-tenant", "t1"),
        ];
        assert_eq!(headers.len(), expected.len());
        for (name, value) in expected {
            assert!(headers.contains(&(name.to_owned(), value.to_owned())), "{name}");
        }
    }

    #[test]
    fn scopes_that_could_collide_get_no_header_of_their_own() {
        let headers = principal().headers(&[IdentityHeader::ScopeNames]);
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-postern-scope-payments.read", "x-tenant"]);
    }
}

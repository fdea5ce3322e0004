//! What clients can learn about the authorization server (RFC 8414, OpenID Connect Discovery),
//! and about the gateway as a protected resource (RFC 9728). Only what works is named.

use postern_jose::Algorithm;
use postern_request::json::Value;

use crate::{
    Acr, AuthMethod, CHALLENGE_METHOD, Endpoint, GrantType, IDENTITY_SCOPES, OFFLINE_ACCESS,
    ScopeSet, ServerRules,
};

/// Where RFC 8414 §3 looks.
pub const AUTHORIZATION_SERVER_PATH: &str = "/.well-known/oauth-authorization-server";
/// Where OpenID Connect Discovery §4 looks.
pub const OPENID_CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
/// Where RFC 9728 §3 looks.
pub const PROTECTED_RESOURCE_PATH: &str = "/.well-known/oauth-protected-resource";

/// Claims that tokens and UserInfo can have.
const CLAIMS: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "name",
    "given_name",
    "family_name",
    "picture",
    "updated_at",
    "email",
    "email_verified",
];

/// The authorization server in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerMetadata<'a> {
    /// What the document says.
    pub rules: &'a ServerRules,
}

type Members = Vec<(String, Value)>;

impl ServerMetadata<'_> {
    /// The document of RFC 8414 §2.
    #[must_use]
    pub fn authorization_server(&self) -> String {
        Value::Object(self.common()).to_string()
    }

    /// The document of OpenID Connect Discovery §3: the same, and what its readers insist on.
    #[must_use]
    pub fn openid_configuration(&self) -> String {
        let mut members = self.common();
        push(&mut members, "subject_types_supported", texts(["public"]));
        let algorithms = self.rules.algorithms.iter().map(|one| one.as_str());
        push(&mut members, "id_token_signing_alg_values_supported", texts(algorithms));
        if self.rules.serves(Endpoint::Authorize) {
            push(&mut members, "claims_supported", texts(CLAIMS));
            push(&mut members, "acr_values_supported", texts(Acr::ALL.map(Acr::as_str)));
            // The default of each of these is to support it.
            push(&mut members, "request_uri_parameter_supported", Value::Bool(false));
        }
        Value::Object(members).to_string()
    }

    /// The document of RFC 9728 §2, of the gateway itself: its tokens come from here.
    #[must_use]
    pub fn protected_resource(&self) -> String {
        self.resource(&self.rules.issuer, &self.rules.scopes)
    }

    /// The same of the resource whose metadata is looked for at a path below
    /// [`PROTECTED_RESOURCE_PATH`] (RFC 9728 §3.1), at this host or at the issuer's. The gateway's
    /// own where nothing follows and no resource of the document is at this host; none where
    /// nothing is there. The host is the caller's word, and chooses among what everybody may
    /// read.
    #[must_use]
    pub fn protected_resource_at(&self, host: Option<&str>, rest: &str) -> Option<String> {
        let own = authority(&self.rules.issuer);
        let at = |wanted: Option<&str>| {
            let is_there = |resource: &str| {
                let has_authority = authority(resource)
                    .zip(wanted)
                    .is_some_and(|(one, other)| one.eq_ignore_ascii_case(other));
                has_authority && path_of(resource) == Some(rest)
            };
            self.rules.resources.iter().find(|(resource, _)| is_there(resource))
        };
        match at(host).or_else(|| at(own)) {
            Some((resource, scopes)) if scopes.is_empty() => {
                Some(self.resource(resource, &self.rules.scopes))
            }
            Some((resource, scopes)) => Some(self.resource(resource, scopes)),
            None => rest.is_empty().then(|| self.protected_resource()),
        }
    }

    fn resource(&self, resource: &str, scopes: &ScopeSet) -> String {
        let mut members = Members::new();
        push(&mut members, "resource", Value::String(resource.to_owned()));
        push(&mut members, "authorization_servers", texts([self.rules.issuer.as_str()]));
        if !scopes.is_empty() {
            let scopes = scopes.names().iter().map(String::as_str);
            push(&mut members, "scopes_supported", texts(scopes));
        }
        push(&mut members, "bearer_methods_supported", texts(["header"]));
        push(&mut members, "dpop_signing_alg_values_supported", known_algorithms());
        push(
            &mut members,
            "tls_client_certificate_bound_access_tokens",
            Value::Bool(self.rules.mutual_tls),
        );
        Value::Object(members).to_string()
    }

    fn common(&self) -> Members {
        let rules = self.rules;
        let mut members = Members::new();
        push(&mut members, "issuer", Value::String(rules.issuer.clone()));
        for endpoint in Endpoint::ALL.into_iter().filter(|endpoint| rules.serves(*endpoint)) {
            push(&mut members, member_of(endpoint), self.url(endpoint));
        }
        let grants = GrantType::ALL.into_iter().filter(|grant| rules.grants(*grant));
        push(&mut members, "grant_types_supported", texts(grants.map(GrantType::as_str)));
        let has_code = rules.serves(Endpoint::Authorize);
        // It must be there, and is empty where there is nothing to authorize.
        let response_types = has_code.then_some("code");
        push(&mut members, "response_types_supported", texts(response_types));
        let signed = rules.takes(AuthMethod::PrivateKeyJwt);
        for (endpoint, name) in [
            (Endpoint::Token, "token_endpoint_auth"),
            (Endpoint::Revoke, "revocation_endpoint_auth"),
            (Endpoint::Introspect, "introspection_endpoint_auth"),
        ] {
            if !rules.serves(endpoint) {
                continue;
            }
            // Who asks about a token has to prove something.
            let is_taken =
                |one: &AuthMethod| endpoint != Endpoint::Introspect || *one != AuthMethod::None;
            let methods = self.methods().filter(is_taken).map(AuthMethod::as_str);
            push(&mut members, &[name, "_methods_supported"].concat(), texts(methods));
            if signed {
                let name = [name, "_signing_alg_values_supported"].concat();
                push(&mut members, &name, known_algorithms());
            }
        }
        push(&mut members, "dpop_signing_alg_values_supported", known_algorithms());
        let by_certificate = Value::Bool(rules.mutual_tls);
        push(&mut members, "tls_client_certificate_bound_access_tokens", by_certificate);
        if has_code {
            self.push_code(&mut members);
        }
        members
    }

    /// What goes with the authorization endpoint.
    fn push_code(&self, members: &mut Members) {
        let rules = self.rules;
        let may_refresh = rules.grants(GrantType::RefreshToken);
        let identity =
            IDENTITY_SCOPES.into_iter().filter(|name| may_refresh || *name != OFFLINE_ACCESS);
        let scopes = identity.chain(rules.scopes.names().iter().map(String::as_str));
        push(members, "scopes_supported", texts(scopes));
        push(members, "response_modes_supported", texts(["query"]));
        push(members, "code_challenge_methods_supported", texts([CHALLENGE_METHOD]));
        push(members, "authorization_response_iss_parameter_supported", Value::Bool(true));
        push(members, "require_pushed_authorization_requests", Value::Bool(rules.require_par));
    }

    fn methods(&self) -> impl Iterator<Item = AuthMethod> {
        AuthMethod::ALL.into_iter().filter(|method| self.rules.takes(*method))
    }

    fn url(&self, endpoint: Endpoint) -> Value {
        Value::String(self.rules.url(endpoint))
    }
}

/// Host and port of a URL; none of a URI that has neither.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?']).next().filter(|authority| !authority.is_empty())
}

/// Path and query of a URL, as they are inserted: without a slash that stands alone.
fn path_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let path = rest.get(at..)?;
    Some(if path == "/" { "" } else { path })
}

const fn member_of(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Authorize => "authorization_endpoint",
        Endpoint::Token => "token_endpoint",
        Endpoint::Jwks => "jwks_uri",
        Endpoint::Userinfo => "userinfo_endpoint",
        Endpoint::EndSession => "end_session_endpoint",
        Endpoint::Revoke => "revocation_endpoint",
        Endpoint::Introspect => "introspection_endpoint",
        Endpoint::Register => "registration_endpoint",
        Endpoint::Par => "pushed_authorization_request_endpoint",
        Endpoint::Device => "device_authorization_endpoint",
    }
}

/// What clients may sign with: proofs, and assertions about themselves.
fn known_algorithms() -> Value {
    texts(Algorithm::ALL.map(Algorithm::as_str))
}

fn push(members: &mut Members, name: &str, value: Value) {
    members.push((name.to_owned(), value));
}

fn texts<'a>(items: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Array(items.into_iter().map(|item| Value::String(item.to_owned())).collect())
}

#[cfg(test)]
mod tests;

//! What of a client operators say, and what a client has to be. A record is judged as a whole,
//! after a change as when it is made: no order of changes leads to one that could not be made.

use std::borrow::Cow;

use postern_jose::{Algorithm, KeySet};
use postern_oauth::{AuthMethod, Client, GrantType, RedirectUri, ScopeSet, is_resource};
use postern_request::json::{self, Value};
use postern_store::durable::{ClientKind, ClientRecord};

use super::check_text;
use crate::{IdentityError, MAX_LIFETIME_SECS};

/// Most addresses of one kind, and most other clients, that one client names.
const MAX_LIST: usize = 32;
/// Longest key set that is kept in a client's record, in bytes.
const MAX_JWKS_BYTES: usize = 8192;
/// How long refresh tokens may live, in seconds: a minute to a year.
const REFRESH_LIFETIME: std::ops::RangeInclusive<u64> = 60..=31_536_000;
/// Most characters of a value that are repeated where it is refused.
const MAX_SHOWN: usize = 120;
/// Members of a JWK that only its owner may have (RFC 7518 §6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// What is said of a client; what is none stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientEdit {
    /// What people call it.
    pub name: Option<String>,
    /// What it may ask for.
    pub scopes: Option<ScopeSet>,
    /// How it may ask.
    pub grant_types: Option<Vec<GrantType>>,
    /// Where codes are sent.
    pub redirect_uris: Option<Vec<String>>,
    /// Where browsers may go after log-out.
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// How it proves who it is.
    pub auth_method: Option<AuthMethod>,
    /// Whether people are asked.
    pub require_consent: Option<bool>,
    /// Whether its authorization requests must be pushed.
    pub require_par: Option<bool>,
    /// Whether its tokens are always bound to a key.
    pub bind_dpop: Option<bool>,
    /// How long its access tokens live, in seconds.
    pub access_token_lifetime_secs: Option<u64>,
    /// How long its refresh tokens live, in seconds.
    pub refresh_token_lifetime_secs: Option<u64>,
    /// Its own keys, as a JWK Set in JSON, or none any more.
    pub jwks: Option<Option<String>>,
    /// Where its keys are, or nowhere any more.
    pub jwks_uri: Option<Option<String>>,
    /// Which certificate is its own, or none any more.
    pub tls_subject: Option<Option<String>>,
    /// Where its tokens may be for; everywhere when it is empty.
    pub resources: Option<Vec<String>>,
    /// Resources for which it may ask about tokens of others, or `*`.
    pub may_introspect: Option<Vec<String>>,
    /// Clients for whose users it may act, or `*`.
    pub may_act_for: Option<Vec<String>>,
    /// What its ID tokens are signed with.
    pub id_token_alg: Option<Algorithm>,
    /// Its pages.
    pub links: ClientLinks,
    /// Whether it may do anything at all.
    pub is_active: Option<bool>,
}

/// Pages of a client that people are shown; what is none stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientLinks {
    /// A picture, or none any more.
    pub logo_uri: Option<Option<String>>,
    /// Its home, or none any more.
    pub client_uri: Option<Option<String>>,
    /// What it does with data, or none any more.
    pub policy_uri: Option<Option<String>>,
}

impl ClientEdit {
    /// Changes a record; the names of what is different now.
    pub(super) fn apply(self, record: &mut ClientRecord) -> Vec<&'static str> {
        let mut changed = Vec::new();
        let mut set = Changes(&mut changed);
        set.to("name", &mut record.name, self.name);
        let scopes = self.scopes.map(|scopes| scopes.names().to_vec());
        set.to("scopes", &mut record.scopes, scopes);
        let grants = self
            .grant_types
            .map(|grants| grants.iter().map(|grant| grant.as_str().to_owned()).collect::<Vec<_>>());
        if let Some(grants) = &grants {
            let has_code = grants.iter().any(|name| name == GrantType::AuthorizationCode.as_str());
            record.response_types = if has_code { vec!["code".to_owned()] } else { Vec::new() };
        }
        set.to("grantTypes", &mut record.grant_types, grants);
        set.to("redirectUris", &mut record.redirect_uris, self.redirect_uris);
        let after_logout = self.post_logout_redirect_uris;
        set.to("postLogoutRedirectUris", &mut record.post_logout_redirect_uris, after_logout);
        let method = self.auth_method.map(|method| method.as_str().to_owned());
        set.to("authMethod", &mut record.auth_method, method);
        set.to("requireConsent", &mut record.require_consent, self.require_consent);
        set.to("requirePar", &mut record.require_par, self.require_par);
        set.to("bindDpop", &mut record.bind_dpop, self.bind_dpop);
        let lifetime = self.access_token_lifetime_secs;
        set.to("accessTokenLifetime", &mut record.access_token_lifetime_secs, lifetime);
        let lifetime = self.refresh_token_lifetime_secs;
        set.to("refreshTokenLifetime", &mut record.refresh_token_lifetime_secs, lifetime);
        set.to("jwks", &mut record.jwks, self.jwks);
        set.to("jwksUri", &mut record.jwks_uri, self.jwks_uri);
        set.to("tlsSubject", &mut record.tls_subject, self.tls_subject);
        set.to("resources", &mut record.resources, self.resources);
        set.to("mayIntrospect", &mut record.may_introspect, self.may_introspect);
        set.to("mayActFor", &mut record.may_act_for, self.may_act_for);
        let algorithm = self.id_token_alg.map(|algorithm| algorithm.as_str().to_owned());
        set.to("idTokenAlg", &mut record.id_token_alg, algorithm);
        set.to("logoUri", &mut record.logo_uri, self.links.logo_uri);
        set.to("clientUri", &mut record.client_uri, self.links.client_uri);
        set.to("policyUri", &mut record.policy_uri, self.links.policy_uri);
        set.to("isActive", &mut record.is_active, self.is_active);
        changed
    }
}

/// Sets what is another value, and keeps its name.
struct Changes<'a>(&'a mut Vec<&'static str>);

impl Changes<'_> {
    fn to<T: PartialEq>(&mut self, name: &'static str, place: &mut T, value: Option<T>) {
        if let Some(value) = value.filter(|value| *value != *place) {
            *place = value;
            self.0.push(name);
        }
    }
}

/// Whether a client could be one.
pub(super) fn judge(record: &ClientRecord) -> Result<(), IdentityError> {
    check_text("name", &record.name)?;
    judge_grants(record)?;
    judge_addresses(record)?;
    judge_method(record)?;
    judge_reach(record)?;
    if !(1..=MAX_LIFETIME_SECS).contains(&record.access_token_lifetime_secs) {
        return Err(invalid("access token lifetime", "it must be 1 to 86400 seconds"));
    }
    if !REFRESH_LIFETIME.contains(&record.refresh_token_lifetime_secs) {
        return Err(invalid("refresh token lifetime", "it must be 60 to 31536000 seconds"));
    }
    if !["RS256", "ES256", "EdDSA"].contains(&record.id_token_alg.as_str()) {
        return Err(invalid("ID token algorithm", "it must be RS256, ES256 or EdDSA"));
    }
    Ok(())
}

/// What it may do with tokens of others.
fn judge_reach(record: &ClientRecord) -> Result<(), IdentityError> {
    const RESOURCES: &str = "at most 32 absolute URIs without a fragment, or *";
    let is_client = |id: &String| {
        !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if record.may_act_for.len() > MAX_LIST || !record.may_act_for.iter().all(is_client) {
        return Err(invalid("clients to act for", "at most 32 ids of clients, or *"));
    }
    let is_audience = |name: &String| name == Client::ALL || is_resource(name);
    if record.may_introspect.len() > MAX_LIST || !record.may_introspect.iter().all(is_audience) {
        return Err(invalid("resources to introspect for", RESOURCES));
    }
    Ok(())
}

fn judge_grants(record: &ClientRecord) -> Result<(), IdentityError> {
    let has = |grant: GrantType| record.grant_types.iter().any(|name| name == grant.as_str());
    if record.grant_types.is_empty() {
        return Err(invalid("grant types", "a client without one can do nothing"));
    }
    let of_its_own = [GrantType::ClientCredentials, GrantType::TokenExchange];
    if record.kind == ClientKind::Public && of_its_own.into_iter().any(has) {
        let reason = "a public client, which can prove nothing, has no client_credentials and no \
                      token exchange";
        return Err(invalid("grant types", reason));
    }
    if has(GrantType::AuthorizationCode) && record.redirect_uris.is_empty() {
        return Err(invalid("redirect URIs", "without one, no code could be sent anywhere"));
    }
    Ok(())
}

fn judge_addresses(record: &ClientRecord) -> Result<(), IdentityError> {
    const WEB: &str = "an https URL without a fragment, or http on 127.0.0.1 or [::1]";
    judge_redirect_uris("redirect URIs", &record.redirect_uris)?;
    judge_redirect_uris("URIs after log-out", &record.post_logout_redirect_uris)?;
    if record.resources.len() > MAX_LIST || !record.resources.iter().all(|uri| is_web(uri)) {
        return Err(invalid("resources", WEB));
    }
    let pages = [
        ("JWKS URI", &record.jwks_uri),
        ("logo URI", &record.logo_uri),
        ("client URI", &record.client_uri),
        ("policy URI", &record.policy_uri),
    ];
    for (what, uri) in pages {
        if !uri.as_deref().is_none_or(is_web) {
            return Err(invalid(what, WEB));
        }
    }
    Ok(())
}

/// Places to which browsers are sent; the first that cannot be one is named, with the rule.
pub(super) fn judge_redirect_uris(
    what: &'static str,
    uris: &[String],
) -> Result<(), IdentityError> {
    if uris.len() > MAX_LIST {
        return Err(invalid(what, "at most 32"));
    }
    for uri in uris {
        if let Err(error) = RedirectUri::parse(uri) {
            return Err(invalid(what, format!("`{}`: {error}", shown(uri))));
        }
    }
    Ok(())
}

/// So much of a text that it is found again, without what moves a terminal's cursor, and without
/// what stands before an `@`, which may be a password.
fn shown(text: &str) -> String {
    let without_user = text.split_once("://").and_then(|(scheme, rest)| {
        let (_, host) = rest.rsplit_once('@')?;
        Some([scheme, "://…@", host].concat())
    });
    let kept = without_user.unwrap_or_else(|| text.to_owned());
    let mut shown: String = kept.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if kept.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// What redirect URIs may be besides private schemes is what a page may be.
fn is_web(uri: &str) -> bool {
    uri.starts_with("http") && RedirectUri::parse(uri).is_ok()
}

fn judge_method(record: &ClientRecord) -> Result<(), IdentityError> {
    const WHAT: &str = "authentication method";
    let method = AuthMethod::parse(&record.auth_method)
        .ok_or_else(|| invalid(WHAT, "there is no such method"))?;
    match (record.kind, method) {
        (ClientKind::Public, AuthMethod::None) => {}
        (ClientKind::Public, _) => return Err(invalid(WHAT, "a public client has none")),
        (ClientKind::Confidential, AuthMethod::None) => {
            return Err(invalid(WHAT, "a confidential client has one"));
        }
        (ClientKind::Confidential, _) => {}
    }
    if let Some(jwks) = &record.jwks {
        judge_keys(jwks)?;
    }
    if record.jwks.is_some() && record.jwks_uri.is_some() {
        return Err(invalid("JWKS", "say either the keys or where they are"));
    }
    if method == AuthMethod::PrivateKeyJwt && record.jwks.is_none() && record.jwks_uri.is_none() {
        return Err(invalid("JWKS", "private_key_jwt takes keys, or where they are"));
    }
    if let Some(subject) = &record.tls_subject {
        check_text("TLS subject", subject)?;
        let is_known = ["dns:", "uri:", "sha256:"]
            .into_iter()
            .any(|kind| subject.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()));
        if !is_known {
            return Err(invalid("TLS subject", "it is dns:NAME, uri:URI or sha256:HASH"));
        }
    }
    if method.is_by_certificate() && record.tls_subject.is_none() {
        return Err(invalid("TLS subject", "authentication by certificate takes one"));
    }
    Ok(())
}

/// A JWK Set in which every key can be used, and none is a private one.
fn judge_keys(jwks: &str) -> Result<(), IdentityError> {
    const FORM: &str = "it must be a JWK Set of at most 8192 bytes, with public keys that can be \
                        used";
    let set = KeySet::parse(jwks.as_bytes()).map_err(|_| invalid("JWKS", FORM))?;
    if jwks.len() > MAX_JWKS_BYTES || set.keys.is_empty() || !set.skipped.is_empty() {
        return Err(invalid("JWKS", FORM));
    }
    let value = json::parse(jwks.as_bytes()).map_err(|_| invalid("JWKS", FORM))?;
    let keys = value.get("keys").and_then(Value::as_array).unwrap_or_default();
    let is_private = |key: &Value| PRIVATE_MEMBERS.iter().any(|name| key.get(name).is_some());
    if keys.iter().any(is_private) {
        return Err(invalid("JWKS", "it holds a private key, which only its owner may have"));
    }
    Ok(())
}

fn invalid(what: &'static str, reason: impl Into<Cow<'static, str>>) -> IdentityError {
    IdentityError::invalid(what, reason)
}

#[cfg(test)]
mod tests;

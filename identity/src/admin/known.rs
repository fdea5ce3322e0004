//! What a document knows of what clients and API keys are given. What it does not know is never
//! granted, or opens nothing: mostly somebody has mistyped it.

use postern_document::{Auth, Document, OAuthGrant};
use postern_oauth::{GrantType, ScopeSet};

use crate::oauth::OAuthRules;

/// Scopes that no client is ever granted; none where the document does not say which there are.
#[must_use]
pub fn scopes_never_granted(document: &Document, scopes: &ScopeSet) -> Vec<String> {
    let Some(oauth) = &document.oauth else { return Vec::new() };
    scopes.names().iter().filter(|name| !oauth.knows_scope(name)).cloned().collect()
}

/// Scopes that the document neither names nor asks for anywhere. API keys and tokens that are made
/// by hand are granted nothing, so that what a route asks for is enough.
#[must_use]
pub fn scopes_nobody_knows(document: &Document, scopes: &ScopeSet) -> Vec<String> {
    let is_granted =
        |name: &str| document.oauth.as_ref().is_some_and(|oauth| oauth.knows_scope(name));
    let is_asked_for = |name: &str| {
        document.routes.iter().any(|route| match &route.auth {
            Auth::Rules { scopes, .. } => scopes.iter().any(|scope| scope == name),
            Auth::None => false,
        })
    };
    let is_unknown = |name: &&String| !is_granted(name) && !is_asked_for(name);
    scopes.names().iter().filter(is_unknown).cloned().collect()
}

/// Grants by which the document lets nobody have tokens, as it would spell them.
#[must_use]
pub fn grants_left_out(document: &Document, grants: &[GrantType]) -> Vec<&'static str> {
    let issuer = document.issuer.as_deref().unwrap_or_default();
    let granted = OAuthRules::of(issuer, document.oauth.as_ref()).server.grants;
    grants.iter().filter(|grant| !granted.contains(grant)).map(|grant| spelt(*grant)).collect()
}

const fn spelt(grant: GrantType) -> &'static str {
    match grant {
        GrantType::DeviceCode => OAuthGrant::DeviceCode.as_str(),
        GrantType::TokenExchange => OAuthGrant::TokenExchange.as_str(),
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(oauth: Option<serde_json::Value>) -> Document {
        let mut document = serde_json::json!({
            "version": 1,
            "issuer": "https://gate.test",
            "services": {"s": {"upstream": "h:1"}},
            "credentials": {"api_key": {}},
            "routes": [{"name": "a", "match": {"path": "/a"}, "service": "s",
                        "auth": {"any": ["api_key"], "scopes": ["orders.read"]}}],
        });
        if let Some(oauth) = oauth {
            document["oauth"] = oauth;
        }
        postern_document::from_json(document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_scope_is_known_where_it_is_granted_or_asked_for() {
        let with = document(Some(serde_json::json!({"scopes": {"wiki.read": "Read"}})));
        let scopes = ScopeSet::parse("openid wiki.read orders.read wiki.raed").unwrap();
        assert_eq!(scopes_never_granted(&with, &scopes), ["orders.read", "wiki.raed"]);
        assert_eq!(scopes_nobody_knows(&with, &scopes), ["wiki.raed"]);
        let without = document(None);
        assert!(scopes_never_granted(&without, &scopes).is_empty());
        let expected = ["openid", "wiki.read", "wiki.raed"];
        assert_eq!(scopes_nobody_knows(&without, &scopes), expected);
    }

    #[test]
    fn a_grant_is_left_out_where_the_document_does_not_name_it() {
        let all = GrantType::ALL;
        for (oauth, expected) in [
            (None, vec!["authorization_code", "refresh_token", "device_code", "token_exchange"]),
            (
                Some(serde_json::json!({"grants": ["client_credentials", "token_exchange"]})),
                vec!["authorization_code", "refresh_token", "device_code"],
            ),
        ] {
            assert_eq!(grants_left_out(&document(oauth), &all), expected);
        }
        let exchange = [GrantType::TokenExchange];
        let by_default = document(Some(serde_json::json!({})));
        assert_eq!(grants_left_out(&by_default, &exchange), ["token_exchange"]);
    }
}

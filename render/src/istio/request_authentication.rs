//! RequestAuthentication: Istio verifies tokens as well, where somebody asks for it.
//!
//! Only in front of workloads that guard themselves and all of whose routes take tokens: Istio
//! refuses every request with a token that it does not know, also where a route would not have
//! looked at it. istiod fetches keys every twenty minutes, so a token with a new key is refused
//! until then, unless the key was published before it was used for so long.
//!
//! It sees what the bundle has left: `authorization` and other headers. Tokens in cookies, queries
//! and subprotocols have been taken out before.

use postern_document::{Document, JwksSource, JwtIssuer, TokenPlace, from_json};
use postern_request::headers;
use postern_request::principal::Credential;
use serde_json::{Value, json};

use super::destinations::OWN_SERVICE;
use super::resource::{self, set};
use super::{Context, Placed, RenderError, Rendering, RequestAuth};

pub(super) fn resources(rendering: &Rendering<'_>) -> Result<Vec<Value>, RenderError> {
    if rendering.options.request_authentication == RequestAuth::Off {
        return Ok(Vec::new());
    }
    let verified = rendering.guards().filter(|placed| takes_tokens_alone(placed));
    verified.map(|placed| resource(rendering, placed)).collect()
}

/// Whether every request that comes by has to do with tokens.
pub(super) fn takes_tokens_alone(placed: &Placed<'_>) -> bool {
    placed.context == Context::SidecarInbound
        && placed.routes.iter().all(|route| route.auth.accepts(Credential::Jwt))
}

fn resource(rendering: &Rendering<'_>, placed: &Placed<'_>) -> Result<Value, RenderError> {
    let text = rendering.document.filter_config_for(&placed.workload);
    let broken = |problem: String| RenderError::FilterConfig { problem };
    let configuration: Value =
        serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
    let narrowed =
        from_json(text.as_bytes()).map_err(|problems| broken(format!("{problems:?}")))?;
    let mut rules = Vec::with_capacity(narrowed.issuers.len());
    for (index, issuer) in narrowed.issuers.iter().enumerate() {
        let inline = format!("/document/credentials/jwt/issuers/{index}/jwks/inline");
        let inline = configuration.pointer(&inline).and_then(Value::as_str);
        rules.push(rule(placed, &narrowed, issuer, inline)?);
    }
    let mut spec = json!({});
    placed.attach.policy(&mut spec);
    set(&mut spec, "jwtRules", Value::Array(rules));
    let (document, name) = (rendering.document, placed.name(""));
    let kind = &resource::REQUEST_AUTHENTICATION;
    Ok(resource::manifest(document, kind, &placed.namespace, &name, spec))
}

fn rule(
    placed: &Placed<'_>,
    narrowed: &Document,
    issuer: &JwtIssuer,
    inline: Option<&str>,
) -> Result<Value, RenderError> {
    let name = &issuer.issuer.issuer;
    // The token goes on to the service, as it does without.
    let mut rule = json!({"issuer": name, "forwardOriginalToken": true});
    if !issuer.issuer.audiences.is_empty() {
        set(&mut rule, "audiences", json!(issuer.issuer.audiences));
    }
    let places = from_headers(narrowed);
    if !places.is_empty() {
        set(&mut rule, "fromHeaders", Value::Array(places));
    }
    match &issuer.jwks {
        JwksSource::Inline(_) => {
            let problem = || RenderError::FilterConfig {
                problem: format!("the keys of `{name}` are not where they should be"),
            };
            set(&mut rule, "jwks", json!(inline.ok_or_else(problem)?));
        }
        JwksSource::Uri { uri, .. } => set(&mut rule, "jwksUri", json!(uri)),
        // Nothing said: istiod finds the keys from the issuer's name. The suite answers that on its
        // public address; inside the mesh, istiod has no certificate to be let in with.
        JwksSource::Discovery { .. } => {}
        JwksSource::Service { service, .. } if service == OWN_SERVICE => {}
        JwksSource::Service { service, .. } => {
            return Err(RenderError::Workload {
                workload: placed.workload.clone(),
                problem: format!(
                    "istiod, which is not in the mesh, cannot ask the service `{service}` for the \
                     keys of `{name}`, as --request-authentication has it do"
                ),
            });
        }
    }
    Ok(rule)
}

/// Where tokens stand once the bundle has seen them.
fn from_headers(narrowed: &Document) -> Vec<Value> {
    let mut places = Vec::new();
    for place in &narrowed.token_places {
        match place {
            TokenPlace::Authorization => {
                places.push(json!({"name": headers::AUTHORIZATION, "prefix": "Bearer "}));
                if narrowed.bound.dpop.is_some() {
                    places.push(json!({"name": headers::AUTHORIZATION, "prefix": "DPoP "}));
                }
            }
            TokenPlace::Header(name) => places.push(json!({"name": name})),
            TokenPlace::Cookie(_) | TokenPlace::Query(_) | TokenPlace::WebSocketProtocol(_) => {}
        }
    }
    places
}

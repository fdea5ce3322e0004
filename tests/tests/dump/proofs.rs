//! Tokens that are bound to a key (DPoP), and the proofs that came with them: each was remembered.

use postern_e2e::client::Call;
use postern_e2e::gateway::Gateway;
use postern_e2e::oauth;
use serde_json::Value;

use super::everything::{EMAIL, SCOPE, text};
use super::secrets::Secrets;
use crate::kit::grants::claims;
use crate::kit::proof::Proof;

/// Gets tokens for a code and for a refresh token, and uses one.
pub async fn bound_tokens(gateway: &Gateway, secrets: &mut Secrets) {
    let app = oauth::app(gateway, SCOPE, &[]).await;
    let code = oauth::code(&mut gateway.browser(), &app, SCOPE, EMAIL).await;
    secrets.saw("code for a key", &code);
    let proof = of_tokens(gateway, secrets);
    let first = oauth::token_call(&app.code(&code)).header("dpop", proof.as_str());
    let first = gateway.send(&first).await.expect(200).json();
    let refresh = saw_tokens(secrets, &first);
    // It is remembered from now on.
    let again = oauth::token_call(&app.refresh(&refresh)).header("dpop", proof);
    let refused = gateway.send(&again).await.expect(400).json();
    assert_eq!(refused["error"], "invalid_dpop_proof", "{refused}");
    secrets.knows("postern:dpop:jti:");

    let proof = of_tokens(gateway, secrets);
    let second = oauth::token_call(&app.refresh(&refresh)).header("dpop", proof);
    let second = gateway.send(&second).await.expect(200).json();
    saw_tokens(secrets, &second);
    used(gateway, secrets, &text(&second, "access_token")).await;
}

/// Asks who somebody is, once.
async fn used(gateway: &Gateway, secrets: &mut Secrets, token: &str) {
    const PATH: &str = "/oauth2/userinfo";
    let proof = Proof::of("GET", &format!("{}{PATH}", gateway.issuer()), token).sign();
    saw_proof(secrets, &proof);
    let call = Call::get(PATH).header("authorization", format!("DPoP {token}"));
    let call = call.header("dpop", proof);
    gateway.send(&call).await.expect(200);
    gateway.send(&call).await.expect(401);
}

/// A proof for the token endpoint.
fn of_tokens(gateway: &Gateway, secrets: &mut Secrets) -> String {
    let url = format!("{}/oauth2/token", gateway.issuer());
    let proof = Proof::of_request("POST", &url).sign();
    saw_proof(secrets, &proof);
    proof
}

fn saw_proof(secrets: &mut Secrets, proof: &str) {
    secrets.saw_token("proof", proof);
    secrets.saw("id of a proof", &text(&claims(proof), "jti"));
}

/// The refresh token.
fn saw_tokens(secrets: &mut Secrets, tokens: &Value) -> String {
    assert_eq!(tokens["token_type"], "DPoP", "{tokens}");
    secrets.saw_token("access token for a key", &text(tokens, "access_token"));
    let refresh = text(tokens, "refresh_token");
    secrets.saw("refresh token for a key", refresh.trim_start_matches("rt_"));
    refresh
}

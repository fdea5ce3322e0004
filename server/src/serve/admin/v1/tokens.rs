//! `/admin/v1/tokens`

use std::sync::Arc;

use postern_identity::IdentityError;
use postern_request::UnixMillis;

use super::Api;
use super::call::{Call, Reply};
use super::dto;
use super::refusal::Refusal;
use crate::revoking;
use crate::serve::admin::token::AdminTokens;

/// The longest text that is looked at, in characters.
const MAX_TOKEN: usize = 12_000;

pub(super) async fn inspect(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let body: dto::TokenText = call.body()?;
    let text = checked(&body)?;
    let tokens = tokens(&api)?;
    let verified = match tokens.inspect(text, call.now) {
        Ok(verified) => verified,
        Err(error) => {
            let reason = Some(error.to_string());
            return Ok(Reply::one(&dto::InspectedToken { reason, ..Default::default() }));
        }
    };
    let is_revoked = tokens.is_revoked(&verified, call.now);
    let principal = verified.principal();
    Ok(Reply::one(&dto::InspectedToken {
        active: !is_revoked,
        reason: is_revoked.then(|| "it was revoked".to_owned()),
        subject: Some(principal.subject.clone()),
        client_id: principal.client_id.clone(),
        scopes: principal.scopes.clone(),
        audiences: verified.claims.audiences.clone(),
        expires_at: Some(moment(verified.claims.expires_at)),
        token_id: verified.claims.token_id.clone(),
        kid: verified.key_id.clone(),
        session_id: principal.session.clone(),
        role: principal.role.clone(),
        tier: principal.tier.clone(),
    }))
}

/// As the specification says of it.
fn checked(body: &dto::TokenText) -> Result<&str, Refusal> {
    if (1..=MAX_TOKEN).contains(&body.token.chars().count()) {
        return Ok(&body.token);
    }
    Err(Refusal::invalid("token", "it must be 1 to 12000 characters"))
}

/// Whoever may revoke may revoke anything: whether the token still holds does not matter.
pub(super) async fn revoke(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let body: dto::TokenText = call.body()?;
    let text = checked(&body)?;
    let tokens = tokens(&api)?;
    let revocation = revoking::of_token(text, call.now)
        .map_err(|error| Refusal::invalid("token", error.to_string()))?;
    if revocation.issuer() != tokens.issuer() {
        let message = "it is of another issuer: revoke it by /admin/revocations";
        return Err(Refusal::invalid("token", message));
    }
    let expires_at = revocation.expires_at().saturating_sub(revoking::AFTER_EXPIRY_SECS);
    let token_id = revocation.value();
    api.operators.revoke_token(token_id, expires_at, &call.by, call.now).await?;
    Ok(Reply::one(&dto::RevokedToken {
        token_id: token_id.to_owned(),
        expires_at: moment(expires_at),
    }))
}

fn tokens(api: &Api) -> Result<&AdminTokens, Refusal> {
    const WHY: &str = "the document names no `issuer` whose tokens these could be";
    api.tokens.as_deref().ok_or_else(|| IdentityError::NotHere(WHY).into())
}

fn moment(secs: u64) -> String {
    UnixMillis(secs.saturating_mul(1000)).to_rfc3339()
}

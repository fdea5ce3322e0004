//! `/admin/v1/sessions`

use std::sync::Arc;

use postern_identity::IdentityError;

use super::Api;
use super::call::{Call, Reply};
use super::dto;
use super::refusal::Refusal;

const WHAT: &str = "session";

pub(super) async fn show(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let session = api.operators.session(call.uuid(0, WHAT)?, call.now).await?;
    Ok(Reply::one(&dto::Session::from(session)))
}

/// Tokens of a session that is not known are revoked all the same.
pub(super) async fn end(api: Arc<Api>, call: Call) -> Result<Reply, Refusal> {
    let id = call.uuid(0, WHAT)?;
    if !api.operators.end_session(id, &call.by, call.now).await? {
        return Err(IdentityError::NotFound(WHAT).into());
    }
    Ok(Reply::one(&dto::Ended { ended: 1 }))
}

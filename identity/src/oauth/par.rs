//! Pushed authorization requests (RFC 9126).

use postern_oauth::{Endpoint, OAuthError, PushedRequest, pushed};
use postern_request::UnixMillis;

use super::proof::Proven;
use super::service::Asker;
use super::{OAuthService, TokenCall};

impl OAuthService {
    /// Keeps a request for the browser that will bring its name: the body of the answer.
    ///
    /// # Errors
    /// Why it is not kept. What the authorization endpoint would refuse is refused here.
    pub async fn push(&self, call: TokenCall<'_>, now: UnixMillis) -> Result<String, OAuthError> {
        let request = PushedRequest::parse(
            call.authorization,
            call.content_type,
            call.body,
            call.certificate,
        )?;
        let asker = Asker { endpoint: Endpoint::Par, address: call.address };
        let known = self.client(request.client(), asker, now).await?;
        let proven = Proven { method: "POST", endpoint: Endpoint::Par, access_token: None };
        let key = self.proof(call.dpop, proven, now).await?;
        let kept = request.decide(&known.client, key, &self.rules().server, now)?;
        Ok(pushed(&self.keep(&kept, now).await?))
    }
}

//! Pushed authorization requests (RFC 9126).

use postern_oauth::{ClientKind, Endpoint, KeptRequest, OAuthError, PushedRequest, pushed};
use postern_request::UnixMillis;
use postern_store::durable::ClientOrigin;

use super::proof::Proven;
use super::service::Asker;
use super::{OAuthService, TokenCall};

/// A request that may be kept.
#[derive(Debug)]
pub struct Pushing {
    kept: KeptRequest,
    /// Whether anybody could have sent it: a client without a proof did, or one that anybody could
    /// have registered.
    pub by_anybody: bool,
}

impl OAuthService {
    /// Judges a request that a client wants to be kept.
    ///
    /// # Errors
    /// Why it is not kept. What the authorization endpoint would refuse is refused here.
    pub async fn push(&self, call: TokenCall<'_>, now: UnixMillis) -> Result<Pushing, OAuthError> {
        let request = PushedRequest::parse(
            call.authorization,
            call.content_type,
            call.body,
            call.certificate,
        );
        let request = match request {
            Ok(request) => request,
            Err(error) => return Err(self.unread(call, Endpoint::Par, error, now).await),
        };
        let asker = Asker { endpoint: Endpoint::Par, address: call.address };
        let known = self.client(request.client(), asker, now).await?;
        let proven = Proven { method: "POST", endpoint: Endpoint::Par, access_token: None };
        let key = self.proof(call.dpop, proven, now).await?;
        let kept = request.decide(&known.client, key, &self.rules().server, now)?;
        let is_registered = matches!(known.record.origin, ClientOrigin::Registered { .. });
        let by_anybody = is_registered || known.client.kind == ClientKind::Public;
        Ok(Pushing { kept, by_anybody })
    }

    /// Keeps a request for the browser that will bring its name: the body of the answer.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn keep_pushed(
        &self,
        pushing: &Pushing,
        now: UnixMillis,
    ) -> Result<String, OAuthError> {
        Ok(pushed(&self.keep(&pushing.kept, now).await?))
    }
}

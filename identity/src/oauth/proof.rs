//! Proofs of possession at endpoints of ours (RFC 9449 §5, §7).

use postern_jose::dpop::{self, DpopRequest, LEEWAY_SECS, access_token_hash};
use postern_oauth::{Endpoint, MAX_PROOF_AGE_SECS, OAuthError, TokenEndpointProof};
use postern_request::UnixMillis;
use postern_request::headers::Single;
use postern_store::ReplayKey;

use super::OAuthService;
use crate::AwsLcVerifier;

/// How long one is remembered: from [`LEEWAY_SECS`] before its moment until as much after its
/// greatest age, and a little more for replicas' clocks.
const KEEP_MS: u64 = (MAX_PROOF_AGE_SECS + 2 * LEEWAY_SECS + 5) * 1000;

/// The request that a proof came with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proven<'a> {
    pub(super) method: &'a str,
    pub(super) endpoint: Endpoint,
    /// The access token in the request; none at the token endpoint.
    pub(super) access_token: Option<&'a str>,
}

impl OAuthService {
    /// The thumbprint of the key that a request proves to hold; none where there is no proof.
    ///
    /// The URL is that of the issuer, never what the request says in its `host`: whoever calls us
    /// by another name could be somebody who got the proof from its maker.
    ///
    /// # Errors
    /// `invalid_dpop_proof` for one that does not hold or was shown before, and
    /// `temporarily_unavailable` where that cannot be said.
    pub(super) async fn proof(
        &self,
        proof: Single<'_>,
        request: Proven<'_>,
        now: UnixMillis,
    ) -> Result<Option<[u8; 32]>, OAuthError> {
        let Some(proof) = TokenEndpointProof::parse(proof)? else { return Ok(None) };
        let url = self.rules().server.url(request.endpoint);
        let request = DpopRequest {
            method: request.method,
            url: &url,
            access_token_hash: request
                .access_token
                .map(|token| access_token_hash(token.as_bytes())),
            nonces: &[],
            now,
            max_age_secs: MAX_PROOF_AGE_SECS,
            leeway_secs: LEEWAY_SECS,
        };
        // The key is the client's choice: remembering it would be, too.
        let mut verifier = AwsLcVerifier::without_memory();
        let proof = dpop::verify(proof.as_str(), &request, &mut verifier).map_err(|error| {
            tracing::debug!(reason = error.reason(), "a proof of possession does not hold");
            TokenEndpointProof::refused(error)
        })?;
        let seen = self.replays.remember_once(ReplayKey(proof.jti_hash), KEEP_MS, now).await;
        match seen {
            Ok(true) => Ok(Some(proof.thumbprint)),
            Ok(false) => Err(OAuthError::invalid_dpop_proof()),
            Err(error) => {
                tracing::warn!(%error, "a proof of possession cannot be remembered");
                Err(OAuthError::unavailable())
            }
        }
    }
}

//! Clients that sign who they are (RFC 7523 §2.2, §3).

use postern_jose::{CompactJws, TokenError};
use postern_oauth::{AssertionFacts, AuthMethod, Endpoint, OAuthError, assertion_claims};
use postern_request::UnixMillis;
use postern_store::ReplayKey;

use super::OAuthService;
use super::service::store_failed;
use crate::clients::KnownClient;
use crate::{AwsLcVerifier, random};

/// How much longer one is remembered than it is good, for clocks of replicas that differ.
const LONGER_MS: u64 = 10_000;
/// Sets what is remembered here apart from proofs of possession, which are kept beside it.
const LABEL: &[u8] = b"postern:client-assertion:1";

impl OAuthService {
    /// What an assertion says, where it is its client's own and was not shown before; none of
    /// every other one. It may be made for the issuer, for the token endpoint, or for the
    /// endpoint that it is shown to (RFC 9126 §2).
    ///
    /// # Errors
    /// Those of the volatile store and of what the client's keys are fetched from: nobody knows
    /// then.
    pub(super) async fn assertion(
        &self,
        assertion: &str,
        known: &KnownClient,
        endpoint: Endpoint,
        now: UnixMillis,
    ) -> Result<Option<AssertionFacts>, OAuthError> {
        let client = &known.client;
        if client.auth_method != AuthMethod::PrivateKeyJwt || !client.is_active {
            return Ok(None);
        }
        let rules = self.rules();
        let (token, here) = (rules.server.url(Endpoint::Token), rules.server.url(endpoint));
        let audiences = [rules.server.issuer.as_str(), token.as_str(), here.as_str()];
        let Ok(facts) = assertion_claims(assertion, &client.client_id, &audiences, now) else {
            return Ok(None);
        };
        let Ok(jws) = CompactJws::parse(assertion) else { return Ok(None) };
        let keys = self.client_keys.of(&known.record, jws.key_id.as_deref(), now).await?;
        let Some(keys) = keys else { return Ok(None) };
        // Keys are the client's choice: remembering them would be, too.
        let mut verifier = AwsLcVerifier::without_memory();
        match jws.verified_by(&keys.set, &mut verifier) {
            Ok(_) => {}
            Err(TokenError::Unverified(_)) => return Err(OAuthError::unavailable()),
            Err(_) => return Ok(None),
        }
        let left_ms = facts.expires_at.saturating_mul(1000).saturating_sub(now.0);
        let id = random::sha256(&[LABEL, facts.jti_hash.as_slice()].concat());
        let keep_ms = left_ms.saturating_add(LONGER_MS);
        let is_first = self.replays.remember_once(ReplayKey(id.0), keep_ms, now).await;
        let is_first = is_first.map_err(|error| store_failed(&error))?;
        Ok(is_first.then_some(facts))
    }
}

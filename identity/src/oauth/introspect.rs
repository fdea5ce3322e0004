//! What a token is (RFC 7662).
//!
//! Resource servers ask this for every request that they get, so an access token is verified once,
//! and what is to be said of it is written once. Whether it is good is judged every time: by its
//! end, by what was revoked since (it, its session, its subject, its client, its key), and by
//! whether its key is published still. So is whether it is the business of who asks: what is
//! remembered of a token says whom it is for. No store is asked for that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use postern_jose::{Freshness, VerifiedToken};
use postern_oauth::{
    Client, Endpoint, FamilyGrant, INACTIVE, IntrospectionRequest, OAuthError, RefreshToken,
    active_access, active_refresh,
};
use postern_request::UnixMillis;

use super::issue::{family_key, presented};
use super::service::{Asker, store_failed};
use super::{OAuthService, TokenCall};
use crate::random;

/// Most tokens that are remembered.
const MOST_REMEMBERED: usize = 10_000;
/// Callers at the same time seldom wait for each other.
const SHARDS: usize = 16;

/// A token that was verified, and what is told of it while it is good.
struct Known {
    token: VerifiedToken,
    answer: String,
}

/// Some of the tokens, by their SHA-256.
type Shard = Mutex<HashMap<[u8; 32], Arc<Known>>>;

/// Tokens that were verified.
#[derive(Default)]
pub(crate) struct Introspected {
    shards: [Shard; SHARDS],
}

impl Introspected {
    fn shard(&self, hash: &[u8; 32]) -> Option<&Shard> {
        self.shards.get(usize::from(*hash.first()?) % SHARDS)
    }

    fn find(&self, hash: &[u8; 32]) -> Option<Arc<Known>> {
        let shard = self.shard(hash)?.lock().unwrap_or_else(PoisonError::into_inner);
        shard.get(hash).map(Arc::clone)
    }

    fn remember(&self, hash: [u8; 32], known: &Arc<Known>, now: UnixMillis) {
        let Some(shard) = self.shard(&hash) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= MOST_REMEMBERED / SHARDS {
            shard.retain(|_, known| known.token.freshness(0, now) == Freshness::Current);
        }
        if shard.len() >= MOST_REMEMBERED / SHARDS {
            // Starting over is simpler than age.
            shard.clear();
        }
        shard.insert(hash, Arc::clone(known));
    }
}

impl OAuthService {
    /// What a token is, for a client that may know: the body of the answer.
    ///
    /// # Errors
    /// Why the client may not ask, and those of the stores where it is a refresh token.
    pub async fn introspect(
        &self,
        call: TokenCall<'_>,
        now: UnixMillis,
    ) -> Result<String, OAuthError> {
        let request = IntrospectionRequest::parse(
            call.authorization,
            call.content_type,
            call.body,
            call.certificate,
        );
        let request = match request {
            Ok(request) => request,
            Err(error) => return Err(self.unread(call, Endpoint::Introspect, error, now).await),
        };
        let asker = Asker { endpoint: Endpoint::Introspect, address: call.address };
        let known = self.client(&request.client, asker, now).await?;
        known.client.check_introspects()?;
        let told = match RefreshToken::parse(request.token.expose()) {
            Some(token) => self.about_family(&token, &known.client, now).await?,
            None => self.about_access(request.token.expose(), &known.client, now),
        };
        self.grants.introspection(told.is_some());
        Ok(told.unwrap_or_else(|| INACTIVE.to_owned()))
    }

    fn about_access(&self, token: &str, client: &Client, now: UnixMillis) -> Option<String> {
        let hash = random::sha256(token.as_bytes()).0;
        let known = match self.introspected.find(&hash) {
            Some(known) => known,
            None => {
                let verified = self.issuer.inspect_bound(token, now).ok()?;
                let known = Arc::new(Known { token: verified, answer: active_access(token)? });
                self.introspected.remember(hash, &known, now);
                known
            }
        };
        let key = known.token.key_id.as_deref();
        let is_good = known.token.freshness(0, now) == Freshness::Current
            && key.is_none_or(|key| self.issuer.ring().publishes(key, now))
            && !self.revoked.is_revoked(&known.token, now);
        let owner = known.token.principal().client_id.as_deref();
        let may_know = client.may_know(owner, &known.token.claims.audiences);
        (is_good && may_know).then(|| known.answer.clone())
    }

    /// Of a refresh token its own client alone is told anything: whoever else holds one should
    /// not find out that it is good.
    async fn about_family(
        &self,
        token: &RefreshToken,
        client: &Client,
        now: UnixMillis,
    ) -> Result<Option<String>, OAuthError> {
        let key = family_key(token);
        // Only looked at: asking what a token is must not end its family.
        let found = self.flows.look_family(key, presented(token), now).await;
        let found = found.map_err(|error| store_failed(&error))?;
        let family = found.as_deref().and_then(FamilyGrant::decode);
        let Some(family) = family.filter(|family| family.client_id == client.client_id) else {
            return Ok(None);
        };
        let record = self.store.find_family(key.to_bytes()).await;
        let record = record.map_err(|error| store_failed(&error))?;
        let lives = record.filter(|record| record.ended_at.is_none() && now < record.ends_at);
        let Some(record) = lives else { return Ok(None) };
        let session = self.flows.find_session(&family.session_id, now).await;
        let session = session.map_err(|error| store_failed(&error))?;
        let is_good = session.is_some_and(|session| {
            session.user_id == family.subject && !self.is_revoked(&session, now)
        });
        let (begun, ends) = (record.created_at.as_secs(), record.ends_at.as_secs());
        Ok(is_good.then(|| active_refresh(&family, self.issuer.issuer(), begun, ends)))
    }
}

#[cfg(test)]
mod tests {
    use postern_jose::{Claims, ClaimsRules};

    use super::*;

    fn known(expires_at: u64) -> Arc<Known> {
        let payload = format!(r#"{{"iss":"i","sub":"s","exp":{expires_at}}}"#);
        let claims = Claims::parse(payload.as_bytes(), &ClaimsRules::default()).unwrap();
        let token = VerifiedToken { issuer_index: 0, key_id: None, claims };
        Arc::new(Known { token, answer: String::new() })
    }

    fn hash(at: usize) -> [u8; 32] {
        // One shard alone.
        let mut hash = [0; 32];
        hash[24..].copy_from_slice(&at.to_be_bytes());
        hash
    }

    #[test]
    fn no_more_tokens_are_remembered_than_there_is_room_for() {
        let (room, now) = (MOST_REMEMBERED / SHARDS, UnixMillis(1_000_000));
        let introspected = Introspected::default();
        let held = || introspected.shards[0].lock().unwrap().len();
        for at in 0..room {
            let expires_at = if at == 0 { 2000 } else { 1001 };
            introspected.remember(hash(at), &known(expires_at), now);
        }
        assert_eq!(held(), room);
        introspected.remember(hash(room), &known(2000), UnixMillis(1_500_000));
        assert_eq!(held(), 2, "those that are over go first");
        assert!(introspected.find(&hash(0)).is_some() && introspected.find(&hash(1)).is_none());
        for at in 0..room {
            introspected.remember(hash(at), &known(2000), now);
        }
        assert!(held() <= room, "and if nothing is over, all of them");
        assert!(introspected.find(&hash(room - 1)).is_some(), "but for the last one");
    }
}

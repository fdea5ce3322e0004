//! Log-in on another device (RFC 8628): its codes, what its user says on our pages, and what it is
//! told when it asks.
//!
//! Neither code is kept. The device's has 256 random bits and is known by its hash; the user's has
//! 34, which somebody with a copy of the store could search, so it is known by a hash that takes a
//! key.

use std::sync::Arc;

use postern_oauth::{
    DeviceAnswer, DeviceExchange, DeviceRequest, DeviceStage, DeviceState, Endpoint, ErrorCode,
    OAuthError, Poll, UserCode,
};
use postern_request::UnixMillis;
use postern_store::flows::SessionRecord;
use postern_store::{FlowKey, FlowKind};

use super::authorize::facts;
use super::code::Beginning;
use super::issue::first_token;
use super::service::{Asker, failed, store_failed};
use super::{OAuthService, Shown, TokenAnswer, TokenCall};
use crate::clients::KnownClient;
use crate::random;
use crate::vault::Purpose;

/// How much longer than its codes a request is kept, so that the device can be told that its time
/// is over.
const TOLD_MS: u64 = 600_000;
/// How often something is tried again that somebody else was faster with: another user code that
/// is taken, a device that asks at this very moment.
const TRIES: usize = 32;

/// What a user is asked about a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAsk {
    /// What people call the client.
    pub client_name: String,
    /// What it would get: the scope, and what the document tells people of it.
    pub scopes: Vec<(String, String)>,
    /// Where it would use that (RFC 8707).
    pub resources: Vec<String>,
}

/// A device that waits for its user.
struct Waiting {
    user_code: FlowKey,
    device: FlowKey,
    kept: Vec<u8>,
    state: DeviceState,
    client: Arc<KnownClient>,
}

impl OAuthService {
    /// Begins: the body of the answer, with both codes.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn device(&self, call: TokenCall<'_>, now: UnixMillis) -> Result<String, OAuthError> {
        let request = DeviceRequest::parse(
            call.authorization,
            call.content_type,
            call.body,
            call.certificate,
        );
        let request = match request {
            Ok(request) => request,
            Err(error) => return Err(self.unread(call, Endpoint::Device, error, now).await),
        };
        let known = self
            .client(
                &request.client,
                Asker { endpoint: Endpoint::Device, address: call.address },
                now,
            )
            .await?;
        let rules = self.rules();
        let server = &rules.server;
        let state = request.decide(&known.client, server, now)?;
        let device_code = random::secret().map_err(|error| failed(&error))?;
        let key = FlowKey::of(FlowKind::Device, device_code.expose().as_bytes());
        let lives_ms = server.device.secs.saturating_mul(1000);
        // Before the other code, which leads here.
        let keep_ms = lives_ms.saturating_add(TOLD_MS);
        let put = self.flows.put(key, &state.encode(), keep_ms, now).await;
        if !put.map_err(|error| store_failed(&error))? {
            return Err(OAuthError::server_error());
        }
        let user_code = self.lend_user_code(key, lives_ms, now).await?;
        Ok(DeviceAnswer { device_code: &device_code, user_code: &user_code, server }.body())
    }

    /// A code that leads to this device until its time is over, and to no other one.
    async fn lend_user_code(
        &self,
        device: FlowKey,
        lives_ms: u64,
        now: UnixMillis,
    ) -> Result<UserCode, OAuthError> {
        for _ in 0..TRIES {
            let drawn = random::bytes::<32>().map_err(|error| failed(&error))?;
            let Some(code) = UserCode::from_random(drawn.as_slice()) else { continue };
            let key = self.user_code_key(&code)?;
            let put = self.flows.put(key, &device.to_bytes(), lives_ms, now).await;
            if put.map_err(|error| store_failed(&error))? {
                return Ok(code);
            }
        }
        tracing::error!("no user code is free");
        Err(OAuthError::unavailable())
    }

    fn user_code_key(&self, code: &UserCode) -> Result<FlowKey, OAuthError> {
        let Some(vault) = &self.vault else {
            tracing::error!("user codes need the key-encryption key");
            return Err(OAuthError::server_error());
        };
        let tag = vault.tag(Purpose::UserCode, code.as_bytes());
        Ok(FlowKey::of(FlowKind::UserCode, &tag))
    }

    /// What the user of this session is asked about the device that shows this code; none where no
    /// device does any more.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn device_ask(
        &self,
        code: &UserCode,
        session: &SessionRecord,
        now: UnixMillis,
    ) -> Result<Option<DeviceAsk>, OAuthError> {
        let Some(waiting) = self.waiting(code, now).await? else { return Ok(None) };
        let rules = self.rules();
        let offer = waiting.state.offer(&rules.server, &facts(session)?);
        Ok(Some(DeviceAsk {
            client_name: waiting.client.record.name.clone(),
            scopes: rules.told(&offer),
            resources: waiting.state.resources,
        }))
    }

    /// What the user of this session has said about the device that shows this code: whether it is
    /// let in, or none where no device shows it any more.
    ///
    /// # Errors
    /// Those of the stores; the device goes on waiting then.
    pub async fn answer_device(
        &self,
        code: &UserCode,
        session: &SessionRecord,
        is_allowed: bool,
        now: UnixMillis,
    ) -> Result<Option<bool>, OAuthError> {
        if self.is_revoked(session, now) {
            return Ok(None);
        }
        let facts = facts(session)?;
        let mut is_written_down = false;
        for _ in 0..TRIES {
            let Some(waiting) = self.waiting(code, now).await? else { return Ok(None) };
            let next = match is_allowed {
                true => waiting.state.allowed(&self.rules().server, &facts, now),
                false => waiting.state.denied(),
            };
            if let (DeviceStage::Approved(grant), false) = (&next.stage, is_written_down) {
                // What cannot be written down does not happen.
                self.keep_consent(&waiting.state.scopes, grant, now).await?;
                is_written_down = true;
            }
            let to = next.encode();
            let swapped = self.flows.swap(waiting.device, &waiting.kept, &to, now).await;
            if swapped.map_err(|error| store_failed(&error))? {
                self.forget_user_code(waiting.user_code, now).await;
                return Ok(Some(matches!(next.stage, DeviceStage::Approved(_))));
            }
            // The device has asked meanwhile, or somebody has answered.
        }
        Err(OAuthError::unavailable())
    }

    /// It leads to a device that was answered: it is of no use any more, and ends by itself.
    async fn forget_user_code(&self, key: FlowKey, now: UnixMillis) {
        if let Err(error) = self.flows.take(key, now).await {
            tracing::warn!(%error, "a user code that was used is kept until its end");
        }
    }

    /// The device that waits behind a user code.
    async fn waiting(
        &self,
        code: &UserCode,
        now: UnixMillis,
    ) -> Result<Option<Waiting>, OAuthError> {
        let user_code = self.user_code_key(code)?;
        let found = self.flows.peek(user_code, now).await;
        let Some(hash) = found.map_err(|error| store_failed(&error))? else { return Ok(None) };
        let hash: [u8; 32] = hash.try_into().map_err(|_| OAuthError::server_error())?;
        let device = FlowKey::of_hash(FlowKind::Device, hash);
        let found = self.flows.peek(device, now).await;
        let Some(kept) = found.map_err(|error| store_failed(&error))? else { return Ok(None) };
        let state = DeviceState::decode(&kept).ok_or(OAuthError::server_error())?;
        if !state.is_open(now) {
            return Ok(None);
        }
        let known = self.clients.find(&state.client_id, now).await;
        let known = known.map_err(|error| store_failed(&error))?;
        let active = known.filter(|known| known.client.is_active);
        Ok(active.map(|client| Waiting { user_code, device, kept, state, client }))
    }

    /// Answers a device that asks.
    ///
    /// # Errors
    /// That its user has not answered yet, and all the reasons why there are no tokens.
    pub(super) async fn exchange_device(
        &self,
        exchange: &DeviceExchange,
        known: &KnownClient,
        shown: Shown,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        let key = FlowKey::of(FlowKind::Device, exchange.code.expose().as_bytes());
        for _ in 0..TRIES {
            let found = self.flows.peek(key, now).await;
            let found = found.map_err(|error| store_failed(&error))?;
            let kept = found.ok_or(OAuthError::bad_grant("unknown"))?;
            let state = DeviceState::decode(&kept).ok_or(OAuthError::server_error())?;
            exchange.check(&known.client, &self.rules().server, &state)?;
            let poll = state.poll(now);
            let Some(told) = poll.error() else {
                return self.let_in(exchange, known, shown, key, now).await;
            };
            let (Poll::Pending(next) | Poll::SlowDown(next)) = &poll else { return Err(told) };
            let swapped = self.flows.swap(key, &kept, &next.encode(), now).await;
            if swapped.map_err(|error| store_failed(&error))? {
                return Err(told);
            }
        }
        // So many at once are too many.
        Err(OAuthError::new(ErrorCode::SlowDown, "Asked too often: one request at a time"))
    }

    /// The user has said yes. Whoever takes it out of the store gets the tokens, and of those who
    /// ask at once that is one alone; whatever goes wrong now, the device begins anew.
    async fn let_in(
        &self,
        exchange: &DeviceExchange,
        known: &KnownClient,
        shown: Shown,
        key: FlowKey,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        let first = first_token().map_err(|error| failed(&error))?;
        let session_id = random::uuid().map_err(|error| failed(&error))?;
        let taken = self.flows.take(key, now).await;
        let taken = taken.map_err(|error| store_failed(&error))?;
        let taken = taken.ok_or(OAuthError::bad_grant("spent"))?;
        let grant = DeviceState::decode(&taken).and_then(DeviceState::into_grant);
        let grant = grant.ok_or(OAuthError::server_error())?;
        let rules = self.rules();
        let (client, server) = (&known.client, &rules.server);
        let issue = exchange.decide(client, &grant, shown.key, shown.certificate, server)?;
        // Here people are always asked.
        let beginning =
            Beginning { grant: &grant, was_asked: true, first: &first, session_id: &session_id };
        self.begin_grant(issue, &beginning, &rules, now).await
    }
}

//! Refresh tokens are exchanged for the next ones (RFC 6749 §6, RFC 9700 §4.14).

use std::sync::Arc;

use postern_document::OnChange;
use postern_oauth::{
    AuthMethod, Client, ClientKind, FamilyGrant, GrantType, Issue, OAuthError, RefreshExchange,
    RefreshToken,
};
use postern_request::UnixMillis;
use postern_store::flows::{SessionRecord, Standing, Turn, Turned};
use postern_store::{FlowKey, StoreError};
use tokio::task::JoinError;

use super::issue::{family_key, presented};
use super::service::{failed, store_failed};
use super::{OAuthRules, OAuthService, Shown, TokenAnswer, retry};
use crate::ending::Ending;
use crate::login::LOGIN_CLIENT_ID;
use crate::metrics::{AuthenticationMethod, RefreshOutcome};
use crate::{audit, random};

/// What the audit log and the revocations call it.
const REUSED: &str = "refresh.reused";
/// How long access tokens live that people get without a client, in seconds.
pub(super) const LOGIN_LIFETIME_SECS: u64 = 900;

/// What is known of who refreshes tokens without a client of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Refresher<'a> {
    /// The device that they say they are.
    pub device: Option<&'a str>,
    /// What they show of themselves as sessions keep it, and what becomes of a session that began
    /// with something else; none where the document looks at nothing.
    pub fingerprint: Option<([u8; 16], OnChange)>,
}

impl OAuthService {
    /// Exchanges a refresh token that came another way than by the token endpoint.
    ///
    /// # Errors
    /// Why there are no tokens. What is wrong with the token is always `invalid_grant`.
    pub async fn refresh(
        &self,
        token: &RefreshToken,
        client: &Client,
        dpop: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        self.refresh_on(token, client, dpop, Refresher::default(), now).await
    }

    /// As [`OAuthService::refresh`], by somebody of whom something is known: the device that the
    /// session has to be bound to, where they name one, and what they show of themselves.
    ///
    /// # Errors
    /// As there.
    pub async fn refresh_on(
        &self,
        token: &RefreshToken,
        client: &Client,
        dpop: Option<[u8; 32]>,
        by: Refresher<'_>,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        let exchange = RefreshExchange::of(token.clone());
        let shown = Shown { key: dpop, certificate: None };
        self.exchange_refresh(&exchange, client, shown, by, now).await
    }

    /// The client of those who log in without one: its tokens are refreshed by
    /// [`OAuthService::refresh`] alone, because no client of this name is in the store.
    #[must_use]
    pub fn login_client(&self) -> Client {
        Client {
            client_id: LOGIN_CLIENT_ID.to_owned(),
            kind: ClientKind::Public,
            auth_method: AuthMethod::None,
            grant_types: vec![GrantType::RefreshToken],
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            scopes: self.rules().server.scopes.clone(),
            resources: Vec::new(),
            require_pkce: true,
            require_consent: true,
            require_par: false,
            bind_dpop: false,
            access_token_lifetime_secs: LOGIN_LIFETIME_SECS,
            // The document's own hold.
            refresh_token_lifetime_secs: u64::MAX,
            id_token_alg: postern_jose::Algorithm::Rs256,
            may_introspect: Vec::new(),
            may_act_for: Vec::new(),
            is_active: true,
        }
    }

    /// Exchanges a token: judged before anything is changed, and turned only once the answer is
    /// there, so that no failure of ours costs a client its token.
    ///
    /// # Errors
    /// As with [`OAuthService::refresh`].
    pub(super) async fn exchange_refresh(
        &self,
        exchange: &RefreshExchange,
        client: &Client,
        shown: Shown,
        by: Refresher<'_>,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        let answer = self.judge(exchange, client, shown, by, now).await;
        let (Ok((_, outcome)) | Err((_, outcome))) = &answer;
        self.grants.refresh(*outcome);
        self.metrics.authentication(AuthenticationMethod::Refresh, answer.is_ok());
        answer.map(|(answer, _)| answer).map_err(|(error, _)| error)
    }

    async fn judge(
        &self,
        exchange: &RefreshExchange,
        client: &Client,
        shown: Shown,
        by: Refresher<'_>,
        now: UnixMillis,
    ) -> Result<(TokenAnswer, RefreshOutcome), (OAuthError, RefreshOutcome)> {
        let (token, rules) = (exchange.token(), self.rules());
        let key = family_key(token);
        let refused = |error: OAuthError| (error, RefreshOutcome::Refused);
        let stands = self.stand(token, rules.grace_ms, &client.client_id, now).await;
        let (grant, again) = match stands.map_err(refused)? {
            Standing::Current { grant, .. } => (grant, None),
            Standing::Again { grant, answer } => (grant, Some(answer)),
            Standing::Reused { .. } => {
                return Err((OAuthError::bad_grant("spent"), RefreshOutcome::Reused));
            }
            Standing::Unknown => {
                return Err((OAuthError::bad_grant("unknown"), RefreshOutcome::Unknown));
            }
        };
        let family = FamilyGrant::decode(&grant).ok_or(refused(OAuthError::server_error()))?;
        let issue = exchange
            .decide(client, &family, shown.key, shown.certificate, &rules.server)
            .map_err(refused)?;
        let session = self.session_of(&family, by, &client.client_id, now).await;
        let session = session.map_err(refused)?;
        let confirmed = self.has_not_ended(key, now).await.map_err(refused)?;
        if let Some(sealed) = again {
            return again_of(token, &sealed).map_err(refused);
        }
        let turned = self.turn(token, &issue, &session, &rules, now).await.map_err(refused)?;
        match turned {
            (Turned::Done, answer) => {
                self.used(&session, now).await;
                let outcome =
                    if confirmed { RefreshOutcome::Rotated } else { RefreshOutcome::Unconfirmed };
                Ok((answer, outcome))
            }
            (Turned::Again(sealed), _) => again_of(token, &sealed).map_err(refused),
            (Turned::Reused { .. }, _) => {
                Err((OAuthError::bad_grant("spent"), RefreshOutcome::Reused))
            }
            (Turned::Unknown, _) => {
                Err((OAuthError::bad_grant("unknown"), RefreshOutcome::Unknown))
            }
        }
    }

    /// How a token stands. Asking for a spent one ends its family, and all that goes with that has
    /// to follow: so it is a task, which whoever hangs up does not stop.
    async fn stand(
        &self,
        token: &RefreshToken,
        grace_ms: u64,
        client_id: &str,
        now: UnixMillis,
    ) -> Result<Standing, OAuthError> {
        let (flows, thief) = (Arc::clone(&self.flows), self.thief(token, client_id, now));
        let presented = presented(token);
        let asked = tokio::spawn(async move {
            let standing = flows.stand(thief.key, presented, grace_ms, now).await?;
            if let Standing::Reused { grant } = &standing {
                thief.caught(grant).await;
            }
            Ok::<_, StoreError>(standing)
        });
        told(asked.await)
    }

    /// What has to be known to end a family.
    fn thief(&self, token: &RefreshToken, client_id: &str, now: UnixMillis) -> Thief {
        let by = format!("client:{client_id}");
        Thief { ending: Arc::clone(&self.ending), key: family_key(token), by, now }
    }

    async fn turn(
        &self,
        token: &RefreshToken,
        issue: &Issue,
        session: &SessionRecord,
        rules: &OAuthRules,
        now: UnixMillis,
    ) -> Result<(Turned, TokenAnswer), OAuthError> {
        let plan = issue.refresh.as_ref().ok_or(OAuthError::server_error())?;
        let secret = random::bytes::<32>().map_err(|error| failed(&error))?;
        let next = token.next(*secret);
        let answer = self.sign(issue, Some(next.to_text()), Some(session), rules, now)?;
        let sealed = retry::seal(token, &answer.body()).map_err(|error| failed(&error))?;
        let (flows, thief) =
            (Arc::clone(&self.flows), self.thief(token, &issue.access.client_id, now));
        let (presented, next) = (presented(token), next.secret_hash());
        let (grace_ms, idle_ms) = (rules.grace_ms, plan.idle_secs.saturating_mul(1000));
        // As `stand`: another one may have spent it meanwhile.
        let asked = tokio::spawn(async move {
            let (key, answer) = (thief.key, sealed.as_slice());
            let turn = Turn { key, presented, next, answer, grace_ms, idle_ms };
            let turned = flows.turn(turn, now).await?;
            if let Turned::Reused { grant } = &turned {
                thief.caught(grant).await;
            }
            Ok::<_, StoreError>(turned)
        });
        let turned = told(asked.await)?;
        Ok((turned, answer))
    }

    /// The session of a family, which must not have ended, and must be the device's that asks.
    async fn session_of(
        &self,
        family: &FamilyGrant,
        refresher: Refresher<'_>,
        client_id: &str,
        now: UnixMillis,
    ) -> Result<SessionRecord, OAuthError> {
        let found = self.flows.find_session(&family.session_id, now).await;
        let session = found
            .map_err(|error| store_failed(&error))?
            .filter(|session| session.user_id == family.subject && !self.is_revoked(session, now))
            .ok_or(OAuthError::bad_grant("session_ended"))?;
        let is_other = match (session.device_id.as_deref(), refresher.device) {
            (Some(bound), Some(named)) => bound != named,
            (None, Some(_)) | (_, None) => false,
        };
        if is_other {
            let by = format!("client:{client_id}");
            let entry = audit::entry(now, &by, "refresh.other_device", &session.id, &[]);
            if let Err(error) = self.store.append_audit(&entry).await {
                tracing::error!(%error, "what happened was not written down");
            }
            return Err(OAuthError::bad_grant("other_device"));
        }
        if let (Some(kept), Some((shown, on_change))) = (session.fingerprint, refresher.fingerprint)
            && kept != shown
        {
            self.has_changed(&session, on_change, now).await?;
        }
        Ok(session)
    }

    /// Whoever refreshes shows something else of themselves than whoever began the session.
    /// Nobody can be asked for a second factor here: they log in again, and are asked there.
    async fn has_changed(
        &self,
        session: &SessionRecord,
        on_change: OnChange,
        now: UnixMillis,
    ) -> Result<(), OAuthError> {
        tracing::warn!(session = session.id, "who refreshes a session shows something else");
        match on_change {
            OnChange::Log => return Ok(()),
            OnChange::AskMfa => {}
            OnChange::End => {
                let ending = &self.ending;
                let ended = ending.session(&session.id, "browser_changed", audit::SYSTEM, now);
                Box::pin(ended).await.map_err(|error| store_failed(&error))?;
            }
        }
        Err(OAuthError::bad_grant("browser_changed"))
    }

    /// Whether the database confirms that a family lives; where it is away, the volatile store
    /// and the list of revocations have to do.
    ///
    /// # Errors
    /// `invalid_grant` where it has ended for good, or the database knows of none; those of a
    /// database that is there and cannot say.
    async fn has_not_ended(&self, key: FlowKey, now: UnixMillis) -> Result<bool, OAuthError> {
        match self.store.find_family(key.to_bytes()).await {
            Ok(Some(record)) if record.ended_at.is_none() => Ok(true),
            Ok(_) => {
                // It has ended where it counts; the volatile store had not heard of it.
                if let Err(error) = self.flows.end_family(key, None, now).await {
                    tracing::debug!(%error, "an ended family is still in the volatile store");
                }
                Err(OAuthError::bad_grant("family_ended"))
            }
            Err(error @ StoreError::Unavailable(_)) => {
                tracing::warn!(%error, "a refresh token is exchanged without the database");
                Ok(false)
            }
            // It is there, and what it says of this family cannot be read: it may have ended.
            Err(error) => Err(store_failed(&error)),
        }
    }

    async fn used(&self, session: &SessionRecord, now: UnixMillis) {
        let used = [(session.id.clone(), now)];
        if let Err(error) = self.flows.touch_sessions(&used, now).await {
            tracing::debug!(%error, "that a session was used is not written down");
        }
    }
}

/// Whoever shows a token that was spent before, and the family that it was of.
struct Thief {
    ending: Arc<Ending>,
    key: FlowKey,
    by: String,
    now: UnixMillis,
}

impl Thief {
    /// The family and its session end for good.
    async fn caught(&self, grant: &[u8]) {
        let Some(family) = FamilyGrant::decode(grant) else {
            tracing::error!("the grant of a family that was used twice cannot be read");
            return;
        };
        let ended = self.ending.family(self.key, &family.session_id, REUSED, &self.by, self.now);
        if let Err(error) = ended.await {
            tracing::error!(%error, "tokens of a stolen family may live on");
        }
    }
}

/// What a task was told by the volatile store.
fn told<T>(asked: Result<Result<T, StoreError>, JoinError>) -> Result<T, OAuthError> {
    match asked {
        Ok(said) => said.map_err(|error| store_failed(&error)),
        Err(error) => {
            tracing::error!(%error, "a task that asks for a refresh token has failed");
            Err(OAuthError::server_error())
        }
    }
}

fn again_of(
    token: &RefreshToken,
    sealed: &[u8],
) -> Result<(TokenAnswer, RefreshOutcome), OAuthError> {
    let answer = retry::open(token, sealed).and_then(|text| TokenAnswer::read(&text));
    let answer = answer.ok_or(OAuthError::bad_grant("answer_lost"))?;
    Ok((answer, RefreshOutcome::Again))
}

//! What was decided becomes tokens, and what they stand for is kept.

use postern_oauth::{Acr, Issue, OAuthError, RefreshPlan, RefreshToken, Secret};
use postern_request::UnixMillis;
use postern_store::durable::FamilyRecord;
use postern_store::flows::{NewFamily, Presented, SessionRecord};
use postern_store::{FlowKey, FlowKind, StoreError};

use super::service::{failed, store_failed};
use super::{OAuthRules, OAuthService, TokenAnswer};
use crate::id_token::IdTokenRequest;
use crate::login::Person;
use crate::{AccessTokenRequest, IdentityError, random};

/// A family of refresh tokens ends after so long, however often it is used: nobody knows any more
/// then what they once agreed to.
const MOST_MS: u64 = 365 * 86_400_000;

/// A family that is to begin: its first token.
pub(super) fn first_token() -> Result<RefreshToken, IdentityError> {
    Ok(RefreshToken {
        family: *random::bytes::<16>()?,
        lock: *random::bytes::<16>()?,
        generation: 1,
        secret: *random::bytes::<32>()?,
    })
}

/// The key of a token's family.
pub(super) fn family_key(token: &RefreshToken) -> FlowKey {
    FlowKey::of(FlowKind::Family, &token.family)
}

/// What the store is told of a token.
pub(super) fn presented(token: &RefreshToken) -> Presented {
    Presented { lock: token.lock_hash(), secret: token.secret_hash(), generation: token.generation }
}

impl OAuthService {
    /// Makes the tokens. `refresh` is there already: it is kept before anybody gets it. What
    /// they say of the user is the session's; a client that speaks for itself has none.
    ///
    /// # Errors
    /// Those of the keys.
    pub(super) fn sign(
        &self,
        issue: &Issue,
        refresh: Option<Secret>,
        session: Option<&SessionRecord>,
        rules: &OAuthRules,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        let access = &issue.access;
        let person = session.and_then(|session| Person::decode(&session.person));
        let person = person.unwrap_or_default();
        let fingerprint = session.and_then(|session| session.fingerprint);
        let request = AccessTokenRequest {
            subject: access.subject.clone(),
            client_id: access.client_id.clone(),
            scopes: access.scopes.clone(),
            audiences: access.audiences.clone(),
            lifetime_secs: access.lifetime_secs,
            role: Some(person.role).filter(|role| !role.is_empty()),
            tier: person.tier,
            session: access.session.clone(),
            device: session.and_then(|session| session.device_id.clone()),
            fingerprint: fingerprint.map(|bytes| postern_jose::base64url::encode(&bytes)),
            confirmation: access.confirmation,
            auth_time: access.auth_time,
            acr: access.acr,
            amr: access.amr.clone(),
            act: access.act.clone(),
            algorithm: rules.algorithm,
        };
        let issued = self.issuer.issue(&request, now).map_err(|error| failed(&error))?;
        let id_token = issue.id_token.as_ref().map(|plan| {
            let request = IdTokenRequest {
                subject: &plan.subject,
                client_id: &plan.audience,
                nonce: plan.nonce.as_deref(),
                auth_time: Some(plan.auth_time),
                acr: Some(plan.acr),
                amr: &plan.amr,
                session: Some(&plan.session_id),
                algorithm: plan.algorithm,
                lifetime_secs: access.lifetime_secs,
                access_token: &issued.token,
            };
            self.issuer.issue_id_token(&request, now).map_err(|error| failed(&error))
        });
        Ok(TokenAnswer {
            id_token: id_token.transpose()?,
            access_token: issued.token,
            refresh_token: refresh,
            expires_in_secs: access.lifetime_secs,
            scope: access.scopes.clone(),
            token_type: issue.token_type(),
            issued_token_type: issue.issued_token_type,
        })
    }

    /// Begins the session of a grant that a user has given in another one.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn begin_session(
        &self,
        id: &str,
        parent: &SessionRecord,
        issue: &Issue,
        now: UnixMillis,
    ) -> Result<SessionRecord, OAuthError> {
        let access = &issue.access;
        let keeps_offline = access.scopes.contains(postern_oauth::OFFLINE_ACCESS);
        let (idle_ms, ends_at) = match &issue.refresh {
            None => {
                let lives_ms = access.lifetime_secs.saturating_mul(1000);
                (lives_ms, UnixMillis(now.0.saturating_add(lives_ms)))
            }
            Some(plan) => {
                let most = UnixMillis(now.0.saturating_add(MOST_MS));
                let ends_at = if keeps_offline { most } else { parent.ends_at.min(most) };
                (plan.idle_secs.saturating_mul(1000), ends_at)
            }
        };
        let several = access.acr == Some(Acr::SeveralFactors);
        let record = SessionRecord {
            id: id.to_owned(),
            created_at: now,
            last_used: now,
            authenticated_at: access
                .auth_time
                .map_or(parent.authenticated_at, |secs| UnixMillis(secs.saturating_mul(1000))),
            mfa_at: parent.mfa_at.filter(|_| several),
            methods: access.amr.clone(),
            client_id: Some(access.client_id.clone()),
            scopes: access.scopes.names().to_vec(),
            parent: Some(parent.id.clone()),
            secret: None,
            idle_ms,
            ends_at,
            ..parent.clone()
        };
        let started = self.flows.start_session(&record, now).await;
        started.map_err(|error| store_failed(&error))?;
        Ok(record)
    }

    /// Begins a family: first where it cannot be lost, so that it can be ended for good.
    ///
    /// # Errors
    /// Those of the stores, and `invalid_grant` where it may not begin.
    pub(super) async fn begin_family(
        &self,
        first: &RefreshToken,
        plan: &RefreshPlan,
        session: &SessionRecord,
        now: UnixMillis,
    ) -> Result<Secret, OAuthError> {
        let (key, family) = (family_key(first), &plan.family);
        let ends_at = session.ends_at.min(UnixMillis(now.0.saturating_add(MOST_MS)));
        let record = FamilyRecord {
            id: key.to_bytes(),
            user_id: family.subject.clone(),
            client_id: family.client_id.clone(),
            session_id: family.session_id.clone(),
            scopes: family.scopes.names().to_vec(),
            created_at: now,
            ends_at,
            ended_at: None,
            end_reason: None,
        };
        self.store.insert_family(record).await.map_err(|error| match error {
            // Names are random: somebody has barred it, because its code was used twice.
            StoreError::Conflict => OAuthError::bad_grant("spent"),
            error => store_failed(&error),
        })?;
        let grant = family.encode();
        let new = NewFamily {
            key,
            first: presented(first),
            grant: &grant,
            idle_ms: plan.idle_secs.saturating_mul(1000),
            ends_at,
        };
        self.flows.start_family(new, now).await.map_err(|error| store_failed(&error))?;
        Ok(first.to_text())
    }
}

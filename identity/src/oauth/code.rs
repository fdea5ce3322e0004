//! An authorization code is exchanged for tokens.

use std::sync::Arc;

use postern_oauth::{CodeExchange, CodeGrant, Issue, OAuthError, RefreshToken};
use postern_request::UnixMillis;
use postern_store::durable::FamilyRecord;
use postern_store::flows::{Redeemed, SessionRecord};
use postern_store::{FlowKey, FlowKind, IdentityStore, StoreError};

use super::issue::{family_key, first_token};
use super::service::{failed, store_failed};
use super::{OAuthRules, OAuthService, Shown, TokenAnswer};
use crate::clients::KnownClient;
use crate::{audit, random};

/// What the audit log and the revocations call it.
const REUSED: &str = "code.reused";
/// What they call a grant that was taken back while its tokens were made.
const TAKEN_BACK: &str = "grant.taken_back";
/// How long it is remembered that no family may begin: far longer than a request takes.
const BARRED_MS: u64 = 3_600_000;

/// What a user has agreed to, and is about to begin.
pub(super) struct Beginning<'a> {
    /// What they have agreed to.
    pub(super) grant: &'a CodeGrant,
    /// Whether they were asked, so that it stands among their consents until they take it back.
    pub(super) was_asked: bool,
    /// The first refresh token, should there be one.
    pub(super) first: &'a RefreshToken,
    /// The session that it gets.
    pub(super) session_id: &'a str,
}

impl OAuthService {
    /// Exchanges a code. It is used up by this, whatever comes of it: whoever else has it gets
    /// nothing, and its owner begins anew.
    ///
    /// # Errors
    /// Why there are no tokens.
    pub(super) async fn exchange_code(
        &self,
        exchange: &CodeExchange,
        known: &KnownClient,
        shown: Shown,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        // Made before the code is used: whoever uses it again ends what came of it by these.
        let first = first_token().map_err(|error| failed(&error))?;
        let session_id = random::uuid().map_err(|error| failed(&error))?;
        let mark = [family_key(&first).to_bytes().as_slice(), session_id.as_bytes()].concat();
        let key = FlowKey::of(FlowKind::Code, exchange.code.expose().as_bytes());
        let redeemed = self.flows.redeem_code(key, &mark, now).await;
        let kept = match redeemed.map_err(|error| store_failed(&error))? {
            Redeemed::Fresh(kept) => kept,
            Redeemed::Used(mark) => {
                self.code_was_stolen(&mark, &known.client.client_id, now).await;
                return Err(OAuthError::bad_grant("spent"));
            }
            Redeemed::Unknown => return Err(OAuthError::bad_grant("unknown")),
        };
        let grant = CodeGrant::decode(&kept).ok_or(OAuthError::server_error())?;
        let rules = self.rules();
        let (client, server) = (&known.client, &rules.server);
        let issue = exchange.decide(client, &grant, shown.key, shown.certificate, server, now)?;
        let was_asked = client.require_consent;
        let beginning =
            Beginning { grant: &grant, was_asked, first: &first, session_id: &session_id };
        self.begin_grant(issue, &beginning, &rules, now).await
    }

    /// Tokens of what a user has agreed to, in a session of their own that comes of the browser's.
    ///
    /// # Errors
    /// Those of the stores and keys, and `invalid_grant` where the browser's session has ended, or
    /// what was agreed to was taken back.
    pub(super) async fn begin_grant(
        &self,
        issue: Issue,
        beginning: &Beginning<'_>,
        rules: &OAuthRules,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        let Beginning { grant, first, session_id, .. } = *beginning;
        let issue = issue.in_session(session_id);
        let parent = self.parent(grant, now).await?;
        let session = self.begin_session(session_id, &parent, &issue, now).await?;
        let refresh = match &issue.refresh {
            Some(plan) => match self.begin_family(first, plan, &session, now).await {
                Ok(refresh) => Some(refresh),
                Err(error) => {
                    // Nobody gets a token of it.
                    drop(self.flows.end_session(session_id, now).await);
                    return Err(error);
                }
            },
            None => None,
        };
        self.still_stands(beginning, now).await?;
        self.sign(&issue, refresh, Some(&session), rules, now)
    }

    /// Looks once more, now that everything is kept: whoever logs out, or takes back what they
    /// agreed to, ends what they find, and what was about to begin they did not find. That they
    /// revoke it does not do, because a revocation is forgotten earlier than a refresh token ends.
    pub(super) async fn still_stands(
        &self,
        beginning: &Beginning<'_>,
        now: UnixMillis,
    ) -> Result<(), OAuthError> {
        let Beginning { grant, was_asked, session_id, .. } = *beginning;
        let mut stands = self.parent(grant, now).await.map(drop);
        if stands.is_ok() && was_asked {
            let consent = self.store.find_consent(&grant.subject, &grant.client_id).await;
            stands = match consent {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(OAuthError::bad_grant("consent_ended")),
                Err(error) => Err(store_failed(&error)),
            };
        }
        if stands.is_err() {
            let (ending, id) = (Arc::clone(&self.ending), session_id.to_owned());
            let by = format!("client:{}", grant.client_id);
            let end = async move { ending.session(&id, TAKEN_BACK, &by, now).await };
            match tokio::spawn(end).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "a withdrawn grant may live on")
                }
                Err(error) => tracing::error!(%error, "a withdrawn grant may live on"),
            }
        }
        stands
    }

    /// The browser's session that the code came from: who has logged out since has taken back
    /// what they agreed to.
    async fn parent(
        &self,
        grant: &CodeGrant,
        now: UnixMillis,
    ) -> Result<SessionRecord, OAuthError> {
        let found = self.flows.find_session(&grant.session_id, now).await;
        found
            .map_err(|error| store_failed(&error))?
            .filter(|session| session.user_id == grant.subject && !self.is_revoked(session, now))
            .ok_or(OAuthError::bad_grant("session_ended"))
    }

    /// RFC 6749 §4.1.2: who has used a code before and who uses it now are two, and nobody knows
    /// which of them is the client. What the first one got ends.
    ///
    /// In a task of its own: the caller who hangs up does not stop it.
    async fn code_was_stolen(&self, mark: &[u8], client_id: &str, now: UnixMillis) {
        let Some((hash, session_id)) = mark.split_first_chunk::<32>() else { return };
        let Ok(session_id) = String::from_utf8(session_id.to_vec()) else { return };
        let key = FlowKey::of_hash(FlowKind::Family, *hash);
        let (ending, store) = (Arc::clone(&self.ending), Arc::clone(&self.store));
        let (by, client_id) = (format!("client:{client_id}"), client_id.to_owned());
        let end = tokio::spawn(async move {
            let barred = bar(&*store, key, (session_id.as_str(), client_id.as_str()), now).await;
            match &barred {
                // There was none, so its end tells nobody.
                Ok(true) => {
                    let entry = audit::entry(now, &by, REUSED, &session_id, &[]);
                    if let Err(error) = store.append_audit(&entry).await {
                        tracing::error!(%error, "what happened was not written down");
                    }
                }
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "a stolen code's family may begin yet"),
            }
            // Everything is tried, whatever has failed.
            ending.family(key, &session_id, REUSED, &by, now).await.and(barred.map(drop))
        });
        match end.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "what a stolen code gave may live on"),
            Err(error) => tracing::error!(%error, "what a stolen code gave may live on"),
        }
    }
}

/// Takes the place of a family in a session and for a client, so that it cannot begin any more:
/// whoever used its code first may be about to. Whether the place was free; a family that is
/// there has to be ended.
async fn bar(
    store: &dyn IdentityStore,
    key: FlowKey,
    (session_id, client_id): (&str, &str),
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let ended = FamilyRecord {
        id: key.to_bytes(),
        // Whose it would have been, its code alone knows, and that is used up.
        user_id: String::new(),
        client_id: client_id.to_owned(),
        session_id: session_id.to_owned(),
        scopes: Vec::new(),
        created_at: now,
        ends_at: UnixMillis(now.0.saturating_add(BARRED_MS)),
        ended_at: Some(now),
        end_reason: Some(REUSED.to_owned()),
    };
    match store.insert_family(ended).await {
        Ok(()) => Ok(true),
        Err(StoreError::Conflict) => Ok(false),
        Err(error) => Err(error),
    }
}

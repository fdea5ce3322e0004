//! An authorization code is exchanged for tokens.

use std::sync::Arc;

use postern_oauth::{CodeExchange, CodeGrant, Issue, OAuthError, RefreshToken};
use postern_request::UnixMillis;
use postern_store::flows::{Redeemed, SessionRecord};
use postern_store::{FlowKey, FlowKind};

use super::issue::{family_key, first_token};
use super::service::{failed, store_failed};
use super::{OAuthRules, OAuthService, Shown, TokenAnswer};
use crate::clients::KnownClient;
use crate::{audit, random};

/// What the audit log and the revocations call it.
const REUSED: &str = "code.reused";

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
                return Err(OAuthError::invalid_grant());
            }
            Redeemed::Unknown => return Err(OAuthError::invalid_grant()),
        };
        let grant = CodeGrant::decode(&kept).ok_or(OAuthError::server_error())?;
        let rules = self.rules();
        let (client, server) = (&known.client, &rules.server);
        let issue = exchange.decide(client, &grant, shown.key, shown.certificate, server, now)?;
        self.begin_grant(issue, &grant, &first, &session_id, &rules, now).await
    }

    /// Tokens of what a user has agreed to, in a session of their own that comes of the browser's.
    ///
    /// # Errors
    /// Those of the stores and keys, and `invalid_grant` where the browser's session has ended.
    pub(super) async fn begin_grant(
        &self,
        issue: Issue,
        grant: &CodeGrant,
        first: &RefreshToken,
        session_id: &str,
        rules: &OAuthRules,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        let issue = issue.in_session(session_id);
        let parent = self.parent(grant, now).await?;
        let session = self.begin_session(session_id, &parent, &issue, now).await?;
        let refresh = match &issue.refresh {
            Some(plan) => Some(self.begin_family(first, plan, &session, now).await?),
            None => None,
        };
        self.sign(&issue, refresh, Some(&session), rules, now)
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
            .ok_or(OAuthError::invalid_grant())
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
        let by = format!("client:{client_id}");
        let end = tokio::spawn(async move {
            let has_family = store.find_family(key.to_bytes()).await?.is_some();
            if !has_family {
                let entry = audit::entry(now, &by, REUSED, &session_id, &[]);
                store.append_audit(&entry).await?;
            }
            ending.family(key, &session_id, REUSED, &by, now).await
        });
        match end.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "what a stolen code gave may live on"),
            Err(error) => tracing::error!(%error, "what a stolen code gave may live on"),
        }
    }
}

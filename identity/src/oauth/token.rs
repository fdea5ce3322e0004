//! The token endpoint (RFC 6749 §3.2), and giving tokens back (RFC 7009).

use std::net::IpAddr;

use postern_oauth::{
    Acr, Client, Endpoint, FamilyGrant, Grant, GrantType, Issue, IssueAccessToken, OAuthError,
    RefreshPlan, RefreshToken, RevocationRequest, ScopeSet, ServerRules, ShownCertificate,
    TokenRequest,
};
use postern_request::UnixMillis;
use postern_request::headers::Single;
use postern_store::flows::SessionRecord;

use super::authorize::acr_of;
use super::issue::{family_key, first_token};
use super::proof::Proven;
use super::refresh::{LOGIN_LIFETIME_SECS, Refresher};
use super::service::{Asker, failed, store_failed};
use super::{OAuthService, TokenAnswer};
use crate::login::LOGIN_CLIENT_ID;
use crate::metrics::GrantOutcome;

/// A request of an endpoint that takes a form from a client.
#[derive(Debug, Clone, Copy)]
pub struct TokenCall<'a> {
    /// `authorization`
    pub authorization: Single<'a>,
    /// `content-type`
    pub content_type: Single<'a>,
    /// `DPoP` (RFC 9449 §4.1)
    pub dpop: Single<'a>,
    /// The certificate that the client has shown on its connection.
    pub certificate: Option<&'a ShownCertificate>,
    /// Where it comes from, as far as that is known: clients that fail are counted by it.
    pub address: Option<IpAddr>,
    /// The body.
    pub body: &'a [u8],
}

/// What a request has proven to possess.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shown {
    /// The thumbprint of a key.
    pub(super) key: Option<[u8; 32]>,
    /// The hash of a certificate.
    pub(super) certificate: Option<[u8; 32]>,
}

impl OAuthService {
    /// Grants tokens: the body of the answer.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn token(&self, call: TokenCall<'_>, now: UnixMillis) -> Result<String, OAuthError> {
        let request =
            TokenRequest::parse(call.authorization, call.content_type, call.body, call.certificate);
        let grant = match &request {
            Ok(request) => name_of(request.grant()),
            Err(_) => "unreadable",
        };
        let answer = match request {
            Ok(request) => self.grant(&request, call, now).await,
            Err(error) => Err(self.unread(call, Endpoint::Token, error, now).await),
        };
        self.grants.token(grant, GrantOutcome::of(&answer));
        answer.map(|answer| answer.body())
    }

    async fn grant(
        &self,
        request: &TokenRequest,
        call: TokenCall<'_>,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        let asker = Asker { endpoint: Endpoint::Token, address: call.address };
        let known = self.client(request.client(), asker, now).await?;
        let proven = Proven { method: "POST", endpoint: Endpoint::Token, access_token: None };
        let shown = Shown {
            key: self.proof(call.dpop, proven, now).await?,
            certificate: call.certificate.map(|certificate| certificate.sha256),
        };
        let rules = self.rules();
        let answer = match request.grant() {
            Grant::ClientCredentials(own) => {
                let (key, certificate) = (shown.key, shown.certificate);
                let issue = own.decide(&known.client, key, certificate, &rules.server)?;
                self.sign(&issue, None, None, &rules, now)
            }
            Grant::Code(exchange) => self.exchange_code(exchange, &known, shown, now).await,
            Grant::Refresh(exchange) => {
                let by = Refresher::default();
                self.exchange_refresh(exchange, &known.client, shown, by, now).await
            }
            Grant::Device(exchange) => self.exchange_device(exchange, &known, shown, now).await,
            Grant::Exchange(exchange) => self.exchange_token(exchange, &known, shown, now).await,
        };
        if answer.is_ok() {
            self.used.saw(&known.record, rules.unused_for_ms, now);
        }
        answer
    }

    /// Tokens for somebody who has logged in without a client: their session is there already.
    ///
    /// # Errors
    /// Those of the stores and keys.
    pub async fn tokens_for(
        &self,
        session: &SessionRecord,
        remember: bool,
        now: UnixMillis,
    ) -> Result<TokenAnswer, OAuthError> {
        let rules = self.rules();
        let issue = login_issue(session, remember, &rules.server)?;
        let refresh = match &issue.refresh {
            Some(plan) => {
                let first = first_token().map_err(|error| failed(&error))?;
                Some(self.begin_family(&first, plan, session, now).await?)
            }
            None => None,
        };
        self.sign(&issue, refresh, Some(session), &rules, now)
    }

    /// Takes a token back. What is none that is good still is taken back already (RFC 7009 §2.2).
    ///
    /// # Errors
    /// Why the client may not, and those of the stores: it has to ask again then.
    pub async fn revoke(&self, call: TokenCall<'_>, now: UnixMillis) -> Result<(), OAuthError> {
        let request = RevocationRequest::parse(
            call.authorization,
            call.content_type,
            call.body,
            call.certificate,
        );
        let request = match request {
            Ok(request) => request,
            Err(error) => return Err(self.unread(call, Endpoint::Revoke, error, now).await),
        };
        let asker = Asker { endpoint: Endpoint::Revoke, address: call.address };
        let known = self.client(&request.client, asker, now).await?;
        // The hint is not needed: one look tells which kind a token is.
        match RefreshToken::parse(request.token.expose()) {
            Some(token) => self.revoke_family(&request, &known.client, &token, now).await,
            None => self.revoke_access(&request, &known.client, now).await,
        }
    }

    /// Any token of a family ends it, and the access tokens that came of it: its session is
    /// revoked. Whoever names the family has had one, because its name is kept nowhere else.
    async fn revoke_family(
        &self,
        request: &RevocationRequest,
        client: &Client,
        token: &RefreshToken,
        now: UnixMillis,
    ) -> Result<(), OAuthError> {
        let key = family_key(token);
        let found = self.store.find_family(key.to_bytes()).await;
        let record = found.map_err(|error| store_failed(&error))?;
        let owner = record.as_ref().map(|record| record.client_id.as_str());
        if !request.decide(client, owner)? {
            return Ok(());
        }
        let Some(record) = record else { return Ok(()) };
        let by = format!("client:{}", client.client_id);
        let ended = self.ending.family(key, &record.session_id, "token.revoked", &by, now).await;
        ended.map_err(|error| store_failed(&error))
    }

    async fn revoke_access(
        &self,
        request: &RevocationRequest,
        client: &Client,
        now: UnixMillis,
    ) -> Result<(), OAuthError> {
        let verified = self.issuer.inspect_bound(request.token.expose(), now).ok();
        let owner = verified.as_ref().and_then(|token| token.principal().client_id.as_deref());
        if !request.decide(client, owner)? {
            return Ok(());
        }
        let claims = verified.map(|token| token.claims);
        let Some((jti, end)) =
            claims.and_then(|claims| Some((claims.token_id?, claims.expires_at)))
        else {
            return Ok(());
        };
        let by = format!("client:{}", client.client_id);
        let ended = self.ending.token(&jti, end, &by, now).await;
        ended.map_err(|error| store_failed(&error))
    }
}

/// What somebody gets who has logged in without a client: all that the session allows.
fn login_issue(
    session: &SessionRecord,
    remember: bool,
    server: &ServerRules,
) -> Result<Issue, OAuthError> {
    let scopes = ScopeSet::from_names(session.scopes.iter().map(String::as_str));
    let scopes = scopes.map_err(|_| OAuthError::server_error())?;
    let acr: Acr = acr_of(session);
    let family = FamilyGrant {
        client_id: LOGIN_CLIENT_ID.to_owned(),
        subject: session.user_id.clone(),
        session_id: session.id.clone(),
        scopes: scopes.clone(),
        resources: Vec::new(),
        auth_time: session.authenticated_at,
        acr,
        amr: session.methods.clone(),
        dpop_jkt: None,
        certificate: None,
        remember,
    };
    let idle_secs = if remember { server.refresh.remembered_secs } else { server.refresh.secs };
    let may_refresh = server.grants(GrantType::RefreshToken);
    Ok(Issue {
        access: IssueAccessToken {
            subject: session.user_id.clone(),
            client_id: LOGIN_CLIENT_ID.to_owned(),
            scopes,
            lifetime_secs: LOGIN_LIFETIME_SECS.min(server.access_token_secs),
            session: Some(session.id.clone()),
            auth_time: Some(session.authenticated_at.as_secs()),
            acr: Some(acr),
            amr: session.methods.clone(),
            ..IssueAccessToken::default()
        },
        refresh: may_refresh.then_some(RefreshPlan { family, idle_secs }),
        id_token: None,
        issued_token_type: None,
    })
}

const fn name_of(grant: &Grant) -> &'static str {
    match grant {
        Grant::ClientCredentials(_) => "client_credentials",
        Grant::Code(_) => "authorization_code",
        Grant::Refresh(_) => "refresh_token",
        Grant::Device(_) => "device_code",
        Grant::Exchange(_) => "token_exchange",
    }
}

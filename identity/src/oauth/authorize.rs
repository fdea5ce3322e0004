//! The authorization endpoint (RFC 6749 §3.1): whether the user has to log in, has to be asked, or
//! the client gets its code.

use std::sync::Arc;

use postern_oauth::{
    Acr, AuthorizeError, AuthorizeFault, AuthorizeRequest, Browser, CodeGrant, Consented, Endpoint,
    ErrorCode, Form, MAX_QUERY_BYTES, Next, OAuthError, Received, RedirectUri, ScopeSet,
    SessionFacts, decide, failure, success,
};
use postern_request::UnixMillis;
use postern_request::login::ReturnTo;
use postern_store::durable::{ClientOrigin, ConsentRecord};
use postern_store::flows::SessionRecord;
use postern_store::{FlowKey, FlowKind};

use super::locations::{authorize_location, consent_location, login_location};
use super::refused::Asking;
use super::service::{failed, store_failed};
use super::{Authorized, ConsentAsk, OAuthRules, OAuthService, Onward};
use crate::clients::KnownClient;
use crate::{audit, random};

/// A request that was read.
struct Asked {
    request: AuthorizeRequest,
    client: Arc<KnownClient>,
    rules: Arc<OAuthRules>,
    /// The query by which the browser comes back to it.
    back: String,
    /// Where it is kept, if it is.
    request_uri: Option<String>,
}

/// What came of reading one.
enum Reading {
    Ready(Box<Asked>),
    /// The client is told, or where it is a stranger, the user.
    Refused(AuthorizeError, Arc<KnownClient>),
    /// The user is told.
    Fault(AuthorizeFault),
}

impl OAuthService {
    /// Answers an authorization request. `id` is its correlation id, for the log.
    ///
    /// # Errors
    /// Those of the stores; the user is told, because nobody knows what would have been decided.
    pub async fn authorize(
        &self,
        query: &[u8],
        session: Option<&SessionRecord>,
        id: &str,
        now: UnixMillis,
    ) -> Result<Authorized, OAuthError> {
        let asking = Asking { query, id, now };
        let asked = match self.read(query, now).await? {
            Reading::Ready(asked) => asked,
            Reading::Refused(error, client) => {
                return self.refused(&error, &client, session, asking).await;
            }
            Reading::Fault(fault) => {
                self.note_fault(query, fault, id, now).await;
                return Ok(Authorized::Fault(fault));
            }
        };
        let mut browser = self.browser(&asked, session, now)?;
        if let Some(session) = &browser.session {
            let client_id = &asked.request.client_id;
            let consent = self.store.find_consent(&session.subject, client_id).await;
            let consent = consent.map_err(|error| store_failed(&error))?;
            browser.consented = consent.and_then(consented);
        }
        match next(&asked, &browser, now) {
            Next::LogIn { hint, acr } => {
                let return_to = authorize_location(&asked.back);
                let again = browser.session.is_some() || asked.request.prompt.wants_login();
                Ok(Authorized::LogIn { return_to, hint, acr, again })
            }
            Next::StepUp(acr) => {
                let return_to = authorize_location(&asked.back);
                Ok(Authorized::LogIn { return_to, hint: None, acr: Some(acr), again: false })
            }
            Next::Consent { scopes, resources } => {
                Ok(Authorized::Consent(Box::new(ask(&asked, &scopes, resources))))
            }
            Next::Issue(grant) => {
                let issued = self.issue_code(&asked, &grant, now).await?;
                if let Authorized::Fault(fault) = &issued {
                    self.note_fault(query, *fault, id, now).await;
                }
                Ok(issued)
            }
            Next::Refuse(error) => self.refused(&error, &asked.client, session, asking).await,
        }
    }

    /// What the user has said on the page that [`Authorized::Consent`] led to: what the client
    /// may have, or none for no. Where the browser goes now. `id` is the correlation id, for the
    /// log.
    ///
    /// # Errors
    /// Those of the stores, and `invalid_request` for a query that asks for nothing.
    pub async fn consent(
        &self,
        query: &[u8],
        session: &SessionRecord,
        allowed: Option<&ScopeSet>,
        id: &str,
        now: UnixMillis,
    ) -> Result<String, OAuthError> {
        let asking = Asking { query, id, now };
        let asked = match self.read(query, now).await? {
            Reading::Ready(asked) => asked,
            // The user has looked at a page, and sent a form of ours: strangers are told, too.
            Reading::Refused(error, _) => return Ok(self.told(&error, asking).await),
            Reading::Fault(fault) => {
                self.note_fault(query, fault, id, now).await;
                return Err(OAuthError::invalid_request("The request is not known any more"));
            }
        };
        let Some(allowed) = allowed else {
            let denied = OAuthError::new(ErrorCode::AccessDenied, "The user has refused");
            return Ok(self.told(&asked.request.refuse(denied), asking).await);
        };
        let mut browser = self.browser(&asked, Some(session), now)?;
        browser.consented =
            Some(Consented { scopes: allowed.clone(), resources: asked.request.resources.clone() });
        browser.just_consented = true;
        match next(&asked, &browser, now) {
            Next::Issue(grant) => {
                let shown = asked.request.scopes.as_ref();
                let shown = shown.unwrap_or(&asked.client.client.scopes);
                self.keep_consent(shown, &grant, now).await?;
                match self.issue_code(&asked, &grant, now).await? {
                    Authorized::Redirect(location) => Ok(location),
                    _ => Err(OAuthError::invalid_request("The request is not known any more")),
                }
            }
            Next::LogIn { hint, acr } => {
                let (back, again) = (authorize_location(&asked.back), browser.session.is_some());
                Ok(login_location(&back, hint.as_deref(), acr, again))
            }
            Next::StepUp(acr) => {
                Ok(login_location(&authorize_location(&asked.back), None, Some(acr), false))
            }
            Next::Consent { .. } => Ok(consent_location(&asked.back)),
            Next::Refuse(error) => Ok(self.told(&error, asking).await),
        }
    }

    /// Where a form may lead whose answer goes to `return_to`, besides to us: the origin or
    /// scheme of the client that is answered there, for a page's policy. None where no client is.
    pub async fn form_target(&self, return_to: &ReturnTo, now: UnixMillis) -> Option<String> {
        let rules = self.rules();
        let to = return_to.as_str();
        let to = to.strip_prefix(rules.server.base()).unwrap_or(to);
        let query = to.strip_prefix(Endpoint::Authorize.path())?.strip_prefix('?')?;
        match self.read(query.as_bytes(), now).await.ok()? {
            Reading::Ready(asked) => Some(RedirectUri::origin_for_csp(&asked.request.redirect_uri)),
            Reading::Refused(error, _) => Some(RedirectUri::origin_for_csp(&error.redirect_uri)),
            Reading::Fault(_) => None,
        }
    }

    async fn read(&self, query: &[u8], now: UnixMillis) -> Result<Reading, OAuthError> {
        if query.len() > MAX_QUERY_BYTES {
            return Ok(Reading::Fault(AuthorizeFault::TooLarge));
        }
        let form = match Form::parse(query) {
            Ok(form) => form,
            Err(error) => return Ok(Reading::Fault(error.into())),
        };
        let received = match Received::parse(&form) {
            Ok(received) => received,
            Err(fault) => return Ok(Reading::Fault(fault)),
        };
        let known = self.clients.find(received.client_id(), now).await;
        let Some(known) = known.map_err(|error| store_failed(&error))? else {
            return Ok(Reading::Fault(AuthorizeFault::UnknownClient));
        };
        let kept = match received.pushed() {
            None => None,
            Some(request_uri) => match self.kept(request_uri, now).await? {
                Ok(kept) => Some(kept),
                Err(fault) => return Ok(Reading::Fault(fault)),
            },
        };
        let whole = match &kept {
            None => Ok(received),
            Some((kept, parameters)) => received.resume(kept, parameters),
        };
        let verified = match whole.and_then(|whole| whole.verify(Some(&known.client))) {
            Ok(verified) => verified,
            Err(fault) => return Ok(Reading::Fault(fault)),
        };
        let rules = self.rules();
        Ok(match verified.read(&rules.server) {
            Ok(request) => Reading::Ready(Box::new(Asked {
                request,
                client: Arc::clone(&known),
                rules,
                back: received.return_query(),
                request_uri: received.pushed().map(str::to_owned),
            })),
            Err(error) => Reading::Refused(error, known),
        })
    }

    /// What is known of the browser, but for consents.
    fn browser(
        &self,
        asked: &Asked,
        session: Option<&SessionRecord>,
        now: UnixMillis,
    ) -> Result<Browser, OAuthError> {
        let session = session.filter(|session| !self.is_revoked(session, now));
        let hint = asked.request.id_token_hint.as_deref();
        Ok(Browser {
            session: session.map(facts).transpose()?,
            hinted_subject: hint.and_then(|hint| {
                let hint = self.issuer.inspect_hint(hint, now)?;
                (hint.client_id == asked.request.client_id).then_some(hint.subject)
            }),
            ..Browser::default()
        })
    }

    /// Keeps what a user has agreed to, of what was asked for now, besides what the client was
    /// given for other requests ([`Consented::after`]).
    pub(super) async fn keep_consent(
        &self,
        shown: &ScopeSet,
        grant: &CodeGrant,
        now: UnixMillis,
    ) -> Result<(), OAuthError> {
        let before = self.store.find_consent(&grant.subject, &grant.client_id).await;
        let before = before.map_err(|error| store_failed(&error))?;
        let now_agreed =
            Consented { scopes: grant.scopes.clone(), resources: grant.resources.clone() };
        let rules = self.rules();
        let before = before.and_then(consented);
        let agreed = now_agreed.after(before, shown, &rules.server.issuer);
        let (mut scopes, resources) = (agreed.scopes.names().to_vec(), agreed.resources);
        scopes.sort_unstable();
        let told = grant.scopes.to_string();
        let detail = [("scopes", told.as_str())];
        let entry = audit::entry(now, &grant.subject, "consent.granted", &grant.client_id, &detail);
        let record = ConsentRecord {
            user_id: grant.subject.clone(),
            client_id: grant.client_id.clone(),
            scopes,
            resources,
            granted_at: now,
        };
        self.store.put_consent(record, &entry).await.map_err(|error| store_failed(&error))
    }

    async fn issue_code(
        &self,
        asked: &Asked,
        grant: &CodeGrant,
        now: UnixMillis,
    ) -> Result<Authorized, OAuthError> {
        // A kept request is answered once, and not before now: logging in may take several ways.
        if let Some(request_uri) = &asked.request_uri
            && !self.use_up(request_uri, now).await?
        {
            return Ok(Authorized::Fault(AuthorizeFault::UnknownRequest));
        }
        let code = random::secret().map_err(|error| failed(&error))?;
        let key = FlowKey::of(FlowKind::Code, code.expose().as_bytes());
        let keep_ms = asked.rules.server.code_secs.saturating_mul(1000);
        let put = self.flows.put(key, &grant.encode(), keep_ms, now).await;
        if !put.map_err(|error| store_failed(&error))? {
            return Err(OAuthError::server_error());
        }
        let request = &asked.request;
        let location = success(
            &request.redirect_uri,
            &code,
            request.state.as_deref(),
            &asked.rules.server.issuer,
        );
        Ok(Authorized::Redirect(location))
    }

    /// An error on its way to a client. To a stranger nobody is redirected by itself, `prompt=none`
    /// or not: that would make a redirector of this server for whoever registers a client.
    async fn refused(
        &self,
        error: &AuthorizeError,
        client: &KnownClient,
        session: Option<&SessionRecord>,
        asking: Asking<'_>,
    ) -> Result<Authorized, OAuthError> {
        let location = self.told(error, asking).await;
        let is_stranger = self.is_stranger(client, session, asking.now).await?;
        Ok(match is_stranger {
            true => Authorized::Refused(Onward::to(location)),
            false => Authorized::Redirect(location),
        })
    }

    /// Whether a client is a stranger: it has registered itself, and whoever is logged in with this
    /// browser has never agreed to it.
    pub(super) async fn is_stranger(
        &self,
        client: &KnownClient,
        session: Option<&SessionRecord>,
        now: UnixMillis,
    ) -> Result<bool, OAuthError> {
        let record = &client.record;
        if !matches!(record.origin, ClientOrigin::Registered { .. }) {
            return Ok(false);
        }
        let session = session.filter(|session| !self.is_revoked(session, now));
        let Some(session) = session else { return Ok(true) };
        let consent = self.store.find_consent(&session.user_id, &record.client_id).await;
        Ok(consent.map_err(|error| store_failed(&error))?.is_none())
    }

    async fn told(&self, error: &AuthorizeError, asking: Asking<'_>) -> String {
        self.note_error(asking, &error.error).await;
        failure(error, &self.rules().server.issuer)
    }
}

fn next(asked: &Asked, browser: &Browser, now: UnixMillis) -> Next {
    decide(&asked.request, &asked.client.client, &asked.rules.server, browser, now)
}

/// A browser's session, as far as a grant looks at it.
///
/// # Errors
/// When its scopes are none, which nobody here writes.
pub(super) fn facts(session: &SessionRecord) -> Result<SessionFacts, OAuthError> {
    let role_scopes = ScopeSet::from_names(session.scopes.iter().map(String::as_str));
    Ok(SessionFacts {
        subject: session.user_id.clone(),
        session_id: session.id.clone(),
        auth_time: session.authenticated_at,
        acr: acr_of(session),
        amr: session.methods.clone(),
        role_scopes: role_scopes.map_err(|_| OAuthError::server_error())?,
        remember: session.remember,
    })
}

/// How well the user of a session has authenticated the last time, which is what `auth_time` says:
/// together they are what others judge a second factor by, and one of long ago is none of now.
pub(super) fn acr_of(session: &SessionRecord) -> Acr {
    let is_by_several = session.mfa_at.is_some_and(|at| at >= session.authenticated_at);
    if is_by_several { Acr::SeveralFactors } else { Acr::OneFactor }
}

/// None where it was written by somebody else: the user is asked again.
fn consented(record: ConsentRecord) -> Option<Consented> {
    let scopes = ScopeSet::from_names(record.scopes.iter().map(String::as_str)).ok()?;
    Some(Consented { scopes, resources: record.resources })
}

fn ask(asked: &Asked, scopes: &ScopeSet, resources: Vec<String>) -> ConsentAsk {
    let record = &asked.client.record;
    ConsentAsk {
        client_name: record.name.clone(),
        client_uri: record.client_uri.clone(),
        logo_uri: record.logo_uri.clone(),
        scopes: asked.rules.told(scopes),
        resources,
        form_target: RedirectUri::origin_for_csp(&asked.request.redirect_uri),
        query: asked.back.clone(),
    }
}

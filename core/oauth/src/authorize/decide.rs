//! What happens next with an authorization request: pages for the user, or an answer.

use postern_request::UnixMillis;

use super::received::RETURN_SECS;
use super::request::AuthorizeRequest;
use super::response::AuthorizeError;
use crate::{
    Acr, Client, ClientKind, CodeGrant, ErrorCode, IDENTITY_SCOPES, OAuthError, ScopeSet,
    ServerRules,
};

/// What is known of the browser that brings a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Browser {
    /// Who is logged in.
    pub session: Option<SessionFacts>,
    /// What this user has agreed to for this client.
    pub consented: Option<Consented>,
    /// That was a moment ago, for this very request: what was agreed to is what is granted.
    pub just_consented: bool,
    /// Whom `id_token_hint` names, where it is a token of ours for this client; it may have
    /// expired.
    pub hinted_subject: Option<String>,
}

/// A session, as far as a grant looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// Whose it is (`sub`).
    pub subject: String,
    /// Its name.
    pub session_id: String,
    /// When the user has authenticated last.
    pub auth_time: UnixMillis,
    /// How well.
    pub acr: Acr,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// What the user's role may do.
    pub role_scopes: ScopeSet,
    /// Whether the user asked to be remembered.
    pub remember: bool,
}

/// What a user has agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consented {
    /// Scopes.
    pub scopes: ScopeSet,
    /// Where they may be used, each of them at each of these; at the issuer where there is none.
    pub resources: Vec<String>,
}

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The user logs in.
    LogIn {
        /// Who is expected, as the client says it.
        hint: Option<String>,
        /// How well.
        acr: Option<Acr>,
    },
    /// The user, who is known, authenticates so well.
    StepUp(Acr),
    /// The user is asked.
    Consent {
        /// What the client would get.
        scopes: ScopeSet,
        /// Where it could use it.
        resources: Vec<String>,
    },
    /// The client gets a code for this.
    Issue(Box<CodeGrant>),
    /// The client is turned away.
    Refuse(AuthorizeError),
}

/// Decides. Every way to a page ends at once where the client wants none to be shown.
#[must_use]
pub fn decide(
    request: &AuthorizeRequest,
    client: &Client,
    server: &ServerRules,
    browser: &Browser,
    now: UnixMillis,
) -> Next {
    let refuse =
        |code, description| Next::Refuse(request.refuse(OAuthError::new(code, description)));
    let asked = match scopes_of_client(request.scopes.as_ref(), client) {
        Ok(asked) => asked,
        Err(error) => return Next::Refuse(request.refuse(error)),
    };
    let acr = match wanted_acr(&request.acr_values) {
        Ok(acr) => acr,
        Err(error) => return Next::Refuse(request.refuse(error)),
    };
    let session =
        browser.session.as_ref().filter(|session| is_fresh(request, browser, session, now));
    let Some(session) = session else {
        // Whoever has just logged in as somebody else is not sent to log in for ever.
        let is_pointless =
            browser.session.as_ref().is_some_and(|session| is_new(request, session, now))
                && !is_expected(browser);
        return match request.prompt.none || is_pointless {
            true => refuse(ErrorCode::LoginRequired, "The expected user is not logged in"),
            false => Next::LogIn { hint: request.login_hint.clone(), acr },
        };
    };
    if let Some(acr) = acr.filter(|wanted| !session.acr.satisfies(*wanted)) {
        return match request.prompt.none {
            true => refuse(ErrorCode::LoginRequired, "The user has not authenticated that well"),
            false => Next::StepUp(acr),
        };
    }
    let scopes = scopes_of_user(&asked, server, session);
    if scopes.is_empty() && !asked.is_empty() {
        return refuse(ErrorCode::AccessDenied, "The user may give nothing of what is asked for");
    }
    let scopes = match consent(request, client, server, browser, scopes) {
        Consent::Given(scopes) => scopes,
        Consent::Missing(_) if request.prompt.none => {
            return refuse(ErrorCode::ConsentRequired, "The user has not agreed");
        }
        Consent::Missing(scopes) => {
            return Next::Consent { scopes, resources: request.resources.clone() };
        }
    };
    Next::Issue(Box::new(grant(request, session, scopes, now)))
}

/// Whether a client may ask for this at all, whoever its user is: what [`decide`] would say first.
pub(crate) fn check_reach(request: &AuthorizeRequest, client: &Client) -> Result<(), OAuthError> {
    scopes_of_client(request.scopes.as_ref(), client)?;
    wanted_acr(&request.acr_values).map(drop)
}

fn grant(
    request: &AuthorizeRequest,
    session: &SessionFacts,
    scopes: ScopeSet,
    now: UnixMillis,
) -> CodeGrant {
    CodeGrant {
        client_id: request.client_id.clone(),
        redirect_uri: request.redirect_uri_was_named.then(|| request.redirect_uri.clone()),
        subject: session.subject.clone(),
        session_id: session.session_id.clone(),
        scopes,
        resources: request.resources.clone(),
        challenge: request.challenge,
        nonce: request.nonce.clone(),
        auth_time: session.auth_time,
        acr: session.acr,
        amr: session.amr.clone(),
        dpop_jkt: request.dpop_jkt,
        remember: session.remember,
        issued_at: now,
    }
}

/// Whether the session will do: it is the expected user's, and not older than was asked for.
fn is_fresh(
    request: &AuthorizeRequest,
    browser: &Browser,
    session: &SessionFacts,
    now: UnixMillis,
) -> bool {
    if !is_expected(browser) {
        return false;
    }
    if is_later(request, session) {
        return true;
    }
    let age_ms = now.millis_since(session.auth_time);
    let is_old = request.max_age_secs.is_some_and(|most| age_ms > most.saturating_mul(1000));
    !is_old && !request.prompt.wants_login()
}

/// Whether who is logged in, if anybody is, is whom the client expects, if it does.
fn is_expected(browser: &Browser) -> bool {
    let Browser { session, hinted_subject, .. } = browser;
    let both = session.as_ref().zip(hinted_subject.as_ref());
    both.is_none_or(|(session, hinted)| session.subject == *hinted)
}

/// Whether a request is kept here, and the user has authenticated since it was.
fn is_later(request: &AuthorizeRequest, session: &SessionFacts) -> bool {
    request.kept_at.is_some_and(|kept_at| session.auth_time >= kept_at)
}

/// Whether the user has authenticated for this request, as far as anybody can tell: since it was
/// kept, or so short a while ago as the way back from the log-in pages takes.
fn is_new(request: &AuthorizeRequest, session: &SessionFacts, now: UnixMillis) -> bool {
    is_later(request, session) || now.millis_since(session.auth_time) < RETURN_SECS * 1000
}

/// What the client asks for, within its registration: all but what is about the user where it
/// names nothing (RFC 6749 §3.3).
pub(crate) fn scopes_of_client(
    requested: Option<&ScopeSet>,
    client: &Client,
) -> Result<ScopeSet, OAuthError> {
    match requested {
        None => Ok(client.scopes.filtered(|name| !IDENTITY_SCOPES.contains(&name))),
        Some(_) => client
            .scopes
            .narrow(requested)
            .map_err(|_| OAuthError::invalid_scope("A scope is not allowed for this client")),
    }
}

/// What the user can give of it. The rest is left out silently (RFC 6749 §3.3): it is shown when
/// the user is asked, and told with the token.
pub(crate) fn scopes_of_user(
    asked: &ScopeSet,
    server: &ServerRules,
    session: &SessionFacts,
) -> ScopeSet {
    asked.filtered(|name| {
        IDENTITY_SCOPES.contains(&name)
            || (server.knows_scope(name) && session.role_scopes.contains(name))
    })
}

/// The least of the classes that would do; `acr_values` is a list of alternatives.
///
/// # Errors
/// `unmet_authentication_requirements` when none of them is one of ours (RFC 9470 §5).
fn wanted_acr(acr_values: &[String]) -> Result<Option<Acr>, OAuthError> {
    let known = acr_values.iter().filter_map(|value| Acr::parse(value)).min();
    if known.is_none() && !acr_values.is_empty() {
        return Err(OAuthError::new(
            ErrorCode::UnmetAuthenticationRequirements,
            "No value of acr_values can be met",
        ));
    }
    Ok(known)
}

enum Consent {
    Given(ScopeSet),
    Missing(ScopeSet),
}

/// Whether the user has agreed, and to what.
fn consent(
    request: &AuthorizeRequest,
    client: &Client,
    server: &ServerRules,
    browser: &Browser,
    scopes: ScopeSet,
) -> Consent {
    if !client.require_consent && !request.prompt.consent {
        return Consent::Given(scopes);
    }
    let is_where_it_was =
        |consented: &&Consented| consented.is_for(&request.resources, &server.issuer);
    let Some(consented) = browser.consented.as_ref().filter(is_where_it_was) else {
        return Consent::Missing(scopes);
    };
    if browser.just_consented {
        let agreed = scopes.filtered(|name| consented.scopes.contains(name));
        // Agreeing to nothing is saying no, which the client is told before it comes here.
        let is_something = !agreed.is_empty() || scopes.is_empty();
        return if is_something { Consent::Given(agreed) } else { Consent::Missing(scopes) };
    }
    let is_remembered = !request.prompt.consent && is_itself(client, &request.redirect_uri);
    if is_remembered && scopes.is_within(&consented.scopes) {
        Consent::Given(scopes)
    } else {
        Consent::Missing(scopes)
    }
}

/// Whether who gets the answer is this client for certain. Any application on the user's machine
/// can claim a scheme or listen at a port, and begin a flow in the name of another: what users
/// agreed to before does not count there (RFC 8252 §8.6).
fn is_itself(client: &Client, redirect_uri: &str) -> bool {
    client.kind == ClientKind::Confidential || redirect_uri.starts_with("https://")
}

//! Log-out that a client asks for (OpenID Connect RP-Initiated Logout).

use postern_oauth::{Form, Logout, LogoutFault, LogoutRequest, OAuthError};
use postern_request::UnixMillis;
use postern_store::flows::SessionRecord;

use super::service::store_failed;
use super::{LogoutAnswer, OAuthService, Onward};

/// The place that a client wants a browser to go to after log-out is none of its own.
pub(crate) const LOGOUT_URI_UNKNOWN: OAuthError =
    OAuthError::invalid_request("post_logout_redirect_uri is not registered for this client");

impl OAuthService {
    /// Answers a request to log out. Where it says that there is nothing left to ask, the
    /// session has ended, and with it the grants that came of it.
    ///
    /// # Errors
    /// What the user is told: nothing has ended then.
    pub async fn logout(
        &self,
        form: &Form,
        session: Option<&SessionRecord>,
        now: UnixMillis,
    ) -> Result<LogoutAnswer, OAuthError> {
        let request = LogoutRequest::parse(form).map_err(told)?;
        let hint = request.id_token_hint.as_deref();
        let hint = hint.and_then(|hint| self.issuer.inspect_hint(hint, now));
        let known = match request.client(hint.as_ref()) {
            Some(client_id) => {
                let known = self.clients.find(client_id, now).await;
                known.map_err(|error| store_failed(&error))?
            }
            None => None,
        };
        let client = known.as_ref().map(|known| &known.client);
        let user = session.map(|session| session.user_id.as_str());
        let place = match request.decide(hint.as_ref(), client, user).map_err(told)? {
            Logout::Confirm(_) => return Ok(LogoutAnswer::Confirm),
            Logout::Done(place) => place,
        };
        // Looked up before anything ends: what fails then has ended nothing.
        let is_stranger = match (&place, &known) {
            (Some(_), Some(known)) => self.is_stranger(known, session, now).await?,
            _ => false,
        };
        if let Some(session) = session {
            let ended = self.ending.session(&session.id, "logout", &session.user_id, now).await;
            ended.map_err(|error| store_failed(&error))?;
        }
        Ok(match place {
            Some(location) if is_stranger => LogoutAnswer::Onward(Onward::to(location)),
            place => LogoutAnswer::Done(place),
        })
    }
}

const fn told(fault: LogoutFault) -> OAuthError {
    OAuthError::invalid_request(match fault {
        LogoutFault::TooLarge => "The request to log out is too large",
        LogoutFault::OtherClient => "The ID token was issued to another client",
        LogoutFault::RedirectUri => return LOGOUT_URI_UNKNOWN,
    })
}

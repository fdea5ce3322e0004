//! Log-out that a client asks for (OpenID Connect RP-Initiated Logout 1.0).
//!
//! Any page can send a browser here. So a session ends without a question only where the request
//! brings an ID token of the user who is logged in, and a browser goes nowhere but where the
//! client has registered.

use crate::{Client, Form, RedirectUri};

/// Longest `state`, in bytes.
const MAX_STATE_BYTES: usize = 1536;

/// A request to log out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogoutRequest {
    /// An ID token that the client was given; nothing of it is verified.
    pub id_token_hint: Option<String>,
    /// Who asks.
    pub client_id: Option<String>,
    /// Where the browser shall go then.
    pub post_logout_redirect_uri: Option<String>,
    /// `state`, for that place.
    pub state: Option<String>,
    /// Languages for pages, the most wanted first.
    pub ui_locales: Vec<String>,
}

/// What an ID token of ours says, which may have expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// `sub`
    pub subject: String,
    /// `aud`
    pub client_id: String,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logout {
    /// The user is asked. Whatever the answer, the browser goes there afterwards; none: a page.
    Confirm(Option<String>),
    /// The session, where there is one, ends; then the browser goes there.
    Done(Option<String>),
}

/// Why a request is not answered but by a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LogoutFault {
    /// The client's: a parameter is too long.
    #[error("the log-out request is too large")]
    TooLarge,
    /// The client's: the ID token is somebody else's (§2).
    #[error("the ID token was issued to another client")]
    OtherClient,
    /// The client's: the place is not registered for this client (§3).
    #[error("the place to go to after log-out is not registered for this client")]
    RedirectUri,
}

impl LogoutRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`LogoutFault::TooLarge`]
    pub fn parse(form: &Form) -> Result<Self, LogoutFault> {
        let text = |name: &str| form.get(name).map(str::to_owned);
        let words = form.get("ui_locales").unwrap_or_default().split(' ');
        let request = Self {
            id_token_hint: text("id_token_hint"),
            client_id: text("client_id"),
            post_logout_redirect_uri: text("post_logout_redirect_uri"),
            state: text("state"),
            ui_locales: words.filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        };
        let is_short = |state: &String| state.len() <= MAX_STATE_BYTES;
        if request.state.as_ref().is_none_or(is_short) {
            Ok(request)
        } else {
            Err(LogoutFault::TooLarge)
        }
    }

    /// Which client to fetch, once the ID token was looked at: the one that it was issued to,
    /// else the one that says so itself.
    #[must_use]
    pub fn client<'a>(&'a self, hint: Option<&'a Hint>) -> Option<&'a str> {
        hint.map(|hint| hint.client_id.as_str()).or(self.client_id.as_deref())
    }

    /// Decides. `hint` is there where the ID token is one of ours, and `user` is who is logged in
    /// with this browser (`sub`).
    ///
    /// # Errors
    /// What the user is told; nothing ends then.
    pub fn decide(
        &self,
        hint: Option<&Hint>,
        client: Option<&Client>,
        user: Option<&str>,
    ) -> Result<Logout, LogoutFault> {
        if let (Some(hint), Some(own)) = (hint, &self.client_id)
            && hint.client_id != *own
        {
            return Err(LogoutFault::OtherClient);
        }
        let to = self.place(hint, client)?;
        Ok(match (user, hint) {
            (None, _) => Logout::Done(to),
            (Some(user), Some(hint)) if hint.subject == user => Logout::Done(to),
            (Some(_), _) => Logout::Confirm(to),
        })
    }

    /// Where the browser goes then: registered for the client letter by letter, ports included.
    fn place(
        &self,
        hint: Option<&Hint>,
        client: Option<&Client>,
    ) -> Result<Option<String>, LogoutFault> {
        let Some(uri) = &self.post_logout_redirect_uri else { return Ok(None) };
        let client = client.filter(|client| {
            client.is_active && self.client(hint) == Some(client.client_id.as_str())
        });
        if !client.is_some_and(|client| client.post_logout_redirect_uris.contains(uri)) {
            return Err(LogoutFault::RedirectUri);
        }
        let state = self.state.as_deref().map(|state| ("state", state));
        let pairs = state.into_iter().collect::<Vec<_>>();
        Ok(Some(RedirectUri::with_query(uri, &pairs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    const BYE: &str = "https://app.example/bye";

    fn parse(query: &str) -> LogoutRequest {
        LogoutRequest::parse(&Form::parse(query.as_bytes()).unwrap()).unwrap()
    }

    fn hint(subject: &str, client_id: &str) -> Hint {
        Hint { subject: subject.to_owned(), client_id: client_id.to_owned() }
    }

    #[test]
    fn only_an_id_token_of_the_user_logs_out_without_a_question() {
        let request = parse("");
        let client = fixtures::confidential();
        let (ada, bob) = (hint("ada", "web"), hint("bob", "web"));
        for (hint, user, expected) in [
            (None, None, Logout::Done(None)),
            (None, Some("ada"), Logout::Confirm(None)),
            (Some(&ada), Some("ada"), Logout::Done(None)),
            (Some(&bob), Some("ada"), Logout::Confirm(None)),
            (Some(&ada), None, Logout::Done(None)),
        ] {
            let decision = request.decide(hint, Some(&client), user);
            assert_eq!(decision, Ok(expected), "{hint:?} {user:?}");
        }
    }

    #[test]
    fn logging_out_goes_to_registered_places() {
        let client = fixtures::confidential();
        let inactive = Client { is_active: false, ..client.clone() };
        let ada = hint("ada", "web");
        let to = |uri: &str| parse(&format!("post_logout_redirect_uri={uri}&state=a+b"));
        let there = || Ok(Logout::Done(Some(format!("{BYE}?state=a%20b"))));
        let nowhere = || Err(LogoutFault::RedirectUri);
        for (request, hint, client, expected) in [
            (to(BYE), Some(&ada), Some(&client), there()),
            (
                LogoutRequest { client_id: Some("web".to_owned()), ..to(BYE) },
                None,
                Some(&client),
                there(),
            ),
            // Nobody has said whose place that is.
            (to(BYE), None, Some(&client), nowhere()),
            (to(BYE), Some(&ada), None, nowhere()),
            (to(BYE), Some(&ada), Some(&inactive), nowhere()),
            (to("https://app.example/bye/"), Some(&ada), Some(&client), nowhere()),
            (to("https://app.example/bye?x"), Some(&ada), Some(&client), nowhere()),
            (to("https://evil.test/"), Some(&ada), Some(&client), nowhere()),
            (to("https://app.example/callback"), Some(&ada), Some(&client), nowhere()),
        ] {
            assert_eq!(request.decide(hint, client, None), expected, "{request:?}");
        }
        let asked = LogoutRequest { client_id: Some("web".to_owned()), ..to(BYE) };
        let decision = asked.decide(None, Some(&client), Some("ada"));
        assert_eq!(decision, Ok(Logout::Confirm(Some(format!("{BYE}?state=a%20b")))));
    }

    #[test]
    fn an_id_token_of_another_client_ends_nothing() {
        let request = parse("client_id=web");
        let client = fixtures::confidential();
        let decision = request.decide(Some(&hint("ada", "app")), Some(&client), Some("ada"));
        assert_eq!(decision, Err(LogoutFault::OtherClient));
        assert_eq!(request.client(Some(&hint("ada", "app"))), Some("app"));
        assert_eq!(request.client(None), Some("web"));
    }

    #[test]
    fn a_state_has_a_bound() {
        let query = format!("state={}", "a".repeat(MAX_STATE_BYTES + 1));
        let form = Form::parse(query.as_bytes()).unwrap();
        assert_eq!(LogoutRequest::parse(&form), Err(LogoutFault::TooLarge));
    }
}

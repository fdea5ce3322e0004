//! An authorization request before anything of it is certain.

use core::fmt;

use crate::form::push_pair;
use crate::{AuthorizeFault, Client, Form, KeptRequest};

/// Longest query of an authorization request, in bytes.
pub const MAX_QUERY_BYTES: usize = 8192;
/// Longest `state`, in bytes: with the redirect URI it has to fit into one header, escaped.
pub const MAX_STATE_BYTES: usize = 1536;
/// What a `request_uri` of ours begins with (RFC 9126 §2.2).
pub const REQUEST_URI_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
/// How long the way back from the log-in pages may take, in seconds.
pub(super) const RETURN_SECS: u64 = 60;

/// The parameters that mean something here. No other is kept or sent on: credentials of a client
/// that pushes its request stand in the same form.
const PARAMETERS: [&str; 20] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "acr_values",
    "login_hint",
    "id_token_hint",
    "ui_locales",
    "resource",
    "dpop_jkt",
    "response_mode",
    "request",
    "request_uri",
    "registration",
];

/// A request of which nothing is certain.
#[derive(Clone, Copy)]
pub struct Received<'f> {
    form: &'f Form,
    client_id: &'f str,
    kept: Option<&'f KeptRequest>,
}

/// A request whose client is known, and of which it is certain where the answer goes. What is
/// wrong with it from here on is told there.
#[derive(Clone, Copy)]
pub struct Verified<'f> {
    pub(super) form: &'f Form,
    pub(super) client: &'f Client,
    pub(super) redirect_uri: &'f str,
    pub(super) kept: Option<&'f KeptRequest>,
}

impl<'f> Received<'f> {
    /// Reads who asks.
    ///
    /// # Errors
    /// [`AuthorizeFault::UnknownClient`] without a `client_id`.
    pub fn parse(parameters: &'f Form) -> Result<Self, AuthorizeFault> {
        let client_id = parameters.get("client_id").ok_or(AuthorizeFault::UnknownClient)?;
        Ok(Self { form: parameters, client_id, kept: None })
    }

    /// A request that was kept, in the place of the one that names it. `parameters` are
    /// [`KeptRequest::parameters`], read.
    ///
    /// # Errors
    /// [`AuthorizeFault::UnknownRequest`] when it was kept for another client (RFC 9126 §4), or
    /// names another one that is kept (§2.1).
    pub fn resume(
        self,
        kept: &'f KeptRequest,
        parameters: &'f Form,
    ) -> Result<Self, AuthorizeFault> {
        let resumed = Self { form: parameters, client_id: self.client_id, kept: Some(kept) };
        let is_its_own =
            kept.client_id == self.client_id && parameters.get("client_id") == Some(self.client_id);
        if is_its_own && resumed.pushed().is_none() {
            Ok(resumed)
        } else {
            Err(AuthorizeFault::UnknownRequest)
        }
    }

    /// Which client to fetch.
    #[must_use]
    pub const fn client_id(&self) -> &'f str {
        self.client_id
    }

    /// The `request_uri` of a request that was kept here: what to fetch, and [`Received::resume`]
    /// with. None for one from elsewhere, which is refused later on.
    #[must_use]
    pub fn pushed(&self) -> Option<&'f str> {
        self.form.get("request_uri").filter(|uri| uri.starts_with(REQUEST_URI_PREFIX))
    }

    /// Makes certain where the answer goes, once the client was looked up (none: there is no
    /// such client).
    ///
    /// # Errors
    /// What the user is told: nothing may be sent to a place that is not registered.
    pub fn verify(self, client: Option<&'f Client>) -> Result<Verified<'f>, AuthorizeFault> {
        let client = client
            .filter(|client| client.is_active && client.client_id == self.client_id)
            .ok_or(AuthorizeFault::UnknownClient)?;
        if self.pushed().is_some() {
            return Err(AuthorizeFault::UnknownRequest);
        }
        let redirect_uri = match self.form.get("redirect_uri") {
            Some(uri) => {
                Some(uri).filter(|uri| client.redirect_uris.iter().any(|o| o.matches(uri)))
            }
            None => match client.redirect_uris.as_slice() {
                [one] => Some(one.as_str()),
                _ => None,
            },
        };
        let redirect_uri = redirect_uri.ok_or(AuthorizeFault::RedirectUri)?;
        if self.form.get("state").is_some_and(|state| state.len() > MAX_STATE_BYTES) {
            return Err(AuthorizeFault::TooLarge);
        }
        Ok(Verified { form: self.form, client, redirect_uri, kept: self.kept })
    }

    /// The parameters that mean something here, to be kept.
    #[must_use]
    pub fn to_query(&self) -> String {
        self.query(|_, value| Some(value.to_owned()))
    }

    /// The query to come back with from the log-in pages. The log-in that it asked for has
    /// happened then: `prompt` does not ask for it again, and a `max_age` shorter than the way
    /// back does not either.
    #[must_use]
    pub fn return_query(&self) -> String {
        self.query(|name, value| match name {
            "prompt" => {
                let is_done = |word: &&str| matches!(*word, "login" | "select_account");
                let words = value.split(' ').filter(|word| !is_done(word)).collect::<Vec<_>>();
                Some(words.join(" ")).filter(|left| !left.is_empty())
            }
            "max_age" => {
                let secs = value.parse::<u64>().ok().filter(|secs| *secs < RETURN_SECS);
                Some(secs.map_or_else(|| value.to_owned(), |_| RETURN_SECS.to_string()))
            }
            _ => Some(value.to_owned()),
        })
    }

    fn query(&self, change: impl Fn(&str, &str) -> Option<String>) -> String {
        let mut query = String::new();
        for name in PARAMETERS {
            for value in self.form.all(name) {
                if let Some(value) = change(name, value) {
                    let separator = if query.is_empty() { "" } else { "&" };
                    push_pair(&mut query, separator, name, &value);
                }
            }
        }
        query
    }
}

impl Verified<'_> {
    /// Where the answer goes.
    #[must_use]
    pub const fn redirect_uri(&self) -> &str {
        self.redirect_uri
    }
}

/// Parameters may be personal: `login_hint`, `id_token_hint`.
impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

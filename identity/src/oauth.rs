//! Granting tokens: what is asked of it, and what comes of it.
//!
//! Rules are `postern-oauth`'s. Here they meet what is kept, in the order that loses nothing: what
//! could be used twice is used up before anything is decided, what has to be ended later is kept
//! before anybody gets it, and tokens are signed last.

mod assertion;
mod attempts;
mod authorize;
mod certificate;
mod client_keys;
mod code;
mod device;
mod exchange;
#[cfg(test)]
pub(crate) mod fixture;
mod introspect;
mod issue;
mod kept;
mod locations;
mod logout;
mod par;
mod proof;
mod refresh;
mod refused;
mod register;
mod retry;
mod rules;
mod service;
#[cfg(test)]
mod tests;
mod token;
mod used;
mod userinfo;

use postern_oauth::{Acr, AuthorizeFault, ScopeSet, Secret, TokenResponse, TokenType};
use postern_request::json::{self, Value};

pub use device::DeviceAsk;
pub(crate) use locations::escaped;
pub(crate) use locations::{
    confirm_location, consent_location, leading_to, login_location, logout_location,
};
pub(crate) use logout::LOGOUT_URI_UNKNOWN;
pub use par::Pushing;
pub use refresh::Refresher;
pub use register::RegisterCall;
pub use rules::OAuthRules;
pub(crate) use service::store_failed;
pub use service::{CurrentOAuthRules, OAuthParts, OAuthService};
use token::Shown;
pub use token::TokenCall;
pub use used::keep_used_clients;
pub use userinfo::UserinfoCall;

/// What came of a request at the authorization endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorized {
    /// Back to the client, with a code or an error: the value of `location`.
    Redirect(String),
    /// To the log-in pages first.
    LogIn {
        /// Where to come back to: this request.
        return_to: String,
        /// Who is expected, as the client says it.
        hint: Option<String>,
        /// How well the user has to authenticate.
        acr: Option<Acr>,
        /// Somebody is signed in who does not do, or is signed in elsewhere and shall not do by
        /// that: they authenticate again from the first factor on, or somebody else does.
        again: bool,
    },
    /// The user is asked first.
    Consent(Box<ConsentAsk>),
    /// The user is told, and nothing is redirected.
    Fault(AuthorizeFault),
    /// The same of an error for a client that is a stranger to this user: nobody has looked at it.
    Refused(Onward),
}

/// What came of a request to log out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogoutAnswer {
    /// The user is asked first.
    Confirm,
    /// Nobody is logged in any more; the browser goes there, or is told so.
    Done(Option<String>),
    /// Nobody is logged in any more, and the user is told so by a page that leads on to a stranger.
    Onward(Onward),
}

/// Where a client would have a browser sent that has registered itself and that the user has never
/// agreed to. A server that sends browsers there by itself would lend its name to whoever asks
/// (RFC 9700 §4.11.2), so that a page shows the place, and the user goes there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onward {
    /// The value of `location` that it would have been: as long as redirect URI and `state` may be.
    pub location: String,
    /// What people are shown of it: origin or scheme.
    pub place: String,
}

impl Onward {
    fn to(location: String) -> Self {
        let (scheme, rest) = location.split_once(':').unwrap_or_default();
        let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?']).next());
        let place = match authority.filter(|_| matches!(scheme, "http" | "https")) {
            Some(authority) => [scheme, "://", authority].concat(),
            None => [scheme, ":"].concat(),
        };
        Self { location, place }
    }
}

/// What a user is asked to agree to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentAsk {
    /// What people call the client.
    pub client_name: String,
    /// Its page.
    pub client_uri: Option<String>,
    /// Its logo.
    pub logo_uri: Option<String>,
    /// What it asks for: the scope, and what the document tells people of it.
    pub scopes: Vec<(String, String)>,
    /// Where it would use that (RFC 8707).
    pub resources: Vec<String>,
    /// Origin or scheme of the redirect URI: the form's answer leads there, and the page's policy
    /// has to let it.
    pub form_target: String,
    /// The parameters of the request, for the form to bring back.
    pub query: String,
}

/// Tokens that were made, for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAnswer {
    /// The access token.
    pub access_token: Secret,
    /// The token to go on with.
    pub refresh_token: Option<Secret>,
    /// Who the user is (OpenID Connect Core §2).
    pub id_token: Option<Secret>,
    /// How long the access token lives, in seconds.
    pub expires_in_secs: u64,
    /// What it allows.
    pub scope: ScopeSet,
    /// How it is presented.
    pub token_type: TokenType,
    /// What kind of token it is, where one was exchanged for it (RFC 8693 §2.2.1).
    pub issued_token_type: Option<&'static str>,
}

impl TokenAnswer {
    /// As JSON (RFC 6749 §5.1).
    #[must_use]
    pub fn body(&self) -> String {
        let answer = TokenResponse {
            access_token: &self.access_token,
            token_type: self.token_type,
            expires_in_secs: self.expires_in_secs,
            scopes: &self.scope,
            refresh_token: self.refresh_token.as_ref(),
            id_token: self.id_token.as_ref(),
            issued_token_type: self.issued_token_type,
        };
        answer.body()
    }

    /// Reads what [`TokenAnswer::body`] wrote; none for everything else.
    fn read(body: &str) -> Option<Self> {
        let body = json::parse(body.as_bytes()).ok()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let secret = |name: &str| text(name).map(|text| Secret::new(text.to_owned()));
        let types = [TokenType::Bearer, TokenType::Dpop];
        let Value::Integer(expires_in) = body.get("expires_in")? else { return None };
        Some(Self {
            access_token: secret("access_token")?,
            refresh_token: secret("refresh_token"),
            id_token: secret("id_token"),
            expires_in_secs: u64::try_from(*expires_in).ok()?,
            scope: ScopeSet::parse(text("scope").unwrap_or_default()).ok()?,
            token_type: types.into_iter().find(|one| text("token_type") == Some(one.as_str()))?,
            // What is kept is the answer to a refresh token.
            issued_token_type: None,
        })
    }
}

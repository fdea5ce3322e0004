//! Granting tokens: what is asked of it, and what comes of it.

use postern_oauth::{Acr, AuthorizeFault, ScopeSet, Secret, TokenType};

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
    },
    /// The user is asked first.
    Consent(Box<ConsentAsk>),
    /// The user is told, and nothing is redirected.
    Fault(AuthorizeFault),
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
}

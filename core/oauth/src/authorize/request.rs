//! The parameters of an authorization request, once it is certain where the answer goes.

use postern_request::UnixMillis;

use super::prompt::Prompts;
use super::received::Verified;
use super::response::AuthorizeError;
use crate::{
    ClientKind, CodeChallenge, ErrorCode, GrantType, OAuthError, ScopeSet, ServerRules, resource,
};

/// Longest `nonce`, in bytes; it is kept with the code, and stands in the ID token.
const MAX_NONCE_BYTES: usize = 512;
/// Longest `login_hint`, in bytes.
const MAX_HINT_BYTES: usize = 255;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizeRequest {
    /// Who asks.
    pub client_id: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// Whether the request named it; the exchange of the code has to do the same then.
    pub redirect_uri_was_named: bool,
    /// `scope`; none where it was omitted.
    pub scopes: Option<ScopeSet>,
    /// `state`, for the answer alone.
    pub state: Option<String>,
    /// `nonce`, for the ID token.
    pub nonce: Option<String>,
    /// PKCE.
    pub challenge: Option<CodeChallenge>,
    /// What the user shall be asked.
    pub prompt: Prompts,
    /// How long ago the user may have authenticated.
    pub max_age_secs: Option<u64>,
    /// How the user shall have authenticated, as it came.
    pub acr_values: Vec<String>,
    /// Who is expected, as the client says it.
    pub login_hint: Option<String>,
    /// An ID token of who is expected; nothing of it is verified.
    pub id_token_hint: Option<String>,
    /// Languages for pages, the most wanted first.
    pub ui_locales: Vec<String>,
    /// Where tokens shall be usable (RFC 8707).
    pub resources: Vec<String>,
    /// The key that the exchange of the code shall prove (RFC 9449 §10).
    pub dpop_jkt: Option<[u8; 32]>,
    /// Since when the request is kept here, where it is.
    pub kept_at: Option<UnixMillis>,
}

impl AuthorizeRequest {
    /// Turns it away at the client.
    #[must_use]
    pub fn refuse(&self, error: OAuthError) -> AuthorizeError {
        AuthorizeError { error, redirect_uri: self.redirect_uri.clone(), state: self.state.clone() }
    }
}

impl Verified<'_> {
    /// Reads the rest.
    ///
    /// # Errors
    /// The first thing that is wrong with it, for the client.
    pub fn read(&self, server: &ServerRules) -> Result<AuthorizeRequest, AuthorizeError> {
        self.parameters(server).map_err(|error| AuthorizeError {
            error,
            redirect_uri: self.redirect_uri.to_owned(),
            state: self.text("state"),
        })
    }

    fn parameters(&self, server: &ServerRules) -> Result<AuthorizeRequest, OAuthError> {
        self.check_supported(server)?;
        let challenge = CodeChallenge::parse(
            self.form.get("code_challenge"),
            self.form.get("code_challenge_method"),
        )?;
        let must_challenge = self.client.kind == ClientKind::Public || self.client.require_pkce;
        if must_challenge && challenge.is_none() {
            return Err(OAuthError::invalid_request("The parameter code_challenge is missing"));
        }
        let scopes = self.form.get("scope").map(ScopeSet::parse).transpose();
        let resources = resource::parse(self.form.all("resource"))?;
        server.check_resources(self.client, &resources)?;
        Ok(AuthorizeRequest {
            client_id: self.client.client_id.clone(),
            redirect_uri: self.redirect_uri.to_owned(),
            redirect_uri_was_named: self.form.get("redirect_uri").is_some(),
            scopes: scopes.map_err(|_| OAuthError::invalid_scope("A scope is malformed"))?,
            state: self.text("state"),
            nonce: self.bounded("nonce", MAX_NONCE_BYTES)?,
            challenge,
            prompt: Prompts::parse(self.form.get("prompt"))?,
            max_age_secs: self.max_age()?,
            acr_values: self.words("acr_values"),
            login_hint: self.bounded("login_hint", MAX_HINT_BYTES)?,
            id_token_hint: self.text("id_token_hint"),
            ui_locales: self.words("ui_locales"),
            resources,
            dpop_jkt: self.dpop_jkt()?,
            kept_at: self.kept.map(|kept| kept.kept_at),
        })
    }

    /// What is asked for is what there is: the code flow, and the parameters that are read here.
    fn check_supported(&self, server: &ServerRules) -> Result<(), OAuthError> {
        for (name, code, description) in UNSUPPORTED {
            if self.form.get(name).is_some() {
                return Err(OAuthError::new(code, description));
            }
        }
        let is_pushed = self.kept.is_some_and(|kept| kept.is_pushed);
        if (server.require_par || self.client.require_par) && !is_pushed {
            return Err(OAuthError::invalid_request("The request must be pushed"));
        }
        match self.form.get("response_type") {
            None => {
                return Err(OAuthError::invalid_request("The parameter response_type is missing"));
            }
            Some("code") => {}
            Some(_) => {
                return Err(OAuthError::new(
                    ErrorCode::UnsupportedResponseType,
                    "The response type is not supported",
                ));
            }
        }
        if !matches!(self.form.get("response_mode"), None | Some("query")) {
            return Err(OAuthError::invalid_request("The response mode is not supported"));
        }
        let grant = GrantType::AuthorizationCode;
        if !server.grants(grant) {
            return Err(OAuthError::unauthorized_client());
        }
        self.client.check_grant(grant)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.form.get(name).map(str::to_owned)
    }

    fn bounded(&self, name: &str, most: usize) -> Result<Option<String>, OAuthError> {
        match self.form.get(name) {
            Some(text) if text.len() > most || text.chars().any(char::is_control) => Err(
                OAuthError::invalid_request("A parameter is too long or has control characters"),
            ),
            text => Ok(text.map(str::to_owned)),
        }
    }

    fn words(&self, name: &str) -> Vec<String> {
        let words = self.form.get(name).unwrap_or_default().split(' ');
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn max_age(&self) -> Result<Option<u64>, OAuthError> {
        let Some(text) = self.form.get("max_age") else { return Ok(None) };
        let secs =
            text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        secs.map(Some).ok_or(OAuthError::invalid_request("The parameter max_age is malformed"))
    }

    /// The key by the parameter, or by the proof that came with a pushed request; both are one
    /// (RFC 9449 §10.1).
    fn dpop_jkt(&self) -> Result<Option<[u8; 32]>, OAuthError> {
        let malformed = OAuthError::invalid_request("The parameter dpop_jkt is malformed");
        let named = self.form.get("dpop_jkt").map(crate::pkce::hash_of);
        let named = match named {
            None => None,
            Some(hash) => Some(hash.ok_or(malformed)?),
        };
        match (named, self.kept.and_then(|kept| kept.dpop_jkt)) {
            (Some(named), Some(proven)) if named != proven => {
                Err(OAuthError::invalid_request("The parameter dpop_jkt is not the proof's key"))
            }
            (named, proven) => Ok(named.or(proven)),
        }
    }
}

/// Parameters of OpenID Connect that ask for what is not done here (Core §3.1.2.6).
const UNSUPPORTED: [(&str, ErrorCode, &str); 3] = [
    ("request", ErrorCode::RequestNotSupported, "The parameter request is not supported"),
    ("request_uri", ErrorCode::RequestUriNotSupported, "Requests are not fetched from elsewhere"),
    (
        "registration",
        ErrorCode::RegistrationNotSupported,
        "The parameter registration is not supported",
    ),
];

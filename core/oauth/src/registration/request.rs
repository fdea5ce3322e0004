//! What a client says of itself, and what becomes of it.

use postern_jose::Algorithm;
use postern_request::json::{self, Value};

use super::fields::Fields;
use super::keys::Keys;
use super::{GRANTS, MAX_REGISTRATION_BYTES, invalid};
use crate::{
    AuthMethod, ClientKind, ErrorCode, GrantType, OAuthError, RedirectUri, ScopeSet, ServerRules,
};

/// A request of RFC 7591 §3.1, read and not decided yet.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistrationRequest {
    name: Option<String>,
    auth_method: AuthMethod,
    grant_types: Vec<GrantType>,
    redirect_uris: Vec<RedirectUri>,
    post_logout_redirect_uris: Vec<RedirectUri>,
    scope: Option<ScopeSet>,
    pages: Pages,
    keys: Keys,
    id_token_alg: Option<Algorithm>,
    require_par: bool,
    bind_dpop: bool,
}

/// The client's own pages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Pages {
    client: Option<String>,
    logo: Option<String>,
    policy: Option<String>,
}

/// A client that may be registered; whoever does so makes its id and its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRegistration {
    /// `client_name`
    pub name: Option<String>,
    /// Whether it can keep a secret: whether it proves who it is at all.
    pub kind: ClientKind,
    /// `token_endpoint_auth_method`
    pub auth_method: AuthMethod,
    /// `grant_types`
    pub grant_types: Vec<GrantType>,
    /// `redirect_uris`
    pub redirect_uris: Vec<RedirectUri>,
    /// `post_logout_redirect_uris`
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// `scope`
    pub scopes: ScopeSet,
    /// `client_uri`
    pub client_uri: Option<String>,
    /// `logo_uri`
    pub logo_uri: Option<String>,
    /// `policy_uri`
    pub policy_uri: Option<String>,
    /// `jwks`
    pub jwks: Option<Value>,
    /// `jwks_uri`
    pub jwks_uri: Option<String>,
    /// SHA-256 of its certificate, where it proves who it is by one.
    pub certificate: Option<[u8; 32]>,
    /// `id_token_signed_response_alg`
    pub id_token_alg: Algorithm,
    /// `require_pushed_authorization_requests` (RFC 9126 §6)
    pub require_par: bool,
    /// `dpop_bound_access_tokens` (RFC 9449 §5.2)
    pub bind_dpop: bool,
}

impl RegistrationRequest {
    /// Reads a request. Members that mean nothing here are passed over (§2).
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        if body.len() > MAX_REGISTRATION_BYTES {
            return Err(OAuthError::new(ErrorCode::RequestTooLarge, "The request is too large"));
        }
        let Ok(Value::Object(members)) = json::parse(body) else {
            return Err(invalid("The body is no strict JSON object"));
        };
        let mut fields = Fields::new(members);
        // Its claims would count for more than what stands beside it (§3.1.1), so that passing it
        // over would register something else than its author has signed.
        if fields.take("software_statement").is_some() {
            return Err(OAuthError::new(
                ErrorCode::UnapprovedSoftwareStatement,
                "No software statement is approved here",
            ));
        }
        let redirect_uris = fields.redirect_uris("redirect_uris")?;
        let auth_method = match fields.text("token_endpoint_auth_method")? {
            None => AuthMethod::Basic,
            Some(name) => AuthMethod::parse(&name)
                .ok_or(invalid("This way of client authentication is not known"))?,
        };
        let grant_types = grant_types(&mut fields, !redirect_uris.is_empty())?;
        if fields.text("subject_type")?.is_some_and(|kind| kind != "public") {
            return Err(invalid("Users have one name for all clients: subject_type is public"));
        }
        // Nobody is led there, but what is no address is a mistake all the same.
        fields.web("tos_uri")?;
        let scope = fields.text("scope")?.map(|text| ScopeSet::parse(&text)).transpose();
        let id_token_alg = fields.text("id_token_signed_response_alg")?;
        let unsigned = invalid("ID tokens are not signed with this algorithm");
        Ok(Self {
            name: fields.name()?,
            auth_method,
            grant_types,
            redirect_uris,
            post_logout_redirect_uris: fields.redirect_uris("post_logout_redirect_uris")?,
            scope: scope.map_err(|_| invalid("A scope is malformed"))?,
            pages: Pages {
                client: fields.web("client_uri")?,
                logo: fields.web("logo_uri")?,
                policy: fields.web("policy_uri")?,
            },
            keys: Keys::read(&mut fields, auth_method)?,
            id_token_alg: id_token_alg
                .map(|name| Algorithm::parse(&name).ok_or(unsigned))
                .transpose()?,
            require_par: fields.flag("require_pushed_authorization_requests")?,
            bind_dpop: fields.flag("dpop_bound_access_tokens")?,
        })
    }

    /// Decides. `allowed` is what such clients may ask for at most, which they also get where they
    /// name nothing.
    ///
    /// # Errors
    /// `invalid_client_metadata` for what is not offered here.
    pub fn decide(
        self,
        server: &ServerRules,
        allowed: &ScopeSet,
    ) -> Result<NewRegistration, OAuthError> {
        if self.grant_types.iter().any(|grant| !server.grants(*grant)) {
            return Err(invalid("A grant type is not offered here"));
        }
        // Whom an authority vouches for under which name is for an operator to say.
        if self.auth_method == AuthMethod::TlsClientAuth || !server.takes(self.auth_method) {
            return Err(invalid("This way of client authentication is not offered here"));
        }
        let scopes = allowed
            .narrow(self.scope.as_ref())
            .map_err(|_| invalid("A scope is none that clients may register for"))?;
        let kind = match self.auth_method {
            AuthMethod::None => ClientKind::Public,
            _ => ClientKind::Confidential,
        };
        Ok(NewRegistration {
            name: self.name,
            kind,
            auth_method: self.auth_method,
            grant_types: self.grant_types,
            redirect_uris: self.redirect_uris,
            post_logout_redirect_uris: self.post_logout_redirect_uris,
            scopes,
            client_uri: self.pages.client,
            logo_uri: self.pages.logo,
            policy_uri: self.pages.policy,
            jwks: self.keys.jwks,
            jwks_uri: self.keys.jwks_uri,
            certificate: self.keys.certificate,
            id_token_alg: algorithm(self.id_token_alg, server)?,
            require_par: self.require_par,
            bind_dpop: self.bind_dpop,
        })
    }
}

impl NewRegistration {
    /// Whether it proves who it is by a secret, which has to be made then.
    #[must_use]
    pub const fn has_secret(&self) -> bool {
        matches!(self.auth_method, AuthMethod::Basic | AuthMethod::Post)
    }

    /// `response_types`: what goes with the grant types (RFC 7591 §2.1).
    #[must_use]
    pub fn response_types(&self) -> &'static [&'static str] {
        if self.grant_types.contains(&GrantType::AuthorizationCode) { &["code"] } else { &[] }
    }
}

/// `grant_types` and `response_types`, which have to go together (§2.1).
fn grant_types(fields: &mut Fields, has_uris: bool) -> Result<Vec<GrantType>, OAuthError> {
    let mut grants = vec![GrantType::AuthorizationCode];
    if let Some(names) = fields.texts("grant_types")? {
        let grant = |name: &String| GrantType::parse(name).filter(|one| GRANTS.contains(one));
        grants = names.iter().map(grant).collect::<Option<_>>().ok_or(invalid(
            "Clients that register themselves may use authorization_code, refresh_token and the \
             device code",
        ))?;
    }
    let has_code = grants.contains(&GrantType::AuthorizationCode);
    if !has_code && !grants.contains(&GrantType::DeviceCode) {
        return Err(invalid("There is no grant type by which it could get a token"));
    }
    if let Some(types) = fields.texts("response_types")? {
        let expected: &[&str] = if has_code { &["code"] } else { &[] };
        if types != expected {
            return Err(invalid("response_types do not go with grant_types: code is the only one"));
        }
    }
    if has_code && !has_uris {
        return Err(OAuthError::new(
            ErrorCode::InvalidRedirectUri,
            "authorization_code needs at least one redirect URI",
        ));
    }
    Ok(grants)
}

/// What its ID tokens are signed with: what it asks for, or RS256 (OpenID Connect Registration §2)
/// where keys sign with that, or what they do sign with.
fn algorithm(asked: Option<Algorithm>, server: &ServerRules) -> Result<Algorithm, OAuthError> {
    let known = &server.algorithms;
    match asked {
        Some(asked) if known.contains(&asked) => Ok(asked),
        Some(_) => Err(invalid("ID tokens are not signed with this algorithm")),
        None if known.contains(&Algorithm::Rs256) => Ok(Algorithm::Rs256),
        None => Ok(known.first().copied().unwrap_or(Algorithm::Rs256)),
    }
}

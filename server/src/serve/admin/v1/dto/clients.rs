//! Clients.

use postern_identity::admin::{ClientEdit, ClientLinks};
use postern_jose::Algorithm;
use postern_oauth::{AuthMethod, GrantType, ScopeError, ScopeSet};
use postern_store::durable::{ClientKind, ClientRecord};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use utoipa::ToSchema;

use super::{given, moment};

/// How many grant types there are.
const MAX_GRANTS: usize = 5;

/// Whether a client can keep a secret.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientType {
    /// It cannot, such as a page's script or an app.
    Public,
    /// It can.
    #[default]
    Confidential,
}

impl From<ClientType> for ClientKind {
    fn from(kind: ClientType) -> Self {
        match kind {
            ClientType::Public => Self::Public,
            ClientType::Confidential => Self::Confidential,
        }
    }
}

/// How a client may ask for tokens.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
pub enum GrantName {
    /// RFC 6749 §4.4
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    /// RFC 6749 §4.1
    #[serde(rename = "authorization_code")]
    AuthorizationCode,
    /// RFC 6749 §6
    #[serde(rename = "refresh_token")]
    RefreshToken,
    /// RFC 8628
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// RFC 8693
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

impl From<GrantName> for GrantType {
    fn from(name: GrantName) -> Self {
        match name {
            GrantName::ClientCredentials => Self::ClientCredentials,
            GrantName::AuthorizationCode => Self::AuthorizationCode,
            GrantName::RefreshToken => Self::RefreshToken,
            GrantName::DeviceCode => Self::DeviceCode,
            GrantName::TokenExchange => Self::TokenExchange,
        }
    }
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
pub enum AuthMethodName {
    /// Not at all.
    #[serde(rename = "none")]
    None,
    /// Its secret, in the header.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// Its secret, in the body.
    #[serde(rename = "client_secret_post")]
    Post,
    /// A token that it signs (RFC 7523).
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
    /// A certificate that a known authority has signed (RFC 8705).
    #[serde(rename = "tls_client_auth")]
    TlsClientAuth,
    /// A certificate of its own (RFC 8705).
    #[serde(rename = "self_signed_tls_client_auth")]
    SelfSignedTls,
}

impl From<AuthMethodName> for AuthMethod {
    fn from(name: AuthMethodName) -> Self {
        match name {
            AuthMethodName::None => Self::None,
            AuthMethodName::Basic => Self::Basic,
            AuthMethodName::Post => Self::Post,
            AuthMethodName::PrivateKeyJwt => Self::PrivateKeyJwt,
            AuthMethodName::TlsClientAuth => Self::TlsClientAuth,
            AuthMethodName::SelfSignedTls => Self::SelfSignedTls,
        }
    }
}

/// What tokens are signed with.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
pub enum SigningAlgorithm {
    /// RSA
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    /// P-256
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(name: SigningAlgorithm) -> Self {
        match name {
            SigningAlgorithm::Rs256 => Self::Rs256,
            SigningAlgorithm::Es256 => Self::Es256,
            SigningAlgorithm::EdDsa => Self::EdDsa,
        }
    }
}

/// An OAuth client.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// `client_id`
    pub client_id: String,
    /// What people call it.
    pub name: String,
    /// public or confidential.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may do anything at all.
    pub is_active: bool,
    /// operator, or registered where it has registered itself.
    pub origin: String,
    /// How it may ask for tokens.
    pub grant_types: Vec<String>,
    /// What it may ask for.
    pub scopes: Vec<String>,
    /// Where codes are sent.
    pub redirect_uris: Vec<String>,
    /// Where browsers may go after log-out.
    pub post_logout_redirect_uris: Vec<String>,
    /// How it proves who it is.
    pub auth_method: String,
    /// Whether it has a secret.
    pub has_secret: bool,
    /// Its own public keys, a JWK Set.
    #[schema(value_type = Option<Object>)]
    pub jwks: Option<Value>,
    /// Where its keys are.
    pub jwks_uri: Option<String>,
    /// Which certificate is its own.
    pub tls_subject: Option<String>,
    /// Whether people are asked before it gets anything of theirs.
    pub require_consent: bool,
    /// Whether its authorization requests must be pushed (RFC 9126).
    pub require_par: bool,
    /// Whether its tokens are always bound to a key of its own (RFC 9449).
    pub bind_dpop: bool,
    /// How long its access tokens live, in seconds.
    pub access_token_lifetime: u64,
    /// How long its refresh tokens live, in seconds.
    pub refresh_token_lifetime: u64,
    /// Where its tokens may be for (RFC 8707); everywhere where it is empty.
    pub resources: Vec<String>,
    /// Resources for which it may ask about tokens of others (RFC 7662); `*` for all.
    pub may_introspect: Vec<String>,
    /// Clients for whose users it may act (RFC 8693); `*` for all.
    pub may_act_for: Vec<String>,
    /// What its ID tokens are signed with.
    pub id_token_alg: String,
    /// Its picture.
    pub logo_uri: Option<String>,
    /// Its home.
    pub client_uri: Option<String>,
    /// What it does with data.
    pub policy_uri: Option<String>,
    /// When it was registered.
    pub created_at: String,
    /// When it was changed last.
    pub updated_at: String,
}

impl From<ClientRecord> for Client {
    fn from(record: ClientRecord) -> Self {
        let jwks = record.jwks.as_deref().and_then(|text| serde_json::from_str(text).ok());
        Self {
            client_id: record.client_id,
            name: record.name,
            kind: record.kind.as_str().to_owned(),
            is_active: record.is_active,
            origin: record.origin.as_str().to_owned(),
            grant_types: record.grant_types,
            scopes: record.scopes,
            redirect_uris: record.redirect_uris,
            post_logout_redirect_uris: record.post_logout_redirect_uris,
            auth_method: record.auth_method,
            has_secret: record.secret_sha256.is_some(),
            jwks,
            jwks_uri: record.jwks_uri,
            tls_subject: record.tls_subject,
            require_consent: record.require_consent,
            require_par: record.require_par,
            bind_dpop: record.bind_dpop,
            access_token_lifetime: record.access_token_lifetime_secs,
            refresh_token_lifetime: record.refresh_token_lifetime_secs,
            resources: record.resources,
            may_introspect: record.may_introspect,
            may_act_for: record.may_act_for,
            id_token_alg: record.id_token_alg,
            logo_uri: record.logo_uri,
            client_uri: record.client_uri,
            policy_uri: record.policy_uri,
            created_at: moment(record.created_at),
            updated_at: moment(record.updated_at),
        }
    }
}

/// Fields that a client is made with and that change, written once for both.
macro_rules! client_body {
    ($(#[$meta:meta])* $name:ident { $($head:tt)* }) => {
        $(#[$meta])*
        #[derive(Deserialize, ToSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            $($head)*
            /// How it may ask for tokens.
            #[serde(default, deserialize_with = "few")]
            #[schema(min_items = 1, max_items = 5)]
            pub grant_types: Option<Vec<GrantName>>,
            /// What it may ask for.
            #[schema(max_items = 128)]
            pub scopes: Option<Vec<String>>,
            /// Where codes are sent, compared letter by letter.
            #[schema(max_items = 32)]
            pub redirect_uris: Option<Vec<String>>,
            /// Where browsers may go after log-out.
            #[schema(max_items = 32)]
            pub post_logout_redirect_uris: Option<Vec<String>>,
            /// How it proves who it is.
            pub auth_method: Option<AuthMethodName>,
            /// Its own public keys, a JWK Set; null for none any more.
            #[serde(default, deserialize_with = "given")]
            #[schema(value_type = Option<Object>)]
            pub jwks: Option<Option<Value>>,
            /// Where its keys are; null for nowhere any more.
            #[serde(default, deserialize_with = "given")]
            #[schema(value_type = Option<String>)]
            pub jwks_uri: Option<Option<String>>,
            /// Which certificate is its own: dns:NAME, uri:URI or sha256:HASH; null for none.
            #[serde(default, deserialize_with = "given")]
            #[schema(value_type = Option<String>)]
            pub tls_subject: Option<Option<String>>,
            /// Whether people are asked before it gets anything of theirs.
            pub require_consent: Option<bool>,
            /// Whether its authorization requests must be pushed (RFC 9126).
            pub require_par: Option<bool>,
            /// Whether its tokens are always bound to a key of its own (RFC 9449).
            pub bind_dpop: Option<bool>,
            /// How long its access tokens live, in seconds.
            #[schema(minimum = 1, maximum = 86400)]
            pub access_token_lifetime: Option<u64>,
            /// How long its refresh tokens live, in seconds.
            #[schema(minimum = 60, maximum = 31536000)]
            pub refresh_token_lifetime: Option<u64>,
            /// Where its tokens may be for (RFC 8707); everywhere where it is empty.
            #[schema(max_items = 32)]
            pub resources: Option<Vec<String>>,
            /// Resources for which it may ask about tokens of others (RFC 7662), as `aud` of these
            /// tokens says them; `*` for all.
            #[schema(max_items = 32)]
            pub may_introspect: Option<Vec<String>>,
            /// Clients for whose users it may act (RFC 8693); `*` for all.
            #[schema(max_items = 32)]
            pub may_act_for: Option<Vec<String>>,
            /// What its ID tokens are signed with.
            pub id_token_alg: Option<SigningAlgorithm>,
            /// Its picture; null for none any more.
            #[serde(default, deserialize_with = "given")]
            #[schema(value_type = Option<String>)]
            pub logo_uri: Option<Option<String>>,
            /// Its home; null for none any more.
            #[serde(default, deserialize_with = "given")]
            #[schema(value_type = Option<String>)]
            pub client_uri: Option<Option<String>>,
            /// What it does with data; null for nothing said any more.
            #[serde(default, deserialize_with = "given")]
            #[schema(value_type = Option<String>)]
            pub policy_uri: Option<Option<String>>,
        }

        impl $name {
            /// All but what is before them.
            ///
            /// # Errors
            /// Where scopes are none.
            pub fn edit(self) -> Result<ClientEdit, ScopeError> {
                let names = |names: Vec<String>| {
                    ScopeSet::from_names(names.iter().map(String::as_str))
                };
                let text = |jwks: Option<Value>| jwks.map(|jwks| jwks.to_string());
                Ok(ClientEdit {
                    scopes: self.scopes.map(names).transpose()?,
                    grant_types: self.grant_types.map(unique),
                    redirect_uris: self.redirect_uris,
                    post_logout_redirect_uris: self.post_logout_redirect_uris,
                    auth_method: self.auth_method.map(AuthMethod::from),
                    require_consent: self.require_consent,
                    require_par: self.require_par,
                    bind_dpop: self.bind_dpop,
                    access_token_lifetime_secs: self.access_token_lifetime,
                    refresh_token_lifetime_secs: self.refresh_token_lifetime,
                    jwks: self.jwks.map(text),
                    jwks_uri: self.jwks_uri,
                    tls_subject: self.tls_subject,
                    resources: self.resources,
                    may_introspect: self.may_introspect,
                    may_act_for: self.may_act_for,
                    id_token_alg: self.id_token_alg.map(Algorithm::from),
                    links: ClientLinks {
                        logo_uri: self.logo_uri,
                        client_uri: self.client_uri,
                        policy_uri: self.policy_uri,
                    },
                    ..ClientEdit::default()
                })
            }
        }
    };
}

client_body! {
    /// A client to be registered; its id and secret are made here.
    NewClient {
        /// What people call it.
        #[schema(min_length = 1, max_length = 255, example = "Nightly billing")]
        pub name: String,
        /// Whether it can keep a secret; it can without this.
        #[serde(rename = "type", default)]
        pub kind: ClientType,
    }
}

client_body! {
    /// What of a client changes; what is not there stays.
    ClientChange {
        /// What people call it.
        #[schema(min_length = 1, max_length = 255, example = "Nightly billing")]
        pub name: Option<String>,
        /// Whether it may do anything at all. False ends the access tokens that it has.
        pub is_active: Option<bool>,
    }
}

/// No more of them than there are.
fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<GrantName>>, D::Error> {
    let names = Option::<Vec<GrantName>>::deserialize(deserializer)?;
    match names.as_ref().map_or(0, Vec::len) {
        0..=MAX_GRANTS => Ok(names),
        more => Err(de::Error::invalid_length(more, &"at most 5 grant types")),
    }
}

/// Each once, in their order.
fn unique(names: Vec<GrantName>) -> Vec<GrantType> {
    let mut grants: Vec<GrantType> = Vec::with_capacity(names.len());
    for grant in names.into_iter().map(GrantType::from) {
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    grants
}

/// A client that was registered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCreated {
    /// The client.
    pub client: Client,
    /// Its secret, where it has one; it is not kept and cannot be shown again.
    pub client_secret: Option<String>,
}

/// A client after a change.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientChanged {
    /// The client.
    pub client: Client,
    /// Its secret, where the change has made one; it is not kept and cannot be shown again.
    pub client_secret: Option<String>,
}

/// A client's other secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientSecret {
    /// `client_id`
    pub client_id: String,
    /// The secret; it is not kept and cannot be shown again.
    pub client_secret: String,
}

//! OAuth 2.0 (RFC 6749), its extensions and OpenID Connect as data: what a client asks of the
//! endpoints, who may have what, and how it is answered.
//!
//! An endpoint is a state machine without I/O. A request is read ([`TokenRequest::parse`],
//! [`Received::parse`]) and says which [`Client`] it is about; the caller fetches that, looks at
//! its [`Proof`], and takes out of the store what the request names; `decide` says what to issue,
//! or why not. Nothing here reads a clock, a store or a random source, so each rule is a line in
//! a table of tests.
//!
//! Deliberately absent: how tokens are made and signed, how secrets are kept, and how pages look
//! (`postern-identity`); implicit and hybrid flows and the password grant (RFC 9700 §2.1.2,
//! §2.4); and every grant that is not finished: metadata names only what works.

mod acr;
mod authorize;
mod client;
mod client_auth;
mod device;
mod dpop;
mod error;
mod exchange;
#[cfg(test)]
mod fixtures;
mod form;
mod grants;
mod introspection;
mod kept;
mod logout;
mod metadata;
mod par;
mod pkce;
mod redirect_uri;
mod refresh_token;
mod registration;
mod resource;
mod response;
mod revocation;
mod rules;
mod scope;
mod secret;
mod token;
mod userinfo;

pub use acr::Acr;
pub use authorize::{
    AuthorizeError, AuthorizeFault, AuthorizeRequest, Browser, Consented, KeptRequest,
    MAX_QUERY_BYTES, MAX_STATE_BYTES, Next, PUSHED_SECS, Prompts, REQUEST_URI_PREFIX, Received,
    SessionFacts, Verified, decide, failure, success,
};
pub use client::{AuthMethod, Client, ClientKind, GrantType};
pub use client_auth::{
    ASSERTION_TYPE, AssertionFacts, ClientAuthentication, Evidence, MAX_ASSERTION_SECS,
    MAX_CLIENT_ID_BYTES, Proof, ShownCertificate, assertion_claims, authenticate,
};
pub use device::{
    DeviceAnswer, DeviceRequest, DeviceStage, DeviceState, Poll, UserCode, VERIFICATION_PATH,
};
pub use dpop::{MAX_PROOF_AGE_SECS, TokenEndpointProof};
pub use error::{ChallengeScheme, ErrorCode, OAuthError};
pub use exchange::{ACCESS_TOKEN_TYPE, Held, MayAct, TokenExchange, TokenFacts};
pub use form::{
    Form, FormError, MAX_BODY_BYTES, MAX_EXCHANGE_BYTES, MAX_PARAMETERS, MAX_VALUE_BYTES,
    REPEATABLE,
};
pub use grants::{CodeGrant, FamilyGrant};
pub use introspection::{INACTIVE, IntrospectionRequest, active_access, active_refresh};
pub use logout::{Hint, Logout, LogoutFault, LogoutRequest};
pub use metadata::{
    AUTHORIZATION_SERVER_PATH, OPENID_CONFIGURATION_PATH, PROTECTED_RESOURCE_PATH, ServerMetadata,
};
pub use par::{PushedRequest, pushed};
pub use pkce::{CHALLENGE_METHOD, CodeChallenge, check_verifier};
pub use redirect_uri::{MAX_REDIRECT_URI_BYTES, RedirectUri, RedirectUriError};
pub use refresh_token::RefreshToken;
pub use registration::{
    MAX_REGISTRATION_BYTES, NewRegistration, REGISTER_SCOPE, RegistrationAnswer,
    RegistrationRequest,
};
pub use resource::is_resource;
pub use response::{NO_STORE, TokenResponse, TokenType};
pub use revocation::{RevocationRequest, TokenHint};
pub use rules::{DeviceTimes, Endpoint, JWKS_PATH, RefreshTimes, ServerRules, TOKEN_PATH};
pub use scope::{IDENTITY_SCOPES, MAX_SCOPES, OFFLINE_ACCESS, OPENID, ScopeError, ScopeSet};
pub use secret::Secret;
pub use token::{
    Actor, ClientCredentials, CodeExchange, DeviceExchange, Grant, IdTokenPlan, Issue,
    IssueAccessToken, RefreshExchange, RefreshPlan, TokenRequest,
};
pub use userinfo::UserClaims;

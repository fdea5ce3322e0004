//! OAuth 2.0 (RFC 6749) as data: what a client asks of the token endpoint, who may have what,
//! and how it is answered.
//!
//! A grant is a state machine without I/O. [`TokenRequest::parse`] reads a request and says
//! which client it is about; the caller fetches that [`Client`] and compares the secret;
//! [`TokenRequest::decide`] says what to issue, or why not. Nothing here reads a clock, a
//! store or a random source, so each rule is a line in a table of tests.
//!
//! Deliberately absent: how tokens are made and signed (`postern-identity`), how secrets are
//! kept, and every grant that is not finished: metadata names only what works.

mod acr;
mod authorize;
mod client;
mod client_auth;
mod error;
mod form;
mod metadata;
mod redirect_uri;
mod response;
mod scope;
mod secret;
mod token_request;

pub use acr::Acr;
pub use authorize::AuthorizeFault;
pub use client::{AuthMethod, Client, ClientKind, GrantType};
pub use client_auth::ClientAuthentication;
pub use error::{ErrorCode, OAuthError};
pub use form::{Form, FormError, MAX_BODY_BYTES, MAX_PARAMETERS, MAX_VALUE_BYTES};
pub use metadata::{JWKS_PATH, ServerMetadata, TOKEN_PATH};
pub use redirect_uri::{MAX_REDIRECT_URI_BYTES, RedirectUri, RedirectUriError};
pub use response::{NO_STORE, TokenResponse, TokenType};
pub use scope::{MAX_SCOPES, ScopeError, ScopeSet};
pub use secret::Secret;
pub use token_request::{ClientCredentials, Grant, IssueAccessToken, TokenRequest};

//! The authorization server over HTTP: reads requests into the protocol's terms, asks stores and
//! clock, writes the answers. What a client is told and what the log says are two texts.

mod auth;
pub(crate) mod caller;
pub(crate) mod cookies;
pub(crate) mod limits;
pub(crate) mod oauth;
mod pages;
mod refusal;
pub(crate) mod reply;
pub(crate) mod router;
mod whole;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;

pub use auth::{AuthApi, Bearer, OwnTokens, Tokens, router as auth_router};
pub use cookies::Cookies;
pub use limits::RequestLimits;
pub use pages::{CurrentPages, Pages, PagesConfig, PagesParts, outside_router, pages_router};
pub use router::{Browsers, Identity, Told, router};

/// A body as it was read, or why it was not.
type Body = Result<Bytes, BytesRejection>;

/// What is answered. An error is an answer too: what goes out in place of what was asked for.
type Answered = Result<Response, Response>;

#[cfg(test)]
mod tests;

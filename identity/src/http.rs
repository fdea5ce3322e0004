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

pub use auth::{AuthApi, Bearer, OwnTokens, Tokens, router as auth_router};
pub use cookies::Cookies;
pub use limits::RequestLimits;
pub use pages::{CurrentPages, Pages, PagesConfig, PagesParts, outside_router, pages_router};
pub use router::{Browsers, Identity, Told, router};

#[cfg(test)]
mod tests;

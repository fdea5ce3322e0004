//! The token endpoint (RFC 6749 §3.2): what is asked of it, and what to make.

mod client_credentials;
mod code;
mod device;
mod issue;
mod refresh;
mod request;

pub use client_credentials::ClientCredentials;
pub use code::CodeExchange;
pub(crate) use code::is_same_key;
pub use device::DeviceExchange;
pub use issue::{Actor, IdTokenPlan, Issue, IssueAccessToken, RefreshPlan};
pub(crate) use issue::{check_grant, confirmation, lifetime};
pub use refresh::RefreshExchange;
pub use request::{Grant, TokenRequest};

//! Logging in: users, their passwords and factors, and the sessions that come of it.

mod error;
mod service;

pub use error::LoginError;
pub use service::{Caller, DirectLogin, DirectSession, LoggedIn, Outcome, OutsidePerson, Screen};

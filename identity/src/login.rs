//! Logging in: users, their passwords and factors, and the sessions that come of it.

mod agent;
mod error;
mod factors;
#[cfg(test)]
pub(crate) mod fixture;
mod flow;
mod hashing;
mod limits;
mod passwords;
mod person;
mod phc;
mod recovery;
mod rules;
mod service;
mod sessions;
mod terms;
mod tools;
pub(crate) mod totp;

pub use agent::Agent;
pub use error::LoginError;
pub use factors::{FactorService, FactorSummary, TotpEnrolment, Verified};
pub use flow::{Authenticated, FLOW_LIFE_MS, Factor, Flow, Known};
pub use hashing::{Hasher, Verdict, hashing_threads};
pub(crate) use limits::IPV6_PREFIX;
pub use limits::{LoginLimiter, Taken};
pub use passwords::MAX_CHARS as MAX_PASSWORD_CHARS;
pub(crate) use passwords::judge as judge_password;
pub use person::Person;
pub use phc::Argon2Parameters;
pub use postern_document::ADMIN_SCOPE;
pub use rules::{CurrentLoginRules, LoginRules};
pub use service::{BrowserVerdict, Enrolled, LoginParts, LoginService};
pub use service::{Consented, Removal};
pub(crate) use sessions::reference_of;
pub use terms::{Caller, DirectLogin, DirectSession, LoggedIn, Outcome, OutsidePerson, Screen};
pub use tools::{CurrentLoginTools, LoginTools};

/// The client that `/auth/login` makes tokens for. Registered clients have UUIDs, so none of them
/// is this one.
pub const LOGIN_CLIENT_ID: &str = "postern-login";

//! What is asked of logging in, and what comes of it.

use std::net::IpAddr;

use postern_oauth::Secret;
use postern_request::UnixMillis;
use postern_request::login::ReturnTo;
use postern_store::flows::SessionRecord;

/// Who is at the other end, as far as a request shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// The client's address; none where it cannot be known.
    pub ip: Option<IpAddr>,
    /// `user-agent`
    pub user_agent: String,
    /// `accept-language`
    pub accept_language: String,
    /// `sec-ch-ua-platform`
    pub platform: String,
    /// The device, by its cookie or as the client calls it.
    pub device: Option<String>,
    /// The cookie of the session that the browser has until now: it ends when another one begins
    /// there.
    pub session: Option<Secret>,
}

/// What somebody who logs in is asked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// E-mail and password.
    Password,
    /// A second factor, one of these.
    Mfa {
        /// A code of an application.
        totp: bool,
        /// A passkey.
        passkey: bool,
        /// A recovery code.
        recovery: bool,
    },
    /// To set a second factor up: the role asks for one, and there is none.
    EnrolTotp,
    /// Another password.
    ChangePassword,
}

/// What came of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There is more to do.
    Ask(Screen),
    /// The user is logged in.
    Done(Box<LoggedIn>),
}

/// Somebody has logged in with a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    /// The session that has begun.
    pub session: SessionRecord,
    /// The cookie's value: the session's id and its secret.
    pub cookie: Secret,
    /// How long the browser keeps it; none for as long as it runs.
    pub max_age_secs: Option<u64>,
    /// Where it goes now.
    pub return_to: ReturnTo,
}

/// A log-in in one call, without a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectLogin {
    /// The user's e-mail.
    pub email: String,
    /// The password.
    pub password: Secret,
    /// A code of an application, or a recovery code.
    pub mfa_token: Option<Secret>,
    /// What the session is bound to.
    pub device_id: Option<String>,
    /// Whether it shall last.
    pub remember: bool,
}

/// A session of [`DirectLogin`], for which tokens are to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectSession {
    /// The session that has begun.
    pub session: SessionRecord,
    /// Whether its tokens shall last.
    pub remember: bool,
}

/// Somebody whom an outside provider has vouched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsidePerson {
    /// The provider's name in the document.
    pub provider: String,
    /// `sub` at the provider.
    pub subject: String,
    /// The e-mail, where the provider says that it is verified.
    pub verified_email: Option<String>,
    /// `given_name`
    pub first_name: Option<String>,
    /// `family_name`
    pub last_name: Option<String>,
    /// The role that the document makes of the provider's claims.
    pub role: Option<String>,
    /// When they have authenticated there, where the provider says so; else that was just now, as
    /// far as anybody knows.
    pub authenticated_at: Option<UnixMillis>,
}

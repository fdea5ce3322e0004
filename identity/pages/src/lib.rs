//! The pages of the authorization server: logging in, consent, devices, the account.
//!
//! A page is a function from what it shows to HTML, in a language that the browser asks for.
//! Templates are compiled, and whatever comes from outside is escaped by them. No page needs
//! JavaScript, and none loads anything from elsewhere: the style is a file of its own, and there
//! is no inline script or style, so that a strict content security policy holds.
//!
//! Deliberately absent: HTTP, stores, clocks, and every decision. Who is asked what is for
//! `postern-identity` to say.

mod language;
mod look;
mod pages;
mod problem;
mod style;
mod texts;

pub use language::Language;
pub use look::{Look, Page};
pub use pages::{
    AccountView, ConsentView, DeviceConfirmView, DeviceView, Elsewhere, EnrolTotpView, ErrorKind,
    ErrorView, LoginView, LogoutView, MfaView, OutsideLink, PasswordView, RecoveryCodesView,
    ScopeLine, SessionLine, SessionsView, TotpKey, account, ask_logout, consent, device,
    device_confirm, device_done, enrol_totp, error, logged_out, login, mfa, password,
    recovery_codes, sessions,
};
pub use problem::Problem;
pub use style::{Colours, contrast, style};

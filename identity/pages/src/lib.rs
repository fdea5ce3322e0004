//! The pages of the authorization server: logging in, consent, devices, the account.
//!
//! A page is a function from what it shows to HTML, in a language that the browser asks for.
//! Templates are compiled, and whatever comes from outside is escaped by them. No page needs
//! JavaScript but for passkeys, and none loads anything from elsewhere: style and script are files
//! of their own, and there is nothing inline, so that a strict content security policy holds.
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
    AccountView, Ceremony, ConsentLine, ConsentView, ConsentsView, DeviceConfirmView, DeviceView,
    Elsewhere, EnrolTotpView, ErrorKind, ErrorView, FactorLine, FactorsView, FormTarget, LoginView,
    LogoutView, MfaView, OnwardView, OutsideLink, PasskeysView, PasswordView, RecoveryCodesView,
    ScopeLine, SessionLine, SessionsView, TotpKey, account, ask_logout, consent, consents, device,
    device_confirm, device_done, enrol_totp, error, factors, logged_out, logged_out_by_stranger,
    login, mfa, passkeys, password, recovery_codes, refused_stranger, sessions,
};
pub use problem::Problem;
pub use style::{Colours, contrast, style};

/// The one script: browsers have passkeys as a script's function alone.
pub const SCRIPT: &str = include_str!("../assets/passkeys.js");

//! The pages: of each what it shows, and how that becomes HTML.

mod account;
mod consent;
mod consents;
mod device;
mod error;
mod factors;
mod login;
mod logout;
mod message;
mod onward;
mod own_factors;
mod passkeys;
mod password;
#[cfg(test)]
mod tests;

pub use account::{AccountView, SessionLine, SessionsView, account, sessions};
pub use consent::{ConsentView, ScopeLine, consent};
pub use consents::{ConsentLine, ConsentsView, consents};
pub use device::{DeviceConfirmView, DeviceView, device, device_confirm, device_done};
pub use error::{Elsewhere, ErrorKind, ErrorView, error};
pub use factors::{EnrolTotpView, RecoveryCodesView, TotpKey, enrol_totp, recovery_codes};
pub use login::{LoginView, MfaView, OutsideLink, login, mfa};
pub use logout::{LogoutView, ask_logout, logged_out};
pub use onward::{OnwardView, logged_out_by_stranger, refused_stranger};
pub use own_factors::{FactorLine, FactorsView, FormTarget, factors};
pub use passkeys::{Ceremony, PasskeysView, passkeys};
pub use password::{PasswordView, password};

use crate::Problem;
use crate::look::Frame;

/// What is said of a problem, and the status of the page that says it.
fn told(problem: Option<Problem>, frame: &Frame<'_>) -> (Option<String>, u16) {
    let status = match problem {
        None => 200,
        Some(Problem::Blocked) => 403,
        Some(Problem::Limited(_)) => 429,
        Some(Problem::Busy | Problem::Unavailable) => 503,
        Some(_) => 400,
    };
    (problem.map(|problem| problem.text(frame.texts)), status)
}

/// Of a field with a hint, what describes it: a problem is heard first.
const fn described_by(problem: Option<&String>) -> &'static str {
    if problem.is_some() { "problem hint" } else { "hint" }
}

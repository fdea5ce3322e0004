//! How people log in.

use postern_limits::Rate;

use super::OnFailure;

pub use crate::raw::{
    RawFingerprintPart as FingerprintPart, RawOnChange as OnChange, RawOutsideUsers as OutsideUsers,
};
pub use postern_request::login::LoginAt;

/// The scope of those who may administer the gateway.
pub const ADMIN_SCOPE: &str = "postern.admin";

/// How people log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// What users may be.
    pub roles: Vec<Role>,
    /// What they are where nobody says.
    pub default_role: String,
    /// Passwords.
    pub passwords: PasswordRules,
    /// Passkeys; none where nobody can have one.
    pub passkeys: Option<PasskeyRules>,
    /// Sessions of browsers.
    pub session: SessionRules,
    /// What a browser must go on showing of itself.
    pub fingerprint: Fingerprint,
    /// How often log-in may be tried.
    pub limits: LoginLimits,
    /// Providers elsewhere that vouch for people.
    pub outside: Vec<OutsideProvider>,
    /// Hosts that log-in may return to besides the issuer's.
    pub hosts: Vec<String>,
    /// What the pages look like.
    pub pages: Pages,
}

/// What a user may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What its users may let clients do, and do themselves.
    pub scopes: Vec<String>,
    /// Their tier.
    pub tier: Option<String>,
    /// Whether none of them gets in without a second factor.
    pub mfa: bool,
}

impl Role {
    /// Whether its users may administer the gateway.
    #[must_use]
    pub fn opens_admin_api(&self) -> bool {
        self.scopes.iter().any(|scope| scope == ADMIN_SCOPE)
    }
}

impl Login {
    /// The default role, where its users may administer the gateway.
    #[must_use]
    pub fn admin_by_default(&self) -> Option<&Role> {
        let is_it = |role: &&Role| role.name == self.default_role && role.opens_admin_api();
        self.roles.iter().find(is_it)
    }
}

/// What passwords must be, and how they are hashed (argon2id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordRules {
    /// Fewest characters.
    pub min_length: usize,
    /// Memory for one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Passwords that everybody knows; none where nobody looks.
    pub breached: Option<Breached>,
}

/// Passwords that were found in breaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breached {
    /// Where they are.
    pub source: BreachedSource,
    /// What happens when nobody can look.
    pub when_unavailable: OnFailure,
}

/// Where breached passwords are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreachedSource {
    /// A file: SHA-1 in hexadecimal, sorted, one a line.
    File(String),
    /// A service that is asked by the first digits: the https URL before them.
    RangeUrl(String),
}

/// Passkeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRules {
    /// The host, or a suffix of it, that they are bound to.
    pub rp_id: String,
}

/// Sessions of browsers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRules {
    /// How long one lasts that is not used, in milliseconds.
    pub idle_ms: u64,
    /// How long one lasts at all, in milliseconds.
    pub absolute_ms: u64,
    /// The same where the user asked to be remembered.
    pub remembered_ms: u64,
    /// Whose hosts get the cookie; the issuer's alone where it is none.
    pub cookie_domain: Option<String>,
}

/// What a browser must go on showing of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// What is looked at; nothing where it is empty.
    pub parts: Vec<FingerprintPart>,
    /// What happens when that changes.
    pub on_change: OnChange,
}

/// How often log-in may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginLimits {
    /// For one e-mail from one address.
    pub pair: Rate,
    /// For one e-mail.
    pub email: Rate,
    /// From one address.
    pub ip: Rate,
}

/// A provider elsewhere that vouches for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideProvider {
    /// Its name, in paths and in subjects.
    pub name: String,
    /// Its issuer, from which the rest is found.
    pub issuer: String,
    /// The suite's client there.
    pub client_id: String,
    /// Where that client's secret is: `env:NAME` or `file:PATH`.
    pub client_secret: String,
    /// What it is asked for.
    pub scopes: Vec<String>,
    /// What people read on the button.
    pub title: String,
    /// What becomes of people who are nobody here yet.
    pub users: OutsideUsers,
    /// What they are where its claims do not say.
    pub role: Option<String>,
    /// The claim that says it.
    pub role_claim: Option<RoleClaim>,
    /// Only people whose e-mail ends so; all where it is empty.
    pub domains: Vec<String>,
}

/// The claim of an outside provider that says what somebody is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleClaim {
    /// Its name or path.
    pub claim: String,
    /// Value and role; the first that fits.
    pub values: Vec<(String, String)>,
}

/// What the pages look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages {
    /// What stands above them.
    pub title: String,
    /// A picture, as a data: or https URL.
    pub logo: Option<String>,
    /// Their colours.
    pub colours: Colours,
    /// Languages that they are shown in, the first where none is asked for.
    pub languages: Vec<String>,
    /// A link to what is done with data.
    pub privacy: Option<String>,
    /// A link to the terms of use.
    pub terms: Option<String>,
}

/// Colours, each `#rrggbb`; those of the pages' own style where they are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Colours {
    /// Of buttons and links.
    pub accent: Option<String>,
    /// Behind the text.
    pub background: Option<String>,
    /// Of the text.
    pub text: Option<String>,
}

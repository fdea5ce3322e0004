//! A log-in in a browser as a state machine: what was shown so far, and what is asked next. No
//! store, no clock; the state is kept between two requests under the login cookie.

mod encoding;

use postern_oauth::Acr;
use postern_request::UnixMillis;
use postern_request::login::ReturnTo;

use super::{LoginError, Screen};

/// How long a log-in may take; as long does its cookie live.
pub const FLOW_LIFE_MS: u64 = 15 * 60 * 1000;
/// So many wrong passwords and codes end it.
const MAX_FAILURES: u8 = 5;

/// What somebody has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Factor {
    /// A password.
    Password,
    /// A password that was shown when the session began in which somebody authenticates again: it
    /// counts for as long as that session does.
    PasswordBefore,
    /// A code of an application.
    Totp,
    /// A recovery code.
    Recovery,
    /// A passkey.
    Passkey,
    /// A passkey that has made sure who used it: two factors at once.
    VerifiedPasskey,
    /// An outside provider's word.
    Outside,
}

/// A log-in that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Where the browser goes afterwards.
    pub return_to: ReturnTo,
    /// How well its user has to authenticate.
    pub wants: Acr,
    /// Who it is, once the first factor was shown.
    pub user: Option<String>,
    /// What was shown.
    pub passed: Vec<Factor>,
    /// How often something wrong was.
    pub failures: u8,
    /// Whether the session shall last.
    pub remember: bool,
    /// The session that somebody authenticates again in; none where one begins.
    pub session: Option<String>,
    /// When the user's record was changed last, as it was when they showed the first factor; none
    /// before that, and of somebody who has no record.
    pub as_of: Option<UnixMillis>,
    /// The outside provider that vouches for the user's e-mail.
    pub vouched_by: Option<String>,
    /// When the user has authenticated there, where it says so.
    pub vouched_at: Option<UnixMillis>,
    /// How long ago that may be, in seconds, where whoever has sent them wants to know that
    /// somebody is still there.
    pub max_age_secs: Option<u64>,
    /// The factor that is being set up.
    pub enrolling: Option<String>,
    /// Whether the password that was shown has to change, whatever the user's record says.
    pub must_change: bool,
    /// When it began.
    pub started_at: UnixMillis,
}

/// What has to be known of a user to say what is asked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// A code of an application may be asked for.
    pub totp: bool,
    /// So may a passkey.
    pub passkey: bool,
    /// So may a recovery code.
    pub recovery: bool,
    /// Nobody of the role gets in without a second factor.
    pub role_asks: bool,
    /// The password has to be changed first.
    pub must_change_password: bool,
}

impl Known {
    /// Whether there is any second factor. Recovery codes are for when that is lost, and are none.
    #[must_use]
    pub const fn has_factor(self) -> bool {
        self.totp || self.passkey
    }
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// A password was wrong, or a code.
    Wrong,
    /// The first factor was shown, by this user.
    First(Factor, &'a str),
    /// A second one.
    Second(Factor),
    /// Something that was asked for is done, such as another password.
    Resume,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There is more to do.
    Ask(Screen),
    /// The user is who they say.
    Done(Authenticated),
    /// Not so. All but [`LoginError::Credentials`] end the log-in.
    Refused(LoginError),
}

/// How somebody has authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// Who.
    pub user_id: String,
    /// By several factors.
    pub several: bool,
    /// `amr` (RFC 8176).
    pub methods: Vec<&'static str>,
}

impl Flow {
    /// A log-in that begins.
    #[must_use]
    pub const fn new(return_to: ReturnTo, wants: Acr, now: UnixMillis) -> Self {
        Self {
            return_to,
            wants,
            user: None,
            passed: Vec::new(),
            failures: 0,
            remember: false,
            session: None,
            as_of: None,
            vouched_by: None,
            vouched_at: None,
            max_age_secs: None,
            enrolling: None,
            must_change: false,
            started_at: now,
        }
    }

    /// Whether its time is over.
    #[must_use]
    pub const fn is_over(&self, now: UnixMillis) -> bool {
        now.millis_since(self.started_at) >= FLOW_LIFE_MS || self.failures >= MAX_FAILURES
    }

    /// What is to be shown to somebody who comes back to the page.
    #[must_use]
    pub fn screen(&self, known: Option<Known>) -> Screen {
        match known {
            Some(known) if !self.passed.is_empty() => {
                self.wanted(known).unwrap_or(Screen::Password)
            }
            _ => Screen::Password,
        }
    }

    /// Whether it goes on from what was shown when its session began.
    #[must_use]
    pub fn rests_on_session(&self) -> bool {
        self.passed.contains(&Factor::PasswordBefore)
    }

    /// What is asked for besides what was shown.
    fn wanted(&self, known: Known) -> Option<Screen> {
        // Whom an outside provider vouches for has authenticated there, as it thinks fit.
        let by_password = self.passed.contains(&Factor::Password) || self.rests_on_session();
        let asks = known.role_asks
            || self.wants == Acr::SeveralFactors
            || (by_password && known.has_factor());
        if asks && !are_several(&self.passed) {
            let Known { totp, passkey, recovery, .. } = known;
            return Some(match known.has_factor() {
                true => Screen::Mfa { totp, passkey, recovery },
                false => Screen::EnrolTotp,
            });
        }
        let must_change = known.must_change_password || self.must_change;
        (by_password && must_change).then_some(Screen::ChangePassword)
    }
}

/// One step. `known` is of the user that the log-in has then.
pub fn advance(flow: &mut Flow, input: Input<'_>, known: Known, now: UnixMillis) -> Step {
    if flow.is_over(now) {
        return Step::Refused(LoginError::Expired);
    }
    match input {
        Input::Wrong => {
            flow.failures = flow.failures.saturating_add(1);
            let is_last = flow.failures >= MAX_FAILURES;
            return Step::Refused(if is_last {
                LoginError::Exhausted
            } else {
                LoginError::Credentials
            });
        }
        Input::First(factor, user_id) => {
            // Somebody else than the session's user begins a session of their own.
            if flow.user.as_deref() != Some(user_id) {
                flow.session = None;
            }
            flow.user = Some(user_id.to_owned());
            flow.passed = vec![factor];
            (flow.vouched_by, flow.vouched_at) = (None, None);
        }
        Input::Second(factor) if !flow.passed.is_empty() => flow.passed.push(factor),
        Input::Resume if !flow.passed.is_empty() => {}
        Input::Second(_) | Input::Resume => return Step::Refused(LoginError::Expired),
    }
    let Some(user_id) = flow.user.clone() else { return Step::Refused(LoginError::Expired) };
    match flow.wanted(known) {
        Some(screen) => Step::Ask(screen),
        None => Step::Done(Authenticated {
            user_id,
            several: are_several(&flow.passed),
            methods: methods(&flow.passed),
        }),
    }
}

/// Whether these are several factors: of two kinds, or a passkey that knows its user. A code and a
/// recovery code stand for the same thing, which somebody has.
#[must_use]
pub fn are_several(passed: &[Factor]) -> bool {
    let has = |factor| passed.contains(&factor);
    let something_known =
        has(Factor::Password) || has(Factor::PasswordBefore) || has(Factor::Outside);
    let something_had = has(Factor::Totp) || has(Factor::Recovery) || has(Factor::Passkey);
    has(Factor::VerifiedPasskey) || (something_known && something_had)
}

/// `amr` (RFC 8176 §2), none twice. A provider's word is none of its values.
#[must_use]
pub fn methods(passed: &[Factor]) -> Vec<&'static str> {
    let mut methods = Vec::new();
    for factor in passed {
        let names: &[&'static str] = match factor {
            Factor::Password | Factor::PasswordBefore => &["pwd"],
            Factor::Totp | Factor::Recovery => &["otp"],
            Factor::Passkey => &["hwk"],
            Factor::VerifiedPasskey => &["hwk", "user"],
            Factor::Outside => &[],
        };
        methods.extend(names);
    }
    if are_several(passed) {
        methods.push("mfa");
    }
    let mut seen = Vec::with_capacity(methods.len());
    methods.retain(|name| {
        let is_new = !seen.contains(name);
        seen.push(*name);
        is_new
    });
    methods
}

#[cfg(test)]
mod tests;

//! What somebody is told when a form was not taken.

use crate::texts::Texts;

/// Why a form is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// E-mail or password; which of both is told to nobody.
    Credentials,
    /// The code of an application, or a recovery code.
    Code,
    /// Too many tries; there is room again in so many seconds.
    Limited(u64),
    /// The account is switched off.
    Blocked,
    /// It took too long.
    Expired,
    /// So many tries were wrong that this log-in has no more of them.
    Exhausted,
    /// The browser sent no cookie.
    Cookies,
    /// It sent some, and none of a log-in that is under way.
    NoLogIn,
    /// The password of whoever is signed in and wants another one.
    CurrentPassword,
    /// More passwords wait than can be checked.
    Busy,
    /// The new password is not good enough: `short`, `long`, `email`, `same`, `breached`, or another
    /// word that has no text of its own.
    Password(&'static str),
    /// Both times the new password was typed differently.
    Repeated,
    /// The last second factor of somebody who needs one.
    LastFactor,
    /// Something that is needed cannot be reached.
    Unavailable,
}

impl Problem {
    /// What is said of it.
    pub(crate) fn text(self, texts: &Texts) -> String {
        match self {
            Self::Credentials => texts.wrong_credentials.to_owned(),
            Self::Code => texts.wrong_code.to_owned(),
            // Nobody counts seconds; and nobody is sent away for no time.
            Self::Limited(seconds) => (texts.limited)(seconds.div_ceil(60).max(1)),
            Self::Blocked => texts.blocked.to_owned(),
            Self::Expired => texts.expired.to_owned(),
            Self::Exhausted => texts.exhausted.to_owned(),
            Self::Cookies => texts.cookies_needed.to_owned(),
            Self::NoLogIn => texts.no_log_in.to_owned(),
            Self::CurrentPassword => texts.wrong_current_password.to_owned(),
            Self::Busy => texts.busy.to_owned(),
            Self::Password("short") => texts.password_too_short.to_owned(),
            Self::Password("long") => texts.password_too_long.to_owned(),
            Self::Password("email") => texts.password_is_email.to_owned(),
            Self::Password("same") => texts.password_is_same.to_owned(),
            Self::Password("breached") => texts.password_breached.to_owned(),
            Self::Password(_) => texts.password_refused.to_owned(),
            Self::Repeated => texts.password_differs.to_owned(),
            Self::LastFactor => texts.last_factor.to_owned(),
            Self::Unavailable => texts.unavailable.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;

    #[test]
    fn each_problem_has_words_of_its_own_in_each_language() {
        for language in Language::ALL {
            let mut said: Vec<String> = [
                Problem::Credentials,
                Problem::Code,
                Problem::Limited(61),
                Problem::Blocked,
                Problem::Expired,
                Problem::Exhausted,
                Problem::Cookies,
                Problem::NoLogIn,
                Problem::CurrentPassword,
                Problem::Busy,
                Problem::Password("short"),
                Problem::Password("long"),
                Problem::Password("email"),
                Problem::Password("same"),
                Problem::Password("breached"),
                Problem::Password("anything"),
                Problem::Repeated,
                Problem::LastFactor,
                Problem::Unavailable,
            ]
            .into_iter()
            .map(|problem| problem.text(language.texts()))
            .collect();
            said.sort();
            let all = said.len();
            said.dedup();
            assert_eq!(said.len(), all, "{language:?}");
        }
    }

    #[test]
    fn waiting_is_told_in_whole_minutes() {
        let text = |seconds| Problem::Limited(seconds).text(Language::En.texts());
        assert_eq!(text(0), "Too many tries. Try again in 1 minute.");
        assert_eq!(text(60), "Too many tries. Try again in 1 minute.");
        assert_eq!(text(61), "Too many tries. Try again in 2 minutes.");
    }
}

//! `prompt` (OpenID Connect Core §3.1.2.1).

use crate::OAuthError;

/// What a client wants the user to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prompts {
    /// Nothing at all: no page is shown.
    pub none: bool,
    /// To log in again.
    pub login: bool,
    /// To agree again.
    pub consent: bool,
    /// To choose who they are; here, by logging in.
    pub select_account: bool,
}

impl Prompts {
    /// Reads the parameter.
    ///
    /// # Errors
    /// `invalid_request` for a word that is not known, and for `none` beside others.
    pub fn parse(text: Option<&str>) -> Result<Self, OAuthError> {
        let mut prompts = Self::default();
        for word in text.unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
            match word {
                "none" => prompts.none = true,
                "login" => prompts.login = true,
                "consent" => prompts.consent = true,
                "select_account" => prompts.select_account = true,
                _ => return Err(OAuthError::invalid_request("A value of prompt is not supported")),
            }
        }
        if prompts.none && (prompts.login || prompts.consent || prompts.select_account) {
            return Err(OAuthError::invalid_request("The value none of prompt stands alone"));
        }
        Ok(prompts)
    }

    /// Whether the user has to authenticate, whatever session there is.
    #[must_use]
    pub const fn wants_login(self) -> bool {
        self.login || self.select_account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_words_of_which_none_stands_alone() {
        let all = Prompts { none: false, login: true, consent: true, select_account: true };
        for (text, expected) in [
            (None, Some(Prompts::default())),
            (Some("none"), Some(Prompts { none: true, ..Prompts::default() })),
            (Some("login"), Some(Prompts { login: true, ..Prompts::default() })),
            (Some("login  consent select_account login"), Some(all)),
            (Some("none login"), None),
            (Some("consent none"), None),
            (Some("None"), None),
            (Some("create"), None),
        ] {
            assert_eq!(Prompts::parse(text).ok(), expected, "{text:?}");
        }
    }
}

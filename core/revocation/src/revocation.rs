//! What can be revoked, and within which bounds.

/// Longest issuer, in bytes.
pub const MAX_ISSUER: usize = 512;
/// Longest value, in bytes.
pub const MAX_VALUE: usize = 1024;
/// Longest reason, in bytes.
pub const MAX_REASON: usize = 256;

/// Stands for the issuer of API keys: the end of one is that of a [`RevocationKind::Token`] under
/// this name, by the key's id. Only the server looks for it; no token can be of this issuer.
pub const API_KEYS_ISSUER: &str = "urn:postern:api-keys";

/// By what tokens are revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RevocationKind {
    /// One token, by its `jti`.
    Token,
    /// Every token of a session, by its id.
    Session,
    /// Every token that a subject had until then, by `sub`.
    Subject,
    /// Every token that a client had until then, by `client_id`.
    Client,
    /// Every token that a key signed, by its `kid`.
    Key,
}

impl RevocationKind {
    /// All of them, in the order of [`crate::Marks`].
    pub const ALL: [Self; 5] = [Self::Token, Self::Session, Self::Subject, Self::Client, Self::Key];

    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
            Self::Subject => "subject",
            Self::Client => "client",
            Self::Key => "key",
        }
    }

    /// Reads what [`RevocationKind::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether what is issued after the revocation is good again. A subject or a client goes on
    /// to exist; a token, a session or a key does not.
    #[must_use]
    pub const fn spares_later_tokens(self) -> bool {
        matches!(self, Self::Subject | Self::Client)
    }

    const fn rule_of_moments(self) -> &'static str {
        if self.spares_later_tokens() {
            "says before when a token must have been issued"
        } else {
            "holds whenever a token was issued"
        }
    }
}

/// Why a revocation was refused: always the caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// Empty, or beyond [`MAX_ISSUER`].
    #[error("an issuer has 1 to {} bytes", MAX_ISSUER)]
    Issuer,
    /// Empty, or beyond [`MAX_VALUE`].
    #[error("what is revoked has 1 to {} bytes", MAX_VALUE)]
    Value,
    /// Beyond [`MAX_REASON`].
    #[error("a reason has at most {} bytes", MAX_REASON)]
    Reason,
    /// A control character anywhere.
    #[error("control characters are not allowed")]
    ControlCharacter,
    /// A moment where there can be none, or none where there must be one.
    #[error("a revocation by {} {}", .0.as_str(), .0.rule_of_moments())]
    IssuedBefore(RevocationKind),
}

/// One entry of the list of what is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revocation {
    kind: RevocationKind,
    issuer: String,
    value: String,
    issued_before: Option<u64>,
    expires_at: u64,
}

impl Revocation {
    /// An entry as it was kept. Whoever revokes something now takes [`Revocation::at`].
    ///
    /// # Errors
    /// When a text is out of bounds, or `issued_before` does not go with the kind.
    pub fn new(
        kind: RevocationKind,
        issuer: impl Into<String>,
        value: impl Into<String>,
        issued_before: Option<u64>,
        expires_at: u64,
    ) -> Result<Self, RevocationError> {
        let (issuer, value) = (issuer.into(), value.into());
        if issuer.is_empty() || issuer.len() > MAX_ISSUER {
            return Err(RevocationError::Issuer);
        }
        if value.is_empty() || value.len() > MAX_VALUE {
            return Err(RevocationError::Value);
        }
        refuse_control_characters(&issuer)?;
        refuse_control_characters(&value)?;
        if issued_before.is_some() != kind.spares_later_tokens() {
            return Err(RevocationError::IssuedBefore(kind));
        }
        Ok(Self { kind, issuer, value, issued_before, expires_at })
    }

    /// Revokes something now. `expires_at` is when the last token that it could concern has
    /// ended, with the leeway that verifiers allow.
    ///
    /// # Errors
    /// When a text is out of bounds.
    pub fn at(
        now: u64,
        kind: RevocationKind,
        issuer: impl Into<String>,
        value: impl Into<String>,
        expires_at: u64,
    ) -> Result<Self, RevocationError> {
        // `iat` counts whole seconds, so a token of this very second may be older than the
        // revocation: it goes, too.
        let issued_before = kind.spares_later_tokens().then_some(now.saturating_add(1));
        Self::new(kind, issuer, value, issued_before, expires_at)
    }

    /// By what it revokes.
    #[must_use]
    pub const fn kind(&self) -> RevocationKind {
        self.kind
    }

    /// `iss` of the tokens that it concerns.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `jti`, session id, `sub`, `client_id` or `kid`.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Tokens issued from then on are good; none: whenever they were issued. In seconds.
    #[must_use]
    pub const fn issued_before(&self) -> Option<u64> {
        self.issued_before
    }

    /// From when on it concerns no token any more, in seconds.
    #[must_use]
    pub const fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// This one, as wide as both: for two of one kind, issuer and value.
    #[must_use]
    pub fn widened(mut self, other: &Self) -> Self {
        // Without a moment it holds whenever a token was issued: nothing is wider.
        self.issued_before = match (self.issued_before, other.issued_before) {
            (Some(one), Some(two)) => Some(one.max(two)),
            _ => None,
        };
        self.expires_at = self.expires_at.max(other.expires_at);
        self
    }
}

/// Checks the reason that goes with a revocation.
///
/// # Errors
/// When it is too long or holds control characters.
pub fn check_reason(text: &str) -> Result<(), RevocationError> {
    if text.len() > MAX_REASON {
        return Err(RevocationError::Reason);
    }
    refuse_control_characters(text)
}

fn refuse_control_characters(text: &str) -> Result<(), RevocationError> {
    if text.chars().any(char::is_control) {
        return Err(RevocationError::ControlCharacter);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://api.example.test";

    #[test]
    fn kinds_are_written_and_read_back() {
        for kind in RevocationKind::ALL {
            assert_eq!(RevocationKind::parse(kind.as_str()), Some(kind));
        }
        for other in ["", "Token", "jti", "user"] {
            assert_eq!(RevocationKind::parse(other), None, "{other}");
        }
    }

    #[test]
    fn texts_are_bounded() {
        let new = |issuer: &str, value: &str| {
            Revocation::at(5, RevocationKind::Token, issuer, value, 9).map(drop)
        };
        let (longest_issuer, longest_value) = ("i".repeat(MAX_ISSUER), "v".repeat(MAX_VALUE));
        let (issuer, value) = (format!("{longest_issuer}i"), format!("{longest_value}v"));
        for (issuer, value, expected) in [
            (ISSUER, "a", Ok(())),
            (ISSUER, "ä 😀", Ok(())),
            ("", "a", Err(RevocationError::Issuer)),
            (ISSUER, "", Err(RevocationError::Value)),
            (longest_issuer.as_str(), longest_value.as_str(), Ok(())),
            (issuer.as_str(), "a", Err(RevocationError::Issuer)),
            (ISSUER, value.as_str(), Err(RevocationError::Value)),
            (ISSUER, "a\nb", Err(RevocationError::ControlCharacter)),
            (ISSUER, "a\0", Err(RevocationError::ControlCharacter)),
            ("a\u{85}b", "a", Err(RevocationError::ControlCharacter)),
        ] {
            assert_eq!(new(issuer, value), expected, "{issuer:?} {value:?}");
        }
        assert_eq!(check_reason(&"r".repeat(MAX_REASON)), Ok(()));
        assert_eq!(check_reason(&"r".repeat(MAX_REASON + 1)), Err(RevocationError::Reason));
        assert_eq!(check_reason("a\tb"), Err(RevocationError::ControlCharacter));
    }

    #[test]
    fn only_subjects_and_clients_get_good_tokens_again() {
        for kind in RevocationKind::ALL {
            let revocation = Revocation::at(100, kind, ISSUER, "v", 500).unwrap();
            let expected =
                matches!(kind, RevocationKind::Subject | RevocationKind::Client).then_some(101);
            assert_eq!(revocation.issued_before(), expected, "{kind:?}");
            assert_eq!(revocation.expires_at(), 500);

            let other = if expected.is_some() { None } else { Some(7) };
            let refused = Revocation::new(kind, ISSUER, "v", other, 500).unwrap_err();
            assert_eq!(refused, RevocationError::IssuedBefore(kind));
            assert!(refused.to_string().contains(kind.as_str()), "{refused}");
        }
    }

    #[test]
    fn the_wider_of_two_holds() {
        let subject =
            |now, end| Revocation::at(now, RevocationKind::Subject, ISSUER, "alice", end).unwrap();
        let both = subject(10, 900).widened(&subject(20, 800));
        assert_eq!((both.issued_before(), both.expires_at()), (Some(21), 900));
        let token = |end| Revocation::at(10, RevocationKind::Token, ISSUER, "t", end).unwrap();
        let both = token(5).widened(&token(7));
        assert_eq!((both.issued_before(), both.expires_at()), (None, 7));
    }
}

//! What a new password has to be.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use postern_document::{OnFailure, PasswordRules};
use postern_oauth::Secret;
use tokio::time::timeout;

use super::LoginError;
use crate::ports::BreachedPasswords;

/// Most characters of a password.
pub const MAX_CHARS: usize = 128;
/// How long a log-in waits for whether its password is known from breaches.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most bytes, whatever is sent: hashing takes them all.
const MAX_BYTES: usize = 4 * MAX_CHARS;

/// Whether a text may be a password that somebody logs in with: not too long to be hashed.
#[must_use]
pub fn is_bounded(password: &Secret) -> bool {
    let text = password.expose();
    text.len() <= MAX_BYTES && text.chars().count() <= MAX_CHARS
}

/// Judges a password that somebody chooses.
///
/// # Errors
/// [`LoginError::PasswordPolicy`] with a word for what is wrong: `short`, `long`, `email`,
/// `breached`; [`LoginError::Busy`] where nobody can say whether it is known, and the document
/// wants that to be known.
pub(crate) async fn judge(
    password: &Secret,
    email: &str,
    rules: &PasswordRules,
    breached: Option<&Arc<dyn BreachedPasswords>>,
) -> Result<(), LoginError> {
    let text = password.expose();
    if text.chars().count() < rules.min_length {
        return Err(LoginError::PasswordPolicy("short"));
    }
    if !is_bounded(password) {
        return Err(LoginError::PasswordPolicy("long"));
    }
    let name = email.split('@').next().unwrap_or_default();
    let is = |other: &str| text.to_lowercase() == other.to_lowercase();
    if is(email) || is(name) {
        return Err(LoginError::PasswordPolicy("email"));
    }
    let (Some(breached), Some(settings)) = (breached, &rules.breached) else { return Ok(()) };
    match breached.is_breached(sha1(text.as_bytes())).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(LoginError::PasswordPolicy("breached")),
        Err(error) => {
            tracing::warn!(%error, "nobody can say whether a password is known from breaches");
            match settings.when_unavailable {
                OnFailure::Allow => Ok(()),
                OnFailure::Deny => Err(LoginError::Busy),
            }
        }
    }
}

/// Whether a password that somebody logs in with is known from breaches. Where nobody can say so
/// soon, the log-in goes on: `when_unavailable` is about passwords that are chosen, and a service
/// elsewhere does not lock people out who have one.
pub(crate) async fn is_known(
    password: &Secret,
    rules: &PasswordRules,
    breached: Option<&Arc<dyn BreachedPasswords>>,
) -> bool {
    let (Some(breached), Some(_)) = (breached, &rules.breached) else { return false };
    let asked = breached.is_breached(sha1(password.expose().as_bytes()));
    match timeout(PATIENCE, asked).await {
        Ok(Ok(is_known)) => is_known,
        Ok(Err(error)) => {
            tracing::warn!(%error, "nobody can say whether a password is known from breaches");
            false
        }
        Err(_) => {
            tracing::warn!("nobody says in time whether a password is known from breaches");
            false
        }
    }
}

/// How lists of known passwords are made; nothing is kept of it.
fn sha1(data: &[u8]) -> [u8; 20] {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data);
    let mut hash = [0; 20];
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}

#[cfg(test)]
mod tests {
    use postern_document::{Breached, BreachedSource};
    use postern_store::BoxFuture;

    use super::*;
    use crate::login::fixture;
    use crate::ports::OutboundError;

    struct List(Result<bool, OutboundError>);

    impl BreachedPasswords for List {
        fn is_breached(&self, sha1: [u8; 20]) -> BoxFuture<'_, Result<bool, OutboundError>> {
            assert_eq!(sha1, self::sha1(b"password1"));
            Box::pin(std::future::ready(self.0.clone()))
        }
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn short_long_and_obvious_passwords_are_refused() {
        let rules = fixture::rules().login.passwords;
        let umlauts = "ä".repeat(MAX_CHARS);
        let wide = "😀".repeat(MAX_CHARS);
        let long = "a".repeat(MAX_CHARS + 1);
        for (password, expected) in [
            ("1234567", Err("short")),
            ("äöüäöüä", Err("short")),
            ("12345678", Ok(())),
            (umlauts.as_str(), Ok(())),
            (wide.as_str(), Ok(())),
            (long.as_str(), Err("long")),
            ("Student.One@Example.test", Err("email")),
            ("STUDENT.ONE", Err("email")),
        ] {
            let judged = judge(&secret(password), "student.one@example.test", &rules, None).await;
            assert_eq!(judged, expected.map_err(LoginError::PasswordPolicy), "{password}");
        }
        assert!(is_bounded(&secret("")) && !is_bounded(&secret(&long)));
    }

    #[tokio::test]
    async fn known_passwords_are_refused_and_so_is_silence_where_the_document_says_so() {
        let unreachable = || Err(OutboundError::Unreachable("away".to_owned()));
        for (answer, when_unavailable, expected) in [
            (Ok(true), OnFailure::Allow, Err(LoginError::PasswordPolicy("breached"))),
            (Ok(false), OnFailure::Deny, Ok(())),
            (unreachable(), OnFailure::Allow, Ok(())),
            (unreachable(), OnFailure::Deny, Err(LoginError::Busy)),
        ] {
            let source = BreachedSource::File("/list".to_owned());
            let rules = PasswordRules {
                breached: Some(Breached { source, when_unavailable }),
                ..fixture::rules().login.passwords
            };
            let list: Arc<dyn BreachedPasswords> = Arc::new(List(answer));
            let judged = judge(&secret("password1"), "a@b", &rules, Some(&list)).await;
            assert_eq!(judged, expected);
        }
    }

    #[tokio::test]
    async fn a_log_in_waits_for_nobody_who_cannot_say() {
        let unreachable = Err(OutboundError::Unreachable("away".to_owned()));
        for (answer, expected) in [(Ok(true), true), (Ok(false), false), (unreachable, false)] {
            let source = BreachedSource::File("/list".to_owned());
            let breached = Some(Breached { source, when_unavailable: OnFailure::Deny });
            let rules = PasswordRules { breached, ..fixture::rules().login.passwords };
            let list: Arc<dyn BreachedPasswords> = Arc::new(List(answer));
            assert_eq!(is_known(&secret("password1"), &rules, Some(&list)).await, expected);
            let off = PasswordRules { breached: None, ..rules };
            assert!(!is_known(&secret("password1"), &off, Some(&list)).await);
        }
    }

    #[test]
    fn sha_1_is_the_one_of_the_lists() {
        let hex: String = sha1(b"password").iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hex, "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8");
    }
}

//! Who does something, as the audit log is told.

use postern_request::correlation;

/// Longest name of a person at a machine, in characters.
const MAX_NAME: usize = 64;

/// Who does something. Made here, so that nobody passes for somebody else: what a token or a
/// machine says of its user never looks like the names that are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// Whoever runs a command, by the machine's name for them.
    #[must_use]
    pub fn command_line(user: Option<&str>) -> Self {
        let fits = |char: &char| {
            char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_' | '@' | '\\')
        };
        let name: String = user.unwrap_or_default().chars().filter(fits).take(MAX_NAME).collect();
        Self(if name.is_empty() { "cli".to_owned() } else { format!("cli:{name}") })
    }

    /// Whoever holds the credential of the admin API.
    #[must_use]
    pub fn credential() -> Self {
        Self("admin".to_owned())
    }

    /// Whoever shows an access token: a user, or a client that speaks for itself.
    #[must_use]
    pub fn of_token(subject: &str, client_id: Option<&str>) -> Self {
        if client_id == Some(subject) {
            return Self(format!("client:{subject}"));
        }
        if correlation::is_uuid(subject.as_bytes()) {
            return Self(subject.to_owned());
        }
        Self(format!("subject:{subject}"))
    }

    /// As the audit log has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_passes_for_somebody_else() {
        let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
        for (actor, expected) in [
            (Actor::command_line(Some("root")), "cli:root"),
            (Actor::command_line(Some("o'brien\nadmin")), "cli:obrienadmin"),
            (Actor::command_line(Some("a.b-c_d@corp")), "cli:a.b-c_d@corp"),
            (Actor::command_line(Some("")), "cli"),
            (Actor::command_line(None), "cli"),
            (Actor::credential(), "admin"),
            (Actor::of_token(id, Some("web")), id),
            (Actor::of_token(id, Some(id)), "client:f47ac10b-58cc-4372-a567-0e02b2c3d479"),
            (Actor::of_token("admin", None), "subject:admin"),
            (Actor::of_token("cli:root", Some("web")), "subject:cli:root"),
            (Actor::of_token("system", None), "subject:system"),
        ] {
            assert_eq!(actor.as_str(), expected);
        }
    }
}

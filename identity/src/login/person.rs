//! Who somebody is, as sessions keep it: for answers and claims without the database.

use postern_request::json::{self, Value};
use postern_store::durable::{Profile, UserRecord};

use super::agent::Agent;

/// What a session knows of its user. No secret is among it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// The e-mail; none where an outside provider does not vouch for one.
    pub email: Option<String>,
    /// The role.
    pub role: String,
    /// The user's own tier.
    pub tier: Option<String>,
    /// The outside provider that vouches for the e-mail; none where nobody does.
    pub provider: Option<String>,
    /// Name and picture.
    pub profile: Profile,
    /// The browser that they have logged in with, so that they recognise the session by it.
    pub agent: Agent,
}

impl Person {
    /// What a session keeps of a user.
    #[must_use]
    pub fn of(user: &UserRecord) -> Self {
        Self {
            email: Some(user.email.clone()),
            role: user.role.clone(),
            tier: user.tier.clone(),
            provider: None,
            profile: user.profile.clone(),
            agent: Agent::default(),
        }
    }

    /// As it is kept: a JSON object with `email`, `role`, `tier`, `provider`, `firstName`,
    /// `lastName`, `photo`, `department`, `browser` and `system`, those that there are.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let text = |text: &str| Some(Value::String(text.to_owned()));
        let optional = |value: &Option<String>| value.clone().map(Value::String);
        let members = [
            ("email", optional(&self.email)),
            ("role", text(&self.role)),
            ("tier", optional(&self.tier)),
            ("provider", optional(&self.provider)),
            ("firstName", text(&self.profile.first_name)),
            ("lastName", text(&self.profile.last_name)),
            ("photo", optional(&self.profile.photo)),
            ("department", optional(&self.profile.department)),
            ("browser", self.agent.browser.and_then(text)),
            ("system", self.agent.system.and_then(text)),
        ];
        let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(there.collect()).to_string().into_bytes()
    }

    /// Reads what [`Person::encode`] wrote; none for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let value = json::parse(bytes).ok()?;
        value.as_object()?;
        let optional = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            email: optional("email"),
            role: optional("role")?,
            tier: optional("tier"),
            provider: optional("provider"),
            profile: Profile {
                first_name: optional("firstName").unwrap_or_default(),
                last_name: optional("lastName").unwrap_or_default(),
                photo: optional("photo"),
                department: optional("department"),
            },
            agent: Agent::kept(
                value.get("browser").and_then(Value::as_str),
                value.get("system").and_then(Value::as_str),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_read_as_it_was_written() {
        let whole = Person {
            email: Some("a\"b@example.test".to_owned()),
            role: "student".to_owned(),
            tier: Some("gold".to_owned()),
            provider: Some("corp".to_owned()),
            profile: Profile {
                first_name: "Ada".to_owned(),
                last_name: "L".to_owned(),
                photo: Some("https://example.test/a.png".to_owned()),
                department: Some("Maths".to_owned()),
            },
            agent: Agent { browser: Some("Firefox"), system: Some("Linux") },
        };
        let bare = Person { role: "student".to_owned(), ..Person::default() };
        for person in [whole, bare] {
            assert_eq!(Person::decode(&person.encode()), Some(person));
        }
        for bad in [&b""[..], b"[]", b"{}", b"{\"role\":1}"] {
            assert_eq!(Person::decode(bad), None);
        }
    }
}

//! What the document says of logging in.

use postern_document::{Current, Login, Role};

use super::person::Person;
use crate::metrics::OTHER_ROLE;

/// The rules that hold now: with another document come others.
pub type CurrentLoginRules = Current<LoginRules>;

/// What the document says of logging in, and who says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginRules {
    /// The document's issuer.
    pub issuer: String,
    /// How people log in.
    pub login: Login,
    /// How many replicas share limits while the store is away.
    pub replicas: u64,
    /// Proxies before Envoy that are trusted to name the client.
    pub trusted_proxies: usize,
}

impl LoginRules {
    /// The rules of a role; none where the document does not know it any more.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.login.roles.iter().find(|role| role.name == name)
    }

    /// What users of a role may do: nothing where there is no such role.
    #[must_use]
    pub fn scopes_of(&self, role: &str) -> Vec<String> {
        self.role(role).map(|role| role.scopes.clone()).unwrap_or_default()
    }

    /// The roles whose users may administer the gateway.
    #[must_use]
    pub fn admin_roles(&self) -> Vec<String> {
        let admins = self.login.roles.iter().filter(|role| role.opens_admin_api());
        admins.map(|role| role.name.clone()).collect()
    }

    /// A role as metrics are told it.
    pub(crate) fn role_label<'a>(&'a self, name: &str) -> &'a str {
        self.role(name).map_or(OTHER_ROLE, |role| role.name.as_str())
    }

    /// A user's own tier, or else the role's.
    pub(crate) fn tier_of(&self, person: &Person) -> Option<String> {
        person.tier.clone().or_else(|| self.role(&person.role)?.tier.clone())
    }

    /// What people see above their codes: the title of the pages.
    pub(crate) fn title(&self) -> &str {
        &self.login.pages.title
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::fixture;

    #[test]
    fn roles_of_the_document_alone_have_scopes_and_names() {
        let rules = fixture::rules();
        assert_eq!(rules.scopes_of("student"), ["content.read"]);
        assert!(rules.scopes_of("gone").is_empty());
        assert_eq!(rules.role_label("student"), "student");
        assert_eq!(rules.role_label("gone"), "other");
        assert_eq!(rules.admin_roles(), ["admin"]);
    }

    #[test]
    fn a_users_own_tier_goes_before_the_roles() {
        let rules = fixture::rules();
        let person = |role: &str, tier: Option<&str>| Person {
            role: role.to_owned(),
            tier: tier.map(str::to_owned),
            ..Person::default()
        };
        for (role, tier, expected) in [
            ("student", Some("gold"), Some("gold")),
            ("student", None, Some("basic")),
            ("admin", None, None),
            ("gone", None, None),
        ] {
            assert_eq!(rules.tier_of(&person(role, tier)).as_deref(), expected, "{role}");
        }
    }
}

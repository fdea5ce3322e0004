//! What of a document a running server cannot take over: for that it has to be started again. What
//! servers and whoever applies a document share.

use postern_document::{Document, Login};
use postern_identity::Cookies;
use postern_request::session_cookie;

use crate::settings;

/// What the command line says, so that the document's word on it changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given {
    /// Where limits are counted.
    pub volatile: bool,
    /// Where records are kept.
    pub durable: bool,
    /// They are in a file of this host, which no other replica could share.
    pub sqlite: bool,
}

/// Why a running server cannot go from one document to the next, by field; empty where it can.
pub fn problems(before: &Document, after: &Document, given: Given) -> Vec<String> {
    let mut fields: Vec<&str> = Vec::new();
    if before.issuer != after.issuer {
        fields.push("`issuer`");
    }
    if !given.volatile && before.stores.volatile != after.stores.volatile {
        fields.push("`stores.volatile`");
    }
    if !given.durable && before.stores.durable != after.stores.durable {
        fields.push("`stores.durable`");
    }
    if before.registry != after.registry {
        fields.push("`discovery`");
    }
    match (&before.login, &after.login) {
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => fields.push("`login` as a whole"),
        (Some(login_before), Some(login_after)) => {
            if cookies(before, login_before) != cookies(after, login_after) {
                fields.push("`credentials.session.cookie` or `login.session.cookie_domain`");
            }
        }
    }
    let told = |field: &str| format!("{field} changes with a restart only");
    let mut problems: Vec<String> = fields.into_iter().map(told).collect();
    if given.sqlite && after.stores.replicas > 1 {
        let replicas = after.stores.replicas;
        problems.push(format!("`stores.replicas` is {replicas}, and SQLite serves one replica"));
    }
    problems
}

/// The cookies of a document whose people log in. Where no route takes a session, the document
/// names none, and its own default holds for the pages all the same.
pub fn cookies(document: &Document, login: &Login) -> Cookies {
    let issuer = document.issuer.as_deref().unwrap_or_default();
    let domain = login.session.cookie_domain.as_deref();
    let name = document.session.as_ref().map(|cookie| cookie.name.as_str());
    let is_https = issuer.starts_with("https://");
    let name = name.unwrap_or_else(|| session_cookie::default_name(is_https, domain.is_some()));
    Cookies::new(issuer, name, domain)
}

impl Given {
    /// Where stores are named on the command line, `durable` by an address that is resolved.
    pub fn of(volatile: Option<&str>, named_durable: Option<&str>, durable: Option<&str>) -> Self {
        Self {
            volatile: volatile.is_some(),
            durable: named_durable.is_some(),
            sqlite: durable.is_some_and(settings::is_sqlite),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://gate.test";

    fn document(beside: &Value) -> Document {
        let mut document = json!({
            "version": 1,
            "issuer": ISSUER,
            "oauth": {},
            "services": {"s": {"upstream": "h:1"}},
            "routes": [{"name": "a", "match": {"path": "/a"}, "service": "s", "auth": "none"}],
        });
        for (name, value) in beside.as_object().unwrap() {
            document[name] = value.clone();
        }
        match postern_document::from_json(document.to_string().as_bytes()) {
            Ok(document) => document,
            Err(problems) => panic!("{problems:#?}"),
        }
    }

    fn told(before: &Value, after: &Value, given: Given) -> String {
        problems(&document(before), &document(after), given).join("; ")
    }

    #[test]
    fn what_takes_a_restart_is_named() {
        let login = json!({"roles": {"user": {}}});
        let consul = json!({"registry": "consul", "consul": {"address": "https://c.test"}});
        let domain = json!({"roles": {"user": {}}, "session": {"cookie_domain": "gate.test"}});
        for (before, after, expected) in [
            (json!({}), json!({"issuer": "https://other.test"}), "`issuer`"),
            (json!({}), json!({"stores": {"volatile": "redis://r:1"}}), "`stores.volatile`"),
            (json!({}), json!({"stores": {"durable": "sqlite:/a"}}), "`stores.durable`"),
            (json!({}), json!({"discovery": consul}), "`discovery`"),
            (json!({}), json!({"login": login}), "`login` as a whole"),
            (json!({"login": login}), json!({}), "`login` as a whole"),
            (json!({"login": login}), json!({"login": domain}), "`login.session.cookie_domain`"),
        ] {
            let told = told(&before, &after, Given::default());
            assert!(told.contains(expected) && told.contains("restart"), "{after}: {told}");
        }
    }

    #[test]
    fn all_else_is_taken_over() {
        let login = |title: &str| json!({"roles": {"user": {}}, "pages": {"title": title}});
        for (before, after) in [
            (json!({}), json!({"trusted_proxies": 1, "stores": {"replicas": 3}})),
            (json!({"login": login("A")}), json!({"login": login("B")})),
            (json!({}), json!({"oauth": {"keys": {"rotate_every": "30d"}}})),
            (json!({}), json!({"services": {"s": {"upstream": "other:2"}}})),
        ] {
            assert_eq!(told(&before, &after, Given::default()), "", "{after}");
        }
    }

    #[test]
    fn what_the_command_line_says_the_document_may_change() {
        let stores = json!({"stores": {"volatile": "redis://r:1", "durable": "sqlite:/a"}});
        let given = Given::of(Some("memory"), Some("sqlite:/b"), Some("sqlite:/b"));
        assert_eq!(told(&json!({}), &stores, given), "");
        let many = json!({"stores": {"replicas": 2}});
        assert!(told(&json!({}), &many, given).contains("`stores.replicas` is 2"));
        let postgres = Given::of(None, Some("env:DB"), Some("postgres://db/gate"));
        assert_eq!(told(&json!({}), &many, postgres), "");
    }

    #[test]
    fn a_cookie_that_the_document_does_not_name_is_as_narrow_as_can_be() {
        let wide = json!({"cookie_domain": "gate.test"});
        for (session, expected) in [(json!({}), "__Host-postern="), (wide, "__Secure-postern=")] {
            let document = document(&json!({"login": {"roles": {"user": {}}, "session": session}}));
            let cookies = cookies(&document, document.login.as_ref().unwrap());
            let set = cookies.set_session("a", None);
            assert!(set.starts_with(expected), "{set}");
            assert!(document.own_cookies().iter().any(|own| set.starts_with(&format!("{own}="))));
        }
    }
}

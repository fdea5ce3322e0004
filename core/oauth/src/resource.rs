//! Where tokens can be used (RFC 8707).

use crate::{Client, OAuthError, ScopeSet, ServerRules};

/// Longest resource, in bytes.
const MAX_RESOURCE_BYTES: usize = 1024;
/// Most resources of one request.
const MAX_RESOURCES: usize = 16;

/// Reads the resources of a request, each once.
///
/// # Errors
/// `invalid_target` for what is no absolute URI, or has a fragment (RFC 8707 §2).
pub(crate) fn parse<'a>(
    values: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<String>, OAuthError> {
    let mut resources: Vec<String> = Vec::new();
    for value in values {
        if !is_resource(value) || resources.len() >= MAX_RESOURCES {
            return Err(OAuthError::invalid_target());
        }
        if !resources.iter().any(|known| known == value) {
            resources.push(value.to_owned());
        }
    }
    Ok(resources)
}

/// Whether a text can name a resource: an absolute URI without fragment, of visible characters.
#[must_use]
pub fn is_resource(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme_char =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && scheme.bytes().all(is_scheme_char)
        && !rest.trim_start_matches('/').is_empty()
        && text.len() <= MAX_RESOURCE_BYTES
        && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#')
}

impl ServerRules {
    /// Whether a client may ask for tokens for all of these.
    ///
    /// # Errors
    /// `invalid_target`
    pub(crate) fn check_resources(
        &self,
        client: &Client,
        resources: &[String],
    ) -> Result<(), OAuthError> {
        let is_known = |one: &String| self.resources.iter().any(|(known, _)| known == one);
        let is_the_clients =
            |one: &String| client.resources.is_empty() || client.resources.contains(one);
        // The issuer is a resource of every client: its own endpoints take its tokens.
        let may = |one: &String| *one == self.issuer || (is_known(one) && is_the_clients(one));
        if resources.iter().all(may) { Ok(()) } else { Err(OAuthError::invalid_target()) }
    }

    /// Of these scopes, those that make sense where a token will be used. One for the issuer
    /// alone has them all.
    pub(crate) fn scopes_at(&self, resources: &[String], scopes: &ScopeSet) -> ScopeSet {
        let all = |one: &String| match self.resources.iter().find(|(known, _)| known == one) {
            Some((_, scopes)) => scopes.is_empty(),
            None => true,
        };
        if resources.is_empty() || resources.iter().any(all) {
            return scopes.clone();
        }
        let named = self.resources.iter().filter(|(known, _)| resources.contains(known));
        let named = named.map(|(_, scopes)| scopes).collect::<Vec<_>>();
        scopes.filtered(|name| named.iter().any(|scopes| scopes.contains(name)))
    }
}

/// The resources of an access token: those that are asked for, of those that were granted; all
/// of these where none are (RFC 8707 §2.2).
///
/// # Errors
/// `invalid_target`
pub(crate) fn narrow(granted: &[String], asked: &[String]) -> Result<Vec<String>, OAuthError> {
    if asked.is_empty() {
        return Ok(granted.to_vec());
    }
    if asked.iter().all(|one| granted.contains(one)) {
        Ok(asked.to_vec())
    } else {
        Err(OAuthError::invalid_target())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn resources_are_named_or_refused() {
        for (text, expected) in [
            ("https://api.example", true),
            ("https://api.example/a?b=c", true),
            ("urn:example:api", true),
            ("", false),
            ("api", false),
            ("/api", false),
            ("//api.example", false),
            ("https:", false),
            ("https://", false),
            (":api", false),
            ("1a:b", false),
            ("https://api.example/#a", false),
            ("https://api.example/a b", false),
            ("https://äpi.example", false),
        ] {
            assert_eq!(parse([text]).is_ok(), expected, "{text}");
        }
        assert!(parse([format!("https://{}", "a".repeat(1024)).as_str()]).is_err());
        assert_eq!(parse(["a:b", "a:c", "a:b"]).unwrap(), ["a:b", "a:c"], "each once");
        let many = (0..17).map(|at| format!("a:{at}")).collect::<Vec<_>>();
        assert!(parse(many.iter().map(String::as_str)).is_err());

        let rules = fixtures::rules();
        let limited = Client { resources: vec![fixtures::API.to_owned()], ..fixtures::public() };
        for (resource, anybody, limited_one) in [
            (fixtures::API, true, true),
            (fixtures::OTHER_API, true, false),
            (fixtures::ISSUER, true, true),
            ("https://unknown.example", false, false),
            ("https://api.example/", false, false),
        ] {
            let asked = [resource.to_owned()];
            let check = |client: &Client| rules.check_resources(client, &asked).is_ok();
            assert_eq!(check(&fixtures::public()), anybody, "{resource}");
            assert_eq!(check(&limited), limited_one, "{resource}");
        }
    }

    #[test]
    fn a_token_is_for_no_more_than_was_granted() {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let granted = list(&["a:1", "a:2"]);
        for (asked, expected) in [
            (list(&[]), Some(granted.clone())),
            (list(&["a:2"]), Some(list(&["a:2"]))),
            (list(&["a:2", "a:1"]), Some(list(&["a:2", "a:1"]))),
            (list(&["a:2", "a:3"]), None),
            (list(&["a:"]), None),
        ] {
            assert_eq!(narrow(&granted, &asked).ok(), expected, "{asked:?}");
        }
        assert_eq!(narrow(&[], &list(&["a:1"])).ok(), None);
    }

    #[test]
    fn scopes_are_those_that_make_sense_there() {
        let rules = fixtures::rules();
        let scopes = ScopeSet::parse("openid read write").unwrap();
        for (resources, expected) in [
            (vec![], "openid read write"),
            (vec![fixtures::ISSUER], "openid read write"),
            (vec![fixtures::API], "read"),
            (vec![fixtures::OTHER_API], "openid read write"),
            (vec![fixtures::API, fixtures::OTHER_API], "openid read write"),
        ] {
            let resources = resources.into_iter().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(rules.scopes_at(&resources, &scopes).to_string(), expected, "{resources:?}");
        }
    }
}

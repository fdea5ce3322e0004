//! The contract's security headers, by profile. Expect-CT and HTTP/2 push are dead and left out.

use std::borrow::Cow;

use postern_document::{Document, Route, SecurityHeaders};

/// A header's name, and its value.
pub(crate) type Header = (&'static str, Cow<'static, str>);

/// What differs between answers for programs and pages.
struct Profile {
    policy: &'static str,
    referrer: &'static str,
    embedder: &'static str,
}

/// Those of a profile, each of which takes the place of what an upstream says.
pub(crate) fn of(profile: SecurityHeaders) -> Vec<Header> {
    let profile = match profile {
        SecurityHeaders::None => return Vec::new(),
        SecurityHeaders::Api => Profile {
            policy: "default-src 'none'; frame-ancestors 'none'",
            referrer: "no-referrer",
            embedder: "require-corp",
        },
        SecurityHeaders::Web => Profile {
            policy: OF_PAGES,
            // Forms tell the suite's pages where they come from, and nobody else.
            referrer: "same-origin",
            // Pictures of other hosts do not say that anybody may show them.
            embedder: "unsafe-none",
        },
    };
    vec![
        ("content-security-policy", profile.policy.into()),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload".into()),
        ("x-content-type-options", "nosniff".into()),
        ("x-frame-options", "DENY".into()),
        ("referrer-policy", profile.referrer.into()),
        ("permissions-policy", "geolocation=(), microphone=(), camera=(), payment=()".into()),
        ("cross-origin-opener-policy", "same-origin".into()),
        ("cross-origin-embedder-policy", profile.embedder.into()),
        ("cross-origin-resource-policy", "same-origin".into()),
        ("origin-agent-cluster", "?1".into()),
        ("x-dns-prefetch-control", "off".into()),
        ("x-permitted-cross-domain-policies", "none".into()),
        ("x-xss-protection", "0".into()),
    ]
}

/// Nothing of elsewhere: a document's logo is part of its pages. Without `form-action`: browsers
/// hold all redirects behind a form to it, and the way back from log-in leads to clients. Pages
/// narrow it themselves, each for its own form.
const OF_PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                        data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What a route writes in place of the document's; nothing where it has no profile of its own. Its
/// transforms have the last word, as they have over the document's.
pub(crate) fn of_route(document: &Document, route: &Route) -> Vec<Header> {
    let own = route.security_headers.filter(|own| *own != document.security_headers);
    let mut headers = own.map(of).unwrap_or_default();
    let rules = &route.transform.response;
    headers.retain(|(name, _)| {
        let is_it = |known: &String| known == name;
        !rules.remove.iter().any(is_it)
            && !rules.set.iter().any(|(known, value)| value.is_fixed() && is_it(known))
    });
    headers
}

#[cfg(test)]
mod tests {
    use postern_document::from_json;

    use super::*;

    fn document(of_all: &str, of_route: &str) -> Document {
        let text = format!(
            r#"{{"version": 1, "issuer": "https://a.test", "security_headers": "{of_all}",
                "oauth": {{}}, "login": {{"roles": {{"user": {{}}}}}},
                "transforms": {{"own": {{"response": {{
                    "set": {{"x-frame-options": "SAMEORIGIN"}}, "remove": ["referrer-policy"]}}}}}},
                "routes": [
                    {{"name": "r", "match": {{"path": "/r"}}, "service": "postern", "auth": "none"
                      {of_route}}}]}}"#
        );
        from_json(text.as_bytes()).unwrap_or_else(|found| panic!("{found:?}"))
    }

    fn value(headers: &[Header], name: &str) -> String {
        headers
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_string())
            .unwrap()
    }

    #[test]
    fn pages_run_what_is_theirs_alone() {
        let headers = of(SecurityHeaders::Web);
        let policy = value(&headers, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "));
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("form-action"));
        assert!(policy.contains("img-src 'self' data:; "), "{policy}");
        assert_eq!(value(&headers, "referrer-policy"), "same-origin");
        assert_eq!(headers.len(), of(SecurityHeaders::Api).len());
    }

    #[test]
    fn a_route_writes_what_differs_and_leaves_the_rest_to_its_transforms() {
        let own = |of_all, more| {
            let document = document(of_all, more);
            of_route(&document, &document.routes[0])
        };
        assert!(own("api", "").is_empty());
        assert!(own("web", r#", "security_headers": "web""#).is_empty());
        assert_eq!(own("api", r#", "security_headers": "web""#).len(), 13);
        assert_eq!(own("none", r#", "security_headers": "api""#).len(), 13);
        let headers = own("api", r#", "security_headers": "web", "transform": ["own"]"#);
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        assert!(!names.contains(&"x-frame-options") && !names.contains(&"referrer-policy"));
        assert_eq!(names.len(), 11);
    }
}

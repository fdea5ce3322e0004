//! Who shows another value than the first, where a route takes one of several.

use postern_document::{Auth, Document, Route};
use postern_request::principal::Credential;

/// One of several values that a route takes, where a good caller has the first of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::review) enum Other {
    /// Of this issuer, by its place in the document, for that one of its audiences.
    Issuer(usize, usize),
    /// For this one of the audiences that the route asks for.
    Audience(usize),
    /// This rule about a claim by that one of its values.
    Claim(usize, usize),
    /// From this one of its peers.
    Peer(usize),
}

impl Other {
    /// How reports call who has it.
    pub(in crate::review) fn told(self, document: &Document, route: &Route) -> String {
        let token = route.auth.token();
        let text = |found: Option<&String>| found.cloned().unwrap_or_default();
        match self {
            Self::Issuer(at, audience) => {
                let issuer = document.issuers.get(at).map(|known| &known.issuer);
                let name = text(issuer.map(|issuer| &issuer.issuer));
                match issuer.and_then(|issuer| issuer.audiences.get(audience)) {
                    Some(audience) => format!("a good token of {name} for {audience}"),
                    None => format!("a good token of {name}"),
                }
            }
            Self::Audience(at) => {
                let audience = text(token.and_then(|token| token.audiences.get(at)));
                format!("a good token for {audience}")
            }
            Self::Claim(at, value) => {
                let rule = token.and_then(|token| token.claims.get(at));
                let claim = text(rule.map(|rule| &rule.claim));
                let value = text(rule.and_then(|rule| rule.values.get(value)));
                format!("a good token whose {claim} is {value}")
            }
            Self::Peer(at) => {
                let peer = route.peers.get(at).map(ToString::to_string);
                format!("somebody good from {}", peer.unwrap_or_default())
            }
        }
    }
}

/// Most of them that are tried of a route; what else differs, the documents' own words show.
const MOST: usize = 32;

/// Every further value that a route takes.
pub(in crate::review) fn others(document: &Document, route: &Route) -> Vec<Other> {
    let mut all = Vec::new();
    if let Auth::Rules { any, token, .. } = &route.auth
        && any.contains(&Credential::Jwt)
    {
        let first = first_issuer(route);
        for (at, known) in document.issuers.iter().enumerate() {
            if !token.issuers.is_empty() && !token.issuers.contains(&at) {
                continue;
            }
            let audiences = known.issuer.audiences.len().max(1);
            let new = |audience: &usize| at != first || *audience > 0;
            all.extend((0..audiences).filter(new).map(|audience| Other::Issuer(at, audience)));
        }
        all.extend((1..token.audiences.len()).map(Other::Audience));
        for (at, rule) in token.claims.iter().enumerate() {
            all.extend((1..rule.values.len()).map(|value| Other::Claim(at, value)));
        }
    }
    all.extend((1..route.peers.len()).map(Other::Peer));
    all.truncate(MOST);
    all
}

/// Whose tokens a good caller has.
pub(super) fn first_issuer(route: &Route) -> usize {
    let token = route.auth.token();
    token.and_then(|token| token.issuers.first()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use postern_document::{Source, load};

    use super::*;

    fn told(auth: &str) -> Vec<String> {
        let text = format!(
            "version: 1\ncredentials:\n  jwt:\n    issuers:\n    \
             - {{issuer: 'https://a.test', audiences: [x, y], jwks: {{uri: 'https://a.test/j'}}}}\n    \
             - {{issuer: 'https://b.test', audiences: [z], jwks: {{uri: 'https://b.test/j'}}}}\n\
             services:\n  shop: {{upstream: 'shop.test:80'}}\n\
             routes:\n- {{name: a, match: {{path: /a}}, service: shop, auth: {auth}}}\n"
        );
        let source = Source { name: "gateway.yaml".to_owned(), text };
        let document = load(&[source], &|_: &str| Err(String::new())).unwrap();
        let route = &document.routes[0];
        others(&document, route).into_iter().map(|other| other.told(&document, route)).collect()
    }

    #[test]
    fn every_value_but_the_first_is_shown_once() {
        let of_a = "a good token of https://a.test for y";
        let of_b = "a good token of https://b.test for z";
        assert_eq!(told("{any: [jwt]}"), [of_a, of_b]);
        assert_eq!(told("{any: [jwt], issuers: ['https://b.test']}"), [""; 0]);
        assert_eq!(
            told(
                "{any: [jwt], issuers: ['https://a.test'], audiences: [m, n], claims: {c: [v, w]}}"
            ),
            [of_a, "a good token for n", "a good token whose c is w"]
        );
        assert_eq!(told("none"), [""; 0]);
    }
}

//! What routes ask of tokens, and no token of the document's own issuer can say.

use postern_request::principal::Credential;

use crate::check::KNOWN_SCOPES;
use crate::model::{Auth, Document, JwtIssuer, OAuth, Route};
use crate::problem::Problem;

impl Document {
    /// Of audiences and scopes with which nobody passes. Whoever makes tokens by hand
    /// (`postern token issue`) can give them any; clients and users get what is said here.
    pub(super) fn token_notes(&self) -> Vec<Problem> {
        let (Some(oauth), Some(own)) = (&self.oauth, self.issuer.as_deref()) else {
            return Vec::new();
        };
        let issuers = self.issuers.iter().enumerate();
        let audiences = issuers.filter(|(_, issuer)| issuer.issuer.issuer == own);
        let audiences = audiences.filter_map(|(at, issuer)| self.no_audience(at, issuer, oauth));
        let scopes = self.routes.iter().filter_map(|route| self.no_scope(route, oauth, own));
        audiences.chain(scopes).collect()
    }

    /// Tokens are for the issuer, or for the resources that were asked for (RFC 8707).
    fn no_audience(&self, at: usize, issuer: &JwtIssuer, oauth: &OAuth) -> Option<Problem> {
        let own = &issuer.issuer.issuer;
        let is_issued = |audience: &String| {
            audience == own || oauth.resources.iter().any(|known| known.resource == *audience)
        };
        if issuer.issuer.audiences.iter().any(is_issued) {
            return None;
        }
        let path = format!("credentials.jwt.issuers[{at}].audiences");
        let message = format!(
            "the authorization server makes no token for {}, so none of its tokens passes: they \
             are for `{own}`, and for what `oauth.resources` names",
            quoted(issuer.issuer.audiences.iter().map(String::as_str))
        );
        Some(self.note(&path, &path, message))
    }

    /// API keys have scopes of their own, and other issuers have scopes that nobody here knows.
    fn no_scope(&self, route: &Route, oauth: &OAuth, own: &str) -> Option<Problem> {
        let Auth::Rules { any, scopes, token, .. } = &route.auth else { return None };
        let takes = |at: &usize| token.issuers.is_empty() || token.issuers.contains(at);
        let mut taken = self.issuers.iter().enumerate().filter(|(at, _)| takes(at));
        let by_others =
            any.contains(&Credential::Jwt) && taken.any(|(_, issuer)| issuer.issuer.issuer != own);
        if any.contains(&Credential::ApiKey) || by_others {
            return None;
        }
        let is_known = |scope: &str| {
            KNOWN_SCOPES.contains(&scope) || oauth.scopes.iter().any(|(name, _)| name == scope)
        };
        let unknown: Vec<&str> =
            scopes.iter().map(String::as_str).filter(|scope| !is_known(scope)).collect();
        if unknown.is_empty() {
            return None;
        }
        let path = format!("routes.{}.auth.scopes", route.name);
        let message = format!(
            "`oauth.scopes` says nothing of {}, so no client and no user can have what this route \
             asks for",
            quoted(unknown.into_iter())
        );
        Some(self.note(&path, &path, message))
    }
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{}`", name.escape_debug())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::from_json;

    const OWN: &str = "https://login.example.test";

    /// Paths and messages of the notes about tokens: of a document with these audiences of its own
    /// issuer, members of `oauth`, further issuers, and rules of its one protected route.
    fn notes(audiences: &str, oauth: &str, issuers: &str, rules: &str) -> Vec<String> {
        let text = format!(
            r#"{{"version": 1, "issuer": "{OWN}", {oauth}
                "credentials": {{"api_key": {{"keys": []}}, "jwt": {{"issuers": [
                    {{"issuer": "{OWN}", "audiences": [{audiences}],
                      "jwks": {{"service": "postern"}}}} {issuers}]}}}},
                "routes": [
                  {{"name": "own", "match": {{"path": "/{{rest=**}}"}}, "service": "postern",
                    "auth": "none"}},
                  {{"name": "r", "match": {{"path": "/r"}}, "service": "postern",
                    "auth": {{{rules}}}}}]}}"#
        );
        let document = from_json(text.as_bytes()).unwrap_or_else(|found| panic!("{found:?}"));
        let notes = document.notes().into_iter();
        let told = notes.map(|note| format!("{}: {}", note.path, note.message));
        told.filter(|note| !note.starts_with("oauth: ")).collect()
    }

    const ISSUER: &str = r#""https://login.example.test""#;
    const ANY: &str = r#""any": ["jwt"]"#;

    #[test]
    fn an_audience_that_no_token_has_is_noted() {
        let api = r#""oauth": {"resources": [{"resource": "https://api.example.test"}]},"#;
        for (audiences, oauth) in [
            (ISSUER, r#""oauth": {},"#),
            (r#""https://login.example.test", "shop""#, r#""oauth": {},"#),
            (r#""https://api.example.test""#, api),
            // Whoever makes tokens by hand knows what for.
            (r#""shop""#, ""),
        ] {
            assert_eq!(notes(audiences, oauth, "", ANY), [""; 0], "{audiences} {oauth}");
        }
        for (audiences, oauth) in [
            (r#""shop""#, r#""oauth": {},"#),
            (r#""https://api.example.test""#, r#""oauth": {},"#),
            (r#""https://login.example.test/""#, api),
        ] {
            let found = notes(audiences, oauth, "", ANY);
            let [only] = found.as_slice() else { panic!("{found:?}") };
            assert!(only.starts_with("credentials.jwt.issuers[0].audiences: "), "{only}");
            let audience = audiences.trim_matches('"');
            assert!(only.contains(&format!("`{audience}`")) && only.contains(OWN), "{only}");
        }
    }

    #[test]
    fn a_scope_that_nobody_can_have_is_noted() {
        let oauth = r#""oauth": {"scopes": {"read": "See it"}},"#;
        let other = r#", {"issuer": "https://idp.example.test", "audiences": ["a"],
            "jwks": {"uri": "https://idp.example.test/keys"}}"#;
        let rules = |any: &str, scopes: &str, more: &str| {
            format!(r#""any": [{any}], "scopes": [{scopes}] {more}"#)
        };
        let own_alone = r#", "issuers": ["https://login.example.test"]"#;
        let (jwt, both) = (r#""jwt""#, r#""jwt", "api_key""#);
        for (oauth, issuers, rules) in [
            (oauth, "", rules(jwt, r#""read""#, "")),
            (oauth, "", rules(jwt, r#""openid", "postern.admin""#, "")),
            (oauth, other, rules(jwt, r#""write""#, "")),
            (oauth, "", rules(both, r#""write""#, "")),
            ("", "", rules(jwt, r#""write""#, "")),
        ] {
            assert_eq!(notes(ISSUER, oauth, issuers, &rules), [""; 0], "{rules}");
        }
        for (issuers, rules) in [
            ("", rules(jwt, r#""read", "write""#, "")),
            (other, rules(jwt, r#""write""#, own_alone)),
        ] {
            let found = notes(ISSUER, oauth, issuers, &rules);
            let [only] = found.as_slice() else { panic!("{found:?}") };
            assert!(only.starts_with("routes.r.auth.scopes: "), "{only}");
            assert!(only.contains("`write`") && !only.contains("`read`"), "{only}");
        }
    }
}

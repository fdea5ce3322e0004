//! How and when the subject of a token has authenticated (RFC 9068 §2.2.1): what a route with a
//! second factor goes by (RFC 9470).

use postern_request::json::{Item, Value, parse_members};
use postern_request::login::SEVERAL_FACTORS;

use crate::claims::seconds;
use crate::jws::{self, MAX_TOKEN_BYTES, Parts};

/// Most methods that are looked at.
const MAX_METHODS: usize = 32;
/// `amr` of several factors (RFC 8176 §2).
const SEVERAL_METHODS: &str = "mfa";

/// What a token says of its subject's authentication; nothing by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthenticationFacts {
    /// `auth_time`, in seconds since the epoch.
    pub auth_time: Option<u64>,
    /// `acr`
    pub acr: Option<String>,
    /// `amr`
    pub amr: Vec<String>,
}

impl AuthenticationFacts {
    /// Reads a compact token that was **verified**: nothing is checked here. A claim of another
    /// type than its RFC says, or that is there twice, says nothing.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self::read(token).unwrap_or_default()
    }

    fn read(token: &str) -> Option<Self> {
        let parts = Parts::of(token, MAX_TOKEN_BYTES).ok()?;
        let payload = jws::decode(parts.payload).ok()?;
        let mut facts = Self::default();
        // No name is there twice: what has one is no object here.
        for (name, item) in parse_members(&payload).ok()? {
            match (&*name, item) {
                ("auth_time", item) => facts.auth_time = seconds(&item).ok(),
                ("acr", Item::String(acr)) => facts.acr = Some(acr.into_owned()),
                ("amr", Item::Other(Value::Array(methods))) if methods.len() <= MAX_METHODS => {
                    let texts = methods.iter().filter_map(Value::as_str);
                    facts.amr = texts.map(str::to_owned).collect();
                }
                _ => {}
            }
        }
        Some(facts)
    }

    /// Whether it was by several factors. What `acr` means is its issuer's to say, and some repeat
    /// what they were asked for: ours counts in the suite's own tokens alone. What `amr` means is
    /// the same everywhere.
    #[must_use]
    pub fn several_factors(&self, is_own: bool) -> bool {
        if is_own {
            self.acr.as_deref() == Some(SEVERAL_FACTORS)
        } else {
            self.amr.iter().any(|method| method == SEVERAL_METHODS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64url;

    fn of(claims: &str) -> AuthenticationFacts {
        AuthenticationFacts::of(&format!("e30.{}.c2ln", base64url::encode(claims.as_bytes())))
    }

    #[test]
    fn what_a_token_says_is_read() {
        let facts = of(r#"{"auth_time":100,"acr":"urn:postern:acr:2","amr":["pwd","otp"]}"#);
        assert_eq!((facts.auth_time, facts.acr.as_deref()), (Some(100), Some(SEVERAL_FACTORS)));
        assert_eq!(facts.amr, ["pwd", "otp"]);
    }

    #[test]
    fn what_is_not_as_the_rfc_says_says_nothing() {
        for claims in [
            "{}",
            "[]",
            "",
            r#"{"auth_time":"100","acr":2,"amr":"mfa"}"#,
            r#"{"auth_time":-1,"acr":["urn:postern:acr:2"],"amr":[{"mfa":1},7]}"#,
            r#"{"acr":"urn:postern:acr:1","acr":"urn:postern:acr:2"}"#,
        ] {
            assert_eq!(of(claims), AuthenticationFacts::default(), "{claims}");
        }
        assert_eq!(AuthenticationFacts::of("no token"), AuthenticationFacts::default());
        let many = format!(r#"{{"amr":[{}"mfa"]}}"#, r#""pwd","#.repeat(MAX_METHODS));
        assert!(of(&many).amr.is_empty());
    }

    #[test]
    fn several_factors_are_our_own_class_and_others_method() {
        for (claims, own, others) in [
            (r#"{"acr":"urn:postern:acr:2"}"#, true, false),
            (r#"{"acr":"urn:postern:acr:1","amr":["pwd","mfa"]}"#, false, true),
            (r#"{"amr":["pwd","otp"]}"#, false, false),
            (r#"{"acr":"URN:postern:acr:2","amr":["MFA"]}"#, false, false),
        ] {
            let facts = of(claims);
            let told = (facts.several_factors(true), facts.several_factors(false));
            assert_eq!(told, (own, others), "{claims}");
        }
    }
}

//! UserInfo (OpenID Connect Core §5.3): what a token with this scope tells of its user.

use postern_request::UnixMillis;
use postern_request::json::Value;

use crate::scope::OPENID;
use crate::{ChallengeScheme, ErrorCode, OAuthError, ScopeSet};

/// Who a user is. Empty texts are not told: a claim without a value is left out (§5.3.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserClaims {
    /// `sub`, the same as in the ID token.
    pub subject: String,
    /// `given_name`
    pub given_name: Option<String>,
    /// `family_name`
    pub family_name: Option<String>,
    /// `picture`
    pub picture: Option<String>,
    /// `updated_at`
    pub updated_at: Option<UnixMillis>,
    /// `email`
    pub email: Option<String>,
    /// `email_verified`; told with the e-mail alone.
    pub email_verified: bool,
}

impl UserClaims {
    /// The answer, as JSON.
    ///
    /// # Errors
    /// `insufficient_scope` for a token without `openid`; `scheme` is the one that it came with.
    pub fn answer(&self, scopes: &ScopeSet, scheme: ChallengeScheme) -> Result<String, OAuthError> {
        if !scopes.contains(OPENID) {
            let description = "The token does not have the scope openid";
            let error = OAuthError::new(ErrorCode::InsufficientScope, description);
            return Err(error.at_resource(scheme));
        }
        Ok(Value::Object(self.claims(scopes)).to_string())
    }

    /// The claims that go with these scopes (§5.4), `sub` first.
    #[must_use]
    pub fn claims(&self, scopes: &ScopeSet) -> Vec<(String, Value)> {
        let mut claims = vec![("sub".to_owned(), Value::String(self.subject.clone()))];
        let mut push = |name: &str, text: Option<&str>| {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                claims.push((name.to_owned(), Value::String(text.to_owned())));
                return true;
            }
            false
        };
        if scopes.contains("profile") {
            let names = [self.given_name.as_deref(), self.family_name.as_deref()];
            let names = names.into_iter().flatten().filter(|name| !name.is_empty());
            push("name", Some(&names.collect::<Vec<_>>().join(" ")));
            push("given_name", self.given_name.as_deref());
            push("family_name", self.family_name.as_deref());
            push("picture", self.picture.as_deref());
        }
        let has_email = scopes.contains("email") && push("email", self.email.as_deref());
        if has_email {
            claims.push(("email_verified".to_owned(), Value::Bool(self.email_verified)));
        }
        if let Some(at) = self.updated_at.filter(|_| scopes.contains("profile")) {
            let secs = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
            claims.push(("updated_at".to_owned(), Value::Integer(secs)));
        }
        claims
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> UserClaims {
        UserClaims {
            subject: "u-1".to_owned(),
            given_name: Some("Ada".to_owned()),
            family_name: Some("Lovelace".to_owned()),
            picture: None,
            updated_at: Some(UnixMillis(1_800_000_000_999)),
            email: Some("ada@example.test".to_owned()),
            email_verified: true,
        }
    }

    fn answer(person: &UserClaims, scopes: &str) -> String {
        let scopes = ScopeSet::parse(scopes).unwrap();
        person.answer(&scopes, ChallengeScheme::Bearer).unwrap()
    }

    #[test]
    fn each_scope_has_its_claims_and_no_other() {
        const SUB: &str = r#"{"sub":"u-1""#;
        const PROFILE: &str =
            r#","name":"Ada Lovelace","given_name":"Ada","family_name":"Lovelace""#;
        const EMAIL: &str = r#","email":"ada@example.test","email_verified":true"#;
        const UPDATED: &str = r#","updated_at":1800000000"#;
        for (scopes, expected) in [
            ("openid", format!("{SUB}}}")),
            ("openid read phone", format!("{SUB}}}")),
            ("openid email", format!("{SUB}{EMAIL}}}")),
            ("profile openid", format!("{SUB}{PROFILE}{UPDATED}}}")),
            ("openid profile email", format!("{SUB}{PROFILE}{EMAIL}{UPDATED}}}")),
        ] {
            assert_eq!(answer(&ada(), scopes), expected, "{scopes}");
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let nobody = UserClaims { subject: "u-2".to_owned(), ..UserClaims::default() };
        assert_eq!(answer(&nobody, "openid profile email"), r#"{"sub":"u-2"}"#);
        let empty =
            UserClaims { given_name: Some(String::new()), email: Some(String::new()), ..nobody };
        assert_eq!(answer(&empty, "openid profile email"), r#"{"sub":"u-2"}"#);
        let one = UserClaims { given_name: None, ..ada() };
        assert!(answer(&one, "openid profile").contains(r#""name":"Lovelace","family_name""#));
    }

    #[test]
    fn a_token_without_openid_tells_nothing() {
        for scopes in ["", "profile email", "OpenID"] {
            let scopes = ScopeSet::parse(scopes).unwrap();
            let error = ada().answer(&scopes, ChallengeScheme::Dpop).unwrap_err();
            assert_eq!((error.code, error.status()), (ErrorCode::InsufficientScope, 403));
            assert_eq!(error.challenge, ChallengeScheme::Dpop);
        }
    }
}

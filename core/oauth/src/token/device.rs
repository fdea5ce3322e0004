//! A device asks whether its user has answered, and gets tokens where they have (RFC 8628 §3.4).

use super::code::tokens;
use super::issue::{Issue, check_grant};
use crate::{
    Client, CodeGrant, DeviceState, Form, GrantType, OAuthError, Secret, ServerRules, resource,
};

/// A request of RFC 8628 §3.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceExchange {
    /// `device_code`
    pub code: Secret,
    /// Where the first access token shall be usable (RFC 8707 §2.2).
    pub resources: Vec<String>,
}

impl DeviceExchange {
    pub(super) fn parse(form: &Form) -> Result<Self, OAuthError> {
        let code = form.get("device_code");
        let code =
            code.ok_or(OAuthError::invalid_request("The parameter device_code is missing"))?;
        Ok(Self {
            code: Secret::new(code.to_owned()),
            resources: resource::parse(form.all("resource"))?,
        })
    }

    /// Whether a client that has proven who it is may ask after this. Nothing changes where it may
    /// not: somebody else's device goes on waiting.
    ///
    /// # Errors
    /// `invalid_grant` for a code of another client, and what the client may not do.
    pub fn check(
        &self,
        client: &Client,
        server: &ServerRules,
        state: &DeviceState,
    ) -> Result<(), OAuthError> {
        check_grant(client, server, GrantType::DeviceCode)?;
        match client.client_id == state.client_id {
            true => Ok(()),
            false => Err(OAuthError::bad_grant("other_client")),
        }
    }

    /// Decides on what the user has agreed to. The code is used up by now, so a device that gets
    /// nothing here begins anew.
    ///
    /// # Errors
    /// Why nothing is issued.
    pub fn decide(
        &self,
        client: &Client,
        grant: &CodeGrant,
        dpop: Option<[u8; 32]>,
        certificate: Option<[u8; 32]>,
        server: &ServerRules,
    ) -> Result<Issue, OAuthError> {
        check_grant(client, server, GrantType::DeviceCode)?;
        if client.client_id != grant.client_id {
            return Err(OAuthError::bad_grant("other_client"));
        }
        tokens(grant, &self.resources, client, (dpop, certificate), server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, NOW};
    use crate::{DeviceRequest, ErrorCode, ScopeSet, TokenRequest};
    use postern_request::headers::Single;

    const FORM: Single<'static> = Single::One(b"application/x-www-form-urlencoded");

    fn client() -> Client {
        let grant_types = vec![GrantType::DeviceCode, GrantType::RefreshToken];
        Client { grant_types, ..fixtures::public() }
    }

    fn state(scope: &str) -> DeviceState {
        let body = format!("client_id=web&scope={scope}");
        let request = DeviceRequest::parse(Single::Absent, FORM, body.as_bytes(), None).unwrap();
        request.decide(&client(), &fixtures::rules(), NOW).unwrap()
    }

    fn exchange(more: &str) -> DeviceExchange {
        let form = Form::parse(format!("device_code=d{more}").as_bytes()).unwrap();
        DeviceExchange::parse(&form).unwrap()
    }

    fn grant(scope: &str) -> CodeGrant {
        let allowed = state(scope).allowed(&fixtures::rules(), &fixtures::session(), NOW);
        allowed.into_grant().unwrap()
    }

    #[test]
    fn a_device_gets_what_its_user_has_agreed_to() {
        let rules = fixtures::rules();
        let issue = exchange("").decide(&client(), &grant("openid+read"), None, None, &rules);
        let issue = issue.unwrap();
        assert_eq!(issue.access.scopes.to_string(), "openid read");
        assert_eq!((issue.access.subject.as_str(), &*issue.access.client_id), ("ada", "web"));
        let id_token = issue.id_token.unwrap();
        assert_eq!((id_token.nonce, id_token.audience.as_str()), (None, "web"));
        assert_eq!(issue.refresh.unwrap().family.subject, "ada");

        let without = Client { grant_types: vec![GrantType::DeviceCode], ..client() };
        let issue = exchange("").decide(&without, &grant("read"), None, None, &rules).unwrap();
        assert!(issue.refresh.is_none() && issue.id_token.is_none());
        let narrowed = Client { scopes: ScopeSet::parse("openid").unwrap(), ..client() };
        let issue = exchange("").decide(&narrowed, &grant("openid+read"), None, None, &rules);
        assert_eq!(issue.unwrap().access.scopes.to_string(), "openid", "its record has changed");
    }

    #[test]
    fn a_devices_tokens_are_bound_to_the_key_that_it_proves() {
        let (key, rules) = ([7; 32], fixtures::rules());
        let bound = exchange("").decide(&client(), &grant("read"), Some(key), None, &rules);
        let bound = bound.unwrap();
        assert_eq!(bound.access.confirmation.key, Some(key));
        assert_eq!(bound.refresh.unwrap().family.dpop_jkt, Some(key));
        let must = Client { bind_dpop: true, ..client() };
        let refused = exchange("").decide(&must, &grant("read"), None, None, &rules);
        assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidDpopProof);
    }

    #[test]
    fn a_code_of_another_client_is_none() {
        let (rules, open) = (fixtures::rules(), state("read"));
        let other = Client { client_id: "app".to_owned(), ..client() };
        assert_eq!(exchange("").check(&client(), &rules, &open), Ok(()));
        let refused = exchange("").check(&other, &rules, &open);
        assert_eq!(refused, Err(OAuthError::invalid_grant()));
        let refused = exchange("").decide(&other, &grant("read"), None, None, &rules);
        assert_eq!(refused.unwrap_err(), OAuthError::invalid_grant());
        let no_more = Client { grant_types: vec![GrantType::RefreshToken], ..client() };
        let refused = exchange("").check(&no_more, &rules, &open);
        assert_eq!(refused, Err(OAuthError::unauthorized_client()));
        let off = ServerRules { grants: vec![GrantType::RefreshToken], ..fixtures::rules() };
        let refused = exchange("").check(&client(), &off, &open);
        assert_eq!(refused, Err(OAuthError::unsupported_grant_type()));
    }

    #[test]
    fn a_device_asks_for_no_other_place_than_was_agreed_to() {
        let rules = fixtures::rules();
        let granted =
            CodeGrant { resources: vec![fixtures::API.to_owned()], ..grant("read+write") };
        for (more, expected) in [
            ("", Ok(vec![fixtures::API.to_owned()])),
            ("&resource=https://api.example", Ok(vec![fixtures::API.to_owned()])),
            ("&resource=https://other.example", Err(ErrorCode::InvalidTarget)),
        ] {
            let issue = exchange(more).decide(&client(), &granted, None, None, &rules);
            let found = issue.map(|issue| issue.access.audiences).map_err(|error| error.code);
            assert_eq!(found, expected, "{more}");
        }
    }

    #[test]
    fn a_device_code_is_read_strictly_and_shown_nowhere() {
        const GRANT: &str = "grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=web";
        let parse = |body: &str| {
            TokenRequest::parse(Single::Absent, FORM, body.as_bytes(), None)
                .map_err(|error| error.code)
        };
        for (more, expected) in [
            ("&device_code=d", None),
            ("&device_code=d&unknown=1", None),
            ("", Some(ErrorCode::InvalidRequest)),
            ("&device_code=", Some(ErrorCode::InvalidRequest)),
            ("&device_code=d&device_code=e", Some(ErrorCode::InvalidRequest)),
            ("&device_code=d&resource=x", Some(ErrorCode::InvalidTarget)),
            ("&device_code=%ff", Some(ErrorCode::InvalidRequest)),
        ] {
            assert_eq!(parse(&format!("{GRANT}{more}")).err(), expected, "{more}");
        }
        let shown = format!("{:?}", parse(&format!("{GRANT}&device_code=hunter2")));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

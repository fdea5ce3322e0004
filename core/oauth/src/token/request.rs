//! A request of the token endpoint, read and not decided yet.

use postern_request::headers::Single;

use super::{ClientCredentials, CodeExchange, DeviceExchange, RefreshExchange};
use crate::form::{FormError, MAX_BODY_BYTES, MAX_EXCHANGE_BYTES};
use crate::{ClientAuthentication, Form, GrantType, OAuthError, ShownCertificate, TokenExchange};

/// A request of the token endpoint. The caller fetches the client, finds out what its
/// [`Proof`](crate::Proof) is worth, asks [`authenticate`](crate::authenticate) and then the
/// [`Grant`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    client: ClientAuthentication,
    grant: Grant,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// RFC 6749 §4.4
    ClientCredentials(ClientCredentials),
    /// RFC 6749 §4.1.3
    Code(CodeExchange),
    /// RFC 6749 §6
    Refresh(RefreshExchange),
    /// RFC 8628 §3.4
    Device(DeviceExchange),
    /// RFC 8693
    Exchange(TokenExchange),
}

impl TokenRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// The first thing that is wrong with it; nothing was looked up yet, so the answer tells
    /// nothing about clients.
    pub fn parse(
        authorization: Single<'_>,
        content_type: Single<'_>,
        body: &[u8],
        certificate: Option<&ShownCertificate>,
    ) -> Result<Self, OAuthError> {
        let form = Form::read_within(content_type, body, MAX_EXCHANGE_BYTES)?;
        let grant_type = form
            .get("grant_type")
            .ok_or(OAuthError::invalid_request("The parameter grant_type is missing"))?;
        let grant_type = GrantType::parse(grant_type).ok_or(OAuthError::unsupported_grant_type())?;
        if body.len() > MAX_BODY_BYTES && grant_type != GrantType::TokenExchange {
            return Err(FormError::TooLarge.into());
        }
        let client = ClientAuthentication::parse(authorization, &form, certificate)?;
        let grant = match grant_type {
            GrantType::ClientCredentials => {
                Grant::ClientCredentials(ClientCredentials::parse(&form)?)
            }
            GrantType::AuthorizationCode => Grant::Code(CodeExchange::parse(&form)?),
            GrantType::RefreshToken => Grant::Refresh(RefreshExchange::parse(&form)?),
            GrantType::DeviceCode => Grant::Device(DeviceExchange::parse(&form)?),
            GrantType::TokenExchange => Grant::Exchange(TokenExchange::parse(&form)?),
        };
        Ok(Self { client, grant })
    }

    /// Which client to fetch.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client.client_id
    }

    /// Who the client says it is.
    #[must_use]
    pub const fn client(&self) -> &ClientAuthentication {
        &self.client
    }

    /// What is asked for.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorCode, RefreshToken, fixtures};

    const FORM: Single<'static> = Single::One(b"application/x-www-form-urlencoded");
    const GRANT: &str = "grant_type=client_credentials&client_id=web&client_secret=s";

    fn parse(body: &str) -> Result<TokenRequest, ErrorCode> {
        TokenRequest::parse(Single::Absent, FORM, body.as_bytes(), None).map_err(|error| error.code)
    }

    #[test]
    fn requests_are_read_strictly() {
        for (body, expected) in [
            (GRANT.to_owned(), None),
            (format!("{GRANT}&unknown=1"), None),
            (format!("{GRANT}&scope=read"), None),
            (format!("{GRANT}&scope="), None),
            (format!("{GRANT}&scope=a%22b"), Some(ErrorCode::InvalidScope)),
            (format!("{GRANT}&scope=read&scope=write"), Some(ErrorCode::InvalidRequest)),
            (format!("{GRANT}&resource=a"), Some(ErrorCode::InvalidTarget)),
            (GRANT.replace("client_credentials", ""), Some(ErrorCode::InvalidRequest)),
            ("client_id=web&client_secret=s".to_owned(), Some(ErrorCode::InvalidRequest)),
            ("grant_type=client_credentials".to_owned(), Some(ErrorCode::InvalidClient)),
            (format!("{GRANT}&x={}", "y".repeat(20_000)), Some(ErrorCode::RequestTooLarge)),
            (format!("{GRANT}&token={}", "y".repeat(16_380)), Some(ErrorCode::RequestTooLarge)),
        ] {
            assert_eq!(parse(&body).err(), expected, "{body:.90}");
        }
        let other = TokenRequest::parse(Single::Absent, Single::Absent, GRANT.as_bytes(), None);
        assert_eq!(other.unwrap_err().code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn no_other_grant_is_known() {
        for name in [
            "password",
            "implicit",
            "CLIENT_CREDENTIALS",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "urn:ietf:params:oauth:grant-type:saml2-bearer",
        ] {
            let body = GRANT.replace("client_credentials", name);
            assert_eq!(parse(&body), Err(ErrorCode::UnsupportedGrantType), "{name}");
        }
        for grant in GrantType::ALL {
            let body = GRANT.replace("client_credentials", grant.as_str());
            assert_ne!(parse(&body), Err(ErrorCode::UnsupportedGrantType), "{grant:?}");
        }
    }

    #[test]
    fn an_exchange_of_tokens_may_be_longer() {
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        let grant = GrantType::TokenExchange.as_str();
        let body = |length: usize| {
            let (token, client) = ("t".repeat(length), "client_id=web&client_secret=s");
            let subject = format!("subject_token={token}&subject_token_type={kind}");
            let actor = format!("actor_token={token}&actor_token_type={kind}");
            format!("grant_type={grant}&{client}&{subject}&{actor}")
        };
        assert!(parse(&body(16_000)).is_ok());
        assert_eq!(parse(&body(16_385)).err(), Some(ErrorCode::RequestTooLarge));
        let longer = format!("{}&x={}", body(30_000), "y".repeat(10_000));
        assert_eq!(parse(&longer).err(), Some(ErrorCode::RequestTooLarge));
    }

    #[test]
    fn a_code_and_a_refresh_token_are_named() {
        let code = "grant_type=authorization_code&client_id=web";
        let refresh = "grant_type=refresh_token&client_id=web";
        let token = RefreshToken { family: [1; 16], lock: [2; 16], generation: 1, secret: [3; 32] };
        let token = token.to_text();
        let verifier = fixtures::VERIFIER;
        for (body, expected) in [
            (format!("{code}&code=x&code_verifier={verifier}"), None),
            (format!("{code}&code=x"), None),
            (code.to_owned(), Some(ErrorCode::InvalidRequest)),
            (format!("{code}&code="), Some(ErrorCode::InvalidRequest)),
            (format!("{code}&code=x&code_verifier=short"), Some(ErrorCode::InvalidRequest)),
            (format!("{code}&code=x&code=y"), Some(ErrorCode::InvalidRequest)),
            (format!("{refresh}&refresh_token={}", token.expose()), None),
            (refresh.to_owned(), Some(ErrorCode::InvalidRequest)),
            (format!("{refresh}&refresh_token=rt_x"), Some(ErrorCode::InvalidGrant)),
            (format!("{refresh}&refresh_token=%00"), Some(ErrorCode::InvalidGrant)),
        ] {
            assert_eq!(parse(&body).err(), expected, "{body}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let shown = format!("{:?}", parse(&GRANT.replace("=s", "=hunter2")));
        assert!(!shown.contains("hunter2"));
        let code = "grant_type=authorization_code&client_id=web&code=hunter2";
        let shown = format!("{:?}", parse(&format!("{code}&code_verifier={}", fixtures::VERIFIER)));
        assert!(!shown.contains("hunter2") && !shown.contains(fixtures::VERIFIER), "{shown}");
    }
}

//! Clients give tokens back (RFC 7009).

use postern_request::headers::Single;

use crate::{Client, ClientAuthentication, Form, OAuthError, Secret, ShownCertificate};

/// Where to look first. It is a hint: a token that is not found there is looked for elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenHint {
    /// `access_token`
    Access,
    /// `refresh_token`
    Refresh,
}

impl TokenHint {
    /// Reads `token_type_hint`; none for what is not known, which is no error (§2.1).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "access_token" => Some(Self::Access),
            "refresh_token" => Some(Self::Refresh),
            _ => None,
        }
    }
}

/// A request of RFC 7009 §2.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationRequest {
    /// Who the client says it is.
    pub client: ClientAuthentication,
    /// The token.
    pub token: Secret,
    /// What the client takes it for.
    pub hint: Option<TokenHint>,
}

impl RevocationRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(
        authorization: Single<'_>,
        content_type: Single<'_>,
        body: &[u8],
        certificate: Option<&ShownCertificate>,
    ) -> Result<Self, OAuthError> {
        let form = Form::read(content_type, body)?;
        let client = ClientAuthentication::parse(authorization, &form, certificate)?;
        let token = form.get("token");
        let token = token.ok_or(OAuthError::invalid_request("The parameter token is missing"))?;
        Ok(Self {
            client,
            token: Secret::new(token.to_owned()),
            hint: form.get("token_type_hint").and_then(TokenHint::parse),
        })
    }

    /// Whether there is something to revoke, for a client that has proven who it is. `owner` is
    /// the client that the token was issued to; none where it is no token that is good still,
    /// which is as it should be (§2.2).
    ///
    /// # Errors
    /// `invalid_grant` for a token of another client (§2.1).
    pub fn decide(&self, client: &Client, owner: Option<&str>) -> Result<bool, OAuthError> {
        match owner {
            None => Ok(false),
            Some(owner) if owner == client.client_id => Ok(true),
            Some(_) => Err(OAuthError::bad_grant("other_client")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorCode, fixtures};

    fn parse(body: &str) -> Result<RevocationRequest, ErrorCode> {
        let form = Single::One(b"application/x-www-form-urlencoded".as_slice());
        RevocationRequest::parse(Single::Absent, form, body.as_bytes(), None).map_err(|e| e.code)
    }

    #[test]
    fn a_hint_is_only_a_hint() {
        for (hint, expected) in [
            ("", None),
            ("&token_type_hint=access_token", Some(TokenHint::Access)),
            ("&token_type_hint=refresh_token", Some(TokenHint::Refresh)),
            ("&token_type_hint=saml", None),
        ] {
            let request = parse(&format!("client_id=web&token=t{hint}")).unwrap();
            assert_eq!((request.hint, request.token.expose()), (expected, "t"), "{hint}");
        }
    }

    #[test]
    fn a_request_names_client_and_token() {
        for (body, expected) in [
            ("token=t", ErrorCode::InvalidClient),
            ("client_id=web", ErrorCode::InvalidRequest),
            ("client_id=web&token=", ErrorCode::InvalidRequest),
            ("client_id=web&token=t&token=u", ErrorCode::InvalidRequest),
        ] {
            assert_eq!(parse(body).err(), Some(expected), "{body}");
        }
        let json = Single::One(b"application/json".as_slice());
        let error = RevocationRequest::parse(Single::Absent, json, b"client_id=web&token=t", None);
        assert_eq!(error.unwrap_err().code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn a_client_revokes_its_own_tokens_alone() {
        let request = parse("client_id=web&token=t").unwrap();
        let client = fixtures::confidential();
        assert_eq!(request.decide(&client, Some("web")), Ok(true));
        assert_eq!(request.decide(&client, None), Ok(false), "it is revoked already");
        assert_eq!(request.decide(&client, Some("app")), Err(OAuthError::invalid_grant()));
    }
}

//! The token endpoint (RFC 6749 §3.2) as a state machine.

use postern_request::headers::Single;

use crate::{
    Client, ClientAuthentication, ClientKind, ErrorCode, Form, GrantType, OAuthError, ScopeSet,
    Secret,
};

/// A request of the token endpoint, read and not decided yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    client: ClientAuthentication,
    grant: Grant,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// RFC 6749 §4.4.
    ClientCredentials(ClientCredentials),
}

/// A client asks for a token of its own (RFC 6749 §4.4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// `scope`; none asks for all that the client may have.
    pub scope: Option<ScopeSet>,
}

/// The decision: make this token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueAccessToken {
    /// Whom it speaks for. A client that speaks for itself is its own subject (RFC 9068 §2.2).
    pub subject: String,
    /// `client_id`
    pub client_id: String,
    /// What it allows.
    pub scopes: ScopeSet,
    /// How long it lives, in seconds.
    pub lifetime_secs: u64,
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
    ) -> Result<Self, OAuthError> {
        if !content_type.one().is_some_and(is_form) {
            return Err(OAuthError::new(
                ErrorCode::InvalidRequest,
                "The content type must be application/x-www-form-urlencoded",
            ));
        }
        let form = Form::parse(body)?;
        let grant_type = form.get("grant_type").ok_or(OAuthError::new(
            ErrorCode::InvalidRequest,
            "The parameter grant_type is missing",
        ))?;
        let grant_type = GrantType::parse(grant_type).ok_or(unsupported_grant_type())?;
        let client = ClientAuthentication::parse(authorization, &form)?;
        let grant = match grant_type {
            GrantType::AuthorizationCode
            | GrantType::RefreshToken
            | GrantType::DeviceCode
            | GrantType::TokenExchange => return Err(unsupported_grant_type()),
            GrantType::ClientCredentials => {
                let scope = form.get("scope").map(ScopeSet::parse).transpose();
                let scope = scope.map_err(|_| invalid_scope("A scope is malformed"))?;
                Grant::ClientCredentials(ClientCredentials { scope })
            }
        };
        Ok(Self { client, grant })
    }

    /// Which client to fetch.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client.client_id
    }

    /// Which secret to compare.
    #[must_use]
    pub const fn secret(&self) -> Option<&Secret> {
        self.client.secret.as_ref()
    }

    /// What is asked for.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Decides, once the client was looked up (none: there is no such client) and its secret
    /// compared.
    ///
    /// # Errors
    /// Why no token is issued. Who the client is comes first: one that did not prove itself
    /// learns nothing about what it would have been allowed.
    pub fn decide(
        &self,
        client: Option<&Client>,
        secret_matches: bool,
    ) -> Result<IssueAccessToken, OAuthError> {
        let client = client
            .filter(|client| client.is_active && client.client_id == self.client.client_id)
            .ok_or(OAuthError::invalid_client())?;
        match &self.grant {
            Grant::ClientCredentials(grant) => {
                // RFC 6749 §4.4: only confidential clients, so there is always a secret.
                if client.kind != ClientKind::Confidential || !secret_matches {
                    return Err(OAuthError::invalid_client());
                }
                grant.decide(client)
            }
        }
    }
}

impl ClientCredentials {
    fn decide(&self, client: &Client) -> Result<IssueAccessToken, OAuthError> {
        if !client.grant_types.contains(&GrantType::ClientCredentials) {
            return Err(OAuthError::new(
                ErrorCode::UnauthorizedClient,
                "The client may not use this grant type",
            ));
        }
        let scopes = client
            .scopes
            .narrow(self.scope.as_ref())
            .map_err(|_| invalid_scope("A scope is not allowed for this client"))?;
        Ok(IssueAccessToken {
            subject: client.client_id.clone(),
            client_id: client.client_id.clone(),
            scopes,
            lifetime_secs: client.access_token_lifetime_secs,
        })
    }
}

const fn unsupported_grant_type() -> OAuthError {
    OAuthError::new(ErrorCode::UnsupportedGrantType, "The grant type is not supported")
}

const fn invalid_scope(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidScope, description)
}

/// Whether a content type is the form encoding, with or without parameters.
fn is_form(value: &[u8]) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Single<'static> = Single::One(b"application/x-www-form-urlencoded");
    const GRANT: &str = "grant_type=client_credentials&client_id=web&client_secret=s";

    fn parse(body: &str) -> Result<TokenRequest, ErrorCode> {
        TokenRequest::parse(Single::Absent, FORM, body.as_bytes()).map_err(|error| error.code)
    }

    fn client() -> Client {
        Client {
            client_id: "web".to_owned(),
            kind: ClientKind::Confidential,
            grant_types: vec![GrantType::ClientCredentials],
            scopes: ScopeSet::parse("read write").unwrap(),
            access_token_lifetime_secs: 3600,
            is_active: true,
        }
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
            (
                GRANT.replace("client_credentials", "password"),
                Some(ErrorCode::UnsupportedGrantType),
            ),
            (
                GRANT.replace("client_credentials", "CLIENT_CREDENTIALS"),
                Some(ErrorCode::UnsupportedGrantType),
            ),
            (
                GRANT.replace("client_credentials", "authorization_code"),
                Some(ErrorCode::UnsupportedGrantType),
            ),
            (
                GRANT.replace("client_credentials", "refresh_token"),
                Some(ErrorCode::UnsupportedGrantType),
            ),
            (GRANT.replace("client_credentials", ""), Some(ErrorCode::InvalidRequest)),
            ("client_id=web&client_secret=s".to_owned(), Some(ErrorCode::InvalidRequest)),
            ("grant_type=client_credentials".to_owned(), Some(ErrorCode::InvalidClient)),
            (format!("{GRANT}&x={}", "y".repeat(20_000)), Some(ErrorCode::RequestTooLarge)),
        ] {
            assert_eq!(parse(&body).err(), expected, "{body:.90}");
        }
    }

    #[test]
    fn the_content_type_must_say_form() {
        for (content_type, ok) in [
            (FORM, true),
            (Single::One(b"Application/X-WWW-Form-Urlencoded; charset=UTF-8"), true),
            (Single::One(b"application/json"), false),
            (Single::One(b"application/x-www-form-urlencoded2"), false),
            (Single::Absent, false),
            (Single::Repeated, false),
        ] {
            let parsed = TokenRequest::parse(Single::Absent, content_type, GRANT.as_bytes());
            assert_eq!(parsed.is_ok(), ok, "{content_type:?}");
        }
    }

    #[test]
    fn a_client_gets_what_it_asks_for_within_its_own() {
        for (scope, expected) in [
            ("", Ok("read write")),
            ("&scope=read", Ok("read")),
            ("&scope=read+admin", Err(ErrorCode::InvalidScope)),
        ] {
            let decision = parse(&format!("{GRANT}{scope}")).unwrap().decide(Some(&client()), true);
            let granted = decision.map(|issue| {
                assert_eq!((issue.subject.as_str(), issue.client_id.as_str()), ("web", "web"));
                assert_eq!(issue.lifetime_secs, 3600);
                issue.scopes.to_string()
            });
            assert_eq!(granted.map_err(|e| e.code), expected.map(str::to_owned), "{scope}");
        }
    }

    #[test]
    fn whoever_is_not_proven_gets_one_answer() {
        let request = parse(&format!("{GRANT}&scope=admin")).unwrap();
        let public = Client { kind: ClientKind::Public, ..client() };
        let inactive = Client { is_active: false, ..client() };
        let other = Client { client_id: "other".to_owned(), ..client() };
        for (client, secret_matches) in [
            (None, false),
            (None, true),
            (Some(client()), false),
            (Some(public), true),
            (Some(inactive), true),
            (Some(other), true),
        ] {
            let error = request.decide(client.as_ref(), secret_matches).unwrap_err();
            assert_eq!(error, OAuthError::invalid_client(), "{client:?}");
        }
    }

    #[test]
    fn a_grant_that_the_client_does_not_have_is_refused() {
        let client = Client { grant_types: Vec::new(), ..client() };
        let error = parse(GRANT).unwrap().decide(Some(&client), true).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnauthorizedClient);
    }

    #[test]
    fn secrets_do_not_show() {
        assert!(!format!("{:?}", parse(&GRANT.replace("=s", "=hunter2"))).contains("hunter2"));
    }
}

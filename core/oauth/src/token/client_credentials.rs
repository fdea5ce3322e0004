//! A client asks for a token of its own (RFC 6749 §4.4).

use super::issue::{Issue, IssueAccessToken, check_grant, confirmation, lifetime};
use crate::{
    Client, ClientKind, Form, GrantType, IDENTITY_SCOPES, OAuthError, ScopeSet, ServerRules,
    resource,
};

/// A request of RFC 6749 §4.4.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// `scope`; none asks for all that the client may have.
    pub scope: Option<ScopeSet>,
    /// Where the token shall be usable (RFC 8707).
    pub resources: Vec<String>,
}

impl ClientCredentials {
    pub(super) fn parse(form: &Form) -> Result<Self, OAuthError> {
        let scope = form.get("scope").map(ScopeSet::parse).transpose();
        Ok(Self {
            scope: scope.map_err(|_| OAuthError::invalid_scope("A scope is malformed"))?,
            resources: resource::parse(form.all("resource"))?,
        })
    }

    /// Decides, for a client that has proven who it is. There is neither a user nor a refresh
    /// token (§4.4.3).
    ///
    /// # Errors
    /// Why no token is issued.
    pub fn decide(
        &self,
        client: &Client,
        dpop: Option<[u8; 32]>,
        certificate: Option<[u8; 32]>,
        server: &ServerRules,
    ) -> Result<Issue, OAuthError> {
        // §4.4: an id alone is no credential.
        if client.kind != ClientKind::Confidential {
            return Err(OAuthError::invalid_client());
        }
        check_grant(client, server, GrantType::ClientCredentials)?;
        // What is about a user says nothing about a client.
        let may = |name: &str| !IDENTITY_SCOPES.contains(&name) && server.gives_clients(name);
        let own = client.scopes.filtered(may);
        let scopes = own
            .narrow(self.scope.as_ref())
            .map_err(|_| OAuthError::invalid_scope("A scope is not allowed for this client"))?;
        server.check_resources(client, &self.resources)?;
        let access = IssueAccessToken {
            subject: client.client_id.clone(),
            client_id: client.client_id.clone(),
            scopes: server.scopes_at(&self.resources, &scopes),
            audiences: self.resources.clone(),
            lifetime_secs: lifetime(client, server),
            confirmation: confirmation(client, server, dpop, certificate)?,
            ..IssueAccessToken::default()
        };
        Ok(Issue { access, refresh: None, id_token: None, issued_token_type: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorCode, fixtures};

    fn decide(client: &Client, body: &str) -> Result<Issue, ErrorCode> {
        let request = ClientCredentials::parse(&Form::parse(body.as_bytes()).unwrap());
        let decision = request.and_then(|r| r.decide(client, None, None, &fixtures::rules()));
        decision.map_err(|error| error.code)
    }

    #[test]
    fn a_client_gets_what_it_asks_for_within_its_own() {
        for (body, expected) in [
            ("", Ok("read write")),
            ("scope=read", Ok("read")),
            ("scope=read+admin", Err(ErrorCode::InvalidScope)),
            ("scope=openid", Err(ErrorCode::InvalidScope)),
            ("scope=offline_access+read", Err(ErrorCode::InvalidScope)),
            ("scope=a%22b", Err(ErrorCode::InvalidScope)),
            ("resource=https://api.example", Ok("read")),
            ("resource=https://unknown.example", Err(ErrorCode::InvalidTarget)),
        ] {
            let granted = decide(&fixtures::confidential(), body).map(|issue| {
                assert_eq!(
                    (issue.access.subject.as_str(), &*issue.access.client_id),
                    ("web", "web")
                );
                assert_eq!(issue.access.lifetime_secs, 3600);
                assert_eq!((issue.refresh, issue.id_token), (None, None), "{body}");
                assert_eq!(issue.access.session, None);
                issue.access.scopes.to_string()
            });
            assert_eq!(granted, expected.map(str::to_owned), "{body}");
        }
    }

    #[test]
    fn a_scope_that_the_document_does_not_know_is_never_granted() {
        let scopes = ScopeSet::parse("read gone postern.admin client.register openid").unwrap();
        let client = Client { scopes, ..fixtures::confidential() };
        let bounded = ServerRules { bounds_clients: true, ..fixtures::rules() };
        let free = ServerRules { bounds_clients: false, ..fixtures::rules() };
        let granted = |body: &str, server: &ServerRules| {
            let form = Form::parse(body.as_bytes()).unwrap();
            let issue = ClientCredentials::parse(&form)?.decide(&client, None, None, server)?;
            Ok::<_, OAuthError>(issue.access.scopes.to_string())
        };
        assert_eq!(granted("", &bounded).unwrap(), "read postern.admin client.register");
        assert_eq!(granted("scope=read", &bounded).unwrap(), "read");
        let refused = granted("scope=read+gone", &bounded).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidScope);
        assert_eq!(granted("scope=gone", &free).unwrap(), "gone", "where nobody says which");
    }

    #[test]
    fn public_clients_have_no_credentials() {
        assert_eq!(decide(&fixtures::public(), ""), Err(ErrorCode::InvalidClient));
    }

    #[test]
    fn a_grant_that_the_client_does_not_have_is_refused() {
        let client = Client { grant_types: Vec::new(), ..fixtures::confidential() };
        assert_eq!(decide(&client, ""), Err(ErrorCode::UnauthorizedClient));
        let server = ServerRules { grants: Vec::new(), ..fixtures::rules() };
        let request = ClientCredentials { scope: None, resources: Vec::new() };
        let error = request.decide(&fixtures::confidential(), None, None, &server).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnsupportedGrantType);
    }

    #[test]
    fn a_token_without_anything_about_the_document_is_as_before() {
        let server = ServerRules::bare(fixtures::ISSUER.to_owned());
        let request = ClientCredentials { scope: None, resources: Vec::new() };
        let issue = request.decide(&fixtures::confidential(), None, None, &server).unwrap();
        assert_eq!(issue.access.audiences, Vec::<String>::new(), "the issuer");
        assert_eq!(issue.access.scopes.to_string(), "read write");
    }
}

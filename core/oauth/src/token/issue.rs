//! What to make for a client: the decision of a grant.

use postern_jose::{Algorithm, Confirmation};

use crate::scope::OPENID;
use crate::{
    Acr, Client, ClientKind, FamilyGrant, GrantType, OAuthError, ScopeSet, ServerRules, TokenType,
    resource,
};

/// The decision: make these tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// The access token.
    pub access: IssueAccessToken,
    /// The refresh token.
    pub refresh: Option<RefreshPlan>,
    /// The ID token.
    pub id_token: Option<IdTokenPlan>,
    /// `issued_token_type` (RFC 8693 §2.2.1).
    pub issued_token_type: Option<&'static str>,
}

/// An access token to make.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IssueAccessToken {
    /// Whom it speaks for. A client that speaks for itself is its own subject (RFC 9068 §2.2).
    pub subject: String,
    /// `client_id`
    pub client_id: String,
    /// What it allows.
    pub scopes: ScopeSet,
    /// Where it can be used; at the issuer where there are none.
    pub audiences: Vec<String>,
    /// How long it lives, in seconds.
    pub lifetime_secs: u64,
    /// `sessionId`
    pub session: Option<String>,
    /// What it is bound to.
    pub confirmation: Confirmation,
    /// When the user has authenticated, in seconds since the epoch.
    pub auth_time: Option<u64>,
    /// How well.
    pub acr: Option<Acr>,
    /// How.
    pub amr: Vec<String>,
    /// Who acts for the subject (RFC 8693 §4.1).
    pub act: Option<Actor>,
    /// `role`: of the session, so for whoever has that to fill in; as the three below.
    pub role: Option<String>,
    /// `tier`
    pub tier: Option<String>,
    /// `deviceId`
    pub device: Option<String>,
    /// `clientFingerprint`
    pub fingerprint: Option<String>,
}

/// Who acts for somebody (RFC 8693 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `sub`
    pub subject: String,
    /// `client_id`
    pub client_id: Option<String>,
    /// Who acted before.
    pub former: Option<Box<Actor>>,
}

impl Actor {
    /// How many act one for the other, this one among them.
    #[must_use]
    pub fn depth(&self) -> usize {
        core::iter::successors(Some(self), |one| one.former.as_deref()).count()
    }
}

/// A refresh token to make: the first of a family, or the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshPlan {
    /// What the family stands for.
    pub family: FamilyGrant,
    /// How long the token lives unused, in seconds.
    pub idle_secs: u64,
}

/// An ID token to make (OpenID Connect Core §2). `at_hash` is computed where the access token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdTokenPlan {
    /// `sub`
    pub subject: String,
    /// `aud`: the client.
    pub audience: String,
    /// `nonce` of the authorization request.
    pub nonce: Option<String>,
    /// `auth_time`, in seconds since the epoch.
    pub auth_time: u64,
    /// `acr`
    pub acr: Acr,
    /// `amr`
    pub amr: Vec<String>,
    /// `sid`
    pub session_id: String,
    /// What it is signed with.
    pub algorithm: Algorithm,
    /// What was granted: it decides on claims about the user.
    pub scopes: ScopeSet,
}

impl Issue {
    /// Puts everything into the session that was begun for this grant, instead of the browser's
    /// in which the user has agreed.
    #[must_use]
    pub fn in_session(mut self, session_id: &str) -> Self {
        self.access.session = Some(session_id.to_owned());
        if let Some(refresh) = &mut self.refresh {
            session_id.clone_into(&mut refresh.family.session_id);
        }
        if let Some(id_token) = &mut self.id_token {
            session_id.clone_into(&mut id_token.session_id);
        }
        self
    }

    /// How the access token is presented.
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        match self.access.confirmation.key {
            Some(_) => TokenType::Dpop,
            None => TokenType::Bearer,
        }
    }
}

impl RefreshPlan {
    /// A client's record may say less than the document, which may say more where the user asked
    /// to be remembered.
    pub(super) fn of(family: FamilyGrant, client: &Client, server: &ServerRules) -> Self {
        let own = client.refresh_token_lifetime_secs;
        let idle_secs = match family.remember {
            _ if own < server.refresh.secs => own,
            true => server.refresh.remembered_secs,
            false => server.refresh.secs,
        };
        Self { family, idle_secs }
    }
}

impl IdTokenPlan {
    /// The ID token of a grant; none where it is not one of OpenID Connect.
    pub(super) fn of(grant: &FamilyGrant, client: &Client, nonce: Option<&str>) -> Option<Self> {
        grant.scopes.contains(OPENID).then(|| Self {
            subject: grant.subject.clone(),
            audience: client.client_id.clone(),
            nonce: nonce.map(str::to_owned),
            auth_time: grant.auth_time.as_secs(),
            acr: grant.acr,
            amr: grant.amr.clone(),
            session_id: grant.session_id.clone(),
            algorithm: client.id_token_alg,
            scopes: grant.scopes.clone(),
        })
    }
}

impl IssueAccessToken {
    /// The access token of a user's grant, for the resources that are asked for.
    pub(super) fn of_grant(
        grant: &FamilyGrant,
        scopes: &ScopeSet,
        asked: &[String],
        client: &Client,
        server: &ServerRules,
    ) -> Result<Self, OAuthError> {
        let audiences = resource::narrow(&grant.resources, asked)?;
        server.check_resources(client, &audiences)?;
        Ok(Self {
            subject: grant.subject.clone(),
            client_id: grant.client_id.clone(),
            scopes: server.scopes_at(&audiences, scopes),
            audiences,
            lifetime_secs: lifetime(client, server),
            session: Some(grant.session_id.clone()),
            auth_time: Some(grant.auth_time.as_secs()),
            acr: Some(grant.acr),
            amr: grant.amr.clone(),
            ..Self::default()
        })
    }
}

/// The shorter of what the client's record and the document say.
pub(crate) fn lifetime(client: &Client, server: &ServerRules) -> u64 {
    client.access_token_lifetime_secs.min(server.access_token_secs)
}

/// Whether both know the grant.
pub(crate) fn check_grant(
    client: &Client,
    server: &ServerRules,
    grant: GrantType,
) -> Result<(), OAuthError> {
    if server.grants(grant) {
        client.check_grant(grant)
    } else {
        Err(OAuthError::unsupported_grant_type())
    }
}

/// What a client's tokens are bound to: the key that it has proven, else the certificate by which
/// it is known, or that a public client has shown (RFC 9449 §5, RFC 8705 §3, §4).
pub(crate) fn confirmation(
    client: &Client,
    server: &ServerRules,
    key: Option<[u8; 32]>,
    certificate: Option<[u8; 32]>,
) -> Result<Confirmation, OAuthError> {
    if client.bind_dpop && key.is_none() {
        return Err(OAuthError::invalid_dpop_proof());
    }
    let is_bound = client.auth_method.is_by_certificate() || client.kind == ClientKind::Public;
    let certificate = certificate.filter(|_| key.is_none() && server.mutual_tls && is_bound);
    Ok(Confirmation { certificate, key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthMethod, fixtures};

    #[test]
    fn the_least_of_all_lifetimes_counts() {
        for (client_secs, server_secs, expected) in [(3600, 7200, 3600), (7200, 3600, 3600)] {
            let client =
                Client { access_token_lifetime_secs: client_secs, ..fixtures::confidential() };
            let server = ServerRules { access_token_secs: server_secs, ..fixtures::rules() };
            assert_eq!(lifetime(&client, &server), expected);
        }
        for (own, remember, expected) in [
            (604_800, false, 604_800),
            (604_800, true, 2_592_000),
            (10_000_000, false, 604_800),
            (10_000_000, true, 2_592_000),
            (600, false, 600),
            (600, true, 600),
        ] {
            let client = Client { refresh_token_lifetime_secs: own, ..fixtures::public() };
            let family = FamilyGrant { remember, ..fixtures::family_grant() };
            let plan = RefreshPlan::of(family, &client, &fixtures::rules());
            assert_eq!(plan.idle_secs, expected, "{own} {remember}");
        }
    }

    #[test]
    fn tokens_are_bound_to_what_was_proven() {
        let (key, certificate) = ([1; 32], [2; 32]);
        let server = ServerRules { mutual_tls: true, ..fixtures::rules() };
        let by_key = Client { bind_dpop: true, ..fixtures::confidential() };
        let by_certificate =
            Client { auth_method: AuthMethod::TlsClientAuth, ..fixtures::confidential() };
        let nothing = Confirmation::default();
        let to_key = Confirmation { key: Some(key), certificate: None };
        let to_certificate = Confirmation { key: None, certificate: Some(certificate) };
        for (client, key, certificate, expected) in [
            (fixtures::confidential(), None, None, Some(nothing)),
            (fixtures::confidential(), Some(key), None, Some(to_key)),
            // Shown for whatever reason, but not what this client is known by.
            (fixtures::confidential(), None, Some(certificate), Some(nothing)),
            (fixtures::public(), None, Some(certificate), Some(to_certificate)),
            (fixtures::public(), Some(key), Some(certificate), Some(to_key)),
            (by_certificate.clone(), None, Some(certificate), Some(to_certificate)),
            (by_certificate, Some(key), Some(certificate), Some(to_key)),
            (by_key.clone(), Some(key), None, Some(to_key)),
            (by_key.clone(), None, None, None),
            (by_key, None, Some(certificate), None),
        ] {
            let found = confirmation(&client, &server, key, certificate).ok();
            assert_eq!(found, expected, "{client:?} {key:?} {certificate:?}");
        }
        let blind = fixtures::rules();
        let found = confirmation(&fixtures::public(), &blind, None, Some(certificate));
        assert_eq!(found, Ok(nothing), "nobody looks at certificates here");
    }

    #[test]
    fn a_grant_has_one_session() {
        let client = fixtures::public();
        let grant = fixtures::family_grant();
        let access =
            IssueAccessToken::of_grant(&grant, &grant.scopes, &[], &client, &fixtures::rules());
        let issue = Issue {
            access: access.unwrap(),
            refresh: Some(RefreshPlan::of(grant.clone(), &client, &fixtures::rules())),
            id_token: IdTokenPlan::of(&grant, &client, None),
            issued_token_type: None,
        };
        assert_eq!(issue.token_type(), TokenType::Bearer);
        let issue = issue.in_session("s-9");
        assert_eq!(issue.access.session.as_deref(), Some("s-9"));
        assert_eq!(issue.refresh.unwrap().family.session_id, "s-9");
        assert_eq!(issue.id_token.unwrap().session_id, "s-9");
    }
}

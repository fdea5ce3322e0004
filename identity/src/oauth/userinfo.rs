//! UserInfo (OpenID Connect Core §5.3): who a token speaks for. Sessions know that, so the
//! database is not asked.

use postern_jose::{Possession, VerifiedToken};
use postern_oauth::{ChallengeScheme, Endpoint, ErrorCode, OAuthError, ScopeSet, UserClaims};
use postern_request::UnixMillis;
use postern_request::headers::Single;
use postern_store::flows::SessionRecord;

use super::OAuthService;
use super::proof::Proven;
use super::service::store_failed;
use crate::login::Person;

/// A request of this endpoint.
#[derive(Debug, Clone, Copy)]
pub struct UserinfoCall<'a> {
    /// The method: a proof is made for one.
    pub method: &'a str,
    /// `authorization`
    pub authorization: Single<'a>,
    /// `DPoP`
    pub dpop: Single<'a>,
    /// SHA-256 of the certificate that was shown on the connection.
    pub certificate: Option<[u8; 32]>,
}

impl OAuthService {
    /// What the token tells of its user: the body of the answer.
    ///
    /// # Errors
    /// As RFC 6750 §3.1 and RFC 9449 §7.1 have them, and those of the store.
    pub async fn userinfo(
        &self,
        call: UserinfoCall<'_>,
        now: UnixMillis,
    ) -> Result<String, OAuthError> {
        let (scheme, token) = shown(call.authorization)?;
        let answer = self.answer(call, scheme, token, now).await;
        answer.map_err(|error| error.at_resource(scheme))
    }

    async fn answer(
        &self,
        call: UserinfoCall<'_>,
        scheme: ChallengeScheme,
        token: &str,
        now: UnixMillis,
    ) -> Result<String, OAuthError> {
        let verified = self.verified(call, Endpoint::Userinfo, (scheme, token), now).await?;
        let principal = verified.principal();
        let scopes = ScopeSet::from_names(principal.scopes.iter().map(String::as_str));
        let scopes = scopes.map_err(|_| invalid_token())?;
        let session = self.session_behind(&verified, now).await?;
        let person = Person::decode(&session.person).unwrap_or_default();
        let claims = UserClaims {
            subject: session.user_id,
            given_name: Some(person.profile.first_name),
            family_name: Some(person.profile.last_name),
            picture: person.profile.photo,
            updated_at: None,
            // Nobody here sends mails, and what an operator has typed in was looked at by nobody:
            // only the outside provider vouches for an address that this log-in came by.
            email_verified: person.provider.is_some(),
            email: person.email,
        };
        claims.answer(&scopes, scheme)
    }

    /// A token of ours for this server itself, that was not revoked, with whoever may show it.
    ///
    /// # Errors
    /// `invalid_token` and `invalid_dpop_proof`, and those of the store.
    pub(super) async fn verified(
        &self,
        call: UserinfoCall<'_>,
        endpoint: Endpoint,
        shown: (ChallengeScheme, &str),
        now: UnixMillis,
    ) -> Result<VerifiedToken, OAuthError> {
        let verified = self.issuer.inspect_bound(shown.1, now).map_err(|error| {
            tracing::debug!(%error, "a token does not hold");
            invalid_token()
        })?;
        let is_ours = verified.claims.audiences.iter().any(|aud| aud == self.issuer.issuer());
        if !is_ours || self.revoked.is_revoked(&verified, now) {
            return Err(invalid_token());
        }
        self.confirm(call, endpoint, shown, &verified, now).await?;
        Ok(verified)
    }

    /// Whether whoever shows the token may: RFC 9449 §7.1 keeps tokens that are bound to a key and
    /// others apart by the scheme.
    async fn confirm(
        &self,
        call: UserinfoCall<'_>,
        endpoint: Endpoint,
        (scheme, token): (ChallengeScheme, &str),
        verified: &VerifiedToken,
        now: UnixMillis,
    ) -> Result<(), OAuthError> {
        let with_proof = scheme == ChallengeScheme::Dpop;
        let bound = &verified.claims.confirmation;
        bound.check_scheme(with_proof).map_err(|_| invalid_token())?;
        let key = if with_proof {
            let request = Proven { method: call.method, endpoint, access_token: Some(token) };
            self.proof(call.dpop, request, now).await?
        } else {
            None
        };
        let shown = Possession { certificate: call.certificate, key };
        verified.confirm(&shown).map_err(|_| match with_proof {
            true => OAuthError::invalid_dpop_proof(),
            false => invalid_token(),
        })
    }

    /// The session that the token came of: it may have ended, which the list of revocations knows
    /// a little later.
    async fn session_behind(
        &self,
        verified: &VerifiedToken,
        now: UnixMillis,
    ) -> Result<SessionRecord, OAuthError> {
        let principal = verified.principal();
        // A client that speaks for itself has no session, and is no user.
        let id = principal.session.as_deref().ok_or_else(invalid_token)?;
        let found = self.flows.find_session(id, now).await;
        found
            .map_err(|error| store_failed(&error))?
            .filter(|session| session.user_id == principal.subject)
            .filter(|session| !self.is_revoked(session, now))
            .ok_or_else(invalid_token)
    }
}

const fn invalid_token() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidToken, "The access token is invalid")
}

/// The token of a request, and the scheme that it came with.
pub(super) fn shown(authorization: Single<'_>) -> Result<(ChallengeScheme, &str), OAuthError> {
    let missing = OAuthError::new(ErrorCode::TokenMissing, "An access token is required")
        .at_resource(ChallengeScheme::Bearer);
    let header = match authorization {
        Single::Absent => return Err(missing),
        Single::Repeated => {
            return Err(OAuthError::invalid_request("The header authorization is repeated"));
        }
        Single::One(header) => std::str::from_utf8(header).map_err(|_| missing)?,
    };
    let (scheme, token) = header.split_once(' ').ok_or(missing)?;
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case("bearer") => ChallengeScheme::Bearer,
        _ if scheme.eq_ignore_ascii_case("dpop") => ChallengeScheme::Dpop,
        _ => return Err(missing),
    };
    Ok((scheme, token.trim()))
}

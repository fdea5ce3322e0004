//! ID tokens (OpenID Connect Core §2): who a user is, for the client that asked. They open
//! nothing: what is sent with requests is the access token.

use aws_lc_rs::digest;
use postern_jose::{Algorithm, base64url};
use postern_oauth::{Acr, Secret};
use postern_request::UnixMillis;

use crate::claims::Claims;
use crate::sign::TokenKind;
use crate::{IdentityError, TokenIssuer};

/// What an ID token should say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdTokenRequest<'a> {
    /// `sub`, the same as that of the access token and of `UserInfo`.
    pub(crate) subject: &'a str,
    /// `aud`: the client.
    pub(crate) client_id: &'a str,
    /// `nonce`, as the client sent it.
    pub(crate) nonce: Option<&'a str>,
    /// `auth_time`, in seconds.
    pub(crate) auth_time: Option<u64>,
    /// `acr`
    pub(crate) acr: Option<Acr>,
    /// `amr`
    pub(crate) amr: &'a [String],
    /// `sid` (OpenID Connect Front-Channel Logout §3).
    pub(crate) session: Option<&'a str>,
    /// What the client has registered to be signed with. No other one does: the client would
    /// refuse it.
    pub(crate) algorithm: Algorithm,
    /// How long it lives, in seconds.
    pub(crate) lifetime_secs: u64,
    /// The access token beside it.
    pub(crate) access_token: &'a Secret,
}

impl TokenIssuer {
    /// Makes an ID token.
    ///
    /// # Errors
    /// Those of the keys.
    pub(crate) fn issue_id_token(
        &self,
        request: &IdTokenRequest<'_>,
        now: UnixMillis,
    ) -> Result<Secret, IdentityError> {
        let signer = self.ring().signer(Some(request.algorithm), now)?;
        let issued_at = now.as_secs();
        let hash = at_hash(request.algorithm, request.access_token.expose());
        let claims = Claims::new()
            .text("iss", self.issuer())
            .text("sub", request.subject)
            .text("aud", request.client_id)
            .number("iat", issued_at)
            .number("exp", issued_at.saturating_add(request.lifetime_secs))
            .number_if("auth_time", request.auth_time)
            .text_if("nonce", request.nonce)
            .text_if("acr", request.acr.map(Acr::as_str))
            .texts_if("amr", request.amr)
            .text_if("sid", request.session)
            .text("at_hash", &hash)
            .finish();
        signer.sign(TokenKind::Id, claims.as_bytes())
    }
}

/// The left half of the hash that the signature's algorithm uses (§3.1.3.6). That of Ed25519 is
/// SHA-512 (RFC 8032 §5.1).
pub(crate) fn at_hash(algorithm: Algorithm, access_token: &str) -> String {
    let hash = match algorithm {
        Algorithm::EdDsa | Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::Es512 => {
            &digest::SHA512
        }
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &digest::SHA384,
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &digest::SHA256,
    };
    let digest = digest::digest(hash, access_token.as_bytes());
    let bytes = digest.as_ref();
    base64url::encode(bytes.split_at_checked(bytes.len() / 2).map_or(bytes, |(left, _)| left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tests::issuer;
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};

    const NOW: UnixMillis = UnixMillis(1_800_000_000_999);

    /// OpenID Connect Core, §A.3.
    #[test]
    fn at_hash_of_the_specification() {
        let hash = at_hash(Algorithm::Rs256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
        assert_eq!(hash, "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(at_hash(Algorithm::EdDsa, "a").len(), 43, "half of 64 bytes");
    }

    fn request<'a>(algorithm: Algorithm, access_token: &'a Secret) -> IdTokenRequest<'a> {
        IdTokenRequest {
            subject: "alice",
            client_id: "spa",
            nonce: Some("n-0S6_WzA2Mj"),
            auth_time: Some(1_799_999_000),
            acr: Some(Acr::OneFactor),
            amr: &[],
            session: Some("s-1"),
            algorithm,
            lifetime_secs: 900,
            access_token,
        }
    }

    #[tokio::test]
    async fn id_tokens_say_what_they_must() {
        let access_token = Secret::new("a.b.c".to_owned());
        for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
            let issuer = issuer(algorithm).await;
            let amr = ["pwd".to_owned()];
            let request = IdTokenRequest { amr: &amr, ..request(algorithm, &access_token) };
            let token = issuer.issue_id_token(&request, NOW).unwrap();
            let header = decode_header(token.expose()).unwrap();
            assert_eq!(header.typ.as_deref(), Some("JWT"));
            let set: JwkSet = serde_json::from_str(&issuer.ring().jwks(NOW)).unwrap();
            let key = DecodingKey::from_jwk(set.find(header.kid.as_deref().unwrap()).unwrap());
            let mut validation = Validation::new(header.alg);
            validation.set_audience(&["spa"]);
            validation.validate_exp = false;
            let decoded =
                decode::<serde_json::Value>(token.expose(), &key.unwrap(), &validation).unwrap();
            assert_eq!(
                decoded.claims,
                serde_json::json!({
                    "iss": issuer.issuer(), "sub": "alice", "aud": "spa",
                    "iat": 1_800_000_000, "exp": 1_800_000_900, "auth_time": 1_799_999_000,
                    "nonce": "n-0S6_WzA2Mj", "acr": "urn:postern:acr:1", "amr": ["pwd"],
                    "sid": "s-1", "at_hash": at_hash(algorithm, "a.b.c"),
                })
            );
        }
    }

    #[tokio::test]
    async fn an_id_token_is_no_access_token() {
        let issuer = issuer(Algorithm::Rs256).await;
        let access_token = Secret::new("a.b.c".to_owned());
        let token = issuer.issue_id_token(&request(Algorithm::Rs256, &access_token), NOW).unwrap();
        assert!(issuer.inspect(token.expose(), NOW).is_err());
        assert!(issuer.inspect_bound(token.expose(), NOW).is_err());
    }

    #[tokio::test]
    async fn a_hint_may_have_expired_and_must_be_ours() {
        let (issuer, other) = (issuer(Algorithm::Es256).await, issuer(Algorithm::Es256).await);
        let access_token = Secret::new("a.b.c".to_owned());
        let token = issuer.issue_id_token(&request(Algorithm::Es256, &access_token), NOW).unwrap();
        let long_after = UnixMillis(NOW.0 + 365 * 86_400_000);
        let hint = issuer.inspect_hint(token.expose(), long_after).unwrap();
        assert_eq!((hint.subject.as_str(), hint.client_id.as_str()), ("alice", "spa"));
        assert_eq!(other.inspect_hint(token.expose(), NOW), None);
    }

    #[tokio::test]
    async fn a_client_gets_its_algorithm_or_nothing() {
        let issuer = issuer(Algorithm::Es256).await;
        let access_token = Secret::new("a.b.c".to_owned());
        let refused = issuer.issue_id_token(&request(Algorithm::Rs256, &access_token), NOW);
        assert!(matches!(refused, Err(IdentityError::NoSigningKey)));
    }
}

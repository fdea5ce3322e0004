//! Revoking: what the command and the admin API share. Whoever may revoke may revoke anything,
//! so nobody asks here whose token it is or whether it still holds.

use postern_explain::Revocations;
use postern_jose::{Claims, ClaimsRules, CompactJws, TokenError, VerifiedToken};
use postern_request::UnixMillis;
use postern_revocation::{API_KEYS_ISSUER, Revocation, RevocationError, RevocationKind};
use postern_store::StoreError;
use postern_store::durable::{MAX_REVOCATIONS_PAGE, NewRevocation, RevocationStore};

/// How long what is named, and not given as a token, must be remembered, when nobody says.
pub const DEFAULT_REMEMBER: &str = "30d";
/// Clocks differ; what ends a moment ago may still be taken somewhere.
pub const AFTER_EXPIRY_SECS: u64 = 3600;

/// Why it is not clear what to revoke: the caller's fault. No text repeats what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// What was given as a token is none.
    #[error("this is no token")]
    NoToken(#[source] TokenError),
    /// It is one for something else.
    #[error("this is no access token")]
    NoAccessToken(#[source] TokenError),
    /// It has no name of its own.
    #[error("the token has no `jti`: revoke its session, subject or client instead")]
    NoTokenId,
    /// A name is out of bounds.
    #[error(transparent)]
    Named(#[from] RevocationError),
}

/// Revokes one token, by its `jti`, for as long as it could hold.
///
/// # Errors
/// When it has none, or is no access token at all.
pub fn of_token(token: &str, now: UnixMillis) -> Result<Revocation, Unclear> {
    let token = CompactJws::parse(token).map_err(Unclear::NoToken)?;
    let claims = Claims::parse(&token.payload, &ClaimsRules::default());
    let claims = claims.map_err(Unclear::NoAccessToken)?;
    let jti = claims.token_id.as_deref().ok_or(Unclear::NoTokenId)?;
    let until = claims.expires_at.saturating_add(AFTER_EXPIRY_SECS);
    Ok(Revocation::at(now.as_secs(), RevocationKind::Token, claims.issuer(), jti, until)?)
}

/// Revokes what has this name, and remembers it for so long: longer than any such token lives.
///
/// # Errors
/// When a text is out of bounds.
pub fn named(
    kind: RevocationKind,
    issuer: &str,
    value: &str,
    remember_secs: u64,
    now: UnixMillis,
) -> Result<Revocation, Unclear> {
    let until = now.as_secs().saturating_add(remember_secs);
    Ok(Revocation::at(now.as_secs(), kind, issuer, value, until)?)
}

/// Commits it to the durable store; its number there. Others are told afterwards: the store is
/// the truth, and they read it.
///
/// # Errors
/// The store's. Nothing is revoked then.
pub async fn commit(
    store: &(impl RevocationStore + ?Sized),
    revocation: &Revocation,
    reason: Option<String>,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    commit_all(store, std::slice::from_ref(revocation), reason.as_deref(), now).await
}

/// Commits several, all or none; the greatest of their numbers.
///
/// # Errors
/// As [`commit`].
pub async fn commit_all(
    store: &(impl RevocationStore + ?Sized),
    revocations: &[Revocation],
    reason: Option<&str>,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    let new = revocations.iter().map(|revocation| NewRevocation {
        revocation: revocation.clone(),
        created_at: now,
        reason: reason.map(str::to_owned),
    });
    let seqs = store.revoke(new.collect()).await?;
    Ok(seqs.into_iter().max().unwrap_or_default())
}

/// All that is revoked at one moment, for commands that look one credential up.
pub struct Listed(Vec<Revocation>);

impl Listed {
    /// Reads the whole list.
    ///
    /// # Errors
    /// The store's.
    pub async fn read(
        store: &(impl RevocationStore + ?Sized),
        now: UnixMillis,
    ) -> Result<Self, StoreError> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = store.revocations_since(after, MAX_REVOCATIONS_PAGE, now).await?;
            let Some(last) = page.last() else { return Ok(Self(all)) };
            after = last.seq;
            all.extend(page.into_iter().filter_map(|record| record.revocation));
        }
    }

    /// By one name. Who does not say since when it holds is older than every revocation.
    fn has(
        &self,
        kind: RevocationKind,
        issuer: &str,
        value: Option<&str>,
        issued_at: Option<u64>,
    ) -> bool {
        self.0.iter().any(|known| {
            let is_before = match (known.issued_before(), issued_at) {
                (Some(before), Some(at)) => at < before,
                _ => true,
            };
            known.kind() == kind
                && known.issuer() == issuer
                && Some(known.value()) == value
                && is_before
        })
    }
}

impl Revocations for Listed {
    fn has_token(&self, token: &VerifiedToken) -> bool {
        let (claims, principal) = (&token.claims, token.principal());
        [
            (RevocationKind::Token, claims.token_id.as_deref()),
            (RevocationKind::Session, principal.session.as_deref()),
            (RevocationKind::Subject, Some(principal.subject.as_str())),
            (RevocationKind::Client, principal.client_id.as_deref()),
            (RevocationKind::Key, token.key_id.as_deref()),
        ]
        .into_iter()
        .any(|(kind, value)| self.has(kind, claims.issuer(), value, claims.issued_at))
    }

    fn has_api_key(&self, id: &str) -> bool {
        self.has(RevocationKind::Token, API_KEYS_ISSUER, Some(id), None)
    }

    fn has_sessions_of(&self, issuer: &str, subject: &str, began_at: u64) -> bool {
        self.has(RevocationKind::Subject, issuer, Some(subject), Some(began_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_jose::base64url;
    use postern_store::durable::memory::MemoryDurableStore;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    /// Nobody's signature will do: nobody checks it.
    fn token(header: &str, claims: &str) -> String {
        [header, claims, "signature"].map(|part| base64url::encode(part.as_bytes())).join(".")
    }

    #[test]
    fn a_token_is_revoked_by_its_own_name_until_nobody_takes_it() {
        let header = r#"{"alg":"ES256","typ":"at+jwt"}"#;
        let claims = r#"{"iss":"i","sub":"s","exp":1800000060,"jti":"t-1"}"#;
        let revocation = of_token(&token(header, claims), NOW).unwrap();
        assert_eq!((revocation.issuer(), revocation.value()), ("i", "t-1"));
        assert_eq!(revocation.kind(), RevocationKind::Token);
        assert_eq!(revocation.expires_at(), 1_800_003_660);

        let nameless = r#"{"iss":"i","sub":"s","exp":1800000060}"#;
        assert_eq!(of_token(&token(header, nameless), NOW), Err(Unclear::NoTokenId));
        for bad in ["", "a.b.c", &token("{}", claims)] {
            assert!(matches!(of_token(bad, NOW), Err(Unclear::NoToken(_))), "{bad}");
        }
        let no_claims = of_token(&token(header, "[]"), NOW);
        assert!(matches!(no_claims, Err(Unclear::NoAccessToken(_))), "{no_claims:?}");
    }

    #[tokio::test]
    async fn what_is_named_is_committed_with_its_reason() {
        let subject = named(RevocationKind::Subject, "i", "alice", 60, NOW).unwrap();
        assert_eq!(subject.expires_at(), 1_800_000_060);
        let empty = named(RevocationKind::Subject, "i", "", 60, NOW);
        assert_eq!(empty, Err(Unclear::Named(RevocationError::Value)));

        let store = MemoryDurableStore::new();
        let seq = commit(&store, &subject, Some("left".to_owned()), NOW).await.unwrap();
        let kept = store.revocations_since(0, 10, NOW).await.unwrap();
        let kept = kept.first().unwrap();
        assert_eq!((kept.seq, kept.created_at, kept.reason.as_deref()), (seq, NOW, Some("left")));
        assert_eq!(kept.revocation, Some(subject));
    }

    #[tokio::test]
    async fn the_list_knows_what_was_revoked_and_when() {
        let store = MemoryDurableStore::new();
        let list = Listed::read(&store, NOW).await.unwrap();
        assert!(!list.has_api_key("k-1"));
        let subject = named(RevocationKind::Subject, "i", "alice", 60, NOW).unwrap();
        let key = named(RevocationKind::Token, API_KEYS_ISSUER, "k-1", 60, NOW).unwrap();
        commit_all(&store, &[subject, key], None, NOW).await.unwrap();
        let list = Listed::read(&store, NOW).await.unwrap();
        assert!(list.has_api_key("k-1") && !list.has_api_key("k-2"));
        let now = NOW.as_secs();
        assert!(list.has_sessions_of("i", "alice", now - 1));
        assert!(!list.has_sessions_of("i", "alice", now + 5), "it began later");
        for (issuer, value, issued_at, expected) in [
            ("i", "alice", Some(now - 1), true),
            ("i", "alice", None, true),
            ("i", "alice", Some(now + 5), false),
            ("i", "bob", Some(now - 1), false),
            ("other", "alice", Some(now - 1), false),
        ] {
            let found = list.has(RevocationKind::Subject, issuer, Some(value), issued_at);
            assert_eq!(found, expected, "{issuer} {value} {issued_at:?}");
        }
        assert!(!list.has(RevocationKind::Client, "i", Some("alice"), None), "another kind");
        assert!(!list.has(RevocationKind::Subject, "i", None, None));
    }
}

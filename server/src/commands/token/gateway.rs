//! What the gateway of a document makes of a token: who issued it and whom it is for are the
//! gateway's business, beyond whether it holds.

use postern_document::{Document, JwksSource};
use postern_explain::Revocations;
use postern_identity::{AwsLcVerifier, KeyRing};
use postern_jose::{Claims, ClaimsRules, CompactJws, TokenError, verify, verify_bound};
use postern_request::{ErrorCode, UnixMillis};
use serde_json::{Value, json};

/// What a route that takes tokens answers to one; scopes are for each route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It counts.
    Accepted {
        /// Only beside a proof of what it is bound to, which this command cannot see.
        with_proof: bool,
    },
    /// It does not.
    Refused {
        /// The check that failed.
        error: TokenError,
        /// The same, by the document's words.
        because: String,
    },
    /// It was revoked.
    Revoked {
        /// Envoys are told of it; else only the server knows, where it is asked.
        everywhere: bool,
    },
    /// The issuer's keys are elsewhere, and this command asks nobody.
    Unknown,
}

/// Judges a token as the bundle does, with the keys that are at hand: those in the document, and
/// our own for our own issuer.
pub fn judge(
    document: &Document,
    ring: &KeyRing,
    revoked: &dyn Revocations,
    token: &str,
    now: UnixMillis,
) -> Judgement {
    let own = &ring.key_set(now);
    let keys_of = |index: usize| {
        let entry = document.issuers.get(index)?;
        match &entry.jwks {
            JwksSource::Inline(keys) => Some(keys),
            _ if document.issuer.as_ref() == Some(&entry.issuer.issuer) => Some(own),
            JwksSource::Uri { .. } | JwksSource::Service { .. } | JwksSource::Discovery { .. } => {
                None
            }
        }
    };
    let mut verifier = AwsLcVerifier::new();
    let (issuers, verifier) = (&document.issuers, &mut verifier);
    let verified = if document.bound.are_taken() {
        verify_bound(token, issuers, keys_of, verifier, now)
    } else {
        verify(token, issuers, keys_of, verifier, now)
    };
    match verified {
        Ok(token) if revoked.has_token(&token) => {
            Judgement::Revoked { everywhere: document.revocation.is_some() }
        }
        Ok(token) => Judgement::Accepted { with_proof: token.claims.confirmation.is_bound() },
        Err(TokenError::KeysMissing) => Judgement::Unknown,
        Err(error) => Judgement::Refused { error, because: because(document, token, error) },
    }
}

fn because(document: &Document, token: &str, error: TokenError) -> String {
    match error {
        TokenError::Issuer if document.issuers.is_empty() => {
            "the document takes no tokens: `credentials.jwt` is missing".to_owned()
        }
        TokenError::Issuer => {
            let known = document.issuers.iter().map(|entry| entry.issuer.issuer.as_str());
            format!("`iss` is none of {}", known.collect::<Vec<_>>().join(", "))
        }
        TokenError::Audience => {
            let claims = claims_of(token);
            let of_token = |claims: &Claims| {
                document.issuers.iter().find(|entry| entry.issuer.issuer == claims.issuer())
            };
            match claims.as_ref().and_then(of_token) {
                Some(entry) => format!("`aud` names none of {}", entry.issuer.audiences.join(", ")),
                None => error.to_string(),
            }
        }
        other => other.to_string(),
    }
}

/// What a token says, verified or not.
fn claims_of(token: &str) -> Option<Claims> {
    Claims::parse(&CompactJws::parse(token).ok()?.payload, &ClaimsRules::default()).ok()
}

impl Judgement {
    /// For programs.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Accepted { with_proof: false } => json!({"accepts": true}),
            Self::Accepted { with_proof: true } => json!({"accepts": true, "with_proof": true}),
            Self::Refused { error, because } => {
                let denial = error.to_denial();
                json!({
                    "accepts": false,
                    "because": because,
                    "status": denial.code.status(),
                    "error": denial.code.as_str(),
                    "reason": denial.reason,
                })
            }
            Self::Revoked { everywhere } => json!({
                "accepts": false,
                "because": because_revoked(*everywhere),
                "status": ErrorCode::TokenRevoked.status(),
                "error": ErrorCode::TokenRevoked.as_str(),
                "reason": "token_revoked",
            }),
            Self::Unknown => json!({"accepts": null, "because": ELSEWHERE}),
        }
    }

    /// For people, in one line.
    pub fn to_line(&self) -> String {
        match self {
            Self::Accepted { with_proof } => {
                let proof =
                    if *with_proof { "with a proof of what it is bound to, and " } else { "" };
                format!("the gateway takes it, {proof}as far as a route takes its scopes")
            }
            Self::Refused { error, because } => {
                let denial = error.to_denial();
                let (status, code) = (denial.code.status(), denial.code.as_str());
                format!("the gateway refuses it with {status} {code}: {because}")
            }
            Self::Revoked { everywhere } => {
                let (status, code) =
                    (ErrorCode::TokenRevoked.status(), ErrorCode::TokenRevoked.as_str());
                let because = because_revoked(*everywhere);
                format!("the gateway refuses it with {status} {code}: {because}")
            }
            Self::Unknown => format!("whether the gateway takes it is not known here: {ELSEWHERE}"),
        }
    }
}

const fn because_revoked(everywhere: bool) -> &'static str {
    if everywhere {
        "it was revoked"
    } else {
        "it was revoked; routes that Envoy decides alone take it all the same, because the \
         document has no `revocation`"
    }
}

const ELSEWHERE: &str = "its issuer's keys are fetched from elsewhere";

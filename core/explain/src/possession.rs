//! Whether who shows a token possesses what it is bound to: `ext-authz/src/possession.rs` and
//! `confirm` of `filters/bundle/src/gatekeeper/authenticate.rs`. And whether it was revoked.

use postern_document::{CertificateSource, Dpop, OnFailure};
use postern_jose::dpop::{self, DpopError, DpopRequest};
use postern_jose::xfcc::{self, Element};
use postern_jose::{
    Confirmation, Key, Possession, SignatureVerifier, TokenError, VerifiedToken, VerifyError,
};
use postern_request::headers::{self, HeaderView as _, Single};
use postern_request::{Denial, ErrorCode};

use crate::assume::{Part, Revoked};
use crate::credential::{Token, given_by, span};
use crate::envoy::Incoming;
use crate::request::Shown;
use crate::rule::{Effect, Rule};
use crate::step::{By, Stage, Verdict};
use crate::walk::Walk;

/// How far a client's clock may differ from ours.
const LEEWAY_SECS: u64 = 5;

const FORWARDED_CERTIFICATE: &str = "x-forwarded-client-cert";
const FORWARDED_SCHEME: &str = "x-forwarded-proto";

/// What `ext_authz` has seen of what a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    pub(crate) shown: Possession,
    /// Whether that rests on a proof, which must be shown for the first time.
    pub(crate) by_proof: bool,
}

/// A token bound to a key is no bearer token, and the other way round (RFC 9449 §7).
pub(crate) fn fits_scheme(verified: &VerifiedToken, token: &Token) -> Result<(), Denial> {
    if verified.claims.confirmation.key.is_some() == token.is_dpop {
        Ok(())
    } else {
        Err(Denial::invalid_token("dpop_scheme"))
    }
}

/// The certificate that counts; unusable ones are refused by `ext_authz`, and none to the bundle.
pub(crate) fn certificate(
    source: CertificateSource,
    incoming: &Incoming,
) -> Result<Option<[u8; 32]>, Denial> {
    let unusable = || Denial::invalid_token("certificate_unusable");
    match source {
        CertificateSource::Connection => Ok(incoming.certificate),
        CertificateSource::Forwarded => match incoming.headers.single(FORWARDED_CERTIFICATE) {
            Single::Absent => Ok(None),
            Single::Repeated => Err(unusable()),
            Single::One(header) => {
                let hash = xfcc::certificate_hash(header, Element::Only);
                hash.map(Some).map_err(|_| unusable())
            }
        },
    }
}

impl Walk<'_, '_> {
    /// What a request shows of what its token is bound to, as `ext_authz` looks at it.
    pub(crate) fn confirm_there(
        &mut self,
        incoming: &Incoming,
        given: &Shown,
        token: &Token,
        verified: &VerifiedToken,
    ) -> Result<Seen, Denial> {
        let (given, bound) = (given_by(given, token), verified.claims.confirmation);
        let seen = self.see(incoming, given, token, bound);
        let seen = seen.and_then(|seen| {
            verified.confirm(&seen.shown).map_err(TokenError::to_denial)?;
            Ok(seen)
        });
        match seen {
            Ok(seen) => {
                if bound.is_bound() {
                    let text = format!("shows {}", named(bound));
                    let verdict = granted(given, seen.by_proof);
                    self.push(Stage::Possession, By::ExtAuthz, verdict, Vec::new(), text);
                }
                Ok(seen)
            }
            Err(denial) => {
                let text = format!("does not show {}", named(bound));
                Err(self.deny(Stage::Possession, By::ExtAuthz, denial, Vec::new(), text))
            }
        }
    }

    fn see(
        &mut self,
        incoming: &Incoming,
        given: &Shown,
        token: &Token,
        bound: Confirmation,
    ) -> Result<Seen, Denial> {
        let mut seen = Seen::default();
        if let (Some(_), Some(source)) = (bound.certificate, self.document.bound.certificate) {
            seen.shown.certificate = certificate(source, incoming)?;
        }
        let without_key = Confirmation { key: None, ..bound };
        without_key.check(&seen.shown).map_err(TokenError::to_denial)?;
        if let (Some(key), Some(rules)) = (bound.key, self.document.bound.dpop) {
            let is_given = matches!(given, Shown::Claims(given) if given.with_proof);
            let thumbprint =
                if is_given { key } else { self.check_proof(incoming, token, key, rules)? };
            seen.shown.key = Some(thumbprint);
            seen.by_proof = true;
        }
        Ok(seen)
    }

    /// The thumbprint of the proof's key: `proof` of `ext-authz/src/possession.rs`.
    fn check_proof(
        &mut self,
        incoming: &Incoming,
        token: &Token,
        key: [u8; 32],
        rules: Dpop,
    ) -> Result<[u8; 32], Denial> {
        let proof = match incoming.headers.single(headers::DPOP) {
            Single::Absent => return Err(Denial::invalid_proof("dpop_missing")),
            Single::Repeated => return Err(Denial::invalid_proof("dpop_repeated")),
            Single::One(proof) => proof,
        };
        let proof = core::str::from_utf8(proof)
            .map_err(|_| Denial::invalid_proof(DpopError::Form.reason()))?;
        if !is_authority(&incoming.authority) {
            return Err(Denial::invalid_proof(DpopError::Url.reason()));
        }
        let url = format!("{}://{}{}", scheme(incoming), incoming.authority, incoming.target);
        let request = DpopRequest {
            method: &incoming.method,
            url: &url,
            access_token_hash: Some(dpop::access_token_hash(&token.text)),
            nonces: &[],
            now: self.assume.now,
            max_age_secs: rules.max_age_secs,
            leeway_secs: LEEWAY_SECS,
        };
        let mut verifier =
            OneKey { thumbprint: key, is_other: false, verifier: &mut *self.verifier };
        let verified = dpop::verify(proof, &request, &mut verifier);
        let is_other = verifier.is_other;
        match verified {
            Ok(proof) => Ok(proof.thumbprint),
            Err(error @ DpopError::Unverified(_)) => Err(Denial::unavailable(error.reason(), 1)),
            Err(_) if is_other => Err(Denial::invalid_proof("dpop_other_key")),
            Err(error) => Err(Denial::invalid_proof(error.reason())),
        }
    }

    /// Whether a proof is new: `first_use` of `ext-authz/src/possession.rs`.
    pub(crate) fn first_use(&mut self, seen: Seen) -> Result<(), Denial> {
        if !seen.by_proof {
            return Ok(());
        }
        if self.assume.has_failed(&Part::VolatileStore) {
            let denial = Denial::unavailable("dpop_memory_unavailable", 1);
            let text = "nobody can remember the proof: the volatile store is away";
            return Err(self.deny(Stage::Possession, By::ExtAuthz, denial, Vec::new(), text));
        }
        self.assumed("the DPoP proof is shown for the first time");
        let verdict = Verdict::Assumed("the proof is shown for the first time");
        self.push(Stage::Possession, By::ExtAuthz, verdict, Vec::new(), "a new proof");
        Ok(())
    }

    /// The same as the bundle looks at it: the proof is `ext_authz`'s to have seen.
    pub(crate) fn confirm_here(
        &mut self,
        incoming: &Incoming,
        token: &Token,
        verified: &VerifiedToken,
        proven: Option<[u8; 32]>,
    ) -> Result<(), Denial> {
        let bound = verified.claims.confirmation;
        let confirmed = fits_scheme(verified, token).and_then(|()| {
            if !bound.is_bound() {
                return Ok(());
            }
            let source = bound.certificate.and(self.document.bound.certificate);
            let certificate = source.and_then(|source| certificate(source, incoming).ok()?);
            let possession = Possession { certificate, key: proven };
            verified.confirm(&possession).map_err(TokenError::to_denial)
        });
        match confirmed {
            Ok(()) if bound.is_bound() => {
                let text = format!("shows {}", named(bound));
                self.push(Stage::Possession, By::Bundle, Verdict::Passed, Vec::new(), text);
                Ok(())
            }
            Ok(()) => Ok(()),
            Err(denial) => {
                let text = format!("does not show {}", named(bound));
                Err(self.deny(Stage::Possession, By::Bundle, denial, Vec::new(), text))
            }
        }
    }

    /// Whether the token was revoked. The server goes by its store, the bundle by the feed, and
    /// by that only where the document has `revocation`.
    pub(crate) fn check_revoked(&mut self, by: By, verified: &VerifiedToken) -> Result<(), Denial> {
        let rules = self.document.revocation;
        if by == By::Bundle && rules.is_none() {
            return Ok(());
        }
        let is_stale = by == By::Bundle && self.assume.has_failed(&Part::Feed);
        match self.assume.revoked {
            // What is known to be revoked stays so, however long nothing has been heard.
            Revoked::Yes => {
                let denial = Denial::new(ErrorCode::TokenRevoked, "token_revoked");
                let text = "the token was revoked";
                return Err(self.deny(Stage::Revocation, by, denial, Vec::new(), text));
            }
            Revoked::No if !is_stale => {
                self.assumed("the token was not revoked");
                let text = match verified.claims.issued_at {
                    Some(at) => {
                        let ago = self.assume.now.as_secs().saturating_sub(at);
                        format!("not revoked since it was issued, {} ago", span(ago))
                    }
                    None => "not revoked".to_owned(),
                };
                let verdict = Verdict::Assumed("it was not revoked");
                self.push(Stage::Revocation, by, verdict, Vec::new(), text);
                return Ok(());
            }
            Revoked::No | Revoked::Unknown => {}
        }
        let Some(rules) = rules else {
            let text = "nobody knows, and the document asks for no news of it";
            self.push(Stage::Revocation, by, Verdict::Passed, Vec::new(), text);
            return Ok(());
        };
        let chosen = vec![Rule::new("revocation.when_stale".to_owned(), Effect::Failed)];
        match rules.when_stale {
            OnFailure::Allow => {
                let text = "what is known of revocations is too old: `when_stale` is `allow`";
                self.push(Stage::Revocation, by, Verdict::Passed, chosen, text);
                Ok(())
            }
            OnFailure::Deny => {
                let denial = Denial::unavailable("revocation_stale", 1);
                let text = "what is known of revocations is too old: `when_stale` is `deny`";
                Err(self.deny(Stage::Revocation, by, denial, chosen, text))
            }
        }
    }
}

fn granted(given: &Shown, by_proof: bool) -> Verdict {
    match given {
        Shown::Claims(given) if by_proof && given.with_proof => {
            Verdict::Assumed("its proof counts as good")
        }
        _ => Verdict::Passed,
    }
}

fn named(bound: Confirmation) -> &'static str {
    match (bound.certificate, bound.key) {
        (Some(_), Some(_)) => "the certificate and the key that the token is bound to",
        (Some(_), None) => "the certificate that the token is bound to",
        (None, Some(_)) => "the key that the token is bound to",
        (None, None) => "anything: the token is bound to nothing, and was sent as if it were",
    }
}

/// The scheme as the client knows it.
fn scheme(incoming: &Incoming) -> &str {
    let forwarded = incoming.headers.single(FORWARDED_SCHEME).one();
    let forwarded = forwarded.and_then(|value| core::str::from_utf8(value).ok());
    let is_scheme = |value: &&str| ["http", "https"].iter().any(|s| value.eq_ignore_ascii_case(s));
    forwarded.filter(is_scheme).unwrap_or(&incoming.scheme)
}

/// Whether a URL that begins with it ends its authority where this does.
fn is_authority(text: &str) -> bool {
    let ends_it = |found: char| {
        matches!(found, '/' | '?' | '#' | '\\' | '@') || found.is_whitespace() || found.is_control()
    };
    !text.is_empty() && !text.contains(ends_it)
}

/// Shows no signature by another key to the verifier.
struct OneKey<'v> {
    thumbprint: [u8; 32],
    is_other: bool,
    verifier: &'v mut dyn SignatureVerifier,
}

impl SignatureVerifier for OneKey<'_> {
    fn verify(&mut self, key: &Key, input: &[u8], signature: &[u8]) -> Result<bool, VerifyError> {
        self.is_other = key.thumbprint() != self.thumbprint;
        if self.is_other {
            return Ok(false);
        }
        self.verifier.verify(key, input, signature)
    }
}

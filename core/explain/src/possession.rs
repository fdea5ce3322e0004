//! Whether who shows a token possesses what it is bound to: `confirm` of
//! `ext-authz/src/tokens.rs` and of `filters/bundle/src/gatekeeper/authenticate.rs`. And whether
//! it was revoked.

use postern_document::{CertificateSource, Dpop, OnFailure};
use postern_jose::dpop::ProvenRequest;
use postern_jose::{Confirmation, Possession, TokenError, VerifiedToken, xfcc};
use postern_request::{Denial, ErrorCode, HeaderView as _, ShownToken};

use crate::assume::{Part, Revoked};
use crate::credential::{given_by, span};
use crate::envoy::Incoming;
use crate::request::Shown;
use crate::rule::{Effect, Rule};
use crate::step::{By, Stage, Verdict};
use crate::walk::Walk;

/// What `ext_authz` has seen of what a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    pub(crate) shown: Possession,
    /// Whether that rests on a proof, which must be shown for the first time.
    pub(crate) by_proof: bool,
}

/// The certificate that counts; unusable ones are refused by `ext_authz`, and none to the bundle.
pub(crate) fn certificate(
    source: CertificateSource,
    incoming: &Incoming,
) -> Result<Option<[u8; 32]>, Denial> {
    match source {
        CertificateSource::Connection => Ok(incoming.certificate),
        CertificateSource::Forwarded => {
            xfcc::forwarded(incoming.headers.single(xfcc::HEADER)).map_err(|_| xfcc::unusable())
        }
    }
}

impl Walk<'_, '_> {
    /// What a request shows of what its token is bound to, as `ext_authz` looks at it.
    pub(crate) fn confirm_there(
        &mut self,
        incoming: &Incoming,
        given: &Shown,
        token: &ShownToken<'_>,
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
        token: &ShownToken<'_>,
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

    /// The thumbprint of the proof's key.
    fn check_proof(
        &mut self,
        incoming: &Incoming,
        token: &ShownToken<'_>,
        key: [u8; 32],
        rules: Dpop,
    ) -> Result<[u8; 32], Denial> {
        let request = ProvenRequest {
            method: &incoming.method,
            scheme: &incoming.scheme,
            authority: &incoming.authority,
            target: &incoming.target,
            headers: &incoming.headers,
        };
        let now = self.assume.now;
        let proof = request.proof(&token.text, key, rules.max_age_secs, &mut *self.verifier, now);
        proof.map(|proof| proof.thumbprint)
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
        token: &ShownToken<'_>,
        verified: &VerifiedToken,
        proven: Option<[u8; 32]>,
    ) -> Result<(), Denial> {
        let bound = verified.claims.confirmation;
        let confirmed = bound.check_scheme(token.with_proof).and_then(|()| {
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
        let listed = self.assume.revocations.map(|list| list.has_token(verified));
        let revoked = if listed == Some(true) { Revoked::Yes } else { self.assume.revoked };
        match revoked {
            // What is known to be revoked stays so, however long nothing has been heard.
            Revoked::Yes => {
                let denial = Denial::new(ErrorCode::TokenRevoked, "token_revoked");
                let text = "the token was revoked";
                return Err(self.deny(Stage::Revocation, by, denial, Vec::new(), text));
            }
            Revoked::No if !is_stale && listed.is_some() => {
                let text = "looked up: not revoked";
                self.push(Stage::Revocation, by, Verdict::Passed, Vec::new(), text);
                return Ok(());
            }
            Revoked::No if !is_stale => {
                self.assumed("the token was not revoked");
                let text = match verified.claims.issued_at {
                    Some(at) => {
                        let ago = self.assume.now.as_secs().saturating_sub(at);
                        let ago = span(ago);
                        format!(
                            "not looked up: taken for not revoked since it was issued, {ago} ago"
                        )
                    }
                    None => "not looked up: taken for not revoked".to_owned(),
                };
                let verdict = Verdict::Assumed("it was not revoked");
                self.push(Stage::Revocation, by, verdict, Vec::new(), text);
                return Ok(());
            }
            Revoked::No | Revoked::Unknown => {}
        }
        self.nobody_knows_of_revocations(by)
    }

    /// What holds of credentials while nobody knows what was revoked.
    pub(crate) fn nobody_knows_of_revocations(&mut self, by: By) -> Result<(), Denial> {
        let Some(rules) = self.document.revocation else {
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

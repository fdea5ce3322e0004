//! The caller by a token: verified, not revoked, one that the route takes, and shown by whoever
//! it belongs to.

use std::cell::Cell;

use postern_document::{Auth, Document};
use postern_jose::{AuthenticationFacts, Confirmation, Possession, TokenError, VerifiedToken};
use postern_request::tokens::{self, WholeRequest};
use postern_request::{Denial, ShownToken, UnixMillis};

use crate::authorizer::{Authorizer, Identified, Incoming};
use crate::documents::Judged;
use crate::keys::Verifier;
use crate::possession::{self, Proven};
use crate::step_up::Authenticated;

impl Incoming {
    /// The token in the first of the document's places that holds anything.
    pub(crate) fn token(&self, document: &Document) -> Result<Option<ShownToken<'_>>, Denial> {
        let request = WholeRequest { target: &self.target, headers: &self.headers };
        tokens::find(&document.token_places, &request, document.bound.dpop.is_some())
    }
}

impl Authorizer {
    /// What costs little is judged first; a proof only where everything else holds. Whether it
    /// was shown before is not judged yet.
    pub(crate) fn by_token(
        &self,
        judged: &Judged,
        auth: &Auth,
        request: &Incoming,
        token: &ShownToken<'_>,
        now: UnixMillis,
    ) -> Result<Identified, Denial> {
        let document = &*judged.document;
        let verified = self.verify(judged, &token.text, now)?;
        verified.claims.confirmation.check_scheme(token.with_proof)?;
        self.parts.revoked.check(document, &verified, now)?;
        if let Some(rules) = auth.token() {
            rules.check(&verified)?;
        }
        let (shown, proven) = self.confirm(document, request, &token.text, &verified, now)?;
        // Read again only where it matters: few routes ask.
        let authenticated =
            auth.mfa().map(|_| authentication(document, &token.text, token.with_proof, &verified));
        Ok(Identified {
            principal: Some(verified.claims.principal),
            shown,
            proven,
            authenticated,
            ..Identified::default()
        })
    }

    fn verify(
        &self,
        judged: &Judged,
        token: &[u8],
        now: UnixMillis,
    ) -> Result<VerifiedToken, Denial> {
        let document = &*judged.document;
        let token = core::str::from_utf8(token).map_err(|_| TokenError::Form.to_denial())?;
        let keys = judged.keys.snapshot();
        let asked = Cell::new(None);
        let keys_of = |issuer: usize| {
            asked.set(Some(issuer));
            keys.get(issuer).and_then(|keys| keys.as_deref())
        };
        let mut verifier = Verifier(&self.parts.check_signature);
        let issuers = &document.issuers;
        let verified = if document.bound.are_taken() {
            postern_jose::verify_bound(token, issuers, keys_of, &mut verifier, now)
        } else {
            postern_jose::verify(token, issuers, keys_of, &mut verifier, now)
        };
        verified.map_err(|error| {
            if let (TokenError::Key, Some(issuer)) = (error, asked.get()) {
                judged.keys.unknown_key(issuer);
            }
            error.to_denial()
        })
    }

    /// What the request shows of what its token is bound to, which must be all of it; and the
    /// proof among that. What does not hold is not worth remembering.
    fn confirm(
        &self,
        document: &Document,
        request: &Incoming,
        token: &[u8],
        verified: &VerifiedToken,
        now: UnixMillis,
    ) -> Result<(Possession, Option<Proven>), Denial> {
        let bound = verified.claims.confirmation;
        let mut shown = Possession::default();
        if let (Some(_), Some(source)) = (bound.certificate, document.bound.certificate) {
            shown.certificate = possession::certificate(source, request)?;
        }
        let without_key = Confirmation { key: None, ..bound };
        without_key.check(&shown).map_err(TokenError::to_denial)?;
        let mut proven = None;
        if let (Some(key), Some(rules)) = (bound.key, document.bound.dpop) {
            let check = &self.parts.check_proof_signature;
            let proof = possession::proof(request, token, key, rules, check, now)?;
            shown.key = Some(proof.thumbprint);
            proven = Some(Proven { proof, rules });
        }
        verified.confirm(&shown).map_err(TokenError::to_denial)?;
        Ok((shown, proven))
    }
}

/// How the subject of a verified token has authenticated, as its issuer says.
fn authentication(
    document: &Document,
    token: &[u8],
    with_proof: bool,
    verified: &VerifiedToken,
) -> Authenticated {
    let facts = AuthenticationFacts::of(core::str::from_utf8(token).unwrap_or_default());
    let is_own = document.issuer.as_deref() == Some(verified.claims.issuer());
    Authenticated {
        several_factors: facts.several_factors(is_own),
        at: facts.auth_time,
        with_proof,
        changed: false,
    }
}

//! Who calls: peer, evidence, token, proof, revocation, and what the route asks of them.

use std::rc::Rc;

use postern_document::{Auth, CertificateSource, OnFailure, Route};
use postern_filter_host::{HostVerifier, RequestHost};
use postern_filter_jwt_auth::{Caller, Source};
use postern_jose::{Possession, TokenError, VerifiedToken, xfcc};
use postern_request::evidence::{self, Evidence};
use postern_request::principal::Credential;
use postern_request::tokens::Carrier as _;
use postern_request::{Denial, ErrorCode, ShownToken, UnixMillis, tokens};

use super::{Gatekeeper, Identified, Known};
use crate::counters::Count;
use crate::request::RequestHeaders;
use crate::revocation::{self, Standing};
use crate::stages::STAGES;

/// Envoy's attribute for the certificate of its own connection: SHA-256 in hexadecimal.
const PEER_CERTIFICATE: [&str; 2] = ["connection", "sha256_peer_certificate_digest"];
/// Envoy's attribute for the first URI in that certificate: in a mesh, who is at the other end.
pub(super) const PEER_ID: [&str; 2] = ["connection", "uri_san_peer_certificate"];

impl Gatekeeper {
    /// Who calls, and whether the route takes them.
    pub(super) fn identify(
        &mut self,
        host: &impl RequestHost,
        request: &RequestHeaders<'_>,
        route: &Route,
        now: UnixMillis,
    ) -> Result<Identified, Denial> {
        if !STAGES.tokens {
            return Ok(Identified::NOBODY);
        }
        check_peer(host, route)?;
        let evidence = self.evidence(host, route)?;
        // Only the server can say so, whatever `failures.ext_authz` says while it is away.
        if route.auth.mfa().is_some() && !evidence.as_ref().is_some_and(|known| known.stepped_up) {
            return Err(evidence_missing());
        }
        let exact = evidence.as_ref().and_then(|evidence| evidence.limit);
        let known = self.authenticate(host, request, &route.auth, evidence, now)?;
        if let (Known::Token(caller), Some(rules)) = (&known, route.auth.token()) {
            rules.check(caller.token())?;
        }
        route.auth.authorize(known.principal())?;
        Ok(Identified { known, exact })
    }

    /// What `ext_authz` said, where the route needs it. None, or one for another route or
    /// document, means that it was bypassed or saw another request than we do: deny.
    fn evidence(
        &mut self,
        host: &impl RequestHost,
        route: &Route,
    ) -> Result<Option<Evidence>, Denial> {
        if !route.needs_ext_authz() {
            return Ok(None);
        }
        let place =
            ["metadata", "filter_metadata", evidence::METADATA_NAMESPACE, evidence::METADATA_KEY];
        let found = host.property(&place).as_deref().and_then(Evidence::decode);
        match found {
            Some(evidence)
                if evidence.route == route.name && evidence.document == self.document.digest =>
            {
                Ok(Some(evidence))
            }
            None if self.document.failures.ext_authz == OnFailure::Allow => Ok(None),
            _ => {
                self.counters.add(Count::EvidenceMissing, 1);
                Err(evidence_missing())
            }
        }
    }

    /// The caller: from the token where the route takes tokens and one is there (verified here,
    /// whatever others said), else from the evidence.
    fn authenticate(
        &mut self,
        host: &impl RequestHost,
        request: &RequestHeaders<'_>,
        auth: &Auth,
        evidence: Option<Evidence>,
        now: UnixMillis,
    ) -> Result<Known, Denial> {
        if auth.accepts(Credential::Jwt) {
            let accepts_dpop = self.document.bound.dpop.is_some();
            let shown = tokens::find(&self.document.token_places, request, accepts_dpop)?;
            if let Some(shown) = shown {
                let caller = self.verify(host, request, &shown, evidence.as_ref(), now)?;
                return Ok(Known::Token(caller));
            }
        }
        if *auth == Auth::None {
            return Ok(Known::Nobody);
        }
        // For a token nobody vouches: where there is none to see, none was shown.
        let vouched = evidence.and_then(|evidence| evidence.principal);
        let vouched = vouched.filter(|principal| principal.credential != Credential::Jwt);
        Ok(vouched.map_or(Known::Nobody, |principal| Known::Evidence(Box::new(principal))))
    }

    fn verify(
        &mut self,
        host: &impl RequestHost,
        request: &RequestHeaders<'_>,
        shown: &ShownToken<'_>,
        evidence: Option<&Evidence>,
        now: UnixMillis,
    ) -> Result<Rc<Caller>, Denial> {
        let mut verifier =
            HostVerifier { host, support: self.support, budget: &mut self.budget, now };
        let (caller, source) = match self.jwt.authenticate(&shown.text, &mut verifier, now) {
            Ok(verified) => verified,
            Err(refused) => {
                if let Some(issuer) = refused.lacks_key_of {
                    self.want_keys(host, issuer, now);
                }
                return Err(refused.denial);
            }
        };
        self.counters.add(
            match source {
                Source::Cache => Count::TokensCached,
                Source::Signature => Count::TokensVerified,
            },
            1,
        );
        self.confirm(host, request, caller.token(), shown.with_proof, evidence)?;
        self.check_revocation(host, &caller, now)?;
        Ok(caller)
    }

    /// Whether who shows a token may. What a request has proven counts for this request alone.
    fn confirm(
        &self,
        host: &impl RequestHost,
        request: &RequestHeaders<'_>,
        token: &VerifiedToken,
        with_proof: bool,
        evidence: Option<&Evidence>,
    ) -> Result<(), Denial> {
        let bound = token.claims.confirmation;
        bound.check_scheme(with_proof)?;
        if !bound.is_bound() {
            return Ok(());
        }
        let possession = Possession {
            certificate: bound.certificate.and_then(|_| self.client_certificate(host, request)),
            // The proof was checked, and is remembered, by `ext_authz`.
            key: evidence.and_then(|evidence| evidence.shown_key),
        };
        token.confirm(&possession).map_err(TokenError::to_denial)
    }

    /// SHA-256 of the client's certificate, from where the document trusts it.
    fn client_certificate(
        &self,
        host: &impl RequestHost,
        request: &RequestHeaders<'_>,
    ) -> Option<[u8; 32]> {
        match self.document.bound.certificate? {
            CertificateSource::Connection => {
                xfcc::sha256_from_hex(&host.property(&PEER_CERTIFICATE)?)
            }
            CertificateSource::Forwarded => xfcc::forwarded(request.single(xfcc::HEADER)).ok()?,
        }
    }

    /// Refuses a caller whose token was revoked.
    fn check_revocation(
        &mut self,
        host: &impl RequestHost,
        caller: &Caller,
        now: UnixMillis,
    ) -> Result<(), Denial> {
        let Some(link) = &mut self.feed else { return Ok(()) };
        link.feed.serves();
        let Some(rules) = self.document.revocation else { return Ok(()) };
        match revocation::judge(&link.feed, rules.when_stale, caller, host, now) {
            Ok(Standing::Good) => Ok(()),
            Ok(Standing::Unknown) => {
                self.counters.add(Count::RevocationUnknown, 1);
                Ok(())
            }
            Err(denial) => {
                if denial.code == ErrorCode::TokenRevoked {
                    self.counters.add(Count::Revoked, 1);
                }
                Err(denial)
            }
        }
    }

    /// A token has named a key that an issuer's set does not have.
    fn want_keys(&mut self, host: &impl RequestHost, issuer: usize, now: UnixMillis) {
        let by_feed = self.feed.as_ref().is_some_and(|link| link.want_keys(host, issuer));
        if !by_feed {
            self.fetcher.want(issuer, now);
        }
    }

    /// Takes over the keys that came by the feed.
    pub(super) fn take_keys(&mut self, host: &impl RequestHost) {
        let Some(link) = &mut self.feed else { return };
        for (issuer, keys) in link.take_keys(host) {
            match keys {
                Some(keys) => self.jwt.set_keys(issuer, keys),
                None => self.counters.add(Count::KeyFetchFailures, 1),
            }
        }
    }
}

fn evidence_missing() -> Denial {
    Denial::unavailable("evidence_missing", 1)
}

/// Whether the connection is of a peer that the route takes requests from; the host is asked only
/// where that matters.
fn check_peer(host: &impl RequestHost, route: &Route) -> Result<(), Denial> {
    if route.peers.is_empty() {
        return Ok(());
    }
    let id = host.property(&PEER_ID);
    route.check_peer(id.as_deref().and_then(|id| core::str::from_utf8(id).ok()).unwrap_or_default())
}

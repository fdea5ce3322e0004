//! What a request shows of what its token is bound to: the client's certificate (RFC 8705), or a
//! proof by the client's key (DPoP, RFC 9449 §7).

use postern_document::{CertificateSource, Dpop, StoreFailure};
use postern_jose::dpop::{LEEWAY_SECS, Proof, ProvenRequest};
use postern_jose::xfcc;
use postern_request::{Denial, HeaderView as _, UnixMillis};
use postern_store::volatile::{ReplayKey, VolatileStore};

use crate::authorizer::Incoming;
use crate::certificate;
use crate::keys::{CheckSignature, Verifier};
use crate::metrics::Metrics;

/// How much longer a proof is remembered than one clock would let it pass: its times are in
/// whole seconds, and replicas' clocks differ.
const MARGIN_SECS: u64 = 5;

/// SHA-256 of the client's certificate; none where it has shown none.
pub(crate) fn certificate(
    source: CertificateSource,
    request: &Incoming,
) -> Result<Option<[u8; 32]>, Denial> {
    match source {
        CertificateSource::Connection => {
            let shown = request.certificate.as_deref();
            shown.map(|shown| certificate::hash(shown).ok_or_else(xfcc::unusable)).transpose()
        }
        CertificateSource::Forwarded => {
            xfcc::forwarded(request.headers.single(xfcc::HEADER)).map_err(|_| xfcc::unusable())
        }
    }
}

/// The request's proof by `key`, the one that its token is bound to.
pub(crate) fn proof(
    request: &Incoming,
    token: &[u8],
    key: [u8; 32],
    rules: Dpop,
    check: &CheckSignature,
    now: UnixMillis,
) -> Result<Proof, Denial> {
    let request = ProvenRequest {
        method: &request.method,
        scheme: &request.scheme,
        authority: &request.authority,
        target: &request.target,
        headers: &request.headers,
    };
    request.proof(token, key, rules.max_age_secs, &mut Verifier(check), now)
}

/// A proof that holds, and what it was judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proven {
    pub(crate) proof: Proof,
    pub(crate) rules: Dpop,
}

impl Proven {
    /// Remembers the proof until it is too old to pass (RFC 9449 §11.1). Where that cannot be,
    /// nobody knows whether it was stolen: it is refused.
    pub(crate) async fn first_use(
        &self,
        store: &dyn VolatileStore,
        metrics: &Metrics,
        now: UnixMillis,
    ) -> Result<(), Denial> {
        let key = ReplayKey(self.proof.jti_hash);
        match store.remember_once(key, keep_ms(self.rules), now).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Denial::invalid_proof("dpop_replayed")),
            Err(error) => {
                tracing::debug!(%error, "a proof cannot be remembered");
                metrics.store_failed(StoreFailure::Deny.as_str());
                Err(Denial::unavailable("dpop_memory_unavailable", 1))
            }
        }
    }
}

/// From `LEEWAY_SECS` before `iat`, when a proof can be seen first, until that much after its
/// greatest age.
const fn keep_ms(rules: Dpop) -> u64 {
    rules.max_age_secs.saturating_add(2 * LEEWAY_SECS + MARGIN_SECS).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_remembered_for_longer_than_it_can_pass() {
        assert_eq!(keep_ms(Dpop { max_age_secs: 60 }), 75_000);
        assert_eq!(keep_ms(Dpop { max_age_secs: u64::MAX }), u64::MAX);
    }
}

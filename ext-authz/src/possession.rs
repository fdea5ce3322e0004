//! What a request shows of what its token is bound to: the client's certificate (RFC 8705), or a
//! proof by the client's key (DPoP, RFC 9449 §7).

use postern_document::{CertificateSource, Dpop, StoreFailure};
use postern_jose::dpop::{self, DpopError, DpopRequest, Proof};
use postern_jose::xfcc::{self, Element};
use postern_jose::{Key, SignatureVerifier, VerifyError};
use postern_request::headers::{self, HeaderView as _, Single};
use postern_request::{Denial, UnixMillis};
use postern_store::volatile::{ReplayKey, VolatileStore};

use crate::authorizer::Incoming;
use crate::certificate;
use crate::keys::{CheckSignature, Verifier};
use crate::metrics::Metrics;

/// How far a client's clock may differ from ours.
const LEEWAY_SECS: u64 = 5;
/// How much longer a proof is remembered than one clock would let it pass: its times are in
/// whole seconds, and replicas' clocks differ.
const MARGIN_SECS: u64 = 5;

const FORWARDED_CERTIFICATE: &str = "x-forwarded-client-cert";
const FORWARDED_SCHEME: &str = "x-forwarded-proto";

/// SHA-256 of the client's certificate; none where it has shown none.
pub(crate) fn certificate(
    source: CertificateSource,
    request: &Incoming,
) -> Result<Option<[u8; 32]>, Denial> {
    let unusable = || Denial::invalid_token("certificate_unusable");
    match source {
        CertificateSource::Connection => {
            let shown = request.certificate.as_deref();
            shown.map(|shown| certificate::hash(shown).ok_or_else(unusable)).transpose()
        }
        CertificateSource::Forwarded => match request.headers.single(FORWARDED_CERTIFICATE) {
            Single::Absent => Ok(None),
            Single::Repeated => Err(unusable()),
            // Envoy writes names of a certificate without quotes: a comma in one begins what looks
            // like another element. The trusted proxy replaces the header, so there is but one.
            Single::One(header) => {
                let hash = xfcc::certificate_hash(header, Element::Only);
                hash.map(Some).map_err(|_| unusable())
            }
        },
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
    let proof = match request.headers.single(headers::DPOP) {
        Single::Absent => return Err(Denial::invalid_proof("dpop_missing")),
        Single::Repeated => return Err(Denial::invalid_proof("dpop_repeated")),
        Single::One(proof) => proof,
    };
    let proof =
        core::str::from_utf8(proof).map_err(|_| Denial::invalid_proof(DpopError::Form.reason()))?;
    if !is_authority(&request.authority) {
        return Err(Denial::invalid_proof(DpopError::Url.reason()));
    }
    let url = format!("{}://{}{}", scheme(request), request.authority, request.target);
    let request = DpopRequest {
        method: &request.method,
        url: &url,
        access_token_hash: Some(dpop::access_token_hash(token)),
        nonces: &[],
        now,
        max_age_secs: rules.max_age_secs,
        leeway_secs: LEEWAY_SECS,
    };
    let mut verifier = OneKey { thumbprint: key, is_other: false, verifier: Verifier(check) };
    dpop::verify(proof, &request, &mut verifier).map_err(|error| match error {
        DpopError::Unverified(_) => Denial::unavailable(error.reason(), 1),
        _ if verifier.is_other => Denial::invalid_proof("dpop_other_key"),
        _ => Denial::invalid_proof(error.reason()),
    })
}

/// The scheme as the client knows it. Envoy writes `x-forwarded-proto` itself, from the
/// connection, unless it trusts a proxy before it to have written what the client's was;
/// `:scheme` is, under HTTP/2, whatever the last hop said.
fn scheme(request: &Incoming) -> &str {
    let forwarded = request.headers.single(FORWARDED_SCHEME).one();
    let forwarded = forwarded.and_then(|value| core::str::from_utf8(value).ok());
    let is_scheme = |value: &&str| ["http", "https"].iter().any(|s| value.eq_ignore_ascii_case(s));
    forwarded.filter(is_scheme).unwrap_or(&request.scheme)
}

/// Whether a URL that begins with it ends its authority where this does. Envoy lets through what
/// would turn the rest into another path, or itself into a user's name.
fn is_authority(text: &str) -> bool {
    let ends_it = |found: char| {
        matches!(found, '/' | '?' | '#' | '\\' | '@') || found.is_whitespace() || found.is_control()
    };
    !text.is_empty() && !text.contains(ends_it)
}

/// Shows no signature by another key to the verifier: whose key it is costs less to find out,
/// and of their own keys clients can choose those that cost most.
struct OneKey<'a> {
    thumbprint: [u8; 32],
    is_other: bool,
    verifier: Verifier<'a>,
}

impl SignatureVerifier for OneKey<'_> {
    fn verify(
        &mut self,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        self.is_other = key.thumbprint() != self.thumbprint;
        if self.is_other {
            return Ok(false);
        }
        self.verifier.verify(key, signing_input, signature)
    }
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
    use crate::tests::request;

    #[test]
    fn the_scheme_is_the_clients() {
        let cases: &[(&[&str], &str)] = &[
            (&[], "http"),
            (&["https"], "https"),
            (&["HTTPS"], "HTTPS"),
            (&["https", "https"], "http"),
            (&["wss"], "http"),
            (&["https, http"], "http"),
            (&[""], "http"),
        ];
        for (forwarded, expected) in cases {
            let headers: Vec<_> =
                forwarded.iter().map(|value| (FORWARDED_SCHEME, *value)).collect();
            let request = Incoming { scheme: "http".to_owned(), ..request("GET", "/", &headers) };
            assert_eq!(scheme(&request), *expected, "{forwarded:?}");
        }
    }

    #[test]
    fn an_authority_is_nothing_but_that() {
        for good in ["a.test", "A.test:443", "[::1]:80", "10.0.0.1"] {
            assert!(is_authority(good), "{good}");
        }
        for bad in
            ["", "a.test/pay", "a?b", "a#b", "a\\b", "u@a.test", "a b", "a\tb", "a\u{a0}b", "a\0"]
        {
            assert!(!is_authority(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_proof_is_remembered_for_longer_than_it_can_pass() {
        assert_eq!(keep_ms(Dpop { max_age_secs: 60 }), 75_000);
        assert_eq!(keep_ms(Dpop { max_age_secs: u64::MAX }), u64::MAX);
    }
}

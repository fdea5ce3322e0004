//! The proof in a request whose token is bound to a key.

use postern_request::headers::{self, HeaderView, Single};
use postern_request::{Denial, UnixMillis};

use super::{DpopError, DpopRequest, Proof, access_token_hash, verify};
use crate::{Key, SignatureVerifier, VerifyError};

/// How far a client's clock may differ from ours.
pub const LEEWAY_SECS: u64 = 5;

const FORWARDED_SCHEME: &str = "x-forwarded-proto";

/// A request as Envoy tells it to the server.
#[derive(Clone, Copy)]
pub struct ProvenRequest<'a> {
    /// Method.
    pub method: &'a str,
    /// `:scheme`, which under HTTP/2 is what the last hop says.
    pub scheme: &'a str,
    /// Host, port included.
    pub authority: &'a str,
    /// Path with query.
    pub target: &'a str,
    /// All headers.
    pub headers: &'a dyn HeaderView,
}

impl ProvenRequest<'_> {
    /// The request's proof by `key`, the one that its token is bound to. Whether it was shown
    /// before is not judged.
    ///
    /// # Errors
    /// The refusal: the proof's own fault, but for a signature that could not be checked.
    pub fn proof(
        &self,
        token: &[u8],
        key: [u8; 32],
        max_age_secs: u64,
        verifier: &mut dyn SignatureVerifier,
        now: UnixMillis,
    ) -> Result<Proof, Denial> {
        let proof = match self.headers.single(headers::DPOP) {
            Single::Absent => return Err(Denial::invalid_proof("dpop_missing")),
            Single::Repeated => return Err(Denial::invalid_proof("dpop_repeated")),
            Single::One(proof) => proof,
        };
        let proof = core::str::from_utf8(proof)
            .map_err(|_| Denial::invalid_proof(DpopError::Form.reason()))?;
        if !is_authority(self.authority) {
            return Err(Denial::invalid_proof(DpopError::Url.reason()));
        }
        let url = format!("{}://{}{}", self.scheme(), self.authority, self.target);
        let request = DpopRequest {
            method: self.method,
            url: &url,
            access_token_hash: Some(access_token_hash(token)),
            nonces: &[],
            now,
            max_age_secs,
            leeway_secs: LEEWAY_SECS,
        };
        let mut verifier = OneKey { thumbprint: key, is_other: false, verifier };
        verify(proof, &request, &mut verifier).map_err(|error| match error {
            DpopError::Unverified(_) => Denial::unavailable(error.reason(), 1),
            _ if verifier.is_other => Denial::invalid_proof("dpop_other_key"),
            _ => Denial::invalid_proof(error.reason()),
        })
    }

    /// The scheme as the client knows it. Envoy writes `x-forwarded-proto` itself, from the
    /// connection, unless it trusts a proxy before it to have written what the client's was;
    /// `:scheme` is, under HTTP/2, whatever the last hop said.
    fn scheme(&self) -> &str {
        let forwarded = self.headers.single(FORWARDED_SCHEME).one();
        let forwarded = forwarded.and_then(|value| core::str::from_utf8(value).ok());
        let is_scheme =
            |value: &&str| ["http", "https"].iter().any(|s| value.eq_ignore_ascii_case(s));
        forwarded.filter(is_scheme).unwrap_or(self.scheme)
    }
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
struct OneKey<'v> {
    thumbprint: [u8; 32],
    is_other: bool,
    verifier: &'v mut dyn SignatureVerifier,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64url;

    type Headers = Vec<(String, Vec<u8>)>;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_500);
    const TOKEN: &[u8] = b"a.bound.token";
    const JWK: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    /// RFC 8037 §A.3.
    const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    /// Says the same of every signature, and counts them.
    struct Says(Result<bool, VerifyError>, u32);

    impl SignatureVerifier for Says {
        fn verify(&mut self, _: &Key, _: &[u8], _: &[u8]) -> Result<bool, VerifyError> {
            self.1 += 1;
            self.0
        }
    }

    fn key() -> [u8; 32] {
        base64url::decode(THUMBPRINT).unwrap().try_into().unwrap()
    }

    fn proof_for(url: &str) -> String {
        let hash = base64url::encode(&access_token_hash(TOKEN));
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{JWK}}}"#);
        let payload = format!(
            r#"{{"jti":"j","htm":"GET","htu":"{url}","iat":{},"ath":"{hash}"}}"#,
            NOW.as_secs()
        );
        let parts = [header.as_bytes(), payload.as_bytes(), &[0; 64]];
        parts.map(base64url::encode).join(".")
    }

    fn headers_of(sent: &[(&str, &str)]) -> Headers {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        sent.iter().map(owned).collect()
    }

    fn request<'a>(authority: &'a str, headers: &'a Headers) -> ProvenRequest<'a> {
        ProvenRequest { method: "GET", scheme: "http", authority, target: "/a?b", headers }
    }

    /// What becomes of a request with these headers, and how many signatures were checked.
    fn asked(
        authority: &str,
        sent: &[(&str, &str)],
        mut verifier: Says,
        key: [u8; 32],
    ) -> (String, u32) {
        let headers = headers_of(sent);
        let proof = request(authority, &headers).proof(TOKEN, key, 60, &mut verifier, NOW);
        let outcome = match proof {
            Ok(proof) => base64url::encode(&proof.thumbprint),
            Err(denial) => denial.reason.to_owned(),
        };
        (outcome, verifier.1)
    }

    #[test]
    fn one_proof_by_the_key_that_the_token_names() {
        let good = proof_for("http://a.test/a");
        let other = proof_for("http://b.test/a");
        let once = [("dpop", good.as_str())];
        for (sent, says, expected) in [
            (&once[..], Ok(true), (THUMBPRINT, 1)),
            (&once, Ok(false), ("dpop_signature", 1)),
            (&once, Err(VerifyError::Budget), ("dpop_unverified", 1)),
            (&[], Ok(true), ("dpop_missing", 0)),
            (&[once[0], once[0]], Ok(true), ("dpop_repeated", 0)),
            (&[("dpop", "x")], Ok(true), ("dpop_form", 0)),
            (&[("dpop", other.as_str())], Ok(true), ("dpop_url", 0)),
        ] {
            let (outcome, checks) = asked("a.test", sent, Says(says, 0), key());
            assert_eq!((outcome.as_str(), checks), expected, "{sent:?}");
        }
        let by_other = asked("a.test", &once, Says(Ok(true), 0), [7; 32]);
        assert_eq!(by_other, ("dpop_other_key".to_owned(), 0), "seen without a check");
    }

    #[test]
    fn a_proof_is_for_the_address_as_the_client_knows_it() {
        let secure = proof_for("https://a.test/a");
        for (forwarded, expected) in [("https", THUMBPRINT), ("http", "dpop_url")] {
            let sent = [("dpop", secure.as_str()), ("x-forwarded-proto", forwarded)];
            assert_eq!(asked("a.test", &sent, Says(Ok(true), 0), key()).0, expected);
        }
        let odd = proof_for("http://a.test/a");
        let sent = [("dpop", odd.as_str())];
        assert_eq!(asked("u@a.test", &sent, Says(Ok(true), 0), key()).0, "dpop_url");
    }

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
            let sent: Vec<_> = forwarded.iter().map(|value| (FORWARDED_SCHEME, *value)).collect();
            let headers = headers_of(&sent);
            assert_eq!(request("a.test", &headers).scheme(), *expected, "{forwarded:?}");
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
}

//! Signature checks by the host, and in Rust within a budget where the host cannot.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_jose::soft::SoftVerifier;
use postern_jose::{
    Algorithm, Key, KeyMaterial, SignatureVerifier, VerifyError, ecdsa_signature_to_der,
};
use postern_request::UnixMillis;
use prost::Message as _;

use crate::foreign::{ForeignFunctions, VerifySignatureArguments, VerifySignatureResult};

const VERIFY: &str = "verify_signature";

/// A text that both probe keys have signed.
const PROBE_TEXT: &[u8] = b"postern probe";
const RSA_SPKI: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwLwnprqacSsAQf-uqZ8DHgx9C8kacJhBSrxn0huROMa4gtdeNRniFtPNNWvz-d4PVe8AHrj25-FjvQ2w9TlWMs8zf7qq0P5WRXjkwMTHDc0CinAAmTBgVJmuf0-YfzaXKqJmqQe5vR74iU6AEPUQ__pRZ0cIJ2lpAX_FfzbgOR947IBHiNSL3wpTKzExHrCNfY8c-8c7r4NcpZjVKb_PqRgHS_oNjVhk9dZvG_YjNeDVGCR_BAtPFo1HGWwGeb5KTpTTIujqW69tRakgidKMAJI9fxZ0Ncr_l6h4spiCENlua6-x_ig8pOcoKr5n7Ml9fpwDK32gpP1urI_HrOO9bwIDAQAB";
const RSA_SIGNATURE: &str = "qb9SabvjRa3w6LDJmwi7sAI4fLTNKZFgkH2dSZXPc6xgGW6nVOAGwA6OwH-Psv6nIYHXSVHUv9aBk5GdDXZeeruKocyXjziToVeh-Hsrf6l6mUszAWLXhE98NJ9i67nuo_X43LhwKGMbh0C_sf5ga9a4uIcJkwBIZ9xawDukrhRt2r-Fscxp9kwJb0GhDwGww16y5HHEwfkVToVMxMLhiPrGdAMCzhZmiHG1Jaqawwe2yjRNqJPgRdCyuo8iHnI2ihHDiN39jNJBSKNv1ap63nn4jBE4_l2JicH0bkohnrEqCxbhkbT3aDpOWaWH015HQHW1QtAxzChkhiNMDKTVLQ";
const EC_SPKI: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQqeebyHLyqX3MtOXKl8y5n3X54eiRqWiCF6aZHy2IZcb2B-vadQq7MlLXnmPgGPUoriuj1_y8FhWsa-LzwRMrA";
const EC_SIGNATURE: &str =
    "0FYt8rfYtXtCaEpVk37VXZqcBVAXKMSSpTidv60umEu8kOQcxNX9ZxRG2WZb0po7RQH3xe9jhQJXHxSIkw762g";

/// Which algorithms the host checks as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifierSupport {
    /// RS256.
    pub rsa: bool,
    /// ES256.
    pub ecdsa: bool,
}

impl VerifierSupport {
    /// Asks the host to check signatures that are known to hold and known not to. A host that
    /// gets one wrong is not asked again.
    #[must_use]
    pub fn probe(host: &dyn ForeignFunctions) -> Self {
        let decode = |text| URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let works = |spki, signature: Vec<u8>| {
            let altered = [PROBE_TEXT, b"!"].concat();
            host_verify(host, decode(spki), signature.clone(), PROBE_TEXT) == Some(true)
                && host_verify(host, decode(spki), signature, &altered) == Some(false)
        };
        let ec_signature = ecdsa_signature_to_der(&decode(EC_SIGNATURE)).unwrap_or_default();
        Self { rsa: works(RSA_SPKI, decode(RSA_SIGNATURE)), ecdsa: works(EC_SPKI, ec_signature) }
    }
}

fn host_verify(
    host: &dyn ForeignFunctions,
    public_key: Vec<u8>,
    signature: Vec<u8>,
    text: &[u8],
) -> Option<bool> {
    let arguments = VerifySignatureArguments {
        hash_function: "sha256".to_owned(),
        public_key,
        signature,
        text: text.to_vec(),
    };
    let answer = host.call(VERIFY, &arguments.encode_to_vec())?;
    VerifySignatureResult::decode(answer.as_slice()).ok().map(|answer| answer.result)
}

/// How many checks in Rust a VM may make in one second: each blocks its worker for up to a
/// millisecond, so this bounds what a flood of forged tokens can take to a few percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftBudget {
    per_second: u32,
    second: u64,
    used: u32,
}

impl SoftBudget {
    /// A budget of so many a second.
    #[must_use]
    pub const fn new(per_second: u32) -> Self {
        Self { per_second, second: 0, used: 0 }
    }

    fn take(&mut self, now: UnixMillis) -> bool {
        if self.second != now.as_secs() {
            self.second = now.as_secs();
            self.used = 0;
        }
        let left = self.used < self.per_second;
        self.used += u32::from(left);
        left
    }
}

/// The verifier of a filter, for the time of one request.
pub struct HostVerifier<'a> {
    /// The host.
    pub host: &'a dyn ForeignFunctions,
    /// What it can do.
    pub support: VerifierSupport,
    /// For what it cannot.
    pub budget: &'a mut SoftBudget,
    /// The wall clock.
    pub now: UnixMillis,
}

impl SignatureVerifier for HostVerifier<'_> {
    fn verify(
        &mut self,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        let (by_host, signature) = match (key.algorithm, &key.material) {
            (Algorithm::Rs256, _) => (self.support.rsa, signature.to_vec()),
            (Algorithm::Es256, KeyMaterial::P256 { .. }) if signature.len() == 64 => {
                let der = ecdsa_signature_to_der(signature).unwrap_or_default();
                (self.support.ecdsa, if self.support.ecdsa { der } else { signature.to_vec() })
            }
            (Algorithm::Es256, _) => return Ok(false),
        };
        if by_host {
            // A host that worked at the start and refuses now got a key that it cannot read.
            let answer = host_verify(self.host, key.spki.clone(), signature, signing_input);
            return answer.ok_or(VerifyError::Unsupported);
        }
        if !self.budget.take(self.now) {
            return Err(VerifyError::Budget);
        }
        SoftVerifier.verify(key, signing_input, &signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_jose::KeySet;

    /// A host that checks in Rust, or not at all, or says yes to everything.
    enum Fake {
        Honest,
        Absent,
        Gullible,
    }

    impl ForeignFunctions for Fake {
        fn call(&self, name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
            assert_eq!(name, VERIFY);
            let arguments = VerifySignatureArguments::decode(arguments).unwrap();
            let result = match self {
                Self::Absent => return None,
                Self::Gullible => true,
                Self::Honest => !arguments.text.ends_with(b"!"),
            };
            Some(VerifySignatureResult { result, error: String::new() }.encode_to_vec())
        }
    }

    #[test]
    fn only_a_host_that_tells_good_from_bad_is_used() {
        let all = VerifierSupport { rsa: true, ecdsa: true };
        assert_eq!(VerifierSupport::probe(&Fake::Honest), all);
        assert_eq!(VerifierSupport::probe(&Fake::Absent), VerifierSupport::default());
        assert_eq!(VerifierSupport::probe(&Fake::Gullible), VerifierSupport::default());
    }

    #[test]
    fn the_probe_signatures_hold() {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let spki = decode(EC_SPKI);
        let (x, y) = spki[spki.len() - 64..].split_at(32);
        let modulus = &decode(RSA_SPKI)[33..289];
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let set = format!(
            r#"{{"keys":[{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}},
                         {{"kty":"RSA","n":"{}","e":"AQAB"}}]}}"#,
            text(x),
            text(y),
            text(modulus)
        );
        let keys = KeySet::parse(set.as_bytes()).unwrap().keys;
        assert_eq!(keys[1].spki, decode(RSA_SPKI));
        for (key, signature) in keys.iter().zip([EC_SIGNATURE, RSA_SIGNATURE]) {
            assert_eq!(SoftVerifier.verify(key, PROBE_TEXT, &decode(signature)), Ok(true));
            assert_eq!(SoftVerifier.verify(key, b"other", &decode(signature)), Ok(false));
        }
    }

    #[test]
    fn checks_in_rust_are_bounded_by_the_second() {
        let mut budget = SoftBudget::new(2);
        let mut take = |ms| budget.take(UnixMillis(ms));
        assert_eq!([take(0), take(1), take(999), take(1000)], [true, true, false, true]);
    }
}

//! Signature checks by the host, and in Rust within a budget where the host cannot.
//!
//! Envoy's `verify_signature` does RSA PKCS#1 v1.5 and ECDSA with the curves of its BoringSSL,
//! at native speed. PSS and Ed25519 it does not know: those are always checked in Rust.

mod probes;

use postern_jose::soft::SoftVerifier;
use postern_jose::{
    Algorithm, HashFunction, Key, KeyType, SignatureVerifier, VerifyError, base64url,
    ecdsa_signature_to_der,
};
use postern_request::UnixMillis;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::foreign::{ForeignFunctions, VerifySignatureResult};
use probes::{PROBES, Probe, TEXT};

const VERIFY: &str = "verify_signature";

/// Which algorithms the host checks as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifierSupport {
    /// A bit for each algorithm, by its place among all.
    algorithms: u16,
}

impl VerifierSupport {
    /// Asks the host to check signatures that are known to hold and known not to. What a host
    /// gets wrong once it is not asked again.
    #[must_use]
    pub fn probe(host: &dyn ForeignFunctions) -> Self {
        let works = |probe: &Probe| {
            let (Some(public_key), Some(signature)) =
                (base64url::decode(probe.public_key), base64url::decode(probe.signature))
            else {
                return false;
            };
            let says =
                |text: &[u8]| host_verify(host, probe.algorithm, &public_key, &signature, text);
            says(TEXT) == Some(true) && says(&[TEXT, b"!"].concat()) == Some(false)
        };
        let known = PROBES.iter().filter(|probe| works(probe));
        Self { algorithms: known.fold(0, |bits, probe| bits | bit(probe.algorithm)) }
    }

    /// Whether the host checks an algorithm.
    #[must_use]
    pub fn includes(self, algorithm: Algorithm) -> bool {
        self.algorithms & bit(algorithm) != 0
    }
}

/// Never shifted out: there are fewer algorithms than bits.
fn bit(algorithm: Algorithm) -> u16 {
    let place = Algorithm::ALL.iter().position(|known| *known == algorithm);
    let place = place.and_then(|place| u32::try_from(place).ok());
    place.and_then(|place| 1_u16.checked_shl(place)).unwrap_or_default()
}

/// Asks the host. None when it has no such function or cannot read the key.
fn host_verify(
    host: &dyn ForeignFunctions,
    algorithm: Algorithm,
    public_key: &[u8],
    signature: &[u8],
    text: &[u8],
) -> Option<bool> {
    let hash = match algorithm.hash()? {
        HashFunction::Sha256 => "sha256",
        HashFunction::Sha384 => "sha384",
        HashFunction::Sha512 => "sha512",
    };
    let arguments = match algorithm.key_type() {
        KeyType::Ec(_) => {
            let signature = ecdsa_signature_to_der(signature)?;
            encode_arguments(hash, public_key, &signature, text)
        }
        KeyType::Rsa | KeyType::Ed25519 => encode_arguments(hash, public_key, signature, text),
    };
    let answer = host.call(VERIFY, &arguments)?;
    VerifySignatureResult::decode(answer.as_slice()).ok().map(|answer| answer.result)
}

/// `envoy.source.extensions.common.wasm.VerifySignatureArguments`, in one allocation: the
/// generated type would want a copy of each part first.
fn encode_arguments(hash: &str, public_key: &[u8], signature: &[u8], text: &[u8]) -> Vec<u8> {
    // For a tag and a length.
    const HEAD: usize = 6;
    let parts = [(1, hash.as_bytes()), (2, public_key), (3, signature), (4, text)];
    let length = parts.iter().map(|(_, part)| HEAD + part.len()).sum();
    let mut out = Vec::with_capacity(length);
    for (tag, part) in parts {
        encode_key(tag, WireType::LengthDelimited, &mut out);
        encode_varint(part.len() as u64, &mut out);
        out.extend_from_slice(part);
    }
    out
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
        if signature.len() != key.signature_bytes() {
            return Ok(false);
        }
        if self.support.includes(key.algorithm) {
            let answer = host_verify(self.host, key.algorithm, &key.spki, signature, signing_input);
            // A host that worked at the start and refuses now got a key that it cannot read.
            return answer.ok_or(VerifyError::Unsupported);
        }
        if !SoftVerifier::supports(key.algorithm) {
            return Err(VerifyError::Unsupported);
        }
        if !self.budget.take(self.now) {
            return Err(VerifyError::Budget);
        }
        SoftVerifier.verify(key, signing_input, signature)
    }
}

#[cfg(test)]
mod tests;

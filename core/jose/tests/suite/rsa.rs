//! RSA against AWS-LC, which signs and verifies the same: with fresh keys, and with keys whose
//! length is no multiple of eight bits, which Wycheproof does not have.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaParameters, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_jose::soft::SoftVerifier;
use postern_jose::{Algorithm, Key, KeyMaterial, SignatureVerifier as _};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// 257 bytes, the first of them 1: what PSS encodes is a byte shorter.
const OF_2049_BITS: &str = include_str!("../keys/rsa-2049-private.pem");
/// 257 bytes, the first below 16.
const OF_2052_BITS: &str = include_str!("../keys/rsa-2052-private.pem");

type Scheme = (Algorithm, &'static dyn RsaEncoding, &'static RsaParameters);

const SCHEMES: [Scheme; 6] = [
    (Algorithm::Rs256, &RSA_PKCS1_SHA256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_SHA384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_SHA512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &RSA_PSS_SHA256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &RSA_PSS_SHA384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &RSA_PSS_SHA512, &RSA_PSS_2048_8192_SHA512),
];

struct Signer {
    pair: KeyPair,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

/// What is done to a signature, or to what it is checked with.
#[derive(Debug, Clone)]
enum Spoil {
    Not,
    Bit(Index),
    Arbitrary(Vec<u8>),
    Truncated,
    ZeroBefore,
    ZeroBehind,
    BeyondModulus,
    Text,
    OtherScheme,
    OtherKey,
}

impl Signer {
    fn new(pair: KeyPair) -> Self {
        // RSAPublicKey (RFC 8017 §A.1.1): the head of the SEQUENCE and of n take eight bytes.
        let der = pair.public_key().as_ref();
        let (modulus, exponent) = der[8..].split_at(der.len() - 8 - 5);
        let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus).to_vec();
        let exponent = exponent.strip_prefix(&[2, 3]).unwrap().to_vec();
        assert_eq!((modulus.len(), &exponent[..]), (pair.public_modulus_len(), &[1, 0, 1][..]));
        Self { pair, modulus, exponent }
    }

    fn of_pem(pem: &str) -> Self {
        let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        Self::new(KeyPair::from_pkcs8(&STANDARD.decode(lines).unwrap()).unwrap())
    }

    fn sign(&self, scheme: &Scheme, text: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.modulus.len()];
        self.pair.sign(scheme.1, &SystemRandom::new(), text, &mut signature).unwrap();
        signature
    }

    fn holds(&self, scheme: &Scheme, text: &[u8], signature: &[u8]) -> bool {
        let (modulus, exponent) = (self.modulus.clone(), self.exponent.clone());
        let key = Key::new(None, scheme.0, KeyMaterial::Rsa { modulus, exponent });
        SoftVerifier.verify(&key, text, signature).unwrap()
    }

    fn holds_by_aws_lc(&self, scheme: &Scheme, text: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        key.verify(scheme.2, text, signature).is_ok()
    }

    /// The next number that is the same modulo n.
    fn beyond_modulus(&self, signature: &[u8]) -> Vec<u8> {
        let mut carry = 0;
        let mut sum: Vec<u8> = (signature.iter().zip(&self.modulus).rev())
            .map(|(a, b)| {
                carry += u16::from(*a) + u16::from(*b);
                let [high, low] = carry.to_be_bytes();
                carry = u16::from(high);
                low
            })
            .collect();
        sum.extend((carry > 0).then_some(1));
        sum.reverse();
        sum
    }
}

fn signers() -> Vec<Signer> {
    let fresh = [KeySize::Rsa2048, KeySize::Rsa2048, KeySize::Rsa3072];
    let fresh = fresh.into_iter().map(|size| Signer::new(KeyPair::generate(size).unwrap()));
    [OF_2049_BITS, OF_2052_BITS].into_iter().map(Signer::of_pem).chain(fresh).collect()
}

fn spoil() -> impl Strategy<Value = Spoil> {
    prop_oneof![
        3 => Just(Spoil::Not),
        3 => any::<Index>().prop_map(Spoil::Bit),
        2 => prop::collection::vec(any::<u8>(), 0..400).prop_map(Spoil::Arbitrary),
        1 => select(vec![
            Spoil::Truncated,
            Spoil::ZeroBefore,
            Spoil::ZeroBehind,
            Spoil::BeyondModulus,
            Spoil::Text,
            Spoil::OtherScheme,
            Spoil::OtherKey,
        ]),
    ]
}

#[test]
fn what_aws_lc_signed_holds_and_nothing_else() {
    let signers = signers();
    let config = Config { cases: 192, failure_persistence: None, ..Config::default() };
    let text = prop::collection::vec(any::<u8>(), 0..300);
    let cases = (0..signers.len(), 0..SCHEMES.len(), text, spoil());
    let outcome = TestRunner::new(config).run(&cases, |(at, scheme, text, spoil)| {
        let (mut signer, scheme_at) = (&signers[at], scheme);
        let mut scheme = &SCHEMES[scheme];
        let mut text = text;
        let mut signature = signer.sign(scheme, &text);
        match &spoil {
            Spoil::Not => {}
            Spoil::Bit(bit) => {
                let bit = bit.index(signature.len() * 8);
                signature[bit / 8] ^= 1 << (bit % 8);
            }
            Spoil::Arbitrary(bytes) => {
                let length = signature.len();
                signature.clone_from(bytes);
                // As long as a signature is, unless it is short by far.
                if bytes.len() > 50 {
                    signature.resize(length, 0x5a);
                }
            }
            Spoil::Truncated => signature.truncate(signature.len() - 1),
            Spoil::ZeroBefore => signature.insert(0, 0),
            Spoil::ZeroBehind => signature.push(0),
            Spoil::BeyondModulus => signature = signer.beyond_modulus(&signature),
            Spoil::Text => text.push(0),
            Spoil::OtherScheme => scheme = &SCHEMES[(scheme_at + 1) % SCHEMES.len()],
            Spoil::OtherKey => signer = &signers[(at + 1) % signers.len()],
        }
        let held = signer.holds(scheme, &text, &signature);
        prop_assert_eq!(held, matches!(spoil, Spoil::Not));
        prop_assert_eq!(held, signer.holds_by_aws_lc(scheme, &text, &signature));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// A key has one signature for each that it made, however many numbers are the same modulo n:
/// with 2049 bits in 257 bytes, more than a hundred.
#[test]
fn no_signature_beyond_the_modulus_holds() {
    let signer = Signer::of_pem(OF_2049_BITS);
    for scheme in &SCHEMES {
        let mut signature = signer.sign(scheme, b"text");
        assert!(signer.holds(scheme, b"text", &signature));
        for _ in 0..100 {
            signature = signer.beyond_modulus(&signature);
            assert_eq!(signature.len(), signer.modulus.len());
            assert!(!signer.holds(scheme, b"text", &signature), "{:?}", scheme.0);
        }
    }
}

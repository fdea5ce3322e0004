//! One public key (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).

use postern_request::json::Value;

use crate::algorithm::{Algorithm, Curve, KeyType};
use crate::{base64url, der};

/// Longest key id, in bytes.
pub const MAX_KID_BYTES: usize = 256;

/// What only the private half of a key, or a shared secret, has (RFC 7518 §6.2.2, §6.3.2, §6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The points of Ed25519 whose order divides 8, without the sign of x: by such a key, one
/// signature holds for many texts.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    filled(1, 0, 0),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    // p - 1, p and p + 1
    filled(0xec, 0xff, 0x7f),
    filled(0xed, 0xff, 0x7f),
    filled(0xee, 0xff, 0x7f),
];

/// The numbers of a public key, unsigned and big-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// Modulus and exponent, without leading zeros.
    Rsa {
        /// n
        modulus: Vec<u8>,
        /// e
        exponent: Vec<u8>,
    },
    /// A point on a curve of ECDSA. That it lies there is for the verifier to check.
    Ec {
        /// crv
        curve: Curve,
        /// x, as long as the curve's coordinates are
        x: Vec<u8>,
        /// y, likewise
        y: Vec<u8>,
    },
    /// A point on Ed25519, as RFC 8032 §5.1.2 writes it: 32 bytes.
    Ed25519 {
        /// x of the JWK
        point: Vec<u8>,
    },
}

/// A public key that is bound to one algorithm: a token never chooses (RFC 8725 §3.1).
///
/// An RSA key whose JWK names no `alg` is bound to RS256, any other to the one algorithm that
/// its curve allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// `kid`, when the set gives one.
    pub id: Option<String>,
    /// The one algorithm that signatures by this key may use.
    pub algorithm: Algorithm,
    /// The numbers.
    pub material: KeyMaterial,
    /// SubjectPublicKeyInfo in DER, as BoringSSL and AWS-LC take it.
    pub spki: Vec<u8>,
}

impl KeyMaterial {
    /// What kind of key it is.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        match self {
            Self::Rsa { .. } => KeyType::Rsa,
            Self::Ec { curve, .. } => KeyType::Ec(*curve),
            Self::Ed25519 { .. } => KeyType::Ed25519,
        }
    }

    fn spki(&self) -> Vec<u8> {
        match self {
            Self::Rsa { modulus, exponent } => der::rsa_spki(modulus, exponent),
            Self::Ec { curve, x, y } => der::ec_spki(*curve, x, y),
            Self::Ed25519 { point } => der::ed25519_spki(point),
        }
    }
}

impl Key {
    /// Makes a key of its numbers.
    #[must_use]
    pub fn new(id: Option<String>, algorithm: Algorithm, material: KeyMaterial) -> Self {
        let spki = material.spki();
        Self { id, algorithm, material, spki }
    }

    /// How long every signature by this key is, in bytes. One of another length is none, and
    /// to know that costs nothing.
    #[must_use]
    pub fn signature_bytes(&self) -> usize {
        match &self.material {
            KeyMaterial::Rsa { modulus, .. } => modulus.len(),
            KeyMaterial::Ec { curve, .. } => curve.coordinate_bytes() * 2,
            KeyMaterial::Ed25519 { .. } => 64,
        }
    }

    /// Reads a JWK. `wanted` is the algorithm that an embedded key is used with (RFC 9449
    /// §4.2); a key of a set is bound by what it says itself.
    pub(crate) fn read(jwk: &Value, wanted: Option<Algorithm>) -> Result<Self, &'static str> {
        let material = read_material(jwk)?;
        if PRIVATE_MEMBERS.iter().any(|name| jwk.get(name).is_some()) {
            // Whoever could read the key here can sign with it.
            return Err("the private half is there too");
        }
        check_purpose(jwk)?;
        let id = match jwk.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= MAX_KID_BYTES => Some(id.clone()),
            Some(_) => return Err("kid is not a string of at most 256 bytes"),
        };
        let algorithm = bind(jwk, material.key_type(), wanted)?;
        Ok(Self::new(id, algorithm, material))
    }
}

/// `use` and `key_ops` (RFC 7517 §4.2, §4.3): what is there must allow verifying.
fn check_purpose(jwk: &Value) -> Result<(), &'static str> {
    if jwk.get("use").is_some_and(|purpose| purpose.as_str() != Some("sig")) {
        return Err("not for signatures (use)");
    }
    let verifies = |op: &Value| op.as_str() == Some("verify");
    let allows = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(verifies));
    match jwk.get("key_ops") {
        Some(operations) if !allows(operations) => Err("not for verifying (key_ops)"),
        _ => Ok(()),
    }
}

fn bind(
    jwk: &Value,
    key_type: KeyType,
    wanted: Option<Algorithm>,
) -> Result<Algorithm, &'static str> {
    let named = match jwk.get("alg") {
        None => None,
        Some(alg) => {
            let known = alg.as_str().and_then(Algorithm::parse);
            Some(known.ok_or("alg is not supported for this key type")?)
        }
    };
    let algorithm = match (named, wanted) {
        (Some(named), Some(wanted)) if named != wanted => return Err("alg is another one"),
        (Some(algorithm), _) | (None, Some(algorithm)) => algorithm,
        (None, None) => key_type.default_algorithm(),
    };
    if algorithm.key_type() == key_type {
        Ok(algorithm)
    } else {
        Err("alg is not supported for this key type")
    }
}

fn read_material(jwk: &Value) -> Result<KeyMaterial, &'static str> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let number = |name: &str| text(name).and_then(base64url::decode);
    match text("kty") {
        Some("RSA") => {
            let (Some(modulus), Some(exponent)) = (number("n"), number("e")) else {
                return Err("n or e is not base64url");
            };
            // RFC 7518 §6.3.1.1 knows of writers that put a zero in front.
            let (modulus, exponent) = (without_zeros(&modulus), without_zeros(&exponent));
            check_rsa(modulus, exponent)?;
            Ok(KeyMaterial::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
        }
        Some("EC") => {
            let curve = text("crv").and_then(Curve::parse).ok_or("curve is not supported")?;
            let (Some(x), Some(y)) = (number("x"), number("y")) else {
                return Err("x or y is not base64url");
            };
            if x.len() != curve.coordinate_bytes() || y.len() != curve.coordinate_bytes() {
                return Err("x and y must be as long as the curve's coordinates");
            }
            Ok(KeyMaterial::Ec { curve, x, y })
        }
        Some("OKP") => {
            if text("crv") != Some("Ed25519") {
                return Err("curve is not supported");
            }
            let point = number("x").ok_or("x is not base64url")?;
            check_ed25519(&point)?;
            Ok(KeyMaterial::Ed25519 { point })
        }
        _ => Err("key type is not supported"),
    }
}

/// 2048 to 8192 bits, exponent odd, above 1 and at most 32 bits: below is breakable, above is
/// a way to make every check cost seconds.
pub(crate) fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), &'static str> {
    let short = modulus.len() == 256 && modulus.first().is_some_and(|top| *top < 0x80);
    if short || !(256..=1024).contains(&modulus.len()) {
        return Err("RSA keys must have 2048 to 8192 bits");
    }
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !is_odd(modulus) {
        return Err("RSA modulus is even");
    }
    let in_range = (1..=4).contains(&exponent.len()) && exponent != [1];
    if in_range && is_odd(exponent) { Ok(()) } else { Err("RSA exponent is out of range") }
}

fn check_ed25519(point: &[u8]) -> Result<(), &'static str> {
    let mut y: [u8; 32] = point.try_into().map_err(|_| "x must be 32 bytes")?;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    if SMALL_ORDER.contains(&y) { Err("x is a point of small order") } else { Ok(()) }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let first = number.iter().position(|b| *b != 0).unwrap_or(number.len());
    number.get(first..).unwrap_or_default()
}

/// Thirty-two bytes that are alike, but for both ends.
const fn filled(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    if let Some(place) = bytes.first_mut() {
        *place = first;
    }
    if let Some(place) = bytes.last_mut() {
        *place = last;
    }
    bytes
}

#[cfg(test)]
mod tests;

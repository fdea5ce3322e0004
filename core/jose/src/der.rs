//! The little DER (X.690) that public keys and ECDSA signatures need.

use crate::algorithm::Curve;

/// `rsaEncryption` (1.2.840.113549.1.1.1) with its NULL parameters, as an AlgorithmIdentifier.
const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// `id-ecPublicKey` (1.2.840.10045.2.1) over `prime256v1` (1.2.840.10045.3.1.7).
const EC_P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];
/// `id-ecPublicKey` over `secp384r1` (1.3.132.0.34).
const EC_P384: &[u8] = &[
    0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
    0x00, 0x22,
];
/// `id-ecPublicKey` over `secp521r1` (1.3.132.0.35).
const EC_P521: &[u8] = &[
    0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
    0x00, 0x23,
];
/// `id-Ed25519` (1.3.101.112), which has no parameters (RFC 8410 §3).
const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// SubjectPublicKeyInfo (RFC 5280 §4.1) of an RSA key, from its modulus and exponent as
/// unsigned big-endian bytes.
#[must_use]
pub fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let (modulus, exponent) = (Integer::of(modulus), Integer::of(exponent));
    let length = modulus.length() + exponent.length();
    let mut key = Vec::with_capacity(length + 5);
    push_head(&mut key, SEQUENCE, length);
    modulus.push(&mut key);
    exponent.push(&mut key);
    spki(RSA_ENCRYPTION, &[&key])
}

/// SubjectPublicKeyInfo (RFC 5480) of a key on a curve, from its coordinates, each as long as
/// the curve's are.
#[must_use]
pub fn ec_spki(curve: Curve, x: &[u8], y: &[u8]) -> Vec<u8> {
    let algorithm = match curve {
        Curve::P256 => EC_P256,
        Curve::P384 => EC_P384,
        Curve::P521 => EC_P521,
    };
    // SEC 1 §2.3.3: 4 for uncompressed.
    spki(algorithm, &[&[0x04], x, y])
}

/// SubjectPublicKeyInfo (RFC 8410 §4) of an Ed25519 key, from its 32 bytes.
#[must_use]
pub fn ed25519_spki(point: &[u8]) -> Vec<u8> {
    spki(ED25519, &[point])
}

/// `r ‖ s` of equal length, as JWS has it (RFC 7518 §3.4), as the DER that BoringSSL wants.
/// None when the length is odd or zero.
#[must_use]
pub fn ecdsa_signature_to_der(signature: &[u8]) -> Option<Vec<u8>> {
    if signature.is_empty() || !signature.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = signature.split_at_checked(signature.len() / 2)?;
    let (r, s) = (Integer::of(r), Integer::of(s));
    let length = r.length() + s.length();
    let mut out = Vec::with_capacity(length + 4);
    push_head(&mut out, SEQUENCE, length);
    r.push(&mut out);
    s.push(&mut out);
    Some(out)
}

fn spki(algorithm: &[u8], key: &[&[u8]]) -> Vec<u8> {
    let key_length = 1 + key.iter().map(|part| part.len()).sum::<usize>();
    let length = algorithm.len() + head_length(key_length) + key_length;
    let mut out = Vec::with_capacity(head_length(length) + length);
    push_head(&mut out, SEQUENCE, length);
    out.extend_from_slice(algorithm);
    push_head(&mut out, BIT_STRING, key_length);
    // No bit of the last byte is unused.
    out.push(0);
    for part in key {
        out.extend_from_slice(part);
    }
    out
}

/// An unsigned number: no needless leading zeros, one where the top bit would make it negative.
struct Integer<'a> {
    digits: &'a [u8],
    padded: bool,
}

impl<'a> Integer<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let first = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
        let digits = bytes.get(first..).unwrap_or_default();
        Self { digits, padded: digits.first().is_none_or(|top| *top & 0x80 != 0) }
    }

    fn content_length(&self) -> usize {
        self.digits.len() + usize::from(self.padded)
    }

    fn length(&self) -> usize {
        head_length(self.content_length()) + self.content_length()
    }

    fn push(&self, out: &mut Vec<u8>) {
        push_head(out, INTEGER, self.content_length());
        if self.padded {
            out.push(0);
        }
        out.extend_from_slice(self.digits);
    }
}

/// How long tag and length are before so much content.
fn head_length(content: usize) -> usize {
    if content < 0x80 { 2 } else { 2 + significant(&content.to_be_bytes()).len() }
}

fn push_head(out: &mut Vec<u8>, tag: u8, content: usize) {
    out.push(tag);
    match u8::try_from(content) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let length = content.to_be_bytes();
            let digits = significant(&length);
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
            out.extend_from_slice(digits);
        }
    }
}

fn significant(length: &[u8]) -> &[u8] {
    let first = length.iter().position(|b| *b != 0).unwrap_or(0);
    length.get(first..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let integer = Integer::of(bytes);
        integer.push(&mut out);
        assert_eq!(out.len(), integer.length());
        out
    }

    #[test]
    fn integers_are_minimal_and_unsigned() {
        assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
        assert_eq!(integer(&[]), [2, 1, 0]);
    }

    #[test]
    fn long_content_has_a_long_length() {
        let head = |content| {
            let mut out = Vec::new();
            push_head(&mut out, 4, content);
            assert_eq!(out.len(), head_length(content));
            out
        };
        assert_eq!(head(127), [4, 127]);
        assert_eq!(head(200), [4, 0x81, 200]);
        assert_eq!(head(300), [4, 0x82, 1, 44]);
    }

    #[test]
    fn a_signature_must_split_in_two() {
        assert_eq!(ecdsa_signature_to_der(&[]), None);
        assert_eq!(ecdsa_signature_to_der(&[1, 2, 3]), None);
        assert_eq!(ecdsa_signature_to_der(&[1, 2]), Some(vec![0x30, 6, 2, 1, 1, 2, 1, 2]));
        let long = ecdsa_signature_to_der(&[0xff; 132]).unwrap();
        assert_eq!((&long[..3], long.len()), (&[0x30, 0x81, 138][..], 141));
    }

    #[test]
    fn public_keys_are_as_long_as_they_say() {
        for (spki, length) in [
            (ec_spki(Curve::P256, &[1; 32], &[2; 32]), 91),
            (ec_spki(Curve::P384, &[1; 48], &[2; 48]), 120),
            (ec_spki(Curve::P521, &[1; 66], &[0; 66]), 158),
            (ed25519_spki(&[3; 32]), 44),
            (rsa_spki(&[0xff; 256], &[1, 0, 1]), 294),
        ] {
            assert_eq!(spki.len(), length);
        }
    }
}

//! The little DER (X.690) that public keys and ECDSA signatures need.

/// `rsaEncryption` (1.2.840.113549.1.1.1) with its NULL parameters, as an AlgorithmIdentifier.
const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// `id-ecPublicKey` (1.2.840.10045.2.1) over `prime256v1` (1.2.840.10045.3.1.7).
const EC_P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// SubjectPublicKeyInfo (RFC 5280 §4.1) of an RSA key, from its modulus and exponent as
/// unsigned big-endian bytes.
#[must_use]
pub fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = tagged(SEQUENCE, &[integer(modulus), integer(exponent)].concat());
    spki(RSA_ENCRYPTION, &key)
}

/// SubjectPublicKeyInfo (RFC 5480) of a P-256 key, from its coordinates, 32 bytes each.
#[must_use]
pub fn ec_p256_spki(x: &[u8], y: &[u8]) -> Vec<u8> {
    spki(EC_P256, &[&[0x04], x, y].concat())
}

/// `r ‖ s` of equal length, as JWS has it (RFC 7518 §3.4), as the DER that BoringSSL wants.
/// None when the length is odd or zero.
#[must_use]
pub fn ecdsa_signature_to_der(signature: &[u8]) -> Option<Vec<u8>> {
    if signature.is_empty() || !signature.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = signature.split_at_checked(signature.len() / 2)?;
    Some(tagged(SEQUENCE, &[integer(r), integer(s)].concat()))
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let key = tagged(BIT_STRING, &[&[0x00], key].concat());
    tagged(SEQUENCE, &[algorithm, key.as_slice()].concat())
}

/// An unsigned number: no needless leading zeros, one where the top bit would make it negative.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
    let digits = bytes.get(first..).unwrap_or_default();
    match digits.first() {
        None => tagged(INTEGER, &[0]),
        Some(top) if *top & 0x80 != 0 => tagged(INTEGER, &[&[0], digits].concat()),
        Some(_) => tagged(INTEGER, digits),
    }
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let length = content.len().to_be_bytes();
            let first = length.iter().position(|b| *b != 0).unwrap_or(0);
            let digits = length.get(first..).unwrap_or_default();
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
            out.extend_from_slice(digits);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_minimal_and_unsigned() {
        assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
    }

    #[test]
    fn long_content_has_a_long_length() {
        assert_eq!(tagged(4, &[0; 127])[..2], [4, 127]);
        assert_eq!(tagged(4, &[0; 200])[..3], [4, 0x81, 200]);
        assert_eq!(tagged(4, &[0; 300])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn a_signature_must_split_in_two() {
        assert_eq!(ecdsa_signature_to_der(&[]), None);
        assert_eq!(ecdsa_signature_to_der(&[1, 2, 3]), None);
        assert_eq!(ecdsa_signature_to_der(&[1, 2]), Some(vec![0x30, 6, 2, 1, 1, 2, 1, 2]));
    }
}

//! RSA signatures (RFC 8017 §8.1.2, §8.2.2), with the parameters of RFC 7518 §3.3, §3.5.
//!
//! Verifying only. What a signature must decode to is made from the text and compared as a
//! whole where that can be done (PKCS #1 v1.5): nothing an attacker wrote is parsed.

use std::num::NonZeroU32;

use sha2::{Digest, Sha256, Sha384, Sha512};

use super::modexp;
use crate::algorithm::{Algorithm, HashFunction};
use crate::jwk::check_rsa;

/// Whether the signature over `input` holds; it does not by a key that a JWK may not have, nor
/// by an algorithm that is not RSA's.
pub(super) fn verify(
    modulus: &[u8],
    exponent: &[u8],
    algorithm: Algorithm,
    input: &[u8],
    signature: &[u8],
) -> bool {
    let (Some(hash), Some(message)) =
        (algorithm.hash(), public_operation(modulus, exponent, signature))
    else {
        return false;
    };
    match algorithm {
        Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => is_pkcs1(&message, hash, input),
        Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => {
            let unused = modulus.first().map_or(0, |first| first.leading_zeros());
            is_pss(&message, unused, hash, input).unwrap_or(false)
        }
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa => false,
    }
}

/// RSAVP1 (§5.2.2), and what §8.1.2 and §8.2.2 ask of a signature before it: the message
/// representative, as long as the modulus. Only a signature as long as that is one.
fn public_operation(modulus: &[u8], exponent: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    // The bounds count on numbers without zeros in front.
    let is_number = |bytes: &[u8]| bytes.first().is_some_and(|first| *first != 0);
    if !is_number(modulus) || !is_number(exponent) || check_rsa(modulus, exponent).is_err() {
        return None;
    }
    let exponent = exponent.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    modexp::power(signature, NonZeroU32::new(exponent)?, modulus)
}

/// EMSA-PKCS1-v1_5 (§9.2): `00 01 FF…FF 00`, then the DigestInfo.
fn is_pkcs1(message: &[u8], hash: HashFunction, input: &[u8]) -> bool {
    let info = [&info(hash)[..], &digest(hash, &[input])].concat();
    // With 2048 bits there is always room for the eight bytes of padding that there must be.
    let padding = vec![0xff; message.len().saturating_sub(info.len() + 3)];
    [&[0, 1][..], &padding, &[0], &info].concat() == message
}

/// What the DigestInfo has before the digest, in DER (§9.2, note 1): the hash function by its
/// number, NULL for its parameters, and the head of an OCTET STRING.
const fn info(hash: HashFunction) -> [u8; 19] {
    match hash {
        HashFunction::Sha256 => [
            0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x01, 0x05, 0x00, 0x04, 0x20,
        ],
        HashFunction::Sha384 => [
            0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x02, 0x05, 0x00, 0x04, 0x30,
        ],
        HashFunction::Sha512 => [
            0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x03, 0x05, 0x00, 0x04, 0x40,
        ],
    }
}

/// EMSA-PSS (§9.1.2), with MGF1 by the same hash and a salt as long as its digest; None where
/// it stops before the digests are compared. `unused` is how many bits the first byte of the
/// modulus leaves: what is encoded has one bit less than the modulus.
fn is_pss(message: &[u8], unused: u32, hash: HashFunction, input: &[u8]) -> Option<bool> {
    let text = digest(hash, &[input]);
    // Step 6, and step 2c of §8.1.2: where the modulus has but one bit in its first byte, what
    // is encoded is a byte shorter.
    let [first, rest @ ..] = message else { return None };
    let used = 0xff_u8.checked_shr(unused + 1).unwrap_or(0);
    if first & !used != 0 {
        return None;
    }
    let (encoded, used) = if used == 0 { (rest, 0xff) } else { (message, used) };
    // Steps 4 and 5.
    let [encoded @ .., 0xbc] = encoded else { return None };
    let (masked, expected) = split_end(encoded, text.len())?;
    // Steps 7 to 9.
    let mut block = mgf1(hash, expected, masked.len());
    block.truncate(masked.len());
    block.iter_mut().zip(masked).for_each(|(byte, masked)| *byte ^= masked);
    *block.first_mut()? &= used;
    // Steps 3 and 10, 11.
    let (padding, salt) = split_end(&block, text.len())?;
    let [zeros @ .., 1] = padding else { return None };
    if zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    Some(digest(hash, &[&[0; 8], &text, salt]) == expected)
}

/// The last `length` bytes apart from those before.
fn split_end(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(bytes.len().checked_sub(length)?)
}

/// MGF1 (§B.2.1), and at most a digest more than was asked for.
fn mgf1(hash: HashFunction, seed: &[u8], length: usize) -> Vec<u8> {
    let mut mask = Vec::new();
    for counter in 0_u32.. {
        if mask.len() >= length {
            break;
        }
        mask.extend(digest(hash, &[seed, &counter.to_be_bytes()]));
    }
    mask
}

/// Of parts that follow each other.
fn digest(hash: HashFunction, parts: &[&[u8]]) -> Vec<u8> {
    fn of<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
        parts.iter().fold(D::new(), |digest, part| digest.chain_update(part)).finalize().to_vec()
    }
    match hash {
        HashFunction::Sha256 => of::<Sha256>(parts),
        HashFunction::Sha384 => of::<Sha384>(parts),
        HashFunction::Sha512 => of::<Sha512>(parts),
    }
}

#[cfg(test)]
mod tests;

//! Random numbers and hashes, from AWS-LC.

use aws_lc_rs::{digest, rand};
use postern_jose::base64url;
use postern_oauth::Secret;
use postern_request::correlation;
use postern_store::durable::SecretHash;
use zeroize::Zeroizing;

use crate::IdentityError;

/// Random bytes, wiped when they go.
pub(crate) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, IdentityError> {
    let mut bytes = Zeroizing::new([0; N]);
    rand::fill(bytes.as_mut_slice()).map_err(|_| IdentityError::Crypto)?;
    Ok(bytes)
}

/// 256 bits in base64url: more than anybody can guess, so a plain hash keeps it safe.
pub(crate) fn secret() -> Result<Secret, IdentityError> {
    Ok(Secret::new(base64url::encode(bytes::<32>()?.as_slice())))
}

pub(crate) fn bits() -> Result<u128, IdentityError> {
    Ok(u128::from_be_bytes(*bytes::<16>()?))
}

/// A random UUID.
pub(crate) fn uuid() -> Result<String, IdentityError> {
    bits().map(correlation::uuid_from)
}

/// 96 bits in hexadecimal.
pub(crate) fn short_id() -> Result<String, IdentityError> {
    Ok(bytes::<12>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(crate) fn sha256(data: &[u8]) -> SecretHash {
    let digest = digest::digest(&digest::SHA256, data);
    let bytes: &[u8] = digest.as_ref();
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(bytes) {
        *to = *from;
    }
    SecretHash(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_sha_256() {
        let hash: String = sha256(b"abc").0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn nothing_comes_twice() {
        assert_ne!(secret().unwrap(), secret().unwrap());
        assert_ne!(uuid().unwrap(), uuid().unwrap());
        assert_eq!(secret().unwrap().expose().len(), 43);
        assert_eq!(short_id().unwrap().len(), 24);
    }
}

//! Public keys: JWK and JWK Set (RFC 7517, RFC 7518 §6).

use postern_request::json::{self, Value};

use crate::{base64url, der};

/// Most keys that one set may bring.
pub const MAX_KEYS: usize = 32;
/// Longest JWK Set that is read, in bytes.
pub const MAX_SET_BYTES: usize = 262_144;
/// Longest key id, in bytes.
pub const MAX_KID_BYTES: usize = 256;

/// Signature algorithms (RFC 7518 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// All that are known.
    pub const ALL: [Self; 2] = [Self::Rs256, Self::Es256];

    /// As `alg` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    /// Reads `alg`; case matters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }
}

/// The numbers of a public key, unsigned and big-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// Modulus and exponent.
    Rsa {
        /// n
        modulus: Vec<u8>,
        /// e
        exponent: Vec<u8>,
    },
    /// A point on P-256.
    P256 {
        /// x, 32 bytes
        x: Vec<u8>,
        /// y, 32 bytes
        y: Vec<u8>,
    },
}

/// A public key that is bound to one algorithm: a token never chooses.
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

/// The usable keys of a set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeySet {
    /// In the order of the set.
    pub keys: Vec<Key>,
    /// Keys that were left out, and why.
    pub skipped: Vec<SkippedKey>,
}

/// A key that cannot be used here. RFC 7517 §5 says to ignore those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its place in the set, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Why a whole set was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Longer than [`MAX_SET_BYTES`] or with more than [`MAX_KEYS`] keys.
    #[error("the key set is too large")]
    TooLarge,
    /// Not strict JSON with an array `keys`.
    #[error("not a JWK set: a JSON object with an array `keys`")]
    Form,
    /// Two keys with one `kid` and one algorithm.
    #[error("two keys share one kid")]
    RepeatedId,
    /// No key is usable.
    #[error("the set has no key that can check an RS256 or ES256 signature")]
    Empty,
}

impl KeySet {
    /// Reads a JWK Set.
    ///
    /// # Errors
    /// When the set as a whole cannot be used. Single keys of other kinds are skipped.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        if text.len() > MAX_SET_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let value = json::parse(text).map_err(|_| KeySetError::Form)?;
        let keys = value.get("keys").and_then(Value::as_array).ok_or(KeySetError::Form)?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let mut set = Self::default();
        for (index, jwk) in keys.iter().enumerate() {
            match read_key(jwk) {
                Ok(key) if set.has_id_of(&key) => return Err(KeySetError::RepeatedId),
                Ok(key) => set.keys.push(key),
                Err(reason) => set.skipped.push(SkippedKey { index, reason }),
            }
        }
        if set.keys.is_empty() { Err(KeySetError::Empty) } else { Ok(set) }
    }

    fn has_id_of(&self, key: &Key) -> bool {
        key.id.is_some() && self.keys.iter().any(|k| k.id == key.id && k.algorithm == key.algorithm)
    }

    /// The keys that may have made a signature with this header: those of the algorithm that
    /// have the `kid`, or all of the algorithm when the token names none.
    pub fn candidates<'a>(
        &'a self,
        algorithm: Algorithm,
        kid: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Key> {
        self.keys
            .iter()
            .filter(move |key| key.algorithm == algorithm)
            .filter(move |key| kid.is_none() || key.id.as_deref() == kid)
    }
}

fn read_key(jwk: &Value) -> Result<Key, &'static str> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if jwk.get("use").is_some() && text("use") != Some("sig") {
        return Err("not for signatures (use)");
    }
    if let Some(operations) = jwk.get("key_ops") {
        let verifies = |op: &Value| op.as_str() == Some("verify");
        if !operations.as_array().is_some_and(|ops| ops.iter().any(verifies)) {
            return Err("not for verifying (key_ops)");
        }
    }
    let id = match jwk.get("kid") {
        None => None,
        Some(Value::String(id)) if id.len() <= MAX_KID_BYTES => Some(id.clone()),
        Some(_) => return Err("kid is not a string of at most 256 bytes"),
    };
    let number = |name: &str| text(name).and_then(base64url::decode);
    let (algorithm, material, spki) = match text("kty") {
        Some("RSA") => {
            let (Some(modulus), Some(exponent)) = (number("n"), number("e")) else {
                return Err("n or e is not base64url");
            };
            check_rsa(&modulus, &exponent)?;
            let spki = der::rsa_spki(&modulus, &exponent);
            (Algorithm::Rs256, KeyMaterial::Rsa { modulus, exponent }, spki)
        }
        Some("EC") => {
            if text("crv") != Some("P-256") {
                return Err("curve is not supported");
            }
            let (Some(x), Some(y)) = (number("x"), number("y")) else {
                return Err("x or y is not base64url");
            };
            if x.len() != 32 || y.len() != 32 {
                return Err("x and y must be 32 bytes each");
            }
            let spki = der::ec_p256_spki(&x, &y);
            (Algorithm::Es256, KeyMaterial::P256 { x, y }, spki)
        }
        _ => return Err("key type is not supported"),
    };
    match jwk.get("alg") {
        None => {}
        Some(Value::String(alg)) if alg == algorithm.as_str() => {}
        Some(_) => return Err("alg is not supported for this key type"),
    }
    Ok(Key { id, algorithm, material, spki })
}

/// 2048 to 8192 bits, exponent odd, above 1 and at most 32 bits: below is breakable, above is
/// a way to make every check cost seconds.
fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), &'static str> {
    let significant = |bytes: &[u8]| bytes.iter().skip_while(|b| **b == 0).count();
    if !(256..=1024).contains(&significant(modulus)) {
        return Err("RSA keys must have 2048 to 8192 bits");
    }
    let small = significant(exponent) <= 4;
    let value = exponent.iter().fold(0_u64, |value, b| (value << 8 | u64::from(*b)) & 0xffff_ffff);
    if small && value > 1 && value % 2 == 1 { Ok(()) } else { Err("RSA exponent is out of range") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;

    fn set(keys: &[String]) -> Result<KeySet, KeySetError> {
        KeySet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
    }

    fn ec(extra: &str) -> String {
        format!("{{{EC}{extra}}}")
    }

    #[test]
    fn the_key_of_rfc_7517_appendix_a_is_read() {
        let set = set(&[ec(r#","use":"sig","kid":"1","alg":"ES256""#)]).unwrap();
        let key = &set.keys[0];
        assert_eq!((key.id.as_deref(), key.algorithm), (Some("1"), Algorithm::Es256));
        assert_eq!(key.spki.len(), 91);
    }

    #[test]
    fn unusable_keys_are_skipped_and_say_why() {
        let rsa = |n: &[u8], e: &[u8]| {
            let (n, e) = (base64url::encode(n), base64url::encode(e));
            format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#)
        };
        for bad in [
            ec(r#","use":"enc""#),
            ec(r#","key_ops":["sign"]"#),
            ec(r#","alg":"RS256""#),
            ec(r#","alg":1"#),
            ec(r#","kid":7"#),
            EC.replace("P-256", "P-521").replacen('"', "{\"", 1) + "}",
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            r#"{"kty":"RSA","n":"!","e":"AQAB"}"#.to_owned(),
            rsa(&[0xff; 128], &[1, 0, 1]),
            rsa(&[0xff; 1025], &[1, 0, 1]),
            rsa(&[0xff; 256], &[1]),
            rsa(&[0xff; 256], &[1, 0, 0]),
            rsa(&[0xff; 256], &[1, 0, 0, 0, 0, 1]),
            "7".to_owned(),
        ] {
            let set = set(&[bad.clone(), ec("")]).unwrap();
            assert_eq!((set.keys.len(), set.skipped.len()), (1, 1), "{bad}");
            assert_eq!(set.skipped[0].index, 0);
        }
    }

    #[test]
    fn sets_that_cannot_be_used_are_refused() {
        assert_eq!(KeySet::parse(b"[]"), Err(KeySetError::Form));
        assert_eq!(KeySet::parse(b"{\"keys\":{}}"), Err(KeySetError::Form));
        assert_eq!(set(&[]), Err(KeySetError::Empty));
        let twice = ec(r#","kid":"a""#);
        assert_eq!(set(&[twice.clone(), twice]), Err(KeySetError::RepeatedId));
        assert_eq!(set(&vec![ec(""); MAX_KEYS + 1]), Err(KeySetError::TooLarge));
    }
}

//! Names for keys that follow from the keys themselves (RFC 7638).

use sha2::{Digest as _, Sha256};

use crate::base64url;
use crate::jwk::{Key, KeyMaterial};

impl Key {
    /// SHA-256 over the members that make the key what it is, in the order and spelling of
    /// RFC 7638 §3 (RFC 8037 §2 for Ed25519): two JWKs of one key have one thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        let text = match &self.material {
            KeyMaterial::Rsa { modulus, exponent } => {
                let (n, e) = (base64url::encode(modulus), base64url::encode(exponent));
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
            KeyMaterial::Ec { curve, x, y } => {
                let (x, y) = (base64url::encode(x), base64url::encode(y));
                let curve = curve.as_str();
                format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            KeyMaterial::Ed25519 { point } => {
                let x = base64url::encode(point);
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
            }
        };
        Sha256::digest(text.as_bytes()).into()
    }
}

//! Signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1).

/// Signature algorithms with a public key. What signs with a shared secret is not among them,
/// so no public key can be mistaken for one (RFC 8725 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256, MGF1 with the same, and a salt as long as the hash.
    Ps256,
    /// RSASSA-PSS with SHA-384, likewise.
    Ps384,
    /// RSASSA-PSS with SHA-512, likewise.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519. Ed448, which RFC 8037 calls by the same name, is not supported.
    EdDsa,
}

/// What is hashed with before the signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashFunction {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

/// Kinds of keys, each with all that decides which algorithms it may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `kty` RSA
    Rsa,
    /// `kty` EC with its `crv`
    Ec(Curve),
    /// `kty` OKP with `crv` Ed25519
    Ed25519,
}

/// The curves of ECDSA (RFC 7518 §6.2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// `P-256`
    P256,
    /// `P-384`
    P384,
    /// `P-521`
    P521,
}

impl Algorithm {
    /// All that are known.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// As `alg` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Reads `alg`; case matters. `Ed25519` is what RFC 9864 §2.2 would rather see for `EdDSA`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }

    /// The kind of key that it needs.
    #[must_use]
    pub const fn key_type(self) -> KeyType {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                KeyType::Rsa
            }
            Self::Es256 => KeyType::Ec(Curve::P256),
            Self::Es384 => KeyType::Ec(Curve::P384),
            Self::Es512 => KeyType::Ec(Curve::P521),
            Self::EdDsa => KeyType::Ed25519,
        }
    }

    /// What the signing input is hashed with; none for EdDSA, which signs it as it is.
    #[must_use]
    pub const fn hash(self) -> Option<HashFunction> {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => Some(HashFunction::Sha256),
            Self::Rs384 | Self::Ps384 | Self::Es384 => Some(HashFunction::Sha384),
            Self::Rs512 | Self::Ps512 | Self::Es512 => Some(HashFunction::Sha512),
            Self::EdDsa => None,
        }
    }
}

impl KeyType {
    /// The algorithm of a key that names none. Only RSA leaves a choice, and there RS256 is
    /// what every issuer means that does not say.
    #[must_use]
    pub const fn default_algorithm(self) -> Algorithm {
        match self {
            Self::Rsa => Algorithm::Rs256,
            Self::Ec(Curve::P256) => Algorithm::Es256,
            Self::Ec(Curve::P384) => Algorithm::Es384,
            Self::Ec(Curve::P521) => Algorithm::Es512,
            Self::Ed25519 => Algorithm::EdDsa,
        }
    }
}

impl Curve {
    /// As `crv` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Reads `crv`; case matters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521].into_iter().find(|curve| curve.as_str() == text)
    }

    /// How long each coordinate is, and each half of a signature (RFC 7518 §3.4, §6.2.1.2).
    #[must_use]
    pub const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
            assert_eq!(Algorithm::parse(&algorithm.as_str().to_lowercase()), None);
        }
        assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDsa));
        for other in ["none", "None", "HS256", "HS384", "HS512", "ES256K", "Ed448", "RSA-OAEP", ""]
        {
            assert_eq!(Algorithm::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_key_that_names_no_algorithm_gets_one_that_it_can_serve() {
        for algorithm in Algorithm::ALL {
            let bound = algorithm.key_type().default_algorithm();
            assert_eq!(bound.key_type(), algorithm.key_type());
        }
    }
}

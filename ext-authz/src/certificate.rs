//! The client's certificate as Envoy tells it to `ext_authz` (`include_peer_certificate`): PEM,
//! with what cannot stand in a URL percent-encoded.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

/// Longest text that is looked at: many times what a certificate takes.
const MAX_BYTES: usize = 65_536;

/// SHA-256 of the certificate in DER (RFC 8705 §3.1); none when the text holds none, several or
/// anything broken.
pub(crate) fn hash(text: &str) -> Option<[u8; 32]> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let pem = decode(text.as_bytes())?;
    let mut certificates = CertificateDer::pem_slice_iter(&pem);
    let certificate = certificates.next()?.ok()?;
    certificates.next().is_none().then(|| Sha256::digest(&certificate).into())
}

/// Takes percent-encoding away (RFC 3986 §2.1).
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => digit(*bytes.next()?)? << 4 | digit(*bytes.next()?)?,
            byte => *byte,
        });
    }
    Some(out)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use postern_jose::xfcc::sha256_from_hex;

    /// Self-signed, made for this test; its key was never kept.
    pub(crate) const CLIENT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUYkZymqiVs8UuwlHbGSuYSfEMokswCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLY2xpZW50LnRlc3QwIBcNMjYxMTIyMDMwMjI0WhgPMjEyNjEw
MjkwMzAyMjRaMBYxFDASBgNVBAMMC2NsaWVudC50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEWr0q8dbPUY1cKy5XTVeehv/qBim0O0Z0utJP9VwzgQmGZQMz
TA1HcrlvmYYb07VKgi5ucO5t3YLil01KVPY2UqNTMFEwHQYDVR0OBBYEFJxAuSBj
5wMkM+2eG4UYZKZxGi85MB8GA1UdIwQYMBaAFJxAuSBj5wMkM+2eG4UYZKZxGi85
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgfDnwkzzVyngsZjPA
XjxAD4CDPoJxYREGa0J8vy9HI4wCIQCgtFmgZzeqdAr6HPaBu6eS1mTAgGMAGCxH
9C+PDKuwiw==
-----END CERTIFICATE-----
";
    /// openssl x509 -outform der | sha256sum
    const CLIENT_HASH: &str = "59aae48b7938773cf06a998e6ee608cea7a664dbb2e0cff662e1e15d48be68ca";

    pub(crate) fn client_hash() -> [u8; 32] {
        sha256_from_hex(CLIENT_HASH.as_bytes()).unwrap()
    }

    /// As Envoy writes it.
    pub(crate) fn encoded(pem: &str) -> String {
        let codes = [("\n", "%0A"), (" ", "%20"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")];
        codes.iter().fold(pem.to_owned(), |text, (plain, code)| text.replace(plain, code))
    }

    #[test]
    fn the_hash_is_that_of_the_der() {
        assert_eq!(hash(&encoded(CLIENT)), Some(client_hash()));
        assert_eq!(hash(&encoded(CLIENT).replace("%2B", "%2b")), Some(client_hash()));
        assert_eq!(hash(CLIENT), Some(client_hash()));
    }

    #[test]
    fn anything_else_is_no_certificate() {
        let good = encoded(CLIENT);
        for bad in [
            String::new(),
            "%".to_owned(),
            good.replace("%0A", "%0"),
            good.replacen("%0A", "%zz", 1),
            good.replacen("%0A", "%+A", 1),
            good.replace("%0A", "+"),
            good.replace("CERTIFICATE", "PRIVATE%20KEY"),
            good.replace("END", "BEGIN"),
            good.replace("MII", "M!I"),
            format!("{good}{good}"),
            format!("{good}{}", " ".repeat(MAX_BYTES)),
            encoded("-----BEGIN CERTIFICATE-----\n"),
        ] {
            assert_eq!(hash(&bad), None, "{bad:.80}");
        }
    }
}

//! The certificate that a client has shown on its connection.

use postern_jose::xfcc::{self, ToldCertificate, XfccError};
use postern_request::headers::Single;

/// What counts of a certificate (RFC 8705 §2.1.2, §2.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShownCertificate {
    /// SHA-256 of it in DER.
    pub sha256: [u8; 32],
    /// Its subject, as RFC 2253 writes it.
    pub subject: Option<String>,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// Its URIs.
    pub uris: Vec<String>,
}

impl ShownCertificate {
    /// Reads `x-forwarded-client-cert`, which somebody has written who is trusted to; none where
    /// no certificate was shown.
    ///
    /// # Errors
    /// When it does not say which one.
    pub fn read(header: Single<'_>) -> Result<Option<Self>, XfccError> {
        let told = xfcc::forwarded_certificate(header)?;
        Ok(told.map(|ToldCertificate { sha256, subject, dns_names, uris }| Self {
            sha256,
            subject,
            dns_names,
            uris,
        }))
    }

    /// Whether a client that registered this hash, `sha256:` and its digits, means this one.
    #[must_use]
    pub fn is_hashed(&self, registered: &str) -> bool {
        registered.starts_with("sha256:") && self.is_named(registered)
    }

    /// Whether this is the one that a client registered: `subject:`, `dns:`, `uri:` or `sha256:`
    /// and the name or the digits. A name only means something where an authority has signed it,
    /// which whoever saw the certificate has checked; so a client with a certificate of its own
    /// registers the hash.
    #[must_use]
    pub fn is_named(&self, registered: &str) -> bool {
        match registered.split_once(':') {
            Some(("dns", name)) => {
                !name.is_empty() && self.dns_names.iter().any(|one| one.eq_ignore_ascii_case(name))
            }
            Some(("subject", name)) => !name.is_empty() && self.subject.as_deref() == Some(name),
            Some(("uri", uri)) => !uri.is_empty() && self.uris.iter().any(|one| one == uri),
            Some(("sha256", digits)) => {
                postern_jose::xfcc::sha256_from_hex(digits.as_bytes()) == Some(self.sha256)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_known_by_one_name() {
        let certificate = ShownCertificate {
            sha256: [0xab; 32],
            subject: Some("CN=batch,O=Example".to_owned()),
            dns_names: vec!["batch.example".to_owned(), "*.example".to_owned()],
            uris: vec!["spiffe://mesh/ns/a/sa/b".to_owned()],
        };
        for (registered, expected) in [
            ("dns:batch.example".to_owned(), true),
            ("dns:BATCH.example".to_owned(), true),
            ("dns:other.example".to_owned(), false),
            ("dns:".to_owned(), false),
            ("uri:spiffe://mesh/ns/a/sa/b".to_owned(), true),
            ("uri:spiffe://mesh/ns/A/sa/b".to_owned(), false),
            ("uri:batch.example".to_owned(), false),
            ("subject:CN=batch,O=Example".to_owned(), true),
            ("subject:CN=batch".to_owned(), false),
            ("subject:".to_owned(), false),
            (format!("sha256:{}", "ab".repeat(32)), true),
            (format!("sha256:{}", "AB".repeat(32)), true),
            (format!("sha256:{}", "ac".repeat(32)), false),
            (format!("sha256:{}", "ab".repeat(31)), false),
            ("sha256:".to_owned(), false),
            ("batch.example".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(certificate.is_named(&registered), expected, "{registered}");
            let is_hash = expected && registered.starts_with("sha256:");
            assert_eq!(certificate.is_hashed(&registered), is_hash, "{registered}");
        }
        let nameless = ShownCertificate {
            subject: Some(String::new()),
            dns_names: vec![String::new()],
            uris: vec![String::new()],
            ..ShownCertificate::default()
        };
        for kind in ["subject:", "dns:", "uri:"] {
            assert!(!nameless.is_named(kind), "{kind}");
        }
    }

    #[test]
    fn a_certificate_is_read_as_it_is_told() {
        let header = format!("Hash={};Subject=\"CN=a\";URI=spiffe://m/b", "ab".repeat(32));
        let read = ShownCertificate::read(Single::One(header.as_bytes())).unwrap().unwrap();
        assert!(read.is_named("uri:spiffe://m/b") && read.is_named("subject:CN=a"));
        assert_eq!(read.sha256, [0xab; 32]);
        assert_eq!(ShownCertificate::read(Single::Absent), Ok(None));
        assert!(ShownCertificate::read(Single::One(b"Hash=1")).is_err());
    }
}

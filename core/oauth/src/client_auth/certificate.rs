//! The certificate that a client has shown on its connection.

/// What counts of a certificate (RFC 8705 §2.1.2, §2.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShownCertificate {
    /// SHA-256 of it in DER.
    pub sha256: [u8; 32],
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// Its URIs.
    pub uris: Vec<String>,
}

impl ShownCertificate {
    /// Whether this is the one that a client registered: `dns:`, `uri:` or `sha256:` and the
    /// name or the digits. A name only means something where an authority has signed it, which
    /// whoever saw the certificate has checked; so a client with a certificate of its own
    /// registers the hash.
    #[must_use]
    pub fn is_named(&self, registered: &str) -> bool {
        match registered.split_once(':') {
            Some(("dns", name)) => {
                !name.is_empty() && self.dns_names.iter().any(|one| one.eq_ignore_ascii_case(name))
            }
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
            (format!("sha256:{}", "ab".repeat(32)), true),
            (format!("sha256:{}", "AB".repeat(32)), true),
            (format!("sha256:{}", "ac".repeat(32)), false),
            (format!("sha256:{}", "ab".repeat(31)), false),
            ("sha256:".to_owned(), false),
            ("batch.example".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(certificate.is_named(&registered), expected, "{registered}");
        }
        let nameless = ShownCertificate {
            dns_names: vec![String::new()],
            uris: vec![String::new()],
            ..ShownCertificate::default()
        };
        assert!(!nameless.is_named("dns:") && !nameless.is_named("uri:"));
    }
}

//! The SPIFFE id of a certificate. Whether the certificate holds was checked when its TLS
//! connection was made.

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::only_spiffe_id;

/// The SPIFFE id in the subject alternative names of a certificate in DER.
pub(crate) fn spiffe_id(der: &[u8]) -> Option<String> {
    let der = CertificateDer::from(der);
    let certificate = EndEntityCert::try_from(&der).ok()?;
    only_spiffe_id(certificate.valid_uri_names()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    // Self-signed, made for this test; their keys were never kept.
    /// URI:spiffe://mesh.test/ns/shop/sa/payments
    const ONE: &str = "\
        MIIBqjCCAVCgAwIBAgIUXxj8W/4FtBeKcAV4PUwCydspXdEwCgYIKoZIzj0EAwIwDzENMAsGA1UECgwEdGVz\
        dDAgFw0yNjExMjIwMTAyMjdaGA8yMTI2MTAyOTAxMDIyN1owDzENMAsGA1UECgwEdGVzdDBZMBMGByqGSM49\
        AgEGCCqGSM49AwEHA0IABM1ijjCxUUlvrHuDibLngAYmdvZdwK9om8EKCtk8WQiFlxmdcGHrfcGo1IUoQ4am\
        aIXFQFTWYxjPLU9f0kWSx46jgYcwgYQwHQYDVR0OBBYEFOFXufykHB96qKHg9aBulpp6IL25MB8GA1UdIwQY\
        MBaAFOFXufykHB96qKHg9aBulpp6IL25MA8GA1UdEwEB/wQFMAMBAf8wMQYDVR0RBCowKIYmc3BpZmZlOi8v\
        bWVzaC50ZXN0L25zL3Nob3Avc2EvcGF5bWVudHMwCgYIKoZIzj0EAwIDSAAwRQIgH+Jrc5C3GbgjSuUiU2D+\
        Fu3x50sVolG8BA4FDX1gmHYCIQDPLgxJc4hvNNXx9oiqJi2ho/Y8dRQVJTD8yd7nrp2Crg==";
    /// URI:spiffe://mesh.test/a, URI:spiffe://mesh.test/b
    const TWO: &str = "\
        MIIBrjCCAVSgAwIBAgIUVcMB94F9G1ISRSu/ILZ00MwTST4wCgYIKoZIzj0EAwIwDzENMAsGA1UECgwEdGVz\
        dDAgFw0yNjExMjIwMTAyMjdaGA8yMTI2MTAyOTAxMDIyN1owDzENMAsGA1UECgwEdGVzdDBZMBMGByqGSM49\
        AgEGCCqGSM49AwEHA0IABPfGpnD7XGlNMo8zdjDqDNhcchskgJtZKKELfLqWW8eM6I5HVgexMw9Rr2WFw6pK\
        ZXXzSNGjNc+3FFrX1BXlcq+jgYswgYgwHQYDVR0OBBYEFAswnpvry9aEgWc8iaTYJ5Lfwv16MB8GA1UdIwQY\
        MBaAFAswnpvry9aEgWc8iaTYJ5Lfwv16MA8GA1UdEwEB/wQFMAMBAf8wNQYDVR0RBC4wLIYUc3BpZmZlOi8v\
        bWVzaC50ZXN0L2GGFHNwaWZmZTovL21lc2gudGVzdC9iMAoGCCqGSM49BAMCA0gAMEUCIHuv5hII0pcSIGkK\
        yq2zYaqXrm1dh/ORpJU/IY3C4zMcAiEA5TQivGF2K1Fbno5Z+LbfR+pCSw1wr9X34AAcR674ovI=";
    /// DNS:mesh.test
    const NONE: &str = "\
        MIIBizCCATGgAwIBAgIUE8GKTZRskerkiGajQ4of2ZapP2owCgYIKoZIzj0EAwIwDzENMAsGA1UECgwEdGVz\
        dDAgFw0yNjExMjIwMTAyMjdaGA8yMTI2MTAyOTAxMDIyN1owDzENMAsGA1UECgwEdGVzdDBZMBMGByqGSM49\
        AgEGCCqGSM49AwEHA0IABOkNIOoFP5xhqIeOtdRYT0PmA8nOA4vq/LSYu7EsmzF4cwHPrTwDvQx25l2+NmF9\
        cjDv1byJLS84mkHzVYkAq52jaTBnMB0GA1UdDgQWBBTT4B2GmOKUFNjFcu0V9ZS7z/Cg1DAfBgNVHSMEGDAW\
        gBTT4B2GmOKUFNjFcu0V9ZS7z/Cg1DAPBgNVHRMBAf8EBTADAQH/MBQGA1UdEQQNMAuCCW1lc2gudGVzdDAK\
        BggqhkjOPQQDAgNIADBFAiEA+P2OJHwzHI+A5jd321Brop4XQYv8yH1tfBZimvwS4EACIALMdlvPr0kP+45A\
        b+OClWZEQ5lNUP4gDxCpSmajjQGd";

    #[test]
    fn a_certificate_names_one_workload() {
        let of = |text: &str| spiffe_id(&STANDARD.decode(text).unwrap());
        assert_eq!(of(ONE).as_deref(), Some("spiffe://mesh.test/ns/shop/sa/payments"));
        assert_eq!(of(TWO), None);
        assert_eq!(of(NONE), None);
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        let mut der = STANDARD.decode(ONE).unwrap();
        der.truncate(200);
        assert_eq!(spiffe_id(&der), None);
        assert_eq!(spiffe_id(&[]), None);
    }
}

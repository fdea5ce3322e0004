//! Clients that are known by the certificate of their connection (RFC 8705 §2).

use postern_oauth::{AuthMethod, OAuthError, ShownCertificate};
use postern_request::UnixMillis;

use super::OAuthService;
use crate::clients::KnownClient;

impl OAuthService {
    /// Whether a certificate is the one that a client is registered by. A name counts where an
    /// authority has signed it (§2.1); a certificate of the client's own is known by its hash, as
    /// it was registered or as its key set has it (§2.2).
    ///
    /// # Errors
    /// Those of what the client's keys are fetched from: nobody knows then.
    pub(super) async fn is_certificate_of(
        &self,
        shown: &ShownCertificate,
        known: &KnownClient,
        now: UnixMillis,
    ) -> Result<bool, OAuthError> {
        let (client, record) = (&known.client, &known.record);
        let registered = record.tls_subject.as_deref();
        if !client.is_active || !self.rules().server.takes(client.auth_method) {
            return Ok(false);
        }
        match client.auth_method {
            AuthMethod::TlsClientAuth => Ok(registered.is_some_and(|one| shown.is_named(one))),
            AuthMethod::SelfSignedTls => {
                if let Some(registered) = registered {
                    return Ok(shown.is_hashed(registered));
                }
                let keys = self.client_keys.of(record, None, now).await?;
                Ok(keys.is_some_and(|keys| keys.certificates.contains(&shown.sha256)))
            }
            _ => Ok(false),
        }
    }
}

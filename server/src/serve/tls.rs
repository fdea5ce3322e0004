//! TLS on the gRPC port.
//!
//! A client certificate is asked for and need not be shown: `ext_authz` and `ext_proc` serve
//! whoever reaches the port, as they do without TLS, and the feed looks at who it is. One that is
//! shown must hold.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use crate::cli::Serve;

/// A client that connects and says nothing is not waited for longer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The server of the gRPC port, with TLS where it is asked for.
///
/// # Errors
/// When a file cannot be read, or the certificate and its key do not go together.
pub fn server(arguments: &Serve) -> Result<Server> {
    // The command line takes neither without the other.
    let (Some(certificate), Some(key)) = (&arguments.grpc_tls_cert, &arguments.grpc_tls_key) else {
        return Ok(Server::builder());
    };
    let identity =
        Identity::from_pem(read("--grpc-tls-cert", certificate)?, read("--grpc-tls-key", key)?);
    let mut tls = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE_TIMEOUT);
    if let Some(ca) = &arguments.grpc_client_ca {
        let ca = Certificate::from_pem(read("--grpc-client-ca", ca)?);
        tls = tls.client_ca_root(ca).client_auth_optional(true);
    }
    Server::builder().tls_config(tls).context(
        "the gRPC port's TLS: --grpc-tls-cert, --grpc-tls-key and --grpc-client-ca are PEM files, \
         the first two a certificate and its key",
    )
}

fn read(option: &str, file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("{option}: cannot read {}", file.display()))
}

#[cfg(test)]
mod tests;

//! Requests byte for byte, from an address of our choice: in plain text, over TLS from outside, or
//! as a workload's sidecar would send them.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use postern_e2e::raw::is_whole;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use tokio::net::TcpSocket;

use crate::certificates::Pair;

/// The longest that an answer may take.
const LONGEST: Duration = Duration::from_secs(10);
/// What sidecars offer each other: where both kinds of callers are taken, a workload of the mesh
/// is told by it.
const OVER_HTTP: &[u8] = b"istio-http/1.1";
const OVER_TCP: &[u8] = b"istio";
/// What everybody else offers.
const OUTSIDE: &[u8] = b"http/1.1";

/// How a connection is made safe: what is shown, offered and asked for.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: &'static str,
}

impl Tls {
    /// As a sidecar of this workload calls a port for HTTP.
    #[must_use]
    pub fn of_workload(pair: &Pair, name: &'static str) -> Self {
        Self { config: config(Some(pair), OVER_HTTP), name }
    }

    /// As a sidecar of this workload calls any other port.
    #[must_use]
    pub fn of_workload_over_tcp(pair: &Pair, name: &'static str) -> Self {
        Self { config: config(Some(pair), OVER_TCP), name }
    }

    /// As somebody from outside calls a gateway.
    #[must_use]
    pub fn from_outside(name: &'static str) -> Self {
        Self { config: config(None, OUTSIDE), name }
    }
}

fn config(own: Option<&Pair>, protocol: &[u8]) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
            let chain = chain.map(|one| one.expect("a certificate")).collect();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
            builder.with_client_auth_cert(chain, key).expect("a certificate and its key")
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// Sends a request and reads all that comes back; nothing where the connection fails.
///
/// # Panics
/// When there is no such address to call from.
pub async fn exchange(from: IpAddr, to: SocketAddr, tls: Option<Tls>, request: Vec<u8>) -> Vec<u8> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(from, 0)).expect("an address to call from");
    let Ok(stream) = socket.connect(to).await else { return Vec::new() };
    let stream = stream.into_std().expect("a connection");
    let answered = tokio::task::spawn_blocking(move || {
        stream.set_nonblocking(false).expect("a connection that waits");
        stream.set_read_timeout(Some(LONGEST)).expect("a time");
        stream.set_write_timeout(Some(LONGEST)).expect("a time");
        match tls {
            None => talk(stream, &request),
            Some(Tls { config, name }) => {
                let name = ServerName::try_from(name).expect("a name");
                let tls = ClientConnection::new(config, name).expect("a client");
                talk(StreamOwned::new(tls, stream), &request)
            }
        }
    });
    answered.await.expect("an exchange")
}

fn talk(mut stream: impl Read + Write, request: &[u8]) -> Vec<u8> {
    let mut received = Vec::new();
    let mut buffer = [0; 16 * 1024];
    // Whoever refuses, ends the connection at any time; what came until then is the answer.
    let _ = stream.write_all(request).and_then(|()| stream.flush());
    while !is_whole(&received) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => received.extend_from_slice(&buffer[..read]),
        }
    }
    received
}

/// Takes everybody for the server: its certificate names no host.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

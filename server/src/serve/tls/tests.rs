use std::path::PathBuf;

use clap::Parser as _;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, ClientTlsConfig};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::cli::{Cli, Command};

/// A certificate authority, and a certificate of it for `localhost` with its key: those of the
/// end-to-end tests.
const CA: &str = include_str!("../../../../tests/fixtures/tls/ca.pem");
const SERVER: &str = include_str!("../../../../tests/fixtures/tls/server.pem");
const SERVER_KEY: &str = include_str!("../../../../tests/fixtures/tls/server-key.pem");

/// A folder with the files that the options name.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(TempDir::new().unwrap());
        for (name, text) in
            [("cert.pem", SERVER), ("key.pem", SERVER_KEY), ("ca.pem", CA), ("not.pem", "nothing")]
        {
            std::fs::write(files.path(name), text).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `postern serve` with these options and files.
    fn serve(&self, options: &[(&str, &str)]) -> Serve {
        let mut words: Vec<String> = ["postern", "serve", "gateway.yaml"].map(str::to_owned).into();
        for (option, file) in options {
            words.push((*option).to_owned());
            words.push(self.path(file).display().to_string());
        }
        match Cli::try_parse_from(words).unwrap().command {
            Command::Serve(serve) => *serve,
            other => panic!("{other:?}"),
        }
    }
}

const BOTH: [(&str, &str); 2] = [("--grpc-tls-cert", "cert.pem"), ("--grpc-tls-key", "key.pem")];

#[tokio::test]
async fn the_port_speaks_tls_to_those_who_show_no_certificate() {
    let files = Files::new();
    let options = [BOTH[0], BOTH[1], ("--grpc-client-ca", "ca.pem")];
    let mut server = server(&files.serve(&options)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let serving = server.add_service(health);
    tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));

    let ca = Certificate::from_pem(CA);
    let tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
    let channel = Channel::from_shared(format!("https://{address}")).unwrap();
    let channel = channel.tls_config(tls).unwrap().connect().await.unwrap();
    let asked = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    assert!(asked.is_ok(), "{asked:?}");

    let plain = Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let asked = HealthClient::new(plain).check(HealthCheckRequest::default()).await;
    assert!(asked.is_err(), "nobody is served in the clear");
}

#[test]
fn what_cannot_be_used_is_said_at_the_start_by_its_option() {
    let files = Files::new();
    assert!(server(&files.serve(&[])).is_ok(), "no TLS is asked for");
    for (options, expected) in [
        ([BOTH[0], ("--grpc-tls-key", "missing.pem")], "--grpc-tls-key"),
        ([("--grpc-tls-cert", "missing.pem"), BOTH[1]], "--grpc-tls-cert"),
        ([BOTH[0], ("--grpc-tls-key", "not.pem")], "PEM"),
        ([("--grpc-tls-cert", "not.pem"), BOTH[1]], "PEM"),
        // The key of another certificate.
        ([("--grpc-tls-cert", "ca.pem"), BOTH[1]], "PEM"),
    ] {
        let error = server(&files.serve(&options)).err().unwrap();
        let text = format!("{error:#}");
        assert!(text.contains(expected), "{options:?}: {text}");
        let mut secret = SERVER_KEY.lines().filter(|line| !line.starts_with("-----"));
        assert!(!secret.any(|line| text.contains(line)), "{text}");
    }
    let no_ca = [BOTH[0], BOTH[1], ("--grpc-client-ca", "not.pem")];
    assert!(server(&files.serve(&no_ca)).is_err());
}

#[test]
fn one_without_the_other_is_no_command_line() {
    for words in
        [["--grpc-tls-cert", "a"].as_slice(), &["--grpc-tls-key", "a"], &["--grpc-client-ca", "a"]]
    {
        let all = ["postern", "serve", "gateway.yaml"].iter().chain(words);
        assert!(Cli::try_parse_from(all).is_err(), "{words:?}");
    }
}

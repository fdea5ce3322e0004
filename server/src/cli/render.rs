//! The command line of `postern render`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use postern_render::envoy::HostPort;

use super::values::{access_log, listen_address};

/// `postern render`
#[derive(Debug, Args)]
pub struct Render {
    /// For what.
    #[command(subcommand)]
    pub target: RenderTarget,
}

/// Targets of `render`.
#[derive(Debug, Subcommand)]
pub enum RenderTarget {
    /// An Envoy bootstrap: envoy.json.
    Envoy(Box<RenderEnvoy>),
    /// Istio manifests.
    Istio(RenderIstio),
}

/// `postern render envoy`
#[derive(Debug, Args)]
pub struct RenderEnvoy {
    /// The document: a file, or a folder of fragments.
    pub document: PathBuf,
    /// The folder to write to.
    #[arg(long)]
    pub out: PathBuf,
    /// Where Envoy listens.
    #[arg(long, default_value = "127.0.0.1:8080", value_parser = listen_address)]
    pub listen: SocketAddr,
    /// Where Envoy's admin interface listens.
    #[arg(long, default_value = "127.0.0.1:9901", value_parser = listen_address)]
    pub envoy_admin: SocketAddr,
    /// The server's gRPC port.
    #[arg(long, default_value = "127.0.0.1:9191")]
    pub server_grpc: HostPort,
    /// The server's public HTTP port.
    #[arg(long, default_value = "127.0.0.1:9192")]
    pub server_public: HostPort,
    /// The authority of the server's certificate, a file that Envoy can read: TLS to the gRPC port.
    #[arg(long, value_name = "FILE", value_parser = NonEmptyStringValueParser::new())]
    pub server_ca: Option<String>,
    /// The name or address in the server's certificate; that of --server-grpc by default.
    #[arg(long, requires = "server_ca", value_parser = NonEmptyStringValueParser::new())]
    pub server_name: Option<String>,
    /// The certificate that Envoy shows the server, a file that Envoy can read.
    #[arg(
        long,
        value_name = "FILE",
        requires = "server_ca",
        requires = "client_key",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub client_cert: Option<String>,
    /// Its private key, a file that Envoy can read.
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_cert",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub client_key: Option<String>,
    /// The credential that Envoy shows the feed, a file that Envoy can read.
    #[arg(long, value_name = "FILE", value_parser = NonEmptyStringValueParser::new())]
    pub feed_credential_file: Option<String>,
    /// The workload that this Envoy guards, as `feed.peers` names it.
    #[arg(long, default_value = "edge", value_parser = NonEmptyStringValueParser::new())]
    pub workload: String,
    /// Envoy's name for itself (`node.id`).
    #[arg(long, default_value = "postern-edge", value_parser = NonEmptyStringValueParser::new())]
    pub node_id: String,
    /// The filter module, as a path that Envoy can read.
    #[arg(long, default_value = "/etc/postern/postern-bundle.wasm")]
    pub wasm: String,
    /// Where access logs go; `none` for no access logs.
    #[arg(long, default_value = "/dev/stdout", value_parser = access_log)]
    pub access_log: String,
}

/// `postern render istio`
#[derive(Debug, Args)]
pub struct RenderIstio {
    /// The document: a file, or a folder of fragments.
    pub document: PathBuf,
    /// The folder to write to.
    #[arg(long)]
    pub out: PathBuf,
    /// The mesh's version, MAJOR.MINOR.
    #[arg(long, default_value = "1.30")]
    pub istio_version: String,
    /// Where the mesh gets the filter module.
    #[arg(long, default_value = "oci://registry.example.test/postern-bundle:0.1.0")]
    pub wasm_url: String,
    /// SHA-256 of the filter module, to pin it.
    #[arg(long)]
    pub wasm_sha256: Option<String>,
    /// The namespace of the suite.
    #[arg(long, default_value = "postern-system")]
    pub namespace: String,
    /// The workload that the gateway guards, as `feed.peers` names it.
    #[arg(long, default_value = "edge", value_parser = NonEmptyStringValueParser::new())]
    pub workload: String,
}

//! The command line of `postern render envoy`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use postern_render::envoy::{
    ClientCertificate, HostPort, Kind, MeshTls, ServerTls, Source, XdsProtocol,
};

use super::super::values::{access_log, listen_address, node_id, zone};

/// What an Envoy stands in front of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EnvoyKind {
    /// All services: calls from outside arrive here.
    Edge,
    /// One workload, on its machine.
    Sidecar,
}

/// Where an Envoy takes listeners, clusters and routes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EnvoySource {
    /// The bootstrap itself.
    Static,
    /// Files beside it that Envoy watches.
    Files,
    /// A server.
    Ads,
}

/// The form in which an Envoy asks a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EnvoyProtocol {
    /// For what is different from what it has.
    Delta,
    /// For everything, each time (state of the world).
    Sotw,
}

/// `postern render envoy`
#[derive(Debug, Args)]
pub struct RenderEnvoy {
    /// The document: a file, or a folder of fragments.
    pub document: PathBuf,
    /// The folder to write to.
    #[arg(long)]
    pub out: PathBuf,
    /// What the Envoy stands in front of.
    #[arg(long, value_enum, default_value = "edge")]
    pub kind: EnvoyKind,
    /// Beside a workload: the port on 127.0.0.1 where its program listens; that of each service by
    /// default.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub upstream_port: Option<u16>,
    /// Where it takes listeners, clusters and routes from.
    #[arg(long, value_enum, default_value = "static")]
    pub source: EnvoySource,
    /// The folder of the files that it watches, as a path that Envoy can read.
    #[arg(
        long,
        value_name = "FOLDER",
        required_if_eq("source", "files"),
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub source_folder: Option<String>,
    /// The gRPC port of the server that it asks for them.
    #[arg(long, value_name = "HOST:PORT", required_if_eq("source", "ads"))]
    pub xds_server: Option<HostPort>,
    /// The authority of that server's certificate, a file that Envoy can read: TLS to it.
    #[arg(
        long,
        value_name = "FILE",
        requires = "xds_server",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub xds_ca: Option<String>,
    /// In which form it asks that server; delta by default.
    #[arg(long, value_enum, requires = "xds_server")]
    pub xds_protocol: Option<EnvoyProtocol>,
    /// Where Envoy listens.
    #[arg(long, default_value = "127.0.0.1:8080", value_parser = listen_address)]
    pub listen: SocketAddr,
    /// Where Envoy's admin interface listens.
    #[arg(long, default_value = "127.0.0.1:9901", value_parser = listen_address)]
    pub envoy_admin: SocketAddr,
    /// The server's gRPC port; that of --xds-server by default, or 127.0.0.1:9191.
    #[arg(long, value_name = "HOST:PORT")]
    pub server_grpc: Option<HostPort>,
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
        requires = "server_ca",
        requires = "client_cert",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub client_key: Option<String>,
    /// The authority of all certificates between Envoys of ours, a file that Envoy can read.
    #[arg(
        long,
        value_name = "FILE",
        requires = "mesh_cert",
        conflicts_with = "mesh_agent",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub mesh_ca: Option<String>,
    /// The certificate that this Envoy shows them, with its SPIFFE id.
    #[arg(
        long,
        value_name = "FILE",
        requires = "mesh_key",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub mesh_cert: Option<String>,
    /// Its private key.
    #[arg(
        long,
        value_name = "FILE",
        requires = "mesh_ca",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub mesh_key: Option<String>,
    /// The Unix socket of an agent that gives Envoy both (SDS), as a path that Envoy can open.
    #[arg(long, value_name = "SOCKET", value_parser = NonEmptyStringValueParser::new())]
    pub mesh_agent: Option<String>,
    /// The credential that Envoy shows the feed, a file that Envoy can read.
    #[arg(long, value_name = "FILE", value_parser = NonEmptyStringValueParser::new())]
    pub feed_credential_file: Option<String>,
    /// The workload that this Envoy guards, as the document and `feed.peers` name it; at the edge
    /// the document's gateway, or `edge`.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub workload: Option<String>,
    /// Envoy's name for itself (`node.id`).
    #[arg(long, default_value = "postern-edge", value_parser = node_id)]
    pub node_id: String,
    /// Where Envoy is, for services that prefer what is near (`node.locality`).
    #[arg(long, value_name = "REGION[/ZONE]", value_parser = zone)]
    pub zone: Option<String>,
    /// The filter module, as a path that Envoy can read.
    #[arg(long, default_value = "/etc/postern/postern-bundle.wasm")]
    pub wasm: String,
    /// Where access logs go; `none` for no access logs.
    #[arg(long, default_value = "/dev/stdout", value_parser = access_log)]
    pub access_log: String,
}

/// What the command line has made sure of: what belongs together is there together.
impl RenderEnvoy {
    /// What the Envoy stands in front of.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.kind {
            EnvoyKind::Edge => Kind::Edge,
            EnvoyKind::Sidecar => Kind::Sidecar { upstream_port: self.upstream_port },
        }
    }

    /// Where it takes its configuration from; none where that is not said.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        match self.source {
            EnvoySource::Static => Some(Source::Static),
            EnvoySource::Files => Some(Source::Files { folder: self.source_folder.clone()? }),
            EnvoySource::Ads => {
                let tls = self.xds_ca.clone();
                let tls = tls.map(|ca| ServerTls { ca, name: None, client: self.client() });
                let protocol = match self.xds_protocol {
                    None | Some(EnvoyProtocol::Delta) => XdsProtocol::Delta,
                    Some(EnvoyProtocol::Sotw) => XdsProtocol::StateOfTheWorld,
                };
                Some(Source::Ads { server: self.xds_server.clone()?, tls, protocol })
            }
        }
    }

    /// The server's gRPC port: who tells an Envoy what it runs also decides, unless said otherwise.
    #[must_use]
    pub fn server_grpc(&self) -> HostPort {
        let here = || HostPort { host: "127.0.0.1".to_owned(), port: 9191 };
        let named = self.server_grpc.as_ref().or(self.xds_server.as_ref());
        named.cloned().unwrap_or_else(here)
    }

    /// TLS to the server.
    #[must_use]
    pub fn server_tls(&self) -> Option<ServerTls> {
        let (ca, name) = (self.server_ca.clone()?, self.server_name.clone());
        Some(ServerTls { ca, name, client: self.client() })
    }

    /// Mutual TLS between Envoys of ours.
    #[must_use]
    pub fn mesh_tls(&self) -> Option<MeshTls> {
        if let Some(socket) = &self.mesh_agent {
            return Some(MeshTls::Agent { socket: socket.clone() });
        }
        let own = self.mesh_cert.clone().zip(self.mesh_key.clone());
        let own = own.map(|(chain, key)| ClientCertificate { chain, key })?;
        Some(MeshTls::Files { ca: self.mesh_ca.clone()?, own })
    }

    fn client(&self) -> Option<ClientCertificate> {
        let client = self.client_cert.clone().zip(self.client_key.clone());
        client.map(|(chain, key)| ClientCertificate { chain, key })
    }
}

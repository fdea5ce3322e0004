//! What the document does not say: addresses, files, and who this Envoy is.

use core::str::FromStr;
use std::net::{Ipv6Addr, SocketAddr};

/// The longest name of an Envoy.
pub const MAX_NODE_ID_BYTES: usize = 256;

/// Whether an Envoy may have this name: it stands in logs and lists, and what an Envoy of another
/// name asks, no server answers.
#[must_use]
pub fn is_node_id(id: &str) -> bool {
    (1..=MAX_NODE_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Where things are, as far as the document does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoyOptions {
    /// What this Envoy stands in front of.
    pub kind: Kind,
    /// Where it takes listeners, clusters and routes from.
    pub source: Source,
    /// Who this Envoy is: `node.id`.
    pub node_id: String,
    /// Where it is, for services that prefer what is near: a region, or region/zone
    /// (`node.locality`); none where that does not matter.
    pub zone: Option<String>,
    /// The workload that this Envoy guards: what the feed tells it. None, at the edge: the
    /// document's gateway, or `edge`.
    pub workload: Option<String>,
    /// What it shows other Envoys of ours, and whom of them it believes; none for plain text.
    pub mesh_tls: Option<MeshTls>,
    /// Where Envoy listens.
    pub listen: SocketAddr,
    /// Where Envoy's admin interface listens.
    pub admin: SocketAddr,
    /// The server's gRPC port, HOST:PORT.
    pub server_grpc: HostPort,
    /// TLS to the server's gRPC port; none for plain text.
    pub server_tls: Option<ServerTls>,
    /// The server's public HTTP port, HOST:PORT.
    pub server_public: HostPort,
    /// The file with the credential that Envoy shows the feed, as a path that Envoy can read.
    pub feed_credential: Option<String>,
    /// The bundle, as a path that Envoy can read.
    pub wasm: String,
    /// Where access logs go; none for no access logs.
    pub access_log: Option<String>,
}

/// What an Envoy stands in front of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// All services: calls from outside arrive here.
    #[default]
    Edge,
    /// One workload, on its machine: for services with `guard: workload`.
    Sidecar {
        /// The port on 127.0.0.1 where the workload's program listens; none for the port that
        /// each service has in the document.
        upstream_port: Option<u16>,
    },
}

/// Where an Envoy takes listeners, clusters and routes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// From the bootstrap itself.
    #[default]
    Static,
    /// From files that it watches: `cds.json`, `rds.json` and `lds.json`.
    Files {
        /// Their folder, as a path that Envoy can read.
        folder: String,
    },
    /// From a server, all of it over one stream (ADS).
    Ads {
        /// The server's gRPC port, HOST:PORT.
        server: HostPort,
        /// TLS to it; none for plain text.
        tls: Option<ServerTls>,
        /// In which form.
        protocol: XdsProtocol,
    },
}

/// The form in which an Envoy asks a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum XdsProtocol {
    /// For what is different from what it has.
    #[default]
    Delta,
    /// For everything, each time (SotW).
    StateOfTheWorld,
}

/// Mutual TLS between Envoys of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeshTls {
    /// By files, paths that Envoy can read.
    Files {
        /// The authority of all certificates of the mesh.
        ca: String,
        /// This Envoy's own certificate, which names its workload by a SPIFFE id.
        own: ClientCertificate,
    },
    /// By an agent on its machine that speaks SDS, as SPIRE's does: the secrets `default` and
    /// `ROOTCA`.
    Agent {
        /// The agent's Unix socket, as a path that Envoy can open.
        socket: String,
    },
}

/// TLS to the server. All files are paths that Envoy can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// The authority that the server's certificate is of.
    pub ca: String,
    /// The name or address that the certificate must be for; that of the port by default.
    pub name: Option<String>,
    /// What Envoy shows of itself.
    pub client: Option<ClientCertificate>,
}

/// A certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, with those between it and the authority.
    pub chain: String,
    /// The private key.
    pub key: String,
}

/// A host, by name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("`{text}` is not HOST:PORT, for example postern.internal:9191");
        let (host, port) = text.rsplit_once(':').ok_or_else(problem)?;
        let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(problem)?;
        let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) if v6.parse::<Ipv6Addr>().is_ok() => v6,
            None if !host.is_empty() && host.bytes().all(is_name_byte) => host,
            _ => return Err(problem()),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_and_a_port_and_nothing_else() {
        for (text, host, port) in [
            ("127.0.0.1:9191", "127.0.0.1", 9191),
            ("postern_1.internal:1", "postern_1.internal", 1),
            ("[::1]:9191", "::1", 9191),
        ] {
            assert_eq!(text.parse::<HostPort>(), Ok(HostPort { host: host.to_owned(), port }));
        }
        for bad in
            ["http://x:1", "x", "x:", ":1", "x:0", "x:65536", "::1:80", "[x]:1", "a b:1", "x:1/"]
        {
            let error = bad.parse::<HostPort>().unwrap_err();
            assert!(error.contains("HOST:PORT"), "{bad}: {error}");
        }
    }
}

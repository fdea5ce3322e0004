//! What an Envoy says of itself to the server that it asks (ADS): those of its options that the
//! answer depends on, by their names.

use core::str::FromStr;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use super::{ClientCertificate, EnvoyOptions, HostPort, Kind, MeshTls, Source, XdsProtocol};

/// The member of `node.metadata` that they stand in.
pub(super) const METADATA: &str = "postern";

const KIND: &str = "kind";
const EDGE: &str = "edge";
const SIDECAR: &str = "sidecar";
const WORKLOAD: &str = "workload";
const UPSTREAM_PORT: &str = "upstream_port";
const LISTEN: &str = "listen";
const WASM: &str = "wasm";
const ACCESS_LOG: &str = "access_log";
const ZONE: &str = "zone";
const MESH_CA: &str = "mesh_ca";
const MESH_CERT: &str = "mesh_cert";
const MESH_KEY: &str = "mesh_key";
const MESH_AGENT: &str = "mesh_agent";

const NAMES: [&str; 11] = [
    KIND,
    WORKLOAD,
    UPSTREAM_PORT,
    LISTEN,
    WASM,
    ACCESS_LOG,
    ZONE,
    MESH_CA,
    MESH_CERT,
    MESH_KEY,
    MESH_AGENT,
];

/// Why an Envoy cannot be told anything: what it says of itself was not rendered by this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// Something that this version has no name for.
    #[error(
        "`node.metadata.postern` has a member that is not known here: render the bootstrap with \
         this version"
    )]
    Unknown,
    /// Something that must be there.
    #[error("`node.metadata.postern.{0}` is missing: render the bootstrap with --source ads")]
    Missing(&'static str),
    /// Something that makes no sense.
    #[error("`node.metadata.postern.{0}` cannot be read")]
    Value(&'static str),
}

/// What an Envoy with these options says.
pub(super) fn told(options: &EnvoyOptions) -> BTreeMap<&'static str, String> {
    let mut told =
        BTreeMap::from([(LISTEN, options.listen.to_string()), (WASM, options.wasm.clone())]);
    told.extend(options.workload.clone().map(|workload| (WORKLOAD, workload)));
    told.extend(options.access_log.clone().map(|place| (ACCESS_LOG, place)));
    told.extend(options.zone.clone().map(|zone| (ZONE, zone)));
    match options.kind {
        Kind::Edge => {
            told.insert(KIND, EDGE.to_owned());
        }
        Kind::Sidecar { upstream_port } => {
            told.insert(KIND, SIDECAR.to_owned());
            told.extend(upstream_port.map(|port| (UPSTREAM_PORT, port.to_string())));
        }
    }
    match options.mesh_tls.clone() {
        None => {}
        Some(MeshTls::Files { ca, own: ClientCertificate { chain, key } }) => {
            told.extend([(MESH_CA, ca), (MESH_CERT, chain), (MESH_KEY, key)]);
        }
        Some(MeshTls::Agent { socket }) => {
            told.insert(MESH_AGENT, socket);
        }
    }
    told
}

impl EnvoyOptions {
    /// The options of an Envoy that says this of itself, as [`super::discovered`] takes them. What
    /// its bootstrap alone depends on is left empty.
    ///
    /// # Errors
    /// When it says too little, or something else.
    pub fn of_node(told: &BTreeMap<String, String>) -> Result<Self, NodeError> {
        if told.keys().any(|name| !NAMES.contains(&name.as_str())) {
            return Err(NodeError::Unknown);
        }
        let nowhere = || HostPort { host: String::new(), port: 0 };
        let protocol = XdsProtocol::default();
        Ok(Self {
            kind: kind(told)?,
            source: Source::Ads { server: nowhere(), tls: None, protocol },
            node_id: String::new(),
            zone: text(told, ZONE),
            workload: text(told, WORKLOAD),
            mesh_tls: mesh_tls(told)?,
            listen: required(told, LISTEN)?.parse().map_err(|_| NodeError::Value(LISTEN))?,
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            server_grpc: nowhere(),
            server_tls: None,
            server_public: nowhere(),
            feed_credential: None,
            wasm: required(told, WASM)?,
            access_log: text(told, ACCESS_LOG),
        })
    }
}

fn kind(told: &BTreeMap<String, String>) -> Result<Kind, NodeError> {
    let upstream_port = text(told, UPSTREAM_PORT).map(|port| u16::from_str(&port)).transpose();
    let upstream_port = upstream_port.map_err(|_| NodeError::Value(UPSTREAM_PORT))?;
    match (required(told, KIND)?.as_str(), upstream_port) {
        (EDGE, None) => Ok(Kind::Edge),
        (SIDECAR, upstream_port) => Ok(Kind::Sidecar { upstream_port }),
        (EDGE, Some(_)) => Err(NodeError::Value(UPSTREAM_PORT)),
        _ => Err(NodeError::Value(KIND)),
    }
}

fn mesh_tls(told: &BTreeMap<String, String>) -> Result<Option<MeshTls>, NodeError> {
    let (ca, chain, key) = (text(told, MESH_CA), text(told, MESH_CERT), text(told, MESH_KEY));
    match (ca, chain, key, text(told, MESH_AGENT)) {
        (None, None, None, None) => Ok(None),
        (None, None, None, Some(socket)) => Ok(Some(MeshTls::Agent { socket })),
        (Some(ca), Some(chain), Some(key), None) => {
            Ok(Some(MeshTls::Files { ca, own: ClientCertificate { chain, key } }))
        }
        (_, _, _, Some(_)) => Err(NodeError::Value(MESH_AGENT)),
        (_, _, _, None) => Err(NodeError::Value(MESH_CERT)),
    }
}

fn text(told: &BTreeMap<String, String>, name: &str) -> Option<String> {
    told.get(name).cloned()
}

fn required(told: &BTreeMap<String, String>, name: &'static str) -> Result<String, NodeError> {
    text(told, name).ok_or(NodeError::Missing(name))
}

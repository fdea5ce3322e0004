//! What holds for all renderings.

mod fields;
mod shuffled;

use postern_document::{Document, Source, load};

use crate::envoy::{self, ClientCertificate, EnvoyOptions, Kind, MeshTls};
use crate::istio::{self, Api, IstioOptions};

/// A way to render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// Istio's own API.
    Istio,
    /// The Gateway API.
    GatewayApi,
    /// An Envoy at the edge.
    Edge,
    /// One beside the workload `payments`.
    Sidecar,
}

/// Names and texts.
type Files = Vec<(String, String)>;

fn of_yaml(text: &str, file: &str) -> Document {
    let source = Source { name: "gateway.yaml".to_owned(), text: text.to_owned() };
    load(&[source], &|_: &str| Ok(file.to_owned())).unwrap_or_else(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", told.join("\n"))
    })
}

fn rendered(document: &Document, target: Target) -> Result<Files, String> {
    match target {
        Target::Istio => of_istio(document, Api::Istio),
        Target::GatewayApi => of_istio(document, Api::Gateway),
        Target::Edge => of_envoy(document, Kind::Edge, None),
        Target::Sidecar => {
            of_envoy(document, Kind::Sidecar { upstream_port: Some(8080) }, Some("payments"))
        }
    }
}

fn of_istio(document: &Document, api: Api) -> Result<Files, String> {
    let options = IstioOptions { api, ..IstioOptions::default() };
    let files = istio::render(document, &options).map_err(|error| error.to_string())?;
    Ok(files.into_iter().map(|file| (file.name, file.content)).collect())
}

fn of_envoy(document: &Document, kind: Kind, workload: Option<&str>) -> Result<Files, String> {
    let own = ClientCertificate { chain: "/own.pem".to_owned(), key: "/key.pem".to_owned() };
    let options = EnvoyOptions {
        kind,
        source: envoy::Source::Static,
        node_id: "one".to_owned(),
        zone: Some("eu-1".to_owned()),
        workload: workload.map(str::to_owned),
        mesh_tls: Some(MeshTls::Files { ca: "/ca.pem".to_owned(), own }),
        listen: "127.0.0.1:8443".parse().unwrap(),
        admin: "127.0.0.1:9901".parse().unwrap(),
        server_grpc: "127.0.0.1:9191".parse().unwrap(),
        server_tls: None,
        server_public: "127.0.0.1:9192".parse().unwrap(),
        feed_credential: None,
        wasm: "/bundle.wasm".to_owned(),
        access_log: None,
    };
    let files = envoy::render(document, &options).map_err(|error| error.to_string())?;
    Ok(files.into_iter().map(|file| (file.name, file.content)).collect())
}

/// A text without the name of the document that it is of: YAML quotes some of these.
fn anonymous(text: &str, document: &Document) -> String {
    text.replace(&format!("\"{}\"", document.digest), "DOCUMENT")
        .replace(&document.digest, "DOCUMENT")
}

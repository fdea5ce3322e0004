//! Clusters: services and their versions, the server itself, and hosts that keys are fetched from.

mod cluster;
mod localities;
mod replicas;
mod services;

use postern_document::{JwksSource, KeysBy};
use serde_json::Value;

pub(super) use self::localities::locality;

use self::cluster::{Cluster, Hosts};
use super::names::{
    FEED_CLUSTER, GRPC_CLUSTER, PUBLIC_CLUSTER, SDS_CLUSTER, XDS_CLUSTER, jwks_cluster,
};
use super::rendering::Rendering;
use super::{HostPort, MeshTls, RenderError, ServerTls, Source, credential, tls};

/// The clusters of a bootstrap, apart by what they come from.
pub(super) struct Clusters {
    /// Services and their versions: the document's.
    pub(super) services: Vec<Value>,
    /// The server and who else tells Envoy something: the options'.
    pub(super) own: Vec<Value>,
    /// Hosts that keys are fetched from: the document's.
    pub(super) keys: Vec<Value>,
}

impl Clusters {
    /// # Errors
    /// When a service or a version cannot be reached as the document says.
    pub(super) fn of(rendering: &Rendering<'_>) -> Result<Self, RenderError> {
        let clusters = Self {
            services: services::render(rendering)?,
            own: own(rendering),
            keys: keys(rendering),
        };
        clusters.check_names()?;
        Ok(clusters)
    }

    /// Two services may be called so that a version of one has the other's name.
    fn check_names(&self) -> Result<(), RenderError> {
        let all = self.services.iter().chain(&self.own).chain(&self.keys);
        let mut names: Vec<&str> =
            all.filter_map(|cluster| cluster.get("name").and_then(Value::as_str)).collect();
        names.sort_unstable();
        match names
            .windows(2)
            .find(|pair| pair.first() == pair.last())
            .and_then(|pair| pair.first())
        {
            Some(name) => Err(RenderError::ClusterName { name: (*name).to_owned() }),
            None => Ok(()),
        }
    }
}

fn own(rendering: &Rendering<'_>) -> Vec<Value> {
    let (document, options) = (rendering.document, rendering.options);
    let decisions = to_server(GRPC_CLUSTER, &options.server_grpc, options.server_tls.as_ref());
    let mut clusters = vec![replicas::asked_by_grpc(decisions).render()];
    // A bootstrap that holds nothing of the document is ready for one that needs the feed.
    if document.needs_feed() || options.source != Source::Static {
        clusters.push(feed(rendering));
    }
    let public = Cluster::own(PUBLIC_CLUSTER, &options.server_public);
    clusters.push(replicas::asked_by_http(public).render());
    if let Source::Ads { server: place, tls, .. } = &options.source {
        clusters.push(xds(rendering, place, tls.as_ref()));
    }
    if let Some(MeshTls::Agent { socket }) = &options.mesh_tls {
        clusters.push(Cluster::agent(SDS_CLUSTER, socket).render());
    }
    clusters
}

fn to_server<'a>(name: &str, place: &'a HostPort, tls: Option<&ServerTls>) -> Cluster<'a> {
    let tls = tls.map(|tls| tls::server(tls, &place.host));
    Cluster { tls, http2: true, ..Cluster::own(name, place) }
}

/// The same port once more: connections and calls are counted by cluster, and what waits for
/// revocations must not take the place of a decision. One worker of an Envoy asks at a time.
fn feed(rendering: &Rendering<'_>) -> Value {
    let options = rendering.options;
    let cluster = to_server(FEED_CLUSTER, &options.server_grpc, options.server_tls.as_ref());
    let cluster = Cluster { filters: credentials(rendering), ..cluster.bounded(16, 64) };
    replicas::asked_by_grpc(cluster).render()
}

/// Who tells Envoy of everything else, on one stream. It asks who is asking, as the feed does.
fn xds(rendering: &Rendering<'_>, place: &HostPort, tls: Option<&ServerTls>) -> Value {
    Cluster { filters: credentials(rendering), ..to_server(XDS_CLUSTER, place, tls) }.render()
}

fn credentials(rendering: &Rendering<'_>) -> Vec<Value> {
    let file = rendering.options.feed_credential.as_ref();
    file.map_or_else(Vec::new, |_| credential::filters())
}

fn keys(rendering: &Rendering<'_>) -> Vec<Value> {
    let mut clusters = Vec::new();
    for (issuer, source) in rendering.issuers.iter().enumerate() {
        let (JwksSource::Uri { authority, tls, .. }, KeysBy::Envoy) =
            (&source.jwks, source.keys_by)
        else {
            continue;
        };
        let Ok(place) = authority.parse::<HostPort>() else { continue };
        let cluster = Cluster {
            tls: tls.then(|| tls::public(&place.host)),
            ..Cluster::own(&jwks_cluster(issuer), &place)
        };
        clusters.push(cluster.bounded(4, 16).render());
    }
    clusters
}

//! What cannot be rendered.

/// What cannot be rendered. The author of the document or of the options can change that; trying
/// again cannot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Document and options: an Envoy that the document has no place for.
    #[error("workload `{workload}`: {problem}")]
    Workload {
        /// Its name, as the options have it.
        workload: String,
        /// Why not.
        problem: String,
    },
    /// Document and options: a service that cannot be reached as the document says.
    #[error("service `{service}`: {problem}")]
    Service {
        /// The service.
        service: String,
        /// Why not.
        problem: String,
    },
    /// Document: a version that an Envoy without a mesh cannot tell from the others.
    #[error("service `{service}`, version `{version}`: {problem}")]
    Version {
        /// The service.
        service: String,
        /// The version.
        version: String,
        /// Why not.
        problem: String,
    },
    /// Document: two clusters of one name.
    #[error("two services or versions would both be the cluster `{name}`: rename one of them")]
    ClusterName {
        /// The cluster.
        name: String,
    },
    /// Document and options: a route that nobody could call.
    #[error(
        "route `{route}`: who calls it is told by certificates (`peers`), and without \
         --mesh-ca, --mesh-cert and --mesh-key, or --mesh-agent, nobody shows one"
    )]
    Peers {
        /// The route.
        route: String,
    },
    /// A fault of this program: the filter's configuration is no JSON.
    #[error("the filter's configuration cannot be read: {problem}")]
    FilterConfig {
        /// What is wrong with it.
        problem: String,
    },
}

impl RenderError {
    /// The path of the document that the error is about, as problems write paths; none where it is
    /// about none, or about more than one.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        match self {
            Self::Workload { workload, .. } => Some(format!("workloads.{workload}")),
            Self::Service { service, .. } => Some(format!("services.{service}")),
            Self::Version { service, version, .. } => {
                Some(format!("services.{service}.versions.{version}"))
            }
            Self::Peers { route } => Some(format!("routes.{route}")),
            Self::ClusterName { .. } | Self::FilterConfig { .. } => None,
        }
    }
}

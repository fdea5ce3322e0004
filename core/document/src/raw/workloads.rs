//! Pods and machines that run an Envoy of ours, as they are written.

use crate::decode::{Entries, Positive, Text, choice, record};

record! {
    /// Pods, or machines, that run an Envoy of ours.
    pub struct RawWorkload {
        /// Whether it is the gateway, where calls from outside arrive; at most one is.
        gateway = "gateway": Option<bool>,
        /// Its namespace.
        namespace = "namespace": Text,
        /// The labels of its pods; at least one.
        labels = "labels": Entries<Text>,
        /// The service account that its certificates name.
        service_account = "service_account": Text,
        /// The ports of its pods.
        ports = "ports": Vec<Positive>,
    }

    /// The mesh.
    pub struct RawMesh {
        /// The trust domain of its certificates; cluster.local by default.
        trust_domain = "trust_domain": Option<Text>,
        /// The namespace whose policies speak for all others; istio-system by default.
        root_namespace = "root_namespace": Option<Text>,
    }
}

choice! {
    /// Where a service's routes are enforced.
    pub enum RawGuard {
        /// At the edge.
        Edge = "edge",
        /// By the Envoys beside the service's own pods.
        Workload = "workload",
    }
}

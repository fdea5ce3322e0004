//! Registries of services, as they are written.

use crate::decode::{Text, choice, record};

record! {
    /// Where a service is told, while servers run.
    pub struct RawDiscover {
        /// Its name in the registry.
        registry = "registry": Text,
    }

    /// Who knows where services are that name no address.
    pub struct RawDiscovery {
        /// The suite's own registry, in the volatile store, by default; or consul.
        registry = "registry": Option<RawServiceRegistry>,
        /// Consul's catalog.
        consul = "consul": Option<RawConsul>,
    }

    /// Consul's HTTP API.
    pub struct RawConsul {
        /// Where it is: https://…, or http://… on the server's own machine.
        address = "address": Text,
        /// Where the token is that it is asked with: env:NAME or file:PATH; without one by default.
        token = "token": Option<Text>,
    }
}

choice! {
    /// A registry of services.
    pub enum RawServiceRegistry {
        /// The suite's own: `postern service`, and the admin API.
        Store = "store",
        /// Consul's catalog, which is only read.
        Consul = "consul",
    }
}

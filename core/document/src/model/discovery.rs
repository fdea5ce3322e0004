//! Services whose places a registry knows.

/// A service's place in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discover {
    /// What it is called there.
    pub registry: String,
}

/// Who knows where services are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ServiceRegistry {
    /// The suite's own registry, in the volatile store.
    #[default]
    Store,
    /// Consul's catalog.
    Consul {
        /// An http or https URL without path.
        address: String,
        /// Where the token is: `env:NAME` or `file:PATH`.
        token: Option<String>,
    },
}

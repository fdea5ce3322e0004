//! What is served.

/// A kind of resource. What is named stands before who names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `Cluster` (CDS).
    Cluster,
    /// `ClusterLoadAssignment` (EDS), by the name of its cluster.
    Endpoints,
    /// `Listener` (LDS).
    Listener,
    /// `RouteConfiguration` (RDS).
    Routes,
}

impl Kind {
    /// All of them, in the order in which clients hear of them.
    pub const ALL: [Self; 4] = [Self::Cluster, Self::Endpoints, Self::Listener, Self::Routes];

    /// As it is spelled on the wire.
    #[must_use]
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Routes => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// Reads [`Kind::type_url`].
    #[must_use]
    pub fn of_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == url)
    }

    /// As it stands in metrics and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Endpoints => "endpoints",
            Self::Listener => "listener",
            Self::Routes => "routes",
        }
    }

    /// Whether a client that names none wants all of them. In the state of the world, what an
    /// answer of such a kind does not hold is gone.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Cluster | Self::Listener)
    }
}

/// One of something for each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByKind<T> {
    cluster: T,
    endpoints: T,
    listener: T,
    routes: T,
}

impl<T> ByKind<T> {
    /// What `make` makes for each.
    pub fn new(mut make: impl FnMut(Kind) -> T) -> Self {
        Self {
            cluster: make(Kind::Cluster),
            endpoints: make(Kind::Endpoints),
            listener: make(Kind::Listener),
            routes: make(Kind::Routes),
        }
    }

    /// That of a kind.
    pub const fn get(&self, kind: Kind) -> &T {
        match kind {
            Kind::Cluster => &self.cluster,
            Kind::Endpoints => &self.endpoints,
            Kind::Listener => &self.listener,
            Kind::Routes => &self.routes,
        }
    }

    /// The same, to be changed.
    pub const fn get_mut(&mut self, kind: Kind) -> &mut T {
        match kind {
            Kind::Cluster => &mut self.cluster,
            Kind::Endpoints => &mut self.endpoints,
            Kind::Listener => &mut self.listener,
            Kind::Routes => &mut self.routes,
        }
    }

    /// All of them, in the kinds' order.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &T)> {
        Kind::ALL.into_iter().map(|kind| (kind, self.get(kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart_by_their_type_urls() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_type_url(kind.type_url()), Some(kind));
        }
        assert_eq!(Kind::of_type_url("type.googleapis.com/envoy.config.route.v3.Route"), None);
    }

    #[test]
    fn what_is_kept_by_kind_is_found_by_it() {
        let mut names = ByKind::new(Kind::as_str);
        *names.get_mut(Kind::Routes) = "others";
        let found: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
        assert_eq!(found, ["cluster", "endpoints", "listener", "others"]);
    }
}

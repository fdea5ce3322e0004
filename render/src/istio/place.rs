//! Where stands what cannot be rendered: a path of the document, or an option of the command.

use super::RenderError;

impl RenderError {
    /// The path of the document that the error is about, as problems write paths; none where it is
    /// about options, or about more than one place.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        match self {
            Self::RouteName { route }
            | Self::RouteHost { route, .. }
            | Self::RoutePath { route, .. }
            | Self::RouteOrder { route, .. } => Some(format!("routes.{route}")),
            Self::Workload { workload, .. } => Some(format!("workloads.{workload}")),
            Self::FeedPeer { .. } => Some("feed".to_owned()),
            Self::Upstream { owner, .. } | Self::NotInThisApi { owner, .. } => path_of(owner),
            Self::UnsupportedVersion { .. }
            | Self::BadOption { .. }
            | Self::SameName { .. }
            | Self::TooLarge { .. }
            | Self::FilterConfig { .. } => None,
        }
    }
}

/// The narrowest of what an owner names, such as ``route `a`, service `b`, version `c` ``.
fn path_of(owner: &str) -> Option<String> {
    let named = |noun: &str| {
        let mut parts = owner.split(", ");
        parts.find_map(|part| part.strip_prefix(noun)?.strip_prefix(" `")?.strip_suffix('`'))
    };
    match (named("service"), named("version"), named("route"), named("issuer")) {
        (Some(service), Some(version), ..) => {
            Some(format!("services.{service}.versions.{version}"))
        }
        (Some(service), None, ..) => Some(format!("services.{service}")),
        (None, _, Some(route), _) => Some(format!("routes.{route}")),
        (None, _, None, Some(_)) => Some("credentials.jwt.issuers".to_owned()),
        (None, _, None, None) => None,
    }
}

/// An option as it is typed.
pub(super) fn flag(option: &str) -> String {
    let one = |name: &str| match name {
        "gateway_tls_secret" | "host_tls_secrets" => "--tls-secret".to_owned(),
        "hosts" => "--host".to_owned(),
        "workload_namespaces" => "--workload-namespace".to_owned(),
        name => format!("--{}", name.replace('_', "-")),
    };
    option.split(", ").map(one).collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_leads_to_the_narrowest_thing_that_it_names() {
        for (owner, expected) in [
            ("route `a`", Some("routes.a")),
            ("route `a`, service `b`", Some("services.b")),
            ("route `a`, service `b`, version `c`", Some("services.b.versions.c")),
            ("service `b`, version `c`", Some("services.b.versions.c")),
            ("issuer `https://a.test`", Some("credentials.jwt.issuers")),
            ("the rest", None),
        ] {
            assert_eq!(path_of(owner).as_deref(), expected, "{owner}");
        }
    }

    #[test]
    fn options_are_named_as_they_are_typed() {
        for (option, expected) in [
            ("wasm_sha256", "--wasm-sha256"),
            ("gateway_namespace", "--gateway-namespace"),
            ("host_tls_secrets", "--tls-secret"),
            ("workload_namespaces", "--workload-namespace"),
            ("grpc_port, public_port", "--grpc-port, --public-port"),
        ] {
            assert_eq!(flag(option), expected);
            let error = RenderError::BadOption { option, problem: "no".to_owned() };
            assert_eq!(error.to_string(), format!("{expected}: no"));
            assert_eq!(error.path(), None);
        }
    }
}

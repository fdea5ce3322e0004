//! What a policy can ask about a request.

use core::fmt;

use postern_request::token_places::is_token;

/// A property of a request that values are compared with. `when` names them with `key`; fields
/// of `source` and `operation` each stand for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// `source.principal`: the caller's name by its certificate, without `spiffe://`.
    Principal,
    /// `request.auth.principal`: the token's issuer and subject.
    RequestPrincipal,
    /// `source.namespace`, taken from the caller's certificate.
    Namespace,
    /// `source.serviceAccount`, taken from the caller's certificate.
    ServiceAccount,
    /// `source.trustDomain`, taken from the caller's certificate. Istio before 1.31 does not know
    /// it.
    TrustDomain,
    /// `source.ip`: the other end of the connection.
    SourceIp,
    /// `remote.ip`: the client as trusted proxies tell of it.
    RemoteIp,
    /// The field `hosts`: the request's authority, port included.
    Host,
    /// The field `methods`.
    Method,
    /// The field `paths`, compared without query.
    Path,
    /// `destination.port`: the workload's port, not the service's.
    Port,
    /// `request.headers[NAME]`; of several headers of one name, each is compared.
    Header(String),
    /// `destination.ip`
    DestinationIp,
    /// `connection.sni`
    Sni,
    /// `request.auth.audiences`: the claim `aud`.
    Audience,
    /// `request.auth.presenter`: the claim `azp`.
    Presenter,
    /// `request.auth.claims[NAME]`, or `[NAME][NAME]` for what is nested.
    Claim(Vec<String>),
    /// `experimental.envoy.filters.FILTER[KEY]`: what an Envoy filter left as dynamic metadata.
    Metadata {
        /// The filter, with `envoy.filters.` in front.
        filter: String,
        /// The member.
        key: String,
    },
}

/// The fields of `source`: a field, its negation, and the attribute.
pub(super) static SOURCE: [(&str, &str, Attribute); 7] = [
    ("principals", "notPrincipals", Attribute::Principal),
    ("requestPrincipals", "notRequestPrincipals", Attribute::RequestPrincipal),
    ("namespaces", "notNamespaces", Attribute::Namespace),
    ("serviceAccounts", "notServiceAccounts", Attribute::ServiceAccount),
    ("trustDomains", "notTrustDomains", Attribute::TrustDomain),
    ("ipBlocks", "notIpBlocks", Attribute::SourceIp),
    ("remoteIpBlocks", "notRemoteIpBlocks", Attribute::RemoteIp),
];

/// The fields of `operation`.
pub(super) static OPERATION: [(&str, &str, Attribute); 4] = [
    ("hosts", "notHosts", Attribute::Host),
    ("ports", "notPorts", Attribute::Port),
    ("methods", "notMethods", Attribute::Method),
    ("paths", "notPaths", Attribute::Path),
];

impl Attribute {
    /// Whether there is such a thing in HTTP alone. On TCP, ALLOW rules that ask for it are left
    /// out, and all other rules are read as if they did not ask.
    #[must_use]
    pub const fn is_http(&self) -> bool {
        match self {
            Self::RequestPrincipal
            | Self::Host
            | Self::Method
            | Self::Path
            | Self::Header(_)
            | Self::Audience
            | Self::Presenter
            | Self::Claim(_) => true,
            Self::Principal
            | Self::Namespace
            | Self::ServiceAccount
            | Self::TrustDomain
            | Self::SourceIp
            | Self::RemoteIp
            | Self::Port
            | Self::DestinationIp
            | Self::Sni
            | Self::Metadata { .. } => false,
        }
    }

    /// Whether it comes from a token that RequestAuthentication has verified.
    #[must_use]
    pub const fn is_from_token(&self) -> bool {
        matches!(self, Self::RequestPrincipal | Self::Audience | Self::Presenter | Self::Claim(_))
    }

    /// Whether it comes from the certificate of the caller's workload.
    #[must_use]
    pub const fn is_from_certificate(&self) -> bool {
        matches!(self, Self::Principal | Self::Namespace | Self::ServiceAccount | Self::TrustDomain)
    }

    /// Reads the `key` of a condition.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn of_key(key: &str) -> Result<Self, String> {
        Ok(match key {
            "source.ip" => Self::SourceIp,
            "remote.ip" => Self::RemoteIp,
            "source.namespace" => Self::Namespace,
            "source.principal" => Self::Principal,
            "source.serviceAccount" => Self::ServiceAccount,
            "source.trustDomain" => Self::TrustDomain,
            "request.auth.principal" => Self::RequestPrincipal,
            "request.auth.audiences" => Self::Audience,
            "request.auth.presenter" => Self::Presenter,
            "destination.ip" => Self::DestinationIp,
            "destination.port" => Self::Port,
            "connection.sni" => Self::Sni,
            _ => return named(key),
        })
    }
}

/// Keys with a name in brackets.
fn named(key: &str) -> Result<Attribute, String> {
    let shown = key.escape_debug();
    if let Some(rest) = key.strip_prefix("request.headers") {
        return bracketed(rest)
            .filter(|name| is_header(name))
            .map(|name| Attribute::Header(name.to_ascii_lowercase()))
            .ok_or_else(|| format!("`{shown}` must be `request.headers[NAME]`"));
    }
    if let Some(rest) = key.strip_prefix("request.auth.claims") {
        return claims(rest)
            .map(Attribute::Claim)
            .ok_or_else(|| format!("`{shown}` must be `request.auth.claims[NAME]`"));
    }
    if let Some(rest) = key.strip_prefix("experimental.") {
        let metadata = rest
            .strip_suffix(']')
            .and_then(|rest| rest.split_once('['))
            .filter(|(filter, key)| filter.starts_with("envoy.filters.") && !key.is_empty());
        return metadata
            .map(|(filter, key)| Attribute::Metadata {
                filter: filter.to_owned(),
                key: key.to_owned(),
            })
            .ok_or_else(|| format!("`{shown}` must be `experimental.envoy.filters.FILTER[KEY]`"));
    }
    Err(format!("`{shown}` is no attribute that Istio knows"))
}

fn bracketed(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']').filter(|name| !name.is_empty())
}

/// A header's name, or a pseudo header's.
fn is_header(name: &str) -> bool {
    is_token(name.strip_prefix(':').unwrap_or(name).as_bytes())
}

/// `[a][b]` is `b` in `a`. What cannot be read so is one name, brackets and all
/// (`pilot/pkg/security/authz/model/util.go`).
fn claims(text: &str) -> Option<Vec<String>> {
    let inner = bracketed(text)?;
    let parts: Vec<&str> = inner.split("][").collect();
    let nested = parts.iter().all(|part| !part.contains(['[', ']']));
    // istiod itself reads `[]` within brackets as a claim without a name, which nobody has.
    let names = if nested { parts } else { vec![inner] };
    (!names.contains(&"")).then(|| names.into_iter().map(str::to_owned).collect())
}

/// As `when` names it; fields of `operation` that it cannot name, by the field.
impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Principal => "source.principal",
            Self::RequestPrincipal => "request.auth.principal",
            Self::Namespace => "source.namespace",
            Self::ServiceAccount => "source.serviceAccount",
            Self::TrustDomain => "source.trustDomain",
            Self::SourceIp => "source.ip",
            Self::RemoteIp => "remote.ip",
            Self::Host => "operation.hosts",
            Self::Method => "operation.methods",
            Self::Path => "operation.paths",
            Self::Port => "destination.port",
            Self::DestinationIp => "destination.ip",
            Self::Sni => "connection.sni",
            Self::Audience => "request.auth.audiences",
            Self::Presenter => "request.auth.presenter",
            Self::Header(name) => return write!(f, "request.headers[{name}]"),
            Self::Claim(names) => {
                return write!(f, "request.auth.claims[{}]", names.join("]["));
            }
            Self::Metadata { filter, key } => return write!(f, "experimental.{filter}[{key}]"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_attributes() {
        let claim = |names: &[&str]| {
            Attribute::Claim(names.iter().map(|name| (*name).to_owned()).collect())
        };
        for (key, expected) in [
            ("source.ip", Attribute::SourceIp),
            ("request.headers[User-Agent]", Attribute::Header("user-agent".to_owned())),
            ("request.headers[:authority]", Attribute::Header(":authority".to_owned())),
            ("request.auth.claims[iss]", claim(&["iss"])),
            ("request.auth.claims[a][b][c]", claim(&["a", "b", "c"])),
            ("request.auth.claims[https://x.y/z]", claim(&["https://x.y/z"])),
            ("request.auth.claims[a[b]]", claim(&["a[b]"])),
            (
                "experimental.envoy.filters.network.mysql_proxy[db.table]",
                Attribute::Metadata {
                    filter: "envoy.filters.network.mysql_proxy".to_owned(),
                    key: "db.table".to_owned(),
                },
            ),
        ] {
            let read = Attribute::of_key(key).unwrap();
            assert_eq!(read, expected, "{key}");
            assert_eq!(read.to_string().to_ascii_lowercase(), key.to_ascii_lowercase());
        }
    }

    #[test]
    fn other_keys_are_refused() {
        for key in [
            "",
            "source.ips",
            "request.headers",
            "request.headers[]",
            "request.headers[a b]",
            "request.headersX[a]",
            "request.auth.claims",
            "request.auth.claims[]",
            "request.auth.claims[a][]",
            "request.auth.claims.iss",
            "experimental.envoy.filters.x",
            "experimental.envoy.filters.x[]",
            "experimental.other[x]",
            "destination.labels[a]",
            "destination.user",
        ] {
            assert!(Attribute::of_key(key).is_err(), "{key}");
        }
    }
}

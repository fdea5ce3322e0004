//! Where Redis is: one server, the one that sentinels name, or a cluster.

use postern_store::StoreError;
use redis::sentinel::SentinelNodeConnectionInfo;
use redis::{ConnectionInfo, IntoConnectionInfo as _, TlsMode};

const EXPECTED: &str = "expected redis://[user:password@]host[:port][/db], \
     redis+sentinel://[user:password@]host[:port],…/master[/db][?sentinel=user:password] or \
     redis+cluster://[user:password@]host[:port],…; rediss instead of redis for TLS";
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Whether an address is one of Redis, by its scheme alone.
#[must_use]
pub fn is_redis(address: &str) -> bool {
    let scheme = address.split_once("://").map(|(scheme, _)| scheme);
    let schemes = ["", "+sentinel", "+cluster"];
    scheme
        .and_then(|scheme| scheme.strip_prefix("redis"))
        .is_some_and(|rest| schemes.contains(&rest.strip_prefix('s').unwrap_or(rest)))
}

/// An address that was read.
#[derive(Debug)]
pub(crate) enum Address {
    /// One server.
    One(ConnectionInfo),
    /// The master that these sentinels name.
    Sentinel { sentinels: Vec<ConnectionInfo>, master: String, server: SentinelNodeConnectionInfo },
    /// Some nodes of a cluster; they know the others.
    Cluster(Vec<ConnectionInfo>),
}

/// The parts of `user:password@hosts/path?query`; each may be empty.
struct Parts<'a> {
    user: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        let (authority, path) = text.split_once('/').unwrap_or((text, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        Self { user, hosts, path, query }
    }
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// When it cannot be read; the text does not repeat it.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        Self::read(url).ok_or_else(|| StoreError::Corrupt(EXPECTED.to_owned()))
    }

    /// Whether its connections are TLS.
    pub(crate) fn is_tls(&self) -> bool {
        let first = match self {
            Self::One(server) => Some(server),
            Self::Sentinel { sentinels: nodes, .. } | Self::Cluster(nodes) => nodes.first(),
        };
        first.is_some_and(|node| matches!(node.addr(), redis::ConnectionAddr::TcpTls { .. }))
    }

    fn read(url: &str) -> Option<Self> {
        // By a fragment the client is told to believe any certificate.
        if !is_redis(url) || url.contains('#') {
            return None;
        }
        let (scheme, rest) = url.split_once("://")?;
        match scheme.split_once('+') {
            None => url.into_connection_info().ok().map(Self::One),
            Some((plain, "sentinel")) => Self::read_sentinel(plain, &Parts::of(rest)),
            Some((plain, _)) => Self::read_cluster(plain, &Parts::of(rest)),
        }
    }

    fn read_sentinel(plain: &str, parts: &Parts<'_>) -> Option<Self> {
        let (master, db) = parts.path.split_once('/').unwrap_or((parts.path, "0"));
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if master.is_empty() || !master.bytes().all(named) {
            return None;
        }
        let own_user = match parts.query {
            "" => "",
            query => query.strip_prefix("sentinel=")?,
        };
        let sentinels = nodes(plain, own_user, parts.hosts, SENTINEL_PORT)?;
        // Only user and password of this one count.
        let server = nodes(plain, parts.user, parts.hosts, PORT)?.into_iter().next()?;
        let db = i64::from(db.parse::<u16>().ok()?);
        let settings = server.redis_settings().clone().set_db(db);
        let mut server = SentinelNodeConnectionInfo::default().set_redis_connection_info(settings);
        if plain == "rediss" {
            server = server.set_tls_mode(TlsMode::Secure);
        }
        Some(Self::Sentinel { sentinels, master: master.to_owned(), server })
    }

    fn read_cluster(plain: &str, parts: &Parts<'_>) -> Option<Self> {
        // A cluster has one database.
        if !parts.path.is_empty() || !parts.query.is_empty() {
            return None;
        }
        nodes(plain, parts.user, parts.hosts, PORT).map(Self::Cluster)
    }
}

/// The nodes of a list; none when there is one that is not a host, or nobody at all.
fn nodes(plain: &str, user: &str, hosts: &str, port: u16) -> Option<Vec<ConnectionInfo>> {
    let at = if user.is_empty() { "" } else { "@" };
    let node = |host: &str| {
        if host.is_empty() {
            return None;
        }
        let port = if names_port(host) { String::new() } else { format!(":{port}") };
        format!("{plain}://{user}{at}{host}{port}").into_connection_info().ok()
    };
    hosts.split(',').map(node).collect()
}

/// Whether a port stands behind the host; the colons of IPv6 stand within brackets.
fn names_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;

//! One cluster.

use std::net::IpAddr;

use postern_document::{Hash, Outliers, Pool};
use serde_json::{Value, json};

use super::localities::by_zone;
use crate::envoy::rendering::Place;
use crate::envoy::sources::told_apart;
use crate::envoy::{HostPort, duration, traffic, typed};

const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// What differs between clusters.
pub(super) struct Cluster<'a> {
    pub(super) name: String,
    pub(super) hosts: Hosts<'a>,
    pub(super) tls: Option<Value>,
    pub(super) http2: bool,
    pub(super) max_connections: u32,
    pub(super) max_pending: u32,
    pub(super) pool: Pool,
    /// None: the hosts take turns.
    pub(super) hash: Option<&'a Hash>,
    pub(super) outliers: Option<&'a Outliers>,
    /// How hosts are asked whether they are well; none where they are not.
    pub(super) health_check: Option<Value>,
    /// Once fewer hosts are healthy, in percent, all are asked; none where nobody looks.
    pub(super) min_healthy: Option<u8>,
    /// Filters of its own, the last of which sends; none for Envoy's default.
    pub(super) filters: Vec<Value>,
}

/// Where a cluster's hosts are.
pub(super) enum Hosts<'a> {
    /// Behind a name, or at an address; and a port.
    One(&'a str, u16),
    /// At these addresses; those near a zone come first, where there is one.
    Endpoints(Vec<Place<'a>>, Option<&'a str>),
    /// On this machine, at a Unix socket.
    Socket(&'a str),
    /// Where the server will say, once it knows.
    Told,
}

impl<'a> Cluster<'a> {
    /// A part of the suite, or somebody else who is asked seldom and answers soon.
    pub(super) fn own(name: &str, place: &'a HostPort) -> Self {
        Self::new(name, Hosts::One(&place.host, place.port)).bounded(1024, 4096)
    }

    /// An agent on this machine, by gRPC.
    pub(super) fn agent(name: &str, socket: &'a str) -> Self {
        Self { http2: true, ..Self::new(name, Hosts::Socket(socket)).bounded(16, 64) }
    }

    fn new(name: &str, hosts: Hosts<'a>) -> Self {
        Self {
            name: name.to_owned(),
            hosts,
            tls: None,
            http2: false,
            max_connections: 0,
            max_pending: 0,
            pool: Pool::of(0),
            hash: None,
            outliers: None,
            health_check: None,
            min_healthy: None,
            filters: Vec::new(),
        }
    }

    /// With these bounds, and those that follow from them.
    pub(super) fn bounded(self, max_connections: u32, max_pending: u32) -> Self {
        Self { max_connections, max_pending, pool: Pool::of(max_connections), ..self }
    }

    /// As Envoy reads it.
    pub(super) fn render(self) -> Value {
        let (kind, endpoints) = self.hosts.render();
        let mut rendered = json!({
            "name": self.name,
            "type": kind,
            "connect_timeout": duration(self.pool.connect_timeout_ms),
            "circuit_breakers":
                traffic::circuit_breakers(self.max_connections, self.max_pending, &self.pool),
            "typed_extension_protocol_options": {PROTOCOL_OPTIONS: self.protocol_options()},
        });
        if let Value::Object(members) = &mut rendered {
            let (member, places) = match endpoints {
                Some(all) => {
                    ("load_assignment", json!({"cluster_name": self.name, "endpoints": all}))
                }
                None => ("eds_cluster_config", told_apart()),
            };
            members.insert(member.to_owned(), places);
            if let Some(hash) = self.hash {
                traffic::add_hash(members, hash);
            }
            if let Some(outliers) = self.outliers {
                members.insert("outlier_detection".to_owned(), traffic::outliers(outliers));
            }
            if let Some(check) = self.health_check {
                members.insert("health_checks".to_owned(), json!([check]));
            }
            if let Some(percent) = self.min_healthy {
                let common = traffic::panic_threshold(percent);
                members.insert("common_lb_config".to_owned(), common);
            }
            if let Some(probes) = &self.pool.keepalive {
                let options = traffic::keepalive(probes);
                members.insert("upstream_connection_options".to_owned(), options);
            }
            if let Some(tls) = self.tls {
                members.insert("transport_socket".to_owned(), tls);
            }
        }
        rendered
    }

    fn protocol_options(&self) -> Value {
        let protocol = if self.http2 {
            json!({"http2_protocol_options": {
                // A server that went away without a word is noticed within seconds.
                "connection_keepalive": {"interval": "30s", "timeout": "5s"},
            }})
        } else {
            json!({"http_protocol_options": {}})
        };
        let mut options = json!({
            "explicit_http_config": protocol,
            "common_http_protocol_options": traffic::connection_options(&self.pool),
        });
        if let (Value::Object(members), false) = (&mut options, self.filters.is_empty()) {
            members.insert("http_filters".to_owned(), json!(self.filters));
        }
        typed(PROTOCOL_OPTIONS, options)
    }
}

impl Hosts<'_> {
    /// The cluster's type, and its endpoints by where they are; none where that is told.
    fn render(&self) -> (&'static str, Option<Value>) {
        let one =
            |address: Value| Some(json!([{"lb_endpoints": [{"endpoint": {"address": address}}]}]));
        match self {
            Self::One(host, port) => {
                let is_address = host.parse::<IpAddr>().is_ok();
                (if is_address { "STATIC" } else { "STRICT_DNS" }, one(socket_address(host, *port)))
            }
            Self::Socket(path) => ("STATIC", one(json!({"pipe": {"path": path}}))),
            Self::Endpoints(places, near) => ("STATIC", Some(by_zone(places, *near))),
            Self::Told => ("EDS", None),
        }
    }
}

pub(super) fn socket_address(host: &str, port: u16) -> Value {
    json!({"socket_address": {"address": host, "port_value": port}})
}

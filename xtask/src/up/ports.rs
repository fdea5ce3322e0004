//! The ports of `up`, all on 127.0.0.1.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};

/// Who listens where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Envoy: the gateway itself.
    pub envoy: u16,
    /// Envoy's admin interface.
    pub envoy_admin: u16,
    /// The server's gRPC.
    pub grpc: u16,
    /// The server's public HTTP.
    pub public: u16,
    /// The server's admin HTTP.
    pub admin: u16,
    /// The server's metrics and health.
    pub metrics: u16,
    /// The sample upstream.
    pub upstream: u16,
}

/// Where everything listens when nobody says otherwise.
pub const DEFAULT: Ports = Ports {
    envoy: 8080,
    envoy_admin: 9901,
    grpc: 9191,
    public: 9192,
    admin: 9193,
    metrics: 9194,
    upstream: 9195,
};

impl Ports {
    /// The default ports, or seven in a row from `base`.
    pub fn new(base: Option<u16>) -> Result<Self> {
        let Some(base) = base else { return Ok(DEFAULT) };
        let after = |steps: u16| {
            base.checked_add(steps)
                .with_context(|| format!("--port-base {base} leaves no room for seven ports"))
        };
        Ok(Self {
            envoy: base,
            envoy_admin: after(1)?,
            grpc: after(2)?,
            public: after(3)?,
            admin: after(4)?,
            metrics: after(5)?,
            upstream: after(6)?,
        })
    }

    /// Fails naming every port that is taken, before anything is started.
    pub fn check_free(&self) -> Result<()> {
        let problems: Vec<String> = self
            .uses()
            .into_iter()
            .filter_map(|(port, purpose)| {
                let error = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).err()?;
                let why = match error.kind() {
                    ErrorKind::AddrInUse => "is taken".to_owned(),
                    _ => format!("cannot be had ({error})"),
                };
                Some(format!("port {port} ({purpose}) {why}"))
            })
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        bail!(
            "{}\n  Is another `./dev up` running? `./dev up --port-base 18080` uses the ports \
             18080 to 18086 instead.",
            problems.join("\n  ")
        )
    }

    fn uses(&self) -> [(u16, &'static str); 7] {
        [
            (self.envoy, "Envoy"),
            (self.envoy_admin, "Envoy admin"),
            (self.grpc, "Postern gRPC"),
            (self.public, "Postern public HTTP"),
            (self.admin, "Postern admin HTTP"),
            (self.metrics, "Postern metrics and health"),
            (self.upstream, "sample upstream"),
        ]
    }
}

/// A port as an address to bind or to connect to.
pub fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_gives_seven_in_a_row() {
        let ports = Ports::new(Some(18080)).unwrap();
        assert_eq!(ports.uses().map(|(port, _)| port), [0, 1, 2, 3, 4, 5, 6].map(|n| 18080 + n));
        assert!(Ports::new(Some(65529)).is_ok());
        assert!(Ports::new(Some(65530)).is_err());
        assert_eq!(Ports::new(None).unwrap().envoy, 8080);
    }

    #[test]
    fn a_taken_port_is_named_with_its_purpose() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let ports = Ports { grpc: port, ..DEFAULT };
        let error = ports.check_free().unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} (Postern gRPC) is taken")), "{error}");
        assert!(error.contains("--port-base"), "{error}");
    }
}

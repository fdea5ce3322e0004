//! What may be written, and ought to be known: keys that come over a network in clear text.
//!
//! It is no error, because inside a mesh or a private network the way may be safe all the same.

use std::net::IpAddr;

use super::read_upstream;
use crate::model::{Document, JwksSource};

impl Document {
    /// Issuers whose keys are fetched in clear text from another machine, each with the HOST:PORT
    /// that they come from. Whoever sits in between can put other keys in their place, and sign
    /// for the issuer. The suite's own keys are not among them: where these come from is not in
    /// the document.
    #[must_use]
    pub fn keys_in_clear_text(&self) -> Vec<(&str, String)> {
        let place = |jwks: &JwksSource| match jwks {
            JwksSource::Uri { tls: false, authority, .. } => read_upstream(authority),
            JwksSource::Service { service, .. } => {
                let service = self.services.iter().find(|known| known.name == *service)?;
                (!service.tls).then(|| (service.host.clone(), service.port))
            }
            // Those that are found are found by https, or on the server's own machine.
            JwksSource::Uri { .. } | JwksSource::Inline(_) | JwksSource::Discovery { .. } => None,
        };
        let found = self.issuers.iter().filter_map(|issuer| {
            let (host, port) = place(&issuer.jwks).filter(|(host, _)| !is_loopback(host))?;
            Some((issuer.issuer.issuer.as_str(), in_url(&host, port)))
        });
        found.collect()
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn in_url(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

//! Shared circuits: which services have one, what this replica shows of them, and who reports.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Result;
use postern_circuit::Settings;
use postern_document::{Current, Document};
use postern_ext_proc::{Moved, WhoReports};
use postern_feed::{
    CircuitMetrics, CircuitsView, Clock, CurrentTrust, GuardedServices, ViewParts, peer_of,
};
use postern_identity::admin::circuits_of;
use postern_store::volatile::circuits::{CircuitAsk, CircuitStore, ReporterId};
use postern_telemetry::{MetricsRegistry, Moment};

/// Where Envoy's own client of gRPC says from which address it calls.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// What the rest of the server gets.
pub struct Shared {
    /// Which services have circuits.
    pub services: Arc<dyn GuardedServices>,
    /// What this replica shows.
    pub view: Arc<CircuitsView>,
    /// What is counted.
    pub metrics: CircuitMetrics,
}

/// Shows circuits of the document in use, and starts to read them.
///
/// # Errors
/// When a metric cannot be registered.
pub fn build(
    document: Current<Document>,
    store: Arc<dyn CircuitStore>,
    stand_in: Arc<dyn CircuitStore>,
    registry: &MetricsRegistry,
) -> Result<Shared> {
    let services: Arc<dyn GuardedServices> = Arc::new(DocumentServices(document));
    let metrics = CircuitMetrics::new(registry)?;
    let clock: Clock = Arc::new(Moment::now);
    let view = Arc::new(CircuitsView::new(ViewParts {
        services: Arc::clone(&services),
        store,
        stand_in,
        clock,
        metrics: metrics.clone(),
    }));
    let looking = Arc::clone(&view);
    tokio::spawn(async move { looking.keep_looking().await });
    Ok(Shared { services, view, metrics })
}

impl Shared {
    /// For those who report otherwise than by the feed.
    pub fn moved(&self) -> Moved {
        let view = Arc::clone(&self.view);
        Arc::new(move |service, moved| view.moved(service, moved))
    }
}

/// The services of the document in use.
struct DocumentServices(Current<Document>);

impl GuardedServices for DocumentServices {
    /// The gateway calls all of them, and whoever is none of the document's workloads guards the
    /// edge as well. A workload that enforces routes calls what they lead to: itself.
    fn settings(&self, workload: &str, service: &str) -> Option<Settings> {
        let document = self.0.load();
        let service = document.services.iter().find(|known| known.name == service)?;
        let beside = document.workload(workload).filter(|workload| !workload.gateway);
        let calls = beside.is_none_or(|workload| {
            service.guarded_by().is_some_and(|guard| guard.name == workload.name)
        });
        service.circuit.filter(|_| calls)
    }

    fn all(&self) -> Vec<CircuitAsk> {
        circuits_of(&self.0.load())
    }
}

/// Who sends what Envoy's filters and logs tell. Of an identity that was proved, Envoys are told
/// apart by their addresses and by what they call theirs; without one by the connection's alone:
/// nobody is to make up reporters.
pub fn who_reports(trust: CurrentTrust) -> WhoReports {
    Arc::new(move |request| {
        let address = request.remote_addr().map(|address| address.ip().to_canonical());
        let address = address.as_ref().map_or_else(String::new, IpAddr::to_string);
        match peer_of(&trust(), request) {
            Ok(peer) => {
                let own = request.metadata().get(FORWARDED_FOR);
                let own = own.map_or(&[][..], |own| own.as_bytes());
                let name = format!("{address} {}", String::from_utf8_lossy(own));
                ReporterId::of(&peer.to_string(), &name)
            }
            Err(_) => ReporterId::of(&format!("address {address}"), ""),
        }
    })
}

#[cfg(test)]
mod tests {
    use postern_feed::{FeedCredential, ForwardedClientCert, Trust};
    use tonic::Request;

    use super::*;

    const DOCUMENT: &str = r#"{
        "version": 1,
        "workloads": {
            "edge": {"gateway": true, "namespace": "ingress", "labels": {"app": "edge"},
                     "service_account": "edge"},
            "pay": {"namespace": "shop", "labels": {"app": "pay"}, "service_account": "pay",
                    "ports": [8080]}
        },
        "services": {
            "pay": {"upstream": "pay.shop:8080", "circuit": {}, "workload": "pay",
                    "guard": "workload"},
            "ship": {"upstream": "ship.shop:8080", "circuit": {"failures": 9}},
            "plain": {"upstream": "plain.shop:8080"}
        },
        "routes": [
            {"name": "pay", "match": {"path": "/pay"}, "service": "pay", "auth": "none"},
            {"name": "ship", "match": {"path": "/ship"}, "service": "ship", "auth": "none"},
            {"name": "plain", "match": {"path": "/plain"}, "service": "plain", "auth": "none"}
        ]
    }"#;

    #[test]
    fn a_workload_speaks_of_what_it_calls() {
        let document = postern_document::from_json(DOCUMENT.as_bytes()).unwrap();
        let services = DocumentServices(Current::fixed(document));
        for (workload, pay, ship) in
            [("edge", true, true), ("gateway", true, true), ("pay", true, false)]
        {
            let has = |service| services.settings(workload, service).is_some();
            assert_eq!((has("pay"), has("ship")), (pay, ship), "{workload}");
            assert!(!has("plain") && !has("nothing"), "{workload}");
        }
        let all = services.all();
        let names: Vec<&str> = all.iter().map(|one| one.service.as_str()).collect();
        assert_eq!(names, ["pay", "ship"]);
        assert_eq!(all[1].settings.failures, 9);
    }

    #[test]
    fn nobody_makes_up_reporters_without_having_proved_who_it_is() {
        let credential = FeedCredential {
            name: "edge".to_owned(),
            // SHA-256 of `secret`.
            sha256: [
                0x2b, 0xb8, 0x0d, 0x53, 0x7b, 0x1d, 0xa3, 0xe3, 0x8b, 0xd3, 0x03, 0x61, 0xaa, 0x85,
                0x56, 0x86, 0xbd, 0xe0, 0xea, 0xcd, 0x71, 0x62, 0xfe, 0xf6, 0xa2, 0x5f, 0xe9, 0x7b,
                0xf5, 0x27, 0xa2, 0x5b,
            ],
        };
        let trust = Trust::new(ForwardedClientCert::Ignored, vec![credential]);
        let who = who_reports(trust.always());
        let told = |headers: &[(&'static str, &str)]| {
            let mut request = Request::new(());
            for (name, value) in headers {
                request.metadata_mut().insert(*name, value.parse().unwrap());
            }
            who(&request)
        };
        let strangers = ["10.0.0.1", "10.0.0.2"].map(|own| told(&[(FORWARDED_FOR, own)]));
        assert_eq!(strangers[0], strangers[1]);
        let secret = ("x-postern-feed-credential", "secret");
        let known = ["10.0.0.1", "10.0.0.2"].map(|own| told(&[secret, (FORWARDED_FOR, own)]));
        assert!(known[0] != known[1] && known[0].peer == known[1].peer);
        assert_ne!(known[0].peer, strangers[0].peer);
    }
}

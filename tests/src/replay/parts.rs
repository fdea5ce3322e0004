//! Parts that are away or misbehave: places where nobody answers, what is changed in Envoy's
//! configuration, and in a document.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::envoy::{cluster, for_each_object, lead_to};
use crate::ports;

/// A place that takes connections and never answers, or closes when a request came.
pub(super) async fn listen(closes: bool) -> SocketAddr {
    let listener = TcpListener::bind(ports::local(0)).await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if closes {
                let mut request = [0; 1024];
                // Whatever comes of it, the connection ends here.
                drop(stream.read(&mut request).await);
            } else {
                held.push(stream);
            }
        }
    });
    address
}

/// The feed's, which nothing else is asked by.
pub(super) fn feed_elsewhere(config: &mut Value) {
    lead_to(cluster(config, "postern_feed"), ports::free());
}

/// What `ext_proc` is asked by; `ext_authz` stays with the server.
pub(super) fn ext_proc_elsewhere(config: &mut Value) {
    filter_elsewhere(config, "envoy.filters.http.ext_proc", "/grpc_service");
}

/// What the rate limit filter asks; all else stays with the server.
pub(super) fn rate_limits_elsewhere(config: &mut Value) {
    let service = "/rate_limit_service/grpc_service";
    filter_elsewhere(config, "envoy.filters.http.ratelimit", service);
}

/// Has a filter ask where nobody answers.
fn filter_elsewhere(config: &mut Value, filter: &str, service: &str) {
    let name = json!(format!("elsewhere-{filter}"));
    let mut elsewhere = cluster(config, "postern-grpc").clone();
    elsewhere["name"] = name.clone();
    elsewhere["load_assignment"]["cluster_name"] = name.clone();
    lead_to(&mut elsewhere, ports::free());
    let clusters = config["static_resources"]["clusters"].as_array_mut().expect("clusters");
    clusters.push(elsewhere);
    let mut sent = 0;
    for_each_object(config, &mut |object| {
        let is_it = object.get("name") == Some(&json!(filter));
        let service = object.get_mut("typed_config").and_then(|typed| typed.pointer_mut(service));
        if let (true, Some(service)) = (is_it, service) {
            service["envoy_grpc"]["cluster_name"] = name.clone();
            sent += 1;
        }
    });
    assert_eq!(sent, 1, "the rendered configuration has no {filter}");
}

/// The document with a limit of one request an hour.
///
/// # Panics
/// When it has no such limit, or that is written in another way than the tests' documents write it:
/// two spaces, its name, and `rate` below.
pub(super) fn with_one_an_hour(document: &str, limit: &str) -> String {
    let head = format!("  {limit}:");
    let (mut in_limits, mut in_limit, mut changed) = (false, false, false);
    let mut lines = Vec::new();
    for line in document.lines() {
        if !line.starts_with([' ', '#']) && !line.is_empty() {
            in_limits = line == "limits:";
        }
        if line.starts_with("  ") && !line.starts_with("   ") && !line.starts_with("  #") {
            in_limit = in_limits && line == head;
        }
        let field = line.trim_start();
        if in_limit && field.starts_with("rate:") {
            lines.push("    rate: 1/1h");
            changed = true;
        } else if !(in_limit && field.starts_with("burst:")) {
            lines.push(line);
        }
    }
    assert!(changed, "the document has no limit {limit} with a rate");
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_limit_that_is_meant_gets_small() {
        let document = "a: 1\nlimits:\n  # some\n  few:\n    key: [ip]\n    rate: 10/1m\n  many:\n    \
                        rate: 20/1m\n    burst: 5\nservices:\n  many:\n    rate: 3\n";
        let changed = with_one_an_hour(document, "many");
        assert!(changed.contains("rate: 10/1m") && changed.contains("rate: 3\n"), "{changed}");
        assert!(changed.contains("  many:\n    rate: 1/1h\nservices:"), "{changed}");
    }

    #[test]
    #[should_panic(expected = "no limit none")]
    fn a_limit_that_is_not_there_is_said_to_be_missing() {
        let _ = with_one_an_hour("limits:\n  few:\n    rate: 1/1m\n", "none");
    }
}

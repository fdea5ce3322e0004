//! From files.

use std::fs;

use postern_e2e::client::{Call, Protocol};
use postern_e2e::config_map::ConfigMap;
use postern_e2e::gateway::Gateway;
use postern_e2e::grpc::Grpc;
use postern_e2e::server::{Ports, Server};
use postern_e2e::wait;
use postern_e2e::watch::Watch;

use super::{
    LONGEST, alone, digest, document, options, told, until_counted, until_digest, until_other_than,
};

const SKEW: &str = "postern_document_skew_total";
const PATH: &str = "/content/a";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changes_is_taken_over_and_no_request_is_lost() {
    let mut gateway = Gateway::builder().document(document("5s")).workers(2).start().await;
    let call = Call::get(PATH);
    gateway.until_status(200, &call).await;
    let text = fs::read_to_string(gateway.document()).expect("the document");
    let first = digest(&gateway.server).await;
    let watches: Vec<Watch> =
        (0..4).map(|_| Watch::begin(gateway.client(Protocol::Http1), Call::get(PATH))).collect();
    // Envoy goes on with the first one, and is judged by it.
    for timeout in ["6s", "7s", "8s"] {
        let before = digest(&gateway.server).await;
        fs::write(gateway.document(), text.replace("5s", timeout)).expect("the document");
        until_other_than(&gateway.server, &before).await;
    }
    let server = &gateway.server;
    wait::until("calls of an Envoy that is behind", LONGEST, || async {
        let labels = [("by", "ext_authz"), ("document", "earlier")];
        let found = server.metric(SKEW, &labels).await;
        if found >= 50 { Ok(()) } else { Err(found) }
    })
    .await;
    for watch in watches {
        watch.end(&[200]).await;
    }

    // A server that has never had the first one judges by its own, which Envoy refuses.
    gateway.server.take_down();
    gateway.server.bring_up().await;
    let (client, call) = (&gateway.client(Protocol::Http1), &call);
    let server = &gateway.server;
    wait::until("refusal by an Envoy of another document", LONGEST, || async move {
        let answer = client.send(call).await;
        let labels = [("by", "ext_authz"), ("document", "unknown")];
        let is_unknown = server.metric(SKEW, &labels).await > 0;
        if answer.status != 200 && is_unknown { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
    fs::write(gateway.document(), text).expect("the document");
    until_digest(&gateway.server, &first).await;
    gateway.until_status(200, call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_map_that_changes_is_taken_over_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("config");
    let mut map = ConfigMap::new(place.clone(), "gateway.yaml", &alone("5s"));
    let server = Server::start(options(&place, folder.path()), Ports::free()).await;
    let first = digest(&server).await;
    map.update(&alone("6s"));
    let second = until_other_than(&server, &first).await;

    let grpc = Grpc::to(server.ports().grpc);
    for (says, expected) in [
        (Some(first.as_str()), &first),
        (Some(second.as_str()), &second),
        (Some("0123456789abcdef0123456789abcdef"), &second),
        (None, &second),
    ] {
        assert_eq!(&grpc.judged_by(says, PATH).await, expected, "{says:?}");
    }
    for document in ["earlier", "unknown", "untold"] {
        let labels = [("by", "ext_authz"), ("document", document)];
        assert_eq!(server.metric(SKEW, &labels).await, 1, "{document}");
    }

    // What has problems, and what a running server cannot take over.
    map.update(&alone("soon"));
    until_counted(&server, "refused", 1).await;
    let health = server.health().await.expect(200).json();
    assert_eq!(health["status"], "healthy", "{health}");
    assert_eq!(health["document"]["digest"], second.as_str(), "{health}");
    let note = health["document"]["note"].as_str().unwrap_or_default().to_owned();
    assert!(note.contains("not used") && !note.contains("timeout"), "{note}");
    assert_eq!(server.metric("postern_document_refused", &[]).await, 1);
    assert!(server.log().contains("services.content.timeout"), "{}", server.log());
    map.update(&alone("7s").replace("127.0.0.1:8080", "127.0.0.1:8081"));
    until_counted(&server, "refused", 2).await;
    assert!(server.log().contains("`issuer` changes with a restart only"), "{}", server.log());
    assert_eq!(grpc.judged_by(None, PATH).await, second);

    map.update(&alone("7s"));
    let third = until_other_than(&server, &second).await;
    assert_eq!(told(&server).await.get("note"), None);
    assert_eq!(server.metric("postern_document_refused", &[]).await, 0);
    for (digest, expected) in [(&second, 0), (&third, 1)] {
        let labels = [("digest", digest.as_str())];
        assert_eq!(server.metric("postern_document_info", &labels).await, expected, "{digest}");
    }
}

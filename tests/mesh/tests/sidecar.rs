//! A service that is guarded by its own sidecar, as `postern render istio` writes it; and routes of
//! several hosts.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::time::Duration;

use postern_e2e::client::Answer;
use postern_e2e::keys::{self, Token};
use postern_e2e::wait;
use postern_mesh::caller::{Caller, send, try_send, until_status};
use postern_mesh::mesh::Mesh;
use serde_json::Value;

const DOCUMENT: &str = include_str!("../fixtures/sidecar.yaml");
const HOSTS: &str = include_str!("../fixtures/hosts.yaml");
const LIMIT: u64 = 4;
/// Envoy writes its log every ten seconds.
const LOGGED: Duration = Duration::from_secs(40);

const WEB: (&str, &str) = ("shop", "web");
const STRANGER: (&str, &str) = ("elsewhere", "stranger");
const GATEWAY: (&str, &str) = ("istio-system", "istio-ingressgateway-service-account");

/// A mesh whose gateway and sidecar answer.
async fn start() -> Mesh {
    let mesh = Mesh::builder().document(DOCUMENT).start().await;
    let outside = mesh.outside();
    until_status(200, || outside.get("/payments/a").bearer_auth(paying("first"))).await;
    mesh
}

/// Somebody who calls the sidecar itself.
async fn at_payments(mesh: &Mesh, (namespace, account): (&str, &str)) -> Caller {
    mesh.at_payments(&mesh.certificates.of_workload(namespace, account).await)
}

fn paying(subject: &str) -> String {
    Token::of(subject).scope("payments.read").sign()
}

fn caller_of(answer: &Answer) -> String {
    let shown = answer.upstream_header("x-forwarded-client-cert").expect("the caller's name");
    shown.as_str().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_guards_its_service_behind_the_gateway() {
    let mesh = start().await;
    let outside = mesh.outside();
    let subject = keys::subject("payer");
    let forged = outside
        .get("/payments/a")
        .bearer_auth(paying(&subject))
        .header("x-postern-subject", "admin")
        .header("x-postern-scope-admin", "true")
        .header("x-forwarded-client-cert", "URI=spiffe://cluster.local/ns/shop/sa/web");
    let answer = send(forged).await.expect(200);
    assert_eq!(answer.upstream_header("x-postern-subject"), Some(subject.clone().into()));
    assert_eq!(answer.upstream_header("x-postern-scope-admin"), None, "{answer}");
    let caller = caller_of(&answer);
    assert!(caller.contains("sa/istio-ingressgateway-service-account"), "{caller}");
    assert!(!caller.contains("sa/web"), "{caller}");

    let before = mesh.upstream.total();
    send(outside.get("/payments/a")).await.expect_denial(401, "UNAUTHORIZED");
    let narrow = Token::of(&subject).sign();
    let narrow = outside.get("/payments/a").bearer_auth(narrow);
    send(narrow).await.expect_denial(403, "INSUFFICIENT_SCOPE");
    send(outside.get("/nowhere")).await.expect_denial(404, "NOT_FOUND");
    assert_eq!(mesh.upstream.total(), before, "what is refused reaches nobody");

    let computed = outside.get("/payments/computed").bearer_auth(paying(&subject));
    let answer = send(computed.header("x-caller", "admin")).await.expect(200);
    let caller = format!("user={subject}; route=computed");
    assert_eq!(answer.upstream_header("x-caller"), Some(caller.into()), "{answer}");

    // The gateway lets all of that pass: it is the sidecar that asks.
    for counted in [".ext_authz.ok", ".ext_proc.streams_started"] {
        assert_eq!(mesh.gateway().count(counted).await, 0, "{counted}");
    }
    assert!(mesh.proxy("payments").count(".ext_proc.streams_started").await > 0);
    mesh.assert_nothing_rejected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_peers_of_a_route_reach_it() {
    let mesh = start().await;
    let web = at_payments(&mesh, WEB).await;
    let answer = send(web.get("/payments/a").bearer_auth(paying("web"))).await.expect(200);
    let caller = caller_of(&answer);
    assert!(caller.contains("spiffe://cluster.local/ns/shop/sa/web"), "{caller}");
    // A peer is no user.
    send(web.get("/payments/a")).await.expect_denial(401, "UNAUTHORIZED");

    let before = mesh.upstream.total();
    let refused = send(web.get("/payments/edge-only").bearer_auth(paying("web"))).await;
    refused.expect_denial(403, "FORBIDDEN");
    let stranger = at_payments(&mesh, STRANGER).await;
    for path in ["/payments/a", "/payments/edge-only", "/payments/counted"] {
        let refused = send(stranger.get(path).bearer_auth(paying("stranger"))).await;
        refused.expect_denial(403, "FORBIDDEN");
    }
    let plain = try_send(mesh.in_plain_text().get("/payments/a")).await;
    assert!(plain.is_err(), "plain text was answered: {plain:?}");
    assert_eq!(mesh.upstream.total(), before, "what is refused reaches nobody");

    let gateway = at_payments(&mesh, GATEWAY).await;
    let edge = gateway.get("/payments/edge-only").bearer_auth(paying("edge"));
    send(edge).await.expect(200);
    let payments = mesh.proxy("payments");
    wait::until("line of the refused peer", LOGGED, || async {
        let log = payments.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let refused = lines.filter(|line| line["reason"] == "peer_unknown").count();
        if refused >= 3 { Ok(()) } else { Err(format!("{refused} lines")) }
    })
    .await;
}

/// Whoever comes to the service on whichever way is counted there, and once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exact_limit_of_the_sidecar_counts_once() {
    let mesh = start().await;
    let (outside, web) = (mesh.outside(), at_payments(&mesh, WEB).await);
    let token = Token::of(&keys::subject("counted")).sign();
    for left in (0..LIMIT).rev() {
        let caller = if left % 2 == 0 { &outside } else { &web };
        let answer = send(caller.get("/payments/counted").bearer_auth(&token)).await.expect(200);
        assert_eq!(answer.number("x-ratelimit-remaining"), left, "{answer}");
        assert_eq!(answer.number("x-ratelimit-limit"), LIMIT, "{answer}");
    }
    for caller in [&outside, &web] {
        let refused = send(caller.get("/payments/counted").bearer_auth(&token)).await;
        refused.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    }
    assert_eq!(mesh.proxy("payments").count(".ext_authz.ok").await, LIMIT);
}

/// Without the CUSTOM policy nobody asks the server, and the bundle misses its word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_has_to_say_cannot_be_left_out() {
    let mesh = start().await;
    // Whose every request has a connection of its own: the gateway's keep what they began with.
    let web = at_payments(&mesh, WEB).await;
    let counted = || web.get("/payments/counted").bearer_auth(paying(&keys::subject("asked")));
    until_status(200, counted).await;
    mesh.render_again(|one| one["spec"]["action"] != "CUSTOM").await;
    until_status(503, counted).await;
    send(web.get("/payments/a").bearer_auth(paying("other"))).await.expect(200);
    mesh.as_rendered().await;
    until_status(200, counted).await;
}

/// The rendering speaks for the namespace: whom the document does not name, nobody may call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workloads_that_no_route_is_about_are_closed() {
    let mesh = start().await;
    let address = mesh.address_of("web").parse().expect("an address");
    let at_web = std::net::SocketAddr::new(address, 9000);
    for (who, status) in [(WEB, 403), (STRANGER, 403), (GATEWAY, 200)] {
        let pair = mesh.certificates.of_workload(who.0, who.1).await;
        let caller = Caller::as_workload("web.shop.svc.cluster.local", at_web, &pair);
        let answer = send(caller.get("/any/a")).await;
        assert_eq!(answer.status, status, "{who:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_of_several_hosts_reach_their_services() {
    let mesh = Mesh::builder().document(HOSTS).start().await;
    let to = |host: &str| Caller::unverified(host, mesh.entrance());
    let anybody = to("anybody.test");
    until_status(200, || anybody.get("/a/x")).await;
    for (host, path, behind_sidecar) in [
        ("anybody.test", "/a/x", false),
        ("anybody.test", "/everybody/x", false),
        ("api.test", "/a/x", true),
        ("api.test", "/a/b/c", true),
        // What a host has nothing of its own for is everybody's.
        ("api.test", "/everybody/x", false),
        ("one.api.test", "/everybody/x", false),
        ("two.api.test", "/a/b/x", true),
        ("two.api.test", "/a/x", false),
        ("one.api.test", "/a/b/c", false),
        ("one.api.test", "/a/b/x", true),
        ("one.api.test", "/a/x", false),
    ] {
        let answer = send(to(host).get(path)).await.expect(200);
        let is_shown = answer.upstream_header("x-forwarded-client-cert").is_some();
        assert_eq!(is_shown, behind_sidecar, "{host}{path}: {answer}");
    }
    let nowhere = send(to("api.test").get("/nowhere")).await;
    nowhere.expect_denial(404, "NOT_FOUND");
    mesh.assert_nothing_rejected().await;
}

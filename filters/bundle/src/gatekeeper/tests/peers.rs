//! Whose connections a route takes requests from.

use super::*;

const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";

fn with_peers(fake: &Fake) -> Gatekeeper {
    let mut configuration = configuration(fake);
    let peers = json!([WEB, "spiffe://cluster.local/ns/ops/sa/*"]);
    if let Value::Array(routes) = &mut configuration["document"]["routes"] {
        let route = |name: &str, auth: Value, enforce: &str| {
            json!({"name": name, "match": {"path": format!("/{name}")}, "service": "s",
                   "auth": auth, "peers": peers, "enforce": enforce})
        };
        routes.extend([
            route("inside", json!("none"), "100%"),
            route("both", json!({"any": ["jwt"]}), "100%"),
            route("tried", json!("none"), "shadow"),
        ]);
    }
    configured(fake, &configuration)
}

#[test]
fn only_known_peers_pass() {
    for (peer, status) in [
        (Some(WEB), 200),
        (Some("spiffe://cluster.local/ns/ops/sa/cron"), 200),
        (Some("spiffe://cluster.local/ns/shop/sa/web2"), 403),
        (Some("spiffe://cluster.local/ns/ops/sa/"), 403),
        (Some("spiffe://other.test/ns/shop/sa/web"), 403),
        (Some(""), 403),
        (None, 403),
    ] {
        let fake = Fake { peer, ..Fake::default() };
        let (found, recorded) = ask(&mut with_peers(&fake), &fake, "/inside", &[]);
        let reason = if status == 403 { "peer_unknown" } else { "" };
        assert_eq!((found, recorded.reason().as_str()), (status, reason), "{peer:?}");
    }
}

#[test]
fn a_peer_is_asked_before_and_beside_a_token() {
    let good = format!("Bearer {}", token(""));
    for (peer, authorization, status, reason) in [
        (Some(WEB), good.as_str(), 200, ""),
        (Some(WEB), "Bearer nonsense", 401, "token_form"),
        (None, good.as_str(), 403, "peer_unknown"),
        // A stranger is not told whether the token holds.
        (None, "Bearer nonsense", 403, "peer_unknown"),
    ] {
        let fake = Fake { peer, ..Fake::default() };
        let found = ask_as(&mut with_peers(&fake), &fake, "/both", authorization);
        assert_eq!(found, (status, reason.to_owned()), "{peer:?} {authorization}");
    }
}

#[test]
fn in_shadow_a_stranger_is_counted_and_passes() {
    let fake = Fake::default();
    let mut gatekeeper = with_peers(&fake);
    assert_eq!(ask(&mut gatekeeper, &fake, "/tried", &[]).0, 200);
    let counts = gatekeeper.take_counts().into_iter().zip(crate::counters::NAMES);
    let shadowed: u64 =
        counts.filter(|(_, name)| name.contains("shadow")).map(|(count, _)| count).sum();
    assert_eq!(shadowed, 1);
}

#[test]
fn a_route_without_peers_asks_the_host_nothing() {
    let fake = Fake::default();
    let mut gatekeeper = with_peers(&fake);
    let asked = fake.asked.get();
    assert_eq!(ask(&mut gatekeeper, &fake, "/open", &[]).0, 200);
    assert_eq!(fake.asked.get(), asked);
}

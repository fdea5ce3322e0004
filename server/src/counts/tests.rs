use postern_descriptors::{Descriptors, Source};
use postern_request::principal::Credential;
use serde_json::{Value, json};

use super::testing::{API_KEY, Gateway, ISSUER, NOW, bearer, get, holder};
use super::*;

const ADDRESS: &str = "2001:db8::1";

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn meant(limit: &str, parts: &[&str]) -> Meant {
    Meant { limit: limit.to_owned(), parts: texts(parts), ..Meant::default() }
}

impl Gateway {
    fn count(&self, meant: &Meant) -> Result<Count, Unclear> {
        of_limit(&self.document.load(), meant)
    }

    async fn standing(&self, meant: &Meant) -> Value {
        let count = self.count(meant).unwrap_or_else(|error| panic!("{meant:?}: {error}"));
        count.standing(self.store.as_ref(), NOW).await.unwrap().to_json()
    }
}

#[tokio::test]
async fn what_the_server_has_counted_is_found_and_nothing_else() {
    let gateway = Gateway::new();
    let user = |claims: Value| get("/user", ADDRESS, &[("authorization", &bearer(&claims))]);
    let org = |claims: Value| get("/org", ADDRESS, &[("authorization", &bearer(&claims))]);
    let at_one = |meant: Meant| Meant { issuer: some(ISSUER), ..meant };
    let without = |parts: &[&str], meant: Meant| Meant { without: texts(parts), ..meant };
    let whole_org =
        at_one(meant("org", &["claim.org=acme", "claim.client_id=app", "claim.tier=premium"]));
    let cases = [
        (user(json!({"sub": "alice"})), at_one(meant("user", &["claim.sub=alice"]))),
        (
            user(json!({"sub": "alice", "tier": "premium"})),
            Meant { tier: some("premium"), ..at_one(meant("user", &["claim.sub=alice"])) },
        ),
        (
            user(json!({"sub": "alice", "tier": "premium", "client_id": "app"})),
            Meant { client: some("app"), ..at_one(meant("user", &["claim.sub=alice"])) },
        ),
        (
            get("/user", ADDRESS, &[("x-api-key", API_KEY)]),
            Meant { credential: Some(Credential::ApiKey), ..meant("user", &["claim.sub=machine"]) },
        ),
        (get("/user", ADDRESS, &[]), without(&["claim.sub"], meant("user", &[]))),
        (
            get("/place", ADDRESS, &[("x-tenant", "a=b ä")]),
            meant(
                "place",
                &["ip=2001:db8::ffff", "header.x-tenant=a=b ä", "method=GET", "host=a.test"],
            ),
        ),
        (
            get("/place", "192.0.2.1", &[]),
            without(
                &["header.x-tenant"],
                meant("place", &["host=A.test:80", "method=GET", "ip=192.0.2.1"]),
            ),
        ),
        (org(json!({"sub": "a", "org": "acme", "client_id": "app", "tier": "premium"})), whole_org),
        (
            org(json!({"sub": "a", "client_id": "app"})),
            without(
                &["claim.org", "claim.tier"],
                Meant { client: some("app"), ..meant("org", &[]) },
            ),
        ),
        (
            get("/item/a%20b/x/y%C3%A4", ADDRESS, &[]),
            meant("item", &["path.id=a b", "path.rest=x/yä"]),
        ),
        (get("/two", ADDRESS, &[]), meant("each", &["route=two"])),
        (get("/three", ADDRESS, &[]), Meant { route: some("three"), ..meant("each", &[]) }),
        (
            get("/machine", ADDRESS, &[("x-api-key", API_KEY)]),
            meant("machine", &["api_key=machine"]),
        ),
    ];
    for (request, meant) in &cases {
        assert_eq!(gateway.standing(meant).await["counted"], false, "{meant:?}");
        gateway.send(request).await;
        let standing = gateway.standing(meant).await;
        assert_eq!(
            (&standing["counted"], &standing["used"]),
            (&json!(true), &json!(1)),
            "{meant:?}"
        );
    }
    for (_, meant) in &cases {
        assert_eq!(gateway.standing(meant).await["used"], 1, "{meant:?}: another one's request");
    }
    for (service, used) in [("s", 1), ("t", 1)] {
        let meant = meant("all", &[format!("service={service}").as_str()]);
        assert_eq!(gateway.standing(&meant).await["used"], used, "{service}");
    }
    for (_, meant) in &cases {
        let count = gateway.count(meant).unwrap();
        assert_eq!(count.forget(gateway.store.as_ref()).await, Ok(true), "{meant:?}");
        assert_eq!(count.forget(gateway.store.as_ref()).await, Ok(false), "{meant:?}");
        assert_eq!(gateway.standing(meant).await["counted"], false, "{meant:?}");
    }
}

#[tokio::test]
async fn how_it_stands_is_told_with_its_numbers() {
    let gateway = Gateway::new();
    let premium = Meant {
        tier: some("premium"),
        issuer: some(ISSUER),
        ..meant("user", &["claim.sub=alice"])
    };
    let alice = bearer(&json!({"sub": "alice", "tier": "premium"}));
    gateway.send(&get("/user", ADDRESS, &[("authorization", &alice)])).await;
    let count = gateway.count(&premium).unwrap();
    let standing = count.standing(gateway.store.as_ref(), NOW).await.unwrap();
    let lines = [
        ("limit", "user"),
        ("caller", "with a token of https://one.test"),
        ("algorithm", "sliding_window"),
        ("rate", "50/1m"),
        ("used", "1"),
        ("remaining", "49"),
        ("reset", "in 60s"),
    ];
    assert_eq!(standing.lines(), lines.map(|(what, value)| (what, value.to_owned())));
    let told = standing.to_json();
    assert_eq!((&told["credential"], &told["issuer"]), (&json!("jwt"), &json!(ISSUER)));
    assert_eq!((&told["remaining"], &told["reset_seconds"]), (&json!(49), &json!(60)));
    assert!(told["forgotten_in_ms"].as_u64().unwrap() >= 60_000, "{told}");

    let unlimited = Meant { tier: some("enterprise"), ..premium };
    let told = gateway.standing(&unlimited).await;
    assert_eq!((&told["rate"], &told["counted"]), (&json!("unlimited"), &json!(false)));
    let bucket = meant("place", &["ip=192.0.2.1", "header.x-tenant=", "method=GET", "host=h"]);
    let told = gateway.standing(&bucket).await;
    assert_eq!((&told["rate"], &told["burst"]), (&json!("10/1s"), &json!(20)));
    let in_flight = gateway.standing(&meant("machine", &["api_key=m"])).await;
    assert_eq!((&in_flight["in_flight"], &in_flight["slot_life"]), (&json!(3), &json!("1m")));
}

#[tokio::test]
async fn of_a_leased_limit_what_is_lent_is_found_and_forgotten() {
    let gateway = Gateway::new();
    let of_alice = |tier: Option<&str>| Meant {
        issuer: some(ISSUER),
        tier: tier.map(str::to_owned),
        ..meant("shared", &["claim.sub=alice"])
    };
    let of_nobody = Meant { without: texts(&["claim.sub"]), ..meant("shared", &[]) };
    let (alice, premium) = (holder("alice", None), holder("alice", Some("premium")));
    let cases = [
        (Some(&alice), of_alice(None), 1000_u64, 30),
        (Some(&premium), of_alice(Some("premium")), 5000, 40),
        (None, of_nobody, 1000, 20),
    ];
    for (caller, meant, limit, asked) in &cases {
        assert_eq!(gateway.standing(meant).await["counted"], false, "{meant:?}");
        assert_eq!(gateway.lend(*caller, 1, *asked).await, *asked, "{meant:?}");
        let told = gateway.standing(meant).await;
        assert_eq!(
            (&told["rate"], &told["used"], &told["remaining"], &told["reset_seconds"]),
            (&json!(format!("{limit}/1m")), &json!(asked), &json!(limit - asked), &json!(60)),
            "{told}"
        );
    }
    // As of an exact limit, to the letter.
    let lines = [
        ("limit", "shared"),
        ("caller", "with a token of https://one.test"),
        ("algorithm", "sliding_window"),
        ("rate", "1000/1m"),
        ("used", "30"),
        ("remaining", "970"),
        ("reset", "in 60s"),
    ];
    let count = gateway.count(&of_alice(None)).unwrap();
    let standing = count.standing(gateway.store.as_ref(), NOW).await.unwrap();
    assert_eq!(standing.lines(), lines.map(|(what, value)| (what, value.to_owned())));
    for (caller, meant, _, asked) in &cases {
        let told = gateway.standing(meant).await;
        assert_eq!(told["used"], *asked, "{meant:?}: another one's");
        let count = gateway.count(meant).unwrap();
        assert_eq!(count.forget(gateway.store.as_ref()).await, Ok(true), "{meant:?}");
        assert_eq!(count.forget(gateway.store.as_ref()).await, Ok(false), "{meant:?}");
        assert_eq!(gateway.standing(meant).await["counted"], false, "{meant:?}");
        // The lease is forgotten, too: the same question is a new one.
        assert_eq!(gateway.lend(*caller, 1, *asked).await, *asked, "{meant:?}");
        assert_eq!(gateway.standing(meant).await["used"], *asked, "{meant:?}");
    }
    let unlimited = gateway.standing(&of_alice(Some("enterprise"))).await;
    assert_eq!((&unlimited["rate"], &unlimited["counted"]), (&json!("unlimited"), &json!(false)));
}

#[tokio::test]
async fn what_is_not_clear_is_named() {
    let gateway = Gateway::new();
    let without = |limit: &str, part: &str| Meant { without: texts(&[part]), ..meant(limit, &[]) };
    for (meant, expected) in [
        (meant("users", &[]), "it has "),
        (meant("near", &["ip=192.0.2.1"]), "mode: local"),
        (meant("spare", &["ip=192.0.2.1"]), "no route has `spare`"),
        (meant("user", &[]), "`user` counts by claim.sub: say claim.sub=VALUE, or `without`"),
        (meant("user", &["ip=192.0.2.1"]), "`user` counts by claim.sub;"),
        (meant("user", &["claim.sub"]), "PART=VALUE"),
        (without("user", "ip"), "`user` counts by claim.sub;"),
        (meant("user", &["claim.sub=a", "claim.sub=b"]), "claim.sub is said twice"),
        (
            Meant { without: texts(&["claim.sub"]), ..meant("user", &["claim.sub=b"]) },
            "claim.sub is said twice",
        ),
        (meant("user", &["claim.sub=a"]), "https://one.test, https://two.test"),
        (Meant { issuer: some("x"), ..meant("user", &["claim.sub=a"]) }, "no such issuer"),
        (
            Meant {
                issuer: some(ISSUER),
                credential: Some(Credential::ApiKey),
                ..meant("user", &["claim.sub=a"])
            },
            "neither an issuer nor claims",
        ),
        (Meant { tier: some("premium"), ..without("user", "claim.sub") }, "have no caller"),
        (without("item", "path.id"), "no request is without path.id"),
        (meant("item", &["path.id=5"]), "path.rest: say path.rest=VALUE"),
        (meant("each", &[]), "say route=NAME, one of one, two, three"),
        (meant("each", &["route=user"]), "it is on one, two, three"),
        (Meant { route: some("one"), ..meant("each", &["route=two"]) }, "route is said twice"),
        (meant("all", &[]), "say service=NAME, one of s, t"),
        (
            meant("place", &["ip=sekrit", "header.x-tenant=", "method=GET", "host=h"]),
            "ip is an address",
        ),
        (
            Meant { credential: Some(Credential::Jwt), ..meant("machine", &["api_key=m"]) },
            "with an API key",
        ),
        (Meant { tier: some("t"), ..meant("org", &["claim.tier=t"]) }, "claim.tier is said twice"),
    ] {
        let error = gateway.count(&meant).unwrap_err().to_string();
        assert!(error.contains(expected), "{meant:?}: {error}");
        assert!(!error.contains("sekrit"), "{error}");
    }
}

#[tokio::test]
async fn a_rule_of_the_service_is_found_by_its_descriptor() {
    let text = "
domain: shop
descriptors:
  - key: user
    rate_limit: {name: by user, unit: hour, requests_per_unit: 5}
    descriptors:
      - key: path
        value: /free
        rate_limit: {unlimited: true}
      - key: path
        value: /closed
        rate_limit: {unit: day, requests_per_unit: 0}
";
    let source = Source { name: "rules.yaml".to_owned(), text: text.to_owned() };
    let rules = match Descriptors::load(&[source], false) {
        Ok(rules) => rules,
        Err(problems) => panic!("{problems:#?}"),
    };
    let find = |domain: &str, entries: &[&str]| of_descriptor(&rules, domain, &texts(entries));
    let store = postern_store::MemoryStore::default();
    let told = async |entries: &[&str]| {
        find("shop", entries).unwrap().standing(&store, NOW).await.unwrap().to_json()
    };
    let by_user = told(&["user=alice"]).await;
    assert_eq!((&by_user["limit"], &by_user["rate"]), (&json!("by user"), &json!("5/1h")));
    assert_ne!(find("shop", &["user=alice"]), find("shop", &["user"]));
    assert_eq!(told(&["user=a", "path=/free"]).await["rate"], "unlimited");
    assert_eq!(told(&["user=a", "path=/closed"]).await["rate"], "0/1d");
    assert_eq!(find("shop", &["path=/free"]), Err(Unclear::NoRule));
    let elsewhere = find("shops", &["user=a"]).unwrap_err();
    assert!(elsewhere.to_string().contains("there is shop"), "{elsewhere}");
}

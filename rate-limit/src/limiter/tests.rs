use super::*;
use crate::ask::{MAX_HITS, Override};
use crate::testing::{NOW, PLAIN, Service, ask};
use postern_descriptors::Unit;
use postern_request::RateLimitStatus;
use postern_store::away::Away;
use postern_store::limiter::WhenStoreFails;

const RULES: &str = "
domain: shop
descriptors:
  - key: ip
    rate_limit: {name: by ip, unit: minute, requests_per_unit: 3}
  - key: user
    rate_limit: {unit: hour, requests_per_unit: 10}
  - key: free
    rate_limit: {unlimited: true}
  - key: closed
    rate_limit: {unit: minute, requests_per_unit: 0}
  - key: shadow
    shadow_mode: true
    rate_limit: {unit: minute, requests_per_unit: 1}
  - key: quota
    quota_mode: true
    rate_limit: {unit: minute, requests_per_unit: 1}
";

fn service() -> Service {
    Service::new(RULES, PLAIN)
}

impl Service {
    async fn decide(&self, asked: &Ask) -> Answer {
        self.limiter.decide(asked, NOW).await.unwrap()
    }

    /// One descriptor that counts so.
    async fn hit(&self, key: &str, hits: Hits) -> Standing {
        let mut asked = ask("shop", &[&[(key, "1")]]);
        asked.descriptors[0].hits = hits;
        self.decide(&asked).await.standings.remove(0)
    }
}

fn remaining(answer: &Answer) -> Vec<u32> {
    answer.standings.iter().map(|standing| standing.remaining).collect()
}

#[tokio::test]
async fn a_request_takes_from_all_of_its_limits_or_from_none() {
    let service = service();
    let both = ask("shop", &[&[("ip", "1")], &[("user", "1")]]);
    for left in [[2, 9], [1, 8], [0, 7]] {
        let answer = service.decide(&both).await;
        assert!(!answer.over);
        assert_eq!(remaining(&answer), left);
    }
    for _ in 0..3 {
        let answer = service.decide(&both).await;
        assert!(answer.over);
        assert_eq!(remaining(&answer), [0, 7]);
        let over: Vec<_> = answer.standings.iter().map(|standing| standing.over).collect();
        assert_eq!(over, [true, false]);
        let status = RateLimitStatus { limit: 3, remaining: 0, reset_secs: 60, window_secs: 60 };
        assert_eq!(answer.status, Some(status));
    }
    let answer = service.limiter.decide(&both, UnixMillis(NOW.0 + 60_000)).await.unwrap();
    assert_eq!(remaining(&answer), [2, 6], "windows follow the clock");
}

#[tokio::test]
async fn standings_are_in_the_order_of_the_descriptors() {
    let service = service();
    let descriptors: [&[(&str, &str)]; 4] =
        [&[("none", "")], &[("ip", "1")], &[("free", "")], &[("user", "1")]];
    let answer = service.decide(&ask("shop", &descriptors)).await;
    let limit = |name: &str, requests, unit| CurrentLimit { name: name.to_owned(), requests, unit };
    let limited = |limit, remaining, reset_secs| Standing {
        over: false,
        limit: Some(limit),
        remaining,
        reset_secs,
    };
    assert_eq!(
        answer.standings,
        [
            Standing::default(),
            limited(limit("by ip", 3, Unit::Minute), 2, 60),
            Standing { remaining: u32::MAX, ..Standing::default() },
            limited(limit("", 10, Unit::Hour), 9, 3600),
        ]
    );
    assert_eq!(answer.status.map(|status| status.remaining), Some(2), "the tightest");
    assert_eq!((answer.quota, answer.rules.len()), (None, 0));
    let unknown = service.decide(&ask("nobody", &descriptors)).await;
    assert_eq!(unknown.standings, vec![Standing::default(); 4]);
    assert_eq!((unknown.over, unknown.status), (false, None));
}

#[tokio::test]
async fn hits_are_taken_looked_at_and_given_back() {
    let service = service();
    for (hits, over, remaining) in [
        (Hits::Take(4), false, 6),
        (Hits::Take(0), false, 6),
        (Hits::Take(7), true, 6),
        (Hits::Take(MAX_HITS), true, 6),
        (Hits::GiveBack(3), false, 9),
        (Hits::Take(0), false, 9),
        (Hits::GiveBack(0), false, 9),
        (Hits::GiveBack(MAX_HITS), false, 10),
        (Hits::Take(10), false, 0),
        (Hits::Take(1), true, 0),
        (Hits::Take(0), false, 0),
    ] {
        let standing = service.hit("user", hits).await;
        assert_eq!((standing.over, standing.remaining), (over, remaining), "{hits:?}");
    }
}

#[tokio::test]
async fn nothing_is_given_back_for_a_request_that_is_refused() {
    let service = service();
    assert_eq!(service.hit("user", Hits::Take(8)).await.remaining, 2);
    assert_eq!(service.hit("ip", Hits::Take(3)).await.remaining, 0);
    let mut asked = ask("shop", &[&[("ip", "1")], &[("user", "1")]]);
    asked.descriptors[1].hits = Hits::GiveBack(5);
    let answer = service.decide(&asked).await;
    assert!(answer.over);
    assert_eq!(remaining(&answer), [0, 2]);
    assert_eq!(service.hit("user", Hits::Take(0)).await.remaining, 2);
}

#[tokio::test]
async fn a_rule_of_nothing_refuses_and_nothing_else_is_counted() {
    let service = service();
    let mut asked = ask("shop", &[&[("user", "1")], &[("closed", "1")], &[("ip", "1")]]);
    asked.descriptors[2].hits = Hits::Take(4);
    let answer = service.decide(&asked).await;
    assert!(answer.over);
    let over: Vec<_> = answer.standings.iter().map(|standing| standing.over).collect();
    assert_eq!(over, [false, true, true], "four of three do not fit, either");
    assert_eq!(remaining(&answer), [10, 0, 3]);
    let closed = answer.standings[1].clone();
    assert_eq!((closed.reset_secs, closed.limit.unwrap().requests), (60, 0));
    assert!(service.hit("closed", Hits::Take(0)).await.over, "a look does not open it");
    assert!(!service.hit("closed", Hits::GiveBack(1)).await.over);
}

#[tokio::test]
async fn limits_that_are_brought_along_count_anywhere() {
    let service = service();
    for domain in ["shop", "nobody"] {
        let mut asked = ask(domain, &[&[("free", "1")]]);
        asked.descriptors[0].instead = Some(Override { requests: 2, unit: Some(Unit::Day) });
        for (over, left) in [(false, 1), (false, 0), (true, 0)] {
            let answer = service.decide(&asked).await;
            assert_eq!((answer.over, remaining(&answer)), (over, vec![left]), "{domain}");
        }
        asked.descriptors[0].instead = Some(Override { requests: 0, unit: Some(Unit::Day) });
        assert!(service.decide(&asked).await.over);
    }
    let hits =
        service.metric(r#"postern_rate_limit_rule_hits_total{outcome="over",rule="override""#);
    assert_eq!(hits, 4);
}

#[tokio::test]
async fn shadow_and_quota_refuse_nothing() {
    let service = service();
    let asked = ask("shop", &[&[("shadow", "1")], &[("ip", "1")], &[("quota", "1")]]);
    let first = service.decide(&asked).await;
    assert_eq!((first.over, first.quota.as_deref()), (false, Some(&[][..])));
    assert_eq!(remaining(&first), [0, 2, 0]);
    let second = service.decide(&asked).await;
    assert_eq!((second.over, second.quota.as_deref()), (false, Some(&[2][..])));
    assert!(second.standings.iter().all(|standing| !standing.over));
    assert_eq!(second.status.map(|status| status.limit), Some(3), "headers tell what binds");
    for rule in ["shop.shadow", "shop.quota"] {
        let name = "postern_rate_limit_rule_hits_total";
        let hits = service.metric(&format!("{name}{{outcome=\"shadow\",rule=\"{rule}\""));
        assert_eq!(hits, 1, "{rule}");
    }
}

#[tokio::test]
async fn rules_are_named_when_asked_for() {
    let service = Service::new(RULES, Settings { metadata: true, ..PLAIN });
    let asked = ask("shop", &[&[("none", "")], &[("ip", "1")], &[("free", "x")]]);
    assert_eq!(service.decide(&asked).await.rules, ["", "by ip", "shop.free"]);
}

#[tokio::test]
async fn without_the_store_settings_say_what_happens() {
    let asked = ask("shop", &[&[("ip", "1")], &[("free", "")]]);
    for (when_store_fails, replicas, expected) in [
        (WhenStoreFails::Deny, 1, [None, None]),
        (WhenStoreFails::Allow, 1, [Some((false, 3)), Some((false, 3))]),
        (WhenStoreFails::LocalShare, 2, [Some((false, 0)), Some((true, 0))]),
        (WhenStoreFails::LocalShare, 0, [Some((false, 2)), Some((false, 1))]),
    ] {
        let settings = Settings { when_store_fails, replicas, ..PLAIN };
        let service = Service::with_store(RULES, settings, Arc::new(Away));
        for expected in expected {
            let answer = service.limiter.decide(&asked, NOW).await;
            let said = answer.as_ref().ok().map(|a| (a.over, a.standings[0].remaining));
            assert_eq!(said, expected, "{when_store_fails:?} {replicas}");
            assert!(answer.is_ok() || answer == Err(Refusal::Unavailable));
        }
        let name = "postern_rate_limit_store_failures_total";
        let label = when_store_fails.as_str();
        assert_eq!(service.metric(&format!("{name}{{answer=\"{label}\"")), 2);
    }
    let service = Service::with_store(RULES, PLAIN, Arc::new(Away));
    let free = service.decide(&ask("shop", &[&[("free", "")], &[("closed", "")]])).await;
    assert!(free.over, "what is not counted needs no store");
}

#[tokio::test]
async fn answers_are_counted_by_domain_and_rules_by_how_near_they_are() {
    let service = service();
    for _ in 0..12 {
        service.hit("user", Hits::Take(1)).await;
    }
    drop(service.decide(&ask("nobody", &[&[("ip", "1")]])).await);
    let senseless = service.limiter.decide(&ask("shop", &[]), NOW).await;
    assert_eq!(senseless, Err(Refusal::NoDescriptor));
    assert_eq!(service.limiter.decide(&ask("", &[]), NOW).await, Err(Refusal::NoDomain));
    let requests = |code: &str, domain: &str| {
        let labels = format!("code=\"{code}\",domain=\"{domain}\"");
        service.metric(&format!("postern_rate_limit_requests_total{{{labels}"))
    };
    assert_eq!((requests("OK", "shop"), requests("OVER_LIMIT", "shop")), (10, 2));
    assert_eq!((requests("OK", "unknown"), requests("OK", "nobody")), (1, 0));
    assert_eq!((requests("error", "shop"), requests("error", "unknown")), (1, 1));
    let rule = |outcome: &str| {
        let labels = format!("outcome=\"{outcome}\",rule=\"shop.user\"");
        service.metric(&format!("postern_rate_limit_rule_hits_total{{{labels}"))
    };
    assert_eq!((rule("ok"), rule("near"), rule("over"), rule("shadow")), (8, 2, 2, 0));
    assert_eq!(service.metric("postern_rate_limit_rules{"), 6);
    assert_eq!(service.metric("postern_rate_limit_duration_seconds_count"), 15);
    let top = service.limiter.top_keys(10);
    assert_eq!((top.len(), top[0].key.as_str(), top[0].count), (1, "shop: user=1", 4));
}

#[tokio::test]
async fn many_at_once_get_no_more_than_there_is() {
    let service = Arc::new(service());
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let service = Arc::clone(&service);
        running.spawn(async move { service.hit("user", Hits::Take(1)).await.over });
    }
    let over = running.join_all().await;
    assert_eq!(over.into_iter().filter(|over| !over).count(), 10);
}

#[test]
fn the_rules_can_be_looked_at() {
    let dump = service().limiter.dump();
    assert!(dump.contains("shop.ip: unit=MINUTE requests_per_unit=3"), "{dump}");
}

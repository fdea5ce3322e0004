//! Whose turn it is to check, and what is said of checks.

use std::time::Duration;

use postern_registry::{Health, Standing};
use postern_request::UnixMillis;

use super::{Case, checked, instance, until};
use crate::registry::{Checker, Report};

/// How long a turn is that has to be over soon.
const SHORT_MS: u64 = 1_000;
const LONG_MS: u64 = 60_000;

pub(super) async fn run(case: &Case<'_>) {
    one_at_a_time_has_the_turn(case).await;
    what_is_reported_is_listed(case).await;
    only_a_change_of_health_is_a_change(case).await;
}

/// Somebody's turn to check a service.
pub(super) struct Turn<'c> {
    case: &'c Case<'c>,
    service: String,
    checker: Checker,
}

impl<'c> Turn<'c> {
    pub(super) async fn take(case: &'c Case<'c>, service: &str, number: u64) -> Self {
        let turn = Self { case, service: service.to_owned(), checker: Checker(number) };
        assert!(turn.claim(LONG_MS).await);
        turn
    }

    async fn claim(&self, life_ms: u64) -> bool {
        let now = self.case.now();
        self.case.registry.claim(&self.service, self.checker, life_ms, now).await.unwrap()
    }

    /// Says how an instance is; whether that counts.
    pub(super) async fn report(&self, id: &str, health: Health) -> bool {
        let standing = Standing { health, since: self.case.now(), ..Standing::default() };
        self.report_all(id, standing).await
    }

    async fn report_all(&self, id: &str, standing: Standing) -> bool {
        let report = Report { service: &self.service, id, checker: self.checker, standing };
        self.case.registry.report(report, self.case.now()).await.unwrap()
    }
}

async fn one_at_a_time_has_the_turn(case: &Case<'_>) {
    let service = case.service("turns");
    case.register(&checked(instance(&service, "a", 1))).await;
    let first = Turn { case, service: service.clone(), checker: Checker(u64::MAX) };
    let second = Turn { case, service: service.clone(), checker: Checker(2) };
    assert!(first.claim(SHORT_MS).await);
    assert!(!second.claim(LONG_MS).await);
    assert!(first.claim(SHORT_MS).await, "who has it goes on with it");
    assert!(first.report("a", Health::Healthy).await);
    assert!(!second.report("a", Health::Unhealthy).await);
    until("the first one's turn", async || second.claim(LONG_MS).await).await;
    assert!(!first.claim(SHORT_MS).await);
    assert!(!first.report("a", Health::Unhealthy).await, "it is somebody else's by now");
    assert_eq!(case.find(&service, "a").await.unwrap().standing.health, Health::Healthy);
}

async fn what_is_reported_is_listed(case: &Case<'_>) {
    let service = case.service("reported");
    case.register(&checked(instance(&service, "a", 1))).await;
    let turn = Turn::take(case, &service, 1).await;
    let now = case.now();
    let standing = Standing {
        health: Health::Recovering,
        since: now,
        failures: 4,
        attempts: 5,
        last_check: Some(UnixMillis(now.0 + 1)),
        response_ms: u32::MAX,
    };
    assert!(turn.report_all("a", standing).await);
    assert_eq!(case.find(&service, "a").await.unwrap().standing, standing);
    assert!(case.heartbeat(&service, "a").await);
    assert!(!case.register(&checked(instance(&service, "a", 1))).await);
    assert_eq!(case.find(&service, "a").await.unwrap().standing, standing, "it stays so");
    assert!(!turn.report("b", Health::Healthy).await, "there is no such instance");
    assert!(case.find(&service, "b").await.is_none(), "and it was not made");
}

async fn only_a_change_of_health_is_a_change(case: &Case<'_>) {
    let service = case.service("healthy");
    case.register(&checked(instance(&service, "a", 1))).await;
    let turn = Turn::take(case, &service, 1).await;
    assert!(turn.report("a", Health::Healthy).await);
    let before = case.list(&service).await.version;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(turn.report("a", Health::Healthy).await);
    assert_eq!(case.list(&service).await.version, before);
    assert!(turn.report("a", Health::Unhealthy).await);
    assert!(case.list(&service).await.version.number > before.number);
}

//! Whose turn it is to check, and what is said of checks.

use std::time::Duration;

use postern_registry::{Health, Instance, Standing};
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
    a_check_of_another_address_does_not_count(case).await;
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

    /// Says how an instance is where it was when it was checked; whether that counts.
    pub(super) async fn report(&self, instance: &Instance, health: Health) -> bool {
        let standing = Standing { health, since: self.case.now(), ..Standing::default() };
        self.report_all(instance, standing).await
    }

    async fn report_all(&self, instance: &Instance, standing: Standing) -> bool {
        let report = Report {
            service: &self.service,
            id: &instance.id,
            place: instance.socket(),
            checker: self.checker,
            standing,
        };
        self.case.registry.report(report, self.case.now()).await.unwrap()
    }
}

async fn one_at_a_time_has_the_turn(case: &Case<'_>) {
    let service = case.service("turns");
    let one = checked(instance(&service, "a", 1));
    case.register(&one).await;
    let first = Turn { case, service: service.clone(), checker: Checker(u64::MAX) };
    let second = Turn { case, service: service.clone(), checker: Checker(2) };
    assert!(first.claim(SHORT_MS).await);
    assert!(!second.claim(LONG_MS).await);
    assert!(first.claim(SHORT_MS).await, "who has it goes on with it");
    assert!(first.report(&one, Health::Healthy).await);
    assert!(!second.report(&one, Health::Unhealthy).await);
    until("the first one's turn", async || second.claim(LONG_MS).await).await;
    assert!(!first.claim(SHORT_MS).await);
    assert!(!first.report(&one, Health::Unhealthy).await, "it is somebody else's by now");
    assert_eq!(case.find(&service, "a").await.unwrap().standing.health, Health::Healthy);
}

async fn what_is_reported_is_listed(case: &Case<'_>) {
    let service = case.service("reported");
    let one = checked(instance(&service, "a", 1));
    case.register(&one).await;
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
    assert!(turn.report_all(&one, standing).await);
    assert_eq!(case.find(&service, "a").await.unwrap().standing, standing);
    assert!(case.heartbeat(&service, "a").await);
    assert!(!case.register(&one).await);
    assert_eq!(case.find(&service, "a").await.unwrap().standing, standing, "it stays so");
    let nobody = instance(&service, "b", 1);
    assert!(!turn.report(&nobody, Health::Healthy).await, "there is no such instance");
    assert!(case.find(&service, "b").await.is_none(), "and it was not made");
}

async fn only_a_change_of_health_is_a_change(case: &Case<'_>) {
    let service = case.service("healthy");
    let one = checked(instance(&service, "a", 1));
    case.register(&one).await;
    let turn = Turn::take(case, &service, 1).await;
    assert!(turn.report(&one, Health::Healthy).await);
    let before = case.list(&service).await.version;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(turn.report(&one, Health::Healthy).await);
    assert_eq!(case.list(&service).await.version, before);
    assert!(turn.report(&one, Health::Unhealthy).await);
    assert!(case.list(&service).await.version.number > before.number);
}

/// A check may end after its instance has moved.
async fn a_check_of_another_address_does_not_count(case: &Case<'_>) {
    let service = case.service("moved");
    let before = checked(instance(&service, "a", 1));
    case.register(&before).await;
    let turn = Turn::take(case, &service, 1).await;
    let address = instance(&service, "a", 2).address;
    for after in
        [Instance { port: 81, ..before.clone() }, Instance { address, port: 81, ..before.clone() }]
    {
        case.register(&after).await;
        assert!(!turn.report(&before, Health::Unhealthy).await, "{after:?}");
        let found = case.find(&service, "a").await.unwrap();
        assert_eq!((found.instance, found.standing.health), (after.clone(), Health::Unknown));
        assert!(turn.report(&after, Health::Healthy).await);
        assert_eq!(case.find(&service, "a").await.unwrap().standing.health, Health::Healthy);
    }
}

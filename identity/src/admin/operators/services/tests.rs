use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use postern_registry::Version;
use postern_store::durable::{AuditStore as _, ServiceStore as _};
use postern_store::registry::{Checker, Report};
use postern_store::{BoxFuture, MemoryRegistry};

use super::super::tests::fill_the_log;
use super::*;
use crate::login::fixture::{NOW, World, later};

fn by() -> Actor {
    Actor::command_line(Some("root"))
}

fn operators(world: &World) -> Operators {
    super::super::tests::operators(world).with_registry(Arc::new(MemoryRegistry::new()))
}

fn instance(id: &str) -> Instance {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Instance::new("shop".to_owned(), id.to_owned(), address, 80)
}

async fn said(world: &World) -> Vec<(String, String)> {
    let records = world.store.audit_since(0, 1000).await.unwrap();
    records.into_iter().map(|record| (record.entry.action, record.entry.target)).collect()
}

fn is_missing<T: std::fmt::Debug>(answer: &Result<T, IdentityError>) -> bool {
    matches!(answer, Err(IdentityError::NotFound(_)))
}

#[tokio::test]
async fn an_instance_comes_is_renewed_and_goes() {
    let world = World::new();
    let operators = operators(&world);
    operators.register_instance(&instance("a"), &by(), NOW).await.unwrap();
    operators.register_instance(&instance("a"), &by(), later(1)).await.unwrap();
    let heavier = Instance { weight: 2, ..instance("a") };
    operators.register_instance(&heavier, &by(), later(2)).await.unwrap();
    assert_eq!(operators.services(later(2)).await.unwrap(), ["shop"]);
    assert_eq!(operators.instance("shop", "a", later(2)).await.unwrap().instance, heavier);
    operators.renew_instance("shop", "a", later(3)).await.unwrap();
    assert!(is_missing(&operators.renew_instance("shop", "b", later(3)).await));
    assert!(is_missing(&operators.renew_instance("shop", "a b", later(3)).await));
    operators.deregister_instance("shop", "a", &by(), later(4)).await.unwrap();
    for gone in [
        operators.deregister_instance("shop", "a", &by(), later(5)).await,
        operators.instance("shop", "a", later(5)).await.map(drop),
        operators.instances("no service", later(5)).await.map(drop),
    ] {
        assert!(is_missing(&gone), "{gone:?}");
    }
    let expected = ["service.registered", "service.registered", "service.deregistered"];
    let expected = expected.map(|action| (action.to_owned(), "shop/a".to_owned()));
    assert_eq!(said(&world).await, expected, "what changes, once each");
}

#[tokio::test]
async fn what_cannot_be_written_down_does_not_happen() {
    let world = World::new();
    let operators = operators(&world);
    operators.register_instance(&instance("a"), &by(), NOW).await.unwrap();
    fill_the_log(&world).await;
    let heavier = Instance { weight: 2, ..instance("a") };
    for refused in [
        operators.register_instance(&instance("b"), &by(), NOW).await,
        operators.register_instance(&heavier, &by(), NOW).await,
        operators.deregister_instance("shop", "a", &by(), NOW).await,
    ] {
        assert!(matches!(refused, Err(IdentityError::Store(_))), "{refused:?}");
    }
    let there = operators.instances("shop", NOW).await.unwrap().entries;
    let there: Vec<Instance> = there.into_iter().map(|listed| listed.instance).collect();
    assert_eq!(there, [instance("a")]);
    operators.register_instance(&instance("a"), &by(), later(1)).await.unwrap();
}

#[tokio::test]
async fn a_service_that_is_full_is_said_so_before_anything_is_written_down() {
    let world = World::new();
    let operators = operators(&world);
    for number in 0..MAX_INSTANCES {
        let there = instance(&number.to_string());
        operators.registry().unwrap().register(&there, NOW).await.unwrap();
    }
    let refused = operators.register_instance(&instance("a"), &by(), NOW).await;
    assert!(matches!(refused, Err(IdentityError::Invalid { what: "instance", .. })), "{refused:?}");
    assert!(said(&world).await.is_empty());
    operators.register_instance(&instance("7"), &by(), NOW).await.unwrap();
}

#[tokio::test]
async fn one_that_stays_is_kept_and_nobody_takes_its_place() {
    let world = World::new();
    let operators = operators(&world);
    let stays = Instance { stays: true, ..instance("a") };
    operators.register_instance(&stays, &by(), NOW).await.unwrap();
    let kept = world.store.find_instance("shop", "a").await.unwrap().unwrap();
    assert_eq!(kept.instance, stays);
    let refused = operators.register_instance(&instance("a"), &by(), NOW).await;
    assert!(matches!(refused, Err(IdentityError::Invalid { what: "instance", .. })), "{refused:?}");
    operators.deregister_instance("shop", "a", &by(), NOW).await.unwrap();
    assert_eq!(world.store.find_instance("shop", "a").await.unwrap(), None);
    assert!(is_missing(&operators.instance("shop", "a", NOW).await));
    operators.register_instance(&instance("a"), &by(), NOW).await.unwrap();
    assert_eq!(said(&world).await.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_its_name() {
    let world = World::new();
    let operators = operators(&world);
    for (instance, expected) in [
        (Instance { weight: 0, ..instance("a") }, "weight"),
        (Instance { port: 0, ..instance("a") }, "port"),
        (instance("a/b"), "instance"),
    ] {
        let refused = operators.register_instance(&instance, &by(), NOW).await;
        let Err(IdentityError::Invalid { what, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(what, expected);
    }
    let without = super::super::tests::operators(&world);
    let refused = without.services(NOW).await;
    assert!(matches!(refused, Err(IdentityError::NotHere(_))), "{refused:?}");
    assert!(said(&world).await.is_empty());
}

/// Somebody else's, who is told of nothing here; or one that cannot read what it has.
#[derive(Default)]
struct Odd {
    keeper: Option<&'static str>,
    left_out: u32,
    has_it: bool,
}

fn refused<T: Send + 'static>() -> BoxFuture<'static, Result<T, RegistryError>> {
    Box::pin(async { Err(RegistryError::ReadOnly("Elsewhere")) })
}

impl Registry for Odd {
    fn keeper(&self) -> Option<&'static str> {
        self.keeper
    }

    fn register<'a>(
        &'a self,
        _: &'a Instance,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        refused()
    }

    fn heartbeat<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        refused()
    }

    fn deregister<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        let has_it = self.has_it;
        if self.keeper.is_some() { refused() } else { Box::pin(async move { Ok(has_it) }) }
    }

    fn list<'a>(
        &'a self,
        _: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        let left_out = self.left_out;
        Box::pin(async move { Ok(Listing { left_out, ..Listing::default() }) })
    }

    fn watch<'a>(
        &'a self,
        service: &'a str,
        _: Option<Version>,
        _: Duration,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Listing, RegistryError>> {
        self.list(service, now)
    }

    fn services(&self, _: UnixMillis) -> BoxFuture<'_, Result<Vec<String>, RegistryError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn claim<'a>(
        &'a self,
        _: &'a str,
        _: Checker,
        _: u64,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        refused()
    }

    fn report<'a>(
        &'a self,
        _: Report<'a>,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, RegistryError>> {
        refused()
    }
}

#[tokio::test]
async fn nothing_is_kept_of_what_is_registered_elsewhere() {
    let world = World::new();
    let elsewhere = Odd { keeper: Some("Elsewhere"), ..Odd::default() };
    let operators = super::super::tests::operators(&world).with_registry(Arc::new(elsewhere));
    let stays = Instance { stays: true, ..instance("a") };
    for refused in [
        operators.register_instance(&stays, &by(), NOW).await,
        operators.register_instance(&instance("a"), &by(), NOW).await,
        operators.renew_instance("shop", "a", NOW).await,
        operators.deregister_instance("shop", "a", &by(), NOW).await,
    ] {
        assert!(matches!(refused, Err(IdentityError::NotHere(_))), "{refused:?}");
    }
    assert_eq!(world.store.find_instance("shop", "a").await.unwrap(), None);
    assert!(operators.instances("shop", NOW).await.unwrap().entries.is_empty());
    assert!(said(&world).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_can_be_taken_out() {
    for (left_out, has_it, goes) in [(1, true, true), (1, false, false), (0, false, false)] {
        let world = World::new();
        let odd = Odd { left_out, has_it, ..Odd::default() };
        let operators = super::super::tests::operators(&world).with_registry(Arc::new(odd));
        let gone = operators.deregister_instance("shop", "a", &by(), NOW).await;
        assert_eq!((gone.is_ok(), is_missing(&gone)), (goes, !goes), "{left_out} {gone:?}");
        assert_eq!(said(&world).await.is_empty(), left_out == 0);
    }
}

//! An Envoy that is told what it runs, by a server whose services a registry in Redis finds.
//!
//! Instances are registered from here, as commands do it: the server hears of them as it hears of
//! what another server has registered.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use postern_e2e::client::{Call, Client, Protocol};
use postern_registry::Instance;
use postern_store::Registry as _;
use postern_store_redis::RedisStore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::rig::{FeedServer, Gateway, make};
use super::whole::WholePlan;
use crate::connection::anonymous;
use crate::database::{Revoked, now};
use crate::launcher::{Launcher, START};

/// The services of a large document, beside the one that is watched.
pub const CROWD: u32 = 1_000;
/// How many instances each of them has.
pub const EACH: u32 = 10;
/// The one that is watched.
const SHOP: &str = "shop";
/// Longer than anything here takes.
const TTL_MS: u64 = 3_600_000;
/// How many are registered at a time.
const AT_ONCE: u32 = 16;
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
/// Where the instances of the others are: nobody is ever asked there.
const NETWORK: u32 = 0x0a00_0000;
const PORT: u16 = 8080;

/// The Envoy, the server and the registry. Fields drop in this order.
pub struct Discovered {
    /// The Envoy.
    pub gateway: Gateway,
    /// The server.
    pub server: FeedServer,
    registry: Arc<RedisStore>,
}

impl Discovered {
    /// Starts everything in a folder of its own, with so many services beside the watched one,
    /// which has one instance at this port; and waits until Envoy has all of them.
    pub async fn start(launcher: &Launcher, folder: &Path, crowd: u32, port: u16) -> Result<Self> {
        make(folder)?;
        let file = folder.join("gateway.yaml");
        fs::write(&file, document(crowd)).with_context(|| format!("writing {}", file.display()))?;
        let home = folder.join("server");
        let mut server =
            Box::pin(FeedServer::with(launcher, &home, &file, Revoked::Nobody)).await?;
        let registry =
            Arc::new(RedisStore::new(&format!("redis://127.0.0.1:{}", server.redis_port))?);
        timeout(CONNECTED_WITHIN, registry.keep_connected())
            .await
            .context("Redis does not answer")?;
        register(&registry, &here("first", port)).await?;
        register_crowd(&registry, crowd).await?;
        let all = crowd * EACH + 1;
        let is_followed = f64::from(all) - 0.5;
        server.until(|metrics| metrics.sum("postern_registry_instances") > is_followed).await?;

        let plan = WholePlan {
            folder: &folder.join("gateway"),
            document: &file,
            server: server.ports,
            name: "discovered",
            is_told: true,
        };
        let mut gateway = Box::pin(plan.start(launcher)).await?;
        let admin = gateway.ports.admin;
        gateway.process.until(START, || has_members(admin, all)).await?;
        Ok(Self { gateway, server, registry })
    }

    /// Registers an instance of the watched service at a port of this machine.
    pub async fn register(&self, id: &str, port: u16) -> Result<()> {
        register(&self.registry, &here(id, port)).await
    }

    /// Takes one out.
    pub async fn deregister(&self, id: &str) -> Result<()> {
        let was_there = self.registry.deregister(SHOP, id, now()).await;
        if !was_there.context("taking an instance out")? {
            bail!("{id} was not registered");
        }
        Ok(())
    }

    /// That everything still runs.
    pub fn check(&mut self) -> Result<()> {
        self.gateway.process.check()?;
        self.server.check()
    }
}

/// A request to the watched service.
pub fn request() -> Vec<u8> {
    anonymous(&format!("/{SHOP}/x"))
}

fn here(id: &str, port: u16) -> Instance {
    instance(SHOP.to_owned(), id.to_owned(), Ipv4Addr::LOCALHOST, port)
}

fn instance(service: String, id: String, address: Ipv4Addr, port: u16) -> Instance {
    let usual = Instance::new(service, id, IpAddr::V4(address), port);
    Instance { ttl_ms: TTL_MS, ..usual }
}

async fn register(registry: &RedisStore, instance: &Instance) -> Result<()> {
    let is_new = registry.register(instance, now()).await;
    let Instance { service, id, .. } = instance;
    if !is_new.with_context(|| format!("registering {service}/{id}"))? {
        bail!("{service}/{id} was registered already");
    }
    Ok(())
}

async fn register_crowd(registry: &Arc<RedisStore>, crowd: u32) -> Result<()> {
    let mut registering = JoinSet::new();
    for first in 0..AT_ONCE {
        let registry = Arc::clone(registry);
        registering.spawn(async move {
            for service in (first..crowd).step_by(usize::try_from(AT_ONCE)?) {
                for number in 0..EACH {
                    register(&registry, &one_of_many(service, number)).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = registering.join_next().await {
        done.context("a task that registers")??;
    }
    Ok(())
}

/// Each at an address of its own.
fn one_of_many(service: u32, number: u32) -> Instance {
    let address = Ipv4Addr::from(NETWORK + 1 + service * EACH + number);
    instance(name(service), format!("{number}"), address, PORT)
}

fn name(service: u32) -> String {
    format!("crowd-{service:04}")
}

/// That an Envoy knows of so many endpoints.
async fn has_members(admin: u16, expected: u32) -> Result<(), String> {
    let call = Call::get("/stats?filter=membership_total");
    let answer = Client::new(Protocol::Http1, admin).try_send(&call).await?;
    let found = members(&answer.text());
    if found >= u64::from(expected) {
        return Ok(());
    }
    Err(format!("{found} endpoints of {expected}"))
}

/// `cluster.service-NAME.membership_total: COUNT`, of all services together.
fn members(stats: &str) -> u64 {
    let of_services = stats.lines().filter_map(|line| line.strip_prefix("cluster.service-"));
    let counts = of_services.filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok());
    counts.sum()
}

/// The watched service and the others, with a route to each.
fn document(crowd: u32) -> String {
    let (mut services, mut routes) = (String::new(), String::new());
    for name in std::iter::once(SHOP.to_owned()).chain((0..crowd).map(name)) {
        // Writing to a string cannot fail.
        let _ = writeln!(services, "  {name}: {{discover: {{registry: {name}}}}}");
        let _ = writeln!(
            routes,
            "  - {{name: {name}, match: {{path: '/{name}/{{rest=**}}'}}, service: {name}, \
             auth: none}}"
        );
    }
    format!("version: 1\nservices:\n{services}routes:\n{routes}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use postern_document::Source;

    use super::*;

    #[test]
    fn a_registry_finds_all_services() {
        for crowd in [0, CROWD] {
            let source = Source { name: "gateway.yaml".to_owned(), text: document(crowd) };
            let no_file = |name: &str| Err(format!("no file {name}"));
            let document = postern_document::load(&[source], &no_file)
                .unwrap_or_else(|problems| panic!("{problems:?}"));
            let services: BTreeSet<&str> = document.discovered().collect();
            assert_eq!(services.len(), usize::try_from(crowd).unwrap() + 1);
            let found = document.find_route("127.0.0.1:1", "GET", "/shop/x").unwrap();
            assert_eq!(found.map(|route| route.name.as_str()), Some(SHOP));
        }
    }

    #[test]
    fn instances_can_be_registered_and_none_is_there_twice() {
        let mut places = BTreeSet::new();
        for service in 0..CROWD {
            for number in 0..EACH {
                let instance = one_of_many(service, number);
                assert_eq!(instance.validate(), Ok(()), "{instance:?}");
                places.insert((instance.address, instance.service, instance.id));
            }
        }
        let all: BTreeSet<IpAddr> = places.iter().map(|(address, ..)| *address).collect();
        assert_eq!((places.len(), all.len()), (10_000, 10_000));
        assert_eq!(here("first", 1).validate(), Ok(()));
    }

    #[test]
    fn endpoints_are_those_of_services() {
        let stats = "cluster.postern-grpc.membership_total: 1\n\
                     cluster.service-shop.membership_total: 2\n\
                     cluster.service-crowd-0001.membership_total: 10\n";
        assert_eq!(members(stats), 12);
        assert_eq!(members(""), 0);
    }
}

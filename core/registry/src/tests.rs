mod instance;
mod snapshot;
mod standing;
mod view;

use std::net::{IpAddr, Ipv4Addr};

use postern_request::UnixMillis;

use crate::{Check, Health, Instance, Listed, Listing, Probe, Standing, Version};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn later(millis: u64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}

/// The instance with this number.
fn instance(number: u8) -> Instance {
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
    Instance::new("shop".to_owned(), format!("shop-{number}"), address, 8080)
}

fn check() -> Check {
    Check::new(Probe::Http { path: "/health".to_owned() })
}

fn checked(number: u8, health: Health, since: UnixMillis) -> Listed {
    let instance = Instance { check: Some(check()), ..instance(number) };
    let standing = Standing { health, since, ..Standing::default() };
    Listed { instance, standing, expires_in_ms: Some(300_000) }
}

fn listed(number: u8) -> Listed {
    Listed {
        instance: instance(number),
        standing: Standing::new(NOW),
        expires_in_ms: Some(300_000),
    }
}

fn listing(epoch: u64, number: u64, entries: Vec<Listed>) -> Listing {
    Listing { version: Version { epoch, number }, at: NOW, entries, left_out: 0 }
}

//! Figures that are no cost per request: how fast the feed is, what it costs those who only
//! wait, what a gateway takes to start and to remember, and a rate limit service to count, how
//! long a large document takes to be rendered, how long decisions take while many log in, how soon
//! Envoys hear of services that fail or move, and what the server has in memory for that.
//!
//! Each starts what it needs, and ends it. Where Envoy has several workers nothing is pinned:
//! whatever else runs on this machine, this program included, is in the figure, too.

mod answering;
mod board;
mod circuit_propagation;
mod crowd;
mod discovered;
mod idle_bytes;
mod latency;
mod limits_memory;
mod login_storm;
mod many_routes;
mod memory_million;
mod probe;
mod relay;
pub mod revoker;
mod rig;
mod server_cpu;
mod tokens_seen;
mod vm_start;
mod whole;
mod xds_memory;
mod xds_propagation;

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::launcher::Launcher;
use crate::reading::Section;

/// Something that is measured by itself. Its readings have its name and more.
#[derive(Debug)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// Whether one of its readings has a bound.
    is_bound: bool,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Latency,
    LatencyLoaded,
    IdleBytes,
    ServerCpu,
    MemoryMillion,
    TokensSeen,
    VmStart,
    LimitsMemory,
    ManyRoutes,
    LoginStorm,
    CircuitPropagation,
    XdsPropagation,
    XdsMemory,
}

/// All of them, in the order in which they are measured.
pub const FIGURES: &[Figure] = &[
    bound("feed.revocation_latency_ms", What::Latency),
    bound("feed.revocation_latency_loaded_ms", What::LatencyLoaded),
    Figure { name: "feed.idle_bytes", is_bound: false, what: What::IdleBytes },
    bound("feed.server_cpu_1000_envoys", What::ServerCpu),
    bound("feed.memory_1m", What::MemoryMillion),
    bound("filter.memory_100k_tokens", What::TokensSeen),
    bound("filter.vm_start_ms", What::VmStart),
    bound("limits.memory", What::LimitsMemory),
    bound("render.routes_1000", What::ManyRoutes),
    bound("identity.login_storm", What::LoginStorm),
    bound("circuit.propagation_ms", What::CircuitPropagation),
    bound("xds.propagation_ms", What::XdsPropagation),
    bound("xds.memory_mb", What::XdsMemory),
];

const fn bound(name: &'static str, what: What) -> Figure {
    Figure { name, is_bound: true, what }
}

/// Those that are named. `check`: also those that have bounds.
pub fn select(is_named: impl Fn(&Figure) -> bool, check: bool) -> Vec<&'static Figure> {
    FIGURES.iter().filter(|figure| is_named(figure) || (check && figure.is_bound)).collect()
}

/// Measures one after the other.
pub async fn measure(launcher: &Launcher, figures: &[&Figure]) -> Result<Section> {
    let mut section = Section::default();
    for figure in figures {
        eprintln!("measuring {}", figure.name);
        let began = Instant::now();
        let measured = figure.measure(launcher).await;
        section.extend(measured.with_context(|| format!("measuring {}", figure.name))?);
        eprintln!("  {} took {} s", figure.name, began.elapsed().as_secs());
    }
    Ok(section)
}

impl Figure {
    async fn measure(&self, launcher: &Launcher) -> Result<Section> {
        let name = self.name;
        match self.what {
            What::Latency => Box::pin(latency::measure(launcher, name, &latency::ALONE)).await,
            What::LatencyLoaded => {
                Box::pin(latency::measure(launcher, name, &latency::LOADED)).await
            }
            What::IdleBytes => Box::pin(idle_bytes::measure(launcher, name)).await,
            What::ServerCpu => Box::pin(server_cpu::measure(launcher, name)).await,
            What::MemoryMillion => Box::pin(memory_million::measure(launcher, name)).await,
            What::TokensSeen => Box::pin(tokens_seen::measure(launcher, name)).await,
            What::VmStart => Box::pin(vm_start::measure(launcher, name)).await,
            What::LimitsMemory => Box::pin(limits_memory::measure(launcher, name)).await,
            What::ManyRoutes => Box::pin(many_routes::measure(launcher, name)).await,
            What::LoginStorm => Box::pin(login_storm::measure(launcher, name)).await,
            What::CircuitPropagation => {
                Box::pin(circuit_propagation::measure(launcher, name)).await
            }
            What::XdsPropagation => Box::pin(xds_propagation::measure(launcher, name)).await,
            What::XdsMemory => Box::pin(xds_memory::measure(launcher, name)).await,
        }
    }
}

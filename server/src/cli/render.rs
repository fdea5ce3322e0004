//! The command line of `postern render`.

mod envoy;
mod istio;

use clap::{Args, Subcommand};

pub use envoy::RenderEnvoy;
pub use istio::{InMesh, RenderIstio};

/// `postern render`
#[derive(Debug, Args)]
pub struct Render {
    /// For what.
    #[command(subcommand)]
    pub target: RenderTarget,
}

/// Targets of `render`.
#[derive(Debug, Subcommand)]
pub enum RenderTarget {
    /// An Envoy: its bootstrap envoy.json, and the files that it watches.
    Envoy(Box<RenderEnvoy>),
    /// Istio manifests.
    Istio(Box<RenderIstio>),
}

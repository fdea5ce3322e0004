//! An Envoy that runs all that is rendered for it, as it is.

use std::path::Path;

use anyhow::Result;
use postern_e2e::envoy::{self, Ports};
use postern_e2e::{ports, server};

use super::rig::{Gateway, make};
use crate::cpu::Place;
use crate::launcher::{EnvoyRun, Launcher};
use crate::skeleton;

/// One of a worker, to be started in a folder of its own.
#[derive(Debug, Clone, Copy)]
pub struct WholePlan<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// Its document.
    pub document: &'a Path,
    /// The server's ports.
    pub server: server::Ports,
    /// Its name for itself.
    pub name: &'a str,
    /// Whether it asks the server what it runs (ADS).
    pub is_told: bool,
}

impl WholePlan<'_> {
    /// Starts it, and waits until it listens.
    pub async fn start(&self, launcher: &Launcher) -> Result<Gateway> {
        let Self { folder, document, server, name, is_told } = *self;
        make(folder)?;
        let own = Ports::free();
        let address = |port: u16| ports::local(port).to_string();
        let mut options = vec![
            format!("--listen={}", address(own.listen)),
            format!("--envoy-admin={}", address(own.admin)),
            format!("--server-public={}", address(server.public)),
            format!("--node-id={name}"),
        ];
        if is_told {
            options.extend(envoy::asks(server.grpc));
        }
        let parts = &launcher.parts;
        let config = skeleton::render(parts, document, folder, server.grpc, &options)?;
        let run = EnvoyRun {
            name: "gateway",
            folder,
            config: &config,
            ports: own,
            place: Place::Anywhere,
            workers: 1,
        };
        let process = launcher.envoy(&run).await?;
        Ok(Gateway { process, ports: own })
    }
}

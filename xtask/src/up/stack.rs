//! The three programs of `up`: started in order, watched, stopped in order.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::http::Request;
use crate::paths::Workspace;
use crate::running::{Running, Stop, wait_until};
use crate::up::ports::{Ports, address};
use crate::up::postern::Postern;
use crate::up::state::State;
use crate::{process, say};

/// A server that is not ready by then says why in its log.
const START: Duration = Duration::from_secs(30);
/// From Envoy's start to the first answer; V8 compiles the module meanwhile.
const FIRST_ANSWER: Duration = Duration::from_secs(60);
/// How long each program gets to end, the server's drain included.
const GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);

/// Everything that runs. Fields drop in the order in which `stop` goes.
pub struct Stack {
    server: Running,
    envoy: Running,
    upstream: Running,
}

impl Stack {
    /// Starts the upstream, the server and Envoy, each when the one before it
    /// is ready.
    pub fn start(
        workspace: &Workspace,
        state: &State,
        postern: &Postern,
        ports: &Ports,
        envoy: (&Path, &Path),
        stop: &Stop,
    ) -> Result<Self> {
        let mut upstream = Running::start(
            "the sample upstream",
            state.log("upstream"),
            Command::new(workspace.binary("debug", "postern-sample-upstream"))
                .args(["--address", &address(ports.upstream)]),
        )?;
        let any_answer = Request::new("GET", ports.upstream, "/");
        wait_until("answer of the sample upstream", START, stop, &mut [&mut upstream], || {
            any_answer.send().map(|_| ())
        })?;

        let mut server =
            Running::start("the server", state.log("server"), &mut postern.serve(ports))?;
        let ready = Request::new("GET", ports.metrics, "/health/ready");
        wait_until("readiness of the server", START, stop, &mut [&mut server], || {
            expect_200(&ready)
        })?;

        let envoy = start_envoy(state, envoy)?;
        Ok(Self { server, envoy, upstream })
    }

    /// Waits until a request gets its 200 through everything.
    pub fn wait_for_first_200(&mut self, request: &Request, stop: &Stop) -> Result<()> {
        let programs = &mut [&mut self.envoy, &mut self.server, &mut self.upstream];
        wait_until("first 200 through Envoy", FIRST_ANSWER, stop, programs, || expect_200(request))
    }

    /// Returns when somebody asks us to stop; fails when a program ends by
    /// itself.
    pub fn watch(&mut self, stop: &Stop) -> Result<()> {
        while !stop.requested() {
            for program in [&mut self.server, &mut self.envoy, &mut self.upstream] {
                let Some(report) = program.ended()? else { continue };
                // Ctrl-C reaches the whole process group, and a program may
                // have been quicker than our own signal handler.
                thread::sleep(POLL);
                if !stop.requested() {
                    bail!("{report}");
                }
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Stops the server first, which drains while Envoy still holds its
    /// connections, then Envoy, then the upstream.
    pub fn stop(mut self) {
        for program in [&mut self.server, &mut self.envoy, &mut self.upstream] {
            program.stop(GRACE);
        }
        say::ok("stopped");
    }
}

/// Has the configuration checked by Envoy itself, then starts it.
fn start_envoy(state: &State, (binary, config): (&Path, &Path)) -> Result<Running> {
    process::run_logged(
        "Envoy checks its configuration",
        &state.log("envoy-validate"),
        Command::new(binary)
            .args(["--mode", "validate", "--log-level", "warning", "-c"])
            .arg(config),
    )?;
    Running::start(
        "Envoy",
        state.log("envoy"),
        Command::new(binary)
            .arg("-c")
            .arg(config)
            // A base id of its own: several Envoys on one machine get along.
            .args(["--concurrency", "2", "--use-dynamic-base-id", "--log-level", "info"]),
    )
}

fn expect_200(request: &Request) -> Result<()> {
    let response = request.send()?;
    if response.status != 200 {
        bail!("{} answers {}:\n{}", request.url(), response.status, response.text);
    }
    Ok(())
}

//! `./dev up`: a real Envoy, guarded by our filters and our server.

mod guide;
mod ports;
mod postern;
mod stack;
mod state;
mod verify;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cli::UpOptions;
use crate::http::Request;
use crate::paths::Workspace;
use crate::running::Stop;
use crate::setup::lent::Database;
use crate::setup::{envoy, packages, redis};
use crate::up::guide::Credentials;
use crate::up::ports::Ports;
use crate::up::postern::Postern;
use crate::up::stack::Stack;
use crate::up::state::State;
use crate::wasm::Builder;
use crate::{process, say};

/// How long a database stays taken by an `up` that was killed: a working day, like the token of
/// the guide. One that runs on for longer shares it at worst.
const LEASE: Duration = Duration::from_secs(8 * 60 * 60);

/// Gets, builds and starts everything, says what to try, and stays until told
/// to stop; with `--once`, tries it by itself and ends.
pub fn run(workspace: &Workspace, options: &UpOptions) -> Result<()> {
    let began = Instant::now();
    let ports = Ports::new(options.port_base)?;
    ports.check_free()?;

    packages::c_compiler(workspace)?;
    let builder = Builder::get(workspace)?;
    let envoy = envoy::get(workspace)?;
    let lent = redis::lent()?;
    let mut build = workspace.cargo();
    build.args(["build", "-p", "postern-server", "-p", "postern-sample-upstream"]);
    process::run("building the server and the sample upstream", &mut build)?;
    let modules = builder.modules()?;

    let state = State::open(workspace, &ports)?;
    let stop = Stop::on_signals()?;
    // Given back on every way out from here, after the stack below has ended.
    let database = lent.map(|redis| redis.take_database(LEASE)).transpose().context("REDIS_URL")?;
    if let Some(database) = &database {
        say::ok(&format!("limits and circuits in {database}, which was empty"));
    }
    let volatile = database.as_ref().map(Database::url);
    let postern = Postern::new(workspace, &state, volatile);
    postern.check()?;
    postern.prepare_store()?;
    let credentials = Credentials {
        client: postern.client()?,
        users: postern.users()?,
        token: postern.token(postern::SCOPES)?,
        narrow_token: postern.token("content.read")?,
        api_key: state.api_key().map(str::to_owned),
    };
    let config = postern.render(&ports, &modules.bundle, options.xds)?;

    let envoy = (envoy.as_path(), config.as_path());
    let mut stack = Stack::start(workspace, &state, &postern, &ports, envoy, &stop)?;
    let first = Request::new("GET", ports.envoy, "/content/items").bearer(&credentials.token);
    stack.wait_for_first_200(&first, &stop)?;
    say::ok(&format!("up after {}", say::seconds(began.elapsed())));

    let examples = guide::examples(&ports, &credentials);
    guide::print(&ports, &examples, &credentials.users, &postern.token_line());
    let outcome = if options.once {
        verify::run(&examples)
    } else {
        say::note("Ctrl-C stops everything");
        stack.watch(&stop)
    };
    stack.stop();
    outcome
}

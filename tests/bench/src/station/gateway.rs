//! An Envoy with filters, and whoever these ask.

use std::path::Path;

use anyhow::{Result, bail};
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::envoy::Ports;
use postern_e2e::ports;
use serde_json::Value;

use super::{Side, Starter, Station, Wanted, options, slices_lent};
use crate::chain::Chain;
use crate::cpu::Place;
use crate::database::{Database, Revoked};
use crate::entries::{Entry, Gateway};
use crate::figures::revoker::Mover;
use crate::launcher::{EnvoyRun, START};
use crate::load::Target;
use crate::process::Running;
use crate::skeleton::{Answers, BUNDLE, Rendered, SERVER, bootstrap};
use crate::{documents, native, rate_limits};

/// Filters by their names in rendered configurations.
const EXT_AUTHZ: &str = "envoy.filters.http.ext_authz";
const EXT_PROC: &str = "envoy.filters.http.ext_proc";
/// A header that our rate limit service adds to every answer.
const COUNTED: &str = "x-ratelimit-limit";

impl Starter<'_> {
    /// Whom the filters ask runs before Envoy does.
    pub(super) async fn gateway(&self, entry: &'static Entry, gateway: Gateway) -> Result<Station> {
        let Gateway { chain, load, workers } = gateway;
        let pinned = gateway.pinned();
        let folder = self.launcher.folder_of(entry.name)?;
        let document = chain.guard().write(&folder)?;

        let mut side = self.side(chain, &folder, &document).await?;
        // Where nobody is asked, the cluster of the server is left out.
        let server_port = side.server.unwrap_or_else(ports::free);
        let rendered = Rendered::of(&self.launcher.parts, &document, &folder, server_port)?;
        let answers = match chain {
            Chain::Proxy => Answers::Upstream(self.upstream(&rendered, &folder, &mut side).await?),
            Chain::Routed | Chain::RateLimit(_) => Answers::Filter,
            _ => Answers::Envoy,
        };

        let (filters, clusters) = self.filters(chain, &rendered)?;
        let ports = Ports::free();
        let config = bootstrap(&rendered, filters, clusters, answers, ports)?;
        let run = EnvoyRun {
            name: "gateway",
            folder: &folder,
            config: &config,
            ports,
            place: if pinned { Place::Gateway } else { Place::Anywhere },
            workers,
        };
        let mut envoy = self.launcher.envoy(&run).await?;
        self.answers(chain, ports.listen, &mut envoy).await?;
        if let (Chain::Leased, Some(metrics)) = (chain, side.metrics) {
            self.spends_leases(ports.listen, metrics, &mut envoy).await?;
        }
        side.pids.envoy = Some(envoy.pid());
        side.processes.insert(0, envoy);
        let target = Target::Envoy { port: ports.listen, kind: load, pinned };
        Ok(side.into_station(entry, target, Some(ports.admin)))
    }

    /// Starts the Envoy that answers in place of an upstream; its port.
    async fn upstream(&self, rendered: &Rendered, folder: &Path, side: &mut Side) -> Result<u16> {
        let ports = Ports::free();
        let config = bootstrap(rendered, Vec::new(), Vec::new(), Answers::Envoy, ports)?;
        let upstream = EnvoyRun {
            name: "upstream",
            folder,
            config: &config,
            ports,
            place: Place::Beside,
            workers: 1,
        };
        side.processes.push(self.launcher.envoy(&upstream).await?);
        Ok(ports.listen)
    }

    /// The filters of a chain, and the clusters that they need.
    fn filters(&self, chain: Chain, rendered: &Rendered) -> Result<(Vec<Value>, Vec<Value>)> {
        let asks_the_server =
            |name: &str| anyhow::Ok((vec![rendered.filter(name)?], vec![rendered.server()?]));
        let filter = match chain {
            Chain::Empty | Chain::Proxy | Chain::Routed => return Ok((Vec::new(), Vec::new())),
            Chain::JwtAuthn { cached } => native::jwt_authn(cached),
            Chain::RequestAuthentication => {
                return Ok((native::request_authentication(), Vec::new()));
            }
            Chain::LocalRateLimit => native::local_ratelimit(),
            Chain::RateLimit(_) => {
                return Ok((vec![native::ratelimit(SERVER)], vec![rendered.server()?]));
            }
            Chain::Trivial => native::wasm(&self.launcher.parts.trivial),
            Chain::Bundle(_) => rendered.filter(BUNDLE)?,
            Chain::Fed(..) | Chain::Leased => {
                return Ok((vec![rendered.filter(BUNDLE)?], vec![rendered.feed()?]));
            }
            Chain::ExtAuthz(_) => return asks_the_server(EXT_AUTHZ),
            Chain::ExtProc(_) => return asks_the_server(EXT_PROC),
        };
        Ok((vec![filter], Vec::new()))
    }

    /// Starts what the filters ask.
    async fn side(&self, chain: Chain, folder: &Path, document: &Path) -> Result<Side> {
        let mut side = Side::default();
        if let Some(revoked) = chain.revoked() {
            self.feed(revoked, folder, document, &mut side).await?;
        }
        if let Some(answerer) = chain.answerer() {
            let more = match chain {
                Chain::RateLimit(_) => rate_limits::write(folder)?,
                _ => Vec::new(),
            };
            let (noop, place) = (chain.noop(), Place::Beside);
            let wanted = Wanted { answerer, noop, document, more, folder, place };
            self.answerer(&wanted, &mut side).await?;
        }
        Ok(side)
    }

    /// The server whose feed says what is revoked.
    async fn feed(
        &self,
        revoked: Revoked,
        folder: &Path,
        document: &Path,
        side: &mut Side,
    ) -> Result<()> {
        let database = Database::make(&self.launcher.home, folder, revoked).await?;
        let mut volatile = "memory".to_owned();
        if revoked == Revoked::Moving {
            let (redis, port) = self.launcher.redis(folder, Place::Beside).await?;
            side.processes.insert(0, redis);
            side.mover = Some(Mover::start(&database, port).await?);
            volatile = format!("redis://127.0.0.1:{port}");
        }
        let options = options(folder, document, &volatile, Some(&database));
        let (server, ports) = self.launcher.postern(&options, &[], Place::Beside).await?;
        side.processes.insert(0, server);
        side.database = Some(database);
        (side.server, side.metrics) = (Some(ports.grpc), Some(ports.metrics));
        Ok(())
    }

    /// One request by hand, whose answer can be shown when it is not the expected one. Where the
    /// feed has to be heard first, it is sent again for a while.
    async fn answers(&self, chain: Chain, port: u16, envoy: &mut Running) -> Result<()> {
        // A filter that asks nobody costs next to nothing, and answers just as well.
        let header = matches!(chain, Chain::RateLimit(_)).then_some(COUNTED);
        if chain.revoked().is_some() {
            return envoy.until(START, || good(port, self.token, header)).await;
        }
        match good(port, self.token, header).await {
            Ok(()) => Ok(()),
            Err(problem) => bail!("{problem}\n{}", envoy.tail()),
        }
    }

    /// Sends until the server has lent something for it. The first requests pass on credit, as
    /// they would without a server.
    async fn spends_leases(&self, port: u16, metrics: u16, envoy: &mut Running) -> Result<()> {
        let token = self.token;
        let attempt = || async move {
            good(port, token, None).await?;
            match slices_lent(metrics).await {
                Ok(lent) if lent > 0.5 => Ok(()),
                Ok(_) => Err("the server has lent nothing".to_owned()),
                Err(error) => Err(format!("{error:#}")),
            }
        };
        envoy.until(START, attempt).await
    }
}

/// That a request is answered with 200, and perhaps with this header.
async fn good(port: u16, token: &str, header: Option<&str>) -> Result<(), String> {
    let call = Call::get(&documents::path(0)).bearer(token).header("x-client", "client-0");
    let answer = Client::new(Protocol::Http1, port).try_send(&call).await?;
    if answer.status != 200 {
        return Err(format!("200 expected, not\n{answer}"));
    }
    match header.filter(|name| !answer.headers.contains_key(*name)) {
        Some(missing) => Err(format!("{missing} expected in\n{answer}")),
        None => Ok(()),
    }
}

//! Rate limit services that are asked without an Envoy: ours, and somebody else's.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use postern_e2e::ports;

use super::{Pids, Side, Starter, Station, Wanted};
use crate::cpu::Place;
use crate::documents::Guard;
use crate::entries::{Entry, RateLimiter};
use crate::load::Target;
use crate::peer::{self, Peer};
use crate::{rate_limits, rls_load};

/// What is asked of a peer.
const PEER_LIMITS: u32 = 1;

impl Starter<'_> {
    /// Runs where an Envoy would be measured, with its Redis on the other core.
    pub(super) async fn rate_limiter(
        &self,
        entry: &'static Entry,
        limiter: RateLimiter,
    ) -> Result<Station> {
        let RateLimiter { answerer, limits } = limiter;
        let folder = self.launcher.folder_of(entry.name)?;
        // The server does not run without one.
        let document = Guard::Token.write(&folder)?;
        let more = rate_limits::write(&folder)?;
        let wanted = Wanted {
            answerer,
            noop: "noop-rls",
            document: &document,
            more,
            folder: &folder,
            place: Place::Gateway,
        };
        let mut side = Side::default();
        self.answerer(&wanted, &mut side).await?;
        let port = side.server.context("nobody answers")?;
        let server = ports::local(port);
        if let Err(problem) = answers(server, limits).await {
            let log = side.processes.first().map(|process| process.tail()).unwrap_or_default();
            bail!("{problem:#}\n{log}");
        }
        Ok(side.into_station(entry, Target::RateLimiter { server, limits }, None))
    }

    /// Somebody else's runs already.
    pub(super) async fn peer(&self, entry: &'static Entry) -> Result<Station> {
        let known = self.launcher.parts.peer.as_ref();
        let Peer { server, pids } =
            known.with_context(|| format!("{} is not set", peer::ADDRESS))?;
        answers(*server, PEER_LIMITS).await.with_context(|| {
            let (domain, user) = (rate_limits::DOMAIN, rate_limits::USER);
            format!("it needs a limit for domain {domain}, key {user}, which no load reaches")
        })?;
        let pids = Pids { peer: pids.clone(), ..Pids::default() };
        let side = Side { pids, ..Side::default() };
        let target = Target::RateLimiter { server: *server, limits: PEER_LIMITS };
        Ok(side.into_station(entry, target, None))
    }
}

/// One call by hand.
async fn answers(server: SocketAddr, limits: u32) -> Result<()> {
    if rls_load::is_answered(server, limits).await? {
        Ok(())
    } else {
        bail!("the answer is not OK")
    }
}

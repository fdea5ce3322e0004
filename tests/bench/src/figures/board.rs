//! Who has refused which token when.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout};

/// No worker takes longer, whatever the mode.
const LONGEST: Duration = Duration::from_secs(30);

/// A connection's first refusal of a token.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// Which gateway's connection it was.
    pub gateway: usize,
    /// Which revocation.
    pub revocation: usize,
    /// When the refusal was there.
    pub at: Instant,
}

/// What connections tell: a refusal, or why they gave up.
pub type Told = Result<Refusal>;

/// All refusals so far.
#[derive(Debug)]
pub struct Board {
    connections: usize,
    committed: Vec<Instant>,
    /// By gateway, then by revocation.
    refused: Vec<Vec<Refused>>,
}

/// The refusals of one gateway for one revocation.
#[derive(Debug, Clone, Copy, Default)]
struct Refused {
    connections: usize,
    last: Option<Instant>,
}

impl Board {
    /// For gateways with so many connections each.
    pub fn new(gateways: usize, connections: usize, revocations: usize) -> Self {
        let refused = vec![vec![Refused::default(); revocations]; gateways];
        Self { connections, committed: Vec::with_capacity(revocations), refused }
    }

    /// The next revocation.
    pub fn committed(&mut self, at: Instant) {
        self.committed.push(at);
    }

    /// Listens until all connections of a gateway have refused a revocation's token.
    pub async fn until_refused(
        &mut self,
        told: &mut UnboundedReceiver<Told>,
        gateway: usize,
        revocation: usize,
    ) -> Result<()> {
        while !self.is_refused(gateway, revocation) {
            let next = timeout(LONGEST, told.recv());
            let next = next.await.with_context(|| self.missing(gateway, revocation))?;
            self.add(next.context("all connections are gone")??);
        }
        Ok(())
    }

    /// Milliseconds from each commit to the last connection's refusal.
    pub fn latencies_ms(&self, gateway: usize) -> Vec<f64> {
        let refused = self.refused.get(gateway).map(Vec::as_slice).unwrap_or_default();
        let pairs = self.committed.iter().zip(refused);
        pairs
            .filter_map(|(committed, refused)| Some(refused.last?.duration_since(*committed)))
            .map(|latency| latency.as_secs_f64() * 1e3)
            .collect()
    }

    fn is_refused(&self, gateway: usize, revocation: usize) -> bool {
        self.find(gateway, revocation)
            .is_some_and(|refused| refused.connections >= self.connections)
    }

    fn add(&mut self, refusal: Refusal) {
        let gateway = self.refused.get_mut(refusal.gateway);
        if let Some(refused) = gateway.and_then(|of| of.get_mut(refusal.revocation)) {
            refused.connections += 1;
            refused.last = refused.last.max(Some(refusal.at));
        }
    }

    fn find(&self, gateway: usize, revocation: usize) -> Option<&Refused> {
        self.refused.get(gateway)?.get(revocation)
    }

    fn missing(&self, gateway: usize, revocation: usize) -> String {
        let have = self.find(gateway, revocation).map_or(0, |refused| refused.connections);
        let (all, seconds) = (self.connections, LONGEST.as_secs());
        format!("{seconds} s after revocation {revocation} only {have} of {all} refuse its token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_connection_counts() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut board = Board::new(2, 2, 2);
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let refuse = |gateway, revocation, millis| {
            tell.send(Ok(Refusal { gateway, revocation, at: after(millis) })).unwrap();
        };
        board.committed(after(0));
        refuse(0, 0, 30);
        refuse(1, 0, 7);
        refuse(0, 0, 20);
        board.until_refused(&mut told, 0, 0).await.unwrap();
        assert!(board.is_refused(0, 0) && !board.is_refused(1, 0));
        board.committed(after(100));
        refuse(1, 1, 190);
        refuse(1, 0, 90);
        refuse(1, 1, 180);
        board.until_refused(&mut told, 1, 1).await.unwrap();
        assert_eq!(board.latencies_ms(0), [30.0]);
        assert_eq!(board.latencies_ms(1), [90.0, 90.0]);
        tell.send(Err(anyhow::anyhow!("gone"))).unwrap();
        assert!(board.until_refused(&mut told, 0, 1).await.is_err());
        drop(tell);
        assert!(board.until_refused(&mut told, 0, 1).await.is_err());
    }
}

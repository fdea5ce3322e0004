//! Going down without losing a request.
//!
//! SIGTERM (or SIGINT) → *draining*: readiness and gRPC health say no, so that load balancers
//! look elsewhere, while everything is still served → the grace period → *shut down*: listeners
//! stop accepting and finish what they have. A second signal skips the rest of the grace period.
//!
//! The grace period must be longer than a load balancer takes to notice. What finishing may
//! take is the server's to bound: a client's stream can be open for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::TelemetryError;

/// How far the way down has been gone. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not at all.
    Serving,
    /// Serving, but not for new clients.
    Draining,
    /// Listeners close.
    ShutDown,
}

/// The way down, shared by all clones.
#[derive(Debug, Clone)]
pub struct Drain {
    phase: Arc<watch::Sender<Phase>>,
    grace: Duration,
}

impl Drain {
    /// Serving. Signals are not heard before [`Drain::listen`].
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self { phase: Arc::new(watch::Sender::new(Phase::Serving)), grace }
    }

    /// Hears SIGTERM and SIGINT from now on, in tasks of its own.
    ///
    /// # Errors
    /// When the system refuses a signal handler.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled, as tokio does.
    pub fn listen(&self) -> Result<(), TelemetryError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(TelemetryError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(TelemetryError::Signals)?;
        let drain = self.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    Some(()) = terminate.recv() => "SIGTERM",
                    Some(()) = interrupt.recv() => "SIGINT",
                    else => return,
                };
                tracing::info!(signal = name, "signal received");
                drain.request();
            }
        });
        tokio::spawn(self.clone().hold());
        Ok(())
    }

    /// What a signal does: the first time draining begins, the second time it is over.
    pub fn request(&self) {
        let next = if self.is_draining() { Phase::ShutDown } else { Phase::Draining };
        self.advance(next);
    }

    /// Whether the way down has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// How far it is gone.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Done when draining begins, or at once if it has: for what tells others, e.g. gRPC health.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        self.reached(Phase::Draining)
    }

    /// Done when listeners must close, or at once if they must already. As many servers as
    /// there are may wait for one each.
    pub fn shutdown_signal(&self) -> impl Future<Output = ()> + Send + use<> {
        self.reached(Phase::ShutDown)
    }

    fn reached(&self, wanted: Phase) -> impl Future<Output = ()> + Send + use<> {
        // The clone keeps the sending side alive, so that waiting cannot end by its loss.
        let drain = self.clone();
        async move {
            let mut phase = drain.phase.subscribe();
            let _ = phase.wait_for(|phase| *phase >= wanted).await;
        }
    }

    /// Ends the grace period when its time has come, or does nothing if a signal was faster.
    async fn hold(self) {
        self.draining().await;
        tracing::info!(grace_seconds = self.grace.as_secs(), "draining");
        tokio::select! {
            () = tokio::time::sleep(self.grace) => {}
            () = self.shutdown_signal() => {}
        }
        self.advance(Phase::ShutDown);
        tracing::info!("shutting down");
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = *phase < to;
            if forward {
                *phase = to;
            }
            forward
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shutdown_follows_the_grace_period() {
        let drain = Drain::new(Duration::from_millis(1));
        let holding = tokio::spawn(drain.clone().hold());
        let servers: Vec<_> = (0..3).map(|_| tokio::spawn(drain.shutdown_signal())).collect();
        assert!(!drain.is_draining());
        drain.request();
        assert_eq!(drain.phase(), Phase::Draining);
        drain.draining().await;
        for server in servers {
            server.await.unwrap();
        }
        holding.await.unwrap();
        assert_eq!(drain.phase(), Phase::ShutDown);
    }

    #[tokio::test]
    async fn a_second_signal_does_not_wait() {
        let drain = Drain::new(Duration::from_secs(3600));
        let holding = tokio::spawn(drain.clone().hold());
        drain.request();
        drain.request();
        drain.shutdown_signal().await;
        holding.await.unwrap();
        drain.request();
        assert_eq!(drain.phase(), Phase::ShutDown);
    }

    #[tokio::test]
    async fn a_future_outlives_the_drain_it_came_from() {
        let drain = Drain::new(Duration::ZERO);
        let waiting = drain.shutdown_signal();
        let other = drain.clone();
        drop(drain);
        other.request();
        other.request();
        waiting.await;
    }
}

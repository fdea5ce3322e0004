//! The sample upstream, within the test's own process.

use std::net::SocketAddr;

use postern_sample_upstream::State;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::ports;

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    state: State,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start() -> Self {
        let listener =
            TcpListener::bind(ports::local(0)).await.expect("a listener for the upstream");
        let address = listener.local_addr().expect("the upstream's address");
        let state = State::new();
        let task = tokio::spawn(postern_sample_upstream::serve(listener, state.clone()));
        Self { address, state, task }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every request of a service is answered with this status.
    pub fn fail(&self, service: &str, status: u16) {
        self.state.fail(service, status);
    }

    /// The service answers again.
    pub fn recover(&self, service: &str) {
        self.state.recover(service);
    }

    /// From now on this is what `/_sample/document` answers with.
    pub fn publish(&self, document: &str) {
        self.state.publish(document.to_owned());
    }

    /// Requests of a service that arrived.
    #[must_use]
    pub fn requests(&self, service: &str) -> u64 {
        self.state.requests(service)
    }

    /// Requests that arrived at all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.state.total()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

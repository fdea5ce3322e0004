//! One connection for all: made in the background, remade after a loss, never waited for by a
//! request.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};
use tokio::sync::{Notify, watch};

use crate::connection::{FIRST_RETRY, LAST_RETRY, RESPONSE_TIMEOUT, Server, jittered};
use crate::error;
use crate::script::Scripts;

/// How often an idle connection is tried: one whose other end is gone without a word, or hangs, is
/// found out by then.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A connection that stands, as far as anybody knows.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) connection: MultiplexedConnection,
    broken: Arc<Notify>,
}

impl Live {
    /// Says that the connection is of no use any more, or its server is no master. One that was
    /// made since is not meant.
    pub(crate) fn broke(&self) {
        self.broken.notify_one();
    }

    async fn until_broken(&self) {
        let mut connection = self.connection.clone();
        loop {
            tokio::select! {
                () = self.broken.notified() => return,
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
            let beat: RedisResult<Value> = redis::cmd("PING").query_async(&mut connection).await;
            if beat.is_err_and(|error| error::is_passing(&error)) {
                return;
            }
        }
    }
}

/// The connection to a server, whenever there is one.
pub(crate) struct Link {
    server: Server,
    live: watch::Sender<Option<Live>>,
}

impl Link {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, live: watch::Sender::new(None) }
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    /// The connection, if it stands.
    pub(crate) fn live(&self) -> Option<Live> {
        self.live.borrow().clone()
    }

    /// Until it stands.
    pub(crate) async fn connected(&self) {
        // The other end is `self`: it cannot be gone.
        drop(self.live.subscribe().wait_for(Option::is_some).await);
    }

    /// Connects, and again after every loss; never ends.
    pub(crate) async fn keep(&self, scripts: &Scripts) {
        let mut pause = FIRST_RETRY;
        loop {
            if let Ok(live) = self.make(scripts).await {
                self.live.send_replace(Some(live.clone()));
                live.until_broken().await;
                self.live.send_replace(None);
                pause = FIRST_RETRY;
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LAST_RETRY);
        }
    }

    /// A connection to a server that knows the scripts, so that no decision has to go twice.
    async fn make(&self, scripts: &Scripts) -> RedisResult<Live> {
        let mut connection = self.server.connect(RESPONSE_TIMEOUT).await?;
        let loads = scripts.loads();
        // What Redis says to that shows again where a script is called.
        connection.send_packed_commands(&loads, 0, loads.len()).await?;
        Ok(Live { connection, broken: Arc::default() })
    }
}

//! The connection: made in the background, remade after a loss, never waited for by a request.

use std::sync::OnceLock;
use std::time::Duration;

use postern_store::{LocalBus, StoreError};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisResult,
    ScriptInvocation,
};

use crate::Scripts;

/// Longest time for one answer. The decision's own budget is shorter and acts first.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);
pub(crate) const FIRST_RETRY: Duration = Duration::from_millis(200);
pub(crate) const LAST_RETRY: Duration = Duration::from_secs(5);

/// A Redis server.
pub struct RedisStore {
    client: Client,
    /// Empty until the first connection stood; from then on it reconnects by itself.
    manager: OnceLock<ConnectionManager>,
    scripts: Scripts,
    /// The last stretch of the bus: from this replica's one listener to all who wait here.
    bus: LocalBus,
}

impl RedisStore {
    /// A store for `redis://[user:password@]host:port[/db]`. Nothing is connected yet: a server
    /// must be able to start while Redis is away.
    ///
    /// # Errors
    /// When the URL cannot be read; the text does not repeat it.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        let client = Client::open(url).map_err(|_| {
            StoreError::Corrupt("expected redis://[user:password@]host:port[/db]".to_owned())
        })?;
        let (scripts, bus) = (Scripts::default(), LocalBus::unconnected());
        Ok(Self { client, manager: OnceLock::new(), scripts, bus })
    }

    /// Connects, again and again until it stands. Run it beside the server.
    pub async fn keep_connected(&self) {
        let mut pause = FIRST_RETRY;
        while self.manager.get().is_none() {
            let config = ConnectionManagerConfig::new()
                .set_response_timeout(Some(RESPONSE_TIMEOUT))
                .set_connection_timeout(Some(CONNECTION_TIMEOUT))
                .set_max_delay(LAST_RETRY);
            match ConnectionManager::new_with_config(self.client.clone(), config).await {
                Ok(manager) => drop(self.manager.set(manager)),
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_RETRY);
                }
            }
        }
    }

    pub(crate) const fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    pub(crate) const fn bus(&self) -> &LocalBus {
        &self.bus
    }

    /// A connection that nobody else uses.
    pub(crate) async fn connect(
        &self,
        response_timeout: Duration,
    ) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(response_timeout))
            .set_connection_timeout(Some(CONNECTION_TIMEOUT));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    fn connection(&self) -> Result<ConnectionManager, StoreError> {
        let manager = self.manager.get();
        manager.cloned().ok_or_else(|| StoreError::Unavailable("not connected yet".to_owned()))
    }

    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        call.invoke_async(&mut self.connection()?).await.map_err(|error| convert(&error))
    }

    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        command.query_async(&mut self.connection()?).await.map_err(|error| convert(&error))
    }

    pub(crate) async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        pipeline.query_async(&mut self.connection()?).await.map_err(|error| convert(&error))
    }
}

/// Redis' error by its kind alone: its text may hold keys.
fn convert(error: &RedisError) -> StoreError {
    let unusable = error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.is_cluster_error();
    let kind = format!("{:?}", error.kind());
    if unusable { StoreError::Unavailable(kind) } else { StoreError::Corrupt(kind) }
}

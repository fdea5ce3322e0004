//! A cluster: its client finds the master of a slot, follows MOVED and ASK, and connects to nodes
//! again that were away.
//!
//! Calls go one by one, not as pipelines of ours: the client repeats a whole pipeline when one
//! answer of it is a redirection, and so would take twice from the limits of all the others. On
//! their way to one node they come together all the same: its connection writes what waits at
//! once.
//!
//! A call whose connection was lost is repeated too, whether Redis had done it by then or not:
//! limits may count a few requests of that moment twice, and never too few.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use postern_store::StoreError;
use redis::aio::ConnectionLike as _;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Arg, Cmd, ConnectionInfo, RedisError, RedisResult, Value};
use tokio::time::timeout;

use crate::batch::is_unknown_script;
use crate::connection::{CONNECTION_TIMEOUT, FIRST_RETRY, LAST_RETRY, RESPONSE_TIMEOUT, jittered};
use crate::error::{convert, not_connected};
use crate::script::Scripts;

/// Longest time for finding a node that answers, and what all of them serve.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a call follows a redirection or waits for one; within a decision's budget there is
/// no time for more.
const RETRIES: u32 = 4;
const LEAST_WAIT_MS: u64 = 2;
const LONGEST_WAIT_MS: u64 = 20;

/// A cluster.
pub(crate) struct Cluster {
    client: ClusterClient,
    scripts: Arc<Scripts>,
    /// Empty until the nodes were found; from then on it mends itself.
    connection: OnceLock<ClusterConnection>,
}

impl Cluster {
    pub(crate) fn new(nodes: Vec<ConnectionInfo>, scripts: Arc<Scripts>) -> RedisResult<Self> {
        let client = ClusterClientBuilder::new(nodes)
            .connection_timeout(CONNECTION_TIMEOUT)
            .response_timeout(RESPONSE_TIMEOUT)
            .retries(RETRIES)
            .min_retry_wait(LEAST_WAIT_MS)
            .max_retry_wait(LONGEST_WAIT_MS)
            .build()?;
        Ok(Self { client, scripts, connection: OnceLock::new() })
    }

    /// The connection, which is made now, again and again until it stands, unless it was before.
    pub(crate) async fn connect(&self) -> ClusterConnection {
        let mut pause = FIRST_RETRY;
        loop {
            if let Some(connection) = self.connection.get() {
                return connection.clone();
            }
            let found = Box::pin(self.client.get_async_connection());
            if let Ok(Ok(mut connection)) = timeout(DISCOVERY_TIMEOUT, found).await {
                for load in self.scripts.loads().cmd_iter() {
                    // A node that is away learns them when it is asked for one.
                    drop(connection.req_packed_command(load).await);
                }
                drop(self.connection.set(connection));
            } else {
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(LAST_RETRY);
            }
        }
    }

    /// Sends a command to the master of its key, and waits for its answer. Giving up before it is
    /// sent keeps it from being sent.
    pub(crate) async fn call(&self, command: &Cmd) -> Result<Value, StoreError> {
        let mut connection = self.connection.get().cloned().ok_or_else(not_connected)?;
        match self.ask(&mut connection, command).await {
            Ok(Value::ServerError(error)) => Err(convert(&RedisError::from(error))),
            Ok(value) => Ok(value),
            Err(error) => Err(convert(&error)),
        }
    }

    /// The answer to a command; when its node does not know the script, that is loaded first.
    async fn ask(&self, connection: &mut ClusterConnection, command: &Cmd) -> RedisResult<Value> {
        let value = connection.req_packed_command(command).await?;
        if !is_unknown_script(&value) {
            return Ok(value);
        }
        let Some(node) = node_of(command) else { return Ok(value) };
        for load in self.scripts.loads().cmd_iter() {
            connection.route_command(load.clone(), node.clone()).await?;
        }
        connection.req_packed_command(command).await
    }
}

/// Where a script is called: `EVALSHA`, its hash, the number of keys, the first key.
fn node_of(command: &Cmd) -> Option<RoutingInfo> {
    let Arg::Simple(key) = command.args_iter().nth(3)? else { return None };
    let route = Route::with_key(key, SlotAddr::Master);
    Some(RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_loaded_where_its_key_is() {
        let mut call = Scripts::default().publish.call(1, 1, 8);
        call.arg("{foo}bar");
        let route = Route::with_key("foo", SlotAddr::Master);
        let expected = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route));
        assert_eq!(node_of(&call), Some(expected));
        assert_eq!(node_of(&redis::cmd("PING")), None);
    }
}

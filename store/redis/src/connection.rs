//! How connections are made, and how long that and anything on them may take.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{Error, ErrorKind};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::sentinel::SentinelClient;
use redis::{AsyncConnectionConfig, Client, RedisResult};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Longest time for one answer. The decision's own budget is shorter and acts first.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
pub(crate) const CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest time for asking sentinels, whoever of them answers, and connecting to whom they name.
const SENTINEL_TIMEOUT: Duration = Duration::from_secs(3);
pub(crate) const FIRST_RETRY: Duration = Duration::from_millis(200);
/// Short, because what a fail-over takes goes on for as long as nobody tries.
pub(crate) const LAST_RETRY: Duration = Duration::from_secs(2);

/// Whom to connect to.
pub(crate) enum Server {
    /// One server.
    Fixed(Client),
    /// Whoever the sentinels name at that moment.
    Named(Mutex<SentinelClient>),
}

impl Server {
    /// A connection that nobody else uses.
    pub(crate) async fn connect(
        &self,
        response_timeout: Duration,
    ) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(response_timeout))
            .set_connection_timeout(Some(CONNECTION_TIMEOUT));
        match self {
            Self::Fixed(client) => {
                client.get_multiplexed_async_connection_with_config(&config).await
            }
            Self::Named(sentinels) => {
                let asked = async {
                    sentinels.lock().await.get_async_connection_with_config(&config).await
                };
                // On the heap: it is large, and awaited from tasks that are not.
                timeout(SENTINEL_TIMEOUT, Box::pin(asked))
                    .await
                    .unwrap_or_else(|_| Err(Error::from(ErrorKind::TimedOut).into()))
            }
        }
    }
}

/// From half of a pause to all of it: replicas that lost one server do not come back as one.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // A keyed hash, with a key of its own each time, is as good as any number here.
    let part = u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_never_longer_than_said_and_never_nothing() {
        for _ in 0..1000 {
            let pause = jittered(FIRST_RETRY);
            assert!((FIRST_RETRY / 2..=FIRST_RETRY).contains(&pause), "{pause:?}");
        }
    }
}

//! [`RedisStore`] as the bus of revocations.
//!
//! | key | type | fields, life |
//! |---|---|---|
//! | `postern:revocations` | stream | `seq`; about 10,000 entries, an hour |
//! | `postern:jwt:blacklist:{hash}` | string | `revoked`; what is left of the token |
//!
//! The second is for programs beside Postern; `hash`, in braces, is the SHA-256 of issuer, line
//! feed and `jti` in hexadecimal. Postern reads neither as truth: what a flush takes is still
//! revoked. Redis 6.2 or newer.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::bus::{RevocationBus, Wakeups};
use postern_store::{BoxFuture, StoreError};
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{Pipeline, RedisResult, Value};
use sha2::{Digest as _, Sha256};

use crate::RedisStore;
use crate::connection::{FIRST_RETRY, LAST_RETRY};

const STREAM: &str = "postern:revocations";
const ENTRIES: u32 = 10_000;
const ENTRY_LIFE_MS: u32 = 3_600_000;
/// How long one read waits for an entry.
const BLOCK: Duration = Duration::from_secs(10);
/// How long its answer may take: a connection that fell silent is found out by then.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

impl RevocationBus for RedisStore {
    fn publish<'a>(
        &'a self,
        seq: u64,
        revoked: &'a [Revocation],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            // This replica need not wait for Redis to tell it what it said itself.
            self.bus().ring(seq);
            let marks = marks(revoked, now);
            if !marks.is_empty() {
                let _: Value = self.pipeline(&marks).await?;
            }
            let mut call = self.scripts().publish.prepare_invoke();
            call.key(STREAM).arg(seq).arg(ENTRIES).arg(ENTRY_LIFE_MS);
            let _: String = self.run(&call).await?;
            Ok(())
        })
    }

    fn subscribe(&self) -> Wakeups {
        self.bus().subscribe()
    }
}

impl RedisStore {
    /// Listens for what other replicas publish, again and again. Run it beside the server; it
    /// never ends.
    pub async fn keep_listening(&self) -> Infallible {
        let mut pause = FIRST_RETRY;
        loop {
            let Err(_) = self.listen(&mut pause).await;
            self.bus().lost();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_RETRY);
        }
    }

    /// Listens until the connection is lost.
    async fn listen(&self, pause: &mut Duration) -> RedisResult<Infallible> {
        // A connection of its own: a read that waits holds up whatever comes after it.
        let mut connection = self.connect(READ_TIMEOUT).await?;
        let mut last = newest(&mut connection).await?;
        *pause = FIRST_RETRY;
        // Whatever was published while nobody listened is in the durable store by now.
        self.bus().connected();
        loop {
            let reply: Option<StreamReadReply> = redis::cmd("XREAD")
                .arg("COUNT")
                .arg(ENTRIES)
                .arg("BLOCK")
                .arg(u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX))
                .arg("STREAMS")
                .arg(STREAM)
                .arg(&last)
                .query_async(&mut connection)
                .await?;
            let keys = reply.unwrap_or_default().keys;
            if let Some(entry) = keys.into_iter().flat_map(|key| key.ids).next_back() {
                self.ring_for(&entry);
                last = entry.id;
                continue;
            }
            // Nothing came. After a flush, or on a server whose clock is behind, new entries may
            // have smaller ids than the last one that was read.
            let newest = newest(&mut connection).await?;
            if newest != last {
                self.bus().connected();
                last = newest;
            }
        }
    }

    fn ring_for(&self, entry: &StreamId) {
        match entry.get::<u64>("seq") {
            Some(seq) => self.bus().ring(seq),
            // Not an entry of ours; whatever it means, the store knows.
            None => self.bus().connected(),
        }
    }
}

/// The id of the stream's last entry; that of no entry when there is none.
async fn newest(connection: &mut MultiplexedConnection) -> RedisResult<String> {
    let reply: StreamRangeReply = redis::cmd("XREVRANGE")
        .arg(STREAM)
        .arg("+")
        .arg("-")
        .arg("COUNT")
        .arg(1)
        .query_async(connection)
        .await?;
    Ok(reply.ids.into_iter().next().map_or_else(|| "0-0".to_owned(), |entry| entry.id))
}

/// What marks the tokens among them as revoked, for as long as they live.
fn marks(revoked: &[Revocation], now: UnixMillis) -> Pipeline {
    let mut pipeline = redis::pipe();
    for token in revoked.iter().filter(|one| one.kind() == RevocationKind::Token) {
        let left = token.expires_at().saturating_sub(now.as_secs());
        if left > 0 {
            pipeline.cmd("SET").arg(mark_of(token.issuer(), token.value())).arg("revoked");
            pipeline.arg("EX").arg(left.min(u64::from(u32::MAX))).ignore();
        }
    }
    pipeline
}

/// Neither text holds a line feed: no other pair has the same hash.
fn mark_of(issuer: &str, jti: &str) -> String {
    let hash = Sha256::new().chain_update(issuer).chain_update("\n").chain_update(jti).finalize();
    let mut key = "postern:jwt:blacklist:{".to_owned();
    for byte in hash {
        // Writing to a string cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key.push('}');
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_can_be_computed_with_a_shell() {
        // printf '%s\n%s' https://api.example.test t-1 | sha256sum
        let hash = "0f359071e3643e5d77ce0fcaf4496722d8ca35b395695a594e14fdf25a5a3018";
        let expected = format!("postern:jwt:blacklist:{{{hash}}}");
        assert_eq!(mark_of("https://api.example.test", "t-1"), expected);
    }

    #[test]
    fn only_tokens_that_live_are_marked() {
        let of = |kind, value, end| Revocation::at(100, kind, "i", value, end).unwrap();
        let revoked = [
            of(RevocationKind::Token, "lives", 161),
            of(RevocationKind::Token, "ends", 101),
            of(RevocationKind::Session, "s", 161),
            of(RevocationKind::Key, "k", 161),
        ];
        let packed = marks(&revoked, UnixMillis(101_999)).get_packed_pipeline();
        let packed = String::from_utf8(packed).unwrap();
        assert_eq!(packed.matches("SET").count(), 1, "{packed}");
        assert!(packed.contains(&mark_of("i", "lives")), "{packed}");
        assert!(packed.ends_with("$2\r\nEX\r\n$2\r\n60\r\n"), "{packed}");
        assert!(marks(&revoked, UnixMillis(161_000)).is_empty());
    }
}

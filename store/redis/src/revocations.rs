//! [`RedisStore`] as the bus of revocations.
//!
//! | key | type | fields, life |
//! |---|---|---|
//! | `postern:revocations` | stream | `seq`; about 10,000 entries, an hour |
//! | `postern:jwt:blacklist:{hash}` | string | `revoked`; what is left of the token |
//!
//! The second is for programs beside Postern; `hash`, in braces, is the SHA-256 of issuer, line
//! feed and `jti` in hexadecimal. Postern reads neither as truth: what a flush takes is still
//! revoked.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::bus::{RevocationBus, Wakeups};
use postern_store::{BoxFuture, StoreError};
use redis::aio::ConnectionLike;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{Cmd, RedisResult};
use sha2::{Digest as _, Sha256};

use crate::connection::{FIRST_RETRY, LAST_RETRY, jittered};
use crate::slots::all;
use crate::{RedisStore, Servers};

const STREAM: &str = "postern:revocations";
const ENTRIES: u32 = 10_000;
const ENTRY_LIFE_MS: u32 = 3_600_000;
/// How long one read waits for an entry.
const BLOCK: Duration = Duration::from_secs(10);
/// How long its answer may take: a connection that fell silent is found out by then.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a cluster is asked. A read that waits would hold up all that goes to its node, and
/// the cluster's client makes no connection to one node alone.
const ASK_EVERY: Duration = Duration::from_millis(500);

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
            // One by one, but all at once: in a cluster each has its own node.
            let marked = marks(revoked, now).map(|mark| self.call(mark));
            for marked in all(marked.collect()).await {
                marked?;
            }
            let mut call = self.scripts().publish.call(1, 4, 64);
            call.arg(STREAM).arg(seq).arg(ENTRIES).arg(ENTRY_LIFE_MS);
            self.call(call).await?;
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
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LAST_RETRY);
        }
    }

    /// Listens until the connection is lost.
    async fn listen(&self, pause: &mut Duration) -> RedisResult<Infallible> {
        match self.servers() {
            Servers::One(one) => {
                // A connection of its own: a read that waits holds up whatever comes after it.
                let mut connection = one.link().server().connect(READ_TIMEOUT).await?;
                self.hear(&mut connection, Some(BLOCK), pause).await
            }
            Servers::Cluster(cluster) => {
                let mut connection = cluster.connect().await;
                self.hear(&mut connection, None, pause).await
            }
        }
    }

    /// Reads what comes, waiting for it within Redis, or between two reads.
    async fn hear<C: ConnectionLike + Send>(
        &self,
        connection: &mut C,
        block: Option<Duration>,
        pause: &mut Duration,
    ) -> RedisResult<Infallible> {
        let mut last = newest(connection).await?;
        *pause = FIRST_RETRY;
        // Whatever was published while nobody listened is in the durable store by now.
        self.bus().connected();
        loop {
            let reply: Option<StreamReadReply> = read(&last, block).query_async(connection).await?;
            let keys = reply.unwrap_or_default().keys;
            if let Some(entry) = keys.into_iter().flat_map(|key| key.ids).next_back() {
                self.ring_for(&entry);
                last = entry.id;
                continue;
            }
            if block.is_none() {
                tokio::time::sleep(ASK_EVERY).await;
            }
            // Nothing came. After a flush, or on a server whose clock is behind, new entries may
            // have smaller ids than the last one that was read.
            let newest = newest(connection).await?;
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

/// Reads what came after an entry.
fn read(last: &str, block: Option<Duration>) -> Cmd {
    let mut read = redis::cmd("XREAD");
    read.arg("COUNT").arg(ENTRIES);
    if let Some(block) = block {
        read.arg("BLOCK").arg(u64::try_from(block.as_millis()).unwrap_or(u64::MAX));
    }
    read.arg("STREAMS").arg(STREAM).arg(last);
    read
}

/// The id of the stream's last entry; that of no entry when there is none.
async fn newest<C: ConnectionLike + Send>(connection: &mut C) -> RedisResult<String> {
    let mut last = redis::cmd("XREVRANGE");
    last.arg(STREAM).arg("+").arg("-").arg("COUNT").arg(1);
    let reply: StreamRangeReply = last.query_async(connection).await?;
    Ok(reply.ids.into_iter().next().map_or_else(|| "0-0".to_owned(), |entry| entry.id))
}

/// What marks the tokens among them as revoked, for as long as they live.
fn marks(revoked: &[Revocation], now: UnixMillis) -> impl Iterator<Item = Cmd> {
    revoked.iter().filter(|one| one.kind() == RevocationKind::Token).filter_map(move |token| {
        let left = token.expires_at().saturating_sub(now.as_secs());
        if left == 0 {
            return None;
        }
        let mut mark = redis::cmd("SET");
        mark.arg(mark_of(token.issuer(), token.value())).arg("revoked");
        mark.arg("EX").arg(left.min(u64::from(u32::MAX)));
        Some(mark)
    })
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
        let packed = |now| {
            let marks = marks(&revoked, UnixMillis(now)).map(|mark| mark.get_packed_command());
            marks.map(|mark| String::from_utf8(mark).unwrap()).collect::<Vec<_>>()
        };
        let marked = packed(101_999);
        assert_eq!(marked.len(), 1, "{marked:?}");
        assert!(marked[0].contains(&mark_of("i", "lives")), "{marked:?}");
        assert!(marked[0].ends_with("$2\r\nEX\r\n$2\r\n60\r\n"), "{marked:?}");
        assert_eq!(packed(161_000), Vec::<String>::new());
    }
}

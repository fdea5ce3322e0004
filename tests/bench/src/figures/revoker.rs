//! Revoking as the command line and the admin interface do it: committed to the durable store,
//! then told by Redis.

use std::time::Duration;

use anyhow::{Context as _, Result};
use postern_e2e::keys;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::bus::RevocationBus as _;
use postern_store::durable::{NewRevocation, RevocationStore as _};
use postern_store_redis::RedisStore;
use postern_store_sql::SqlStore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

use crate::database::{Database, now};

/// How long a revocation is remembered: longer than any figure takes.
const REMEMBERED_SECS: u64 = 3_600;
/// How often the set of a [`Mover`] changes.
const MOVE: Duration = Duration::from_millis(100);
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);

/// Both ends of a revocation, in this process: no start of a program is in the time it takes.
pub struct Revoker {
    store: SqlStore,
    bus: RedisStore,
}

/// Revokes somebody ten times a second until it is dropped.
#[derive(Debug)]
pub struct Mover(JoinHandle<()>);

impl Mover {
    /// Beside a server, with its stores.
    pub async fn start(database: &Database, redis_port: u16) -> Result<Self> {
        let revoker = Revoker::beside(database, redis_port).await?;
        Ok(Self(tokio::spawn(async move {
            let mut ticks = interval(MOVE);
            for number in 0_u64.. {
                ticks.tick().await;
                let moved = async {
                    let committed = revoker.commit(&format!("moving-{number}")).await?;
                    revoker.tell(&committed).await
                };
                if let Err(error) = moved.await {
                    eprintln!("note: the set of revocations has stopped moving: {error:#}");
                    return;
                }
            }
        })))
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A revocation that nobody has been told of.
pub struct Committed {
    /// When it was committed.
    pub at: Instant,
    seq: u64,
    revocation: Revocation,
}

impl Revoker {
    /// Beside a server, with its stores.
    pub async fn beside(database: &Database, redis_port: u16) -> Result<Self> {
        let store = database.open().await?;
        let bus = RedisStore::new(&format!("redis://127.0.0.1:{redis_port}"))?;
        let connecting = timeout(CONNECTED_WITHIN, bus.keep_connected());
        connecting.await.context("Redis does not answer")?;
        Ok(Self { store, bus })
    }

    /// Revokes all tokens of a subject.
    pub async fn commit(&self, subject: &str) -> Result<Committed> {
        let created_at = now();
        let revocation = Revocation::at(
            created_at.as_secs(),
            RevocationKind::Subject,
            keys::ISSUER,
            subject,
            created_at.as_secs() + REMEMBERED_SECS,
        )?;
        let new = NewRevocation { revocation: revocation.clone(), created_at, reason: None };
        let seqs = self.store.revoke(vec![new]).await.context("revoking")?;
        let at = Instant::now();
        let seq = seqs.first().copied().context("a revocation without a number")?;
        Ok(Committed { at, seq, revocation })
    }

    /// Says that there is something new.
    pub async fn tell(&self, committed: &Committed) -> Result<()> {
        let revoked = std::slice::from_ref(&committed.revocation);
        self.bus.publish(committed.seq, revoked, now()).await.context("telling Redis")
    }
}

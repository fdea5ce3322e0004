//! The tables `revocations`, `revocation_counter` and `feed_identity`.

use aws_lc_rs::rand;
use postern_request::UnixMillis;
use postern_revocation::{FingerprintKey, Revocation, RevocationKind};
use postern_store::StoreError;
use postern_store::durable::revocations::{
    FeedIdentity, MAX_REVOCATIONS_PAGE, NewRevocation, RevocationRecord,
};

use crate::column::{Columns, corrupt, write_bytes, write_number, write_time};
use crate::database::{Begin as _, Database, on};
use crate::error::store_error;

/// The wider of both holds: the greater of two moments, with NULL ("whenever issued") as the
/// greatest, and the later end.
const REVOKE: &str = "INSERT INTO revocations \
    (seq, kind, issuer, value, issued_before, expires_at, created_at, reason) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
    ON CONFLICT (kind, issuer, value) DO UPDATE SET \
    seq = excluded.seq, \
    issued_before = CASE \
    WHEN revocations.issued_before IS NULL OR excluded.issued_before IS NULL THEN NULL \
    WHEN revocations.issued_before > excluded.issued_before THEN revocations.issued_before \
    ELSE excluded.issued_before END, \
    expires_at = CASE WHEN revocations.expires_at > excluded.expires_at \
    THEN revocations.expires_at ELSE excluded.expires_at END, \
    created_at = excluded.created_at, \
    reason = COALESCE(excluded.reason, revocations.reason)";

pub(crate) async fn insert(
    database: &Database,
    new: Vec<NewRevocation>,
) -> Result<Vec<u64>, StoreError> {
    let count = u64::try_from(new.len()).unwrap_or(u64::MAX);
    if count == 0 {
        return Ok(Vec::new());
    }
    on!(database, pool => {
        let mut transaction = pool.begin_write().await.map_err(store_error)?;
        // This row is locked up to the commit: others who revoke wait here, and get their
        // numbers when ours can be read.
        let last: Option<i64> = sqlx::query_scalar(
            "UPDATE revocation_counter SET last_seq = last_seq + $1 WHERE id = 1 \
             RETURNING last_seq",
        )
        .bind(write_number(count))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(store_error)?;
        let last = last.and_then(|last| u64::try_from(last).ok());
        let first = last.and_then(|last| (last + 1).checked_sub(count));
        let first = first.ok_or_else(|| corrupt("last_seq"))?;
        let mut seqs = Vec::with_capacity(new.len());
        for (seq, new) in (first..).zip(new) {
            sqlx::query(REVOKE)
                .bind(write_number(seq))
                .bind(new.revocation.kind().as_str())
                .bind(new.revocation.issuer().to_owned())
                .bind(new.revocation.value().to_owned())
                .bind(new.revocation.issued_before().map(write_number))
                .bind(write_number(new.revocation.expires_at()))
                .bind(write_time(new.created_at))
                .bind(new.reason)
                .execute(&mut *transaction)
                .await
                .map_err(store_error)?;
            seqs.push(seq);
        }
        transaction.commit().await.map_err(store_error)?;
        Ok(seqs)
    })
}

pub(crate) async fn since(
    database: &Database,
    after_seq: u64,
    limit: u32,
    now: UnixMillis,
) -> Result<Vec<RevocationRecord>, StoreError> {
    on!(database, pool => {
        let rows = sqlx::query(
            "SELECT seq, kind, issuer, value, issued_before, expires_at, created_at, reason \
             FROM revocations WHERE seq > $1 AND expires_at > $2 ORDER BY seq LIMIT $3",
        )
        .bind(write_number(after_seq))
        .bind(write_number(now.as_secs()))
        .bind(i64::from(limit.min(MAX_REVOCATIONS_PAGE)))
        .fetch_all(pool)
        .await
        .map_err(store_error)?;
        rows.iter().map(read).collect()
    })
}

pub(crate) async fn count(database: &Database, now: UnixMillis) -> Result<u64, StoreError> {
    let count: i64 = on!(database, pool => {
        sqlx::query_scalar("SELECT COUNT(*) FROM revocations WHERE expires_at > $1")
            .bind(write_number(now.as_secs()))
            .fetch_one(pool)
            .await
            .map_err(store_error)?
    });
    u64::try_from(count).map_err(|_| corrupt("count"))
}

pub(crate) async fn delete_expired(
    database: &Database,
    now: UnixMillis,
    limit: u32,
) -> Result<u64, StoreError> {
    let before = write_number(now.as_secs()).min(past_for_sure(database).await?);
    Ok(on!(database, pool => {
        // The end is asked for twice: one that was revoked again meanwhile is found by its old
        // number, and is alive.
        let done = sqlx::query(
            "DELETE FROM revocations WHERE expires_at <= $1 AND seq IN \
             (SELECT seq FROM revocations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        )
        .bind(before)
        .bind(i64::from(limit))
        .execute(pool)
        .await
        .map_err(store_error)?;
        done.rows_affected()
    }))
}

/// A second that is over whatever the caller's clock says: neither after the newest revocation
/// was made, by the clock of whoever made it, nor after the database's own. What is over when this
/// is read is over, too, when something is deleted by it.
async fn past_for_sure(database: &Database) -> Result<i64, StoreError> {
    on!(database, pool => {
        let clock: i64 = sqlx::query_scalar(database.clock())
            .fetch_one(pool)
            .await
            .map_err(store_error)?;
        let newest: Option<i64> =
            sqlx::query_scalar("SELECT created_at FROM revocations ORDER BY seq DESC LIMIT 1")
                .fetch_optional(pool)
                .await
                .map_err(store_error)?;
        Ok(newest.map_or(clock, |millis| clock.min(millis / 1_000)))
    })
}

pub(crate) async fn identity(database: &Database) -> Result<FeedIdentity, StoreError> {
    if let Some(identity) = find_identity(database).await? {
        return Ok(identity);
    }
    // Two servers that make one at once: the first stays, and both read it.
    let made = identity_by_chance()?;
    on!(database, pool => {
        sqlx::query(
            "INSERT INTO feed_identity (id, epoch, fingerprint_key) VALUES (1, $1, $2) \
             ON CONFLICT DO NOTHING",
        )
        .bind(write_number(made.epoch))
        .bind(write_bytes(made.fingerprint_key.expose()))
        .execute(pool)
        .await
        .map_err(store_error)?;
    });
    find_identity(database).await?.ok_or_else(|| corrupt("feed_identity"))
}

async fn find_identity(database: &Database) -> Result<Option<FeedIdentity>, StoreError> {
    on!(database, pool => {
        let row = sqlx::query("SELECT epoch, fingerprint_key FROM feed_identity WHERE id = 1")
            .fetch_optional(pool)
            .await
            .map_err(store_error)?;
        row.as_ref().map(read_identity).transpose()
    })
}

fn identity_by_chance() -> Result<FeedIdentity, StoreError> {
    let (mut epoch, mut key) = ([0_u8; 8], [0_u8; 16]);
    let failed = |_| StoreError::Unavailable("no random numbers".to_owned());
    rand::fill(&mut epoch).map_err(failed)?;
    rand::fill(&mut key).map_err(failed)?;
    // A column holds 63 bits, and 0 stands for none.
    let epoch = (u64::from_le_bytes(epoch) >> 1).max(1);
    Ok(FeedIdentity { epoch, fingerprint_key: FingerprintKey::new(key) })
}

fn read<R: Columns>(row: &R) -> Result<RevocationRecord, StoreError> {
    let (issuer, value) = (row.text("issuer")?, row.text("value")?);
    let (issued_before, expires_at) =
        (row.optional_number("issued_before")?, row.number("expires_at")?);
    // What this build cannot read is passed over: the next rows are as urgent.
    let revocation = RevocationKind::parse(&row.text("kind")?)
        .and_then(|kind| Revocation::new(kind, issuer, value, issued_before, expires_at).ok());
    Ok(RevocationRecord {
        seq: row.number("seq")?,
        revocation,
        created_at: row.time("created_at")?,
        reason: row.optional_text("reason")?,
    })
}

fn read_identity<R: Columns>(row: &R) -> Result<FeedIdentity, StoreError> {
    let key = row.bytes("fingerprint_key")?;
    let key = <[u8; 16]>::try_from(key).map_err(|_| corrupt("fingerprint_key"))?;
    Ok(FeedIdentity { epoch: row.number("epoch")?, fingerprint_key: FingerprintKey::new(key) })
}

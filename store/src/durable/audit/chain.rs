//! Checking the chain: entry by entry, in as much memory as one page takes.

use super::{AuditHead, AuditRecord, AuditStore, MAX_AUDIT_PAGE, NO_AUDIT};
use crate::StoreError;

/// A chain as far as it was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditChain {
    last: AuditHead,
}

/// Where a chain breaks, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// An entry is not there, and a later one is.
    #[error("entry {seq} is missing")]
    Missing {
        /// Which.
        seq: u64,
    },
    /// An entry is not what was written: its hash is another one.
    #[error("entry {seq} was changed: it does not have the hash that it names")]
    Changed {
        /// Which.
        seq: u64,
    },
    /// An entry follows another one than the one before it.
    #[error("entry {seq} does not follow the entry before it, which was changed or replaced")]
    Unlinked {
        /// Which.
        seq: u64,
    },
    /// An entry has columns that nobody here writes.
    #[error("entry {seq} cannot be read: somebody else has written it")]
    Unreadable {
        /// Which.
        seq: u64,
    },
    /// The log's head counts more entries than there are.
    #[error("the entries after {last} are missing: the log has had {head}")]
    Cut {
        /// The last one that is there.
        last: u64,
        /// How many there were.
        head: u64,
    },
    /// The log's head has another hash than its last entry.
    #[error("the log's head does not name the hash of its last entry, {seq}")]
    Head {
        /// The last entry.
        seq: u64,
    },
    /// There are entries that the log's head does not count.
    #[error("entry {seq} stands after the end of the log")]
    Extra {
        /// The first one.
        seq: u64,
    },
    /// No entry has the hash that was kept elsewhere.
    #[error(
        "no entry has the hash that was kept: the log was cut before it or written anew, and ends \
         at {last} now"
    )]
    Forgotten {
        /// The last entry that is there.
        last: u64,
    },
}

/// What became of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry follows the one before it.
    Whole {
        /// The last one; number 0 of an empty log.
        head: AuditHead,
        /// The entry with the hash that was kept, where one was.
        kept: Option<u64>,
    },
    /// It was changed.
    Broken(Broken),
}

impl Default for AuditChain {
    fn default() -> Self {
        Self { last: AuditHead { seq: 0, hash: NO_AUDIT } }
    }
}

impl AuditChain {
    /// Where it ends so far; number 0 before its first entry.
    #[must_use]
    pub const fn head(&self) -> AuditHead {
        self.last
    }

    /// Goes on to the next entry.
    ///
    /// # Errors
    /// When it is not the next one, or not what was written. The chain stays where it is.
    pub fn follow(&mut self, record: &AuditRecord) -> Result<(), Broken> {
        let next = self.last.seq.saturating_add(1);
        if record.seq != next {
            return Err(Broken::Missing { seq: next });
        }
        if record.previous != self.last.hash {
            return Err(Broken::Unlinked { seq: next });
        }
        if !record.follows(&self.last.hash) {
            return Err(Broken::Changed { seq: next });
        }
        self.last = AuditHead { seq: record.seq, hash: record.hash };
        Ok(())
    }
}

/// Follows a store's log from its first entry to where it ends when this begins; what is appended
/// meanwhile is left for the next time. `kept` is the hash of some entry, as it was kept where
/// whoever may write to the store cannot.
///
/// # Errors
/// Those of the store, but for entries that cannot be read.
pub async fn verify_audit(
    store: &dyn AuditStore,
    kept: Option<[u8; 32]>,
) -> Result<Verdict, StoreError> {
    let mut chain = AuditChain::default();
    let head = store.audit_head().await?.unwrap_or(chain.head());
    let mut found = (kept == Some(NO_AUDIT)).then_some(0);
    let mut limit = MAX_AUDIT_PAGE;
    while chain.head().seq < head.seq {
        let last = chain.head().seq;
        let page = match store.audit_since(last, limit).await {
            // One of them; entry by entry shows which.
            Err(StoreError::Corrupt(_)) if limit > 1 => {
                limit = 1;
                continue;
            }
            Err(StoreError::Corrupt(_)) => {
                return Ok(Verdict::Broken(Broken::Unreadable { seq: last.saturating_add(1) }));
            }
            other => other?,
        };
        if page.is_empty() {
            return Ok(Verdict::Broken(Broken::Cut { last, head: head.seq }));
        }
        for record in &page {
            if chain.head().seq >= head.seq {
                break;
            }
            if let Err(broken) = chain.follow(record) {
                return Ok(Verdict::Broken(broken));
            }
            if kept == Some(record.hash) {
                found = Some(record.seq);
            }
        }
    }
    if chain.head() != head {
        return Ok(Verdict::Broken(Broken::Head { seq: head.seq }));
    }
    if let Some(seq) = first_uncounted(store, head.seq).await? {
        return Ok(Verdict::Broken(Broken::Extra { seq }));
    }
    if kept.is_some() && found.is_none() {
        return Ok(Verdict::Broken(Broken::Forgotten { last: head.seq }));
    }
    Ok(Verdict::Whole { head, kept: found })
}

/// An entry that the head does not count. Entry and head are committed together, so that a head
/// which is read later counts every entry that was there.
async fn first_uncounted(store: &dyn AuditStore, after: u64) -> Result<Option<u64>, StoreError> {
    let next = match store.audit_since(after, 1).await {
        Ok(page) => page.first().map(|record| record.seq),
        Err(StoreError::Corrupt(_)) => Some(after.saturating_add(1)),
        Err(error) => return Err(error),
    };
    let Some(next) = next else { return Ok(None) };
    let counted = store.audit_head().await?.map_or(0, |head| head.seq);
    Ok((next > counted).then_some(next))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use postern_request::UnixMillis;

    use super::*;
    use crate::BoxFuture;
    use crate::durable::audit::{AuditEntry, Told};

    /// A log that somebody may have changed.
    struct Log {
        records: Mutex<Vec<AuditRecord>>,
        head: Mutex<AuditHead>,
        /// The entry that cannot be read.
        unreadable: Option<u64>,
    }

    impl Log {
        fn of(count: u64) -> Self {
            let mut records: Vec<AuditRecord> = Vec::new();
            for seq in 1..=count {
                let previous = records.last().map_or(NO_AUDIT, |last| last.hash);
                let entry = AuditEntry {
                    at: UnixMillis(seq),
                    actor: "system".to_owned(),
                    action: "user.created".to_owned(),
                    target: format!("u{seq}"),
                    detail: "{}".to_owned(),
                };
                records.push(AuditRecord::after(previous, seq, entry));
            }
            let hash = records.last().map_or(NO_AUDIT, |last| last.hash);
            let head = Mutex::new(AuditHead { seq: count, hash });
            Self { records: Mutex::new(records), head, unreadable: None }
        }

        fn edit(&self, change: impl FnOnce(&mut Vec<AuditRecord>)) {
            change(&mut self.records.lock().unwrap());
        }

        fn hash(&self, seq: usize) -> [u8; 32] {
            self.records.lock().unwrap()[seq - 1].hash
        }
    }

    impl AuditStore for Log {
        fn append_audit<'a>(&'a self, _: &'a AuditEntry) -> BoxFuture<'a, Result<u64, StoreError>> {
            Box::pin(async { Err(StoreError::Conflict) })
        }

        fn audit_since(
            &self,
            after: u64,
            limit: u32,
        ) -> BoxFuture<'_, Result<Vec<AuditRecord>, StoreError>> {
            let records = self.records.lock().unwrap();
            let page = records.iter().filter(|record| record.seq > after);
            let page: Vec<_> = page.take(usize::try_from(limit).unwrap()).cloned().collect();
            let bad = page.iter().any(|record| Some(record.seq) == self.unreadable);
            let answer = if bad { Err(StoreError::Corrupt("hash".to_owned())) } else { Ok(page) };
            Box::pin(std::future::ready(answer))
        }

        fn audit_head(&self) -> BoxFuture<'_, Result<Option<AuditHead>, StoreError>> {
            let head = *self.head.lock().unwrap();
            Box::pin(std::future::ready(Ok((head.seq > 0).then_some(head))))
        }

        fn watch_audit(&self, _: Told) {}
    }

    async fn broken(log: &Log, kept: Option<[u8; 32]>) -> Broken {
        match verify_audit(log, kept).await.unwrap() {
            Verdict::Broken(broken) => broken,
            whole @ Verdict::Whole { .. } => panic!("{whole:?}"),
        }
    }

    #[tokio::test]
    async fn a_log_that_nobody_changed_is_whole_however_long_it_is() {
        for count in [0, 1, 999, 1_000, 1_001, 2_500] {
            let log = Log::of(count);
            let head = *log.head.lock().unwrap();
            let verdict = verify_audit(&log, None).await.unwrap();
            assert_eq!(verdict, Verdict::Whole { head, kept: None }, "{count}");
        }
        let log = Log::of(2_500);
        let kept = log.hash(1_700);
        let verdict = verify_audit(&log, Some(kept)).await.unwrap();
        assert!(matches!(verdict, Verdict::Whole { kept: Some(1_700), .. }), "{verdict:?}");
    }

    #[tokio::test]
    async fn it_is_said_where_a_log_was_changed() {
        let log = Log::of(2_500);
        log.edit(|records| records[1_233].entry.target = "nobody".to_owned());
        assert_eq!(broken(&log, None).await, Broken::Changed { seq: 1_234 });

        let log = Log::of(2_500);
        log.edit(|records| drop(records.remove(1_233)));
        assert_eq!(broken(&log, None).await, Broken::Missing { seq: 1_234 });

        // Whoever also writes a fitting hash breaks it one entry later.
        let log = Log::of(5);
        log.edit(|records| {
            let mut entry = records[2].entry.clone();
            entry.target = "nobody".to_owned();
            records[2] = AuditRecord::after(records[1].hash, 3, entry);
        });
        assert_eq!(broken(&log, None).await, Broken::Unlinked { seq: 4 });

        let log = Log { unreadable: Some(1_500), ..Log::of(2_500) };
        assert_eq!(broken(&log, None).await, Broken::Unreadable { seq: 1_500 });
    }

    #[tokio::test]
    async fn a_log_that_was_cut_is_found_by_its_head_and_else_by_one_that_was_kept() {
        let log = Log::of(5);
        let kept = log.hash(5);
        log.edit(|records| records.truncate(3));
        assert_eq!(broken(&log, None).await, Broken::Cut { last: 3, head: 5 });
        // Whoever cuts it may set the head back as well.
        *log.head.lock().unwrap() = AuditHead { seq: 3, hash: log.hash(3) };
        assert!(matches!(verify_audit(&log, None).await, Ok(Verdict::Whole { .. })));
        assert_eq!(broken(&log, Some(kept)).await, Broken::Forgotten { last: 3 });
        let empty = Log::of(0);
        assert_eq!(broken(&empty, Some(kept)).await, Broken::Forgotten { last: 0 });
    }

    #[tokio::test]
    async fn a_head_that_does_not_fit_is_found() {
        let log = Log::of(5);
        log.head.lock().unwrap().hash = [7; 32];
        assert_eq!(broken(&log, None).await, Broken::Head { seq: 5 });
        let log = Log::of(5);
        *log.head.lock().unwrap() = AuditHead { seq: 4, hash: log.hash(4) };
        assert_eq!(broken(&log, None).await, Broken::Extra { seq: 5 });
        let log = Log::of(5);
        *log.head.lock().unwrap() = AuditHead { seq: 0, hash: NO_AUDIT };
        assert_eq!(broken(&log, None).await, Broken::Extra { seq: 1 });
    }
}

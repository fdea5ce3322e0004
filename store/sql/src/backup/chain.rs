//! The audit log's chain, followed while its rows go by.

use postern_request::UnixMillis;
use postern_store::durable::audit::{AuditChain, AuditEntry, AuditHead, AuditRecord, Broken};

use super::cell::{Row, number, text};
use super::tables::{AUDIT_HEAD, AUDIT_LOG, Table};
use crate::column::digest_from_hex;

/// The chain so far.
#[derive(Debug, Default)]
pub(super) struct Followed {
    chain: AuditChain,
    broken: Option<Broken>,
    head: Option<AuditHead>,
}

impl Followed {
    /// Sees a row of any table.
    pub(super) fn see(&mut self, table: &Table, row: &Row) {
        if table.name == AUDIT_HEAD {
            self.head = head(table, row);
        }
        if table.name != AUDIT_LOG || self.broken.is_some() {
            return;
        }
        let next = self.chain.head().seq.saturating_add(1);
        let followed = match record(table, row) {
            Some(record) => self.chain.follow(&record),
            None => Err(Broken::Unreadable { seq: next }),
        };
        self.broken = followed.err();
    }

    /// What became of it, once all rows have gone by.
    pub(super) fn verdict(&self) -> Result<AuditHead, Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let last = self.chain.head();
        match self.head {
            Some(head) if head.seq > last.seq => {
                Err(Broken::Cut { last: last.seq, head: head.seq })
            }
            Some(head) if head.seq < last.seq => {
                Err(Broken::Extra { seq: head.seq.saturating_add(1) })
            }
            Some(head) if head == last => Ok(last),
            _ => Err(Broken::Head { seq: last.seq }),
        }
    }
}

fn record(table: &Table, row: &Row) -> Option<AuditRecord> {
    let owned = |name| text(table, row, name).map(str::to_owned);
    let digest = |name| text(table, row, name).and_then(digest_from_hex);
    Some(AuditRecord {
        seq: number(table, row, "seq")?,
        entry: AuditEntry {
            at: UnixMillis(number(table, row, "at")?),
            actor: owned("actor")?,
            action: owned("action")?,
            target: owned("target")?,
            detail: owned("detail")?,
        },
        previous: digest("previous")?,
        hash: digest("hash")?,
    })
}

fn head(table: &Table, row: &Row) -> Option<AuditHead> {
    let seq = number(table, row, "last_seq")?;
    Some(AuditHead { seq, hash: text(table, row, "hash").and_then(digest_from_hex)? })
}

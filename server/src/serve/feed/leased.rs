//! What a document leases.

use std::collections::BTreeMap;

use postern_document::{Allowance, Document, LimitMode};
use postern_feed::Leased;
use postern_limits::key::stamp;

/// All that the leased limits of a document allow, by stamp.
pub struct DocumentLimits(BTreeMap<u64, Leased>);

impl DocumentLimits {
    /// All of a document.
    pub fn new(document: &Document) -> Self {
        let mut leased = BTreeMap::new();
        for limit in &document.limits {
            let LimitMode::Leased { terms, .. } = limit.mode else { continue };
            for allowance in limit.allowances() {
                // Nobody has to ask for what is unlimited, and places are not leased.
                if let Allowance::Rate(spec) = allowance {
                    leased.insert(stamp(&limit.name, spec), Leased { spec, terms });
                }
            }
        }
        Self(leased)
    }

    /// What is leased under this stamp.
    pub fn find(&self, stamp: u64) -> Option<Leased> {
        self.0.get(&stamp).copied()
    }
}

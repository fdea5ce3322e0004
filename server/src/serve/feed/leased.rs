//! What the document leases.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_document::{Allowance, Document, Limit, LimitMode};
use postern_feed::{Leased, LeasedLimits};

/// The leased limits of a document, by name.
pub struct DocumentLimits(BTreeMap<String, Arc<Limit>>);

impl DocumentLimits {
    /// All of a document.
    pub fn new(document: &Document) -> Self {
        let is_leased = |limit: &&Arc<Limit>| matches!(limit.mode, LimitMode::Leased { .. });
        let leased = document.limits.iter().filter(is_leased);
        Self(leased.map(|limit| (limit.name.clone(), Arc::clone(limit))).collect())
    }
}

impl LeasedLimits for DocumentLimits {
    fn find(&self, limit: &str, allowance: u32) -> Option<Leased> {
        let limit = self.0.get(limit)?;
        let LimitMode::Leased { terms, .. } = limit.mode else { return None };
        match limit.allowance_at(u16::try_from(allowance).ok()?)? {
            Allowance::Rate(spec) => Some(Leased { spec, terms }),
            // Nobody has to ask for what is unlimited, and places are not leased.
            Allowance::Unlimited | Allowance::InFlight(_) => None,
        }
    }
}

//! By which document a request is judged. While one takes the place of another, Envoys run both.

use std::sync::Arc;

use postern_document::Document;

use crate::keys::IssuerKeys;

/// A document, and the keys of its issuers: they are taken together, because a token's issuer is
/// known by its place in the document.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The document.
    pub document: Arc<Document>,
    /// Its issuers' keys.
    pub keys: Arc<IssuerKeys>,
}

/// The documents that requests are judged by.
pub trait Documents: Send + Sync {
    /// The one for an Envoy that says that it runs the document of this digest, or says nothing:
    /// that one, where it is still known, and else the newest. What comes of it names the document,
    /// so that an Envoy which runs neither refuses it.
    fn judging(&self, told: Option<&str>) -> Judged;
}

impl Judged {
    /// A document, with the keys that stand in it.
    #[must_use]
    pub fn new(document: Document) -> Self {
        Self { keys: Arc::new(IssuerKeys::new(&document)), document: Arc::new(document) }
    }
}

/// One document for all requests, whatever they run.
impl Documents for Judged {
    fn judging(&self, _: Option<&str>) -> Judged {
        self.clone()
    }
}

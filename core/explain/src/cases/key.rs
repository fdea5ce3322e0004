//! API keys of a case file.

use std::sync::Arc;

use postern_document::Document;
use postern_document::yaml::{Node, Problems};
use postern_request::Principal;
use postern_request::principal::Credential;

use super::fields::{Fields, members};

const FIELDS: [&str; 6] = ["text", "id", "subject", "client_id", "scopes", "tier"];

/// Most keys of a file.
const MAX_KEYS: usize = 1000;

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKey {
    /// Text that is sent as it is, and judged by what the document says of it.
    Text(String),
    /// A key of the document, by its id; it counts as known.
    OfDocument {
        /// The id.
        id: String,
        /// Whom it stands for.
        principal: Box<Principal>,
    },
    /// A key of the durable store; it counts as known.
    Stored(Box<Principal>),
}

/// Reads `keys`.
pub(super) fn read(
    node: &Node,
    document: &Document,
    problems: &mut Problems,
) -> Vec<(String, Arc<ApiKey>)> {
    let Some(members) = members(node, problems) else { return Vec::new() };
    if members.len() > MAX_KEYS {
        let message = format!("at most {MAX_KEYS} keys in a file: write another file");
        problems.report(node.at, message);
        return Vec::new();
    }
    let read = members.iter().filter_map(|(name, _, node)| {
        let key = problems.within(name, |problems| key(node, document, problems))?;
        Some((name.clone(), Arc::new(key)))
    });
    read.collect()
}

fn key(node: &Node, document: &Document, problems: &mut Problems) -> Option<ApiKey> {
    let fields = Fields::open(node, &FIELDS, problems)?;
    let text = fields.text("text", problems);
    let id = fields.text("id", problems);
    let subject = fields.text("subject", problems);
    let client_id = fields.text("client_id", problems);
    let scopes = fields.texts("scopes", problems).unwrap_or_default();
    let tier = fields.text("tier", problems);
    let is_described = fields.has("subject") || client_id.is_some() || tier.is_some();
    let forms = [fields.has("text"), fields.has("id"), is_described || !scopes.is_empty()];
    if forms.into_iter().filter(|form| *form).count() != 1 {
        let message = "a key is its `text`, the `id` of one of the document, or the `subject` of \
                       one of the durable store";
        problems.report(node.at, message);
        return None;
    }
    if let Some(text) = text {
        return Some(ApiKey::Text(text));
    }
    if let Some(id) = id {
        let Some(known) = document.api_keys.iter().find(|known| known.id == id) else {
            problems.report(fields.place("id"), format!("the document has no API key `{id}`"));
            return None;
        };
        return Some(ApiKey::OfDocument { id, principal: Box::new(known.principal.clone()) });
    }
    if subject.is_none() {
        problems.report(node.at, "`subject` is missing");
    }
    Some(ApiKey::Stored(Box::new(Principal {
        subject: subject?,
        client_id,
        scopes: scopes.into_iter().map(|(scope, _)| scope).collect(),
        tier,
        credential: Credential::ApiKey,
        ..Principal::default()
    })))
}

//! A case as bytes on a connection.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use postern_explain::cases::{ApiKey, Case, Made, Proven, Token};
use postern_request::json;

use super::answered::Answered;
use super::setting::Stack;
use crate::keys::{self, Key};
use crate::raw;

/// The key that issuers sign with, and the one that clients prove to have.
const SIGNING: (&str, &str) = ("RS256", "rsa-1");
const OWN_KEY: &str = "ec-1";

/// A case whose tokens are made.
pub(super) struct Prepared<'c> {
    pub(super) case: &'c Case,
    tokens: BTreeMap<String, String>,
    api_key: Option<String>,
}

impl<'c> Prepared<'c> {
    /// Makes them.
    pub(super) fn of(case: &'c Case, stack: &Stack) -> Self {
        Self::with(case, &|key| stack.key(key))
    }

    /// Makes them where somebody knows the texts of API keys.
    pub(super) fn with(case: &'c Case, text_of: &dyn Fn(&ApiKey) -> String) -> Self {
        let sent = &case.request;
        let tokens = sent.placed.iter().chain(&sent.token);
        let tokens = tokens.map(|token| (token.name.clone(), signed(token))).collect();
        let api_key = sent.api_key.as_ref().map(|key| text_of(key));
        assert!(
            sent.certificate.is_none() && sent.workload.is_none() && sent.session.is_none(),
            "{}: no connection of a replay shows a certificate, or leads past the edge, and nobody \
             has logged in; say that it is not replayed",
            case.name
        );
        Self { case, tokens, api_key }
    }

    /// The text of its token.
    pub(super) fn token(&self) -> Option<&str> {
        let token = self.case.request.token.as_ref()?;
        self.tokens.get(&token.name).map(String::as_str)
    }

    /// Sends it under an id of its own.
    pub(super) async fn send(&self, port: u16) -> Answered {
        let id = new_id();
        let answer = raw::exchange(port, &self.bytes(&id)).await;
        Answered::of(id, &answer)
    }

    /// The request under an id.
    pub(super) fn bytes(&self, id: &str) -> Vec<u8> {
        let sent = &self.case.request;
        let token_text = |token: &Token| self.tokens[&token.name].clone();
        let mut lines = vec![
            format!("{} {} HTTP/1.1", sent.method, sent.fill_in(&sent.path, &token_text)),
            format!("host: {}", sent.host),
            "connection: close".to_owned(),
            format!("x-correlation-id: {id}"),
        ];
        if !matches!(sent.method.as_str(), "GET" | "HEAD") {
            lines.push("content-length: 0".to_owned());
        }
        for (name, value) in &sent.headers {
            lines.push(format!("{name}: {}", sent.fill_in(value, &token_text)));
        }
        if let Some(token) = self.token() {
            lines.push(format!("authorization: {} {token}", sent.token_scheme()));
            if let Some(proof) = self.proof(token) {
                lines.push(format!("dpop: {proof}"));
            }
        }
        if let Some(key) = &self.api_key {
            lines.push(format!("x-api-key: {key}"));
        }
        (lines.join("\r\n") + "\r\n\r\n").into_bytes()
    }

    /// A proof that nobody has seen yet.
    fn proof(&self, token: &str) -> Option<String> {
        let sent = &self.case.request;
        let proof = sent.proof.as_ref()?;
        if let Some(text) = proof.text() {
            return Some(text.to_owned());
        }
        let (key, algorithm, kid) = match proof.is_by_other_key() {
            false => (Key::Ec, "ES256", OWN_KEY),
            true => (Key::Rsa, SIGNING.0, SIGNING.1),
        };
        let jwk = json::parse(keys::public_jwk(kid).to_string().as_bytes()).expect("JSON");
        let path = sent.path.split('?').next().unwrap_or_default();
        let proven = Proven {
            now_secs: keys::now(),
            proof_id: &keys::subject("proof"),
            method: &sent.method,
            url: &format!("{}://{}{path}", sent.scheme, sent.host),
            token_hash: &keys::sha256(token.as_bytes()),
            algorithm,
            key: &jwk,
        };
        let text = key.sign(&proof.header(&proven), &proof.claims(&proven));
        Some(if proof.is_signed() { text } else { keys::tampered(&text) })
    }
}

/// A token by the kit's key.
fn signed(token: &Token) -> String {
    if let Some(text) = token.text() {
        return text.to_owned();
    }
    let made = Made {
        now_secs: keys::now(),
        token_id: &keys::subject("jti"),
        thumbprint: &keys::thumbprint(OWN_KEY),
        algorithm: SIGNING.0,
        key_id: Some(SIGNING.1),
    };
    let text = Key::Rsa.sign(&token.header(&made), &token.claims(&made));
    if token.is_signed() { text } else { keys::tampered(&text) }
}

/// An id that the gateway keeps, and that nobody else uses.
pub(super) fn new_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}-0000-4000-8000-{next:012x}", std::process::id())
}

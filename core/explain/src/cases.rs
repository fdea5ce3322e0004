//! Case files: requests, what holds around them, and what is expected of the gateway.
//!
//! [`read`] makes cases of texts, against the document that they are about: a route, limit or
//! service that it does not have is a problem of the case. [`run`] explains every case and
//! compares. Nothing is sent anywhere; that a real gateway does the same is for whoever replays
//! the files (`tests/tests/explain.rs`).

mod compare;
mod coverage;
mod expect;
mod fields;
mod given;
mod json;
mod junit;
mod key;
mod made;
mod proof;
mod read;
mod reason;
mod request;
mod room;
mod run;
mod session;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod token;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use postern_request::UnixMillis;

pub use coverage::{Coverage, Uncovered};
pub use key::ApiKey;
pub use proof::{Proof, Proven};
pub use read::read;
pub use run::{CaseReport, Context, FileReport, Mismatch, Report, run};
pub use time::instant;
pub use token::{Made, Token};

use request::Piece;

use crate::assume::{Part, Revoked};
use crate::request::GivenSession;
use crate::step::By;

/// The cases of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseFile {
    /// The file's name, as problems name it.
    pub name: String,
    /// In the order of the file; one for each combination of an `each`.
    pub cases: Vec<Case>,
}

/// One request and what is expected of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Its name; no other case of the file has it.
    pub name: String,
    /// Where it stands.
    pub line: usize,
    /// The request.
    pub request: Sent,
    /// What holds meanwhile.
    pub given: Given,
    /// What is expected.
    pub expect: Expected,
    /// Why no real gateway is asked; none where one is.
    pub not_replayed: Option<String>,
}

/// The request of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// `Host`, with the port where there is one.
    pub host: String,
    /// Path and query; may hold `{token.NAME}`.
    pub path: String,
    /// Names in lower case, repeated ones apart; values may hold `{token.NAME}`.
    pub headers: Vec<(String, String)>,
    /// The client's address.
    pub address: IpAddr,
    /// SHA-256 of the certificate that is shown on the connection.
    pub certificate: Option<[u8; 32]>,
    /// The SPIFFE id of whoever calls a workload directly.
    pub peer: Option<String>,
    /// The workload that is called directly; none for the edge.
    pub workload: Option<String>,
    /// The token in `authorization`.
    pub token: Option<Arc<Token>>,
    /// The tokens that path and headers name.
    pub placed: Vec<Arc<Token>>,
    /// The proof in `dpop`.
    pub proof: Option<Proof>,
    /// The API key.
    pub api_key: Option<Arc<ApiKey>>,
    /// The session whose cookie is sent.
    pub session: Option<GivenSession>,
}

impl Sent {
    /// A text of the request with its `{token.NAME}` filled in. What a token says is not looked
    /// through again.
    #[must_use]
    pub fn fill_in(&self, text: &str, token: &dyn Fn(&Token) -> String) -> String {
        let mut filled = String::with_capacity(text.len());
        for piece in request::pieces(text, &self.placed) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Token(placed) => filled.push_str(&token(placed)),
            }
        }
        filled
    }

    /// How long that would be.
    fn filled_len(&self, text: &str, token: &dyn Fn(&Token) -> usize) -> usize {
        let len = |piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Token(placed) => token(placed),
        };
        request::pieces(text, &self.placed).map(len).sum()
    }

    /// The scheme of `authorization`: a token that is bound to a key comes with a proof.
    #[must_use]
    pub fn token_scheme(&self) -> &'static str {
        let has_key = self.token.as_ref().is_some_and(|token| token.has_proof_key());
        if has_key { "DPoP" } else { "Bearer" }
    }
}

/// What holds while a case is judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Given {
    /// The time.
    pub now: UnixMillis,
    /// Parts that do not answer.
    pub failed: BTreeSet<Part>,
    /// Services whose circuits are open to the Envoys of this request.
    pub open: BTreeSet<String>,
    /// Limits that have nothing left for the caller.
    pub used_up: BTreeSet<String>,
    /// Whether the token was revoked.
    pub revoked: Revoked,
    /// Whether the request is of the share that its route holds to the rules; where it is none,
    /// what is expected must come of both.
    pub enforced: Option<bool>,
    /// The request is of the share that its route's `fault` is for.
    pub faulted: bool,
}

/// What is expected. What it does not name may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// The service gets the request; else it is refused.
    pub allowed: bool,
    /// The status of a refusal.
    pub status: Option<u16>,
    /// `error`
    pub error: Option<String>,
    /// The reason.
    pub reason: Option<String>,
    /// Who refuses.
    pub by: Option<By>,
    /// Whose Envoy refuses, or sends it to the service.
    pub at: Option<String>,
    /// The route; an inner none stands for no route at all.
    pub route: Option<Option<String>>,
    /// The service.
    pub service: Option<String>,
    /// A version of the service that may get it.
    pub version: Option<String>,
    /// Path and query as the service sees them.
    pub target: Option<String>,
    /// Headers as the service sees them; an inner none is one that it does not see.
    pub headers: Vec<(String, Option<String>)>,
    /// Limits that count it, all of them, in any order.
    pub limits: Option<BTreeSet<String>>,
}

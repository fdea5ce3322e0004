//! Each finding has a document or a mesh that has it, and one that just has not.

use postern_document::{Document, Source, load};
use postern_request::UnixMillis;

use super::*;

mod changes;
mod documents;
mod hostile;
mod identity;
mod loosenings;
mod mesh_changes;
mod meshes;

/// 2026-06-15
const NOW: UnixMillis = UnixMillis(1_781_481_600_000);

fn source(text: &str) -> Source {
    Source { name: "gateway.yaml".to_owned(), text: text.to_owned() }
}

fn document(text: &str) -> Document {
    let none = |_: &str| Err("no files here".to_owned());
    load(&[source(text)], &none).unwrap_or_else(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}\n{text}", told.join("\n"))
    })
}

/// A document with one issuer and one service; what stands in `rest` comes last.
fn gateway(rest: &str) -> String {
    format!(
        "version: 1\n\
         credentials:\n  jwt:\n    issuers:\n    - issuer: https://idp.example.test\n      \
         audiences: [shop]\n      jwks: {{uri: https://idp.example.test/jwks, refresh: 5m}}\n\
         services:\n  shop: {{upstream: shop.default.svc.cluster.local:8080}}\n\
         limits:\n  few: {{key: [ip], mode: local, rate: 10/1m}}\n{rest}"
    )
}

/// A route of the shop.
fn route(name: &str, path: &str, more: &str) -> String {
    format!("- {{name: {name}, match: {{path: '{path}'}}, service: shop, limits: [few], {more}}}\n")
}

const READ: &str = "auth: {any: [jwt], scopes: [read]}";

fn input<'a>(document: &'a Document, options: &'a IstioOptions) -> Input<'a> {
    Input {
        document,
        policies: None,
        options,
        module_is_known: false,
        normalization: None,
        accepted: &[],
        now: NOW,
        before: None,
    }
}

fn reviewed(text: &str) -> Review {
    let document = document(text);
    let options = IstioOptions::default();
    review(&input(&document, &options)).unwrap()
}

/// Findings as `PR101 high routes.a`.
fn found(text: &str) -> Vec<String> {
    told(&reviewed(text))
}

fn told(review: &Review) -> Vec<String> {
    let one = |f: &Finding| format!("{} {} {}", f.id, f.severity.as_str(), f.subject);
    review.findings.iter().map(one).collect()
}

fn has(found: &[String], wanted: &str) -> bool {
    found.iter().any(|one| one.starts_with(wanted))
}

//! What can be rendered, and is hardly what somebody wants of a mesh.

use postern_document::{CertificateSource, Document, TokenPlace};

use super::IstioOptions;
use crate::places::is_loopback;

/// What to look at before the manifests are applied, one text each; none where there is nothing.
#[must_use]
pub fn warnings(document: &Document, options: &IstioOptions) -> Vec<String> {
    let mut warnings = Vec::new();
    if options.wasm_sha256.is_none() {
        warnings.push(
            "the filter module is not pinned: whoever can move its tag decides what runs in the \
             gateway; name its hash with --wasm-sha256"
                .to_owned(),
        );
    }
    let local = document.services.iter().filter(|service| is_loopback(&service.host));
    let local: Vec<String> = local.map(|service| format!("`{}`", service.name)).collect();
    if !local.is_empty() {
        warnings.push(format!(
            "in the mesh, a loopback address is the gateway's own pod; give an upstream of its \
             own to {}",
            local.join(", ")
        ));
    }
    warnings.extend(certificate(document).map(str::to_owned));
    let in_the_clear = document.keys_in_clear_text();
    warnings.extend(in_the_clear.into_iter().map(|(issuer, from)| {
        format!(
            "the keys of `{issuer}` come in clear text from `{from}`, and whoever sits in between \
             can sign for it: fetch them by TLS, or see to it that the mesh encrypts the way there"
        )
    }));
    let queries = document.token_places.iter().filter_map(|place| match place {
        TokenPlace::Query(name) => Some(format!("`{name}`")),
        _ => None,
    });
    let queries: Vec<String> = queries.collect();
    if !queries.is_empty() {
        warnings.push(format!(
            "tokens may stand in the query, in {}: the mesh's own access log and traces show a \
             request's path with its query where it is refused before the filter; have them leave \
             the query out",
            queries.join(", ")
        ));
    }
    warnings
}

/// How safe, or how useful, it is to look for the caller's certificate where the document says.
fn certificate(document: &Document) -> Option<&'static str> {
    Some(match document.bound.certificate? {
        CertificateSource::Forwarded => {
            "the gateway takes the caller's certificate from `x-forwarded-client-cert` as it comes \
             (`bound.certificate: forwarded`), so whoever reaches the gateway can say that it \
             holds any certificate: let only what ends TLS in front of it reach it"
        }
        CertificateSource::Connection => {
            "the rendered Gateway asks callers for no certificate \
             (`bound.certificate: connection`), so tokens bound to one are refused: give its \
             server the TLS mode OPTIONAL_MUTUAL and its Secret the callers' authority"
        }
    })
}

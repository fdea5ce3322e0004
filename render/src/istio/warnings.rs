//! What can be rendered, and is hardly what somebody wants of a mesh.

use std::net::IpAddr;

use postern_document::Document;

use super::IstioOptions;

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
    warnings
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

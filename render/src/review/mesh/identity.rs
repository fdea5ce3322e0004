//! PR233: RequestAuthentications that write a header which says who calls. Envoy asks them behind
//! the bundle, so services believe their issuers instead of the document's.

use super::super::catalogue::IDENTITY_REWRITTEN;
use super::super::document::writes;
use super::super::model::Finding;
use super::at;
use super::view::View;

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    for known in view.ours() {
        for resource in view.resources.request_for(&view.mesh, &known.workload) {
            let meta = &resource.meta;
            for rule in &resource.rules {
                let of_claims = rule.claim_headers.iter().map(|of| of.header.as_str());
                let headers = of_claims.chain(rule.payload_header.as_deref());
                let mut headers = headers.map(str::to_ascii_lowercase);
                let Some(header) = headers.find(|header| writes(view.document, header)) else {
                    continue;
                };
                let text = format!(
                    "on {}, it writes `{header}` from tokens of `{}`, behind the bundle",
                    known.name(),
                    rule.issuer
                );
                let subject = format!("RequestAuthentication {meta}");
                let finding = Finding::new(&IDENTITY_REWRITTEN, subject, text);
                found.push(finding.at(at(&meta.file, meta.line)));
            }
        }
    }
}

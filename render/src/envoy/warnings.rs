//! What can be rendered, and hardly works as somebody wants it.

use postern_document::{CertificateSource, Document, FeedIdentity};

use super::EnvoyOptions;
use crate::feed;
use crate::places::is_loopback;

/// What to look at before Envoy is started, one text each; none where there is nothing.
#[must_use]
pub fn warnings(document: &Document, options: &EnvoyOptions) -> Vec<String> {
    let certificate = document.bound.certificate.map(|source| match source {
        CertificateSource::Forwarded => {
            "Envoy takes the caller's certificate from `x-forwarded-client-cert` as it comes \
             (`bound.certificate: forwarded`), so whoever reaches the listener can say that it \
             holds any certificate: let only what ends TLS in front of Envoy reach it"
        }
        CertificateSource::Connection => {
            "the rendered listener speaks plain HTTP and sees no certificate \
             (`bound.certificate: connection`), so tokens bound to one are refused: give it TLS, \
             or write `forwarded` where something in front of it ends mutual TLS"
        }
    });
    let mut warnings: Vec<String> = certificate.map(str::to_owned).into_iter().collect();
    if document.needs_feed() {
        warnings.extend(refused_by_the_feed(document, options));
        let in_the_clear = options.server_tls.is_none() && !is_loopback(&options.server_grpc.host);
        if options.feed_credential.is_some() && in_the_clear {
            warnings.push(
                "the feed's credential goes to the server in clear text: name the server's \
                 authority with --server-ca"
                    .to_owned(),
            );
        }
    }
    warnings
}

/// Why the server would not answer this Envoy, whose tokens would then be judged as the document
/// says of stale knowledge.
fn refused_by_the_feed(document: &Document, options: &EnvoyOptions) -> Option<String> {
    let (settings, workload) = (&document.feed, &options.workload);
    let certificate = options.server_tls.as_ref().is_some_and(|tls| tls.client.is_some());
    let credential = options.feed_credential.is_some();
    if settings.peers.is_empty() {
        let is_answered = is_loopback(&options.server_grpc.host)
            && settings.forwarded_client_cert.is_none()
            && !certificate
            && !credential;
        return (!is_answered).then(|| {
            format!(
                "without `feed.peers` in the document, the feed answers Envoys on the server's \
                 own machine only, and those that show nothing: name this one there, with \
                 `workloads: [{workload}]`"
            )
        });
    }
    let shows = |identity: &FeedIdentity| match identity {
        // A certificate comes first.
        FeedIdentity::Credential { .. } => credential && !certificate,
        // A proxy between the two may have one of its own.
        FeedIdentity::Spiffe(_) => certificate || settings.forwarded_client_cert.is_some(),
    };
    let mut identities = feed::identities(document, workload).peekable();
    if identities.peek().is_none() {
        return Some(format!("nobody in `feed.peers` may ask for the workload `{workload}`"));
    }
    (!identities.any(shows)).then(|| {
        "Envoy shows the feed nothing that `feed.peers` knows: name its credential with \
         --feed-credential-file, or its certificate with --client-cert and --client-key; where it \
         shows both, the certificate counts"
            .to_owned()
    })
}

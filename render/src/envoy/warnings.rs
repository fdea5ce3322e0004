//! What can be rendered, and hardly works as somebody wants it.

mod edge;
mod sidecar;

use postern_document::{CertificateSource, Document, FeedIdentity, JwksSource, JwtIssuer, KeysBy};

use super::rendering::workload;
use super::{EnvoyOptions, Kind, Source};
use crate::feed;
use crate::places::is_loopback;

/// The suite itself, as an issuer's `jwks.service`.
const OWN_SERVICE: &str = "postern";

/// What to look at before Envoy is started, one text each; none where there is nothing.
#[must_use]
pub fn warnings(document: &Document, options: &EnvoyOptions) -> Vec<String> {
    let mut warnings: Vec<String> = certificates(document, options).into_iter().collect();
    warnings.extend(certificates_of_clients(document, options));
    let in_the_clear = document.keys_in_clear_text();
    warnings.extend(in_the_clear.into_iter().map(|(issuer, from)| {
        format!(
            "the keys of `{issuer}` come in clear text from `{from}`, and whoever sits in between \
             can sign for it: fetch them by TLS"
        )
    }));
    warnings.extend(own_keys_in_the_clear(document, options));
    warnings.extend(xds_in_the_clear(options));
    warnings.extend(server_elsewhere(options));
    warnings.extend(half_of_tls(options));
    if document.needs_feed() {
        warnings.extend(refused_by_the_feed(document, options));
        warnings.extend(feed_in_the_clear(document, options));
    }
    match options.kind {
        Kind::Edge => warnings.extend(edge::warnings(document, options)),
        Kind::Sidecar { .. } => warnings.extend(sidecar::warnings(document, options)),
    }
    warnings
}

/// What becomes of clients that authenticate by a certificate.
fn certificates_of_clients(document: &Document, options: &EnvoyOptions) -> Option<String> {
    let source = document.oauth.as_ref()?.mutual_tls?;
    if options.kind != Kind::Edge || document.bound.certificate == Some(source) {
        return None;
    }
    let text = match source {
        CertificateSource::Connection => {
            "the rendered listener speaks plain HTTP and sees no certificate \
             (`oauth.mutual_tls: connection`), so no client can authenticate by one: give it TLS, \
             or write `forwarded` where something in front of it ends mutual TLS"
        }
        CertificateSource::Forwarded => {
            "Envoy takes clients' certificates from `x-forwarded-client-cert` as it comes \
             (`oauth.mutual_tls: forwarded`), so whoever reaches the listener can say that it is \
             any client that authenticates by one: let only what ends TLS in front of Envoy reach \
             it"
        }
    };
    Some(text.to_owned())
}

/// What becomes of tokens that are bound to a certificate.
fn certificates(document: &Document, options: &EnvoyOptions) -> Option<String> {
    let source = document.bound.certificate?;
    let text = match (options.kind, source) {
        (Kind::Sidecar { .. }, _) => {
            "a sidecar sees the certificates of other Envoys and no caller's \
             (`bound.certificate`), so tokens that are bound to one are refused by it: have the \
             edge guard their routes"
        }
        (Kind::Edge, CertificateSource::Forwarded) => {
            "Envoy takes the caller's certificate from `x-forwarded-client-cert` as it comes \
             (`bound.certificate: forwarded`), so whoever reaches the listener can say that it \
             holds any certificate: let only what ends TLS in front of Envoy reach it"
        }
        (Kind::Edge, CertificateSource::Connection) => {
            "the rendered listener speaks plain HTTP and sees no certificate \
             (`bound.certificate: connection`), so tokens bound to one are refused: give it TLS, \
             or write `forwarded` where something in front of it ends mutual TLS"
        }
    };
    Some(text.to_owned())
}

/// The suite's own keys, which Envoy fetches from the server's public port: that has no TLS.
fn own_keys_in_the_clear(document: &Document, options: &EnvoyOptions) -> Option<String> {
    let is_own = |issuer: &&JwtIssuer| {
        issuer.keys_by == KeysBy::Envoy
            && matches!(&issuer.jwks, JwksSource::Service { service, .. } if service == OWN_SERVICE)
    };
    let own = document.issuers.iter().find(is_own)?;
    let from = &options.server_public.host;
    (!is_loopback(from)).then(|| {
        format!(
            "the keys of `{}` come in clear text from `{from}`, and whoever sits in between can \
             sign for it: write `fetched_by: server` beside `service: {OWN_SERVICE}`, and name \
             the server's authority with --server-ca",
            own.issuer.issuer
        )
    })
}

/// Who tells an Envoy what it runs can do whatever the Envoy can.
fn xds_in_the_clear(options: &EnvoyOptions) -> Option<String> {
    let Source::Ads { server, tls: None, .. } = &options.source else { return None };
    (!is_loopback(&server.host)).then(|| {
        format!(
            "all that Envoy runs comes from `{}` in clear text, and whoever sits in between can \
             change it: name the server's authority with --xds-ca",
            server.host
        )
    })
}

/// Who names another machine for one port mostly means it for all.
fn server_elsewhere(options: &EnvoyOptions) -> Option<String> {
    let Source::Ads { server, .. } = &options.source else { return None };
    let ports =
        [("--server-grpc", &options.server_grpc), ("--server-public", &options.server_public)];
    let here = ports.into_iter().filter(|(_, port)| is_loopback(&port.host));
    let here: Vec<&str> = here.map(|(name, _)| name).collect();
    (!is_loopback(&server.host) && !here.is_empty()).then(|| {
        format!(
            "Envoy is told what it runs by `{}`, and asks its own machine for the rest: name the \
             server there with {}",
            server.host,
            here.join(" and ")
        )
    })
}

/// One port speaks TLS to everybody or to nobody.
fn half_of_tls(options: &EnvoyOptions) -> Option<String> {
    let Source::Ads { server, tls: Some(_), .. } = &options.source else { return None };
    (options.server_tls.is_none() && *server == options.server_grpc).then(|| {
        format!(
            "`{}` is asked with TLS for what Envoy runs, and without for the rest: name its \
             authority with --server-ca too",
            server.host
        )
    })
}

/// What somebody between Envoy and the server could do.
fn feed_in_the_clear(document: &Document, options: &EnvoyOptions) -> Option<String> {
    let from = &options.server_grpc.host;
    if options.server_tls.is_some() || is_loopback(from) {
        return None;
    }
    let has_keys = document.issuers.iter().any(|issuer| issuer.keys_by == KeysBy::Feed);
    let harm = [
        has_keys.then_some("sign for the issuers whose keys come by it"),
        document.revocation.is_some().then_some("hide revocations and make some up"),
        document.has_circuits().then_some("open circuits and close them"),
        options.feed_credential.is_some().then_some("take the feed's credential"),
    ];
    let harm: Vec<&str> = harm.into_iter().flatten().collect();
    Some(format!(
        "the feed comes from `{from}` in clear text, and whoever sits in between can {}: name the \
         server's authority with --server-ca",
        harm.join(", ")
    ))
}

/// Why the server would not answer this Envoy, whose tokens would then be judged as the document
/// says of stale knowledge, and whose circuits would go by what it has seen itself.
fn refused_by_the_feed(document: &Document, options: &EnvoyOptions) -> Option<String> {
    let (settings, workload) = (&document.feed, workload(document, options));
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

//! The feed's credential: Envoy adds it to what goes to the feed's cluster, and nothing else in
//! the configuration knows it. The filter that asks never sees it.

use postern_document::Document;
use serde_json::{Value, json};

use super::{EnvoyOptions, Source, typed};

/// The secret's name. It is read from a file, so that it does not stand in the bootstrap.
const SECRET: &str = "postern_feed_credential";
/// The header that the server reads it from.
const HEADER: &str = "x-postern-feed-credential";

/// The secret; none where nobody asks for it.
pub(super) fn secrets(document: &Document, options: &EnvoyOptions) -> Vec<Value> {
    let is_asked = document.needs_feed() || options.source != Source::Static;
    let file = options.feed_credential.as_deref().filter(|_| is_asked);
    let secret =
        |file: &str| json!({"name": SECRET, "generic_secret": {"secret": {"filename": file}}});
    file.map(secret).into_iter().collect()
}

/// What the feed's cluster does to each call before it is sent. Without the secret, a call is
/// answered 401 here.
pub(super) fn filters() -> Vec<Value> {
    let generic = typed(
        "envoy.extensions.http.injected_credentials.generic.v3.Generic",
        json!({"credential": {"name": SECRET}, "header": HEADER}),
    );
    let injector = json!({
        "overwrite": true,
        "credential": {
            "name": "envoy.http.injected_credentials.generic",
            "typed_config": generic,
        },
    });
    vec![
        json!({
            "name": "envoy.filters.http.credential_injector",
            "typed_config": typed(
                "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
                injector,
            ),
        }),
        // The last of a cluster's filters is always this one: it sends.
        json!({
            "name": "envoy.filters.http.upstream_codec",
            "typed_config": typed(
                "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
                json!({}),
            ),
        }),
    ]
}

//! Who keeps circuits: the bundle of every Envoy that is rendered here. So the server neither asks
//! them for its requests, nor counts a second time what becomes of calls.

use postern_document::Document;
use postern_request::headers;
use serde_json::{Value, json};

/// A `GrpcService` of the server, with what Envoy says of itself there; as it is where no service
/// has a circuit.
pub(crate) fn kept_here(document: &Document, mut grpc_service: Value) -> Value {
    if let (true, Value::Object(members)) = (document.has_circuits(), &mut grpc_service) {
        let by_bundle =
            json!({"key": headers::CIRCUITS_METADATA, "value": headers::CIRCUITS_BY_BUNDLE});
        let said = members.entry("initial_metadata").or_insert_with(|| json!([]));
        if let Value::Array(said) = said {
            said.push(by_bundle);
        }
    }
    grpc_service
}

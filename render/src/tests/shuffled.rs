//! The same document gives the same bytes, in whatever order somebody wrote it down.

use postern_document::from_json;
use postern_request::json::{self, Value};
use proptest::prelude::*;

use super::*;

const DOCUMENTS: [(&str, &[Target]); 4] = [
    (include_str!("../../../tests/fixtures/istio.yaml"), &[Target::Istio]),
    (
        include_str!("../../../tests/fixtures/gateway-api.yaml"),
        &[Target::Istio, Target::GatewayApi],
    ),
    (
        include_str!("../../../envoy/sample.yaml"),
        &[Target::Istio, Target::GatewayApi, Target::Edge],
    ),
    (include_str!("../../../envoy/mesh.yaml"), &[Target::Edge, Target::Sidecar]),
];

/// What holds names that authors chose; everything else holds fields.
const TABLES: [&str; 18] = [
    "bulkheads",
    "claim_headers",
    "claim_state",
    "claims",
    "clients",
    "labels",
    "limits",
    "owners",
    "roles",
    "scopes",
    "services",
    "set",
    "split",
    "tiers",
    "transforms",
    "values",
    "versions",
    "workloads",
];

/// Tables whose order somebody sees: shares stand as they were written, and so does what an Envoy
/// lists by service.
const SEEN_IN_ISTIO: [&str; 1] = ["split"];
const SEEN_IN_ENVOY: [&str; 5] = ["bulkheads", "services", "set", "split", "versions"];

/// Turns members round, but for those of the members that are called so.
fn shuffled(
    value: &Value,
    name: &str,
    keeps: &[&str],
    next: &mut impl FnMut(usize) -> usize,
) -> Value {
    match value {
        Value::Object(members) => {
            let mut turned = Vec::with_capacity(members.len());
            for (name, value) in members {
                turned.push((name.clone(), shuffled(value, name, keeps, next)));
            }
            if !keeps.contains(&name) {
                for at in (1..turned.len()).rev() {
                    turned.swap(at, next(at + 1));
                }
            }
            Value::Object(turned)
        }
        Value::Array(items) => {
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                kept.push(shuffled(item, "", keeps, next));
            }
            Value::Array(kept)
        }
        other => other.clone(),
    }
}

/// The same document in another order.
fn again(document: &Document, keeps: &[&str], seed: u64) -> Document {
    let mut state = seed;
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let value = json::parse(document.to_json().as_bytes()).unwrap();
    from_json(shuffled(&value, "", keeps, &mut next).to_string().as_bytes()).unwrap()
}

fn is_same(one: &Files, other: &Files) -> Result<(), TestCaseError> {
    prop_assert_eq!(one.len(), other.len());
    for ((name, text), (other_name, other_text)) in one.iter().zip(other) {
        prop_assert_eq!(name, other_name);
        prop_assert!(text == other_text, "{} differs", name);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Not even the document is another one.
    #[test]
    fn the_order_of_fields_changes_no_byte(seed in any::<u64>()) {
        for (text, targets) in DOCUMENTS {
            let document = of_yaml(text, "");
            let other = again(&document, &TABLES, seed);
            for target in targets {
                is_same(&rendered(&document, *target).unwrap(), &rendered(&other, *target).unwrap())?;
            }
        }
    }

    /// The document is another one, and everything that comes of it is the same.
    #[test]
    fn the_order_of_names_changes_the_documents_name_alone(seed in any::<u64>()) {
        for (text, targets) in DOCUMENTS {
            let document = of_yaml(text, "");
            for target in targets {
                let is_envoy = matches!(target, Target::Edge | Target::Sidecar);
                let keeps: &[&str] = if is_envoy { &SEEN_IN_ENVOY } else { &SEEN_IN_ISTIO };
                let other = again(&document, keeps, seed);
                let files = |document: &Document| -> Files {
                    let files = rendered(document, *target).unwrap().into_iter();
                    files.map(|(name, text)| (name, anonymous(&text, document))).collect()
                };
                is_same(&files(&document), &files(&other))?;
            }
        }
    }
}

//! What an answer tells as dynamic metadata, in the words of envoyproxy/ratelimit.

use std::collections::HashMap;

use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value};

use crate::answer::Answer;
use crate::ask::{Ask, Descriptor};

/// None where there is nothing to tell. `whole`: not only of rules in quota mode.
pub(super) fn of(ask: &Ask, hits_addend: u32, answer: &Answer, whole: bool) -> Option<Struct> {
    if answer.quota.is_none() && !whole {
        return None;
    }
    let mut fields = HashMap::new();
    let mut add = |name: &str, kind: Kind| fields.insert(name.to_owned(), value(kind));
    add("quotaModeEnabled", Kind::BoolValue(answer.quota.is_some()));
    if let Some(violations) = answer.quota.as_deref().filter(|quota| !quota.is_empty()) {
        let numbers = violations.iter().map(|at| Kind::NumberValue(f64::from(*at)));
        add("quotaModeViolations", list(numbers));
    }
    if whole {
        add("domain", Kind::StringValue(ask.domain.clone()));
        add("descriptors", list(ask.descriptors.iter().map(describe)));
        add("rules", list(answer.rules.iter().map(|rule| Kind::StringValue(rule.clone()))));
        if hits_addend != 0 {
            add("hitsAddend", Kind::NumberValue(f64::from(hits_addend)));
        }
    }
    Some(Struct { fields })
}

fn describe(descriptor: &Descriptor) -> Kind {
    let entry = |(key, value): (&str, &str)| {
        let mut text = String::with_capacity(key.len() + value.len() + 1);
        text.push_str(key);
        if !value.is_empty() {
            text.push('=');
            text.push_str(value);
        }
        Kind::StringValue(text)
    };
    let entries = value(list(descriptor.pairs().map(entry)));
    Kind::StructValue(Struct { fields: HashMap::from([("entries".to_owned(), entries)]) })
}

fn list(items: impl Iterator<Item = Kind>) -> Kind {
    Kind::ListValue(ListValue { values: items.map(value).collect() })
}

const fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

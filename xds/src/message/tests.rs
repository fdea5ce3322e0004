//! Held to somebody else's reading of the same messages.

mod descriptors;

use postern_document::Document;
use postern_render::envoy::{self, Discovered, EnvoyOptions};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::json;

use super::*;
use crate::testing;

fn documents() -> Vec<(String, Document)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("{root}/{name}")).unwrap();
        (name.to_owned(), testing::document(&text))
    };
    ["envoy/sample.yaml", "envoy/mesh.yaml"].map(read).into()
}

fn resources(told: Discovered) -> Vec<(&'static str, Value)> {
    let named = |name, resources: Vec<Value>| resources.into_iter().map(move |one| (name, one));
    named("envoy.config.cluster.v3.Cluster", told.clusters)
        .chain(named("envoy.config.endpoint.v3.ClusterLoadAssignment", told.assignments))
        .chain(named("envoy.config.listener.v3.Listener", told.listeners))
        .chain(named("envoy.config.route.v3.RouteConfiguration", told.routes))
        .collect()
}

/// Messages without a type, which the other reader does not take.
fn without_empty_members(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, value| {
                !(name == "config" && value.as_object().is_some_and(Map::is_empty))
            });
            members.values_mut().for_each(without_empty_members);
        }
        Value::Array(items) => items.iter_mut().for_each(without_empty_members),
        _ => {}
    }
}

fn read_by_others(pool: &DescriptorPool, type_name: &str, json: &Value) -> Value {
    let kind = pool.get_message_by_name(type_name).unwrap();
    serde_json::to_value(DynamicMessage::deserialize(kind, json).unwrap()).unwrap()
}

fn decoded(pool: &DescriptorPool, type_name: &str, bytes: &[u8]) -> Value {
    let kind = pool.get_message_by_name(type_name).unwrap();
    serde_json::to_value(DynamicMessage::decode(kind, bytes).unwrap()).unwrap()
}

#[test]
fn what_is_rendered_reads_the_same_as_json_and_as_bytes() {
    let pool = descriptors::pool();
    let mut read = 0;
    for (document, loaded) in documents() {
        let mut places = vec![testing::edge()];
        if document.ends_with("mesh.yaml") {
            places = vec![testing::mesh_edge(), testing::sidecar("payments")];
        }
        for options in places {
            let options = EnvoyOptions::of_node(&options).unwrap();
            let told = envoy::discovered(&loaded, &options, &envoy::Endpoints::new()).unwrap();
            for (type_name, mut json) in resources(told) {
                without_empty_members(&mut json);
                let bytes = encode(type_name, &json).unwrap_or_else(|error| panic!("{error}"));
                let expected = read_by_others(&pool, type_name, &json);
                assert_eq!(decoded(&pool, type_name, &bytes), expected, "{document}: {type_name}");
                assert_eq!(encode(type_name, &json).unwrap(), bytes, "the same each time");
                read += 1;
            }
        }
    }
    assert!(read > 30, "{read}");
}

#[test]
fn messages_of_protobufs_own_are_written_as_json_spells_them() {
    let pool = descriptors::pool();
    let type_name = "envoy.config.cluster.v3.Cluster";
    let message = json!({
        "name": "a",
        "type": "STRICT_DNS",
        "connect_timeout": "1.050s",
        "lb_policy": "MAGLEV",
        "per_connection_buffer_limit_bytes": 0,
        "common_lb_config": {"healthy_panic_threshold": {"value": 12.5}},
        "metadata": {"filter_metadata": {"x": {
            "text": "é", "number": -1.5, "list": [true, null, {"a": []}], "nothing": null,
        }}},
        "typed_extension_protocol_options": {"b": {
            "@type": "type.googleapis.com/google.protobuf.StringValue", "value": "text",
        }, "a": {
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true,
        }},
        "dns_lookup_family": null,
        "health_checks": [{
            "timeout": "1s",
            "http_health_check": {"path": "/", "expected_statuses": [{"start": 200, "end": 300}]},
            "event_logger": [],
        }],
    });
    let bytes = encode(type_name, &message).unwrap();
    let expected = read_by_others(&pool, type_name, &message);
    assert_eq!(decoded(&pool, type_name, &bytes), expected);
}

#[test]
fn how_endpoints_do_is_sent() {
    let pool = descriptors::pool();
    let type_name = "envoy.config.endpoint.v3.ClusterLoadAssignment";
    let message = json!({"cluster_name": "a", "endpoints": [{"priority": 1, "lb_endpoints": [
        {"health_status": "UNHEALTHY", "load_balancing_weight": 7},
    ]}]});
    let bytes = encode(type_name, &message).unwrap();
    assert_eq!(decoded(&pool, type_name, &bytes), read_by_others(&pool, type_name, &message));
}

#[test]
fn a_message_without_a_type_holds_nothing() {
    let json = json!({"config": {}, "disabled": true});
    let bytes = encode("envoy.config.route.v3.FilterConfig", &json).unwrap();
    assert_eq!(bytes, [0x0a, 0x00, 0x18, 0x01]);
}

#[test]
fn nothing_is_left_out() {
    let of =
        |json: Value| encode("envoy.config.cluster.v3.Cluster", &json).unwrap_err().to_string();
    for (json, expected) in [
        (json!([]), "the message: an object is wanted"),
        (json!({"nmae": "a"}), "nmae: there is no such field"),
        (json!({"name": 1}), "name: a text is wanted"),
        (json!({"type": "SOMETIMES"}), "type: there is no such value"),
        (json!({"type": 1}), "type: a name is wanted"),
        (json!({"connect_timeout": "soon"}), "connect_timeout: a duration is wanted, such as 1.5s"),
        (
            json!({"connect_timeout": "1.0000000001s"}),
            "connect_timeout: a duration is wanted, such as 1.5s",
        ),
        (json!({"health_checks": {}}), "health_checks: a list is wanted"),
        (
            json!({"health_checks": [{}, {"timeout": 1}]}),
            "health_checks.1.timeout: a duration is wanted, such as 1.5s",
        ),
        (
            json!({"typed_extension_protocol_options": []}),
            "typed_extension_protocol_options: an object is wanted",
        ),
        (
            json!({"typed_extension_protocol_options": {"a": {"b": 1}}}),
            "typed_extension_protocol_options.a: a type is wanted",
        ),
        (
            json!({"typed_extension_protocol_options": {"a": {"@type": "x/no.such"}}}),
            "typed_extension_protocol_options.a: no message of this type can be sent",
        ),
        (
            json!({"per_connection_buffer_limit_bytes": -1}),
            "per_connection_buffer_limit_bytes: a number of 32 bits is wanted",
        ),
        (json!({"respect_dns_ttl": "yes"}), "respect_dns_ttl: true or false is wanted"),
    ] {
        assert_eq!(of(json.clone()), expected, "{json}");
    }
    assert!(encode("envoy.config.cluster.v3.Nothing", &json!({})).is_err());
}

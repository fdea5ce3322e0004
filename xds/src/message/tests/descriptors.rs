//! The schema is that of Envoy's own `.proto` files, as `envoy-types` brings them along.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind};
use serde_json::Value;

use super::super::schema::{Label, SCHEMA, TEXT, Type};

/// With this set, the schema is written anew instead of being compared.
const WRITE: &str = "POSTERN_WRITE_EXAMPLES";

/// What can be rendered, with the file that says so; and what it takes along.
const RENDERED: &[(&str, &[&str])] = &[
    ("config/cluster/v3/cluster", &["config.cluster.v3.Cluster"]),
    ("config/endpoint/v3/endpoint", &["config.endpoint.v3.ClusterLoadAssignment"]),
    ("config/listener/v3/listener", &["config.listener.v3.Listener"]),
    (
        "config/route/v3/route",
        &[
            "config.route.v3.FilterConfig",
            "config.route.v3.RouteConfiguration",
            "config.route.v3.RouteList",
        ],
    ),
    (
        "extensions/access_loggers/file/v3/file",
        &["extensions.access_loggers.file.v3.FileAccessLog"],
    ),
    (
        "extensions/access_loggers/filters/cel/v3/cel",
        &["extensions.access_loggers.filters.cel.v3.ExpressionFilter"],
    ),
    (
        "extensions/access_loggers/grpc/v3/als",
        &["extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig"],
    ),
    (
        "extensions/access_loggers/stream/v3/stream",
        &[
            "extensions.access_loggers.stream.v3.StderrAccessLog",
            "extensions.access_loggers.stream.v3.StdoutAccessLog",
        ],
    ),
    (
        "extensions/clusters/aggregate/v3/cluster",
        &["extensions.clusters.aggregate.v3.ClusterConfig"],
    ),
    ("extensions/clusters/dns/v3/dns_cluster", &["extensions.clusters.dns.v3.DnsCluster"]),
    (
        "extensions/filters/http/credential_injector/v3/credential_injector",
        &["extensions.filters.http.credential_injector.v3.CredentialInjector"],
    ),
    (
        "extensions/filters/http/ext_authz/v3/ext_authz",
        &[
            "extensions.filters.http.ext_authz.v3.ExtAuthz",
            "extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
        ],
    ),
    (
        "extensions/filters/http/ext_proc/v3/ext_proc",
        &[
            "extensions.filters.http.ext_proc.v3.ExtProcPerRoute",
            "extensions.filters.http.ext_proc.v3.ExternalProcessor",
        ],
    ),
    ("extensions/filters/http/fault/v3/fault", &["extensions.filters.http.fault.v3.HTTPFault"]),
    (
        "extensions/filters/http/header_mutation/v3/header_mutation",
        &[
            "extensions.filters.http.header_mutation.v3.HeaderMutation",
            "extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
        ],
    ),
    (
        "extensions/filters/http/ratelimit/v3/rate_limit",
        &[
            "extensions.filters.http.ratelimit.v3.RateLimit",
            "extensions.filters.http.ratelimit.v3.RateLimitPerRoute",
        ],
    ),
    ("extensions/filters/http/router/v3/router", &["extensions.filters.http.router.v3.Router"]),
    (
        "extensions/filters/http/set_filter_state/v3/set_filter_state",
        &["extensions.filters.http.set_filter_state.v3.Config"],
    ),
    (
        "extensions/filters/http/upstream_codec/v3/upstream_codec",
        &["extensions.filters.http.upstream_codec.v3.UpstreamCodec"],
    ),
    ("extensions/filters/http/wasm/v3/wasm", &["extensions.filters.http.wasm.v3.Wasm"]),
    (
        "extensions/filters/network/http_connection_manager/v3/http_connection_manager",
        &["extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"],
    ),
    (
        "extensions/health_check/event_sinks/file/v3/file",
        &["extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink"],
    ),
    (
        "extensions/http/early_header_mutation/header_mutation/v3/header_mutation",
        &["extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"],
    ),
    (
        "extensions/http/injected_credentials/generic/v3/generic",
        &["extensions.http.injected_credentials.generic.v3.Generic"],
    ),
    (
        "extensions/load_balancing_policies/least_request/v3/least_request",
        &["extensions.load_balancing_policies.least_request.v3.LeastRequest"],
    ),
    (
        "extensions/load_balancing_policies/maglev/v3/maglev",
        &["extensions.load_balancing_policies.maglev.v3.Maglev"],
    ),
    (
        "extensions/load_balancing_policies/random/v3/random",
        &["extensions.load_balancing_policies.random.v3.Random"],
    ),
    (
        "extensions/load_balancing_policies/ring_hash/v3/ring_hash",
        &["extensions.load_balancing_policies.ring_hash.v3.RingHash"],
    ),
    (
        "extensions/load_balancing_policies/round_robin/v3/round_robin",
        &["extensions.load_balancing_policies.round_robin.v3.RoundRobin"],
    ),
    (
        "extensions/load_balancing_policies/wrr_locality/v3/wrr_locality",
        &["extensions.load_balancing_policies.wrr_locality.v3.WrrLocality"],
    ),
    (
        "extensions/retry/host/omit_canary_hosts/v3/omit_canary_hosts",
        &["extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate"],
    ),
    (
        "extensions/retry/host/previous_hosts/v3/previous_hosts",
        &["extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"],
    ),
    (
        "extensions/retry/priority/previous_priorities/v3/previous_priorities_config",
        &["extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"],
    ),
    (
        "extensions/transport_sockets/tls/v3/tls",
        &[
            "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        ],
    ),
    (
        "extensions/upstreams/http/v3/http_protocol_options",
        &["extensions.upstreams.http.v3.HttpProtocolOptions"],
    ),
    ("type/matcher/v3/http_inputs", &["type.matcher.v3.HttpRequestHeaderMatchInput"]),
];

/// Where `envoy-types` has them.
fn protos() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--offline", "--locked"]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let package = packages.find(|package| package["name"] == "envoy-types").unwrap();
    let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
    manifest.with_file_name("proto")
}

pub(super) fn pool() -> DescriptorPool {
    let folder = protos();
    let includes = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let includes: Vec<PathBuf> = includes.filter(|path| path.is_dir()).collect();
    let files = RENDERED.iter().map(|(file, _)| format!("envoy/{file}.proto"));
    let files = protox::compile(files, includes).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

/// All that the schema has to say.
fn written(pool: &DescriptorPool) -> String {
    let rendered = RENDERED.iter().flat_map(|(_, names)| *names);
    let mut left: Vec<String> = rendered.map(|name| format!("envoy.{name}")).collect();
    let mut names = BTreeSet::new();
    while let Some(name) = left.pop() {
        if name.starts_with("google.protobuf.") || !names.insert(name.clone()) {
            continue;
        }
        let message = pool.get_message_by_name(&name);
        let fields = message.iter().flat_map(|message| message.fields());
        left.extend(fields.filter_map(|field| named(&value_of(&field))));
    }
    let mut text = String::new();
    for name in names {
        match pool.get_message_by_name(&name) {
            Some(message) => {
                writeln!(text, "message {name}").unwrap();
                let mut fields: Vec<FieldDescriptor> = message.fields().collect();
                fields.sort_by_key(FieldDescriptor::number);
                for field in fields {
                    let (number, name) = (field.number(), field.name());
                    writeln!(text, "{number} {name} {}", spelled(&field)).unwrap();
                }
            }
            None => {
                writeln!(text, "enum {name}").unwrap();
                let kind = pool.get_enum_by_name(&name).unwrap();
                let mut values: Vec<(i32, String)> =
                    kind.values().map(|one| (one.number(), one.name().to_owned())).collect();
                values.sort_by_key(|(number, _)| *number);
                for (number, name) in values {
                    writeln!(text, "{number} {name}").unwrap();
                }
            }
        }
    }
    text
}

/// What a field holds, of a map what stands under its keys.
fn value_of(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

fn named(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Message(message) => Some(message.full_name().to_owned()),
        Kind::Enum(kind) => Some(kind.full_name().to_owned()),
        _ => None,
    }
}

fn spelled(field: &FieldDescriptor) -> String {
    let value = value_of(field);
    let name = named(&value).unwrap_or_else(|| format!("{value:?}").to_lowercase());
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            assert_eq!(entry.map_entry_key_field().kind(), Kind::String, "{}", field.full_name());
            format!("map string {name}")
        }
        _ if field.is_list() => format!("repeated {name}"),
        _ => name,
    }
}

#[test]
fn the_schema_is_that_of_envoys_own_files() {
    let written = written(&pool());
    if std::env::var_os(WRITE).is_some_and(|value| value == "1") {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/message/schema.txt");
        std::fs::write(file, &written).unwrap();
        return;
    }
    let differs = written.lines().zip(TEXT.lines()).find(|(new, old)| new != old);
    assert_eq!(differs, None, "run this test with {WRITE}=1, and look at the change");
    assert_eq!(written.len(), TEXT.len(), "run this test with {WRITE}=1, and look at the change");
}

#[test]
fn the_schema_is_read_whole() {
    let mut count = 0;
    for (name, kind) in SCHEMA.iter() {
        count += 1;
        match kind {
            Type::Message(fields) => {
                count += fields.len();
                for field in fields.values() {
                    let super::super::schema::Types::Named(of) = field.of else { continue };
                    let known = SCHEMA.contains_key(of) || of.starts_with("google.protobuf.");
                    assert!(known, "{name}: {of}");
                }
            }
            Type::Enum(values) => {
                assert!(!values.is_empty(), "{name}");
                count += values.len();
            }
        }
    }
    assert_eq!(count, TEXT.lines().count());
    let Some(Type::Message(route)) = SCHEMA.get("envoy.config.route.v3.Route") else { panic!() };
    assert_eq!(route["typed_per_filter_config"].label, Label::Map);
}

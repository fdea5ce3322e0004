//! What cases have, so that none of it is left out: kinds of policies, fields, callers, answers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Answer, Case, Sent};

/// What there must be enough of.
pub const REQUIRED: &[&str] = &[
    "action ALLOW",
    "action DENY",
    "action AUDIT",
    "action CUSTOM",
    "kind AuthorizationPolicy",
    "kind PeerAuthentication",
    "kind RequestAuthentication",
    "mode STRICT",
    "mode PERMISSIVE",
    "mode DISABLE",
    "mode UNSET",
    "mode of a port",
    "for the namespace",
    "for labels",
    "in the root namespace",
    "in another namespace",
    "an empty rule",
    "a rule with several sides",
    "principals",
    "notPrincipals",
    "requestPrincipals",
    "notRequestPrincipals",
    "namespaces",
    "notNamespaces",
    "serviceAccounts",
    "notServiceAccounts",
    "trustDomains",
    "notTrustDomains",
    "ipBlocks",
    "notIpBlocks",
    "remoteIpBlocks",
    "notRemoteIpBlocks",
    "hosts",
    "notHosts",
    "ports",
    "notPorts",
    "methods",
    "notMethods",
    "paths",
    "notPaths",
    "path template {*}",
    "path template {**}",
    "when source.ip",
    "when remote.ip",
    "when source.namespace",
    "when source.principal",
    "when source.serviceAccount",
    "when source.trustDomain",
    "when request.auth.principal",
    "when request.auth.audiences",
    "when request.auth.presenter",
    "when destination.ip",
    "when destination.port",
    "when connection.sni",
    "when request.headers[x-a]",
    "when request.auth.claims[groups]",
    "when request.auth.claims[scope]",
    "when request.auth.claims[nested][role]",
    "when … notValues",
    "from web",
    "from gateway",
    "from stranger",
    "from neighbour",
    "from plain",
    "to HTTP",
    "to TCP",
    "a repeated header",
    "no token",
    "token good",
    "token other",
    "token unknown",
    "token nameless",
    "token expired",
    "token forged",
    "token garbage",
    "two tokens",
    "a token in a parameter",
    "answered pass",
    "answered asked",
    "answered denied by a rule",
    "answered denied by none",
    "answered token",
    "answered closed",
    "answered audited",
];

/// What a case has, each thing once.
#[must_use]
pub fn of_case(case: &Case) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for policy in &case.policies {
        of_policy(policy, &mut found);
    }
    for (sent, answer) in &case.requests {
        of_request(sent, &mut found);
        if let Some(answer) = answer {
            of_answer(answer, &mut found);
        }
    }
    found
}

fn of_policy(policy: &Value, found: &mut BTreeSet<String>) {
    let kind = policy["kind"].as_str().unwrap_or_default();
    found.insert(format!("kind {kind}"));
    let spec = &policy["spec"];
    let reach = match (policy["namespace"].as_str(), spec.get("selector")) {
        (Some(super::ROOT), _) => "in the root namespace",
        (Some(_), _) => "in another namespace",
        (None, Some(_)) => "for labels",
        (None, None) => "for the namespace",
    };
    found.insert(reach.to_owned());
    match kind {
        "AuthorizationPolicy" => {
            let action = spec["action"].as_str().unwrap_or("ALLOW");
            found.insert(format!("action {action}"));
            for rule in items(&spec["rules"]) {
                of_rule(rule, found);
            }
        }
        "PeerAuthentication" => {
            found.extend(spec["mtls"]["mode"].as_str().map(|mode| format!("mode {mode}")));
            found.extend(spec.get("portLevelMtls").map(|_| "mode of a port".to_owned()));
        }
        _ => {}
    }
}

fn of_rule(rule: &Value, found: &mut BTreeSet<String>) {
    let sides = rule.as_object().map_or(0, serde_json::Map::len);
    found.extend((sides == 0).then(|| "an empty rule".to_owned()));
    found.extend((sides > 1).then(|| "a rule with several sides".to_owned()));
    for (side, inner) in [("from", "source"), ("to", "operation")] {
        for item in items(&rule[side]) {
            let fields = item[inner].as_object().into_iter().flatten();
            found.extend(fields.map(|(name, _)| name.clone()));
            let paths = items(&item[inner]["paths"]).chain(items(&item[inner]["notPaths"]));
            for path in paths.filter_map(Value::as_str) {
                for template in ["{*}", "{**}"] {
                    found.extend(
                        path.contains(template).then(|| format!("path template {template}")),
                    );
                }
            }
        }
    }
    for condition in items(&rule["when"]) {
        let key = condition["key"].as_str().unwrap_or_default();
        // Names of headers are the same in capitals.
        let is_header = key.starts_with("request.headers");
        let key = if is_header { key.to_ascii_lowercase() } else { key.to_owned() };
        found.insert(format!("when {key}"));
        found.extend(condition.get("notValues").map(|_| "when … notValues".to_owned()));
    }
}

fn of_request(sent: &Sent, found: &mut BTreeSet<String>) {
    found.insert(format!("from {}", sent.from.name()));
    found.insert(if sent.is_http() { "to HTTP" } else { "to TCP" }.to_owned());
    found.extend(repeats_a_header(sent).then(|| "a repeated header".to_owned()));
    found.extend(sent.tokens.iter().map(|placed| format!("token {}", placed.token.name())));
    let in_parameter = |placed: &super::Placed| matches!(placed.place, super::Place::Param(_));
    let told = [
        (sent.tokens.is_empty(), "no token"),
        (sent.tokens.len() > 1, "two tokens"),
        (sent.tokens.iter().any(in_parameter), "a token in a parameter"),
    ];
    found.extend(told.into_iter().filter(|(holds, _)| *holds).map(|(_, text)| text.to_owned()));
}

/// Whether a request has a header several times.
pub(super) fn repeats_a_header(sent: &Sent) -> bool {
    let name = |line: &String| line.split(':').next().unwrap_or_default().to_owned();
    let distinct: BTreeSet<String> = sent.headers.iter().map(name).collect();
    distinct.len() < sent.headers.len()
}

fn of_answer(answer: &Answer, found: &mut BTreeSet<String>) {
    found.insert(format!("answered {}", answer.word()));
    found.extend(answer.is_audited().then(|| "answered audited".to_owned()));
}

/// The items of a list; none where there is no list.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_a_case_has_is_found() {
        let case = Case::read(&json!({
            "name": "a", "policies": [
                {"kind": "AuthorizationPolicy", "name": "p", "spec": {"rules": [
                    {"from": [{"source": {"notPrincipals": ["*"]}}],
                     "to": [{"operation": {"paths": ["/a/{**}"]}}],
                     "when": [{"key": "source.ip", "notValues": ["::/0"]}]}, {}]}},
                {"kind": "PeerAuthentication", "name": "q", "namespace": "istio-system",
                 "spec": {"mtls": {"mode": "STRICT"}}},
            ],
            "requests": [{"from": "plain", "port": 9090, "tokens": ["good", "other"],
                          "headers": ["x-a: 1", "x-a: 2"], "answer": "closed"}],
        }));
        let found = of_case(&case);
        let expected = [
            "a repeated header",
            "a rule with several sides",
            "action ALLOW",
            "an empty rule",
            "answered closed",
            "for the namespace",
            "from plain",
            "in the root namespace",
            "kind AuthorizationPolicy",
            "kind PeerAuthentication",
            "mode STRICT",
            "notPrincipals",
            "path template {**}",
            "paths",
            "to TCP",
            "token good",
            "token other",
            "two tokens",
            "when source.ip",
            "when … notValues",
        ];
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}

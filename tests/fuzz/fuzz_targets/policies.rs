//! Istio's policies of anybody's making: problems, never a panic; and of what is accepted it can be
//! said what becomes of a request, the same each time, by every rule, and never less strictly than
//! the rules say.
//!
//! Input: files, with a zero byte between them.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use postern_policies::{
    Action, Http, MAX_RESOURCES, Mesh, Peer, Port, Proof, Protocol, Request, Resources, Source,
    Token, Value, Workload, evaluate, findings, mutual_tls,
};

/// So many workloads are asked for, and with so many words of the files.
const WORKLOADS: usize = 3;
const WORDS: usize = 8;
const HTTP_PORT: u16 = 8080;
const TCP_PORT: u16 = 9090;

fuzz_target!(|input: &str| {
    let files = input.split('\0').enumerate();
    let sources: Vec<Source> = files
        .map(|(index, text)| Source { name: format!("{index}.yaml"), text: text.to_owned() })
        .collect();
    let resources = match Resources::load(&sources) {
        Ok(resources) => resources,
        Err(problems) => {
            assert!(!problems.is_empty());
            return;
        }
    };
    let count = resources.authorization().len()
        + resources.peer().len()
        + resources.request().len()
        + resources.skipped().len();
    assert!(count <= MAX_RESOURCES);
    let mesh = Mesh::default();
    let workloads = workloads(&resources);
    let _ = findings(&resources, &mesh, &workloads);
    for workload in &workloads {
        for port in [HTTP_PORT, TCP_PORT] {
            let _ = mutual_tls(&resources, &mesh, workload, port);
        }
        let is_mark = |c: char| !c.is_alphanumeric() && !"./*-:_".contains(c);
        // From the end: files begin alike.
        for word in input.rsplit(is_mark).filter(|word| !word.is_empty()).take(WORDS) {
            for request in requests(word) {
                ask(&resources, &mesh, workload, &request);
            }
        }
    }
});

/// Workloads that the resources are for.
fn workloads(resources: &Resources) -> Vec<Workload> {
    let of_policies = resources.authorization().iter();
    let of_policies = of_policies.map(|policy| (&policy.meta, &policy.selection.labels));
    let of_tokens = resources.request().iter().map(|known| (&known.meta, &known.selection.labels));
    let of_peers = resources.peer().iter().map(|peer| (&peer.meta, &peer.labels));
    let all = of_policies.chain(of_tokens).chain(of_peers);
    all.take(WORKLOADS)
        .map(|(meta, labels)| Workload {
            name: "w".to_owned(),
            namespace: meta.namespace.clone(),
            labels: labels.clone(),
            ports: vec![
                Port { number: HTTP_PORT, protocol: Protocol::Http },
                Port { number: TCP_PORT, protocol: Protocol::Tcp },
            ],
            ..Workload::default()
        })
        .collect()
}

/// Over HTTP and over TCP, with the word wherever a request has one.
fn requests(word: &str) -> [Request; 2] {
    let text = || Value::String(word.to_owned());
    let claims = ["iss", "sub", "azp", "groups"].map(|name| (name.to_owned(), text()));
    let claims = Value::Object(
        claims.into_iter().chain([("aud".to_owned(), Value::Array(vec![text()]))]).collect(),
    );
    let http = Http {
        method: word.to_owned(),
        path: format!("/{word}"),
        host: word.to_owned(),
        headers: vec![("x-a".to_owned(), word.to_owned())],
        tokens: vec![Token::bearer(claims, Proof::Holds)],
        ..Http::default()
    };
    let over_tcp = Request {
        peer: Peer {
            principal: Some(word.to_owned()),
            ip: Some(IpAddr::from([10, 1, 2, 3])),
            remote_ip: None,
        },
        destination_ip: Some(IpAddr::from([10, 9, 9, 9])),
        port: TCP_PORT,
        sni: Some(word.to_owned()),
        ..Request::default()
    };
    [Request { port: HTTP_PORT, http: Some(http), ..over_tcp.clone() }, over_tcp]
}

fn ask(resources: &Resources, mesh: &Mesh, workload: &Workload, request: &Request) {
    let verdict = evaluate(resources, mesh, workload, request);
    assert_eq!(verdict, evaluate(resources, mesh, workload, request));
    let policies = resources.authorization_for(mesh, workload);
    let rules = policies.iter().map(|policy| policy.rules.len().max(1)).sum::<usize>();
    assert_eq!(verdict.trace.len(), rules, "every rule is asked once");
    let matched = |action: &Action| {
        verdict.trace.iter().any(|step| {
            step.policy.action == *action && !step.policy.dry_run && step.outcome.matched()
        })
    };
    if verdict.decision.may_pass() {
        assert!(!matched(&Action::Deny));
        let allows =
            policies.iter().any(|policy| policy.action == Action::Allow && !policy.dry_run);
        assert!(!allows || matched(&Action::Allow));
    }
}

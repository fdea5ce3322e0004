use postern_request::json;

use crate::*;

mod addresses;
mod examples;
mod judging;
mod matching;
mod order;
mod properties;
mod reading;
mod review;
mod selecting;
mod tcp;
mod tls;
mod tokens;
mod trust;

const SLEEP: &str = "cluster.local/ns/default/sa/sleep";

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn load(text: &str) -> Resources {
    Resources::load(&[source("f", text)]).unwrap_or_else(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}\n{text}", problems.join("\n"))
    })
}

/// All problems of one file, each as it is shown.
fn problems(text: &str) -> Vec<String> {
    let found = Resources::load(&[source("f", text)]).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

/// A resource; `spec` is written on one line.
fn resource(kind: &str, id: &str, spec: &str) -> String {
    let (namespace, name) = id.split_once('/').unwrap();
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: {kind}\n\
         metadata: {{namespace: {namespace}, name: {name}}}\nspec: {spec}\n"
    )
}

fn authorization(id: &str, spec: &str) -> String {
    resource("AuthorizationPolicy", id, spec)
}

/// A policy in `foo` with one rule.
fn rule(action: &str, rule: &str) -> String {
    authorization("foo/p", &format!("{{action: {action}, rules: [{rule}]}}"))
}

fn json(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap()
}

/// The workload of most of Istio's examples.
fn httpbin() -> Workload {
    Workload {
        name: "httpbin".to_owned(),
        namespace: "foo".to_owned(),
        labels: [("app".to_owned(), "httpbin".to_owned())].into(),
        ports: vec![
            Port { number: 8000, protocol: Protocol::Http },
            Port { number: 9000, protocol: Protocol::Tcp },
        ],
        ..Workload::default()
    }
}

/// A request of `sleep` in `default`.
fn request(method: &str, path: &str) -> Request {
    Request {
        peer: Peer {
            principal: Some(SLEEP.to_owned()),
            ip: Some("10.1.2.3".parse().unwrap()),
            remote_ip: None,
        },
        destination_ip: Some("10.9.9.9".parse().unwrap()),
        port: 8000,
        sni: None,
        http: Some(Http {
            method: method.to_owned(),
            path: path.to_owned(),
            host: "httpbin.foo:8000".to_owned(),
            ..Http::default()
        }),
        metadata: Vec::new(),
    }
}

fn get(path: &str) -> Request {
    request("GET", path)
}

fn from(principal: &str) -> Request {
    let mut request = get("/");
    request.peer.principal = Some(principal.to_owned());
    request
}

fn plain_text() -> Request {
    let mut request = get("/");
    request.peer.principal = None;
    request
}

fn with_headers(headers: &[(&str, &str)]) -> Request {
    let mut request = get("/");
    let pairs = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    request.http.as_mut().unwrap().headers = pairs.collect();
    request
}

fn with_tokens(tokens: Vec<Token>) -> Request {
    let mut request = get("/");
    request.http.as_mut().unwrap().tokens = tokens;
    request
}

/// A request with a good token.
fn with_claims(claims: &str) -> Request {
    with_tokens(vec![Token::bearer(json(claims), Proof::Holds)])
}

fn tcp(port: u16) -> Request {
    Request { port, http: None, ..get("/") }
}

/// One word for what becomes of a request to `httpbin`.
fn word(text: &str, request: &Request) -> &'static str {
    word_in(&Mesh::default(), text, request)
}

/// What becomes of a request to `httpbin`, whoever is asked.
fn decided<'r>(resources: &'r Resources, mesh: &Mesh, request: &Request) -> Decision<'r> {
    let decision = evaluate(resources, mesh, &httpbin(), request).decision;
    let judge = Judge::new(resources, mesh, &httpbin());
    assert_eq!(judge.decide(request.into()), decision, "{request:?}");
    decision
}

fn word_in(mesh: &Mesh, text: &str, request: &Request) -> &'static str {
    match decided(&load(text), mesh, request) {
        Decision::Allowed(AllowedBy::NoPolicy) => "open",
        Decision::Allowed(AllowedBy::Rule(_)) => "allowed",
        Decision::AskProvider(_) => "ask",
        Decision::Unknown(_) => "unknown",
        Decision::Denied(DeniedBy::NoRule) => "no rule",
        Decision::Denied(DeniedBy::Rule(_)) => "denied",
        Decision::Denied(DeniedBy::Token(_)) => "bad token",
        Decision::Denied(DeniedBy::NoProvider(..)) => "no provider",
        Decision::Denied(DeniedBy::PlainText(_)) => "plain text",
        Decision::Denied(DeniedBy::TlsNotEnded(_)) => "tls",
        Decision::Denied(DeniedBy::TrustDomain) => "foreign",
    }
}

/// A mesh whose workloads take certificates of all trust domains.
fn open_mesh() -> Mesh {
    Mesh { any_trust_domain: true, ..Mesh::default() }
}

/// Whether a rule matches, wherever its caller is from.
fn matches(fields: &str, request: &Request) -> bool {
    word_in(&open_mesh(), &rule("DENY", fields), request) == "denied"
}

//! What `postern-policies` makes of cases, and where that differs from what Envoys answered.

use std::net::IpAddr;

use postern_policies as policies;
use postern_policies::{
    Action, Decision, DeniedBy, Http, Mesh, MtlsMode, Peer, Port, Proof, Protocol, Provider,
    Request, Resources, Source, Step, Verdict, Workload, evaluate, mutual_tls,
};
use postern_request::json;
use postern_request::normalize::{Normalization, normalize};

use super::token::{Place, Placed, Token};
use super::{Answer, Case, HOST, Places, ROOT, Sent, TCP_PORT};

/// The mesh's own trust domain, and another name for it.
pub const TRUST_DOMAINS: [&str; 2] = ["cluster.local", "old.example"];
/// Providers that CUSTOM policies can name; both are asked over HTTP, and say yes.
pub const PROVIDERS: [&str; 2] = ["permit", "permit-too"];
/// The workload's labels besides `slot`.
pub const LABELS: [(&str, &str); 1] = [("app", "guarded")];
/// Its ports.
pub const PORTS: [u16; 3] = [8080, 8081, TCP_PORT];

/// The places where a case is read.
fn here() -> Places {
    let jwks = r#"{"keys": []}"#.to_owned();
    Places { home: "home".to_owned(), slot: "00".to_owned(), jwks }
}

/// Where a case's answers are not those that were given; all of them, each with the case's name.
///
/// # Panics
/// When a policy cannot be read, or a request has no answer.
#[must_use]
pub fn differences(case: &Case) -> Vec<String> {
    let places = here();
    let texts: Vec<String> = case.resources(&places).iter().map(ToString::to_string).collect();
    let source = Source { name: case.name.clone(), text: texts.join("\n---\n") };
    let resources = Resources::load(&[source]).unwrap_or_else(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}: {}", case.name, problems.join("\n"))
    });
    let judge = Judge { resources, mesh: mesh(), workload: workload(&places), places };
    let mut differences = Vec::new();
    for (sent, answer) in &case.requests {
        let answer = answer.as_ref().unwrap_or_else(|| panic!("{}: no answer", case.name));
        if let Some(said) = judge.disagreement(sent, answer) {
            let (name, sent) = (&case.name, sent.write());
            differences.push(format!("{name}: {sent} was answered `{answer}`, expected {said}"));
        }
    }
    differences
}

fn mesh() -> Mesh {
    let provider = |name: &str| Provider { name: name.to_owned(), grpc: false };
    Mesh {
        root_namespace: ROOT.to_owned(),
        trust_domains: TRUST_DOMAINS.map(str::to_owned).into(),
        providers: Some(PROVIDERS.map(provider).into()),
        ..Mesh::default()
    }
}

fn workload(places: &Places) -> Workload {
    let protocol = |number: u16| if number == TCP_PORT { Protocol::Tcp } else { Protocol::Http };
    let slot = [("slot".to_owned(), places.slot.clone())];
    let labels = LABELS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Workload {
        name: "guarded".to_owned(),
        namespace: places.home.clone(),
        labels: labels.into_iter().chain(slot).collect(),
        ports: PORTS.map(|number| Port { number, protocol: protocol(number) }).into(),
        ..Workload::default()
    }
}

struct Judge {
    resources: Resources,
    mesh: Mesh,
    workload: Workload,
    places: Places,
}

impl Judge {
    /// What is said instead of an answer; none where both say the same.
    fn disagreement(&self, sent: &Sent, answer: &Answer) -> Option<String> {
        let request = self.request(sent);
        let verdict = evaluate(&self.resources, &self.mesh, &self.workload, &request);
        let audits = !sent.is_http() || audits(&verdict, answer);
        let agrees = self.agrees(sent, &verdict, answer) && audits;
        (!agrees).then(|| {
            let audit: Vec<String> = verdict.audit.iter().map(ToString::to_string).collect();
            format!("{} (audit: {audit:?})", decision(&verdict))
        })
    }

    fn agrees(&self, sent: &Sent, verdict: &Verdict<'_>, answer: &Answer) -> bool {
        if !sent.is_http() {
            // A connection that somebody refuses is closed, whoever does and why. What goes on
            // in TLS to a program that speaks none ends there.
            let mode = mutual_tls(&self.resources, &self.mesh, &self.workload, sent.port).mode;
            let ends = mode == MtlsMode::Disable && sent.from.identity("").is_some();
            let passes = verdict.decision.may_pass() && !ends;
            return match answer {
                Answer::Passed { asked: false, .. } => passes,
                Answer::Closed => !passes,
                _ => false,
            };
        }
        match (&verdict.decision, answer) {
            (Decision::Allowed(_), Answer::Passed { asked, .. }) => !asked,
            (Decision::AskProvider(_), Answer::Passed { asked, .. }) => *asked,
            (Decision::Denied(by), answer) => self.denies(by, verdict, answer),
            _ => false,
        }
    }

    fn denies(&self, by: &DeniedBy<'_>, verdict: &Verdict<'_>, answer: &Answer) -> bool {
        match (by, answer) {
            (DeniedBy::PlainText(_) | DeniedBy::TlsNotEnded(_), Answer::Closed)
            | (DeniedBy::NoRule, Answer::Denied { by: None, .. }) => true,
            (DeniedBy::Token(_), Answer::Token(status)) => by.status() == Some(*status),
            // Where several match, which one is told is Envoy's.
            (DeniedBy::Rule(_), Answer::Denied { by: Some(rule), .. }) => {
                self.matched(verdict, rule, |action| *action == Action::Deny)
            }
            (DeniedBy::NoProvider(..), Answer::NoProvider { by: rule }) => {
                self.matched(verdict, rule, |action| matches!(action, Action::Custom { .. }))
            }
            _ => false,
        }
    }

    /// Whether this rule of such a policy matches.
    fn matched(&self, verdict: &Verdict<'_>, rule: &str, of: impl Fn(&Action) -> bool) -> bool {
        let rule = self.places.fill_text(rule);
        let is_it = |step: &Step<'_>| {
            let id = step.rule.map(|number| format!("{}/{number}", step.policy.meta));
            of(&step.policy.action) && step.outcome.matched() && id.as_ref() == Some(&rule)
        };
        verdict.trace.iter().any(is_it)
    }

    fn request(&self, sent: &Sent) -> Request {
        let principal = sent.from.identity(&self.places.home).map(|(namespace, account)| {
            format!("{}/ns/{namespace}/sa/{account}", TRUST_DOMAINS[0])
        });
        let name = |token: Token| token.name().to_owned();
        let headers = sent.all_headers(name);
        Request {
            sni: principal.is_some().then(|| HOST.to_owned()),
            peer: Peer { principal, ip: Some(sent.source), remote_ip: client(&headers) },
            // Some address of the mesh tests.
            destination_ip: Some(IpAddr::from([127, 64, 0, 1])),
            port: sent.port,
            http: sent.is_http().then(|| Http {
                method: sent.method.clone(),
                path: normalized(&sent.target(name)),
                host: sent.host.clone(),
                headers,
                rewritten: None,
                tokens: sent.tokens.iter().map(token).collect(),
            }),
            metadata: Vec::new(),
        }
    }
}

/// Over HTTP, an AUDIT rule is seen wherever Envoy comes as far as that.
fn audits(verdict: &Verdict<'_>, answer: &Answer) -> bool {
    match answer {
        Answer::Passed { audited, .. } | Answer::Denied { audited, .. } => {
            *audited != verdict.audit.is_empty()
        }
        Answer::NoProvider { .. } | Answer::Token(_) | Answer::Closed => true,
    }
}

fn decision(verdict: &Verdict<'_>) -> String {
    match &verdict.decision {
        Decision::Allowed(_) => "pass".to_owned(),
        Decision::AskProvider(_) => "asked".to_owned(),
        Decision::Denied(by) => match by {
            DeniedBy::PlainText(_) => "closed, for plain text".to_owned(),
            DeniedBy::TlsNotEnded(_) => "closed, for TLS".to_owned(),
            DeniedBy::TrustDomain => "closed, for the trust domain".to_owned(),
            DeniedBy::Token(bad) => format!("token, {:?}", bad.why),
            DeniedBy::NoProvider(rule, why) => format!("provider {rule}, {why:?}"),
            DeniedBy::Rule(rule) => format!("denied {rule}"),
            DeniedBy::NoRule => "denied none".to_owned(),
        },
        Decision::Unknown(_) => "unknown, for an address".to_owned(),
    }
}

/// The client as a sidecar sees it: who stands last in `X-Forwarded-For`, if that is an address.
fn client(headers: &[(String, String)]) -> Option<IpAddr> {
    let mut of_proxies = headers.iter().filter(|(name, _)| name == "x-forwarded-for");
    let (_, value) = of_proxies.next_back()?;
    value.rsplit(',').next()?.trim().parse().ok()
}

/// The path as the mesh's Envoys read it: the rendering asks for merged slashes.
fn normalized(target: &str) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let path = normalize(path, Normalization::ISTIO_MERGE);
    let path = path.unwrap_or_else(|rejected| panic!("{target}: {rejected}"));
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

fn token(placed: &Placed) -> policies::Token {
    let place = match &placed.place {
        Place::Bearer => policies::TokenPlace::Header {
            name: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
        },
        Place::Header(name, prefix) => {
            policies::TokenPlace::Header { name: name.clone(), prefix: prefix.clone() }
        }
        Place::Param(name) => policies::TokenPlace::Param(name.clone()),
        Place::Cookie(name) => policies::TokenPlace::Cookie(name.clone()),
    };
    let claims = placed
        .token
        .claims()
        .map(|claims| json::parse(claims.to_string().as_bytes()).expect("claims"));
    let proof = match placed.token {
        Token::Expired => Proof::OutOfTime,
        Token::Forged => Proof::NotSigned,
        Token::Good | Token::Other | Token::Unknown | Token::Nameless | Token::Garbage => {
            Proof::Holds
        }
    };
    policies::Token { place, claims, proof }
}

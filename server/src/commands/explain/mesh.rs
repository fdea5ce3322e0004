//! A mesh's own policies, for what `postern-explain` asks of them.

use std::collections::BTreeMap;

use postern_document::{Document, Workload};
use postern_explain::{MeshPolicies, MeshRequest, MeshVerdict, Phase};
use postern_jose::CompactJws;
use postern_policies::{
    Action, AllowedBy, Decision, DeniedBy, Http, NoProvider, Peer, Port, Proof, Protocol, Proxy,
    Request, Token, Value, Verdict, evaluate,
};
use postern_render::review::Policies;
use postern_request::principal::Credential;
use postern_request::{UnixMillis, headers, json};

/// The name by which AuthorizationPolicies know the suite's server, as `render istio` writes it.
const OURS: &str = "postern";
/// What a caller's own proxy answers where the connection is closed.
const CLOSED: u16 = 503;
/// Istio's own gateway, where the document does not name one.
const GATEWAY: (&str, &str) = ("istio-system", "ingressgateway");

/// The policies of a mesh.
pub struct Mesh<'d> {
    document: &'d Document,
    policies: Policies,
    mesh: postern_policies::Mesh,
    now: UnixMillis,
}

impl<'d> Mesh<'d> {
    /// Those among manifests.
    pub fn new(document: &'d Document, policies: Policies, now: UnixMillis) -> Self {
        let mesh = policies.mesh(document);
        Self { document, policies, mesh, now }
    }

    fn workload(&self, workload: Option<&Workload>) -> postern_policies::Workload {
        let Some(workload) = workload else {
            let (namespace, label) = GATEWAY;
            return postern_policies::Workload {
                name: format!("{namespace}/{label}"),
                namespace: namespace.to_owned(),
                labels: BTreeMap::from([("istio".to_owned(), label.to_owned())]),
                proxy: Proxy::Gateway,
                ..postern_policies::Workload::default()
            };
        };
        let ports =
            workload.ports.iter().map(|port| Port { number: *port, protocol: Protocol::Http });
        postern_policies::Workload {
            name: format!("{}/{}", workload.namespace, workload.name),
            namespace: workload.namespace.clone(),
            labels: workload.labels.clone(),
            proxy: if workload.gateway { Proxy::Gateway } else { Proxy::Sidecar },
            service: None,
            ports: ports.collect(),
        }
    }

    fn request(&self, asked: &MeshRequest<'_>) -> Request {
        let peer = Peer {
            principal: asked.peer.map(|id| id.strip_prefix("spiffe://").unwrap_or(id).to_owned()),
            ip: asked.address,
            remote_ip: asked.client,
        };
        Request {
            peer,
            port: port(asked),
            http: Some(Http {
                method: asked.method.to_owned(),
                path: asked.target.to_owned(),
                host: asked.authority.to_owned(),
                headers: texts(asked.headers),
                rewritten: asked.rewritten.map(texts),
                tokens: self.token(asked).into_iter().collect(),
            }),
            ..Request::default()
        }
    }

    /// The token in `authorization`. One that the bundle has verified holds; of another one only
    /// its time is looked at.
    fn token(&self, asked: &MeshRequest<'_>) -> Option<Token> {
        let all = asked.rewritten.unwrap_or(asked.headers);
        let (_, value) = all.iter().find(|(name, _)| name == headers::AUTHORIZATION)?;
        let text = core::str::from_utf8(value).ok()?.strip_prefix("Bearer ")?;
        let payload = CompactJws::parse(text).ok()?.payload;
        let claims = json::parse(&payload).ok()?;
        let is_verified = asked.caller.is_some_and(|caller| caller.credential == Credential::Jwt);
        let is_over = matches!(claims.get("exp"), Some(Value::Integer(end))
            if u64::try_from(*end).unwrap_or_default() <= self.now.as_secs());
        let proof = if is_over && !is_verified { Proof::OutOfTime } else { Proof::Holds };
        Some(Token::bearer(claims, proof))
    }

    /// What is taken for granted of what was asked about.
    fn assumed(&self, asked: &MeshRequest<'_>, verdict: &Verdict<'_>) -> Vec<String> {
        let mut assumed = Vec::new();
        if asked.phase == Phase::Custom {
            for name in providers(verdict).into_iter().filter(|name| *name != OURS) {
                assumed.push(format!("the provider {name} lets it pass"));
            }
            if !self.policies.has_mesh_config(self.document) && !providers(verdict).is_empty() {
                assumed.push("the mesh has the providers that policies name".to_owned());
            }
        }
        if asked.phase == Phase::Rbac
            && let Decision::Unknown(rules) = &verdict.decision
        {
            let names: Vec<String> = rules.iter().map(ToString::to_string).collect();
            assumed.push(format!("the address is one that {} lets pass", names.join(" and ")));
        }
        if asked.workload.is_none() {
            let (namespace, label) = GATEWAY;
            assumed.push(format!("the gateway is istio={label} in {namespace}"));
        }
        let workload = self.workload(asked.workload);
        let verifies = !self.policies.resources().request_for(&self.mesh, &workload).is_empty();
        if asked.phase == Phase::Rbac && verifies && asked.caller.is_none() {
            assumed.push("a token that the bundle has not verified is signed".to_owned());
        }
        assumed
    }
}

impl MeshPolicies for Mesh<'_> {
    fn judge(&self, asked: &MeshRequest<'_>) -> MeshVerdict {
        let (workload, request) = (self.workload(asked.workload), self.request(asked));
        let verdict = evaluate(self.policies.resources(), &self.mesh, &workload, &request);
        let assumed = self.assumed(asked, &verdict);
        let asks_server = providers(&verdict).contains(&OURS);
        let denied = match &verdict.decision {
            Decision::Denied(by) if is_of(by, asked.phase) => Some(by),
            _ => None,
        };
        if let Some(by) = denied {
            let refused = Some(by.status().unwrap_or(CLOSED));
            return MeshVerdict { refused, asks_server, text: why(by), assumed };
        }
        let text = match asked.phase {
            Phase::Custom => whom(&verdict, self.document),
            Phase::Rbac => how(&verdict),
        };
        MeshVerdict { refused: None, asks_server, text, assumed }
    }
}

/// The port of the workload that is asked: the service's, where the workload has it.
fn port(asked: &MeshRequest<'_>) -> u16 {
    let ports = asked.workload.map(|workload| workload.ports.as_slice()).unwrap_or_default();
    let own = asked.route.and_then(|route| route.service.as_ref()).map(|service| service.port);
    let usual = if asked.scheme == "https" { 443 } else { 80 };
    own.filter(|port| ports.contains(port)).or(ports.first().copied()).unwrap_or(usual)
}

/// Policies compare texts.
fn texts(headers: &[(String, Vec<u8>)]) -> Vec<(String, String)> {
    let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Whether a refusal comes about in this phase.
const fn is_of(by: &DeniedBy<'_>, phase: Phase) -> bool {
    let is_early = matches!(
        by,
        DeniedBy::PlainText(_)
            | DeniedBy::TlsNotEnded(_)
            | DeniedBy::TrustDomain
            | DeniedBy::NoProvider(..)
    );
    match phase {
        Phase::Custom => is_early,
        Phase::Rbac => !is_early,
    }
}

/// The providers that CUSTOM rules ask about the request, whatever else becomes of it.
fn providers<'r>(verdict: &Verdict<'r>) -> Vec<&'r str> {
    let mut names: Vec<&'r str> = Vec::new();
    for step in &verdict.trace {
        let policy = step.policy;
        if let (Action::Custom { provider }, false) = (&policy.action, policy.dry_run)
            && step.outcome.matched()
            && !names.contains(&provider.as_str())
        {
            names.push(provider);
        }
    }
    names
}

fn whom(verdict: &Verdict<'_>, document: &Document) -> String {
    match providers(verdict).as_slice() {
        [] if document.needs_ext_authz() => "nobody is asked: no CUSTOM rule matches".to_owned(),
        [] => "nobody is asked".to_owned(),
        names => format!("asks {}", names.join(", ")),
    }
}

fn how(verdict: &Verdict<'_>) -> String {
    let allow = verdict
        .trace
        .iter()
        .find(|step| step.policy.action == Action::Allow && step.outcome.matched());
    match (&verdict.decision, allow) {
        (Decision::Allowed(AllowedBy::Rule(rule)), _) => format!("allowed by {rule}"),
        (_, Some(step)) => format!("allowed by {}", step.policy.meta),
        (Decision::Unknown(_), None) => "up to the address that it comes from".to_owned(),
        _ => "no ALLOW policy is for it".to_owned(),
    }
}

fn why(by: &DeniedBy<'_>) -> String {
    match by {
        DeniedBy::PlainText(_) => {
            "mutual TLS is STRICT: the connection is closed, and a caller's own proxy says 503"
                .to_owned()
        }
        DeniedBy::TlsNotEnded(_) => "mutual TLS is off: the connection comes to nothing".to_owned(),
        DeniedBy::Token(bad) => {
            format!("its token is none that `{}` takes", bad.rule.issuer)
        }
        DeniedBy::NoProvider(rule, NoProvider::Unknown) => {
            format!("{rule} names a provider that is not there")
        }
        DeniedBy::NoProvider(rule, NoProvider::Several) => {
            format!("{rule} names one of several providers, which Istio refuses")
        }
        DeniedBy::NoProvider(rule, NoProvider::Invalid) => {
            format!("{rule} names a provider that istiod does not take")
        }
        DeniedBy::TrustDomain => "its trust domain is none of the mesh's".to_owned(),
        DeniedBy::Rule(rule) => format!("denied by {rule}"),
        DeniedBy::NoRule => "no ALLOW rule matches".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use postern_document::{Source, from_json};

    use super::*;

    const DOCUMENT: &str = r#"{
        "version": 1,
        "workloads": {
            "edge": {"gateway": true, "namespace": "front", "labels": {"app": "edge"},
                     "service_account": "edge"},
            "pay": {"namespace": "shop", "labels": {"app": "pay"}, "service_account": "pay",
                    "ports": [8080]}
        },
        "services": {"pay": {"upstream": "pay:8080", "workload": "pay", "guard": "workload"}},
        "routes": [{"name": "pay", "match": {"path": "/pay"}, "service": "pay", "auth": "none",
                    "ext_authz": true}]
    }"#;

    static PLACES: LazyLock<Document> = LazyLock::new(|| from_json(DOCUMENT.as_bytes()).unwrap());

    fn manifest(kind: &str, name: &str, spec: &str) -> String {
        format!(
            "---\napiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: '{name}', \
             namespace: shop}}\nspec: {spec}\n"
        )
    }

    fn custom(provider: &str) -> String {
        let spec = format!(
            "{{action: CUSTOM, provider: {{name: {provider}}}, rules: [{{to: [{{operation: \
             {{paths: [/pay]}}}}]}}]}}"
        );
        manifest("AuthorizationPolicy", provider, &spec)
    }

    /// A request to `pay`, from the edge.
    fn request(phase: Phase) -> MeshRequest<'static> {
        MeshRequest {
            workload: PLACES.workload("pay").map(|workload| &**workload),
            phase,
            route: None,
            method: "GET",
            scheme: "https",
            authority: "pay.shop",
            target: "/pay?a=b",
            headers: &[],
            rewritten: None,
            peer: Some("spiffe://cluster.local/ns/front/sa/edge"),
            address: None,
            client: None,
            caller: None,
        }
    }

    fn judged(policies: &str, request: &MeshRequest<'_>) -> MeshVerdict {
        let source = Source { name: "a.yaml".to_owned(), text: policies.to_owned() };
        let policies = Policies::load(&[source]).unwrap();
        Mesh::new(&PLACES, policies, UnixMillis(1_800_000_000_000)).judge(request)
    }

    #[test]
    fn who_is_asked_is_what_custom_rules_say() {
        let asked = request(Phase::Custom);
        let ours = judged(&custom(OURS), &asked);
        assert!(ours.asks_server && ours.refused.is_none(), "{ours:?}");
        let elsewhere = judged(&custom(OURS), &MeshRequest { target: "/else", ..asked });
        assert!(!elsewhere.asks_server, "{elsewhere:?}");
        let other = judged(&custom("opa"), &asked);
        assert!(!other.asks_server, "{other:?}");
        assert!(other.assumed.iter().any(|text| text.contains("opa")), "{other:?}");
        // Istio refuses what several providers would be asked about.
        let both = judged(&(custom("opa") + &custom(OURS)), &asked);
        assert_eq!(both.refused, Some(403), "{both:?}");
        // A rule that comes later refuses later, and hides nobody.
        let deny = manifest("AuthorizationPolicy", "no", "{action: DENY, rules: [{}]}");
        let denied = custom(OURS) + &deny;
        let early = judged(&denied, &asked);
        assert!(early.asks_server && early.refused.is_none(), "{early:?}");
        assert_eq!(judged(&denied, &request(Phase::Rbac)).refused, Some(403));
    }

    #[test]
    fn headers_count_as_the_bundle_has_left_them() {
        let spec = "{action: ALLOW, rules: [{when: [{key: 'request.headers[x-postern-subject]', \
                    values: [alice]}]}]}";
        let allow = manifest("AuthorizationPolicy", "known", spec);
        let written = [("x-postern-subject".to_owned(), b"alice".to_vec())];
        let asked = request(Phase::Rbac);
        let known = MeshRequest { rewritten: Some(&written[..]), ..asked };
        assert_eq!(judged(&allow, &known).refused, None);
        let forged = MeshRequest { headers: &written, rewritten: Some(&[]), ..asked };
        assert_eq!(judged(&allow, &forged).refused, Some(403), "it is gone by then");
    }

    #[test]
    fn plain_text_ends_before_anybody_is_asked() {
        let strict = manifest("PeerAuthentication", "default", "{mtls: {mode: STRICT}}");
        let asked = request(Phase::Custom);
        let plain = MeshRequest { peer: None, ..asked };
        assert_eq!(judged(&strict, &plain).refused, Some(CLOSED));
        assert_eq!(judged(&strict, &asked).refused, None);
        // A gateway ends another TLS.
        let at_edge = judged(&strict, &MeshRequest { workload: None, ..plain });
        assert_eq!(at_edge.refused, None);
        assert!(at_edge.assumed.iter().any(|text| text.contains("istio-system")), "{at_edge:?}");
    }

    #[test]
    fn callers_are_known_by_their_certificates() {
        let spec = "{action: ALLOW, rules: [{from: [{source: {principals: \
                    [cluster.local/ns/front/sa/edge]}}], to: [{operation: {ports: ['8080']}}]}]}";
        let callers = manifest("AuthorizationPolicy", "callers", spec);
        let asked = request(Phase::Rbac);
        let passed = judged(&callers, &asked);
        assert_eq!(
            (passed.refused, passed.text.as_str()),
            (None, "allowed by shop/callers rule 0")
        );
        let other = Some("spiffe://cluster.local/ns/front/sa/edges");
        let refused = judged(&callers, &MeshRequest { peer: other, ..asked });
        assert_eq!((refused.refused, refused.text.as_str()), (Some(403), "no ALLOW rule matches"));
    }

    #[test]
    fn a_token_is_verified_by_whoever_knows_its_issuer() {
        let spec = "{jwtRules: [{issuer: https://i.test, forwardOriginalToken: true}]}";
        let knows = manifest("RequestAuthentication", "jwt", spec);
        let token = |claims: &str| {
            let encode = |text: &str| postern_jose::base64url::encode(text.as_bytes());
            let (header, claims) = (encode(r#"{"alg":"RS256"}"#), encode(claims));
            format!("Bearer {header}.{claims}.{}", encode("x"))
        };
        let late = r#"{"iss":"https://i.test","exp":1700000000}"#;
        let other = r#"{"iss":"https://j.test","exp":1900000000}"#;
        let good = r#"{"iss":"https://i.test","exp":1900000000}"#;
        for (claims, expected) in [(late, Some(401)), (other, Some(401)), (good, None)] {
            let headers = [("authorization".to_owned(), token(claims).into_bytes())];
            let asked = MeshRequest {
                headers: &headers,
                rewritten: Some(&headers),
                ..request(Phase::Rbac)
            };
            assert_eq!(judged(&knows, &asked).refused, expected, "{claims}");
        }
    }
}

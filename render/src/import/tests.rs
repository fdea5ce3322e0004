use postern_document::{Document, PathTemplate};

use super::*;

mod mesh;
mod policies;
mod properties;
mod round_trip;

/// Deployments and Services of two workloads, so that all labels and ports are known.
const WORKLOADS: &str = "
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec: {selector: {app: pay}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay, namespace: shop}
spec:
  template:
    metadata: {labels: {app: pay, tier: back}}
    spec: {serviceAccountName: pay, containers: [{ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{}]}
";

/// An issuer for all of `shop`.
const TOKENS: &str = "
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  jwtRules:
  - {issuer: https://idp.test, audiences: [api], jwksUri: https://idp.test/jwks}
";

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn imported(text: &str) -> Import {
    let result = import(&[source("f.yaml", text)], &ImportOptions::default());
    result.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The document, loaded again.
fn document(import: &Import) -> Document {
    let text = import.document.as_deref().unwrap_or_else(|| panic!("{}", told(import)));
    load(&[source("d", text)], &|_: &str| Err(String::new())).unwrap()
}

/// All remarks, one a line.
fn told(import: &Import) -> String {
    let lines: Vec<String> = import.remarks.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A policy in `shop`; `spec` is written on one line.
fn policy(name: &str, spec: &str) -> String {
    format!(
        "\n---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
         metadata: {{namespace: shop, name: {name}}}\nspec: {spec}\n"
    )
}

/// What an ALLOW policy for `pay` with one rule becomes: `METHODS HOSTS PATH AUTH`.
fn allowed(rule: &str) -> Vec<String> {
    let spec = format!("{{selector: {{matchLabels: {{app: pay}}}}, rules: [{rule}]}}");
    routes(&imported(&(WORKLOADS.to_owned() + TOKENS + &policy("p", &spec))))
}

/// The routes of a document: methods, hosts, path, service, and what is asked.
fn routes(import: &Import) -> Vec<String> {
    use postern_document::Auth;
    if import.document.is_none() {
        return Vec::new();
    }
    let document = document(import);
    let one = |route: &postern_document::Route| {
        let hosts: Vec<String> = route.hosts.iter().map(ToString::to_string).collect();
        let mut words = vec![route.methods.join("+"), hosts.join("+") + &shape(&route.path)];
        words.push(format!("-> {}", route.service_name()));
        match &route.auth {
            Auth::None => words.push("open".to_owned()),
            Auth::Rules { scopes, optional, token, .. } => {
                words.push(if *optional { "optional" } else { "token" }.to_owned());
                words.extend(scopes.iter().map(|scope| format!("scope={scope}")));
                words.extend(token.audiences.iter().map(|audience| format!("aud={audience}")));
                let claims = token.claims.iter();
                words
                    .extend(claims.map(|rule| format!("{}={}", rule.claim, rule.values.join("+"))));
            }
        }
        words.extend(route.peers.iter().map(ToString::to_string));
        words.join(" ").trim_start().to_owned()
    };
    document.routes.iter().map(|route| one(route)).collect()
}

fn shape(path: &PathTemplate) -> String {
    path.to_string().replace("{rest=**}", "**")
}

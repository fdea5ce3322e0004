//! What requests for the same may differ in, and what a route's callers always bring.

use std::collections::BTreeSet;
use std::net::IpAddr;

use postern_circuit::stale;
use postern_document::{Auth, Document, Route};
use postern_policies::{JwtRule, Protocol, Token};
use postern_request::headers;
use postern_request::principal::Credential;
use serde_json::{Map, Value};

use super::super::super::document::writes;
use super::super::examples::Example;
use super::super::known::Known;
use super::super::reach::{SOMEBODY, identity};
use super::super::token::token;
use super::super::view::View;
use super::GET;

/// What it takes to make a form, in comparisons of values.
const MAKING: usize = 8;

/// From where a request comes, and with what, beside what is asked for.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) ip: Option<IpAddr>,
    pub(super) remote_ip: Option<IpAddr>,
    pub(super) destination_ip: Option<IpAddr>,
    pub(super) sni: Option<String>,
    headers: Vec<(String, String)>,
    tokens: Vec<Token>,
}

/// What tells one from another: addresses, name, headers, and tokens as a text.
type Key = ([Option<IpAddr>; 3], Option<String>, Vec<(String, String)>, String);

/// Each once.
pub(super) struct Shapes {
    all: Vec<Shape>,
    known: BTreeSet<Key>,
}

/// A shape with what the bundle writes for a caller of a route.
pub(super) struct Form<'s> {
    pub(super) shape: &'s Shape,
    pub(super) headers: Vec<(String, String)>,
    pub(super) tokens: Vec<Token>,
    /// By whom, where a route takes callers without a credential beside others.
    pub(super) by: &'static str,
    /// What an answer is kept under, beside peer, host and path.
    pub(super) key: Vec<u8>,
    pub(super) may_keep: bool,
}

/// The headers that the bundle writes for a caller.
struct Caller {
    headers: Vec<(String, String)>,
    by: &'static str,
}

impl Form<'_> {
    /// Its headers that a policy is about.
    pub(super) fn own(&self) -> impl Iterator<Item = &(String, String)> {
        self.headers.iter().filter(|header| self.shape.headers.contains(header))
    }
}

impl Shapes {
    /// Nothing but addresses.
    pub(super) fn from_everywhere(addresses: &[IpAddr]) -> Self {
        let mut shapes = Self { all: Vec::new(), known: BTreeSet::new() };
        for ip in addresses {
            shapes.push(Shape { ip: Some(*ip), ..Shape::default() });
        }
        shapes
    }

    /// Takes up what a policy is about.
    pub(super) fn learn(&mut self, example: &Example) {
        if example.protocol != Protocol::Http {
            return;
        }
        let (peer, made) = (&example.peer, &example.made);
        self.push(Shape {
            ip: peer.ip,
            remote_ip: peer.remote_ip,
            destination_ip: made.destination_ip,
            sni: made.sni.clone(),
            headers: made.http.headers.clone(),
            tokens: made.http.tokens.clone(),
        });
    }

    fn push(&mut self, shape: Shape) {
        let tokens = match shape.tokens.as_slice() {
            [] => String::new(),
            tokens => format!("{tokens:?}"),
        };
        let addresses = [shape.ip, shape.remote_ip, shape.destination_ip];
        if self.known.insert((addresses, shape.sni.clone(), shape.headers.clone(), tokens)) {
            self.all.push(shape);
        }
    }

    /// Requests of a route that the bundle lets through.
    pub(super) fn of_route(&self, view: &View<'_>, known: &Known, route: &Route) -> Vec<Form<'_>> {
        let callers = callers(route);
        let brought = brought(view, known, route);
        let mut all = Vec::new();
        for shape in &self.all {
            for caller in &callers {
                let headers = caller.headers_with(view.document, &shape.headers);
                if !view.budget.checks.spend_on(MAKING + headers.len()) {
                    return all;
                }
                let bytes: Vec<(String, Vec<u8>)> = headers
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone().into()))
                    .collect();
                let Some(asking) = stale::Asking::read(GET, &[], &bytes, true) else { continue };
                let tokens = if shape.tokens.is_empty() {
                    brought.clone()
                } else {
                    vec![shape.tokens.clone()]
                };
                all.extend(tokens.into_iter().map(|tokens| Form {
                    shape,
                    headers: headers.clone(),
                    tokens,
                    by: caller.by,
                    key: asking.key().to_vec(),
                    may_keep: asking.may_keep(),
                }));
            }
        }
        all
    }
}

/// Whom a route takes: who has shown a good credential, and nobody where that may be.
fn callers(route: &Route) -> Vec<Caller> {
    let somebody = |by| Caller { headers: identity(route), by };
    let nobody = |by| Caller { headers: Vec::new(), by };
    match &route.auth {
        Auth::None => vec![nobody("")],
        Auth::Rules { optional, .. } if *optional || route.enforce.percent() < 100 => {
            vec![somebody(", by somebody"), nobody(", by nobody")]
        }
        Auth::Rules { .. } => vec![somebody("")],
    }
}

impl Caller {
    /// Its headers and those that a policy is about. Scopes are as the route asks for them; whose a
    /// request is may differ.
    fn headers_with(&self, document: &Document, own: &[(String, String)]) -> Vec<(String, String)> {
        let mut all = self.headers.clone();
        for (name, value) in own {
            match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) if name == headers::SUBJECT => known.clone_from(value),
                Some(_) => {}
                // For nobody the bundle writes nothing, and what callers wrote it takes away.
                None if self.headers.is_empty() && writes(document, name) => {}
                None => all.push((name.clone(), value.clone())),
            }
        }
        all
    }
}

/// Tokens that a route's callers bring in any case: where it takes nothing else, one of each issuer
/// whose tokens the workload verifies as well.
fn brought(view: &View<'_>, known: &Known, route: &Route) -> Vec<Vec<Token>> {
    let nothing = vec![Vec::new()];
    let Auth::Rules { any, optional, token: asked, .. } = &route.auth else { return nothing };
    let takes_others = *optional || route.enforce.percent() < 100;
    if takes_others || !matches!(any.as_slice(), [Credential::Jwt]) {
        return nothing;
    }
    let is_taken = |rule: &&&JwtRule| {
        view.document.issuers.iter().enumerate().any(|(place, issuer)| {
            issuer.issuer.issuer == rule.issuer
                && (asked.issuers.is_empty() || asked.issuers.contains(&place))
        })
    };
    let subject = ("sub".to_owned(), Value::String(SOMEBODY.to_owned()));
    let claims: Map<String, Value> = core::iter::once(subject).collect();
    let issuers = view.kind(known).issuers.iter().filter(is_taken);
    let all: Vec<Vec<Token>> =
        issuers.filter_map(|rule| Some(vec![token(&[*rule], &claims)?])).collect();
    if all.is_empty() { nothing } else { all }
}

//! What is known of a request when a policy looks at it.

use std::net::IpAddr;

use postern_request::json::Value;
use postern_request::path::without_query;

use crate::pattern::{Form, Pattern, SCHEME, Text, in_all_domains};
use crate::request::{Http, Request};
use crate::resources::Attribute;
use crate::workload::Mesh;

/// A request, together with what filters before have made of it.
pub(crate) struct Facts<'q> {
    pub(crate) request: &'q Request,
    pub(crate) mesh: &'q Mesh,
    /// The caller's name by the certificate that the proxy has seen.
    pub(crate) principal: Option<&'q str>,
    /// The headers as they are by now.
    pub(crate) headers: &'q [(String, String)],
    /// What a verified token says.
    pub(crate) claims: Option<&'q Value>,
}

impl<'q> Facts<'q> {
    pub(crate) fn new(request: &'q Request, mesh: &'q Mesh) -> Self {
        let principal = request.peer.principal.as_deref();
        let headers = request.http.as_ref().map_or(&[][..], |http| http.headers.as_slice());
        Self { request, mesh, principal, headers, claims: None }
    }

    pub(crate) const fn is_http(&self) -> bool {
        self.request.http.is_some()
    }

    /// Whether it is known what an attribute is. All but addresses are: what is not there is told
    /// from what nobody said.
    pub(crate) fn knows(&self, attribute: &Attribute) -> bool {
        let is_address = matches!(
            attribute,
            Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp
        );
        !is_address || self.ip(attribute).is_some()
    }

    /// Whether a value of a policy matches.
    pub(crate) fn matches(&self, attribute: &Attribute, pattern: &Pattern) -> bool {
        match pattern.form() {
            Form::Text(text) => self.matches_text(attribute, pattern.as_str(), text),
            Form::Item(text) => {
                let items = self.metadata(attribute).and_then(Value::as_array).unwrap_or_default();
                items.iter().any(|item| matches_value(item, text))
            }
            Form::Template(template) => {
                self.http().is_some_and(|http| template.matches(without_query(&http.path)))
            }
            Form::Block(block) => self.ip(attribute).is_some_and(|ip| block.contains(ip)),
            Form::Port(port) => self.request.port == *port,
            Form::Namespace(namespace) => self.by_name(|uri| namespace.matches(uri)),
            Form::ServiceAccount(account) => self.by_name(|uri| account.matches(uri)),
            Form::TrustDomain(domain) => {
                self.by_name(|uri| domain.matches(uri, &self.mesh.trust_domains))
            }
            Form::Subject(subject) => {
                let is = |name, text| self.claim(&[name]).is_some_and(|v| matches_value(v, text));
                is("iss", &subject.issuer) && is("sub", &subject.subject)
            }
        }
    }

    fn matches_text(&self, attribute: &Attribute, written: &str, text: &Text) -> bool {
        match attribute {
            Attribute::Principal => self.principal(written, text),
            Attribute::Method => self.http().is_some_and(|http| text.matches_present(&http.method)),
            Attribute::Host => self
                .http()
                .is_some_and(|http| text.matches_present(&http.host.to_ascii_lowercase())),
            Attribute::Path => {
                self.http().is_some_and(|http| text.matches(without_query(&http.path)))
            }
            Attribute::Header(name) => {
                self.header(name).iter().any(|value| text.matches_present(value))
            }
            Attribute::Sni => text.matches(self.request.sni.as_deref().unwrap_or_default()),
            Attribute::Audience => self.claim_matches(&["aud"], text),
            Attribute::Presenter => self.claim_matches(&["azp"], text),
            Attribute::Claim(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.claim_matches(&names, text)
            }
            Attribute::Metadata { .. } => {
                self.metadata(attribute).is_some_and(|value| matches_value(value, text))
            }
            // These have forms of their own.
            Attribute::RequestPrincipal
            | Attribute::Namespace
            | Attribute::ServiceAccount
            | Attribute::TrustDomain
            | Attribute::SourceIp
            | Attribute::RemoteIp
            | Attribute::DestinationIp
            | Attribute::Port => false,
        }
    }

    fn http(&self) -> Option<&'q Http> {
        self.request.http.as_ref()
    }

    fn by_name(&self, matches: impl Fn(&str) -> bool) -> bool {
        self.principal.is_some_and(|name| matches(&format!("{SCHEME}{name}")))
    }

    /// A principal of the mesh's trust domain is one of all its domains.
    fn principal(&self, written: &str, text: &Text) -> bool {
        let Some(name) = self.principal else { return false };
        match text {
            // The expression `.+` on the whole name, `spiffe://` included.
            Text::Any => true,
            _ => in_all_domains(written, &self.mesh.trust_domains)
                .iter()
                .any(|written| Text::read(written).matches_present(name)),
        }
    }

    fn ip(&self, attribute: &Attribute) -> Option<IpAddr> {
        let peer = &self.request.peer;
        match attribute {
            Attribute::SourceIp => peer.ip,
            Attribute::RemoteIp => peer.remote_ip.or(peer.ip),
            Attribute::DestinationIp => self.request.destination_ip,
            _ => None,
        }
    }

    /// The values of the headers of one name. Each is compared for itself: Envoys that still
    /// joined them (1.36.4 does, 1.40.0 does not) let a second header hide a first one.
    fn header(&self, name: &str) -> Vec<&'q str> {
        let Some(http) = self.http() else { return Vec::new() };
        match name {
            ":method" => vec![http.method.as_str()],
            ":path" => vec![http.path.as_str()],
            ":authority" | "host" => vec![http.host.as_str()],
            _ => values(self.headers, name).collect(),
        }
    }

    fn claim(&self, names: &[&str]) -> Option<&'q Value> {
        names.iter().try_fold(self.claims?, |value, name| value.get(name))
    }

    /// A claim that is the text, or a list that the text is in.
    fn claim_matches(&self, names: &[&str], text: &Text) -> bool {
        self.claim(names).is_some_and(|value| match value {
            Value::Array(items) => items.iter().any(|item| matches_value(item, text)),
            value => matches_value(value, text),
        })
    }

    fn metadata(&self, attribute: &Attribute) -> Option<&'q Value> {
        let Attribute::Metadata { filter, key } = attribute else { return None };
        let of_filter = self.request.metadata.iter().find(|metadata| metadata.filter == *filter)?;
        of_filter.members.get(key)
    }
}

/// The values of the headers of one name.
pub(super) fn values<'h>(
    headers: &'h [(String, String)],
    name: &str,
) -> impl Iterator<Item = &'h str> {
    let found = headers.iter().filter(move |(candidate, _)| candidate.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// Only strings are compared: a number, a truth value, or something nested matches nothing.
fn matches_value(value: &Value, text: &Text) -> bool {
    value.as_str().is_some_and(|value| text.matches(value))
}

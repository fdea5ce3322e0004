//! What is known of a request when a policy looks at it.

use core::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::net::IpAddr;

use postern_request::json::Value;
use postern_request::path::without_query;

use crate::pattern::{Form, Pattern, SCHEME, Text, is_principal};
use crate::request::{Http, Parts};
use crate::resources::Attribute;
use crate::workload::Mesh;

/// From so many headers on, an index is worth its making.
const MANY_HEADERS: usize = 16;

/// A request, together with what filters before have made of it.
pub(crate) struct Facts<'q> {
    pub(crate) request: Parts<'q>,
    pub(crate) mesh: &'q Mesh,
    /// The caller's name by the certificate that the proxy has seen.
    pub(crate) principal: Option<&'q str>,
    /// What a verified token says.
    pub(crate) claims: Option<&'q Value>,
    /// The headers as they are by now.
    headers: &'q [(String, String)],
    /// Their values, by name in lower case, where there are many.
    by_name: OnceCell<HashMap<String, Vec<&'q str>>>,
    /// The name that the caller shows, with its scheme.
    uri: Option<String>,
    /// The authority in lower case.
    host: Option<String>,
    /// How many values were compared, by what each costs.
    work: Cell<u64>,
}

impl<'q> Facts<'q> {
    pub(crate) fn new(request: Parts<'q>, mesh: &'q Mesh) -> Self {
        let principal = request.peer.principal.as_deref();
        Self {
            request,
            mesh,
            principal,
            claims: None,
            headers: request.http.map_or(&[][..], |http| http.headers.as_slice()),
            by_name: OnceCell::new(),
            uri: principal.map(|name| format!("{SCHEME}{name}")),
            host: request.http.map(|http| http.host.to_ascii_lowercase()),
            work: Cell::new(0),
        }
    }

    /// Takes the headers as they are from now on.
    pub(crate) fn see(&mut self, headers: &'q [(String, String)]) {
        self.headers = headers;
        self.by_name = OnceCell::new();
    }

    /// The values of many headers, by name.
    fn index(&self) -> &HashMap<String, Vec<&'q str>> {
        self.by_name.get_or_init(|| {
            self.count(2 * self.headers.len());
            let mut all: HashMap<String, Vec<&'q str>> = HashMap::new();
            for (name, value) in self.headers {
                all.entry(name.to_ascii_lowercase()).or_default().push(value);
            }
            all
        })
    }

    /// What was done so far; a value that is compared with a text is 1.
    pub(crate) fn work(&self) -> u64 {
        self.work.get()
    }

    pub(super) fn count(&self, work: usize) {
        let work = u64::try_from(work).unwrap_or(u64::MAX);
        self.work.set(self.work.get().saturating_add(work));
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

    /// The first value of a policy that matches.
    pub(crate) fn first<'t>(
        &self,
        attribute: &Attribute,
        patterns: &'t [Pattern],
    ) -> Option<&'t Pattern> {
        if patterns.is_empty() {
            return None;
        }
        // What takes looking for is looked for once.
        match attribute {
            Attribute::Header(name) => {
                let values = self.header(name);
                self.find(patterns, |text| values.iter().any(|value| text.matches_present(value)))
            }
            Attribute::Audience => self.find_claim(patterns, &["aud"]),
            Attribute::Presenter => self.find_claim(patterns, &["azp"]),
            Attribute::Claim(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.find_claim(patterns, &names)
            }
            _ => patterns.iter().find(|pattern| self.matches(attribute, pattern)),
        }
    }

    fn find<'t>(
        &self,
        patterns: &'t [Pattern],
        matches: impl Fn(&Text) -> bool,
    ) -> Option<&'t Pattern> {
        patterns.iter().find(|pattern| {
            self.count(1);
            matches!(pattern.form(), Form::Text(text) if matches(text))
        })
    }

    fn find_claim<'t>(&self, patterns: &'t [Pattern], names: &[&str]) -> Option<&'t Pattern> {
        let claim = self.claim(names);
        self.find(patterns, |text| match claim {
            Some(Value::Array(items)) => items.iter().any(|item| matches_value(item, text)),
            Some(value) => matches_value(value, text),
            None => false,
        })
    }

    fn matches(&self, attribute: &Attribute, pattern: &Pattern) -> bool {
        self.count(self.cost(attribute, pattern.form()));
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
            Form::Namespace(namespace) => self.by_uri(|uri| namespace.matches(uri)),
            Form::ServiceAccount(account) => self.by_uri(|uri| account.matches(uri)),
            Form::TrustDomain(domain) => {
                self.by_uri(|uri| domain.matches(uri, &self.mesh.trust_domains))
            }
            Form::Subject(subject) => {
                let is = |name, text| self.claim(&[name]).is_some_and(|v| matches_value(v, text));
                is("iss", &subject.issuer) && is("sub", &subject.subject)
            }
        }
    }

    /// What it takes to compare a value.
    fn cost(&self, attribute: &Attribute, form: &Form) -> usize {
        match form {
            Form::Text(text) if *attribute == Attribute::Principal => match text {
                Text::Any | Text::Exact(_) => 1,
                Text::Prefix(_) | Text::Suffix(_) => 1 + self.mesh.trust_domains.len(),
            },
            Form::Text(_) | Form::Block(_) | Form::Port(_) | Form::TrustDomain(_) => 1,
            Form::Template(_) => 2 + self.http().map_or(0, |http| http.path.len()) / 8,
            Form::Namespace(_) | Form::Subject(_) | Form::Item(_) => 4,
            Form::ServiceAccount(_) => 8,
        }
    }

    /// Attributes that take looking for are none of these: see [`Self::first`].
    fn matches_text(&self, attribute: &Attribute, written: &str, text: &Text) -> bool {
        match attribute {
            Attribute::Principal => self.principal(written, text),
            Attribute::Method => self.http().is_some_and(|http| text.matches_present(&http.method)),
            Attribute::Host => self.host.as_ref().is_some_and(|host| text.matches_present(host)),
            Attribute::Path => {
                self.http().is_some_and(|http| text.matches(without_query(&http.path)))
            }
            Attribute::Sni => text.matches(self.request.sni.unwrap_or_default()),
            Attribute::Metadata { .. } => {
                self.metadata(attribute).is_some_and(|value| matches_value(value, text))
            }
            Attribute::Header(_)
            | Attribute::Audience
            | Attribute::Presenter
            | Attribute::Claim(_)
            // These have forms of their own.
            | Attribute::RequestPrincipal
            | Attribute::Namespace
            | Attribute::ServiceAccount
            | Attribute::TrustDomain
            | Attribute::SourceIp
            | Attribute::RemoteIp
            | Attribute::DestinationIp
            | Attribute::Port => false,
        }
    }

    const fn http(&self) -> Option<&'q Http> {
        self.request.http
    }

    fn by_uri(&self, matches: impl Fn(&str) -> bool) -> bool {
        self.principal.is_some() && self.uri.as_deref().is_some_and(matches)
    }

    /// A principal of the mesh's trust domain is one of all its domains.
    fn principal(&self, written: &str, text: &Text) -> bool {
        let Some(name) = self.principal else { return false };
        match text {
            // The expression `.+` on the whole name, `spiffe://` included.
            Text::Any => true,
            _ => is_principal(written, text, name, &self.mesh.trust_domains),
        }
    }

    fn ip(&self, attribute: &Attribute) -> Option<IpAddr> {
        let peer = self.request.peer;
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
            _ if self.headers.len() >= MANY_HEADERS => {
                self.index().get(name).cloned().unwrap_or_default()
            }
            _ => values(self.headers, name).collect(),
        }
    }

    fn claim(&self, names: &[&str]) -> Option<&'q Value> {
        names.iter().try_fold(self.claims?, |value, name| {
            self.count(value.as_object().map_or(0, <[_]>::len) / 8);
            value.get(name)
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

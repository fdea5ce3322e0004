//! Configuration of envoyproxy/ratelimit: what of it limits of the document can be.
//!
//! Which requests bring which descriptor only Envoy's own routes say. The client's address is what
//! a limit can count by without them; everything else goes on by the very same files, which this
//! suite's rate limit service reads.

use postern_descriptors::{Descriptors, Unit};
use postern_document::yaml::{Kind, Node, Problems, parse};
use postern_document::{Problem, Source};
use serde_json::{Value, json};

use super::node::{items, member, text};
use super::report::{Origin, Report};

/// What became of the files.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// Limits by address, each for all routes.
    pub(super) limits: Vec<Value>,
    /// `rate_limit_filter`; none where nothing needs it.
    pub(super) filter: Option<Value>,
}

/// How Envoy calls the client's address.
const REMOTE_ADDRESS: &str = "remote_address";
const BY_FILE: &str = "keep the file: `postern serve --rate-limit-config`, and list `descriptors` \
                       on the routes that are meant";

/// Reads all files.
///
/// # Errors
/// What envoyproxy/ratelimit would not read either.
pub(super) fn read(sources: &[Source], report: &mut Report) -> Result<Limits, Vec<Problem>> {
    Descriptors::load(sources, true)?;
    let mut limits = Limits::default();
    let mut problems = Problems::new(sources.iter().map(|source| source.name.clone()).collect());
    let mut first: Option<String> = None;
    for (file, source) in sources.iter().enumerate() {
        let Some(node) = parse(&source.text, file, &mut problems) else { continue };
        let domain = text(member(&node, "domain")).unwrap_or_default().to_owned();
        let mut reading = Reading { file: &source.name, report, limits: &mut limits };
        let others = reading.level(&domain, member(&node, "descriptors"), "");
        if !others {
            continue;
        }
        match &first {
            None => {
                limits.filter = Some(json!({"domain": domain, "on_failure": "deny"}));
                first = Some(domain);
            }
            Some(known) if *known != domain => {
                let origin = origin(&source.name, &domain, 1, "domain");
                let why = format!("the document's filter asks for one domain, `{known}`");
                report.left_out(&origin, why, "keep one domain, or ask for it by hand");
            }
            Some(_) => {}
        }
    }
    if problems.is_empty() { Ok(limits) } else { Err(problems.into_sorted()) }
}

struct Reading<'a, 'r> {
    file: &'a str,
    report: &'r mut Report,
    limits: &'r mut Limits,
}

impl Reading<'_, '_> {
    /// Descriptors that stand beside each other; whether some of them go on by the file.
    fn level(&mut self, domain: &str, node: Option<&Node>, above: &str) -> bool {
        let mut others = false;
        for node in items(node) {
            let key = text(member(node, "key")).unwrap_or_default();
            let value = member(node, "value");
            let path = match text(value) {
                Some(value) => format!("{above}.{key}_{value}"),
                None => format!("{above}.{key}"),
            };
            let path = path.trim_start_matches('.').to_owned();
            let origin = origin(self.file, domain, node.at.line, &path);
            if let Some(rule) = member(node, "rate_limit") {
                let is_bare = above.is_empty() && value.is_none() && key == REMOTE_ADDRESS;
                match limit(node, rule).filter(|_| is_bare) {
                    Some(limit) => {
                        self.limits.limits.push(limit);
                        let why = "it counts for every route, because which of them bring the \
                                   address is not known";
                        self.report.note(&origin, why, "take it off the routes that do not");
                    }
                    None => {
                        others = true;
                        let why = "which requests bring this descriptor only Envoy's routes say";
                        self.report.left_out(&origin, why, BY_FILE);
                    }
                }
            }
            others |= self.level(domain, member(node, "descriptors"), &path);
        }
        others
    }
}

fn origin(file: &str, domain: &str, line: usize, field: &str) -> Origin {
    Origin {
        file: file.to_owned(),
        line,
        subject: format!("rate limit domain {domain}"),
        field: field.to_owned(),
    }
}

/// A limit by address; none where the document has no such limit.
fn limit(node: &Node, rule: &Node) -> Option<Value> {
    let whole = |name: &str| match member(rule, name).map(|node| &node.kind) {
        Some(Kind::Whole(number)) => Some(*number),
        _ => None,
    };
    let is_set = |node: &Node, name: &str| {
        matches!(member(node, name).map(|node| &node.kind), Some(Kind::Bool(true)))
    };
    let plain = ["replaces", "name"].iter().all(|name| member(rule, name).is_none());
    if !plain || is_set(rule, "unlimited") || is_set(node, "quota_mode") {
        return None;
    }
    let requests = whole("requests_per_unit").filter(|requests| *requests > 0)?;
    let unit = Unit::parse(text(member(rule, "unit"))?)?;
    let units = whole("unit_multiplier").unwrap_or(1);
    let seconds = unit.secs().checked_mul(units)?;
    let mut limit = json!({
        "key": ["ip"],
        "mode": "exact",
        "algorithm": "fixed_window",
        "rate": format!("{requests}/{seconds}s"),
        // There, every address counts for itself.
        "ipv6_prefix": 128,
    });
    if let (Some(limit), true) = (limit.as_object_mut(), is_set(node, "shadow_mode")) {
        limit.insert("shadow".to_owned(), json!(true));
    }
    Some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> (Limits, Vec<String>) {
        let source = Source { name: "l.yaml".to_owned(), text: text.to_owned() };
        let mut report = Report::default();
        let limits = read(&[source], &mut report).unwrap();
        (limits, report.into_remarks().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_counts_by_address_is_a_limit() {
        let text = "domain: shop\ndescriptors:\n- key: remote_address\n  rate_limit: {unit: \
                    minute, requests_per_unit: 5, unit_multiplier: 2}\n";
        let (found, remarks) = limits(text);
        let expected = json!({
            "key": ["ip"], "mode": "exact", "algorithm": "fixed_window", "rate": "5/120s",
            "ipv6_prefix": 128,
        });
        assert_eq!(found.limits, [expected]);
        assert_eq!(found.filter, None);
        assert_eq!(remarks.len(), 1);
    }

    #[test]
    fn everything_else_goes_on_by_its_file() {
        for descriptor in [
            "{key: remote_address, value: 10.0.0.1, rate_limit: {unit: day, requests_per_unit: 1}}",
            "{key: remote_address, rate_limit: {unit: day, requests_per_unit: 0}}",
            "{key: remote_address, rate_limit: {unlimited: true}}",
            "{key: generic_key, value: a, rate_limit: {unit: day, requests_per_unit: 1}}",
            "{key: a, descriptors: [{key: remote_address, rate_limit: {unit: day, \
             requests_per_unit: 1}}]}",
        ] {
            let (found, remarks) = limits(&format!("domain: shop\ndescriptors: [{descriptor}]\n"));
            assert!(found.limits.is_empty(), "{descriptor}");
            assert_eq!(found.filter, Some(json!({"domain": "shop", "on_failure": "deny"})));
            assert_eq!(remarks.len(), 1, "{descriptor}");
            assert!(remarks[0].contains("left out"), "{remarks:?}");
        }
        let (_, remarks) = limits("domain: shop\n");
        assert_eq!(remarks, Vec::<String>::new());
    }

    #[test]
    fn what_that_service_would_not_read_is_a_problem() {
        let text = "domain: shop\ndescriptors: [{kye: a}]\n";
        let source = Source { name: "l.yaml".to_owned(), text: text.to_owned() };
        assert!(read(&[source], &mut Report::default()).is_err());
    }
}

//! What `rate_limit` says.

use postern_document::yaml::{Node, Problems};
use postern_limits::{Algorithm, Anchor, Rate, Spec};

use crate::fields::{Fields, Reported, list, refuse};
use crate::rule::Allowed;
use crate::unit::Unit;

/// A limit, as it stands.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) name: String,
    pub(crate) replaces: Vec<String>,
    pub(crate) allowed: Allowed,
    pub(crate) requests: u32,
    pub(crate) unit: Option<Unit>,
    pub(crate) unit_multiplier: u32,
}

const UNIT: &str = "unit";
const MULTIPLIER: &str = "unit_multiplier";
const REQUESTS: &str = "requests_per_unit";

/// Reads `rate_limit`.
pub(crate) fn limit(
    node: &Node,
    lines: &[&str],
    problems: &mut Problems,
) -> Result<Limit, Reported> {
    let known = ["name", "replaces", UNIT, MULTIPLIER, REQUESTS, "unlimited"];
    let fields = Fields::open(node, &known, lines, problems).ok_or(Reported)?;
    let name = fields.text("name", problems);
    let own = name.as_ref().ok().and_then(Option::as_deref).unwrap_or_default();
    let replaces = fields.get("replaces").map_or(Ok(Vec::new()), |node| {
        problems.within("replaces", |problems| replaces(node, own, lines, problems))
    });
    let limit = allowed(&fields, problems)?;
    Ok(Limit { name: name?.unwrap_or_default(), replaces: replaces?, ..limit })
}

fn replaces(
    node: &Node,
    own: &str,
    lines: &[&str],
    problems: &mut Problems,
) -> Result<Vec<String>, Reported> {
    let mut names = Vec::new();
    let mut result = Ok(());
    for (index, item) in list(node, problems).iter().enumerate() {
        let name = problems.at_index(index, |problems| {
            let fields = Fields::open(item, &["name"], lines, problems).ok_or(Reported)?;
            let name = fields.text("name", problems);
            let name = fields.required("name", name, problems)?;
            if name == own {
                return refuse("name", fields.place("name"), "is its own rule's", problems);
            }
            Ok(name)
        });
        match name {
            Ok(name) => names.push(name),
            Err(reported) => result = Err(reported),
        }
    }
    result.map(|()| names)
}

/// Reads how much is allowed; name and what it replaces are the caller's.
fn allowed(fields: &Fields<'_>, problems: &mut Problems) -> Result<Limit, Reported> {
    let none = |allowed| Limit {
        name: String::new(),
        replaces: Vec::new(),
        allowed,
        requests: 0,
        unit: None,
        unit_multiplier: 1,
    };
    if fields.flag("unlimited", problems)? {
        // Whoever writes a number means it to count.
        let mut result = Ok(none(Allowed::Unlimited));
        for name in [UNIT, MULTIPLIER, REQUESTS] {
            if let Some(node) = fields.get(name) {
                let message = "has no meaning where `unlimited` is true; remove one of them";
                result = refuse(name, node.at, message, problems);
            }
        }
        return result;
    }
    let unit = unit(fields, problems);
    let multiplier = fields.number(MULTIPLIER, 1, problems);
    let requests = fields.number(REQUESTS, 0, problems);
    let requests = fields.required(REQUESTS, requests, problems);
    let (unit, unit_multiplier, requests) = (unit?, multiplier?.unwrap_or(1), requests?);
    let millis = unit.secs().saturating_mul(u64::from(unit_multiplier)).saturating_mul(1000);
    // A window that is too long is wrong where nothing passes, too.
    let spec = Rate::new(u64::from(requests.max(1)), millis)
        .map_err(|error| error.to_string())
        .and_then(|rate| {
            Spec::new(Algorithm::FixedWindow, rate, None, Anchor::Clock)
                .map_err(|error| error.to_string())
        });
    let spec = spec.map_err(|message| {
        problems.report(fields.place(MULTIPLIER), message);
        Reported
    })?;
    let allowed = if requests == 0 { Allowed::Nothing } else { Allowed::Rate(spec) };
    Ok(Limit { requests, unit: Some(unit), unit_multiplier, ..none(allowed) })
}

fn unit(fields: &Fields<'_>, problems: &mut Problems) -> Result<Unit, Reported> {
    let text = fields.text(UNIT, problems);
    let text = fields.required(UNIT, text, problems)?;
    if let Some(unit) = Unit::parse(&text) {
        return Ok(unit);
    }
    let units = Unit::ALL.map(|unit| unit.as_str().to_ascii_lowercase()).join(", ");
    refuse(UNIT, fields.place(UNIT), &format!("is one of {units}"), problems)
}

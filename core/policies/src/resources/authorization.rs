//! AuthorizationPolicy.

use postern_document::yaml::{Node, Problems};

use super::Reader;
use super::fields::Fields;
use super::meta::{Annotation, Meta, Opened};
use super::rule::{Rule, Test, rule};
use super::selection::Selection;

/// Most rules in one policy (CRD).
const MAX_RULES: usize = 512;
/// The annotation by which a policy is tried out.
pub(super) const DRY_RUN: &str = "istio.io/dry-run";

/// Who may do what with the workloads that it selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationPolicy {
    /// Whose it is.
    pub meta: Meta,
    /// Which workloads it is for.
    pub selection: Selection,
    /// What becomes of a request that matches one of the rules.
    pub action: Action,
    /// It only tells what it would do (`istio.io/dry-run`).
    pub dry_run: bool,
    /// Without any, nothing matches.
    pub rules: Vec<Rule>,
}

/// What a policy does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// What matches may pass, and nothing that no policy of this kind matches.
    Allow,
    /// What matches is refused.
    Deny,
    /// What matches is written down.
    Audit,
    /// About what matches, an authorizer of the mesh's configuration is asked.
    Custom {
        /// The name of the extension provider.
        provider: String,
    },
}

impl Action {
    /// As policies spell it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
            Self::Audit => "AUDIT",
            Self::Custom { .. } => "CUSTOM",
        }
    }
}

const KNOWN: [&str; 6] = ["selector", "targetRef", "targetRefs", "rules", "action", "provider"];

pub(super) fn read(opened: Opened<'_>, reader: &mut Reader<'_>) -> Option<AuthorizationPolicy> {
    let Opened { meta, annotations, spec } = opened;
    let mut policy = match spec {
        Some(spec) => reader.within("spec", |reader| spec_of(spec, meta, reader))?,
        // Without `spec` it is a policy that allows nothing.
        None => AuthorizationPolicy {
            meta,
            selection: Selection::default(),
            action: Action::Allow,
            dry_run: false,
            rules: Vec::new(),
        },
    };
    if let Some(annotation) = annotations.iter().find(|annotation| annotation.name == DRY_RUN) {
        policy.dry_run = dry_run(annotation, &policy.action, reader.problems);
    }
    Some(policy)
}

/// Whether a policy only tells what it would do (`pkg/config/validation/validation.go`,
/// `checkDryRunAnnotation`).
fn dry_run(annotation: &Annotation, action: &Action, problems: &mut Problems) -> bool {
    let message = match action {
        Action::Allow | Action::Deny => match annotation.text.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => return true,
            "0" | "f" | "F" | "FALSE" | "false" | "False" => return false,
            _ => format!("`{DRY_RUN}` is neither true nor false"),
        },
        Action::Audit => format!("`{DRY_RUN}` is for ALLOW and DENY; AUDIT refuses nothing anyway"),
        Action::Custom { .. } => {
            format!("`{DRY_RUN}` is for ALLOW and DENY; CUSTOM asks all the same")
        }
    };
    problems.report(annotation.at, message);
    false
}

fn spec_of(node: &Node, meta: Meta, reader: &mut Reader<'_>) -> Option<AuthorizationPolicy> {
    let fields = reader.open(node, &KNOWN)?;
    let selection = Selection::read(&fields, reader.problems);
    let items = fields.list("rules", MAX_RULES, reader.problems).unwrap_or_default();
    let mut rules = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        reader.enter("rules", index, |reader| rules.extend(rule(item, &meta.namespace, reader)));
    }
    let action = action(&fields, reader.problems)?;
    if items.is_empty() && matches!(action, Action::Deny | Action::Custom { .. }) {
        let message = format!(
            "{} without `rules` matches nothing; one empty rule `{{}}` matches everything",
            action.as_str()
        );
        reader.problems.report(fields.place("rules"), message);
    }
    if matches!(action, Action::Custom { .. }) {
        check_custom(&rules, &fields, reader.problems);
    }
    Some(AuthorizationPolicy { meta, selection, action, dry_run: false, rules })
}

fn action(fields: &Fields<'_>, problems: &mut Problems) -> Option<Action> {
    let provider = fields.get("provider").map(|node| {
        problems.within("provider", |problems| {
            let fields = Fields::open(node, &["name"], problems)?;
            fields.required("name", problems)
        })
    });
    let word = match fields.get("action") {
        None => "ALLOW".to_owned(),
        Some(_) => fields.text("action", problems)?,
    };
    if word == "CUSTOM" {
        if provider.is_none() {
            problems.report(fields.at, "CUSTOM needs `provider`");
        }
        return provider.flatten().map(|provider| Action::Custom { provider });
    }
    if provider.is_some() {
        problems.report(fields.place("provider"), "`provider` is for CUSTOM alone");
    }
    match word.as_str() {
        "ALLOW" => Some(Action::Allow),
        "DENY" => Some(Action::Deny),
        "AUDIT" => Some(Action::Audit),
        _ => {
            let message = "expected one of ALLOW, DENY, AUDIT, CUSTOM";
            problems.within("action", |problems| problems.report(fields.place("action"), message));
            None
        }
    }
}

/// CUSTOM is decided before anybody is authenticated.
fn check_custom(rules: &[Rule], fields: &Fields<'_>, problems: &mut Problems) {
    for (index, rule) in rules.iter().enumerate() {
        let asks =
            |test: &&Test| test.attribute.is_from_token() || test.attribute.is_from_certificate();
        for test in rule.tests().filter(asks) {
            let message = format!("rules[{index}]: CUSTOM cannot ask for {}", test.attribute);
            problems.report(fields.place("rules"), message);
        }
    }
}

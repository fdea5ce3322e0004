//! From a list of descriptors to one level of the tree, and those below it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use postern_document::yaml::{Node as Value, Problems};
use postern_document::{Position, Source};

use crate::fields::{Fields, list};
use crate::limit::limit;
use crate::replaces::Link;
use crate::rule::{self, Rule, Step};
use crate::tree::{Level, Node};
use crate::{MAX_DEPTH, MAX_DESCRIPTORS, MAX_PATH_BYTES};

/// Which keys and values stand beside each other already, and where.
pub(crate) type Seen = HashMap<(String, Option<String>), Position>;

/// Reads the descriptors of one file.
pub(crate) struct Reader<'r> {
    pub(crate) sources: &'r [Source],
    /// The lines of the file.
    pub(crate) lines: &'r [&'r str],
    pub(crate) domain: &'r str,
    pub(crate) links: &'r mut Vec<Link>,
    /// How many descriptors were read, those of other files included.
    pub(crate) count: usize,
    /// The descriptors above the one that is read, and itself.
    pub(crate) steps: Vec<Step>,
}

impl Reader<'_> {
    /// Reads descriptors that stand beside each other, and beside those that were `seen`.
    pub(crate) fn descriptors(
        &mut self,
        node: &Value,
        level: &mut Level,
        seen: &mut Seen,
        problems: &mut Problems,
    ) {
        let items = list(node, problems);
        if self.steps.len() >= MAX_DEPTH && !items.is_empty() {
            problems.report(node.at, format!("descriptors nest at most {MAX_DEPTH} deep"));
            return;
        }
        for (index, item) in items.iter().enumerate() {
            if self.count > MAX_DESCRIPTORS {
                return;
            }
            self.count += 1;
            if self.count > MAX_DESCRIPTORS {
                let message = format!("at most {MAX_DESCRIPTORS} descriptors in all files");
                problems.report(item.at, message);
                return;
            }
            problems.at_index(index, |problems| self.descriptor(item, level, seen, problems));
        }
        level.sort();
    }

    fn descriptor(
        &mut self,
        node: &Value,
        level: &mut Level,
        seen: &mut Seen,
        problems: &mut Problems,
    ) {
        let known = [
            "key",
            "value",
            "rate_limit",
            "shadow_mode",
            "quota_mode",
            "detailed_metric",
            "value_to_metric",
            "share_threshold",
            "descriptors",
        ];
        let Some(fields) = Fields::open(node, &known, self.lines, problems) else { return };
        let key = fields.text("key", problems);
        let key = fields.required("key", key, problems);
        let value = fields.text("value", problems);
        if let (Ok(key), Ok(value)) = (&key, &value) {
            self.once(node.at, key, value.as_deref(), seen, problems);
        }
        // With a problem there is no tree: what goes on in its place only finds the others.
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        let shared = fields.flag("share_threshold", problems).unwrap_or_default();
        if shared && !value.as_ref().is_some_and(|value| value.contains('*')) {
            let message = "`share_threshold` is for values with `*`";
            problems.report(fields.place("share_threshold"), message);
        }
        let value_to_metric = fields.flag("value_to_metric", problems).unwrap_or_default();
        self.steps.push(Step { key: key.clone(), value: value.clone(), shared, value_to_metric });
        self.check_size(node.at, problems);
        let rule = self.rule(&fields, problems);
        let mut below = Level::default();
        if let Some(node) = fields.get("descriptors") {
            problems.within("descriptors", |problems| {
                self.descriptors(node, &mut below, &mut Seen::new(), problems);
            });
        }
        self.steps.pop();
        level.insert(key, value, Node { rule, below });
    }

    /// The rule of the descriptor that is read, where it has one.
    fn rule(&mut self, fields: &Fields<'_>, problems: &mut Problems) -> Option<Rule> {
        let shadow = fields.flag("shadow_mode", problems).unwrap_or_default();
        let quota = fields.flag("quota_mode", problems).unwrap_or_default();
        let detailed = fields.flag("detailed_metric", problems).unwrap_or_default();
        let node = fields.get("rate_limit")?;
        let limit = problems.within("rate_limit", |problems| limit(node, self.lines, problems));
        let limit = limit.ok()?;
        if !limit.name.is_empty() && !limit.replaces.is_empty() {
            let (name, replaces) = (limit.name.clone(), limit.replaces.clone());
            self.links.push(Link { name, replaces, at: node.at });
        }
        Some(Rule {
            full_key: rule::full_key(self.domain, &self.steps),
            name: limit.name,
            replaces: limit.replaces,
            allowed: limit.allowed,
            requests: limit.requests,
            unit: limit.unit,
            unit_multiplier: limit.unit_multiplier,
            shadow,
            quota,
            shared: rule::shared(&self.steps),
            metric: rule::metric(&self.steps, detailed),
        })
    }

    /// Reports what stands beside it already: which of the two was meant nobody can tell.
    fn once(
        &self,
        at: Position,
        key: &str,
        value: Option<&str>,
        seen: &mut Seen,
        problems: &mut Problems,
    ) {
        match seen.entry((key.to_owned(), value.map(str::to_owned))) {
            Entry::Vacant(vacant) => {
                vacant.insert(at);
            }
            Entry::Occupied(first) => {
                let first = place(self.sources, *first.get(), Some(at.file));
                let value = value.map_or_else(
                    || "without a value".to_owned(),
                    |value| format!("with the value `{}`", value.escape_debug()),
                );
                let key = key.escape_debug();
                problems.report(at, format!("`{key}` {value} stands {first} already"));
            }
        }
    }

    fn check_size(&self, at: Position, problems: &mut Problems) {
        let bytes = |step: &Step| step.key.len() + step.value.as_ref().map_or(0, String::len);
        if self.steps.iter().map(bytes).sum::<usize>() > MAX_PATH_BYTES {
            let message = format!(
                "keys and values down to here take more than {MAX_PATH_BYTES} bytes; no request may"
            );
            problems.report(at, message);
        }
    }
}

/// `on line 7`, and of which file where that is not the one at hand.
pub(crate) fn place(sources: &[Source], at: Position, here: Option<usize>) -> String {
    match sources.get(at.file) {
        Some(source) if here != Some(at.file) => format!("on line {} of {}", at.line, source.name),
        _ => format!("on line {}", at.line),
    }
}

//! Rules of an AuthorizationPolicy.

use postern_document::yaml::{Kind, Node};

use super::Reader;
use super::attribute::{Attribute, OPERATION, SOURCE};
use super::fields::Fields;
use crate::pattern::Pattern;

/// Most alternatives in `from` (CRD), and in `to`, for which there is no bound in the CRD.
const MAX_FROM: usize = 512;
const MAX_TO: usize = 4096;
const MAX_CONDITIONS: usize = 4096;
/// Most values of one field; service accounts have a bound of their own.
const MAX_VALUES: usize = 100_000;
const MAX_ACCOUNTS: usize = 16;

/// One rule: it matches where one of `from`, one of `to` and all of `when` do. What is empty
/// matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// The line where it begins.
    pub line: usize,
    /// Callers, of which it must be one.
    pub from: Vec<Vec<Test>>,
    /// Operations, of which it must be one.
    pub to: Vec<Vec<Test>>,
    /// What must hold besides.
    pub when: Vec<Test>,
}

impl Rule {
    /// Whether it matches every request.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.from.is_empty() && self.to.is_empty() && self.when.is_empty()
    }

    /// Everything that it asks.
    pub fn tests(&self) -> impl Iterator<Item = &Test> {
        self.from.iter().chain(&self.to).flatten().chain(&self.when)
    }
}

/// One thing that a rule asks: the attribute must match one of `values`, where there are any,
/// and none of `not_values`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// What is asked about.
    pub attribute: Attribute,
    /// What it must match one of.
    pub values: Vec<Pattern>,
    /// What it must match none of.
    pub not_values: Vec<Pattern>,
    /// Where this stands in the rule, such as `from[0].source` or `when[1]`.
    pub(crate) base: String,
    /// How the field with `values` is called there, and the one with `not_values`.
    pub(crate) fields: (&'static str, &'static str),
}

impl Test {
    /// Where the values stand in the rule, such as `to[0].operation.paths`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}.{}", self.base, self.fields.0)
    }

    /// Where the values stand that must not match, such as `to[0].operation.notPaths`.
    #[must_use]
    pub fn not_place(&self) -> String {
        format!("{}.{}", self.base, self.fields.1)
    }
}

/// Reads one rule of a policy of `namespace`.
pub(super) fn rule(node: &Node, namespace: &str, reader: &mut Reader<'_>) -> Option<Rule> {
    let fields = reader.open(node, &["from", "to", "when"])?;
    for name in ["from", "to", "when"] {
        reader.warn_of_nothing(&fields, name);
    }
    let from = Side { name: "from", inner: "source", most: MAX_FROM, table: &SOURCE };
    let to = Side { name: "to", inner: "operation", most: MAX_TO, table: &OPERATION };
    let (from, to) = (from.read(&fields, namespace, reader), to.read(&fields, namespace, reader));
    let items = fields.list("when", MAX_CONDITIONS, reader.problems).unwrap_or_default();
    let mut when = Vec::new();
    for (index, item) in items.iter().enumerate() {
        reader.enter("when", index, |reader| {
            when.extend(condition(item, &format!("when[{index}]"), namespace, reader));
        });
    }
    Some(Rule { line: node.at.line, from, to, when })
}

/// `from` or `to`: a list of mappings, each with one mapping in it.
struct Side {
    name: &'static str,
    inner: &'static str,
    most: usize,
    /// The fields in there: a field, its negation, and the attribute.
    table: &'static [(&'static str, &'static str, Attribute)],
}

impl Side {
    fn read(
        &self,
        fields: &Fields<'_>,
        namespace: &str,
        reader: &mut Reader<'_>,
    ) -> Vec<Vec<Test>> {
        let items = fields.list(self.name, self.most, reader.problems).unwrap_or_default();
        let mut read = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let base = format!("{}[{index}].{}", self.name, self.inner);
            reader.enter(self.name, index, |reader| {
                let Some(outer) = reader.open(item, &[self.inner]) else { return };
                match outer.get(self.inner) {
                    Some(node) => reader.within(self.inner, |reader| {
                        read.extend(self.tests(node, &base, namespace, reader));
                    }),
                    // istiod generates a rule from it that takes everything.
                    None => {
                        let message = format!("`{}` is missing", self.inner);
                        reader.problems.report(item.at, message);
                    }
                }
            });
        }
        read
    }

    fn tests(
        &self,
        node: &Node,
        base: &str,
        namespace: &str,
        reader: &mut Reader<'_>,
    ) -> Option<Vec<Test>> {
        let known: Vec<&str> = self.table.iter().flat_map(|(name, not, _)| [*name, *not]).collect();
        let fields = reader.open(node, &known)?;
        if !known.iter().any(|name| says_something(&fields, name)) {
            reader.problems.report(node.at, format!("`{}` must not be empty", self.inner));
        }
        let mut tests = Vec::new();
        for (name, not, attribute) in self.table {
            tests.extend(test(&fields, (*name, *not), attribute, base, namespace, reader));
        }
        // istiod refuses service accounts beside what they stand for already.
        let asks = |attribute: &Attribute| tests.iter().any(|test| test.attribute == *attribute);
        let beside = asks(&Attribute::Principal) || asks(&Attribute::Namespace);
        if asks(&Attribute::ServiceAccount) && beside {
            let message = "either service accounts, or namespaces and principals";
            reader.problems.report(node.at, message);
        }
        Some(tests)
    }
}

fn condition(node: &Node, base: &str, namespace: &str, reader: &mut Reader<'_>) -> Option<Test> {
    let names = ("values", "notValues");
    let fields = reader.open(node, &["key", names.0, names.1])?;
    let key = fields.required("key", reader.problems)?;
    if !says_something(&fields, names.0) && !says_something(&fields, names.1) {
        let message = "`values` or `notValues` must be there, with something in it";
        reader.problems.report(node.at, message);
    }
    match Attribute::of_key(&key) {
        Ok(attribute) => test(&fields, names, &attribute, base, namespace, reader),
        Err(message) => {
            reader.problems.report(fields.place("key"), message);
            None
        }
    }
}

/// Whether a field is there and no empty list, which is as good as none.
fn says_something(fields: &Fields<'_>, name: &str) -> bool {
    fields.get(name).is_some_and(|node| node.kind != Kind::List(Vec::new()))
}

/// Reads a field and its negation; none where neither says anything.
fn test(
    fields: &Fields<'_>,
    names: (&'static str, &'static str),
    attribute: &Attribute,
    base: &str,
    namespace: &str,
    reader: &mut Reader<'_>,
) -> Option<Test> {
    for name in [names.0, names.1] {
        reader.warn_of_nothing(fields, name);
    }
    if !says_something(fields, names.0) && !says_something(fields, names.1) {
        return None;
    }
    if *attribute == Attribute::TrustDomain {
        let message = "Istio before 1.31 does not know trust domains, and takes all of them";
        reader.warnings.report(fields.at, message);
    }
    Some(Test {
        attribute: attribute.clone(),
        values: patterns(fields, names.0, attribute, namespace, reader),
        not_values: patterns(fields, names.1, attribute, namespace, reader),
        base: base.to_owned(),
        fields: names,
    })
}

fn patterns(
    fields: &Fields<'_>,
    name: &str,
    attribute: &Attribute,
    namespace: &str,
    reader: &mut Reader<'_>,
) -> Vec<Pattern> {
    let most = match attribute {
        Attribute::ServiceAccount => MAX_ACCOUNTS,
        _ => MAX_VALUES,
    };
    let texts = fields.texts(name, most, reader.problems);
    let mut patterns = Vec::with_capacity(texts.len());
    for (index, (text, at)) in texts.into_iter().enumerate() {
        match Pattern::read(attribute, &text, namespace) {
            Ok(pattern) => patterns.push(pattern),
            Err(message) => reader.problems.within(name, |problems| {
                problems.at_index(index, |problems| {
                    problems.report(at, format!("`{}`: {message}", text.escape_debug()));
                });
            }),
        }
    }
    patterns
}

//! What people hand over for manifests, and is none.

use postern_document::Source;
use postern_document::yaml::{Problems, parse_all};

/// What is said of a text that is a template.
pub(crate) const TEMPLATE: &str =
    "this looks like a template (`{{`): render it first, and give what `helm template` prints";

/// The first line of a text that is no YAML before somebody fills it in; none of any other text.
pub(crate) fn template(source: &Source) -> Option<usize> {
    let line = source.text.lines().position(|line| line.contains("{{"))?;
    let mut problems = Problems::new(vec![source.name.clone()]);
    parse_all(&source.text, 0, &mut problems);
    (!problems.is_empty()).then_some(line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_told_from_text_with_braces() {
        for (text, expected) in [
            ("a: b\nkind: {{ .Values.kind }}\n", Some(2)),
            ("{{- if .Values.on }}\na: b\n{{- end }}\n", Some(1)),
            ("a: '{{ b }}'\n", None),
            ("a: [\n", None),
            ("a: b\n", None),
        ] {
            let source = Source { name: "f.yaml".to_owned(), text: text.to_owned() };
            assert_eq!(template(&source), expected, "{text}");
        }
    }
}

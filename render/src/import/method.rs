//! Methods. The document lists some, or takes all.

use std::collections::BTreeSet;

use super::star::Star;

/// What stands for all methods where some of them are not meant.
const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Methods that a policy lets in; none is all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Within {
    pub(super) methods: BTreeSet<Option<String>>,
    /// Whether that is less than the policy says.
    pub(super) less: bool,
}

/// What of a policy's methods the document can take.
pub(super) fn within(values: &[String], not_values: &[String]) -> Within {
    let mut less = false;
    let mut methods: BTreeSet<Option<String>> = BTreeSet::new();
    if values.is_empty() {
        methods.insert(None);
    }
    for value in values {
        match Star::read(value) {
            Star::Any => {
                methods.insert(None);
            }
            Star::Exact(exact) if is_writable(exact) => {
                methods.insert(Some(exact.to_owned()));
            }
            star => {
                less = true;
                let known = KNOWN.into_iter().filter(|known| star.matches(known));
                methods.extend(known.map(|known| Some(known.to_owned())));
            }
        }
    }
    if not_values.is_empty() {
        return Within { methods, less };
    }
    if methods.remove(&None) {
        less = true;
        methods.extend(KNOWN.map(|known| Some(known.to_owned())));
    }
    let is_out = |method: &str| not_values.iter().any(|value| Star::read(value).matches(method));
    methods.retain(|method| method.as_ref().is_some_and(|method| !is_out(method)));
    Within { methods, less }
}

/// How a policy that keeps requests out takes the methods of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// None of them is meant.
    Nothing,
    /// These are; none is the cell's own, be that one or all.
    Some(BTreeSet<Option<String>>),
    /// All of them but these.
    AllBut(BTreeSet<String>),
}

/// The methods of a cell that a policy keeps out, or more.
pub(super) fn around(values: &[String], not_values: &[String], method: Option<&str>) -> Kept {
    let is_in = |method: &str| {
        let matches = |values: &[String]| values.iter().any(|v| Star::read(v).matches(method));
        (values.is_empty() || matches(values)) && !matches(not_values)
    };
    if let Some(method) = method {
        return if is_in(method) { Kept::Some([None].into()) } else { Kept::Nothing };
    }
    let is_exact = |value: &String| matches!(Star::read(value), Star::Exact(_));
    if !values.is_empty() && values.iter().all(is_exact) {
        // Whatever else stands there, CONNECT and TRACE among them, passes no gateway of ours, or
        // is kept out with everything.
        if values.iter().all(|value| is_writable(value) || never_passes(value)) {
            let named = values.iter().filter(|value| is_writable(value) && is_in(value));
            let named: BTreeSet<Option<String>> = named.cloned().map(Some).collect();
            return if named.is_empty() { Kept::Nothing } else { Kept::Some(named) };
        }
        return Kept::Some([None].into());
    }
    if values.is_empty() && !not_values.is_empty() && not_values.iter().all(is_exact) {
        let but = not_values.iter().filter(|value| is_writable(value)).cloned().collect();
        return Kept::AllBut(but);
    }
    Kept::Some([None].into())
}

/// Whether the document can list it.
fn is_writable(method: &str) -> bool {
    !method.is_empty()
        && method.len() <= 32
        && method.bytes().all(|byte| byte.is_ascii_uppercase())
        && !never_passes(method)
}

/// Methods that do not pass a gateway of ours.
fn never_passes(method: &str) -> bool {
    matches!(method, "CONNECT" | "TRACE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn what_lets_in_is_never_wider() {
        let none: &[&str] = &[];
        for (values, not_values, expected, less) in [
            (none, none, "*", false),
            (&["*"], &[], "*", false),
            (&["GET", "POST"], &[], "GET POST", false),
            (&["P*"], &[], "PATCH POST PUT", true),
            (&["get"], &[], "", true),
            (&["TRACE"], &[], "", true),
            (&[], &["P*"], "DELETE GET HEAD OPTIONS", true),
            (&["GET", "POST"], &["POST"], "GET", false),
            (&["GET"], &["GET"], "", false),
        ] {
            let found = within(&texts(values), &texts(not_values));
            let words = found.methods.iter().map(|method| method.as_deref().unwrap_or("*"));
            assert_eq!(words.collect::<Vec<_>>().join(" "), expected, "{values:?} {not_values:?}");
            assert_eq!(found.less, less, "{values:?} {not_values:?}");
        }
    }

    #[test]
    fn what_keeps_out_is_never_narrower() {
        let own = || Kept::Some([None].into());
        let post = || Kept::Some([Some("POST".to_owned())].into());
        let none: &[&str] = &[];
        for (values, not_values, method, expected) in [
            (none, none, None, own()),
            (&["POST"], &[], None, post()),
            (&["POST"], &[], Some("POST"), own()),
            (&["POST"], &[], Some("GET"), Kept::Nothing),
            (&["P*"], &[], None, own()),
            (&["P*"], &[], Some("PUT"), own()),
            (&["post"], &[], None, own()),
            (&["TRACE"], &[], None, Kept::Nothing),
            (&[], &["GET"], None, Kept::AllBut(["GET".to_owned()].into())),
            (&[], &["GET"], Some("GET"), Kept::Nothing),
            (&[], &["G*"], None, own()),
        ] {
            let found = around(&texts(values), &texts(not_values), method);
            assert_eq!(found, expected, "{values:?} {not_values:?} {method:?}");
        }
    }
}

//! Who calls: whom policies name, and somebody whom none of them has a reason to name.

use postern_policies::{Attribute, Resources, Rule, Test};

use super::draft::MOST;

/// Who calls a workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::review) enum Who {
    /// Somebody without a certificate of the mesh.
    Outside,
    /// A workload of the mesh that nobody names.
    Stranger,
    /// The gateway.
    Gateway,
    /// A workload that a policy or a route names, by its principal.
    Named(String),
}

impl Who {
    /// How reports call it.
    pub(in crate::review) fn told(&self) -> String {
        match self {
            Self::Outside => "in plain text".to_owned(),
            Self::Stranger => "any workload of the mesh".to_owned(),
            Self::Gateway => "the gateway".to_owned(),
            Self::Named(name) => name.clone(),
        }
    }
}

/// A caller who was made up for a policy that takes more than one, such as all of a namespace: whom
/// it stands for. None where a policy names this very one, or somebody else altogether.
pub(super) fn stands_for(name: &str, stranger: &str) -> Option<String> {
    let parts = |text: &str| -> Option<[String; 3]> {
        let all: Vec<&str> = text.split('/').collect();
        let &[domain, "ns", namespace, "sa", account] = all.as_slice() else { return None };
        Some([domain, namespace, account].map(str::to_owned))
    };
    let [domain, namespace, account] = parts(name)?;
    let [own_domain, own_namespace, own_account] = parts(stranger)?;
    match (namespace == own_namespace, account == own_account) {
        (false, true) => {
            Some(format!("anybody in the namespace {namespace} (tried as sa/{account})"))
        }
        (true, false) => Some(format!("anybody called {account} (tried in ns/{namespace})")),
        (true, true) if domain != own_domain => {
            let tried = format!("tried as ns/{namespace}/sa/{account}");
            Some(format!("anybody of the trust domain {domain} ({tried})"))
        }
        _ => None,
    }
}

/// How often another stranger is thought of.
const CANDIDATES: u64 = 64;

/// A workload that no policy names: no value about certificates matches it, so that only what is
/// for everybody lets it in. Who writes policies cannot guess it, because it depends on them.
pub(super) fn stranger(resources: &Resources, trust_domain: &str) -> String {
    let rules = resources.authorization().iter().flat_map(|policy| &policy.rules);
    let tests = rules.flat_map(Rule::tests).filter(|test| test.attribute.is_from_certificate());
    let named: Vec<(&Attribute, &str)> = tests
        .flat_map(|test| {
            let all = test.values.iter().chain(&test.not_values);
            all.map(move |value| (&test.attribute, value.as_str()))
        })
        .filter(|(_, text)| *text != "*")
        .collect();
    // FNV-1a: the same policies give the same names on every machine.
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let texts = named.iter().flat_map(|(_, text)| text.bytes());
    let seed = texts.fold(0xcbf2_9ce4_8422_2325, mix);
    let candidate = |count: u64| match count {
        0 => format!("{trust_domain}/ns/postern-review/sa/stranger"),
        _ => {
            let hash = count.to_le_bytes().into_iter().fold(seed, mix);
            let (namespace, account) = (word(hash), word(hash.rotate_left(29) ^ seed));
            format!("{trust_domain}/ns/{namespace}/sa/{account}")
        }
    };
    let meant = |name: &String| {
        named.iter().filter(|(attribute, text)| is_meant(attribute, text, name)).count()
    };
    // Where a value takes everybody, so does the stranger that the fewest others take.
    let mut best: Option<(usize, String)> = None;
    for name in (0..CANDIDATES).map(candidate) {
        let count = meant(&name);
        if best.as_ref().is_none_or(|(least, _)| count < *least) {
            best = Some((count, name));
        }
        if count == 0 {
            break;
        }
    }
    best.map(|(_, name)| name).unwrap_or_default()
}

/// Eight letters.
fn word(hash: u64) -> String {
    let letters = b"bcdfghjklmnpqrstvwxz";
    let of = |at: u32| {
        let byte = hash.rotate_right(at * 8).to_le_bytes().first().copied().unwrap_or(0);
        letters.get(usize::from(byte) % letters.len()).copied().unwrap_or(b'b')
    };
    (0..8).map(|at| char::from(of(at))).collect()
}

/// Whether a value about certificates means a principal, as far as its form tells.
fn is_meant(attribute: &Attribute, text: &str, principal: &str) -> bool {
    let mut parts = principal.split('/');
    let (domain, namespace) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
    let account = parts.nth(1).unwrap_or_default();
    match attribute {
        Attribute::Principal => like(text, principal),
        Attribute::Namespace => like(text, namespace),
        Attribute::ServiceAccount => {
            text.rsplit('/').next() == Some(account)
                && (!text.contains('/') || text.starts_with(&format!("{namespace}/")))
        }
        // Its trust domain is the mesh's, which it has to be in.
        Attribute::TrustDomain => text != domain && like(text, domain),
        _ => false,
    }
}

/// Whether a pattern takes a text; each `*` stands for anything.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let mut literals = pattern.split('*');
    let first = literals.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = literals.next_back() else { return rest.is_empty() };
    let Some(inner) = rest.strip_suffix(last) else { return false };
    rest = inner;
    literals.all(|literal| match rest.split_once(literal) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// Callers that tests ask for, by their principals: those whose values name somebody. None where
/// nothing is asked of certificates, or only who it must not be.
pub(super) fn named(tests: &[&Test], policy_namespace: &str, stranger: &str) -> Vec<String> {
    let values = |wanted: &Attribute| -> Vec<&str> {
        let tests = tests.iter().filter(|test| test.attribute == *wanted);
        let all = tests.flat_map(|test| &test.values).map(postern_policies::Pattern::as_str);
        all.take(MOST).collect()
    };
    let parts: Vec<&str> = stranger.split('/').collect();
    let &[domain, _, namespace, _, account] = parts.as_slice() else { return Vec::new() };
    let domains = or(&values(&Attribute::TrustDomain), domain);
    let namespaces = or(&values(&Attribute::Namespace), namespace);
    let whole = |domain: &str, namespace: &str, account: &str| {
        format!("{domain}/ns/{namespace}/sa/{account}")
    };
    let (first_domain, first_namespace) =
        (domains.first().map_or("", String::as_str), namespaces.first().map_or("", String::as_str));
    let principals = values(&Attribute::Principal);
    if !principals.is_empty() {
        let fill = whole(first_domain, first_namespace, account);
        return principals.iter().map(|pattern| complete(pattern, &fill)).collect();
    }
    let accounts = values(&Attribute::ServiceAccount);
    if !accounts.is_empty() {
        let of = |text: &&str| {
            let (namespace, name) = text.split_once('/').unwrap_or((policy_namespace, *text));
            whole(first_domain, namespace, name)
        };
        return accounts.iter().map(of).collect();
    }
    let asks = |attribute: &Attribute| !values(attribute).is_empty();
    if !asks(&Attribute::TrustDomain) && !asks(&Attribute::Namespace) {
        return Vec::new();
    }
    let of_namespaces = namespaces.iter().map(|namespace| whole(first_domain, namespace, account));
    let of_domains = domains.iter().skip(1).map(|domain| whole(domain, first_namespace, account));
    of_namespaces.chain(of_domains).collect()
}

/// Whom tests exclude by name: what lets in all but these has them as its neighbours.
pub(super) fn excluded(tests: &[&Test], stranger: &str) -> Vec<String> {
    let tests = tests.iter().filter(|test| test.attribute == Attribute::Principal);
    let all = tests.flat_map(|test| &test.not_values).take(MOST);
    all.map(|pattern| complete(pattern.as_str(), stranger)).collect()
}

/// A text for each value, with something in place of each `*`; the default where there are none.
fn or(values: &[&str], default: &str) -> Vec<String> {
    let fill = |text: &&str| {
        if *text == "*" || like(text, default) {
            default.to_owned()
        } else {
            text.replace('*', "x")
        }
    };
    if values.is_empty() {
        return vec![default.to_owned()];
    }
    values.iter().map(fill).collect()
}

/// A principal that a pattern takes, filled up from another one to the form that names have.
fn complete(pattern: &str, fill: &str) -> String {
    if like(pattern, fill) {
        return fill.to_owned();
    }
    // What the fill ends with, from longer to shorter: one of them makes the whole.
    let ends = |text: &str| -> Vec<String> {
        let cuts = text.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| at);
        let ends = cuts.filter_map(|at| text.get(at..));
        ends.flat_map(|end| [end.to_owned(), end.trim_start_matches('/').to_owned()]).collect()
    };
    let begins = |text: &str| -> Vec<String> {
        let cuts = text.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| at);
        let begins = cuts.filter_map(|at| text.get(..at));
        begins.flat_map(|begin| [begin.to_owned(), format!("{begin}/")]).collect()
    };
    let candidates: Vec<String> = match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(prefix), _) => {
            let behind = ends(fill);
            let plain = behind.iter().map(|end| format!("{prefix}{end}"));
            plain.chain(behind.iter().map(|end| format!("{prefix}x{end}"))).collect()
        }
        (None, Some(suffix)) => {
            let before = begins(fill);
            let plain = before.iter().map(|begin| format!("{begin}{suffix}"));
            plain.chain(before.iter().map(|begin| format!("{begin}x{suffix}"))).collect()
        }
        // Only at its ends is `*` anything but itself.
        (None, None) => return pattern.to_owned(),
    };
    let whole = candidates.iter().find(|text| is_whole(text));
    whole.or(candidates.last()).cloned().unwrap_or_default()
}

/// `DOMAIN/ns/NAMESPACE/sa/NAME`
fn is_whole(principal: &str) -> bool {
    let parts: Vec<&str> = principal.split('/').collect();
    let named = |part: &str| !part.is_empty() && !part.contains('*');
    matches!(parts.as_slice(), [domain, "ns", namespace, "sa", account]
        if named(domain) && named(namespace) && named(account))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILL: &str = "cluster.local/ns/somewhere/sa/somebody";

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("*", "a", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("*b", "abc", false),
            ("a*c*e", "abcde", true),
            ("a*e*c", "abcde", false),
            ("ab*bc", "abc", false),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_of_principals_become_principals() {
        for (pattern, expected) in [
            ("cluster.local/ns/a/sa/b", "cluster.local/ns/a/sa/b"),
            ("*", FILL),
            ("cluster.local/*", FILL),
            ("cluster.local/ns/a/*", "cluster.local/ns/a/sa/somebody"),
            ("cluster.local/ns/a/sa/*", "cluster.local/ns/a/sa/somebody"),
            ("cluster.local/ns/a/sa/b*", "cluster.local/ns/a/sa/bsomebody"),
            ("cluster.local/ns/a*", "cluster.local/ns/asomewhere/sa/somebody"),
            ("other/*", "other/ns/somewhere/sa/somebody"),
            ("*/ns/a/sa/b", "cluster.local/ns/a/sa/b"),
            ("*/sa/b", "cluster.local/ns/somewhere/sa/b"),
            ("*b", "cluster.local/ns/somewhere/sa/b"),
        ] {
            assert_eq!(complete(pattern, FILL), expected, "{pattern}");
        }
    }

    #[test]
    fn whoever_was_made_up_is_told_by_whom_it_stands_for() {
        for (name, expected) in [
            (
                "cluster.local/ns/office/sa/somebody",
                Some("anybody in the namespace office (tried as sa/somebody)"),
            ),
            ("cluster.local/ns/somewhere/sa/b", Some("anybody called b (tried in ns/somewhere)")),
            (
                "b.test/ns/somewhere/sa/somebody",
                Some("anybody of the trust domain b.test (tried as ns/somewhere/sa/somebody)"),
            ),
            ("cluster.local/ns/office/sa/b", None),
            (FILL, None),
            ("office", None),
        ] {
            assert_eq!(stands_for(name, FILL).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn words_are_names_that_kubernetes_takes() {
        for hash in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
            let word = word(hash);
            assert!(word.len() == 8 && word.bytes().all(|b| b.is_ascii_lowercase()), "{word}");
        }
    }
}

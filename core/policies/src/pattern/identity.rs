//! Who calls: workloads by their certificates, users by their tokens.

use super::Text;

/// How names in certificates begin, which policies leave out.
pub(crate) const SCHEME: &str = "spiffe://";

/// A namespace of callers, with any number of `*`: the expression `.*/ns/NAMESPACE/.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// What stands between the stars.
    literals: Vec<String>,
}

impl Namespace {
    pub(crate) fn read(text: &str) -> Self {
        let whole = format!("*/ns/{text}/*");
        Self { literals: whole.split('*').map(str::to_owned).collect() }
    }

    /// `uri` is a whole name, `spiffe://` included.
    pub(crate) fn matches(&self, uri: &str) -> bool {
        // The whole begins and ends with a star, so the literals only have to come in order.
        let mut rest = uri;
        self.literals.iter().all(|literal| match rest.split_once(literal.as_str()) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
    }
}

/// A service account: `spiffe://.+/ns/NAMESPACE/(.+/|)sa/NAME(/.+)?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceAccount {
    namespace: String,
    name: String,
}

impl ServiceAccount {
    /// Reads `name` or `namespace/name`; without a namespace, it is the policy's.
    pub(crate) fn read(text: &str, namespace: &str) -> Result<Self, &'static str> {
        let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
        if text.contains('*') {
            return Err("a service account is named in full, without `*`");
        }
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return Err("a service account is `name` or `namespace/name`");
        }
        if text.len() > 320 {
            return Err("a service account has at most 320 characters");
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    pub(crate) fn matches(&self, uri: &str) -> bool {
        let Some(rest) = uri.strip_prefix(SCHEME) else { return false };
        // Nearly all callers are told apart by this.
        if !rest.contains(self.name.as_str()) {
            return false;
        }
        let namespace = format!("/ns/{}/", self.namespace);
        let account = format!("sa/{}", self.name);
        // Each place where the namespace may stand, behind a trust domain.
        behind_each(rest, &namespace).filter(|(before, _)| !before.is_empty()).any(|(_, rest)| {
            behind_each(rest, &account).any(|(before, after)| {
                let begins = before.is_empty() || before.len() > 1 && before.ends_with('/');
                let ends = after.is_empty() || after.len() > 1 && after.starts_with('/');
                begins && ends
            })
        })
    }
}

/// What stands before and behind each place where `part` is found, overlapping ones too.
fn behind_each<'t>(text: &'t str, part: &str) -> impl Iterator<Item = (&'t str, &'t str)> {
    text.char_indices().filter_map(move |(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        Some((before, rest.strip_prefix(part)?))
    })
}

/// A trust domain, with at most one `*`, at an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustDomain {
    text: String,
}

impl TrustDomain {
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        let inner = text.strip_prefix('*').or_else(|| text.strip_suffix('*')).unwrap_or(text);
        if inner.contains('*') {
            return Err("a trust domain has at most one `*`, at its beginning or end");
        }
        if text.contains('/') {
            return Err("a trust domain has no slash");
        }
        Ok(Self { text: text.to_owned() })
    }

    /// `domains` are the mesh's: one of them stands for all.
    pub(crate) fn matches(&self, uri: &str, domains: &[String]) -> bool {
        let Some(rest) = uri.strip_prefix(SCHEME) else { return false };
        if self.text == "*" {
            return true;
        }
        let Some((domain, _)) = rest.split_once('/') else { return false };
        if domains.contains(&self.text) {
            return domains.iter().any(|one| one == domain);
        }
        Text::read(&self.text).matches_present(domain)
    }
}

/// Who a token speaks for: its issuer and its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) issuer: Text,
    pub(crate) subject: Text,
}

impl Subject {
    /// Reads `issuer/subject`, apart at the last slash, because an issuer may be a URL.
    pub(crate) fn read(text: &str) -> Self {
        let parts = text.rsplit_once('/');
        let (issuer, subject) = match (parts, text.starts_with('*'), text.ends_with('*')) {
            _ if text == "*" => (Text::Any, Text::Any),
            // A star at the front leaves no meaning to one at the end.
            (Some(("*", subject)), true, _) => (Text::Any, Text::Exact(subject.to_owned())),
            (Some((issuer, subject)), true, _) => {
                let suffix = issuer.strip_prefix('*').unwrap_or(issuer);
                (Text::Suffix(suffix.to_owned()), Text::Exact(subject.to_owned()))
            }
            (None, true, _) => {
                let suffix = text.strip_prefix('*').unwrap_or(text);
                (Text::Any, Text::Suffix(suffix.to_owned()))
            }
            (Some((issuer, "*")), false, true) => (Text::Exact(issuer.to_owned()), Text::Any),
            (Some((issuer, subject)), false, true) => {
                let prefix = subject.strip_suffix('*').unwrap_or(subject);
                (Text::Exact(issuer.to_owned()), Text::Prefix(prefix.to_owned()))
            }
            (None, false, true) => {
                let prefix = text.strip_suffix('*').unwrap_or(text);
                (Text::Prefix(prefix.to_owned()), Text::Any)
            }
            (Some((issuer, subject)), false, false) => {
                (Text::Exact(issuer.to_owned()), Text::Exact(subject.to_owned()))
            }
            (None, false, false) => (Text::Exact(text.to_owned()), Text::Exact(String::new())),
        };
        Self { issuer, subject }
    }
}

/// Whether a name is what a principal stands for in a mesh: a principal of one of its trust domains,
/// or of `cluster.local`, which stands for the mesh's own, is one of all of them
/// (`pilot/pkg/security/trustdomain/bundle.go`). `text` is how the principal itself is read.
pub(crate) fn is_principal(principal: &str, text: &Text, name: &str, domains: &[String]) -> bool {
    let Some((domain, rest)) = principal.split_once('/') else { return text.matches_present(name) };
    // Wherever it moves, its end stays: nearly all callers are told apart by this.
    if matches!(text, Text::Exact(_)) && !name.ends_with(rest) {
        return false;
    }
    // `DOMAIN/ns/NAMESPACE/sa/NAME`, or the domain is not looked at.
    let is_whole = principal.split('/').count() == 5;
    let moves = domain == "cluster.local" || domains.iter().any(|one| alike(domain, one));
    if !is_whole || domain == "*" || !moves {
        return text.matches_present(name);
    }
    domains.iter().any(|one| {
        let fits = domain.strip_prefix('*').is_some_and(|suffix| one.ends_with(suffix));
        if fits {
            return text.matches_present(name);
        }
        if one.starts_with('*') {
            return Text::read(&format!("{one}/{rest}")).matches_present(name);
        }
        let own = name.strip_prefix(one.as_str()).and_then(|own| own.strip_prefix('/'));
        own.is_some_and(|own| match rest.strip_suffix('*') {
            Some(prefix) => own.starts_with(prefix),
            None => own == rest,
        })
    })
}

/// Equal, or one is a pattern for the other.
fn alike(a: &str, b: &str) -> bool {
    let fits = |text: &str, pattern: &str| {
        pattern.strip_suffix('*').is_some_and(|prefix| text.starts_with(prefix))
            || pattern.strip_prefix('*').is_some_and(|suffix| text.ends_with(suffix))
    };
    a == b || fits(a, b) || fits(b, a)
}

#[cfg(test)]
mod tests;

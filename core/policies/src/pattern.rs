//! What the values of policies match.

mod block;
mod cover;
mod identity;
mod template;
mod text;

use crate::resources::Attribute;

pub(crate) use block::Block;
pub(crate) use identity::{Namespace, SCHEME, ServiceAccount, Subject, TrustDomain, is_principal};
pub(crate) use template::Template;
pub(crate) use text::Text;

/// One value of a policy: as it is written, and what it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    form: Form,
    texts: Texts,
}

/// What the texts are that values of an attribute are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Texts {
    /// Callers' names.
    Principals,
    /// What HTTP carries in one line: methods, hosts, paths, headers.
    Lines,
    /// Anything.
    Any,
}

/// What a value can be; which of these, its attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    Text(Text),
    /// `[value]`: an item of a list in dynamic metadata.
    Item(Text),
    Template(Template),
    Block(Block),
    Port(u16),
    Namespace(Namespace),
    ServiceAccount(ServiceAccount),
    TrustDomain(TrustDomain),
    Subject(Subject),
}

impl Pattern {
    /// Reads a value of `attribute` in a policy of `namespace`.
    ///
    /// # Errors
    /// Why istiod or Envoy would refuse it.
    pub(crate) fn read(
        attribute: &Attribute,
        text: &str,
        namespace: &str,
    ) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("an empty value is not allowed");
        }
        let form = match attribute {
            Attribute::Path => path(text)?,
            Attribute::SourceIp | Attribute::RemoteIp | Attribute::DestinationIp => {
                Form::Block(Block::read(text).ok_or("this is no address and no block of them")?)
            }
            Attribute::Port => Form::Port(port(text).ok_or("this is no port")?),
            Attribute::Namespace => Form::Namespace(Namespace::read(text)),
            Attribute::ServiceAccount => {
                Form::ServiceAccount(ServiceAccount::read(text, namespace)?)
            }
            Attribute::TrustDomain => Form::TrustDomain(TrustDomain::read(text)?),
            Attribute::RequestPrincipal => Form::Subject(Subject::read(text)),
            Attribute::Metadata { .. } if text.starts_with('[') && text.ends_with(']') => {
                Form::Item(Text::read(text.trim_matches(['[', ']'])))
            }
            // Hosts are compared without regard to case.
            Attribute::Host => Form::Text(Text::read(text).to_lowercase()),
            Attribute::Principal
            | Attribute::Method
            | Attribute::Header(_)
            | Attribute::Sni
            | Attribute::Audience
            | Attribute::Presenter
            | Attribute::Claim(_)
            | Attribute::Metadata { .. } => Form::Text(Text::read(text)),
        };
        let texts = match attribute {
            Attribute::Principal => Texts::Principals,
            Attribute::Method | Attribute::Host | Attribute::Path | Attribute::Header(_) => {
                Texts::Lines
            }
            _ => Texts::Any,
        };
        Ok(Self { text: text.to_owned(), form, texts })
    }

    /// The value as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) const fn form(&self) -> &Form {
        &self.form
    }
}

fn path(text: &str) -> Result<Form, &'static str> {
    if Template::is_one(text) {
        return Ok(Form::Template(Template::read(text)?));
    }
    if text.contains(['{', '}']) {
        return Err("braces stand in paths as `{*}` and `{**}` between slashes alone");
    }
    Ok(Form::Text(Text::read(text)))
}

/// As Go reads numbers: digits alone, zeros in front count for nothing.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_digits() {
        for (text, expected) in [
            ("80", Some(80)),
            ("0", Some(0)),
            ("0080", Some(80)),
            ("65535", Some(65535)),
            ("65536", None),
            ("+80", None),
            ("-1", None),
            ("http", None),
            ("", None),
        ] {
            assert_eq!(port(text), expected, "{text}");
        }
    }

    #[test]
    fn braces_are_templates_or_nothing() {
        assert!(matches!(path("/a/{*}"), Ok(Form::Template(_))));
        assert!(matches!(path("/a*"), Ok(Form::Text(Text::Prefix(_)))));
        for text in ["/a/{id}", "/a/{*}b", "/a}"] {
            assert!(path(text).is_err(), "{text}");
        }
    }
}

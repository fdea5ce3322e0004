//! Header rules: what is set, with which value, and what is taken away.

use crate::problem::told;
use postern_request::headers;

/// Rules of one direction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderRules {
    /// Name and value; replaces whatever is there.
    pub set: Vec<(String, ValueTemplate)>,
    /// Names.
    pub remove: Vec<String>,
}

impl HeaderRules {
    /// Whether a value depends on the request, so that Envoy alone cannot write it.
    #[must_use]
    pub fn needs_server(&self) -> bool {
        self.set.iter().any(|(_, value)| !value.is_fixed())
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }
}

/// A header's value with placeholders, e.g. `user={principal.subject}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Fixed(String),
    Placeholder(Placeholder),
}

/// What a value may take from the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// `{principal.subject}`
    Subject,
    /// `{principal.client}`
    Client,
    /// `{principal.tier}`
    Tier,
    /// `{request.id}`: the correlation id.
    RequestId,
    /// `{route.name}`
    RouteName,
    /// `{service.name}`
    ServiceName,
    /// `{time.unix}`: seconds since the epoch, by the server's clock.
    UnixTime,
}

impl Placeholder {
    const ALL: [(&'static str, Self); 7] = [
        ("principal.subject", Self::Subject),
        ("principal.client", Self::Client),
        ("principal.tier", Self::Tier),
        ("request.id", Self::RequestId),
        ("route.name", Self::RouteName),
        ("service.name", Self::ServiceName),
        ("time.unix", Self::UnixTime),
    ];
}

impl ValueTemplate {
    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !headers::is_safe_value(text) {
            return Err(
                "a header value has no control characters and at most 8192 bytes".to_owned()
            );
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((fixed, after)) = rest.split_once('{') {
            let (name, tail) =
                after.split_once('}').ok_or("`{` opens a placeholder that is never closed")?;
            let placeholder = Placeholder::ALL.iter().find(|(known, _)| *known == name);
            let (_, placeholder) = placeholder.ok_or_else(|| {
                let known: Vec<_> = Placeholder::ALL.iter().map(|(name, _)| *name).collect();
                told!("no placeholder of this name; there are {}", known.join(", "))
            })?;
            if !fixed.is_empty() {
                parts.push(Part::Fixed(fixed.to_owned()));
            }
            parts.push(Part::Placeholder(*placeholder));
            rest = tail;
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Fixed(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Whether the value is the same for every request.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Fixed(_)))
    }

    /// The value, with each placeholder filled in by `fill`; what it does not know is left out.
    #[must_use]
    pub fn render(&self, fill: impl Fn(Placeholder) -> Option<String>) -> String {
        let mut value = String::new();
        for part in &self.parts {
            match part {
                Part::Fixed(text) => value.push_str(text),
                Part::Placeholder(placeholder) => {
                    value.push_str(&fill(*placeholder).unwrap_or_default());
                }
            }
        }
        value
    }
}

/// Whether rules may touch a header.
///
/// # Errors
/// Why not.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    /// Framing, routing and hop-by-hop headers are Envoy's; ours have one writer each.
    const RESERVED: [&str; 13] = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "keep-alive",
        "proxy-connection",
        "x-correlation-id",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-client-cert",
    ];
    if !headers::is_lowercase_name(name) {
        return Err("write a header's name in lower case, without spaces or colons".to_owned());
    }
    if RESERVED.contains(&name) || name.starts_with("x-envoy-") {
        return Err(told!("`{name}` belongs to Envoy"));
    }
    if name.starts_with(headers::IDENTITY_PREFIX) {
        return Err(told!(
            "headers under `{}` have one writer, the filter",
            headers::IDENTITY_PREFIX
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        let value = ValueTemplate::parse("u={principal.subject};r={route.name}").unwrap();
        assert!(!value.is_fixed());
        let filled = value.render(|p| (p == Placeholder::RouteName).then(|| "payments".to_owned()));
        assert_eq!(filled, "u=;r=payments");
        assert!(ValueTemplate::parse("plain").unwrap().is_fixed());
        for bad in ["{nope}", "{principal.subject", "a\r\nb"] {
            assert!(ValueTemplate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn headers_with_an_owner_are_left_alone() {
        for name in ["x-postern-subject", "host", ":path", "X-Upper", "x-envoy-foo", ""] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("x-tenant").is_ok());
    }
}

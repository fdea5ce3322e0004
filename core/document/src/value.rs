//! Header rules: what is set, with which value, and what is taken away.

use crate::model::Route;
use crate::problem::told;
use postern_request::{UnixMillis, headers};

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

    /// What a message changes by the rules whose values Envoy cannot write by itself: names and
    /// values, without those that cannot stand in a header. `told` is asked for the value of each
    /// header of [`Placeholder::headers`] that a rule takes something from.
    #[must_use]
    pub fn computed(
        &self,
        route: &Route,
        now: UnixMillis,
        told: &dyn Fn(&str) -> Option<String>,
    ) -> Vec<(String, String)> {
        let fill = |placeholder: Placeholder| match placeholder {
            Placeholder::RouteName => Some(route.name.clone()),
            Placeholder::ServiceName => Some(route.service_name().to_owned()),
            Placeholder::UnixTime => Some(now.as_secs().to_string()),
            by_header => told(by_header.header()?),
        };
        self.set
            .iter()
            .filter(|(_, value)| !value.is_fixed())
            .map(|(name, value)| (name.clone(), value.render(fill)))
            .filter(|(_, value)| headers::is_safe_value(value))
            .collect()
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

    /// The headers of a request that tell what values may take from it, as the bundle has left
    /// them.
    pub fn headers() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter_map(|(_, placeholder)| placeholder.header())
    }

    /// The one that tells this; none for what is no matter of the request.
    const fn header(self) -> Option<&'static str> {
        match self {
            Self::Subject => Some(headers::SUBJECT),
            Self::Client => Some(headers::CLIENT),
            Self::Tier => Some(headers::TIER),
            Self::RequestId => Some(headers::CORRELATION_ID),
            Self::RouteName | Self::ServiceName | Self::UnixTime => None,
        }
    }
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
    fn what_depends_on_the_request_is_computed_and_nothing_else() {
        let text = r#"{"version": 1, "services": {"s": {"upstream": "s:1"}},
            "transforms": {"t": {"request": {"set": {
                "x-fixed": "same",
                "x-caller": "{principal.subject}@{service.name}",
                "x-id": "{request.id}",
                "x-where": "{route.name}/{time.unix}"}}}},
            "routes": [{"name": "r", "match": {"path": "/"}, "service": "s", "auth": "none",
                        "transform": ["t"]}]}"#;
        let document = crate::from_json(text.as_bytes()).unwrap();
        let route = &document.routes[0];
        let computed = |told: &dyn Fn(&str) -> Option<String>| {
            let mut values = route.transform.request.computed(route, UnixMillis(7_500), told);
            values.sort();
            values.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
        };
        let alice = |name: &str| (name == headers::SUBJECT).then(|| "alice".to_owned());
        assert_eq!(computed(&alice), ["x-caller: alice@s", "x-id: ", "x-where: r/7"]);
        // What cannot stand in a header is left out, whoever told it.
        assert_eq!(computed(&|_| Some("a\r\nb".to_owned())), ["x-where: r/7"]);
    }

    #[test]
    fn values_come_from_what_the_bundle_writes() {
        let known: Vec<_> = Placeholder::headers().collect();
        let ours = [headers::SUBJECT, headers::CLIENT, headers::TIER, headers::CORRELATION_ID];
        assert_eq!(known, ours);
    }

    #[test]
    fn headers_with_an_owner_are_left_alone() {
        for name in ["x-postern-subject", "host", ":path", "X-Upper", "x-envoy-foo", ""] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("x-tenant").is_ok());
    }
}

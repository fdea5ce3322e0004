//! Why it is not clear which count is meant.

use std::fmt;

/// Names that a text tells.
const TOLD: usize = 20;

/// Why it is not clear which count is meant: the caller's fault. The texts name what the document
/// or the configuration names, and repeat nothing of what was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// No limit of that name.
    #[error("the document has no such limit; it has {0}")]
    NoLimit(Names),
    /// Envoys keep it.
    #[error(
        "`{0}` is counted by each Envoy for itself (`mode: local`): its counts are in the Envoys, \
         and no store has them"
    )]
    Local(String),
    /// Nobody is held to it.
    #[error("no route has `{0}`: nothing is counted")]
    Unused(String),
    /// Something that the limit does not count by.
    #[error("`{limit}` counts by {parts}; say each as PART=VALUE, and no other")]
    NoPart {
        /// The limit.
        limit: String,
        /// What it counts by.
        parts: Names,
    },
    /// A part that was said again.
    #[error("{0} is said twice")]
    Twice(String),
    /// Nothing was said of a part.
    #[error("`{limit}` counts by {part}: say {part}=VALUE, or `without` {part}")]
    Missing {
        /// The limit.
        limit: String,
        /// The part.
        part: String,
    },
    /// Nothing was said of a part that every request has.
    #[error("`{limit}` counts by {part}: say {part}=VALUE")]
    MissingValue {
        /// The limit.
        limit: String,
        /// The part.
        part: String,
    },
    /// A part that requests cannot be without.
    #[error("no request is without {0}")]
    Always(String),
    /// Several are meant that count apart.
    #[error("`{limit}` counts each {part} for itself: say {part}=NAME, one of {names}")]
    Which {
        /// The limit.
        limit: String,
        /// `route` or `service`.
        part: &'static str,
        /// Which there are.
        names: Names,
    },
    /// No route with the limit is as was said.
    #[error("that is no route with `{limit}`; it is on {routes}")]
    NoRoute {
        /// The limit.
        limit: String,
        /// The routes that have it.
        routes: Names,
    },
    /// No address.
    #[error("ip is an address such as 192.0.2.1 or 2001:db8::1")]
    Address,
    /// Something of a caller, where there is none.
    #[error("requests without claim.sub have no caller, and nothing that a caller has")]
    Nobody,
    /// An API key, where there is none; or none, where there is one.
    #[error("api_key is the subject of callers with an API key, and of nobody else")]
    Credential,
    /// Two subjects.
    #[error("api_key and claim.sub are one subject where an API key is shown")]
    Subjects,
    /// Something of tokens, where there is none.
    #[error("an API key has neither an issuer nor claims")]
    NoToken,
    /// Names mean something at their issuer.
    #[error("say which `issuer` is meant, one of {0}")]
    WhichIssuer(Names),
    /// No such issuer.
    #[error("the document has no such issuer; it has {0}")]
    NoIssuer(Names),
    /// No token of the issuer has the claim, as far as limits know.
    #[error("`claim_headers` of that issuer name no header for claim.{0}: its tokens have none")]
    NoClaim(String),
    /// No such domain.
    #[error("no such domain is configured; there is {0}")]
    NoDomain(Names),
    /// No rule.
    #[error("the domain has no rule for these entries; one is as deep as a descriptor is long")]
    NoRule,
}

/// Names of the document or the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (at, name) in self.0.iter().take(TOLD).enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(f, "{before}{name}")?;
        }
        match self.0.len().saturating_sub(TOLD) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_some_are_told() {
        let names = |count: usize| Names((0..count).map(|at| at.to_string()).collect());
        assert_eq!(names(0).to_string(), "none");
        assert_eq!(names(2).to_string(), "0, 1");
        assert!(names(23).to_string().ends_with("18, 19 and 3 more"));
    }
}

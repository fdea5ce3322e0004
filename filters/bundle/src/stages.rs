//! Which stages this module runs.

use postern_document::Document;

/// Stages that a module may be built without. Constants, so that the compiler leaves out what
/// is not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stages {
    /// Who calls: peers, evidence, tokens, revocation, identity headers. Without it identity headers
    /// are left alone: another filter writes them.
    pub(crate) tokens: bool,
    /// Local and leased limits.
    pub(crate) limits: bool,
    /// Circuits.
    pub(crate) circuits: bool,
}

/// Those of this module.
pub(crate) const STAGES: Stages = Stages {
    tokens: cfg!(feature = "tokens"),
    limits: cfg!(feature = "limits"),
    circuits: cfg!(feature = "circuits"),
};

impl Stages {
    /// Whether no other module of ours is beside this one.
    pub(crate) const fn are_all(self) -> bool {
        self.tokens && self.limits && self.circuits
    }

    /// What of a document cannot be kept by these stages. A limit by caller that knows no caller
    /// would count all of them as one, and of a leased one there would never be a slice.
    pub(crate) fn problems(self, document: &Document) -> Vec<String> {
        let mut problems: Vec<String> = Vec::new();
        if self.tokens || !self.limits {
            return problems;
        }
        let mut report = |problem: String| {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        };
        for route in &document.routes {
            for applied in route.local_limits.iter().chain(&route.leased_limits) {
                let limit = &applied.limit;
                if limit.needs_principal() {
                    report(format!(
                        "limit `{}` counts by who calls, which this module does not know: use the \
                         module with all stages, or let it count by `ip`, `route` or a header",
                        limit.name
                    ));
                }
            }
            for applied in &route.leased_limits {
                report(format!(
                    "limit `{}` is leased, and this module speaks to no server: use the module \
                     with all stages, or let it count with `mode: local`",
                    applied.limit.name
                ));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_document::from_json;

    #[test]
    fn limits_by_caller_need_the_token_stage() {
        let document = from_json(
            br#"{"version":1,"services":{"s":{"upstream":"h:1"}},
                "credentials":{"api_key":{}},
                "limits":{"ip":{"key":["ip"],"rate":"3/1m","mode":"local"},
                          "each":{"key":["ip","claim.sub"],"rate":"4/1m","mode":"local"}},
                "routes":[{"name":"a","match":{"path":"/a"},"service":"s",
                           "auth":{"any":["api_key"]},"limits":["ip","each"]},
                          {"name":"b","match":{"path":"/b"},"service":"s",
                           "auth":{"any":["api_key"]},"limits":["each"]}]}"#,
        )
        .unwrap();
        let problems =
            |tokens, limits| Stages { tokens, limits, circuits: true }.problems(&document);
        for (tokens, limits) in [(true, true), (true, false), (false, false)] {
            assert!(problems(tokens, limits).is_empty(), "{tokens} {limits}");
        }
        let found = problems(false, true);
        assert_eq!(found.len(), 1, "named once: {found:?}");
        assert!(found[0].contains("`each`") && found[0].contains("`ip`"), "{found:?}");
    }

    #[test]
    fn leased_limits_need_all_stages() {
        let document = from_json(
            br#"{"version":1,"services":{"s":{"upstream":"h:1"}},
                "limits":{"all":{"key":["ip"],"rate":"1000/1m","mode":"leased",
                                 "lease":{"sidecars":2}}},
                "routes":[{"name":"a","match":{"path":"/a"},"service":"s","auth":"none",
                           "limits":["all"]},
                          {"name":"b","match":{"path":"/b"},"service":"s","auth":"none",
                           "limits":["all"]}]}"#,
        )
        .unwrap();
        let problems =
            |tokens, limits| Stages { tokens, limits, circuits: false }.problems(&document);
        assert!(problems(true, true).is_empty() && problems(true, false).is_empty());
        let found = problems(false, true);
        assert_eq!(found.len(), 1, "named once: {found:?}");
        assert!(found[0].contains("`all` is leased"), "{found:?}");
    }
}

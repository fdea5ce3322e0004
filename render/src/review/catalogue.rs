//! Every check: its id, its name, how grave a finding usually is, and what to do about it.
//! `docs/review.md` has a paragraph for each, and a test compares the two lists.

use super::model::Severity;

/// A check.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Its id; stable, and never given to another one.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// How grave a finding is where the check does not say otherwise.
    pub severity: Severity,
    /// What to do.
    pub fix: &'static str,
}

macro_rules! checks {
    ($($constant:ident = $id:literal $name:literal $severity:ident $fix:literal;)*) => {
        $(
            pub(super) static $constant: Check = Check {
                id: $id,
                name: $name,
                severity: Severity::$severity,
                fix: $fix,
            };
        )*
        /// All of them, by id.
        pub static ALL: &[&Check] = &[$(&$constant),*];
    };
}

checks! {
    ACCEPTANCE_OVER = "PR001" "acceptance-over" Medium
        "Look at the finding again: fix it, or accept it once more with a new date.";
    ACCEPTANCE_UNUSED = "PR002" "acceptance-unused" Info
        "Take the entry out of the accept list.";

    UNPROTECTED_ROUTE = "PR101" "unprotected-route" High
        "Ask for a credential, or accept the finding and say why everybody may.";
    OPTIONAL_CREDENTIAL = "PR102" "optional-credential" Low
        "See to it that the service treats callers without identity headers as nobody.";
    NOT_ENFORCED = "PR103" "not-enforced" High
        "Set `enforce` to 100 % once the logs show nobody who would be refused.";
    NO_LIMIT = "PR104" "no-limit" Info
        "Give the route a limit whose key holds `ip` or who calls.";
    HOLE_BELOW = "PR105" "hole-below" High
        "Ask of the narrower route what the wider one asks, or accept the finding and say why.";
    METHOD_HOLE = "PR106" "method-hole" High
        "List the method on the route, or give the wider route a list without it.";
    PATH_TRICK = "PR107" "path-trick" High
        "Add the spelling to the protected route, or narrow the weaker one.";
    FAIL_OPEN = "PR108" "fail-open" High
        "Write `deny`, or accept the finding and say who bears what then passes.";
    UNBOUNDED_TIMEOUT = "PR109" "unbounded-timeout" Medium
        "Give it a timeout that fits what callers wait for.";
    TOKEN_IN_QUERY = "PR110" "token-in-query" Medium
        "Take tokens from headers; a query ends in logs and browser histories.";
    KEYS_IN_CLEAR = "PR111" "keys-in-clear" High
        "Fetch the keys by https, or pin them in the document.";
    FORWARDED_CERTIFICATE = "PR112" "forwarded-certificate" Medium
        "Let nothing but what ends TLS in front of the gateway reach it, or use `connection`.";
    SAMPLE_KEY = "PR113" "sample-key" Critical
        "Take the key out: everybody can read it in the sample document.";
    CALLER_CHOSEN_KEY = "PR114" "caller-chosen-key" Info
        "Add `ip` or who calls to the limit's key, or a second limit that has them.";
    CALLER_CHOSEN_CANARY = "PR115" "caller-chosen-canary" Info
        "Pick the version by an identity header, which the bundle alone writes.";
    FAULT_IN_PRODUCTION = "PR116" "fault-in-production" Medium
        "Take `fault` out when the trial is over.";
    ADMIN_WITHOUT_MFA = "PR117" "admin-without-second-factor" High
        "Write `mfa: true` for the role.";
    OPEN_REGISTRATION = "PR118" "open-registration" Medium
        "Write `mode: token`, or leave strangers' clients only the scopes that you would give anybody.";
    OUTLIVES_LOG_OUT = "PR119" "token-outlives-log-out" Medium
        "Say `revocation`, so that every Envoy hears of what has ended; or let access tokens live for minutes.";
    WIDE_COOKIE = "PR120" "wide-session-cookie" Medium
        "Name the narrowest domain that all hosts with sessions are in, or leave `cookie_domain` out.";
    BREACHED_PASSWORDS = "PR121" "breached-passwords" Low
        "Say in `login.passwords.breached` where such passwords are, with `when_unavailable: deny`.";
    NOBODY_TOLD = "PR122" "user-untold" Low
        "Add `subject` to `identity_headers`, or have `transform` tell the service.";
    OUTSIDE_USERS = "PR123" "outside-users" Medium
        "Name the `domains` whose people you expect, or let the provider's people be nobody here; where you trust it so far, accept the finding and say why.";
    LONG_TOKENS = "PR124" "long-lived-token" Low
        "Let access tokens live for an hour at most, or say `revocation`.";
    ADMIN_BY_DEFAULT = "PR125" "admin-by-default" High
        "Name a role in `login.default_role` that lacks the scope, and give that one by one.";

    MATCHES_NOTHING = "PR201" "matches-nothing" Medium
        "Correct the selector or the value, or delete what has no effect.";
    MISSING_SELECTOR = "PR202" "missing-selector" High
        "Give the policy a selector, or its rule the ports that it is for.";
    PERMISSIVE_MTLS = "PR203" "permissive-mtls" High
        "Set STRICT for the namespace; list ports that must take plain text one by one.";
    PRINCIPAL_WITHOUT_MTLS = "PR204" "principal-without-mtls" High
        "Set STRICT first: who comes in plain text has no principal to compare.";
    HEADER_BEFORE_VERIFIED = "PR205" "header-before-verified" High
        "Compare only headers that the bundle writes, on a workload behind the bundle.";
    CLAIM_BEFORE_VERIFIED = "PR206" "claim-before-verified" Medium
        "Add a RequestAuthentication for the workload, and allow what holds instead of denying what does not.";
    POLICY_PATH_TRICK = "PR207" "policy-path-trick" High
        "Allow the paths that are meant instead of denying others, or normalise more.";
    SHADOWED_RULE = "PR208" "shadowed-rule" Low
        "Delete the rule, or narrow the one that takes its requests.";
    SEVERAL_PROVIDERS = "PR209" "several-custom-providers" High
        "Keep one CUSTOM provider for each workload.";
    PROVIDER_BAD = "PR210" "provider-bad" High
        "Give MeshConfig the provider, with a timeout and without failOpen.";
    HTTP_RULE_ON_TCP = "PR211" "http-rule-on-tcp" High
        "Name the port's protocol, or give the rule the ports that speak HTTP.";
    HOST_WITHOUT_PORT = "PR212" "host-without-port" Medium
        "Name the host twice: as it is, and with `:*` behind it.";
    DEFAULT_ALLOW = "PR213" "default-allow" High
        "Allow who may call; `spec: {}` for the namespace closes the rest.";
    PLUGIN_TWICE = "PR214" "plugin-twice" Critical
        "Delete one of the two: limits count twice, and the older document decides too.";
    PLUGIN_BOTH_DIRECTIONS = "PR215" "plugin-both-directions" High
        "Set `match.mode`: CLIENT on gateways, SERVER on sidecars.";
    PLUGIN_OPEN = "PR216" "plugin-open" Critical
        "Set `failStrategy: FAIL_CLOSE` and `sha256`.";
    DRY_RUN = "PR217" "dry-run" Medium
        "Take the annotation away once the logs show what was expected.";
    WIDE_PRINCIPAL = "PR218" "wide-principal" Medium
        "Name the trust domain, namespace and service account of each caller.";
    PATCH_VERSION = "PR219" "patch-version" High
        "Render again for the data planes that run; patches for others have no effect.";
    OTHER_DOCUMENT = "PR220" "other-document" High
        "Render the document again and apply all of it.";
    DRIFT = "PR221" "drift" Medium
        "Render the document again; change the document, never the rendering.";
    PAST_THE_GATEWAY = "PR222" "past-the-gateway" High
        "Allow the gateway and the callers of `peers` alone.";
    PLUGIN_MISSING = "PR223" "plugin-missing" Critical
        "Apply the rendered plugin where the policies rely on it.";
    MESH_WIDE = "PR224" "mesh-wide" Info
        "Give it a selector, unless it is meant for every workload of the mesh.";
    ALLOWS_EVERYTHING = "PR225" "allows-everything" Medium
        "Say in the rule who may do what.";
    NOT_THE_OLDEST = "PR226" "not-the-oldest" Medium
        "Keep one PeerAuthentication for each level.";
    SERVER_NOT_ASKED = "PR227" "server-not-asked" Medium
        "Apply the rendered AuthorizationPolicy with the action CUSTOM.";
    FILTER_REMOVED = "PR228" "filter-removed" Critical
        "Delete the EnvoyFilter, or take the patch out of it.";
    SIDECAR_BYPASSED = "PR229" "sidecar-bypassed" Critical
        "Let the sidecar take every port of the document's.";
    FOREIGN_ROUTE = "PR230" "foreign-route" High
        "Put the route into the document, or bind it to another gateway.";
    OTHER_MESH_CONFIG = "PR231" "other-mesh-config" Medium
        "Merge what is missing into the MeshConfig that counts.";
    FOREIGN_DESTINATION = "PR232" "foreign-destination" High
        "Delete it, or put what it is for into the document.";
    IDENTITY_REWRITTEN = "PR233" "identity-rewritten" Critical
        "Have it write another header, or `claim_headers` of the document write this one.";
    KEPT_PAST_FILTERS = "PR234" "kept-past-filters" Medium
        "Leave `stale` out on this route, or have the document ask what they ask.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_there_once_and_in_order() {
        let ids: Vec<&str> = ALL.iter().map(|check| check.id).collect();
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(ids, sorted);
        let mut names: Vec<&str> = ALL.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn the_page_has_a_paragraph_for_each_check_and_for_no_other() {
        let page = include_str!("../../../docs/review.md");
        let titles: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let expected: Vec<String> =
            ALL.iter().map(|check| format!("{} {}", check.id, check.name)).collect();
        assert_eq!(titles, expected);
        for check in ALL {
            let (_, after) = page.split_once(&format!("### {} ", check.id)).unwrap();
            let text = after.lines().skip(1).find(|line| !line.is_empty()).unwrap();
            let word = text.split([' ', '.', ';']).next().unwrap().to_lowercase();
            assert_eq!(word, check.severity.as_str(), "{}", check.id);
        }
    }
}

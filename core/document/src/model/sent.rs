//! When a browser is sent to log in instead of being refused.

use postern_request::login::{self, StepUp};
use postern_request::{Denial, ErrorCode, HeaderView, denial};

use super::{Auth, Route};

/// A request, as far as it matters for that.
#[derive(Clone, Copy)]
pub struct Visit<'a> {
    /// The method.
    pub method: &'a str,
    /// The scheme that the client has used.
    pub scheme: &'a str,
    /// Host, port included.
    pub authority: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// All headers.
    pub headers: &'a dyn HeaderView,
}

impl Route {
    /// Whether a session that is none any more counts as no session: who has one is sent to log in
    /// again, or is nobody. Elsewhere it is refused like every credential that does not hold.
    #[must_use]
    pub const fn passes_over_sessions(&self) -> bool {
        let is_optional = matches!(self.auth, Auth::Rules { optional: true, .. });
        is_optional || self.login.is_some()
    }

    /// Where a browser is sent whose request was refused so; none where it is told. Only who lacks
    /// a session, or (`by_session`) another authentication in one, can do something there: a bad
    /// token stays bad, and what a session may not do it may not after another log-in either.
    #[must_use]
    pub fn login_location(
        &self,
        issuer: Option<&str>,
        visit: Visit<'_>,
        refused: &Denial,
        by_session: bool,
    ) -> Option<String> {
        let at = self.login.as_ref()?;
        let helps =
            refused.code == ErrorCode::Unauthorized || (by_session && refused.code.status() == 401);
        let Visit { method, scheme, authority, target, headers } = visit;
        let is_grpc = denial::is_grpc(headers.single("content-type").one());
        if !helps || is_grpc || !login::is_navigation(method, headers) {
            return None;
        }
        let mfa = self.auth.mfa();
        let step_up = mfa.map(|mfa| StepUp { max_age_secs: mfa.within_secs });
        Some(login::location(issuer?, at, scheme, authority, target, step_up))
    }
}

#[cfg(test)]
mod tests {
    use postern_request::Principal;
    use postern_request::principal::Credential;

    use super::*;
    use crate::{Document, from_json};

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn document() -> Document {
        from_json(
            br#"{"version":1,"issuer":"https://gate.test","oauth":{},"login":{"roles":{"user":{}}},
                "services":{"s":{"upstream":"h:1"}},"credentials":{"session":{}},
                "routes":[
                {"name":"own","match":{"path":"/oauth2/{rest=**}"},"service":"postern","auth":"none"},
                {"name":"known","match":{"path":"/.well-known/{rest=**}"},"service":"postern",
                 "auth":"none"},
                {"name":"page","match":{"path":"/page"},"service":"s",
                 "auth":{"any":["session"],"login":true}},
                {"name":"safe","match":{"path":"/safe"},"service":"s",
                 "auth":{"any":["session"],"login":true,"mfa":"within 15m"}},
                {"name":"api","match":{"path":"/api"},"service":"s","auth":{"any":["session"]}},
                {"name":"open","match":{"path":"/open"},"service":"s",
                 "auth":{"any":["session"],"optional":true}}]}"#,
        )
        .unwrap()
    }

    fn sent(path: &str, method: &str, pairs: &[(&str, &str)], refused: &Denial) -> Option<String> {
        let document = document();
        let route = document.find_route("gate.test", "GET", path).unwrap().unwrap();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        let headers: Vec<(String, Vec<u8>)> = pairs.iter().map(owned).collect();
        let visit = Visit {
            method,
            scheme: "https",
            authority: "gate.test",
            target: path,
            headers: &headers,
        };
        let by_session = refused.code != ErrorCode::Unauthorized;
        route.login_location(document.issuer.as_deref(), visit, refused, by_session)
    }

    const PAGE: &[(&str, &str)] = &[("accept", "text/html")];

    #[test]
    fn only_a_browser_that_shows_a_page_is_sent_to_log_in() {
        let missing = Denial::missing_credential();
        let to = sent("/page", "GET", PAGE, &missing).unwrap();
        assert_eq!(to, "https://gate.test/login?return_to=%2Fpage");
        let table: [(&str, &str, Headers<'_>); 6] = [
            ("/page", "POST", PAGE),
            ("/page", "GET", &[("accept", "application/json")]),
            ("/page", "GET", &[]),
            ("/page", "GET", &[("accept", "text/html"), ("content-type", "application/grpc")]),
            ("/page", "GET", &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")]),
            ("/api", "GET", PAGE),
        ];
        for (path, method, pairs) in table {
            assert_eq!(sent(path, method, pairs, &missing), None, "{path} {method} {pairs:?}");
        }
    }

    #[test]
    fn what_another_log_in_does_not_change_is_told() {
        let step_up = Denial::invalid_token("mfa_stale");
        let to = sent("/safe", "GET", PAGE, &step_up).unwrap();
        assert!(to.ends_with("&acr_values=urn%3Apostern%3Aacr%3A2&max_age=900"), "{to}");
        let first = sent("/safe", "GET", PAGE, &Denial::missing_credential()).unwrap();
        assert_eq!(first, to, "the first log-in is as good at once");
        for refused in [
            Denial::insufficient_scope(&["a".to_owned()]),
            Denial::new(ErrorCode::Forbidden, "session_cross_site"),
            Denial::unavailable("sessions_unavailable", 1),
        ] {
            assert_eq!(sent("/page", "GET", PAGE, &refused), None, "{refused:?}");
        }
        let (document, by_token) = (document(), Denial::invalid_token("mfa_missing"));
        let route = document.find_route("gate.test", "GET", "/safe").unwrap().unwrap();
        let headers = vec![("accept".to_owned(), b"text/html".to_vec())];
        let visit = Visit {
            method: "GET",
            scheme: "https",
            authority: "gate.test",
            target: "/safe",
            headers: &headers,
        };
        assert_eq!(route.login_location(Some("https://gate.test"), visit, &by_token, false), None);
    }

    #[test]
    fn a_session_that_is_none_is_passed_over_where_something_better_follows() {
        let document = document();
        for (name, expected) in [("page", true), ("safe", true), ("open", true), ("api", false)] {
            let route = document.routes.iter().find(|route| route.name == name).unwrap();
            assert_eq!(route.passes_over_sessions(), expected, "{name}");
        }
        let by_session = Principal { credential: Credential::Session, ..Principal::default() };
        let route = document.find_route("gate.test", "GET", "/api").unwrap().unwrap();
        assert_eq!(route.auth.authorize(Some(&by_session)), Ok(()));
    }
}

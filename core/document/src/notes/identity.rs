//! Ways to the authorization server and to its pages that lead somewhere else.

use crate::check::host_of_url;
use crate::model::{ADMIN_SCOPE, Document, RegistrationMode, Route, SecurityHeaders};
use crate::problem::Problem;

/// What clients ask for: method, path, and where that is written.
const OF_CLIENTS: [(&str, &str, &str); 4] = [
    ("POST", "/oauth2/token", "/oauth2/{rest=**}"),
    ("GET", "/oauth2/authorize", "/oauth2/{rest=**}"),
    ("GET", "/.well-known/openid-configuration", "/.well-known/{rest=**}"),
    ("POST", "/auth/login", "/auth/{rest=**}"),
];
/// The same of browsers.
const OF_PAGES: [(&str, &str, &str); 3] = [
    ("GET", "/login", "/login"),
    ("POST", "/login", "/login"),
    ("GET", "/login/account", "/login/{rest=**}"),
];
/// What it cannot answer an application, it says to people.
const AUTHORIZE: &str = "/oauth2/authorize";
/// Ways of [`OF_CLIENTS`] on which nobody goes where nobody can log in.
const OF_PEOPLE: [&str; 2] = [AUTHORIZE, "/auth/login"];

impl Document {
    /// Of what is served and nobody reaches, and of pages that browsers would not show.
    pub(super) fn identity_notes(&self) -> Vec<Problem> {
        let mut notes = Vec::new();
        if self.oauth.is_some() && self.is_for_clients() {
            let has_people = self.login.is_some();
            let ways = OF_CLIENTS.iter();
            let ways = ways.filter(|(_, path, _)| has_people || !OF_PEOPLE.contains(path));
            for (method, path, template) in ways {
                if self.own_route(method, path).is_none() {
                    let message = format!(
                        "no route without `auth` leads {method} {path} to `postern`, so clients do \
                         not reach it: add one for {template}"
                    );
                    notes.push(self.note("oauth", "oauth", message));
                }
            }
        }
        if let Some(login) = &self.login {
            self.page_notes(&mut notes);
            if let Some(role) = login.admin_by_default() {
                let message = format!(
                    "users of whom nobody says more are `{}`, which has `{ADMIN_SCOPE}`: everybody \
                     whom an outside provider vouches for is among them, unless it names a role",
                    role.name
                );
                notes.push(self.note("login.default_role", "login.default_role", message));
            }
        }
        notes.extend(self.routes.iter().filter_map(|route| self.no_page(route)));
        notes
    }

    /// Of the log-in pages.
    fn page_notes(&self, notes: &mut Vec<Problem>) {
        let authorize = OF_CLIENTS.iter().filter(|(_, path, _)| *path == AUTHORIZE);
        for (method, path, template) in OF_PAGES.iter().chain(authorize) {
            let message = match self.own_route(method, path) {
                // Clients alone send people there.
                None if *path == AUTHORIZE => continue,
                None => format!(
                    "no route without `auth` leads {method} {path} to `postern`, so nobody can log \
                     in: add one for {template}"
                ),
                Some(route) if self.profile_of(route) == SecurityHeaders::Api => format!(
                    "route `{}` leads to pages, of which its `security_headers` let a browser show \
                     hardly more than text: say `security_headers: web` there",
                    route.name
                ),
                Some(_) => continue,
            };
            let note = self.note("login", "login", message);
            // One route may lead to all of them.
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }

    /// Whether the authorization server is meant for clients. Log-in pages need it too; where a
    /// document has it for them alone, it takes none of its tokens, lets nobody register, and leads
    /// to none of the clients' endpoints.
    fn is_for_clients(&self) -> bool {
        let own = self.issuer.as_ref();
        let registers = self
            .oauth
            .as_ref()
            .is_some_and(|oauth| oauth.registration.mode != RegistrationMode::Off);
        self.login.is_none()
            || registers
            || self.issuers.iter().any(|issuer| Some(&issuer.issuer.issuer) == own)
            || OF_CLIENTS.iter().any(|(method, path, _)| self.own_route(method, path).is_some())
    }

    /// The route of a request without credentials, if the suite itself answers it.
    fn own_route(&self, method: &str, path: &str) -> Option<&Route> {
        let host = self.issuer.as_deref().and_then(host_of_url).unwrap_or_default();
        let route = self.find_route(&host, method, path).ok().flatten()?;
        let is_open = route.auth.token().is_none();
        (is_open && route.service.is_none()).then_some(&**route)
    }

    fn profile_of(&self, route: &Route) -> SecurityHeaders {
        route.security_headers.unwrap_or(self.security_headers)
    }

    /// A route that sends browsers to log in, and takes no request for which one would be sent.
    fn no_page(&self, route: &Route) -> Option<Problem> {
        let shows = |method: &String| matches!(method.as_str(), "GET" | "HEAD");
        if route.login().is_none() || route.methods.is_empty() || route.methods.iter().any(shows) {
            return None;
        }
        let path = format!("routes.{}.auth.login", route.name);
        let message = "only for GET and HEAD is a browser sent to log in, and this route takes \
                       neither";
        Some(self.note(&path, &path, message.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use crate::from_json;

    /// Notes of a document whose routes are these: name, path, methods, and more.
    fn notes(routes: &[(&str, &str, &str, &str)]) -> Vec<String> {
        let routes = routes.iter().map(|(name, path, methods, more)| {
            format!(
                r#"{{"name": "{name}", "match": {{"path": "{path}", "methods": [{methods}]}},
                    "service": "postern" {more}}}"#
            )
            .replace(r#", "methods": []"#, "")
        });
        let text = format!(
            r#"{{"version": 1, "issuer": "https://login.example.test",
                "credentials": {{"session": {{}}}}, "oauth": {{}},
                "login": {{"roles": {{"user": {{}}}}}}, "routes": [{}]}}"#,
            routes.collect::<Vec<_>>().join(", ")
        );
        let document = from_json(text.as_bytes()).unwrap_or_else(|found| panic!("{found:?}"));
        document.notes().into_iter().map(|note| note.message).collect()
    }

    const OPEN: &str = r#", "auth": "none""#;
    const PAGE: &str = r#", "auth": "none", "security_headers": "web""#;

    #[test]
    fn what_nobody_reaches_is_noted() {
        let all = [
            ("oauth", "/oauth2/{rest=**}", "", PAGE),
            ("known", "/.well-known/{rest=**}", "\"GET\"", OPEN),
            ("auth", "/auth/{rest=**}", "", OPEN),
            ("login", "/login", "", PAGE),
            ("pages", "/login/{rest=**}", "", PAGE),
        ];
        assert_eq!(notes(&all), [""; 0]);
        for without in 0..all.len() {
            let mut rest = all.to_vec();
            rest.remove(without);
            let path = all[without].1.trim_end_matches("{rest=**}");
            let found = notes(&rest);
            assert!(found.iter().any(|note| note.contains(path)), "{path}: {found:?}");
        }
        let mut closed = all;
        closed[0].3 = r#", "security_headers": "web", "auth": {"any": ["session"]}"#;
        let found = notes(&closed);
        assert!(found[0].contains("/oauth2/token"), "{found:?}");
    }

    #[test]
    fn who_has_pages_alone_hears_nothing_of_clients() {
        let pages = [("login", "/login", "", PAGE), ("pages", "/login/{rest=**}", "", PAGE)];
        assert_eq!(notes(&pages), [""; 0]);
        let found = notes(&pages[..1]);
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert!(only.contains("nobody can log in"), "{only}");
        let mut with_tokens = pages.to_vec();
        with_tokens.push(("token", "/oauth2/token", "\"POST\"", OPEN));
        let found = notes(&with_tokens);
        assert!(found.iter().all(|note| note.contains("clients do not reach it")), "{found:?}");
        assert!(found.iter().any(|note| note.contains("GET /oauth2/authorize")), "{found:?}");
    }

    #[test]
    fn whoever_is_an_administrator_by_default_is_noted() {
        let of = |login: &str| {
            let text = format!(
                r#"{{"version": 1, "issuer": "https://login.example.test", "oauth": {{}},
                    "login": {login}, "routes": [{{"name": "all", "match": {{"path":
                    "/{{rest=**}}"}}, "service": "postern" {PAGE}}}]}}"#
            );
            let document = from_json(text.as_bytes()).unwrap_or_else(|found| panic!("{found:?}"));
            document.notes().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let roles = r#""roles": {"user": {}, "boss": {"scopes": ["postern.admin"]}}"#;
        assert_eq!(of(&format!("{{{roles}}}")), [""; 0]);
        let found = of(&format!(r#"{{{roles}, "default_role": "boss"}}"#));
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert!(only.contains("login.default_role: ") && only.contains("`boss`"), "{only}");
    }

    #[test]
    fn pages_without_the_headers_of_pages_are_noted_once() {
        let found = notes(&[("all", "/{rest=**}", "", OPEN)]);
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert!(only.contains("route `all`") && only.contains("web"), "{only}");
    }

    #[test]
    fn a_route_that_no_browser_opens_sends_nobody_to_log_in() {
        let login = r#", "security_headers": "web", "auth": {"any": ["session"], "login": true}"#;
        for (methods, expected) in [("\"POST\"", 1), ("\"POST\", \"GET\"", 0), ("", 0)] {
            let found = notes(&[("all", "/{rest=**}", "", PAGE), ("r", "/r", methods, login)]);
            assert_eq!(found.len(), expected, "{found:?}");
        }
    }
}

//! PR117 to PR125, and what of the suite's own must be open.

use super::*;

/// A document with an authorization server and log-in: further members of the document, of
/// `oauth` and of `login`, and further routes.
struct Suite<'a> {
    top: &'a str,
    oauth: &'a str,
    login: &'a str,
    routes: &'a str,
}

/// Nothing of it is worth a finding of these checks.
const QUIET: Suite<'static> = Suite {
    top: "revocation: {max_staleness: 1m, when_stale: deny}\n",
    oauth: "  scopes: {read: See it, write: Change it}\n",
    login: "  roles: {user: {scopes: [read]}, admin: {scopes: [postern.admin], mfa: true}}\n  \
            passwords: {breached: {file: /breached, when_unavailable: deny}}\n",
    routes: "",
};

impl Suite<'_> {
    fn text(&self) -> String {
        format!(
            "version: 1\nissuer: https://login.shop.test\n{}\
             credentials:\n  session: {{}}\n  jwt:\n    issuers:\n    \
             - issuer: https://login.shop.test\n      audiences: [https://login.shop.test]\n      \
             jwks: {{service: postern}}\n\
             services:\n  shop: {{upstream: shop.default.svc.cluster.local:8080}}\n\
             limits:\n  few: {{key: [ip], mode: local, rate: 10/1m}}\n\
             oauth:\n{}login:\n{}routes:\n{}{}",
            self.top,
            self.oauth,
            self.login,
            route("api", "/api", READ),
            self.routes
        )
    }

    fn found(&self) -> Vec<String> {
        found(&self.text())
    }
}

/// The text of the one finding of a check.
fn text_of(suite: &Suite<'_>, id: &str) -> String {
    let review = reviewed(&suite.text());
    let mut of_it = review.findings.iter().filter(|one| one.id == id);
    let (first, more) = (of_it.next(), of_it.next());
    assert!(more.is_none(), "{more:?}");
    first.unwrap_or_else(|| panic!("{:?}", told(&review))).text.clone()
}

/// Whether the quiet document has nothing of a check, and this one has.
fn tells(suite: &Suite<'_>, wanted: &str) {
    let id = wanted.split(' ').next().unwrap();
    let quiet = QUIET.found();
    assert!(!has(&quiet, id), "{id} is among {quiet:#?}");
    let open = suite.found();
    assert!(has(&open, wanted), "{wanted} is not among {open:#?}");
}

#[test]
fn admins_without_a_second_factor() {
    let login = QUIET.login.replace(", mfa: true", "");
    tells(&Suite { login: &login, ..QUIET }, "PR117 high login.roles.admin");
    let login = QUIET.login.replace("mfa: true", "mfa: false");
    tells(&Suite { login: &login, ..QUIET }, "PR117 high login.roles.admin");
}

#[test]
fn administrators_that_nobody_has_named() {
    let by_default = |role: &str| format!("{}  default_role: {role}\n", QUIET.login);
    let (admin, user) = (by_default("admin"), by_default("user"));
    tells(&Suite { login: &admin, ..QUIET }, "PR125 high login.default_role");
    assert!(!has(&Suite { login: &user, ..QUIET }.found(), "PR125"));
}

#[test]
fn clients_of_strangers_are_as_grave_as_what_they_may_get() {
    let of = |mode: &str, scopes: &str| {
        let registration = format!("  registration: {{mode: {mode}, scopes: [{scopes}]}}\n");
        let oauth = format!("{}{registration}", QUIET.oauth);
        let suite = Suite { oauth: &oauth, ..QUIET };
        let found = suite.found().into_iter().find(|one| one.starts_with("PR118"));
        found.map(|found| (found, text_of(&suite, "PR118")))
    };
    for scopes in ["", "openid, profile, email, offline_access", "openid, write"] {
        let (found, text) = of("open", scopes).unwrap();
        assert_eq!(found, "PR118 medium oauth.registration", "{scopes}");
        assert!(text.contains(scopes), "{text}");
    }
    let (found, text) = of("open", "openid, read, write").unwrap();
    assert_eq!(found, "PR118 high oauth.registration");
    assert!(text.ends_with("users have read to give"), "{text}");
    assert_eq!(of("token", "openid, read"), None);
}

#[test]
fn log_out_that_envoys_do_not_hear_of() {
    let oauth = format!("{}  access_token: {{lifetime: 90m}}\n", QUIET.oauth);
    let suite = Suite { top: "", oauth: &oauth, ..QUIET };
    tells(&suite, "PR119 medium login");
    assert!(text_of(&suite, "PR119").contains("up to 90m"), "{:?}", suite.found());
    assert!(!has(&suite.found(), "PR124"), "one finding says it");
    // Where no route takes such tokens, none is left behind.
    let other = suite.text().replace("any: [jwt]", "any: [session]");
    assert!(!has(&found(&other), "PR119"));
}

#[test]
fn tokens_of_clients_that_nobody_can_take_back() {
    let of = |top: &str, lifetime: &str| {
        let oauth = format!("  access_token: {{lifetime: {lifetime}}}\n");
        let text = Suite { top, oauth: &oauth, ..QUIET }.text();
        let (before, after) = text.split_once("login:\n").unwrap();
        let routes = after.split_once("routes:\n").unwrap().1;
        let text = format!("{before}routes:\n{routes}").replace("  session: {}\n", "");
        found(&text)
    };
    let long = of("", "2h");
    assert!(has(&long, "PR124 low oauth.access_token.lifetime"), "{long:#?}");
    for quiet in [of("", "1h"), of(QUIET.top, "2h")] {
        assert!(!has(&quiet, "PR124") && !has(&quiet, "PR119"), "{quiet:#?}");
    }
}

#[test]
fn cookies_for_more_hosts_than_use_them() {
    let of = |domain: &str, hosts: &str| {
        format!("{}  session: {{cookie_domain: {domain}}}\n  hosts: [{hosts}]\n", QUIET.login)
    };
    let subject = "PR120 medium login.session.cookie_domain";
    for (domain, hosts, word) in [
        ("shop.test", "", "names none"),
        ("login.shop.test", "", "names none"),
        ("shop.test", "app.login.shop.test", "login.shop.test would do"),
    ] {
        let login = of(domain, hosts);
        let suite = Suite { login: &login, ..QUIET };
        tells(&suite, subject);
        assert!(text_of(&suite, "PR120").contains(word), "{word}");
    }
    let login = of("shop.test", "app.shop.test");
    assert!(!has(&Suite { login: &login, ..QUIET }.found(), "PR120"));
    // A route that takes sessions on other hosts needs it, too.
    let on = "- {name: app, match: {path: /app, hosts: ['*.shop.test']}, service: shop, \
              limits: [few], auth: {any: [session]}}\n";
    let login = of("shop.test", "");
    assert!(!has(&Suite { login: &login, routes: on, ..QUIET }.found(), "PR120"));
}

#[test]
fn passwords_that_everybody_knows() {
    let login = QUIET.login.replace("when_unavailable: deny", "when_unavailable: allow");
    tells(&Suite { login: &login, ..QUIET }, "PR121 info login.passwords.breached");
    let login = QUIET.login.replace(", when_unavailable: deny", "");
    tells(&Suite { login: &login, ..QUIET }, "PR121 info login.passwords.breached");
    let login = QUIET.login.lines().next().unwrap().to_owned() + "\n";
    tells(&Suite { login: &login, ..QUIET }, "PR121 low login.passwords.breached");
}

#[test]
fn services_that_do_not_hear_who_has_logged_in() {
    let page = |more: &str| {
        format!(
            "- {{name: page, match: {{path: /page}}, service: shop, limits: [few], \
             auth: {{any: [session]{more}}}}}\n"
        )
    };
    let (page, plain) = (page(", login: true"), page(""));
    let top = |headers: &str| format!("{}identity_headers: [{headers}]\n", QUIET.top);
    let (nothing, scopes, subject) = (top(""), top("scopes"), top("scopes, subject"));
    for top in [&nothing, &scopes] {
        tells(&Suite { top, routes: &page, ..QUIET }, "PR122 low routes.page");
        assert!(!has(&Suite { top, routes: &plain, ..QUIET }.found(), "PR122"));
    }
    for top in [subject.as_str(), QUIET.top] {
        assert!(!has(&Suite { top, routes: &page, ..QUIET }.found(), "PR122"));
    }
}

#[test]
fn providers_that_say_who_somebody_is() {
    let of = |users: &str| {
        format!(
            "{}  outside:\n  - {{name: idp, issuer: 'https://idp.test', client_id: c, \
             client_secret: 'env:S', {users}}}\n",
            QUIET.login
        )
    };
    for users in ["users: link", "users: link, domains: [shop.test]", "users: create, role: user"] {
        let login = of(users);
        let suite = Suite { login: &login, ..QUIET };
        tells(&suite, "PR123 medium login.outside.idp");
        assert!(text_of(&suite, "PR123").contains("https://idp.test"), "{users}");
    }
    for users in ["users: create, role: user, domains: [shop.test]", "users: none"] {
        let login = of(users);
        assert!(!has(&Suite { login: &login, ..QUIET }.found(), "PR123"), "{users}");
    }
}

#[test]
fn certificates_of_clients_in_a_header() {
    let of = |source: &str, proxies: u8| {
        let oauth = format!("{}  mutual_tls: {source}\n", QUIET.oauth);
        let top = format!("{}trusted_proxies: {proxies}\n", QUIET.top);
        Suite { oauth: &oauth, top: &top, ..QUIET }.found()
    };
    assert!(has(&of("forwarded", 0), "PR112 high oauth.mutual_tls"), "{:?}", of("forwarded", 0));
    assert!(has(&of("forwarded", 1), "PR112 medium oauth.mutual_tls"));
    assert!(!has(&of("connection", 0), "PR112") && !has(&QUIET.found(), "PR112"));
}

#[test]
fn sessions_that_hold_for_some() {
    let of = |percent: &str| {
        format!(
            "- {{name: page, match: {{path: /page}}, service: shop, limits: [few], \
             enforce: {percent}, auth: {{any: [session]}}}}\n"
        )
    };
    let some = of("99%");
    let suite = Suite { routes: &some, ..QUIET };
    tells(&suite, "PR103 medium routes.page");
    assert!(text_of(&suite, "PR103").contains("has no session"));
    let all = of("100%");
    assert!(!has(&Suite { routes: &all, ..QUIET }.found(), "PR103"));
}

#[test]
fn the_suites_own_ways_in_are_open_because_they_must_be() {
    let own = |name: &str, path: &str| {
        format!(
            "- {{name: {name}, match: {{path: '{path}'}}, service: postern, limits: [few], \
             auth: none}}\n"
        )
    };
    let ways = [
        ("tokens", "/oauth2/{rest=**}"),
        ("known", "/.well-known/{rest=**}"),
        ("login", "/login"),
        ("pages", "/login/{rest=**}"),
        ("auth", "/auth/{rest=**}"),
    ];
    let mut routes: String = ways.iter().map(|(name, path)| own(name, path)).collect();
    routes.push_str(&own("docs", "/docs"));
    routes.push_str(&route("theirs", "/auth/theirs", "auth: none"));
    let review = reviewed(&Suite { routes: &routes, ..QUIET }.text());
    let of = |name: &str| {
        let subject = format!("routes.{name}");
        let mut all = review.findings.iter();
        all.find(|one| one.id == "PR101" && one.subject == subject).unwrap()
    };
    for (name, _) in ways {
        let finding = of(name);
        assert_eq!(finding.severity, Severity::Info, "{name}");
        assert!(finding.fix.starts_with("Leave it"), "{}", finding.fix);
        let shown = &finding.evidence[0];
        assert!(shown.contains(" https://login.shop.test/"), "{shown}");
    }
    assert_eq!(of("docs").severity, Severity::Low);
    assert_eq!(of("theirs").severity, Severity::High);
    assert!(of("theirs").fix.starts_with("Ask for a credential"));
}

#[test]
fn examples_are_on_the_issuers_host_where_the_route_is() {
    let line = |issuer: &str, hosts: &str| {
        let text = format!(
            "issuer: {issuer}\n{}",
            gateway(&format!(
                "routes:\n- {{name: a, match: {{path: /a{hosts}}}, service: shop, \
                 limits: [few], auth: none}}\n"
            ))
        );
        reviewed(&text).rows[0].answers[0].request.clone()
    };
    for (issuer, hosts, expected) in [
        ("https://login.shop.test:8443", "", "GET https://login.shop.test:8443/a"),
        ("http://127.0.0.1:8080", "", "GET http://127.0.0.1:8080/a"),
        ("https://login.shop.test", ", hosts: [www.shop.test]", "GET https://www.shop.test/a"),
        ("https://login.shop.test", ", hosts: ['*.shop.test']", "GET https://login.shop.test/a"),
    ] {
        assert_eq!(line(issuer, hosts), expected);
    }
}

#[test]
fn every_finding_has_a_line_and_what_to_do() {
    let login = "  roles: {admin: {scopes: [postern.admin]}}\n  default_role: admin\n  \
                 outside: [{name: idp, issuer: 'https://idp.test', client_id: c, \
                 client_secret: 'env:S', users: link}]\n  \
                 session: {cookie_domain: shop.test}\n";
    let oauth = "  mutual_tls: forwarded\n  registration: {mode: open, scopes: [openid]}\n";
    let review = reviewed(&Suite { top: "", oauth, login, ..QUIET }.text());
    let ids: Vec<&str> = review.findings.iter().map(|finding| finding.id).collect();
    for id in ["PR112", "PR117", "PR118", "PR119", "PR120", "PR121", "PR123", "PR125"] {
        assert!(ids.contains(&id), "{id}: {ids:?}");
    }
    for finding in &review.findings {
        let line = finding.place.as_ref().map_or(0, |place| place.line);
        assert!(line > 1, "{finding:?}");
        assert!(!finding.fix.is_empty() && !finding.text.is_empty());
    }
}

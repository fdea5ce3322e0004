use super::{OPEN, load, problems};
use crate::{
    BreachedSource, Document, FingerprintPart, Login, OnChange, OnFailure, OutsideUsers, from_json,
};

/// A document where people log in, at this issuer.
fn at(issuer: &str, members: &str) -> String {
    format!(
        r#""issuer": "{issuer}",
            "oauth": {{"scopes": {{"orders.read": "See", "orders.write": "Change"}}}},
            "login": {{{members}}},"#
    )
}

/// With two roles.
fn login(members: &str) -> String {
    let roles = r#""roles": {"user": {"scopes": ["orders.read"]},
        "admin": {"scopes": ["openid", "orders.write"], "tier": "gold", "mfa": true}}"#;
    let comma = if members.is_empty() { "" } else { "," };
    at("https://login.example.test", &format!("{roles}{comma} {members}"))
}

fn document(members: &str) -> Document {
    load(&login(members), &[OPEN]).unwrap_or_else(|found| panic!("{found:?}"))
}

fn read(members: &str) -> Login {
    document(members).login.unwrap()
}

fn assert_problem(members: &str, place: &str, word: &str) {
    let found = problems(members, &[OPEN]);
    let [only] = found.as_slice() else { panic!("{found:?} for {members}") };
    assert!(only.starts_with(&format!("{place}: ")) && only.contains(word), "{only} ({word})");
}

#[test]
fn log_in_has_defaults_for_all_but_roles() {
    let login = read("");
    assert_eq!(login.default_role, "user");
    assert!(login.roles[1].mfa && !login.roles[0].mfa);
    assert_eq!(login.roles[1].tier.as_deref(), Some("gold"));
    let passwords = &login.passwords;
    assert_eq!((passwords.min_length, passwords.memory_kib, passwords.iterations), (8, 19_456, 2));
    assert_eq!((&passwords.breached, &login.passkeys), (&None, &None));
    let session = &login.session;
    let day = 86_400_000;
    assert_eq!((session.idle_ms, session.absolute_ms), (day / 2, 7 * day));
    assert_eq!((session.remembered_ms, &session.cookie_domain), (30 * day, &None));
    assert!(login.fingerprint.parts.is_empty() && login.outside.is_empty());
    let limits = login.limits;
    let rates =
        [limits.pair, limits.email, limits.ip].map(|rate| (rate.requests(), rate.period_ms()));
    assert_eq!(rates, [(5, 900_000), (20, 900_000), (100, 900_000)]);
    assert_eq!(login.pages.title, "login.example.test");
    assert_eq!(login.pages.languages, ["en"]);
}

#[test]
fn everything_is_read_and_part_of_the_digest() {
    let all = r##"
        "default_role": "admin",
        "passwords": {"min_length": 12, "memory": 64, "iterations": 3,
            "breached": {"file": "/etc/breached", "when_unavailable": "deny"}},
        "passkeys": {"rp_id": "example.test"},
        "session": {"idle": "1h", "absolute": "1d", "remembered": "2d",
                    "cookie_domain": "example.test"},
        "fingerprint": ["user_agent", "ip_prefix"], "on_change": "end",
        "limits": {"pair": "3/10m"},
        "outside": [{"name": "corp", "issuer": "https://corp.example.test/realm",
            "client_id": "postern", "client_secret": "file:/run/secrets/corp",
            "scopes": ["openid", "groups"], "title": "Corp", "users": "create", "role": "user",
            "role_claim": {"claim": "groups", "values": {"ops": "admin"}},
            "domains": ["corp.example.test"]}],
        "hosts": ["app.example.test"],
        "pages": {"title": "Shop", "logo": "data:image/png;base64,aGk=", "accent": "#0b57d0",
            "background": "#ffffff", "text": "#1f1f1f", "languages": ["de", "en"],
            "privacy": "https://example.test/privacy", "terms": "https://example.test/terms"}"##;
    let document = document(all);
    let again = from_json(document.to_json().as_bytes()).unwrap();
    assert_eq!((&again.login, &again.digest), (&document.login, &document.digest));
    assert!(!document.filter_config().contains("corp"));
    let login = document.login.unwrap();
    let breached = login.passwords.breached.unwrap();
    assert_eq!(breached.source, BreachedSource::File("/etc/breached".to_owned()));
    assert_eq!(breached.when_unavailable, OnFailure::Deny);
    assert_eq!(login.passkeys.unwrap().rp_id, "example.test");
    assert_eq!(login.fingerprint.parts, [FingerprintPart::UserAgent, FingerprintPart::IpPrefix]);
    assert_eq!(login.fingerprint.on_change, OnChange::End);
    assert_eq!((login.limits.pair.requests(), login.limits.email.requests()), (3, 20));
    let corp = &login.outside[0];
    assert_eq!((corp.users, corp.role.as_deref()), (OutsideUsers::Create, Some("user")));
    let claim = corp.role_claim.as_ref().unwrap();
    assert_eq!(claim.values, [("ops".to_owned(), "admin".to_owned())]);
    assert_eq!(login.hosts, ["app.example.test"]);
    assert_eq!(login.pages.colours.text.as_deref(), Some("#1f1f1f"));
    assert_eq!(login.pages.languages, ["de", "en"]);
}

#[test]
fn log_in_is_part_of_the_authorization_server() {
    let alone = r#""issuer": "https://a.test", "login": {"roles": {"user": {}}},"#;
    assert_problem(alone, "login", "`oauth`");
}

#[test]
fn roles_are_there_and_their_scopes_known() {
    let of = |members: &str| at("https://login.example.test", members);
    for (members, place, word) in [
        ("", "login.roles", "at least one"),
        (r#""roles": {"Admin": {}}"#, "login.roles", "lower-case"),
        (
            r#""roles": {"user": {"scopes": ["orders.raed"]}}"#,
            "login.roles.user.scopes",
            "did you mean `orders.read`? Else add `orders.raed: TEXT` under `oauth.scopes`",
        ),
        (
            r#""roles": {"user": {"scopes": ["openid", "openid"]}}"#,
            "login.roles.user.scopes",
            "twice",
        ),
        (r#""roles": {"user": {"tier": " "}}"#, "login.roles.user.tier", "header"),
        (
            r#""roles": {"user": {}}, "default_role": "usr""#,
            "login.default_role",
            "did you mean `user`",
        ),
        (
            r#""roles": {"a": {"scopes": ["postern.admin"]}, "b": {}}"#,
            "login.default_role",
            "users of whom nobody says more are `a`",
        ),
    ] {
        assert_problem(&of(members), place, word);
    }
    let meant = r#""roles": {"a": {"scopes": ["postern.admin"]}}, "default_role": "a""#;
    assert!(problems(&of(meant), &[OPEN]).is_empty());
    let last = r#""roles": {"a": {}, "b": {"scopes": ["postern.admin"]}}"#;
    assert!(problems(&of(last), &[OPEN]).is_empty());
}

#[test]
fn numbers_have_their_bounds() {
    for (members, place, word) in [
        (r#""passwords": {"min_length": 7}"#, "passwords.min_length", "8 to 64"),
        (r#""passwords": {"memory": 257}"#, "passwords.memory", "8 to 256"),
        (r#""passwords": {"iterations": 0}"#, "passwords.iterations", "1 to 10"),
        (r#""passwords": {"breached": {}}"#, "passwords.breached", "exactly one"),
        (
            r#""passwords": {"breached": {"range_url": "http://breached.example.test/"}}"#,
            "passwords.breached.range_url",
            "https",
        ),
        (r#""session": {"idle": "4m"}"#, "session.idle", "5m"),
        (r#""session": {"idle": "2d", "absolute": "1d"}"#, "session.absolute", "`idle`"),
        (
            r#""session": {"absolute": "9d", "remembered": "8d"}"#,
            "session.remembered",
            "`absolute`",
        ),
        (r#""fingerprint": ["ip_prefix", "ip_prefix"]"#, "fingerprint", "twice"),
        (r#""on_change": "end""#, "on_change", "`fingerprint`"),
        (r#""limits": {"pair": "unlimited"}"#, "limits.pair", "every password"),
        (r#""limits": {"ip": "5/1mo"}"#, "limits.ip", "days"),
    ] {
        assert_problem(&login(members), &format!("login.{place}"), word);
    }
}

#[test]
fn cookies_and_passkeys_are_for_hosts_of_ones_own() {
    for (members, place, word) in [
        (r#""session": {"cookie_domain": "test"}"#, "session.cookie_domain", "domain of yours"),
        (r#""session": {"cookie_domain": "co.uk"}"#, "session.cookie_domain", "domain of yours"),
        (r#""session": {"cookie_domain": "other.test"}"#, "session.cookie_domain", "not within"),
        (
            r#""session": {"cookie_domain": "n.example.test"}"#,
            "session.cookie_domain",
            "not within",
        ),
        (r#""passkeys": {"rp_id": "test"}"#, "passkeys.rp_id", "login.example.test"),
        (r#""passkeys": {"rp_id": "ogin.example.test"}"#, "passkeys.rp_id", "above it"),
        (r#""hosts": ["app.example.test"]"#, "hosts[0]", "cookie_domain"),
        (
            r#""session": {"cookie_domain": "example.test"}, "hosts": ["app.other.test"]"#,
            "hosts[0]",
            "not within",
        ),
        (
            r#""session": {"cookie_domain": "example.test"}, "hosts": ["*.example.test"]"#,
            "hosts[0]",
            "lower case",
        ),
    ] {
        assert_problem(&login(members), &format!("login.{place}"), word);
    }
    let roles = r#""roles": {"user": {}}, "#;
    let passkeys = format!(r#"{roles} "passkeys": {{}}"#);
    assert_problem(&at("http://127.0.0.1:8080", &passkeys), "login.passkeys", "localhost");
    let document = load(&at("http://localhost:8080", &passkeys), &[OPEN]).unwrap();
    assert_eq!(document.login.unwrap().passkeys.unwrap().rp_id, "localhost");
}

/// A provider with one field in place of another.
fn outside(from: &str, to: &str) -> String {
    let provider = r#"{"name": "corp", "issuer": "https://corp.example.test", "client_id": "c",
        "client_secret": "env:CORP", "role": "user"}"#;
    login(&format!(r#""outside": [{}]"#, provider.replacen(from, to, 1)))
}

#[test]
fn providers_are_asked_safely_and_vouch_for_roles_that_there_are() {
    assert!(problems(&outside("", ""), &[OPEN]).is_empty());
    let role = r#""role": "user""#;
    for (from, to, place, word) in [
        ("\"corp\"", "\"Corp\"", "name", "lower-case"),
        ("https://corp", "http://corp", "issuer", "https"),
        (".test\"", ".test?a\"", "issuer", "query"),
        ("corp.example", "login.example", "issuer", "itself"),
        ("\"c\"", "\"\"", "client_id", "1 to 256"),
        ("env:CORP", "hush-hush", "client_secret", "env:NAME"),
        ("env:CORP", "env:", "client_secret", "env:NAME"),
        (role, r#""role": "boss""#, "role", "there are user, admin"),
        (role, r#""users": "create""#, "role", "what users become"),
        (role, r#""scopes": ["email"]"#, "scopes", "`openid`"),
        (role, r#""title": """#, "title", "1 to 100"),
        (role, r#""domains": ["@example.test"]"#, "domains[0]", "behind the @"),
        (role, r#""role_claim": {"claim": "g", "values": {}}"#, "role_claim.values", "which"),
        (role, r#""role_claim": {"claim": "", "values": {"a": "user"}}"#, "role_claim.claim", "1"),
        (
            role,
            r#""role_claim": {"claim": "g", "values": {"a": "boss"}}"#,
            "role_claim.values",
            "no role `boss`",
        ),
    ] {
        let found = problems(&outside(from, to), &[OPEN]);
        let [only] = found.as_slice() else { panic!("{found:?} for {to}") };
        let place = format!("login.outside[0].{place}: ");
        assert!(only.starts_with(&place) && only.contains(word), "{only} ({word})");
        assert!(!only.contains("hush"), "{only}");
    }
    let twice = outside("", "").replace(
        "[{\"name\"",
        "[{\"name\": \"corp\", \"issuer\": \
        \"https://b.test\", \"client_id\": \"c\", \"client_secret\": \"env:B\"}, {\"name\"",
    );
    assert_problem(&twice, "login.outside[1]", "twice");
}

#[test]
fn pages_can_be_read() {
    for (members, place, word) in [
        (r#""title": """#, ".title", "1 to 100"),
        (r#""logo": "https://a.test/logo.svg""#, ".logo", "from elsewhere"),
        (r#""languages": []"#, ".languages", "at least one"),
        (r#""languages": ["en", "en"]"#, ".languages", "twice"),
        (r#""languages": ["it"]"#, ".languages[0]", "en, de, fr, es"),
        (r#""terms": "javascript:a""#, ".terms", "https"),
        (r#""accent": "red""#, ".accent", "colour"),
        (r##""text": "#000000""##, "", "both"),
        (r##""text": "#777777", "background": "#ffffff""##, ".text", "4.4:1"),
        (
            r##""text": "#000000", "background": "#ffffff", "accent": "#ffff00""##,
            ".accent",
            "1.0:1",
        ),
    ] {
        let members = login(&format!(r#""pages": {{{members}}}"#));
        assert_problem(&members, &format!("login.pages{place}"), word);
    }
}

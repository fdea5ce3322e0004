use proptest::prelude::*;

use super::*;

const ISSUER: &str = "https://gate.example";
/// Links that mean to lead elsewhere.
const HOSTILE: &str = "(https?:)?[/\\\\]{0,3}(gate\\.example|[a-z.@:#?/]{0,6}){0,4}";

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

#[test]
fn browsers_are_known_by_what_they_ask_for() {
    let navigate = &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")][..];
    let html = &[("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")][..];
    for (method, sent, expected) in [
        ("GET", navigate, true),
        ("HEAD", navigate, true),
        ("POST", navigate, false),
        ("OPTIONS", navigate, false),
        ("get", navigate, false),
        ("GET", html, true),
        ("GET", &[("accept", " Text/HTML ; q=1")][..], true),
        ("POST", html, false),
        ("GET", &html[..0], false),
        ("GET", &[("accept", "*/*")][..], false),
        ("GET", &[("accept", "application/json, text/html")][..], false),
        ("GET", &[("accept", "text/htmlx")][..], false),
        ("GET", &[("accept", "")][..], false),
    ] {
        assert_eq!(is_navigation(method, &headers(sent)), expected, "{method} {sent:?}");
    }
}

#[test]
fn scripts_frames_and_sockets_are_no_pages() {
    for (mode, destination) in [
        ("cors", "empty"),
        ("no-cors", "image"),
        ("same-origin", "empty"),
        ("websocket", "websocket"),
        ("navigate", "iframe"),
        ("navigate", "empty"),
        ("navigate", ""),
        ("Navigate", "document"),
        ("", "document"),
    ] {
        let sent = [("sec-fetch-mode", mode), ("sec-fetch-dest", destination)];
        let with_accept = [&sent[..], &[("accept", "text/html")][..]].concat();
        assert!(!is_navigation("GET", &headers(&with_accept)), "{mode} {destination}");
    }
    for half in [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")] {
        let sent = [half, ("accept", "text/html")];
        assert!(!is_navigation("GET", &headers(&sent)), "{half:?}");
        let twice = [half, half, ("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")];
        assert!(!is_navigation("GET", &headers(&twice)), "{half:?} twice");
    }
    let twice = [("accept", "text/html"), ("accept", "text/html")];
    assert!(!is_navigation("GET", &headers(&twice)));
}

#[test]
fn a_browser_is_sent_to_the_pages_or_to_a_provider() {
    let outside = LoginAt::Outside("corp/a".to_owned());
    let soon = Some(StepUp { max_age_secs: Some(900) });
    let ever = Some(StepUp { max_age_secs: None });
    for (at, step_up, expected) in [
        (&LoginAt::Pages, None, "https://gate.example/login?return_to=%2Fa%3Fb%3Dc%26d"),
        (&outside, None, "https://gate.example/login/outside/corp%2Fa?return_to=%2Fa%3Fb%3Dc%26d"),
        (
            &LoginAt::Pages,
            soon,
            "https://gate.example/login?return_to=%2Fa%3Fb%3Dc%26d\
             &acr_values=urn%3Apostern%3Aacr%3A2&max_age=900",
        ),
        (
            &LoginAt::Pages,
            ever,
            "https://gate.example/login?return_to=%2Fa%3Fb%3Dc%26d\
             &acr_values=urn%3Apostern%3Aacr%3A2",
        ),
    ] {
        for issuer in [ISSUER, "https://gate.example/"] {
            let found = location(issuer, at, "https", "gate.example", "/a?b=c&d", step_up);
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn another_host_than_the_issuers_is_named_in_full() {
    for (scheme, authority, expected) in [
        ("https", "gate.example", "%2Fa"),
        ("https", "Gate.Example:443", "%2Fa"),
        ("http", "gate.example:80", "%2Fa"),
        ("https", "app.example", "https%3A%2F%2Fapp.example%2Fa"),
        ("https", "gate.example:8443", "https%3A%2F%2Fgate.example%3A8443%2Fa"),
        ("https", "gate.example.evil.test", "https%3A%2F%2Fgate.example.evil.test%2Fa"),
    ] {
        let found = location(ISSUER, &LoginAt::Pages, scheme, authority, "/a", None);
        assert_eq!(found, format!("https://gate.example/login?return_to={expected}"));
    }
    let local = "http://127.0.0.1:8080";
    let found = location(local, &LoginAt::Pages, "http", "127.0.0.1:8080", "/a", None);
    assert_eq!(found, "http://127.0.0.1:8080/login?return_to=%2Fa");
}

#[test]
fn what_does_not_fit_into_a_header_is_left_out() {
    let step_up = Some(StepUp { max_age_secs: None });
    let to = |target: &str, step_up| {
        location(ISSUER, &LoginAt::Pages, "https", "gate.example", target, step_up)
    };
    let plain = format!("/{}", "a".repeat(MAX_RETURN_TO_BYTES - 1));
    assert!(to(&plain, None).ends_with('a'));
    assert_eq!(to(&format!("{plain}a"), None), "https://gate.example/login");
    // Each of these is three times as long in the query.
    let escaped = "/".repeat(3000);
    assert_eq!(
        to(&escaped, step_up),
        "https://gate.example/login?acr_values=urn%3Apostern%3Aacr%3A2"
    );
}

#[test]
fn log_in_returns_only_to_places_of_ours() {
    let hosts = ["app.example".to_owned(), "Wiki.example:8443".to_owned()];
    for (text, expected) in [
        ("/", true),
        ("/a/b?c=d&e=%2F#f", true),
        ("/oauth2/authorize?redirect_uri=https://other.example/", true),
        ("/a@b", true),
        ("https://gate.example", true),
        ("https://GATE.example:443/a", true),
        ("https://app.example/a?b", true),
        ("https://wiki.example:8443/", true),
        ("", false),
        ("a", false),
        ("//evil.test", false),
        ("//evil.test/a", false),
        ("///evil.test", false),
        ("/\\evil.test", false),
        ("\\\\evil.test", false),
        ("/\t/evil.test", false),
        ("/a\r\nset-cookie: b", false),
        ("/é", false),
        (" /a", false),
        ("http://gate.example/", false),
        ("http://app.example/", false),
        ("https://gate.example:8443/", false),
        ("https://wiki.example/", false),
        ("https://gate.example@evil.test/", false),
        ("https://evil.test/https://gate.example", false),
        ("https://gate.example.evil.test/", false),
        ("https://evil.test?https://gate.example/", false),
        ("https://evil.test#@gate.example/", false),
        ("https:gate.example", false),
        ("https:/gate.example", false),
        ("https:///gate.example", false),
        ("https://", false),
        ("HTTPS://gate.example/", false),
        ("javascript://gate.example/%0Aalert(1)", false),
        ("data:text/html,a", false),
        ("ftp://gate.example/", false),
        ("https://gate.example%2eevil.test/", false),
    ] {
        let found = ReturnTo::parse(text, ISSUER, &hosts);
        assert_eq!(found.is_some(), expected, "{text}");
        assert!(found.is_none_or(|found| found.as_str() == text));
    }
    let long = |length: usize| format!("/{}", "a".repeat(length - 1));
    assert!(ReturnTo::parse(&long(MAX_RETURN_TO_BYTES), ISSUER, &[]).is_some());
    assert!(ReturnTo::parse(&long(MAX_RETURN_TO_BYTES + 1), ISSUER, &[]).is_none());
    assert!(ReturnTo::parse("https://app.example/", ISSUER, &[]).is_none());
    assert!(ReturnTo::parse("https://gate.example/", "nonsense", &hosts).is_none());
    assert_eq!(ReturnTo::default().as_str(), "/login/account");
}

fn unescaped(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let (byte, after) = match (first, more) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [char::from(*high), char::from(*low)];
                let values = digits.map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap());
                (values[0] * 16 + values[1], after)
            }
            _ => (*first, more),
        };
        out.push(byte);
        rest = after;
    }
    String::from_utf8(out).unwrap()
}

proptest! {
    /// A browser comes back to what it asked for, wherever the pages take it.
    #[test]
    fn where_a_browser_is_sent_brings_it_back(target in "/[!-Z^-~][!-\\[\\]-~]{0,40}") {
        prop_assume!(!target.starts_with("//"));
        let hosts = ["app.example".to_owned()];
        for (authority, expected) in [
            ("gate.example", target.clone()),
            ("app.example", format!("https://app.example{target}")),
        ] {
            let to = location(ISSUER, &LoginAt::Pages, "https", authority, &target, None);
            let (_, asked) = to.split_once("return_to=").unwrap();
            let back = ReturnTo::parse(&unescaped(asked), ISSUER, &hosts);
            prop_assert_eq!(back, Some(ReturnTo(expected)));
        }
    }

    /// Whatever is asked for, a browser ends at the issuer or at a named host.
    #[test]
    fn nothing_leads_elsewhere(text in HOSTILE) {
        if let Some(to) = ReturnTo::parse(&text, ISSUER, &[]) {
            let to = to.as_str();
            let is_path = to.starts_with('/') && !to.starts_with("//");
            let of_ours = to.strip_prefix("https://gate.example");
            let ends = |rest: &str| rest.is_empty() || rest.starts_with([':', '/', '?', '#']);
            prop_assert!(is_path || of_ours.is_some_and(ends), "{}", to);
        }
    }
}

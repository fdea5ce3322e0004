//! Rules that hold for every page, in every language, whatever it is filled with.

mod html;

use html::Element;

use super::*;
use crate::{Language, Look, Page};

const HOSTILE: &str = "\"><script>alert('x')</script><b onclick=\"a\" style='b'>&amp;";

fn look(language: Language, filled: &str) -> Look<'_> {
    Look {
        title: filled,
        logo: Some("data:image/png;base64,AAAA"),
        style_href: "/login/assets/0123/style.css",
        script_href: "/login/assets/4567/passkeys.js",
        language,
        privacy: Some("https://example.test/privacy"),
        terms: Some("https://example.test/terms"),
    }
}

fn scopes(filled: &str) -> Vec<ScopeLine<'_>> {
    vec![
        ScopeLine { name: "openid", text: "" },
        ScopeLine { name: "profile", text: "profile" },
        ScopeLine { name: "email", text: "See your e-mail address" },
        ScopeLine { name: "offline_access", text: "" },
        ScopeLine { name: filled, text: filled },
    ]
}

/// Every page there is, filled with one text wherever one comes from outside.
fn all(language: Language, filled: &str) -> Vec<(String, Page)> {
    let look = look(language, filled);
    let problem = Some(Problem::Limited(90));
    let scopes = scopes(filled);
    let targets = ["https://client.example.test", "com.example.app:", filled];
    let outside = [OutsideLink { title: filled, href: "/login/outside/a" }];
    let ceremony = Ceremony {
        options: "/auth/passkeys/options",
        finish: "/auth/passkeys/finish",
        csrf: filled,
    };
    let login_view = LoginView {
        action: "/login",
        csrf: filled,
        email: filled,
        remember: true,
        problem: None,
        passkey: Some(ceremony),
        outside: &outside,
        targets: &targets,
    };
    let mfa_view = MfaView {
        action: "/login/mfa",
        csrf: filled,
        totp: true,
        recovery: true,
        passkey: Some(ceremony),
        problem: None,
        targets: &targets,
    };
    let consent_view = ConsentView {
        action: "/login/consent",
        csrf: filled,
        client_name: filled,
        client_uri: Some("https://client.example.test/about"),
        who: filled,
        scopes: &scopes,
        resources: &[filled],
        form_target: filled,
    };
    let device_view =
        DeviceView { action: "/login/device", csrf: filled, user_code: filled, is_unknown: false };
    let confirm = DeviceConfirmView {
        action: "/login/device",
        csrf: filled,
        user_code: filled,
        client_name: filled,
        who: filled,
        scopes: &scopes,
        resources: &[filled],
    };
    let line = SessionLine {
        reference: filled,
        client: Some(filled),
        is_this: false,
        browser: Some(filled),
        system: Some(filled),
        began: filled,
        used: "2026-01-31T23:59:59.000Z",
    };
    let unknown = SessionLine { client: None, browser: None, system: None, ..line };
    let browser = SessionLine { client: None, ..line };
    let lines = [line, unknown, browser, SessionLine { is_this: true, ..line }];
    let password_view = PasswordView {
        action: "/login/password",
        csrf: filled,
        email: Some(filled),
        asks_current: true,
        is_forced: false,
        least: 8,
        problem: None,
        targets: &targets,
    };
    let enrol = EnrolTotpView {
        action: "/login/mfa/totp",
        csrf: filled,
        key: Some(TotpKey { secret: filled, uri: filled }),
        restart: "/login/mfa/totp",
        is_forced: true,
        problem: None,
        targets: &targets,
    };
    let logout_view =
        LogoutView { action: "/login/out", csrf: filled, who: filled, targets: &targets };
    let plain = LoginView { outside: &[], passkey: None, ..login_view };
    let code = MfaView { recovery: false, passkey: None, problem, ..mfa_view };
    let passkey_alone = MfaView { totp: false, recovery: false, ..mfa_view };
    let recovery_alone = MfaView { totp: false, passkey: None, ..mfa_view };
    let nothing = ConsentView { client_uri: None, scopes: &[], resources: &[], ..consent_view };
    let sessions_view =
        SessionsView { action: "/login/account/sessions", csrf: filled, sessions: &lines };
    let recovery = RecoveryCodesView { codes: &[filled], go_on: "/login/account" };
    let forced = PasswordView {
        email: None,
        asks_current: false,
        is_forced: true,
        problem,
        ..password_view
    };
    let account_view =
        AccountView { who: filled, has_account: true, has_passkeys: true, password_saved: true };
    let elsewhere = AccountView {
        has_account: false,
        has_passkeys: false,
        password_saved: false,
        ..account_view
    };
    let factor = FactorLine { reference: filled, name: Some(filled), added: filled, used: None };
    let app = FactorLine { name: None, used: Some("2026-01-31T23:59:59.000Z"), ..factor };
    let some_factors = [factor, app];
    let small_form = FormTarget { action: "/login/account/mfa/totp", csrf: filled };
    let factors_view = FactorsView {
        action: "/login/account/mfa",
        csrf: filled,
        enrol: small_form,
        recovery: FormTarget { action: "/login/account/mfa/recovery", ..small_form },
        passkeys: Some("/login/account/passkeys"),
        factors: &some_factors,
        codes_left: 1,
        problem: None,
    };
    let no_factors = FactorsView { passkeys: None, factors: &[], codes_left: 0, ..factors_view };
    let last_factor = Some(Problem::LastFactor);
    let passkeys_view = PasskeysView {
        action: "/login/account/passkeys",
        csrf: filled,
        passkeys: &some_factors,
        ceremony,
        codes_left: Some(0),
        factors: "/login/account/mfa",
        problem: None,
    };
    let no_passkeys = PasskeysView { passkeys: &[], codes_left: None, ..passkeys_view };
    let own_consents =
        [ConsentLine { client_id: filled, client_name: filled, scopes: &scopes, since: filled }];
    let consents_view =
        ConsentsView { action: "/login/account/consents", csrf: filled, consents: &own_consents };
    let no_consents = ConsentsView { consents: &[], ..consents_view };
    let this_alone = SessionsView { sessions: &lines[3..], ..sessions_view };
    let onward = OnwardView { href: "https://client.example.test/cb?error=x", place: filled };
    let mut pages = vec![
        ("login", login(&login_view, &look)),
        ("login, alone", login(&plain, &look)),
        ("login, wrong", login(&LoginView { problem, ..login_view }, &look)),
        ("mfa", mfa(&mfa_view, &look)),
        ("mfa, wrong", mfa(&code, &look)),
        ("consent", consent(&consent_view, &look)),
        ("consent, nothing", consent(&nothing, &look)),
        ("device", device(&device_view, &look)),
        ("device, unknown", device(&DeviceView { is_unknown: true, ..device_view }, &look)),
        ("device, confirm", device_confirm(&confirm, &look)),
        ("device, allowed", device_done(true, &look)),
        ("device, denied", device_done(false, &look)),
        ("mfa, passkey alone", mfa(&passkey_alone, &look)),
        ("mfa, recovery alone", mfa(&recovery_alone, &look)),
        ("account", account(&account_view, &look)),
        ("account, elsewhere", account(&elsewhere, &look)),
        ("sessions", sessions(&sessions_view, &look)),
        ("sessions, one", sessions(&this_alone, &look)),
        ("factors", factors(&factors_view, &look)),
        ("factors, none", factors(&no_factors, &look)),
        ("factors, refused", factors(&FactorsView { problem: last_factor, ..factors_view }, &look)),
        ("passkeys", passkeys(&passkeys_view, &look)),
        ("passkeys, none", passkeys(&no_passkeys, &look)),
        (
            "passkeys, refused",
            passkeys(&PasskeysView { problem: last_factor, ..passkeys_view }, &look),
        ),
        ("consents", consents(&consents_view, &look)),
        ("consents, none", consents(&no_consents, &look)),
        ("password", password(&password_view, &look)),
        ("password, wrong", password(&forced, &look)),
        ("enrol", enrol_totp(&enrol, &look)),
        ("enrol, wanted", enrol_totp(&EnrolTotpView { is_forced: false, ..enrol }, &look)),
        ("enrol, wrong", enrol_totp(&EnrolTotpView { key: None, problem, ..enrol }, &look)),
        ("recovery", recovery_codes(&recovery, &look)),
        ("logout", ask_logout(&logout_view, &look)),
        ("logged out", logged_out(&look)),
        ("stranger", refused_stranger(&onward, filled, &look)),
        ("stranger, logged out", logged_out_by_stranger(&onward, &look)),
    ];
    for kind in ERRORS {
        let view = ErrorView { kind, correlation_id: filled, sign_in: "/login?return_to=%2fa" };
        pages.push(("error", error(&view, &look)));
    }
    pages
        .into_iter()
        .map(|(name, page)| (format!("{name} in {language:?}, filled with {filled}"), page))
        .collect()
}

const ERRORS: [ErrorKind; 19] = [
    ErrorKind::UnknownClient,
    ErrorKind::RedirectUri,
    ErrorKind::LogoutUri,
    ErrorKind::Unreadable,
    ErrorKind::TooLarge,
    ErrorKind::RequestExpired,
    ErrorKind::Form,
    ErrorKind::NotFound,
    ErrorKind::Method,
    ErrorKind::Internal,
    ErrorKind::Elsewhere(Elsewhere::Denied),
    ErrorKind::Elsewhere(Elsewhere::Away),
    ErrorKind::Elsewhere(Elsewhere::Answer),
    ErrorKind::Elsewhere(Elsewhere::Email),
    ErrorKind::Elsewhere(Elsewhere::Nobody),
    ErrorKind::Elsewhere(Elsewhere::Taken),
    ErrorKind::Elsewhere(Elsewhere::SecondFactor),
    ErrorKind::Problem(Problem::Expired),
    ErrorKind::Problem(Problem::Unavailable),
];

/// Every page, in every language, with a harmless and a hostile text.
fn each(check: impl Fn(&str, &Page, &[Element])) {
    for language in Language::ALL {
        for filled in ["Ada", HOSTILE] {
            for (name, page) in all(language, filled) {
                let elements = html::read(&page.body).unwrap_or_else(|why| {
                    panic!("{name}: {why}\n{}", page.body);
                });
                check(&name, &page, &elements);
            }
        }
    }
}

fn named<'a>(elements: &'a [Element], name: &'a str) -> impl Iterator<Item = &'a Element> {
    elements.iter().filter(move |element| element.name == name)
}

#[test]
fn every_page_is_well_formed_and_has_its_parts_once() {
    each(|name, page, elements| {
        assert!(page.body.starts_with("<!DOCTYPE html>\n<html lang=\""), "{name}");
        for part in ["html", "head", "body", "title", "header", "main", "h1"] {
            assert_eq!(named(elements, part).count(), 1, "{name}: {part}");
        }
        let mut ids: Vec<&str> = elements.iter().filter_map(|one| one.get("id")).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}: an id is there twice");
    });
}

#[test]
fn pages_say_their_language() {
    for language in Language::ALL {
        for (name, page) in all(language, "Ada") {
            let elements = html::read(&page.body).unwrap();
            let lang = named(&elements, "html").next().and_then(|html| html.get("lang"));
            assert_eq!(lang, Some(language.tag()), "{name}");
        }
    }
}

#[test]
fn hostile_values_are_text_and_nothing_else() {
    for language in Language::ALL {
        let harmless = all(language, "Ada");
        for ((name, hostile), (_, harmless)) in all(language, HOSTILE).iter().zip(&harmless) {
            let elements = html::read(&hostile.body).unwrap();
            assert!(named(&elements, "title").all(|title| title.text.contains(HOSTILE)), "{name}");
            assert!(!hostile.body.contains(HOSTILE), "{name}");
            let names = |page: &Page| {
                let elements = html::read(&page.body).unwrap();
                // The picture of a QR code is another one; it has the same elements.
                elements.into_iter().map(|element| element.name).collect::<Vec<_>>()
            };
            assert_eq!(names(hostile), names(harmless), "{name}");
        }
    }
}

#[test]
fn no_page_holds_a_script_or_a_style() {
    each(|name, _, elements| {
        for element in elements {
            assert!(
                !["style", "iframe", "object", "embed", "base"].contains(&element.name.as_str()),
                "{name}"
            );
            if element.name == "script" {
                assert_eq!(element.get("src"), Some("/login/assets/4567/passkeys.js"), "{name}");
                assert_eq!(element.text, "", "{name}");
            }
            for (attribute, value) in &element.attributes {
                assert!(
                    attribute != "style" && !attribute.starts_with("on"),
                    "{name}: {attribute}"
                );
                assert!(!value.to_ascii_lowercase().contains("javascript:"), "{name}: {value}");
            }
        }
    });
}

#[test]
fn the_script_is_on_the_pages_that_offer_passkeys_and_on_no_other() {
    each(|name, _, elements| {
        let scripts = named(elements, "script").count();
        let places: Vec<_> =
            elements.iter().filter(|one| one.get("id") == Some("passkey")).collect();
        assert_eq!((scripts, scripts <= 1), (places.len(), true), "{name}");
        for place in places {
            // Until the script has found that the browser can do it, nobody is offered it.
            assert!(place.get("hidden").is_some(), "{name}");
            for data in ["data-options", "data-finish"] {
                assert!(place.get(data).is_some_and(|path| path.starts_with('/')), "{name}");
            }
            for data in ["data-csrf", "data-failed"] {
                assert!(place.get(data).is_some_and(|text| !text.is_empty()), "{name}");
            }
            let makes = place.get("data-do") == Some("create");
            assert_eq!(makes, name.starts_with("passkeys"), "{name}");
        }
    });
}

#[test]
fn the_script_finds_everything_by_names_that_pages_have() {
    let bodies: String = all(Language::En, "Ada").into_iter().map(|(_, page)| page.body).collect();
    for part in crate::SCRIPT.split("getElementById(\"").skip(1) {
        let id = part.split('"').next().unwrap();
        let made = id == "passkey-problem";
        assert!(made || bodies.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert!(!crate::SCRIPT.contains("innerHTML") && !crate::SCRIPT.contains("eval("));
}

#[test]
fn no_page_loads_anything_from_elsewhere() {
    each(|name, _, elements| {
        for element in elements {
            let loads = match element.name.as_str() {
                "link" => element.get("href"),
                "a" | "form" => None,
                _ => element.get("src"),
            };
            let is_ours = |url: &str| url.starts_with("/login/") || url.starts_with("data:");
            assert!(loads.is_none_or(is_ours), "{name}: {element:?}");
            assert!(element.get("action").is_none_or(|to| to.starts_with("/login")), "{name}");
        }
    });
}

#[test]
fn every_page_says_where_its_forms_may_lead() {
    each(|name, page, elements| {
        let policy = named(elements, "meta")
            .find(|meta| meta.get("http-equiv") == Some("Content-Security-Policy"))
            .and_then(|meta| meta.get("content"));
        assert_eq!(policy, Some(page.form_action().as_str()), "{name}");
        assert!(page.form_action().starts_with("form-action 'self'"), "{name}");
        for part in page.form_action().split(' ').skip(2) {
            assert!(!part.contains([';', ',', '\'', '"']) && part != "*", "{name}: {part}");
        }
    });
}

#[test]
fn every_form_that_changes_something_has_its_token() {
    each(|name, page, elements| {
        let forms = named(elements, "form").count();
        let posts = named(elements, "form").filter(|form| form.get("method") == Some("post"));
        assert_eq!(posts.count(), forms, "{name}");
        let tokens = named(elements, "input").filter(|input| input.get("name") == Some("csrf"));
        assert_eq!(tokens.count(), forms, "{name}\n{}", page.body);
    });
}

#[test]
fn every_field_has_a_label_and_what_describes_it_is_there() {
    each(|name, _, elements| {
        for input in named(elements, "input").filter(|one| one.get("type") != Some("hidden")) {
            let id = input.get("id").unwrap_or_else(|| panic!("{name}: {input:?}"));
            let labels = named(elements, "label").filter(|label| label.get("for") == Some(id));
            assert_eq!(labels.count(), 1, "{name}: {id}");
            if input.get("type") != Some("checkbox") {
                assert!(input.get("autocomplete").is_some(), "{name}: {id}");
            }
        }
        for described in elements.iter().filter_map(|one| one.get("aria-describedby")) {
            for id in described.split(' ') {
                assert!(elements.iter().any(|one| one.get("id") == Some(id)), "{name}: {id}");
            }
        }
        for picture in named(elements, "img") {
            assert!(picture.get("alt").is_some(), "{name}");
        }
        for control in elements.iter().filter(|one| one.name == "a" || one.name == "button") {
            assert!(!control.text.trim().is_empty(), "{name}: {control:?}");
        }
    });
}

#[test]
fn problems_are_told_to_those_who_cannot_see_them_too() {
    each(|name, page, elements| {
        let alerts: Vec<_> =
            elements.iter().filter(|one| one.get("role") == Some("alert")).collect();
        let is_wrong = name.contains(", wrong") || name.contains(", unknown");
        let has_problem = is_wrong || name.contains(", refused");
        assert_eq!(alerts.len(), usize::from(has_problem), "{name}");
        let invalid = elements.iter().filter(|one| one.get("aria-invalid") == Some("true"));
        assert_eq!(invalid.count() > 0, is_wrong, "{name}");
        let status_is_good = page.status == 200;
        // A stranger's request is refused on a page of its own.
        let is_error = name.starts_with("error") || name.starts_with("stranger in");
        assert_eq!(status_is_good, !has_problem && !is_error, "{name}");
    });
}

#[test]
fn consent_names_each_scope_and_leaves_the_choice() {
    let look = look(Language::De, "Example");
    let scopes = scopes("content.read");
    let view = ConsentView {
        action: "/login/consent",
        csrf: "c",
        client_name: "Reader",
        client_uri: Some("javascript:alert(1)"),
        who: "ada@example.test",
        scopes: &scopes,
        resources: &["https://api.example.test"],
        form_target: "https://client.example.test",
    };
    let page = consent(&view, &look);
    let elements = html::read(&page.body).unwrap();
    let boxes: Vec<_> = named(&elements, "input").filter_map(|one| one.get("name")).collect();
    let expected = ["openid", "profile", "email", "offline_access", "content.read"];
    let expected: Vec<String> = expected.iter().map(|name| format!("scope.{name}")).collect();
    assert_eq!(boxes.get(1..).unwrap(), expected.as_slice());
    let labels: Vec<_> = named(&elements, "label").map(|label| label.text.as_str()).collect();
    let expected = [
        "Wissen, wer Sie sind",
        "Ihren Namen und Ihr Bild sehen",
        "Ihre E-Mail-Adresse sehen",
        "Diesen Zugriff behalten, wenn Sie nicht da sind",
        "content.read",
    ];
    assert_eq!(labels, expected);
    let decisions: Vec<_> = named(&elements, "button").filter_map(|one| one.get("value")).collect();
    assert_eq!(decisions, ["allow", "deny"]);
    assert!(!page.body.contains("javascript:"), "a client's page is on the web, or is not shown");
    assert_eq!(page.form_targets, ["https://client.example.test"]);
}

#[test]
fn errors_have_their_status() {
    let look = look(Language::En, "Example");
    let view = |kind| ErrorView { kind, correlation_id: "id-1", sign_in: "/login" };
    let statuses: Vec<u16> = ERRORS.iter().map(|kind| error(&view(*kind), &look).status).collect();
    let elsewhere = [403, 503, 403, 403, 403, 403, 403];
    let ours = [400, 400, 400, 400, 413, 400, 403, 404, 405, 500];
    assert_eq!(statuses, [&ours[..], &elsewhere, &[400, 503]].concat());
}

#[test]
fn who_signs_in_again_goes_where_they_were_going() {
    let look = look(Language::En, "Example");
    for (kind, expected) in [
        (ErrorKind::Form, true),
        (ErrorKind::Problem(Problem::Expired), true),
        (ErrorKind::Problem(Problem::Exhausted), true),
        (ErrorKind::Problem(Problem::NoLogIn), true),
        (ErrorKind::Problem(Problem::Cookies), true),
        (ErrorKind::Problem(Problem::Unavailable), false),
        (ErrorKind::NotFound, false),
    ] {
        let view = ErrorView { kind, correlation_id: "id-1", sign_in: "/login?return_to=%2fa" };
        let page = error(&view, &look);
        let elements = html::read(&page.body).unwrap();
        let links: Vec<_> = named(&elements, "a").filter_map(|link| link.get("href")).collect();
        assert_eq!(links.contains(&"/login?return_to=%2fa"), expected, "{kind:?}");
    }
}

#[test]
fn pictures_from_elsewhere_are_not_shown() {
    let mut look = look(Language::En, "Example");
    look.logo = Some("https://elsewhere.test/logo.png");
    look.terms = Some("javascript:alert(1)");
    let page = logged_out(&look);
    assert!(!page.body.contains("elsewhere.test") && !page.body.contains("javascript:"));
}

#[test]
fn the_way_on_to_a_stranger_is_a_link_that_says_where_it_leads() {
    let look = look(Language::En, "Ada");
    let of = |href| {
        let view = OnwardView { href, place: "https://client.example.test" };
        [refused_stranger(&view, "id-1", &look), logged_out_by_stranger(&view, &look)]
    };
    let statuses = of("https://client.example.test/cb?error=x&state=%22").map(|page| {
        let elements = html::read(&page.body).unwrap();
        let link = named(&elements, "a").find(|link| link.get("rel").is_some()).unwrap();
        assert_eq!(link.get("href"), Some("https://client.example.test/cb?error=x&state=%22"));
        assert_eq!(link.get("rel"), Some("noopener noreferrer"));
        assert_eq!(link.text, "Go on to https://client.example.test");
        assert!(page.body.contains("nobody here has checked it"), "{}", page.body);
        assert!(!page.body.contains("http-equiv=\"refresh\""));
        assert_eq!(page.form_targets, Vec::<String>::new());
        page.status
    });
    assert_eq!(statuses, [400, 200]);
    for page in of("javascript:alert(1)") {
        let elements = html::read(&page.body).unwrap();
        assert!(named(&elements, "a").all(|link| link.get("rel").is_none()), "{}", page.body);
    }
}

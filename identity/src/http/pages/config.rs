//! What the document says of the pages, made ready once and not for each of them.

use axum::http::HeaderMap;
use postern_document::{Current, Login};
use postern_identity_pages::{Colours, Language, Look, SCRIPT, style};
use postern_request::login::{OUTSIDE_PATH, ReturnTo};

use super::csrf::origin_of;
use crate::random;

/// Files of the pages are served below this, and the digest of what they hold.
pub(super) const ASSETS_PATH: &str = "/login/assets/";
/// The style's name there.
pub(super) const STYLE_FILE: &str = "style.css";
/// The name of the one script.
pub(super) const SCRIPT_FILE: &str = "passkeys.js";

/// What the pages look like now: with another document comes another one.
pub type CurrentPages = Current<PagesConfig>;

/// What the pages look like, and where they may lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagesConfig {
    /// The issuer, without a slash behind it.
    pub(super) issuer: String,
    /// Where forms come from, as browsers write it.
    pub(super) origin: String,
    /// The style, with the operator's colours.
    pub(super) style: String,
    /// Title and path of each provider elsewhere.
    pub(super) outside: Vec<(String, String)>,
    hosts: Vec<String>,
    style_href: String,
    script_href: String,
    title: String,
    logo: Option<String>,
    privacy: Option<String>,
    terms: Option<String>,
    languages: Vec<Language>,
}

impl PagesConfig {
    /// Of what the document says about logging in, and its issuer.
    #[must_use]
    pub fn new(issuer: &str, login: &Login) -> Self {
        let pages = &login.pages;
        let colours = Colours {
            accent: pages.colours.accent.as_deref(),
            background: pages.colours.background.as_deref(),
            text: pages.colours.text.as_deref(),
        };
        let style = style(&colours);
        Self {
            issuer: issuer.trim_end_matches('/').to_owned(),
            // `check` asks for an issuer with a host wherever people log in.
            origin: origin_of(issuer).unwrap_or_default(),
            style_href: href(&style, STYLE_FILE),
            script_href: href(SCRIPT, SCRIPT_FILE),
            style,
            outside: login
                .outside
                .iter()
                .map(|one| (one.title.clone(), [OUTSIDE_PATH, one.name.as_str()].concat()))
                .collect(),
            hosts: login.hosts.clone(),
            title: pages.title.clone(),
            logo: pages.logo.clone(),
            privacy: pages.privacy.clone(),
            terms: pages.terms.clone(),
            languages: pages.languages.iter().filter_map(|tag| Language::of_tag(tag)).collect(),
        }
    }

    /// What the pages look like for this browser. `ui_locales` is what a client asks for, by
    /// spaces (OpenID Connect Core §3.1.2.1).
    pub(super) fn look(&self, headers: &HeaderMap, ui_locales: &str) -> Look<'_> {
        let accepted = headers.get("accept-language").and_then(|value| value.to_str().ok());
        let locales: Vec<String> =
            ui_locales.split(' ').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        Look {
            title: &self.title,
            logo: self.logo.as_deref(),
            style_href: &self.style_href,
            script_href: &self.script_href,
            language: Language::negotiate(accepted.unwrap_or_default(), &locales, &self.languages),
            privacy: self.privacy.as_deref(),
            terms: self.terms.as_deref(),
        }
    }

    /// Where a log-in leads: what was asked for where that is a place of ours, else the account.
    pub(super) fn return_to(&self, asked: Option<&str>) -> ReturnTo {
        asked
            .and_then(|asked| ReturnTo::parse(asked, &self.issuer, &self.hosts))
            .unwrap_or_default()
    }

    /// Whether the file of a path is the one that is served now.
    pub(super) fn is_current(&self, path: &str) -> bool {
        path == self.style_href || path == self.script_href
    }
}

/// The path of a file, with a digest of what is in it.
fn href(content: &str, name: &str) -> String {
    let digest = random::sha256(content.as_bytes()).0;
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    [ASSETS_PATH, &digest, "/", name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::fixture;
    use axum::http::HeaderValue;

    fn login_document() -> Login {
        fixture::rules().login
    }

    #[test]
    fn the_style_has_the_operators_colours_under_a_path_of_its_own() {
        let mut login = login_document();
        let before = PagesConfig::new("https://a.test", &login);
        login.pages.colours.accent = Some("#123456".to_owned());
        let after = PagesConfig::new("https://a.test", &login);
        assert!(after.style.contains("#123456") && !before.style.contains("#123456"));
        assert!(after.style_href.starts_with(ASSETS_PATH));
        assert_ne!(before.style_href, after.style_href, "browsers keep it for a year");
        assert!(after.is_current(&after.style_href) && !after.is_current(&before.style_href));
    }

    #[test]
    fn the_browser_or_the_client_chooses_among_the_documents_languages() {
        let mut login = login_document();
        login.pages.languages = vec!["de".to_owned(), "fr".to_owned()];
        let config = PagesConfig::new("https://a.test", &login);
        let mut headers = HeaderMap::new();
        assert_eq!(config.look(&headers, "").language, Language::De, "the first, without a wish");
        headers.insert("accept-language", HeaderValue::from_static("es, fr;q=0.5"));
        assert_eq!(config.look(&headers, "").language, Language::Fr);
        assert_eq!(config.look(&headers, "es de").language, Language::De);
    }

    #[test]
    fn log_in_returns_only_to_places_of_ours() {
        let mut login = login_document();
        login.hosts = vec!["portal.a.test".to_owned()];
        let config = PagesConfig::new("https://a.test/", &login);
        for (asked, expected) in [
            (Some("/oauth2/authorize?x=y"), "/oauth2/authorize?x=y"),
            (Some("https://portal.a.test/x"), "https://portal.a.test/x"),
            (Some("https://a.test/x"), "https://a.test/x"),
            (Some("https://evil.test/"), "/login/account"),
            (Some("//evil.test/"), "/login/account"),
            (Some("/\\evil.test/"), "/login/account"),
            (Some("javascript:alert(1)"), "/login/account"),
            (None, "/login/account"),
        ] {
            assert_eq!(config.return_to(asked).as_str(), expected, "{asked:?}");
        }
    }
}

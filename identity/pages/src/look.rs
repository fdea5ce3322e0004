//! What all pages have in common.

use askama::Template;

use crate::Language;
use crate::texts::Texts;

/// What an operator's pages look like, for one browser.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// What stands above them.
    pub title: &'a str,
    /// A picture as a `data:image/` URL. Others are not shown: pages load nothing from elsewhere.
    pub logo: Option<&'a str>,
    /// Where their style is, at this server.
    pub style_href: &'a str,
    /// Where the one script is, at this server; pages that offer passkeys load it.
    pub script_href: &'a str,
    /// The language that they are shown in.
    pub language: Language,
    /// A link to what is done with data.
    pub privacy: Option<&'a str>,
    /// A link to the terms of use.
    pub terms: Option<&'a str>,
}

/// A page, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its status.
    pub status: u16,
    /// HTML.
    pub body: String,
    /// Where its forms may lead besides this server: sources of `form-action` (CSP Level 3
    /// §6.4.1). The page says so itself too; whoever sends it may say it in a header.
    pub form_targets: Vec<String>,
}

impl Page {
    /// The value of the directive that [`Page::form_targets`] stand for.
    #[must_use]
    pub fn form_action(&self) -> String {
        form_action(&self.form_targets)
    }
}

/// What every template is filled with.
pub(crate) struct Frame<'a> {
    pub(crate) look: &'a Look<'a>,
    pub(crate) texts: &'static Texts,
    pub(crate) heading: String,
    pub(crate) logo: Option<&'a str>,
    pub(crate) privacy: Option<&'a str>,
    pub(crate) terms: Option<&'a str>,
    pub(crate) policy: String,
    /// Whether the page loads the script.
    pub(crate) has_script: bool,
    form_targets: Vec<String>,
}

impl<'a> Frame<'a> {
    /// The frame of a page whose forms lead to this server, and to `targets`.
    pub(crate) fn new(look: &'a Look<'a>, heading: String, targets: &[&str]) -> Self {
        let is_source = |target: &&&str| is_source(target);
        let form_targets: Vec<String> =
            targets.iter().filter(is_source).map(|target| (*target).to_owned()).collect();
        Self {
            look,
            texts: look.language.texts(),
            heading,
            logo: look.logo.filter(|logo| logo.starts_with("data:image/")),
            privacy: look.privacy.and_then(web_url),
            terms: look.terms.and_then(web_url),
            policy: form_action(&form_targets),
            has_script: false,
            form_targets,
        }
    }

    /// The same of a page that offers passkeys, where it does.
    pub(crate) fn with_script(self, has_script: bool) -> Self {
        Self { has_script, ..self }
    }

    /// The page that a template makes in this frame.
    pub(crate) fn page(&self, template: &impl Template, status: u16) -> Page {
        let form_targets = self.form_targets.clone();
        // Writing to memory does not fail; were it to, half a page would help nobody.
        match template.render() {
            Ok(body) => Page { status, body, form_targets },
            Err(_) => Page { status: 500, body: String::new(), form_targets },
        }
    }
}

fn form_action(targets: &[String]) -> String {
    let mut directive = "form-action 'self'".to_owned();
    for target in targets {
        directive.push(' ');
        directive.push_str(target);
    }
    directive
}

/// Whether a text is one source of a policy and nothing more: a space would begin another source,
/// a semicolon another directive, a comma another policy, and a quote a keyword.
fn is_source(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/[]".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

/// A URL that a link may lead to; a browser runs those of other schemes, or shows what they hold.
pub(crate) fn web_url(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once("://")?;
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    is_web.then_some(url)
}

/// A URL that leads to an application: on the web, or by a scheme of its own, which is a name in
/// reverse (RFC 8252 §7.1). What browsers run or show themselves has no dot in its scheme.
pub(crate) fn app_url(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let begins = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let is_own = begins && scheme.contains('.') && scheme.bytes().all(fits);
    if is_own { Some(url) } else { web_url(url) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_one_source_or_nothing() {
        for (target, expected) in [
            ("https://a.example.test", true),
            ("http://127.0.0.1:9000", true),
            ("http://[::1]:9000", true),
            ("com.example.app:", true),
            ("", false),
            ("*", false),
            ("'unsafe-inline'", false),
            ("https://a; script-src *", false),
            ("https://a https://b", false),
            ("https://a,default-src", false),
            ("https://a\nb", false),
        ] {
            assert_eq!(is_source(target), expected, "{target}");
        }
    }

    #[test]
    fn links_lead_to_the_web_alone() {
        assert_eq!(web_url("https://a.test/x"), Some("https://a.test/x"));
        assert_eq!(web_url("HTTP://a.test"), Some("HTTP://a.test"));
        for other in ["javascript:alert(1)", "javascript://a", "data:text/html,x", "/x", "", "x"] {
            assert_eq!(web_url(other), None, "{other}");
        }
    }

    #[test]
    fn an_application_is_on_the_web_or_has_a_scheme_with_a_dot() {
        for good in
            ["https://a.test/x?error=y", "http://127.0.0.1:51004/cb", "com.example.app:/cb?x=y"]
        {
            assert_eq!(app_url(good), Some(good));
        }
        for other in [
            "javascript:alert(1)",
            "javascript:a.b",
            "JavaScript.x:a",
            "data:text/html,a.b",
            " com.example.app:/cb",
            "java\nscript.x:a",
            "/x.y:z",
            ".a:b",
            "",
        ] {
            assert_eq!(app_url(other), None, "{other}");
        }
    }
}

//! What the pages look like. Whoever cannot read them cannot log in.

use std::collections::BTreeSet;

use postern_request::shown::is_one_line;

use super::super::urls::Web;
use crate::model::{Colours, Pages};
use crate::problem::Problems;
use crate::raw::{RawLanguage, RawPages, Text};

const PATH: &str = "login.pages";
const MAX_TITLE_CHARS: usize = 100;
const MAX_LOGO_BYTES: usize = 64 * 1024;
/// Pictures that browsers show and that run nothing in an `img`.
const PICTURES: [&str; 5] = ["png", "jpeg", "gif", "webp", "svg+xml"];
/// WCAG 2.2, 1.4.3: the least contrast of text.
const LEAST_CONTRAST: f64 = 4.5;

pub(super) fn check(
    raw: Option<&RawPages>,
    issuer: Option<&Text>,
    problems: &mut Problems,
) -> Pages {
    let title = raw.and_then(|raw| raw.title.as_ref());
    if let Some(title) = title.filter(|title| !is_one_line(title, MAX_TITLE_CHARS)) {
        let message = format!("expected 1 to {MAX_TITLE_CHARS} characters on one line");
        problems.report_as(title.at, &format!("{PATH}.title"), message);
    }
    let logo = raw.and_then(|raw| raw.logo.as_ref());
    if let Some(logo) = logo.filter(|logo| !is_picture(logo)) {
        let message = "expected data:image/TYPE;base64,… (png, jpeg, gif, webp or svg+xml) of at \
                       most 64 KiB: pages load nothing from elsewhere, so that nobody else hears \
                       of who logs in";
        problems.report_as(logo.at, &format!("{PATH}.logo"), message);
    }
    let links = [
        (raw.and_then(|raw| raw.privacy.as_ref()), "privacy"),
        (raw.and_then(|raw| raw.terms.as_ref()), "terms"),
    ];
    for (link, name) in links {
        let Some(link) = link else { continue };
        if Web::parse(link).is_none_or(|web| !web.is_safe()) {
            let message = "expected an https URL (http on loopback only)";
            problems.report_as(link.at, &format!("{PATH}.{name}"), message);
        }
    }
    let text = |text: Option<&Text>| text.map(|text| text.value.clone());
    Pages {
        title: text(title).or_else(|| Some(Web::parse(issuer?)?.host)).unwrap_or_default(),
        logo: text(logo),
        colours: raw.map(|raw| check_colours(raw, problems)).unwrap_or_default(),
        languages: check_languages(raw, problems),
        privacy: text(raw.and_then(|raw| raw.privacy.as_ref())),
        terms: text(raw.and_then(|raw| raw.terms.as_ref())),
    }
}

fn is_picture(logo: &str) -> bool {
    let Some(data) = logo.strip_prefix("data:image/") else { return false };
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    logo.len() <= MAX_LOGO_BYTES
        && data.split_once(";base64,").is_some_and(|(kind, content)| {
            PICTURES.contains(&kind) && !content.is_empty() && content.bytes().all(is_base64)
        })
}

fn check_languages(raw: Option<&RawPages>, problems: &mut Problems) -> Vec<String> {
    let path = format!("{PATH}.languages");
    let Some((raw, languages)) = raw.and_then(|raw| Some((raw, raw.languages.as_ref()?))) else {
        return vec![RawLanguage::En.as_str().to_owned()];
    };
    if languages.is_empty() && !problems.any_below(&path) {
        problems.report_as(raw.at, &path, "name at least one language, or leave it out");
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = languages.iter().find(|language| !seen.insert(**language)) {
        problems.report_as(raw.at, &path, format!("`{}` is there twice", twice.as_str()));
    }
    languages.iter().map(|language| language.as_str().to_owned()).collect()
}

fn check_colours(raw: &RawPages, problems: &mut Problems) -> Colours {
    let mut read = |field: &Option<Text>, name: &str| {
        let field = field.as_ref()?;
        let light = luminance(field);
        if light.is_none() {
            let message = "expected a colour in quotes, for example '#1a2b3c'";
            problems.report_as(field.at, &format!("{PATH}.{name}"), message);
        }
        light
    };
    let accent = read(&raw.accent, "accent");
    let background = read(&raw.background, "background");
    let text = read(&raw.text, "text");
    if raw.text.is_some() != raw.background.is_some() {
        let message = "say both `text` and `background`, or neither: one of them could not be read \
                       on what the pages bring along";
        problems.report_as(raw.at, PATH, message);
    }
    if let Some(background) = background {
        let on_it = [(text, &raw.text, "text"), (accent, &raw.accent, "accent")];
        for (light, field, name) in on_it {
            let (Some(light), Some(field)) = (light, field) else { continue };
            let contrast = contrast(light, background);
            if contrast < LEAST_CONTRAST {
                // Rounded down: 4.49 is no 4.5.
                let shown = (contrast * 10.0).floor() / 10.0;
                let message = format!(
                    "its contrast with `background` is {shown:.1}:1, and people need at least \
                     4.5:1 to read it"
                );
                problems.report_as(field.at, &format!("{PATH}.{name}"), message);
            }
        }
    }
    let colour = |field: &Option<Text>| field.as_ref().map(|field| field.value.clone());
    Colours {
        accent: colour(&raw.accent),
        background: colour(&raw.background),
        text: colour(&raw.text),
    }
}

/// How light a colour is (WCAG 2.2, relative luminance): 0 to 1; none where it is not `#rrggbb`.
fn luminance(colour: &str) -> Option<f64> {
    let digits = colour.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let part = |from: usize| {
        let part = u8::from_str_radix(digits.get(from..from + 2)?, 16).ok()?;
        let part = f64::from(part) / 255.0;
        Some(if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) })
    };
    Some(0.2126 * part(0)? + 0.7152 * part(2)? + 0.0722 * part(4)?)
}

fn contrast(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_as_wcag_has_it() {
        let of = |a: &str, b: &str| contrast(luminance(a).unwrap(), luminance(b).unwrap());
        assert!((of("#000000", "#ffffff") - 21.0).abs() < 0.001);
        assert!((of("#ffffff", "#ffffff") - 1.0).abs() < 0.001);
        // The greys on either side of the bound, as everybody's tools say.
        assert!(of("#767676", "#FFFFFF") >= LEAST_CONTRAST);
        assert!(of("#777777", "#ffffff") < LEAST_CONTRAST);
        for bad in ["", "#fff", "1a2b3c", "#1a2b3g", "#1a2b3c4d", "#é2b3c", "red"] {
            assert_eq!(luminance(bad), None, "{bad}");
        }
    }

    #[test]
    fn logos_are_pictures() {
        for good in ["data:image/png;base64,aGk=", "data:image/svg+xml;base64,aGk="] {
            assert!(is_picture(good), "{good}");
        }
        let large = format!("data:image/png;base64,{}", "A".repeat(MAX_LOGO_BYTES));
        for bad in [
            "data:text/html;base64,aGk=",
            "data:image/png,raw",
            "data:image/png;base64,",
            "data:image/png;base64,<script>",
            "http://cdn.example.test/logo.svg",
            "https://cdn.example.test/logo.svg",
            "javascript:alert(1)",
            large.as_str(),
        ] {
            assert!(!is_picture(bad), "{bad}");
        }
    }
}

//! The languages that pages are shown in.

use crate::texts::{self, Texts};

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
    /// French.
    Fr,
    /// Spanish.
    Es,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::En, Self::De, Self::Fr, Self::Es];

    /// Its tag (RFC 5646), as the attribute `lang` has it.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Es => "es",
        }
    }

    /// The language of a tag, whatever region stands behind it: `de-AT` is German.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The language to show a page in, of those that are offered: the first that the client asks
    /// for (`ui_locales`, OpenID Connect Core §3.1.2.1), else the one that the browser likes best
    /// (RFC 9110 §12.5.4), else the first of those offered.
    #[must_use]
    pub fn negotiate(accept_language: &str, ui_locales: &[String], offered: &[Self]) -> Self {
        let is_offered = |language: &Self| offered.contains(language);
        let asked = ui_locales.iter().filter_map(|tag| Self::of_tag(tag)).find(is_offered);
        asked
            .or_else(|| best_of(accept_language, offered))
            .or_else(|| offered.first().copied())
            .unwrap_or_default()
    }

    pub(crate) const fn texts(self) -> &'static Texts {
        match self {
            Self::En => &texts::EN,
            Self::De => &texts::DE,
            Self::Fr => &texts::FR,
            Self::Es => &texts::ES,
        }
    }
}

/// The offered language of the greatest weight; of equal weights the earlier one.
fn best_of(accept_language: &str, offered: &[Language]) -> Option<Language> {
    let mut best: Option<(u16, Language)> = None;
    for range in accept_language.split(',') {
        let mut parts = range.split(';');
        let tag = parts.next().unwrap_or_default().trim();
        let weight = parts.next().map_or(Some(1000), weight).unwrap_or_default();
        let language = match tag {
            "*" => offered.first().copied(),
            tag => Language::of_tag(tag).filter(|language| offered.contains(language)),
        };
        if let Some(language) = language
            && weight > best.map_or(0, |(known, _)| known)
        {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

/// `q=0.8` in thousandths.
fn weight(parameter: &str) -> Option<u16> {
    let value = parameter.trim().strip_prefix("q=")?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_gets_what_it_likes_best_of_what_is_offered() {
        let all = &Language::ALL;
        let cases: &[(&str, &[Language], Language)] = &[
            ("", all, Language::En),
            ("de", all, Language::De),
            ("de-AT,de;q=0.9", all, Language::De),
            ("pt,fr;q=0.5,es;q=0.8", all, Language::Es),
            ("fr;q=0.500, es;q=0.5", all, Language::Fr),
            ("de;q=0, fr;q=0.001", all, Language::Fr),
            ("DE-de", all, Language::De),
            ("*", &[Language::Fr, Language::En], Language::Fr),
            ("pt", &[Language::Es], Language::Es),
            ("de", &[Language::En, Language::Fr], Language::En),
            ("de;q=abc, es;q=0.1", all, Language::Es),
            ("de;q=2", all, Language::En),
            ("garbage;;;,,,q=", all, Language::En),
            ("de", &[], Language::En),
        ];
        for (accept, offered, expected) in cases {
            assert_eq!(Language::negotiate(accept, &[], offered), *expected, "{accept}");
        }
    }

    #[test]
    fn the_client_goes_before_the_browser() {
        let locales = |list: &[&str]| list.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        let all = Language::ALL;
        let negotiate = |list: &[&str], offered: &[Language]| {
            Language::negotiate("es", &locales(list), offered)
        };
        assert_eq!(negotiate(&["fr-CA", "de"], &all), Language::Fr);
        assert_eq!(negotiate(&["pt", "de"], &all), Language::De);
        assert_eq!(negotiate(&["pt"], &all), Language::Es);
        assert_eq!(negotiate(&["fr"], &[Language::En, Language::Es]), Language::Es);
    }

    #[test]
    fn tags_are_read_as_they_are_written() {
        for language in Language::ALL {
            assert_eq!(Language::of_tag(language.tag()), Some(language));
        }
        assert_eq!(Language::of_tag("english"), None);
        assert_eq!(Language::of_tag(""), None);
    }
}

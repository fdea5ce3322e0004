//! What of a browser its owner recognises: which one it is, and what it runs on. Nothing finer is
//! kept of what it says of itself, and nothing but names of ours.

/// A browser as people know it; each part is none where nobody can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Agent {
    /// Its family.
    pub browser: Option<&'static str>,
    /// The system that it runs on.
    pub system: Option<&'static str>,
}

/// Families, and what tells them. Most name others as well, so that the first that fits counts.
const BROWSERS: [(&str, &[&str]); 6] = [
    ("Edge", &["Edg/", "EdgA/", "EdgiOS/"]),
    ("Opera", &["OPR/", "OPX/", "Opera"]),
    ("Samsung Internet", &["SamsungBrowser/"]),
    ("Firefox", &["Firefox/", "FxiOS/"]),
    ("Chrome", &["Chrome/", "Chromium/", "CriOS/"]),
    ("Safari", &["Safari/"]),
];
/// The same of systems.
const SYSTEMS: [(&str, &[&str]); 7] = [
    ("Android", &["Android"]),
    ("iPadOS", &["iPad"]),
    ("iOS", &["iPhone", "iPod"]),
    ("Windows", &["Windows"]),
    ("ChromeOS", &["CrOS"]),
    ("macOS", &["Macintosh", "Mac OS X"]),
    ("Linux", &["Linux", "X11"]),
];

impl Agent {
    /// By the header `user-agent`.
    #[must_use]
    pub fn of(user_agent: &str) -> Self {
        let told = |names: &[(&'static str, &[&str])]| {
            let mut names = names.iter();
            let named =
                names.find(|(_, marks)| marks.iter().any(|mark| user_agent.contains(*mark)));
            named.map(|(name, _)| *name)
        };
        Self { browser: told(&BROWSERS), system: told(&SYSTEMS) }
    }

    /// By names that were kept; what is none of ours is none.
    pub(super) fn kept(browser: Option<&str>, system: Option<&str>) -> Self {
        let known = |names: &[(&'static str, &[&str])], kept: Option<&str>| {
            names.iter().map(|(name, _)| *name).find(|name| Some(*name) == kept)
        };
        Self { browser: known(&BROWSERS, browser), system: known(&SYSTEMS, system) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_and_systems_are_told_apart() {
        const BLINK: &str = "AppleWebKit/537.36 (KHTML, like Gecko)";
        const CHROME: &str = "Chrome/141.0.0.0 Safari/537.36";
        for (within, behind, browser, system) in [
            ("X11; Linux x86_64; rv:140.0", "Firefox/140.0", Some("Firefox"), Some("Linux")),
            ("Windows NT 10.0; Win64; x64", CHROME, Some("Chrome"), Some("Windows")),
            (
                "Windows NT 10.0",
                "Chrome/141.0 Safari/537.36 Edg/141",
                Some("Edge"),
                Some("Windows"),
            ),
            (
                "Linux; Android 10; K",
                "SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36",
                Some("Samsung Internet"),
                Some("Android"),
            ),
            (
                "Macintosh; Intel Mac OS X 10_15_7",
                "Version/18.6 Safari/605.1.15",
                Some("Safari"),
                Some("macOS"),
            ),
            (
                "iPhone; CPU iPhone OS 18_6 like Mac OS X",
                "CriOS/141.0 Mobile/15E148 Safari/604.1",
                Some("Chrome"),
                Some("iOS"),
            ),
            (
                "iPad; CPU OS 18_6 like Mac OS X",
                "FxiOS/140.0 Mobile/15E148 Safari/605.1.15",
                Some("Firefox"),
                Some("iPadOS"),
            ),
            ("X11; CrOS x86_64 14541.0.0", CHROME, Some("Chrome"), Some("ChromeOS")),
            (
                "X11; Linux x86_64",
                "Chrome/141.0 Safari/537.36 OPR/120.0",
                Some("Opera"),
                Some("Linux"),
            ),
        ] {
            let user_agent = format!("Mozilla/5.0 ({within}) {BLINK} {behind}");
            assert_eq!(Agent::of(&user_agent), Agent { browser, system }, "{user_agent}");
        }
        for nobody in ["", "curl/8.5.0", "Test/1"] {
            assert_eq!(Agent::of(nobody), Agent::default(), "{nobody}");
        }
    }

    #[test]
    fn names_of_ours_alone_come_back() {
        let agent = Agent { browser: Some("Firefox"), system: Some("Linux") };
        assert_eq!(Agent::kept(agent.browser, agent.system), agent);
        assert_eq!(Agent::kept(Some("<b>"), Some("linux")), Agent::default());
        assert_eq!(Agent::kept(None, Some("Linux")), Agent { browser: None, ..agent });
    }
}

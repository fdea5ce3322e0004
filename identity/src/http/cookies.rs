//! The suite's cookies: read, set and taken away.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use postern_request::session_cookie;

/// How long a browser is known as a device: as long as browsers keep anything.
const DEVICE_SECS: u64 = 400 * 24 * 3600;
/// How long a log-in may take.
const LOGIN_SECS: u64 = crate::login::FLOW_LIFE_MS / 1000;

/// Names and attributes of the suite's cookies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookies {
    session: String,
    login: &'static str,
    device: &'static str,
    is_secure: bool,
    /// Whose hosts get the session's.
    domain: Option<String>,
}

impl Cookies {
    /// Those of an issuer. `session` is the session cookie's name in the document, `domain` whose
    /// hosts get it.
    ///
    /// Over plain HTTP, which is for trying things out on one machine, browsers do not take
    /// `Secure`.
    #[must_use]
    pub fn new(issuer: &str, session: &str, domain: Option<&str>) -> Self {
        let is_secure = issuer.starts_with("https://");
        let [login, device] = session_cookie::of_pages(is_secure);
        let domain = domain.map(str::to_owned);
        Self { session: session.to_owned(), login, device, is_secure, domain }
    }

    /// The value of the session's cookie.
    #[must_use]
    pub fn session<'a>(&self, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        find(headers, &self.session)
    }

    /// The value of the cookie of a log-in that is under way.
    #[must_use]
    pub fn login<'a>(&self, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        find(headers, self.login)
    }

    /// The device, where its cookie is one of ours.
    #[must_use]
    pub fn device<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let text = std::str::from_utf8(find(headers, self.device)?).ok()?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == 43 && text.bytes().all(fits)).then_some(text)
    }

    /// `set-cookie` of a session, for as long as the browser runs or for so long.
    #[must_use]
    pub fn set_session(&self, value: &str, max_age_secs: Option<u64>) -> String {
        self.set(&self.session, value, max_age_secs, self.domain.as_deref())
    }

    /// Takes it away.
    #[must_use]
    pub fn end_session(&self) -> String {
        self.set(&self.session, "", Some(0), self.domain.as_deref())
    }

    /// `set-cookie` of a log-in.
    #[must_use]
    pub fn set_login(&self, value: &str) -> String {
        self.set(self.login, value, Some(LOGIN_SECS), None)
    }

    /// Takes it away.
    #[must_use]
    pub fn end_login(&self) -> String {
        self.set(self.login, "", Some(0), None)
    }

    /// `set-cookie` of a device.
    #[must_use]
    pub fn set_device(&self, value: &str) -> String {
        self.set(self.device, value, Some(DEVICE_SECS), None)
    }

    fn set(&self, name: &str, value: &str, max_age: Option<u64>, domain: Option<&str>) -> String {
        let mut text = [name, "=", value, "; Path=/; HttpOnly; SameSite=Lax"].concat();
        if self.is_secure {
            text.push_str("; Secure");
        }
        if let Some(domain) = domain {
            text.push_str("; Domain=");
            text.push_str(domain);
        }
        if let Some(seconds) = max_age {
            text.push_str("; Max-Age=");
            text.push_str(&seconds.to_string());
        }
        text
    }
}

/// A cookie's value; none where there are several of one name: whoever can set one for a parent
/// domain must not choose which one counts.
fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let pairs =
        headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|b| *b == b';'));
    let mut values = pairs.filter_map(|pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (found, value) = pair.split_at_checked(at)?;
        (found == name.as_bytes()).then(|| value.get(1..)).flatten()
    });
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies() -> Cookies {
        Cookies::new("https://api.example.test", "__Host-postern", None)
    }

    fn headers(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name_where_it_is_alone() {
        for (lines, expected) in [
            (&["__Host-postern=a.b"][..], Some(&b"a.b"[..])),
            (&["x=1; __Host-postern=a.b; y=2"], Some(b"a.b")),
            (&["x=1", "__Host-postern=a=b"], Some(b"a=b")),
            (&["__Host-postern=a; __Host-postern=b"], None),
            (&["__Host-postern=a", "__Host-postern=a"], None),
            (&["__Host-postern="], None),
            (&["__Host-postern"], None),
            (&["__host-postern=a"], None),
            (&["a__Host-postern=a; __Host-postern2=b"], None),
            (&[], None),
        ] {
            assert_eq!(cookies().session(&headers(lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_device_is_one_of_ours_or_none() {
        let good = "__Host-postern-device=abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO-_";
        assert!(cookies().device(&headers(&[good])).is_some_and(|device| device.len() == 43));
        for bad in ["__Host-postern-device=short", "__Host-postern-device=\"quoted\""] {
            assert_eq!(cookies().device(&headers(&[bad])), None);
        }
    }

    #[test]
    fn scripts_and_other_sites_get_none_of_them() {
        let cookies = cookies();
        for text in [
            cookies.set_session("a.b", None),
            cookies.set_login("a"),
            cookies.set_device("a"),
            cookies.end_session(),
            cookies.end_login(),
        ] {
            assert!(text.contains("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{text}");
            assert!(text.starts_with("__Host-") && !text.contains("Domain"), "{text}");
        }
        assert!(!cookies.set_session("a.b", None).contains("Max-Age"));
        assert!(cookies.set_session("a.b", Some(60)).ends_with("; Max-Age=60"));
        assert!(
            cookies.end_session().contains("=; ") && cookies.end_session().ends_with("Max-Age=0")
        );
        let wide =
            Cookies::new("https://api.example.test", "__Secure-postern", Some("example.test"));
        assert!(wide.set_session("a.b", None).contains("; Secure; Domain=example.test"));
        assert!(!wide.set_login("a").contains("Domain"));
        let plain = Cookies::new("http://127.0.0.1:8080", "postern", None);
        assert!(!plain.set_session("a.b", None).contains("Secure"));
        assert!(plain.set_login("a").starts_with("postern-login="));
    }
}

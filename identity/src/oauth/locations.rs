//! Places of ours that browsers are sent to.

use postern_oauth::{Acr, Endpoint, Form};
use postern_request::login::LOGIN_PATH;
use postern_request::token_places::is_unreserved;

/// Where people are asked whether a client may have what it asks for.
const CONSENT_PATH: &str = "/login/consent";
/// Where people are asked whether they want to log out.
const CONFIRM_PATH: &str = "/login/out";
/// The parameters of a log-out that mean something here.
const OF_LOGOUT: [&str; 5] =
    ["id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"];

/// To the log-in pages, and back to `return_to` from there. Where somebody is signed in, `again`
/// asks for all factors: the second one alone would be asked for by `acr` without it.
pub(crate) fn login_location(
    return_to: &str,
    hint: Option<&str>,
    acr: Option<Acr>,
    again: bool,
) -> String {
    let mut to = leading_to(LOGIN_PATH, return_to);
    let max_age = again.then_some("0");
    for (name, value) in
        [("&hint=", hint), ("&acr_values=", acr.map(Acr::as_str)), ("&max_age=", max_age)]
    {
        if let Some(value) = value {
            to.push_str(name);
            escaped(&mut to, value);
        }
    }
    to
}

/// A page of the log-in, with where that leads.
pub(crate) fn leading_to(path: &str, return_to: &str) -> String {
    let mut to = [path, "?return_to="].concat();
    escaped(&mut to, return_to);
    to
}

/// To the page that asks; `query` is the request that it is about.
pub(crate) fn consent_location(query: &str) -> String {
    [CONSENT_PATH, "?", query].concat()
}

/// Back to the authorization endpoint.
pub(super) fn authorize_location(query: &str) -> String {
    [Endpoint::Authorize.path(), "?", query].concat()
}

/// To the endpoint for log-outs, by GET.
pub(crate) fn logout_location(form: &Form) -> String {
    let mut to = Endpoint::EndSession.path().to_owned();
    let mut separator = '?';
    for name in OF_LOGOUT {
        if let Some(value) = form.get(name) {
            to.push(separator);
            to.push_str(name);
            to.push('=');
            escaped(&mut to, value);
            separator = '&';
        }
    }
    to
}

/// To the page that asks whether to log out, and back to the same request from there: there is no
/// session then.
pub(crate) fn confirm_location(form: &Form) -> String {
    let mut to = [CONFIRM_PATH, "?return_to="].concat();
    escaped(&mut to, &logout_location(form));
    to
}

/// Everything but unreserved characters (RFC 3986 §2.3) is escaped: what was a value stays one.
pub(crate) fn escaped(out: &mut String, text: &str) {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend([digit(byte >> 4), digit(byte & 0xf)].into_iter().flatten());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_request::login::ReturnTo;

    const ISSUER: &str = "https://gate.example";

    fn returns_to(location: &str) -> String {
        let (_, query) = location.split_once('?').unwrap();
        let form = Form::parse(query.as_bytes()).unwrap();
        form.get("return_to").unwrap().to_owned()
    }

    #[test]
    fn log_in_returns_to_the_request() {
        let request = authorize_location("client_id=a%26b&state=x%20y");
        let acr = Some(Acr::SeveralFactors);
        let to = login_location(&request, Some("a@b.test&acr_values=x"), acr, false);
        assert_eq!(returns_to(&to), request);
        let (_, query) = to.split_once('?').unwrap();
        let form = Form::parse(query.as_bytes()).unwrap();
        assert_eq!(form.get("hint"), Some("a@b.test&acr_values=x"));
        assert_eq!(form.get("acr_values"), Some("urn:postern:acr:2"));
        assert!(ReturnTo::parse(&returns_to(&to), ISSUER, &[]).is_some());
        assert_eq!(login_location("/a", None, None, false), "/login?return_to=%2fa");
        assert_eq!(login_location("/a", None, None, true), "/login?return_to=%2fa&max_age=0");
    }

    #[test]
    fn a_confirmed_log_out_comes_back_with_what_it_asked_for() {
        let asked =
            "client_id=spa&post_logout_redirect_uri=https%3A%2F%2Fapp.example%2Fbye&state=1&x=2";
        let form = Form::parse(asked.as_bytes()).unwrap();
        let back = returns_to(&confirm_location(&form));
        assert!(ReturnTo::parse(&back, ISSUER, &[]).is_some(), "{back}");
        let (path, query) = back.split_once('?').unwrap();
        assert_eq!(path, "/oauth2/logout");
        let again = Form::parse(query.as_bytes()).unwrap();
        for name in OF_LOGOUT {
            assert_eq!(again.get(name), form.get(name), "{name}");
        }
        assert_eq!(again.get("x"), None);
        assert_eq!(logout_location(&Form::parse(b"").unwrap()), "/oauth2/logout");
    }
}

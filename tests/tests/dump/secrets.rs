//! The secrets that their holders saw, and how they are looked for.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use postern_e2e::browser::Browser;

/// So much of a secret in a row is found; less could be chance.
const WINDOW: usize = 12;

/// What was seen.
#[derive(Debug, Default)]
pub struct Secrets {
    /// By what they are.
    seen: Vec<(&'static str, String)>,
    /// What is no secret, and is in every copy.
    pub known: Vec<String>,
    pub client_id: String,
    pub app: String,
    pub id_token: String,
    pub session_cookie: String,
}

impl Secrets {
    pub fn saw(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= 6, "{what} is too short to be one: {secret}");
        self.seen.push((what, secret.to_owned()));
    }

    /// An access token is public but for its signature: it goes in logs, and its claims are names.
    pub fn saw_token(&mut self, what: &'static str, token: &str) {
        let (_, signature) = token.rsplit_once('.').expect("a JWT");
        self.saw(what, signature);
    }

    /// Bytes, wherever in something longer they stand: base64 has three ways to write them then.
    pub fn saw_bytes(&mut self, what: &'static str, secret: &[u8]) {
        for start in 0..3 {
            self.saw(what, &URL_SAFE_NO_PAD.encode(&secret[start..]));
        }
    }

    /// The secret half of a browser's session.
    pub fn saw_session(&mut self, browser: &Browser) {
        let cookie = browser.cookie("postern").expect("a session");
        let (_, secret) = cookie.split_once('.').expect("two halves");
        self.saw("session", secret);
    }

    /// The log-in that a browser has begun.
    pub fn saw_log_in(&mut self, browser: &Browser) {
        self.saw("log-in under way", browser.cookie("postern-login").expect("a cookie"));
    }

    pub fn knows(&mut self, text: &str) {
        self.known.push(text.to_owned());
    }

    /// Which of them are in these bytes, as they are or in another form.
    pub fn found_in(&self, stored: &[Vec<u8>]) -> Vec<&'static str> {
        let mut windows: HashMap<&[u8], &'static str> = HashMap::new();
        let forms: Vec<(&'static str, Vec<u8>)> = self
            .seen
            .iter()
            .flat_map(|(what, secret)| forms(secret).into_iter().map(move |form| (*what, form)))
            .collect();
        for (what, form) in &forms {
            for window in form.windows(WINDOW) {
                windows.insert(window, what);
            }
        }
        let mut found = HashSet::new();
        for bytes in stored {
            for window in bytes.windows(WINDOW) {
                found.extend(windows.get(window));
            }
            // Short ones are looked for whole.
            for (what, form) in forms.iter().filter(|(_, form)| form.len() < WINDOW) {
                if form.len() > 6 && bytes.windows(form.len()).any(|window| window == form) {
                    found.insert(*what);
                }
            }
        }
        found.into_iter().collect()
    }
}

/// As it is, and decoded, and in the ways in which bytes are written.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    let plain: String = secret.chars().filter(|letter| *letter != '-').collect();
    let decoded = [URL_SAFE_NO_PAD.decode(secret).ok(), STANDARD_NO_PAD.decode(&plain).ok()];
    let raw: Vec<Vec<u8>> = decoded.into_iter().flatten().chain([secret.into()]).collect();
    for bytes in raw {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        forms.push(hex.to_uppercase().into_bytes());
        forms.push(hex.into_bytes());
        forms.push(STANDARD.encode(&bytes).into_bytes());
        forms.push(URL_SAFE_NO_PAD.encode(&bytes).into_bytes());
        forms.push(bytes);
    }
    forms
}

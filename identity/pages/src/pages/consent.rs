//! What somebody is asked to agree to.

use askama::Template;

use crate::look::{Frame, web_url};
use crate::texts::Texts;
use crate::{Language, Look, Page};

/// The page that asks whether a client may have what it asks for.
#[derive(Debug, Clone, Copy)]
pub struct ConsentView<'a> {
    /// Where the form goes.
    pub action: &'a str,
    /// The form's token.
    pub csrf: &'a str,
    /// What people call the client.
    pub client_name: &'a str,
    /// Its page.
    pub client_uri: Option<&'a str>,
    /// Who is signed in.
    pub who: &'a str,
    /// What it asks for.
    pub scopes: &'a [ScopeLine<'a>],
    /// Where it would use that.
    pub resources: &'a [&'a str],
    /// Where the answer leads, as a source of a policy: origin or scheme of the redirect URI.
    pub form_target: &'a str,
}

/// A scope, and what is said of it to people.
#[derive(Debug, Clone, Copy)]
pub struct ScopeLine<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the document says of it; where that is nothing, what these pages know, or its name.
    pub text: &'a str,
}

impl ScopeLine<'_> {
    /// The same in the page's language, where the document leaves it to these pages.
    pub(super) fn to_people(self, texts: &Texts) -> Self {
        // Whoever hands scopes in may know these in English alone.
        let is_own = Language::En.texts().scope(self.name) != Some(self.text)
            && !self.text.is_empty()
            && self.text != self.name;
        match texts.scope(self.name) {
            Some(known) if !is_own => Self { name: self.name, text: known },
            _ if self.text.is_empty() => Self { name: self.name, text: self.name },
            _ => self,
        }
    }
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a ConsentView<'a>,
    signed_in_as: String,
    about: Option<&'a str>,
    choices: Vec<ScopeLine<'a>>,
    then: String,
}

/// Asks for consent. Each scope is a box that is checked; `decision` is `allow` or `deny`, and a
/// scope that stays allowed is sent as `scope.NAME`.
#[must_use]
pub fn consent(view: &ConsentView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let heading = (texts.consent_title)(view.client_name);
    let frame = Frame::new(look, heading, &[view.form_target]);
    let page = ConsentPage {
        frame: &frame,
        view,
        signed_in_as: (texts.signed_in_as)(view.who),
        about: view.client_uri.and_then(web_url),
        choices: view.scopes.iter().map(|scope| scope.to_people(texts)).collect(),
        then: (texts.consent_then)(view.form_target),
    };
    frame.page(&page, 200)
}

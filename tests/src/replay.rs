//! Case files of `postern test`, sent to a real stack: what a case expects is what Envoy, the
//! bundle, the server and the service make of it.
//!
//! Cases that need the same circumstances (a part that is away, a limit that is used up) share a
//! stack. Tokens are made of what the file says and signed by the kit's keys; the document must
//! have those keys for every issuer.

mod answered;
mod found;
mod parts;
mod sent;
mod setting;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use postern_document::{Document, Source};
use postern_explain::cases::{self, ApiKey, Case, CaseFile};

use crate::{documents, keys, ports, raw};

use self::answered::Answered;
use self::found::Logs;
use self::sent::Prepared;
use self::setting::{Setting, Stack};

/// How long a stack that has just started may take until it answers as it will.
const SETTLE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);
/// How often a case is sent to a stack that somebody else has started.
const TRIES: usize = 20;

/// A document and cases about it, both with the kit's `$WORDS` in them.
#[derive(Debug, Clone)]
pub struct Story {
    /// For messages.
    pub name: String,
    /// The document.
    pub document: String,
    /// The case file.
    pub cases: String,
}

/// What came of a replay.
#[derive(Debug, Default)]
pub struct Replayed {
    /// How many cases were sent.
    pub sent: usize,
    /// Cases that were not, each with the reason.
    pub skipped: Vec<(String, String)>,
    /// What was otherwise than expected.
    pub differences: Vec<String>,
}

impl Story {
    /// The document that ships, with the kit's keys in place of those that it asks itself for, and
    /// the cases that ship with it.
    ///
    /// # Panics
    /// When one of them cannot be read, or the document asks for its keys in another way.
    #[must_use]
    pub fn sample() -> Self {
        let read = |name: &str| {
            let path = crate::env::repository().join("envoy").join(name);
            let text = std::fs::read_to_string(&path);
            text.unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
        };
        let asks = "          service: postern\n          refresh: 1m\n";
        let document = read("sample.yaml").replace("127.0.0.1:9195", "$UPSTREAM");
        let inline = document.replace(asks, "          inline: '$JWKS'\n");
        assert_ne!(inline, document, "sample.yaml asks for its keys in another way");
        Self { name: "sample".to_owned(), document: inline, cases: read("sample.cases.yaml") }
    }

    /// A document and a case file of the tests.
    #[must_use]
    pub fn of(name: &str, document: &str, cases: &str) -> Self {
        let (name, document) = (name.to_owned(), document.to_owned());
        let cases = cases.replace("$API_KEY", keys::API_KEY);
        Self { name, document, cases }
    }

    /// The document with its `$WORDS` filled in by places where nobody listens: to be read, not to
    /// be run.
    #[must_use]
    pub fn readable(&self) -> String {
        let nobody = ports::local(9);
        let document = setting::with_keys_at(&self.document, nobody);
        documents::fill_in(&document, nobody, "https://gateway.example.test")
    }

    /// The checked document.
    ///
    /// # Panics
    /// When it has problems.
    #[must_use]
    pub fn load(&self) -> Document {
        let source = Source { name: self.name.clone(), text: self.readable() };
        let read_file = |_: &str| Err("no files here".to_owned());
        let loaded = postern_document::load(&[source], &read_file);
        loaded.unwrap_or_else(|problems| panic!("{}: {problems:#?}", self.name))
    }

    /// Its cases.
    ///
    /// # Panics
    /// When the file has problems.
    #[must_use]
    pub fn read(&self, document: &Document) -> CaseFile {
        let source = Source { name: format!("{}.cases", self.name), text: self.cases.clone() };
        let mut files = cases::read(document, &[source])
            .unwrap_or_else(|problems| panic!("{}: {problems:#?}", self.name));
        files.remove(0)
    }

    /// Sends every case to a stack in the circumstances that it asks for.
    ///
    /// # Panics
    /// When a stack does not start, or a case asks for circumstances that cannot be brought about.
    pub async fn replay(&self) -> Replayed {
        let document = self.load();
        let file = self.read(&document);
        let mut replayed = Replayed::default();
        let mut settings: BTreeMap<Setting, Vec<&Case>> = BTreeMap::new();
        for case in &file.cases {
            match &case.not_replayed {
                Some(why) => replayed.skipped.push((case.name.clone(), why.clone())),
                None => settings.entry(Setting::of(case)).or_default().push(case),
            }
        }
        for (setting, cases) in settings {
            let started = Box::pin(Stack::start(&self.document, &setting, &cases)).await;
            let Some(stack) = started else {
                let why = "it takes a Redis process of its own".to_owned();
                replayed.skipped.extend(cases.iter().map(|case| (case.name.clone(), why.clone())));
                continue;
            };
            replayed.sent += cases.len();
            let differences = Box::pin(in_stack(stack, &setting, &cases, &document)).await;
            replayed.differences.extend(differences);
        }
        replayed
    }

    /// Sends every case through a gateway that somebody else has started, whose Envoy and server
    /// write these logs.
    ///
    /// # Panics
    /// When a case asks for more than requests can bring about.
    pub async fn replay_through<F: Future<Output = raw::Answer>>(
        &self,
        [envoy, server]: [&dyn Fn() -> String; 2],
        send: impl Fn(Vec<u8>) -> F,
    ) -> Replayed {
        let document = self.load();
        let file = self.read(&document);
        let mut replayed = Replayed::default();
        let mut asked = Vec::new();
        for case in &file.cases {
            if let Some(why) = &case.not_replayed {
                replayed.skipped.push((case.name.clone(), why.clone()));
                continue;
            }
            asked.push((case, through(case, &send).await));
        }
        replayed.sent = asked.len();
        let ids: Vec<String> = asked.iter().map(|(_, answered)| answered.id.clone()).collect();
        let logs = Logs::read(envoy, server, &ids).await;
        for (case, answered) in &asked {
            let found = logs.find(&answered.id);
            let logged = found.differences(case, &document);
            for difference in answered.differences(case).into_iter().chain(logged) {
                replayed.differences.push(format!("{}: {difference}\n{answered}", case.name));
            }
        }
        replayed
    }
}

/// Sends a case until its answer is as expected, or was not often enough.
async fn through<F: Future<Output = raw::Answer>>(
    case: &Case,
    send: &impl Fn(Vec<u8>) -> F,
) -> Answered {
    let setting = Setting::of(case);
    assert!(setting.is_of_requests(), "{}: nobody brings about: {setting}", case.name);
    let prepared = Prepared::with(case, &|key| match key {
        ApiKey::Text(text) => text.clone(),
        ApiKey::OfDocument { .. } | ApiKey::Stored(_) => {
            panic!("{}: write the key's text into the case file", case.name)
        }
    });
    let mut left = TRIES;
    loop {
        let id = sent::new_id();
        let answered = Answered::of(id.clone(), &send(prepared.bytes(&id)).await);
        left -= 1;
        if answered.differences(case).is_empty() || left == 0 {
            return answered;
        }
        // Limits that are to be used up, are so after some.
        if setting.used_up.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Sends cases that share a stack.
async fn in_stack(
    mut stack: Stack,
    setting: &Setting,
    cases: &[&Case],
    document: &Document,
) -> Vec<String> {
    stack.bring_about(setting, cases).await;
    let deadline = Instant::now() + SETTLE;
    let mut asked = Vec::with_capacity(cases.len());
    for case in cases {
        let prepared = Prepared::of(case, &stack);
        if setting.revoked {
            stack.revoke(&prepared).await;
        }
        asked.push((*case, until_as_expected(&stack, setting, &prepared, deadline).await));
    }
    let ids: Vec<String> = asked.iter().map(|(_, answered)| answered.id.clone()).collect();
    let logs = Logs::of(&stack.gateway, &ids).await;
    let mut differences = Vec::new();
    for (case, answered) in &asked {
        let found = logs.find(&answered.id);
        let logged = found.differences(case, document);
        for difference in answered.differences(case).into_iter().chain(logged) {
            differences.push(format!("{} ({setting}): {difference}\n{answered}", case.name));
        }
    }
    differences
}

/// Sends a case until its answer is as expected, or the stack has had the time that it may take to
/// answer as it will.
async fn until_as_expected(
    stack: &Stack,
    setting: &Setting,
    prepared: &Prepared<'_>,
    deadline: Instant,
) -> Answered {
    loop {
        if !setting.used_up.is_empty() {
            // Whatever is left of the limit.
            prepared.send(stack.gateway.port()).await;
        }
        let answered = prepared.send(stack.gateway.port()).await;
        if answered.differences(prepared.case).is_empty() || Instant::now() >= deadline {
            return answered;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

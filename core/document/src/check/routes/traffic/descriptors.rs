//! What the rate limit service is told of a route's requests.

use postern_request::headers::is_identity_value;

use super::super::super::traffic::check_header;
use super::super::Context;
use crate::model::{Auth, DescriptorEntry};
use crate::problem::Problems;
use crate::raw::{RawDescriptorEntry, RawIdentityHeader, RawRoute, Text};

const MAX_DESCRIPTORS: usize = 16;
const MAX_ENTRIES: usize = 10;
const MAX_TEXT: usize = 256;

pub(super) fn check(
    context: &Context<'_>,
    raw: &RawRoute,
    auth: &Auth,
    path: &str,
    problems: &mut Problems,
) -> Vec<Vec<DescriptorEntry>> {
    let Some(written) = raw.descriptors.get() else {
        return Vec::new();
    };
    let path = format!("{path}.descriptors");
    let is_told = problems.any_within("routes[", ".descriptors");
    let is_lacking = context.raw.rate_limit_filter.get().is_none();
    if is_lacking && !problems.any_below("rate_limit_filter") {
        let message = "nobody is told of them: the document has no `rate_limit_filter`";
        problems.report_as(raw.at, &path, message);
    }
    let (is_empty, empty) = (written.is_empty(), written.iter().any(Vec::is_empty));
    if (is_empty || empty) && !is_told {
        let message = "name at least one descriptor, and in each at least one member";
        problems.report_as(raw.at, &path, message);
    }
    if written.len() > MAX_DESCRIPTORS || written.iter().any(|of| of.len() > MAX_ENTRIES) {
        let message =
            format!("at most {MAX_DESCRIPTORS} descriptors, each of at most {MAX_ENTRIES} members");
        problems.report_as(raw.at, &path, message);
    }
    let reader = Reader { context, auth };
    let descriptors = written.iter().enumerate().map(|(at, entries)| {
        let entries = entries
            .iter()
            .enumerate()
            .filter_map(|(of, entry)| reader.read(entry, &format!("{path}[{at}][{of}]"), problems));
        entries.collect()
    });
    descriptors.collect()
}

struct Reader<'a> {
    context: &'a Context<'a>,
    auth: &'a Auth,
}

impl Reader<'_> {
    fn read(
        &self,
        raw: &RawDescriptorEntry,
        path: &str,
        problems: &mut Problems,
    ) -> Option<DescriptorEntry> {
        let words = [
            (raw.remote_address, DescriptorEntry::RemoteAddress),
            (raw.principal, DescriptorEntry::Principal),
            (raw.route, DescriptorEntry::Route),
            (raw.method, DescriptorEntry::Method),
        ];
        if words.iter().any(|(word, _)| *word == Some(false)) {
            problems.report_as(raw.at, path, "write true, or leave it out");
            return None;
        }
        let mut words = words.into_iter().filter_map(|(word, entry)| word.map(|_| entry));
        let pair = (&raw.key, &raw.header, &raw.value);
        let entry = match (words.next(), words.next(), pair) {
            (Some(entry), None, (None, None, None)) => entry,
            (None, _, (Some(key), Some(header), None)) => {
                self.check_header(header, path, problems);
                let (key, header) = (check_text(key, path, problems), header.value.clone());
                return Some(DescriptorEntry::Header { key, header });
            }
            (None, _, (Some(key), None, Some(value))) => {
                let key = check_text(key, path, problems);
                if value.contains('%') {
                    // Envoy puts something else in its place, or does not start.
                    let message = "`%` is Envoy's, for values that requests have; this one is the \
                                   same for all: write it without";
                    problems.report_as(value.at, path, message);
                }
                return Some(DescriptorEntry::Fixed {
                    key,
                    value: check_text(value, path, problems),
                });
            }
            _ => {
                if !problems.any_within("routes[", ".descriptors") {
                    let message = "say exactly one of `remote_address`, `principal`, `route`, \
                                   `method`, or `key` with either `header` or `value`";
                    problems.report_as(raw.at, path, message);
                }
                return None;
            }
        };
        if entry == DescriptorEntry::Principal {
            self.check_principal(raw, path, problems);
        }
        Some(entry)
    }

    /// The subject is told by its identity header: without that there would be no descriptor, and
    /// no limit, without a word.
    fn check_principal(&self, raw: &RawDescriptorEntry, path: &str, problems: &mut Problems) {
        let wanted = self.context.raw.identity_headers.as_ref();
        let is_written = wanted.is_none_or(|all| all.contains(&RawIdentityHeader::Subject));
        let message = if !is_written {
            "the rate limit service knows callers by the identity header `subject`: add it to \
             `identity_headers`"
        } else if *self.auth == Auth::None {
            "this route knows no callers (auth: none)"
        } else {
            return;
        };
        problems.report_as(raw.at, path, message);
    }

    fn check_header(&self, header: &Text, path: &str, problems: &mut Problems) {
        if let Err(message) = check_header(header, self.context.token_places) {
            problems.report_as(header.at, path, message);
        }
    }
}

fn check_text(text: &Text, path: &str, problems: &mut Problems) -> String {
    if !is_identity_value(text) || text.len() > MAX_TEXT {
        let message =
            format!("expected 1 to {MAX_TEXT} bytes, no control characters, no space at the ends");
        problems.report_as(text.at, path, message);
    }
    text.value.clone()
}

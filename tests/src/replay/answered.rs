//! What came back, and what of it is otherwise than a case expects.

use std::fmt;

use postern_explain::cases::{Case, Expected};
use postern_explain::{Part, UpstreamFailure};
use serde_json::Value;

use crate::raw;

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    /// The id that it was asked under.
    pub(super) id: String,
    /// Its status; 0 when none came.
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answered {
    pub(super) fn of(id: String, answer: &raw::Answer) -> Self {
        let (head, body) = answer.text.split_once("\r\n\r\n").unwrap_or((answer.text.as_str(), ""));
        let headers: Vec<(String, String)> = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let chunked = headers.iter().any(|(name, value)| {
            name == "transfer-encoding" && value.eq_ignore_ascii_case("chunked")
        });
        let body = if chunked { joined(body) } else { body.to_owned() };
        Self { id, status: answer.status.unwrap_or_default(), headers, body }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known == name)
    }

    /// What the answer itself says otherwise than the case expects.
    pub(super) fn differences(&self, case: &Case) -> Vec<String> {
        let expect = &case.expect;
        if expect.allowed { self.of_allowed(case) } else { self.of_refused(expect) }
    }

    fn of_refused(&self, expect: &Expected) -> Vec<String> {
        let mut found = Vec::new();
        if Some(self.status) != expect.status {
            found.push(format!("status {}, expected {:?}", self.status, expect.status));
        }
        let json = self.json();
        let error = json["error"].as_str();
        if expect.error.is_some() && error != expect.error.as_deref() {
            found.push(format!("error {error:?}, expected {:?}", expect.error));
        }
        found
    }

    fn of_allowed(&self, case: &Case) -> Vec<String> {
        let expect = &case.expect;
        let is_own = expect.service.as_deref() == Some("postern");
        let fails = case.given.failed.contains(&Part::Upstream(UpstreamFailure::Status));
        let mut found = Vec::new();
        if is_own {
            // What the suite itself answers is not the gateway's to say; who answered, the log is.
            found.extend((self.status == 0).then(|| "no answer".to_owned()));
        } else if self.status != if fails { 500 } else { 200 } {
            found.push(format!("status {}, expected the service's", self.status));
        }
        if let Some(limits) = &expect.limits {
            let is_told = self.has_header("x-ratelimit-limit");
            if is_told == limits.is_empty() {
                found.push(format!("limit headers: {is_told}, expected {limits:?}"));
            }
        }
        if !is_own && !fails && found.is_empty() && case.request.method != "HEAD" {
            self.of_echo(expect, &mut found);
        }
        found
    }

    /// What the service says that it got.
    fn of_echo(&self, expect: &Expected, found: &mut Vec<String>) {
        let echo = self.json();
        for (name, expected) in &expect.headers {
            let got = echo["headers"][name].as_str();
            if got != expected.as_deref() {
                let all = &echo["headers"][name];
                found.push(format!("header {name} is {all}, expected {expected:?}"));
            }
        }
        if let Some(expected) = &expect.target {
            let path = echo["path"].as_str().unwrap_or_default();
            let got = match echo["query"].as_str() {
                Some(query) => format!("{path}?{query}"),
                None => path.to_owned(),
            };
            if got != *expected {
                found.push(format!("path {got}, expected {expected}"));
            }
        }
    }
}

/// The pieces of a chunked body.
fn joined(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some((piece, next)) = after.split_at_checked(size).filter(|_| size > 0) else { break };
        whole.push_str(piece);
        rest = next.strip_prefix("\r\n").unwrap_or(next);
    }
    whole
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.body.chars().take(600).collect();
        write!(f, "    {} {shown}", self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_pieces_is_put_together() {
        assert_eq!(joined("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "abcde");
        assert_eq!(joined(""), "");
    }

    #[test]
    fn an_answer_is_read_from_its_text() {
        let text = "HTTP/1.1 401 Unauthorized\r\nX-A: b\r\n\r\n{\"error\":\"UNAUTHORIZED\"}";
        let answer = raw::Answer { status: Some(401), text: text.to_owned() };
        let answered = Answered::of("id".to_owned(), &answer);
        assert!(answered.has_header("x-a"));
        assert_eq!(answered.json()["error"], "UNAUTHORIZED");
    }
}
